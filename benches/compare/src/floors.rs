//! The floors: costs that no breaker can be below, and costs that some users would accept.

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use crate::caller::{Caller, Cycle, OpenFor, State, Subject};
use crate::cases;
use crate::guarded::{self, timed, work};
use crate::measure::Case;
use crate::private_work::PrivateWork;
use crate::row::{Column, Kind, Row};

pub const EMPTY: &str = "the empty call";
pub const EXCHANGE: &str = "load, compare-exchange";
pub const NOW: &str = "Instant::now";

pub fn rows(private: PrivateWork) -> Vec<Row> {
    let clock = |name, reading: fn(u64) -> Duration| floor(name).case(Column::OpenReject, Case::new("", reading));
    vec![
        calls::<Empty>(floor(EMPTY), private)
            // The floor of a rejection is the call that it saves, which here is the empty call.
            .case(Column::OpenReject, cases::closed_ok(Empty))
            .case(Column::Churn, cases::churn(Empty, Cycle { failures: 1, probes: 1 })),
        calls::<Load>(floor("load"), private),
        calls::<FetchAdd>(floor("load, fetch-add"), private),
        calls::<Exchange>(floor(EXCHANGE), private),
        calls::<StdMutex>(floor("std Mutex, once a call"), private),
        calls::<ParkingLot>(floor("parking_lot Mutex, once a call"), private),
        clock(NOW, |calls| timed(calls, Instant::now)),
        clock("quanta::Instant::now", |calls| timed(calls, quanta::Instant::now)),
    ]
}

fn floor(name: &'static str) -> Row {
    Row::new(name, Kind::Floor)
}

fn calls<S: Subject<Caller: Clone + Send + Sync>>(row: Row, private: PrivateWork) -> Row {
    let caller = || S::settle(S::healthy());
    row.case(Column::ClosedOk, cases::closed_ok(caller()))
        .case(Column::TenPercent, cases::ten_percent(caller()))
        .two_threads::<S>(private)
}

/// A floor is a caller whose circuit is always closed.
macro_rules! floor {
    ($name:ident, $word:ty, |$held:ident, $good:ident| $call:expr) => {
        #[derive(Clone, Copy)]
        struct $name(&'static $word);

        impl Caller for $name {
            #[inline(always)]
            fn call(&mut self, $good: bool) -> Result<u32, ()> {
                let $held = self.0;
                $call
            }

            fn state(&self) -> Option<State> {
                None
            }
        }

        impl Subject for $name {
            type Breaker = $word;
            type Caller = Self;

            fn healthy() -> $word {
                <$word>::default()
            }

            fn nervous(_: OpenFor) -> $word {
                Self::healthy()
            }

            fn hold(word: &'static mut $word) -> Self {
                Self(word)
            }
        }
    };
}

floor!(Load, AtomicU32, |word, good| guarded::load(word, good));
floor!(FetchAdd, AtomicU32, |word, good| guarded::load_fetch_add(word, good));
floor!(Exchange, AtomicU32, |word, good| guarded::load_compare_exchange(word, good));
floor!(StdMutex, std::sync::Mutex<u32>, |count, good| {
    let result = work(good);
    if let Ok(mut count) = count.lock() {
        *count = count.wrapping_add(1);
    }
    result
});
floor!(ParkingLot, parking_lot::Mutex<u32>, |count, good| {
    let result = work(good);
    let mut count = count.lock();
    *count = count.wrapping_add(1);
    result
});

/// The empty call: its caller holds nothing.
#[derive(Clone, Copy)]
struct Empty;

impl Caller for Empty {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        work(good)
    }

    fn state(&self) -> Option<State> {
        None
    }
}

impl Subject for Empty {
    type Breaker = ();
    type Caller = Self;

    fn healthy() {}

    fn nervous(_: OpenFor) {}

    fn hold((): &'static mut ()) -> Self {
        Self
    }
}
