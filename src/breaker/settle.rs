//! What becomes of a permit once its call has a result: the seam between a breaker and what makes calls through it.

use crate::breaker::gate::Report;
use crate::terms::outcome::{AnyError, Classify};

/// Decides what becomes of a permit when its call has a result: it is reported at once ([`AtOnce`]), or goes on with the
/// result until that is used up.
pub trait Settle<P: Report, T> {
    /// What the caller gets: the result, or the result with the permit in it.
    type Output;

    /// Called once per admitted call that was not dropped before it had a result.
    fn settle(&self, permit: P, result: T) -> Self::Output;
}

/// Reports what a [`Classify`] says, at once, and gives the result back as it is. By default `Ok` is a success and `Err`
/// a failure.
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
