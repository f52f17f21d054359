//! `tower`: a layer that puts a breaker in front of a service.
//!
//! [`BreakerLayer`] makes a [`BreakerService`] of a service. Its page says where in a stack of layers it belongs.

mod future;
mod guarding;
mod layer;
mod service;

pub use self::future::{BreakerFuture, Refuse};
pub use self::layer::BreakerLayer;
pub use self::service::BreakerService;
