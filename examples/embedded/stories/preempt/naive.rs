//! A breaker as one would first write it: atomic words, each read and then written. The sweep must catch it.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use board::shot::Interrupt;

use crate::sweep::Meeting;

const THRESHOLD: u32 = 3;
const OPEN_FOR: u32 = 10;

/// Failures in a row, and the end of the open time (0: the circuit is closed).
#[derive(Debug)]
struct Naive {
    failures: AtomicU32,
    until: AtomicU32,
}

impl Naive {
    /// Whether a call is admitted at `now`. The first one after the open time is a probe, and opens it anew for others.
    fn acquire(&self, now: u32) -> bool {
        let until = self.until.load(SeqCst);
        if until == 0 {
            return true;
        }
        if now < until {
            return false;
        }
        self.until.store(now + OPEN_FOR, SeqCst);
        true
    }

    fn failure(&self, now: u32) {
        let failures = self.failures.load(SeqCst) + 1;
        self.failures.store(failures, SeqCst);
        if failures >= THRESHOLD {
            self.until.store(now + OPEN_FOR, SeqCst);
        }
    }
}

/// The operation, and an interrupt that does the same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Twice {
    /// Two failures, of which the second is the third in a row: the circuit must open.
    Failure,
    /// Two callers after the open time: only one may pass.
    Acquire,
}

impl Twice {
    pub(crate) const ALL: [Self; 2] = [Self::Failure, Self::Acquire];
}

#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    admitted: u32,
    failures: u32,
    until: u32,
}

impl Meeting for Twice {
    type Seen = Seen;

    fn meet(&self, interleave: &mut dyn FnMut(Interrupt<'_>, &mut dyn FnMut())) -> Seen {
        let naive = match self {
            Self::Failure => Naive { failures: AtomicU32::new(THRESHOLD - 2), until: AtomicU32::new(0) },
            Self::Acquire => Naive { failures: AtomicU32::new(THRESHOLD), until: AtomicU32::new(5) },
        };
        let by_interrupt = AtomicU32::new(0);
        let mut by_thread = 0;
        let call = || match self {
            Self::Failure => {
                naive.failure(20);
                0
            }
            Self::Acquire => u32::from(naive.acquire(20)),
        };
        interleave(&|| by_interrupt.store(call(), SeqCst), &mut || by_thread = call());
        Seen {
            admitted: by_thread + by_interrupt.load(SeqCst),
            failures: naive.failures.load(SeqCst),
            until: naive.until.load(SeqCst),
        }
    }

    fn permits(&self, _: &Seen, _: &Seen, _: &Seen) -> bool {
        false
    }
}
