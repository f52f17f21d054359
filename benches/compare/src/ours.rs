//! Our breaker: each window, with the coarse clock and the std clock.

use std::marker::PhantomData;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use microbreaker::{
    Breaker, Clock, CoarseClock, Config, CountWindow, LaneCount, Lanes, LiveWindow, ManualClock, StdClock, Streak,
    TickRate, Ticks, TimeWindow, count_words,
};

use crate::caller::{Caller, OpenFor, State, Subject};
use crate::guarded::{self, Count100, Time10, by_permit, rejection};
use crate::private_work::PrivateWork;
use crate::row::{Column, Judge, Kind, Row, Time};

type Lanes4 = TimeWindow<16, 4>;

pub fn rows(private: PrivateWork) -> Vec<Row> {
    vec![
        coarse_clock::<Streak>("streak", Judge::Streak, 1, private),
        std_clock::<Streak>("streak, std clock", Judge::Streak),
        coarse_clock::<Count100>("last 100", Judge::Count, 1, private),
        std_clock::<Count100>("last 100, std clock", Judge::Count),
        coarse_clock::<Time10>("10 buckets", Judge::Time, 1, private),
        // The only window whose healthy call reads the clock.
        std_clock::<Time10>("10 buckets, std clock", Judge::Time).two_threads::<Ours<Time10, StdClock>>(private),
        coarse_clock::<Lanes4>("10 buckets, 4 lanes", Judge::Time, 4, private),
    ]
}

fn coarse_clock<W: Configured>(name: &'static str, judge: Judge, lanes: u32, private: PrivateWork) -> Row {
    Row::new(name, Kind::Ours { judge, time: Time::Word, lanes })
        .one_thread::<Ours<W, CoarseClock>>()
        .churn::<Ours<W, ManualClock>>()
        .two_threads::<Ours<W, CoarseClock>>(private)
}

fn std_clock<W: Configured>(name: &'static str, judge: Judge) -> Row {
    Row::new(name, Kind::Ours { judge, time: Time::Real, lanes: 1 })
        .one_thread::<Ours<W, StdClock>>()
        .churn::<Ours<W, Nanos>>()
}

/// A window and its configuration here, which is that of `benches/breaker.rs`.
trait Configured: LiveWindow + Send + Sync + 'static {
    fn healthy() -> Config;
    fn first_failure(bucket: Duration) -> Config;
}

impl Configured for Streak {
    fn healthy() -> Config {
        guarded::streak()
    }

    fn first_failure(_: Duration) -> Config {
        Config::streak(1)
    }
}

impl Configured for CountWindow<{ count_words(100, false) }> {
    fn healthy() -> Config {
        guarded::count()
    }

    fn first_failure(_: Duration) -> Config {
        Config::count(100).failure_permille(1)
    }
}

impl<const LANES: usize> Configured for TimeWindow<16, LANES>
where
    Lanes<LANES>: LaneCount,
    Self: LiveWindow + Send + Sync,
{
    fn healthy() -> Config {
        guarded::time()
    }

    fn first_failure(bucket: Duration) -> Config {
        Config::time(10, bucket).failure_permille(1)
    }
}

/// A clock that this comparison uses.
trait Kept: Clock + Default + Send + Sync + 'static {
    /// A length of bucket that the clock can count: 64 ticks.
    const BUCKET: Duration = Duration::from_micros(62_500);

    #[inline(always)]
    fn pass(&self) {}
}

impl Kept for CoarseClock {}
impl Kept for StdClock {}

impl Kept for ManualClock {
    #[inline(always)]
    fn pass(&self) {
        self.advance_ticks(1);
    }
}

/// `Instant` in nanoseconds, as the rivals read it. With a clock of 1 kHz, no circuit could be open for as short a time
/// as theirs.
#[derive(Default)]
struct Nanos;

impl Clock for Nanos {
    const RATE: TickRate = TickRate::new(1_000_000_000, 1);

    #[inline]
    fn now(&self) -> Ticks {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        #[expect(clippy::cast_possible_truncation, reason = "the counter is modulo 2^32")]
        Ticks::new(ORIGIN.get_or_init(Instant::now).elapsed().as_nanos() as u32)
    }
}

impl Kept for Nanos {
    const BUCKET: Duration = Duration::from_nanos(1 << 24);
}

struct Ours<W, C>(PhantomData<(W, C)>);

impl<W: Configured, C: Kept> Subject for Ours<W, C> {
    type Breaker = Breaker<W, C>;
    type Caller = &'static Breaker<W, C>;

    fn healthy() -> Breaker<W, C> {
        Breaker::new(W::healthy(), C::default())
    }

    fn nervous(open_for: OpenFor) -> Breaker<W, C> {
        // Without jitter and backoff, the open time stays the same.
        let config = W::first_failure(C::BUCKET).minimum(1).jitter(false).backoff_1024ths(1024);
        let config = match open_for {
            OpenFor::Shortest => {
                // With `Nanos` no period may be longer than a second.
                let second = Duration::from_secs(1);
                config.open_for(Duration::from_nanos(1)).open_at_most(second).hold_at_most(second).lease(second)
            }
            OpenFor::ADay => config.open_for(Duration::from_secs(86_400)),
        };
        Breaker::new(config, C::default())
    }

    fn hold(breaker: &'static mut Breaker<W, C>) -> Self::Caller {
        breaker
    }
}

impl<W: Configured, C: Kept> Caller for &'static Breaker<W, C> {
    #[inline(always)]
    fn call(&mut self, good: bool) -> Result<u32, ()> {
        by_permit(self, good)
    }

    /// Also asks when to call again, which no rival offers.
    #[inline(always)]
    fn rejected(&mut self) -> bool {
        std::hint::black_box(rejection(self)).is_some()
    }

    #[inline(always)]
    fn pass(&mut self) {
        self.clock().pass();
    }

    fn state(&self) -> Option<State> {
        match Breaker::state(self) {
            microbreaker::State::Closed => Some(State::Closed),
            microbreaker::State::Open => Some(State::Open),
            microbreaker::State::HalfOpen => Some(State::HalfOpen),
            _ => None,
        }
    }
}

/// Our row that a rival is compared with in this column: the row with the same judge and the coarse clock. In the
/// churn, where circuits open and close, it is the row with the clock that the rival reads.
pub fn beside(column: Column, judge: Judge, time: Time) -> Kind {
    let time = if column == Column::Churn { time } else { Time::Word };
    Kind::Ours { judge, time, lanes: 1 }
}
