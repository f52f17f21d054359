//! HTTP: classifies responses by what they say about the peer, and lets a body carry its call's permit to the end.
//!
//! - [`HttpStatus`] classifies a response by its status and its `Retry-After`. Give it to whatever makes your calls.
//! - [`AtEnd`] reports a call when its body has ended, since an upstream that dies in the middle of every response has
//!   answered none of them. If the *head* of a response decides alone (a 503), it reports at once.

pub(crate) mod body;
pub(crate) mod head;
pub(crate) mod status;

pub use self::body::{AtEnd, GuardedBody, StallAfter};
pub use self::head::{ClassifyHead, HeadOutcome};
pub use self::status::{HttpStatus, WithErrors};
