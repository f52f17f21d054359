//! HTTP: what a response says about the peer that sent it, and a body that carries its call's permit to the end.
//!
//! A response is settled in two steps. Its *head* may say all there is to say (a 503); else the call lasts as long as the
//! body does, for an upstream that dies in the middle of every answer has answered none of them.

pub(crate) mod body;
pub(crate) mod head;
pub(crate) mod status;

pub use self::body::{AtEnd, GuardedBody, StallAfter};
pub use self::head::{ClassifyHead, HeadOutcome};
pub use self::status::{HttpStatus, WithErrors};
