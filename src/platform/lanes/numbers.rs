//! The numbers of threads: no two threads hold the same one, and a thread takes the lowest that is free.

use crate::platform::atomics::{AtomicUsize, Ordering, const_fn};

/// Which numbers are held.
///
/// Every operation is relaxed. A number hands nothing over: it only says which words a thread writes to, and those
/// words bear any number of writers. Two threads never hold the same number, because each change of the word is a
/// single operation. A thread may load an old word, and so miss a number that has just been given back. This race is
/// benign: the thread shares a lane for one more call.
// On cache lines of its own, because a thread without a lane of its own loads it at each call.
#[repr(align(128))]
pub(super) struct Numbers {
    /// One bit for each number that can be held: set while a thread holds it.
    held: AtomicUsize,
    /// How many threads found no number.
    late: AtomicUsize,
}

/// The number of a thread that has not looked for one yet. Every number is lower.
pub(super) const NONE: usize = usize::MAX;

/// How many numbers can be held.
const COUNT: usize = usize::BITS as usize;

/// The most lanes that there can be. A thread that finds no free number gets one from here up to twice as much, which
/// several threads may have. It is no lane, whatever the number of lanes, so the thread looks again.
const MOST_LANES: usize = 64;

impl Numbers {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self { held: AtomicUsize::new(0), late: AtomicUsize::new(0) }
        }
    }

    /// The number that a thread with the number `own` has from now on: the lowest that is free, if that is lower than
    /// `own`, which is then given back.
    pub(super) fn lower(&self, own: usize) -> usize {
        let mut held = self.held.load(Ordering::Relaxed);
        loop {
            let lowest = held.trailing_ones() as usize;
            if lowest >= COUNT.min(own) {
                break;
            }
            // One exchange takes the one and gives the other back. So no thread ever holds two, and as many bits are
            // set as threads hold a number.
            let next = held & !bit(own) | bit(lowest);
            match self.held.compare_exchange_weak(held, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return lowest,
                Err(present) => held = present,
            }
        }
        if own == NONE { MOST_LANES + self.late.fetch_add(1, Ordering::Relaxed) % MOST_LANES } else { own }
    }

    /// Gives back the number of a thread that ends.
    pub(super) fn give_back(&self, own: usize) {
        self.held.fetch_and(!bit(own), Ordering::Relaxed);
    }
}

/// The bit of a number; none if it cannot be held.
fn bit(number: usize) -> usize {
    if number < COUNT { 1 << number } else { 0 }
}
