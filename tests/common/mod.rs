//! Functions that several test binaries share.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The value of a future that must be ready at its first poll.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}
