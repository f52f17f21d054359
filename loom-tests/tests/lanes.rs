//! The numbers of threads, which say what lane a thread writes to. These models have the word of numbers alone:
//! thread-locals, and the calls of real threads, are for `tests/lanes.rs`.
#![cfg(feature = "models")]

mod common;

use std::collections::BTreeSet;
use std::sync::Mutex;

use common::explore;
use loom::sync::Arc;
use loom::thread;
use numbers::{NONE, Numbers};

/// The platform that `numbers.rs` imports.
mod platform {
    pub(crate) mod atomics {
        pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};

        macro_rules! const_fn {
            ($vis:vis const fn $($rest:tt)*) => { $vis fn $($rest)* };
        }
        pub(crate) use const_fn;
    }
}

#[path = "../../src/platform/lanes/numbers.rs"]
mod numbers;

/// The numbers, and who holds one. As in real time, what a thread notes here every other thread knows at once.
struct Threads {
    numbers: Numbers,
    holding: Mutex<BTreeSet<usize>>,
}

impl Threads {
    fn new() -> Arc<Self> {
        Arc::new(Self { numbers: Numbers::new(), holding: Mutex::default() })
    }

    /// A thread with the number `own` looks for a lower one.
    fn look(&self, own: usize) -> usize {
        // Noted before: as soon as it is given back, it may be another's.
        self.holding.lock().unwrap().remove(&own);
        let number = self.numbers.lower(own);
        let is_free = self.holding.lock().unwrap().insert(number);
        assert!(is_free, "two threads hold the number {number}");
        number
    }

    fn end(&self, own: usize) {
        self.holding.lock().unwrap().remove(&own);
        self.numbers.give_back(own);
    }

    /// Asserts that nobody holds a number: so many new threads get the lowest ones.
    fn all_are_free(&self, threads: usize) {
        for number in 0..threads {
            assert_eq!(self.look(NONE), number, "a number was lost");
        }
    }
}

#[test]
fn no_two_threads_that_begin_together_hold_the_same_number() {
    explore(|| {
        let threads = Threads::new();
        let parties = [(); 3].map(|()| {
            let threads = Arc::clone(&threads);
            thread::spawn(move || threads.look(NONE))
        });
        let mut numbers = parties.map(|party| party.join().unwrap());
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
    });
}

/// Three threads begin and end. Two of them look for a lower number in between.
#[test]
fn no_number_is_lost_between_threads_that_begin_and_end() {
    explore(|| {
        let threads = Threads::new();
        let parties = [1, 2, 2].map(|looks| {
            let threads = Arc::clone(&threads);
            thread::spawn(move || {
                let number = (0..looks).fold(NONE, |own, _| threads.look(own));
                threads.end(number);
            })
        });
        for party in parties {
            party.join().unwrap();
        }
        threads.all_are_free(3);
    });
}

/// Three lanes, four threads: when one of the four has ended, the others have a lane each by their next call.
#[test]
fn a_thread_takes_the_number_that_another_gives_back() {
    explore(|| {
        let threads = Threads::new();
        let [leaver, first, second, third] = [(); 4].map(|()| threads.look(NONE));
        let leaving = Arc::clone(&threads);
        let leaves = thread::spawn(move || leaving.end(leaver));
        let looks = [second, third].map(|own| {
            let threads = Arc::clone(&threads);
            thread::spawn(move || threads.look(own))
        });
        leaves.join().unwrap();
        let numbers = looks.map(|look| look.join().unwrap()).map(|own| threads.look(own));
        let mut all = [first, numbers[0], numbers[1]];
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}
