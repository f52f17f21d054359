//! I/O: classifies the errors of `std::io` by what they say about a peer.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::terms::outcome::{Classify, FailureKind, Outcome};

/// Classifies a [`std::io::Result`]: `Ok` is a success, and an error counts by its kind.
///
/// | kinds | outcome |
/// | --- | --- |
/// | `TimedOut`, `WouldBlock` | failure: [timeout](FailureKind::Timeout). On Unix, `WouldBlock` is the read timeout of a blocking socket |
/// | `ConnectionRefused`, `HostUnreachable`, `NetworkUnreachable`, `NetworkDown` | failure: [refused](FailureKind::Refused) |
/// | `ConnectionReset`, `ConnectionAborted`, `NotConnected`, `BrokenPipe`, `UnexpectedEof`, `WriteZero`, `StaleNetworkFileHandle` | failure: [reset](FailureKind::Reset) |
/// | `InvalidData` | failure: [protocol](FailureKind::Protocol) |
/// | `AddrInUse`, `AddrNotAvailable`, `OutOfMemory`, `StorageFull` | failure: [resource](FailureKind::Resource) |
/// | `QuotaExceeded` | failure: [quota](FailureKind::Quota) |
/// | `NotFound`, `PermissionDenied`, `AlreadyExists`, `NotADirectory`, `IsADirectory`, `DirectoryNotEmpty`, `FileTooLarge`, `ResourceBusy`, `ExecutableFileBusy` | [alive](Outcome::Alive): the answer of a file system that works |
/// | `Interrupted`, `InvalidInput`, `InvalidFilename`, `ArgumentListTooLong`, `NotSeekable`, `CrossesDevices`, `TooManyLinks`, `Deadlock`, `Unsupported` | [ignored](Outcome::Ignored): the call was interrupted, or could not be made |
/// | `ReadOnlyFilesystem`, `Other`, every other kind (names that do not resolve, too many open files) | failure: [other](FailureKind::Other) |
///
/// A Unix socket that does not exist is `NotFound` too. A socket to which you may not write, or a connection that a
/// local firewall forbids, is `PermissionDenied`. Where you connect, count both as failures:
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use std::os::unix::net::UnixStream;
///
/// use microbreaker::io::IoError;
/// use microbreaker::{Breaker, Config, FailureKind, Outcome, StdClock, Streak};
///
/// static DAEMON: Breaker<Streak, StdClock> = Breaker::new(Config::database(), StdClock::new());
///
/// let dialled = |result: &Result<UnixStream, Error>| match result {
///     Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
///         Outcome::Failure(FailureKind::Refused)
///     }
///     result => IoError::of_result(result),
/// };
/// assert!(DAEMON.call_with(&dialled, || UnixStream::connect("/nowhere/at/all")).is_err());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct IoError;

impl IoError {
    /// The outcome of an error. An error of kind `Other` that wraps another I/O error counts as the wrapped error.
    pub fn of(error: &io::Error) -> Outcome {
        let failure = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => FailureKind::Timeout,
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown => FailureKind::Refused,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::WriteZero
            | ErrorKind::StaleNetworkFileHandle => FailureKind::Reset,
            ErrorKind::InvalidData => FailureKind::Protocol,
            ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable | ErrorKind::OutOfMemory | ErrorKind::StorageFull => {
                FailureKind::Resource
            }
            ErrorKind::QuotaExceeded => FailureKind::Quota,
            ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::FileTooLarge
            | ErrorKind::ResourceBusy
            | ErrorKind::ExecutableFileBusy => return Outcome::Alive,
            ErrorKind::Interrupted
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::ArgumentListTooLong
            | ErrorKind::NotSeekable
            | ErrorKind::CrossesDevices
            | ErrorKind::TooManyLinks
            | ErrorKind::Deadlock
            | ErrorKind::Unsupported => return Outcome::Ignored,
            ErrorKind::Other => {
                let inner = error.get_ref().and_then(|inner| Self::within(inner));
                return inner.unwrap_or(Outcome::Failure(FailureKind::Other));
            }
            _ => FailureKind::Other,
        };
        Outcome::Failure(failure)
    }

    /// The outcome of a result.
    pub fn of_result<T>(result: &io::Result<T>) -> Outcome {
        result.as_ref().map_or_else(Self::of, |_| Outcome::Success)
    }

    /// The outcome of the first I/O error in the chain of an error's [sources](Error::source), the error itself
    /// included. The errors of client libraries usually have an I/O error in that chain. `None` if there is none.
    pub fn within(error: &(dyn Error + 'static)) -> Option<Outcome> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Some(Self::of(error));
            }
            next = error.source();
        }
        None
    }
}

impl<T> Classify<io::Result<T>> for IoError {
    fn classify(&self, result: &io::Result<T>) -> Outcome {
        Self::of_result(result)
    }
}
