use std::fmt;
use std::io::{self, ErrorKind};

use microbreaker::io::IoError;
use microbreaker::{Classify, CustomKind, FailureKind, Outcome, Persistence};

#[test]
fn every_kind_lasts_and_is_retried_as_its_table_says() {
    use Persistence::{Permanent, Prolonged, Transient};
    let table = [
        (FailureKind::Other, Transient, true),
        (FailureKind::Timeout, Transient, true),
        (FailureKind::Refused, Prolonged, true),
        (FailureKind::Reset, Transient, true),
        (FailureKind::Dns, Prolonged, true),
        (FailureKind::Server, Prolonged, true),
        (FailureKind::RateLimited, Prolonged, true),
        (FailureKind::Quota, Prolonged, false),
        (FailureKind::Auth, Permanent, false),
        (FailureKind::Client, Permanent, false),
        (FailureKind::Protocol, Permanent, false),
        (FailureKind::Resource, Transient, false),
        (FailureKind::Panic, Permanent, false),
    ];
    let custom = (0..16).map(|number| (FailureKind::Custom(CustomKind::new(number).unwrap()), Transient, true));
    let all: Vec<_> = table.into_iter().chain(custom).collect();
    assert_eq!(all.iter().map(|row| row.0).collect::<Vec<_>>(), FailureKind::ALL);
    for (kind, lasts, retry) in all {
        assert_eq!((kind.persistence(), kind.is_retryable()), (lasts, retry), "{kind:?}");
        assert!(!(retry && lasts == Permanent), "{kind:?}: a permanent failure is not retried");
    }
}

/// Every kind that has a name on a stable compiler.
const IO: [(Outcome, &[ErrorKind]); 9] = [
    (Outcome::Failure(FailureKind::Timeout), &[ErrorKind::TimedOut, ErrorKind::WouldBlock]),
    (
        Outcome::Failure(FailureKind::Refused),
        &[
            ErrorKind::ConnectionRefused,
            ErrorKind::HostUnreachable,
            ErrorKind::NetworkUnreachable,
            ErrorKind::NetworkDown,
        ],
    ),
    (
        Outcome::Failure(FailureKind::Reset),
        &[
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::NotConnected,
            ErrorKind::BrokenPipe,
            ErrorKind::UnexpectedEof,
            ErrorKind::WriteZero,
            ErrorKind::StaleNetworkFileHandle,
        ],
    ),
    (Outcome::Failure(FailureKind::Protocol), &[ErrorKind::InvalidData]),
    (
        Outcome::Failure(FailureKind::Resource),
        &[ErrorKind::AddrInUse, ErrorKind::AddrNotAvailable, ErrorKind::OutOfMemory, ErrorKind::StorageFull],
    ),
    (Outcome::Failure(FailureKind::Quota), &[ErrorKind::QuotaExceeded]),
    (
        Outcome::Alive,
        &[
            ErrorKind::NotFound,
            ErrorKind::PermissionDenied,
            ErrorKind::AlreadyExists,
            ErrorKind::NotADirectory,
            ErrorKind::IsADirectory,
            ErrorKind::DirectoryNotEmpty,
            ErrorKind::FileTooLarge,
            ErrorKind::ResourceBusy,
            ErrorKind::ExecutableFileBusy,
        ],
    ),
    (
        Outcome::Ignored,
        &[
            ErrorKind::Interrupted,
            ErrorKind::InvalidInput,
            ErrorKind::InvalidFilename,
            ErrorKind::ArgumentListTooLong,
            ErrorKind::NotSeekable,
            ErrorKind::CrossesDevices,
            ErrorKind::TooManyLinks,
            ErrorKind::Deadlock,
            ErrorKind::Unsupported,
        ],
    ),
    (Outcome::Failure(FailureKind::Other), &[ErrorKind::ReadOnlyFilesystem, ErrorKind::Other]),
];

#[test]
fn every_io_error_is_what_its_table_says() {
    for (outcome, kinds) in IO {
        for &kind in kinds {
            assert_eq!(IoError::of(&kind.into()), outcome, "{kind:?}");
            assert_eq!(IoError.classify(&Err::<(), _>(io::Error::new(kind, "in words"))), outcome, "{kind:?}");
        }
    }
    assert_eq!(IO.iter().map(|(_, kinds)| kinds.len()).sum::<usize>(), 39, "a kind is missing, or twice");
    assert_eq!(IoError.classify(&Ok(())), Outcome::Success);
    // Too many open files: its kind has no stable name.
    #[cfg(unix)]
    assert_eq!(IoError::of(&io::Error::from_raw_os_error(24)), Outcome::Failure(FailureKind::Other));
}

/// An error of a client library, with another error as its source.
#[derive(Debug)]
struct Failed<E>(E);

impl<E> fmt::Display for Failed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request failed")
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Failed<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_io_error_is_found_below_others() {
    let reset = || io::Error::from(ErrorKind::ConnectionReset);
    let outcome = Outcome::Failure(FailureKind::Reset);
    assert_eq!(IoError::within(&reset()), Some(outcome));
    assert_eq!(IoError::within(&Failed(Failed(reset()))), Some(outcome));
    assert_eq!(IoError::of(&io::Error::other(Failed(reset()))), outcome, "wrapped as another");
    assert_eq!(IoError::of(&io::Error::other(io::Error::other(reset()))), outcome);
    assert_eq!(
        IoError::of(&io::Error::new(ErrorKind::TimedOut, reset())),
        Outcome::Failure(FailureKind::Timeout),
        "a kind that says something counts"
    );
    assert_eq!(IoError::within(&Failed(fmt::Error)), None);
    assert_eq!(IoError::of(&io::Error::other(Failed(fmt::Error))), Outcome::Failure(FailureKind::Other));
}
