use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use reliakit_circuit::{CircuitBreaker, RollingBreaker};

use super::{About, Rival};
use crate::caller::{Caller, OpenFor, State, Subject};
use crate::guarded::work;
use crate::private_work::PrivateWork;
use crate::row::{Column, Judge, Kind, Row, Time};

const ALONE: &str = "its calls take `&mut self`";

pub fn rival(private: PrivateWork) -> Rival {
    let row = |name, judge| Row::new(name, Kind::Rival { judge, time: Time::Word });
    let one_owner = [Column::Shared, Column::SharedWork];
    Rival {
        about: About {
            package: "reliakit-circuit",
            as_used: "`allow`, `on_success`, `on_failure`; 1023 failures in a row, or 100 of the last 100 calls. \
                Time is the caller's: here a word in memory, the cheapest there is; it passes as our manual clock \
                does. The last row is how two threads have to share it: in a parking_lot `Mutex`, locked to ask and \
                locked to report.",
            wrong: "`&mut self`, so one owner; no clock of its own. It is a plain struct that no other thread, \
                interrupt or task can reach: what its figures do not contain is what ours are made for. The \
                half-open state lets everybody in; a report has no permit, so one of before counts as a probe's.",
        },
        rows: vec![
            row("reliakit, in a row", Judge::Streak)
                .one_thread::<InARow>()
                .churn::<InARow>()
                .own::<InARow>()
                .cannot(&one_owner, ALONE),
            row("reliakit, last 100", Judge::Count)
                .one_thread::<Last100>()
                .churn::<Last100>()
                .own::<Last100>()
                .cannot(&one_owner, ALONE),
            row("reliakit, last 100, in a Mutex", Judge::Count)
                .one_thread::<Locked>()
                .churn::<Locked>()
                .two_threads::<Locked>(private),
        ],
    }
}

/// A breaker and the word in memory that its time is read from.
struct Timed<B> {
    breaker: B,
    time: AtomicU64,
}

impl<B> Timed<B> {
    fn new(breaker: B) -> Self {
        Self { breaker, time: AtomicU64::new(0) }
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn pass(&self) {
        self.time.fetch_add(1, Ordering::AcqRel);
    }
}

const fn ticks(open_for: OpenFor) -> u64 {
    match open_for {
        OpenFor::Shortest => 1,
        OpenFor::ADay => 86_400_000,
    }
}

fn said(state: reliakit_circuit::State) -> State {
    match state {
        reliakit_circuit::State::Closed => State::Closed,
        reliakit_circuit::State::Open => State::Open,
        reliakit_circuit::State::HalfOpen => State::HalfOpen,
    }
}

type InARow = Timed<CircuitBreaker>;
type Last100 = Timed<RollingBreaker<100>>;
type Locked = Timed<Mutex<RollingBreaker<100>>>;

macro_rules! alone {
    ($timed:ty, $breaker:ident, $failures:literal) => {
        impl Subject for $timed {
            type Breaker = Self;
            type Caller = &'static mut Self;

            fn healthy() -> Self {
                Self::new($breaker::new($failures, 1))
            }

            fn nervous(open_for: OpenFor) -> Self {
                Self::new($breaker::new(1, ticks(open_for)))
            }

            fn hold(breaker: &'static mut Self) -> &'static mut Self {
                breaker
            }
        }

        impl Caller for &'static mut $timed {
            #[inline(always)]
            fn call(&mut self, good: bool) -> Result<u32, ()> {
                let now = self.now();
                if !self.breaker.allow(now) {
                    return Err(());
                }
                let result = work(good);
                match result {
                    Ok(_) => self.breaker.on_success(),
                    Err(()) => {
                        let now = self.now();
                        self.breaker.on_failure(now);
                    }
                }
                result
            }

            #[inline(always)]
            fn pass(&mut self) {
                Timed::pass(self);
            }

            fn state(&self) -> Option<State> {
                Some(said(self.breaker.state()))
            }
        }
    };
}

alone!(InARow, CircuitBreaker, 1023);
alone!(Last100, RollingBreaker, 100);

impl Subject for Locked {
    type Breaker = Self;
    type Caller = &'static Self;

    fn healthy() -> Self {
        Self::new(Mutex::new(RollingBreaker::new(100, 1)))
    }

    fn nervous(open_for: OpenFor) -> Self {
        Self::new(Mutex::new(RollingBreaker::new(1, ticks(open_for))))
    }

    fn hold(breaker: &'static mut Self) -> &'static Self {
        breaker
    }
}

impl Caller for &'static Locked {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        let now = self.now();
        if !self.breaker.lock().allow(now) {
            return Err(());
        }
        let result = work(good);
        match result {
            Ok(_) => self.breaker.lock().on_success(),
            Err(()) => self.breaker.lock().on_failure(self.now()),
        }
        result
    }

    #[inline(always)]
    fn pass(&mut self) {
        Timed::pass(self);
    }

    fn state(&self) -> Option<State> {
        Some(said(self.breaker.lock().state()))
    }
}
