//! `tower`: a layer that puts a breaker in front of a service.

mod future;
mod guarding;
mod layer;
mod service;

pub use self::future::{BreakerFuture, Refuse};
pub use self::layer::BreakerLayer;
pub use self::service::BreakerService;
