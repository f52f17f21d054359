//! What the layer and its services have in common.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::boxed::Box;
use std::sync::Arc;

/// The gate, and what is done with a result, a rejection, and while there is none to wait for.
#[derive(Clone)]
pub(super) struct Guarding<G, S, R> {
    pub(super) gate: G,
    pub(super) settle: S,
    pub(super) refuse: R,
    pub(super) sleep: Option<Arc<dyn Fn(Duration) -> Sleep + Send + Sync>>,
}

/// `Sync`, so that a service stays so.
pub(super) type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;
