//! The lane of a thread by its number, which it holds from its first use of lanes until it ends (feature `std`).
//!
//! Where there are eight lanes, the threads with the numbers 0 to 7 have one each. A thread with a higher number looks
//! at each call for a lower one that is free, and if there is none it shares the lane of a lower number. So while at
//! most eight threads hold a number, each has a lane of its own: if one of them had a higher number, one of the eight
//! lower numbers would be free, and the thread would take it before it writes.
//!
//! A thread gives its number back in the destructor of a thread-local. What other thread-locals report after that goes
//! to a lane that may be another thread's by then. A number is lost if no destructor runs: in the child of a `fork`,
//! the numbers of the parent's other threads stay held.

use std::cell::Cell;

use super::numbers::{NONE, Numbers};

static NUMBERS: Numbers = Numbers::new();

thread_local! {
    /// This thread's number, a copy of what `HELD` has. It has no destructor, so a read needs no look at whether it
    /// still exists.
    static NUMBER: Cell<usize> = const { Cell::new(NONE) };
    static HELD: Held = const { Held(Cell::new(NONE)) };
}

/// The number that a thread holds until it ends.
struct Held(Cell<usize>);

impl Held {
    /// Takes a lower number if there is one.
    fn lower(&self) -> usize {
        let number = NUMBERS.lower(self.0.get());
        self.0.set(number);
        // Where thread-locals are not native, this one may be gone before `HELD` is. Then each call comes here.
        let _ = NUMBER.try_with(|copy| copy.set(number));
        number
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        NUMBERS.give_back(self.0.get());
    }
}

/// The lane that this thread should write to.
#[inline]
pub(crate) fn lane(lanes: usize) -> usize {
    if lanes <= 1 {
        return 0;
    }
    let number = NUMBER.try_with(Cell::get).unwrap_or(NONE);
    if number < lanes { number } else { look_again(number) & (lanes - 1) }
}

/// The number of a thread whose `number` is no lane.
#[cold]
#[inline(never)]
fn look_again(number: usize) -> usize {
    // If the thread is about to end and has given its number back, it must not take another: nothing would give that
    // one back.
    HELD.try_with(Held::lower).unwrap_or(number)
}
