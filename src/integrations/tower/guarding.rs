//! The part that a layer and its services have in common.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::boxed::Box;
use std::sync::Arc;

/// The gate; what to do with a result and with a rejection; and how to wait while the circuit is open, if at all.
#[derive(Clone)]
pub(super) struct Guarding<G, S, R> {
    pub(super) gate: G,
    pub(super) settle: S,
    pub(super) refuse: R,
    pub(super) sleep: Option<Arc<dyn Fn(Duration) -> Sleep + Send + Sync>>,
}

/// A sleep. It is `Sync`, so that a service that holds one is `Sync` too.
pub(super) type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;
