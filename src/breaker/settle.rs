//! Settling a permit once its call has a result: the seam between a breaker and the code that makes calls through it.

use crate::breaker::gate::Report;
use crate::terms::outcome::{AnyError, Classify};

/// Decides how a permit is settled when its call has a result. The permit is reported at once ([`AtOnce`]), or it stays
/// with the result until the result is used up.
pub trait Settle<P: Report, T> {
    /// What the caller gets: the result, or the result with the permit in it.
    type Output;

    /// Settles the permit of one call. It is called once for each admitted call, unless the call is dropped before it
    /// has a result.
    fn settle(&self, permit: P, result: T) -> Self::Output;
}

/// Reports the outcome at once, as a [`Classify`] decides it, and returns the result unchanged. By default `Ok` is a
/// success and `Err` is a failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtOnce<K = AnyError>(pub K);

impl<P: Report, T, K: Classify<T>> Settle<P, T> for AtOnce<K> {
    type Output = T;

    #[inline]
    fn settle(&self, permit: P, result: T) -> T {
        permit.record(self.0.classify(&result));
        result
    }
}
