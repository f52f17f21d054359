//! How the calls of a case are made and timed.

use crate::guarded::{OneInTen, Padded, by_permit, time_in_stretches, time_together, timed, work};
use microbreaker::{Breaker, Clock, Config, ManualClock, State, Ticks, Window};
use std::hint::black_box;
use std::time::Duration;

/// The floor: the call that is guarded, by nobody.
pub fn empty_call() -> impl FnMut(u64) -> Duration {
    |calls| timed(calls, || work(true))
}

/// Guarded calls on a breaker of their own, with the outcomes that `good` says, from where `begin` has brought it.
pub fn guarded<W: Window + 'static, C: Clock + 'static>(
    breaker: Breaker<W, C>,
    stretch: u64,
    begin: impl Fn(&Breaker<W, C>) + 'static,
    mut good: impl FnMut() -> bool + 'static,
) -> impl FnMut(u64) -> Duration {
    let breaker = Box::new(Padded(breaker));
    move |calls| {
        // By a reference the optimiser knows nothing about, as from another module.
        let breaker = &black_box(&*breaker).0;
        let still_closed = || assert_eq!(breaker.state(), State::Closed, "a rejection is no guarded call");
        let begin = || {
            still_closed();
            begin(breaker);
        };
        let time = time_in_stretches(calls, stretch, begin, || by_permit(breaker, good()));
        still_closed();
        time
    }
}

/// So many threads, all on `target`. `body` makes so many calls.
pub fn together<T: Sync>(threads: usize, target: T, body: impl Fn(&T, u64) + Sync) -> impl FnMut(u64) -> Duration {
    let target = Box::new(Padded(target));
    move |calls| {
        let target = &black_box(&*target).0;
        time_together(threads, calls, |_, calls| body(target, calls))
    }
}

/// A body for [`together`]: guarded calls with the outcomes that `good` says, for each thread from the start.
pub fn each<W: Window, C: Clock, G: FnMut() -> bool>(
    outcomes: impl Fn() -> G + Sync,
) -> impl Fn(&Breaker<W, C>, u64) + Sync {
    move |breaker, calls| {
        let mut good = outcomes();
        for _ in 0..calls {
            let _ = black_box(by_permit(breaker, good()));
        }
    }
}

pub fn always() -> impl FnMut() -> bool {
    || true
}

pub fn one_in_ten_fails() -> impl FnMut() -> bool {
    let mut outcomes = OneInTen::default();
    move || outcomes.next()
}

pub fn nine_in_ten_fail() -> impl FnMut() -> bool {
    let mut outcomes = OneInTen::default();
    move || !outcomes.next()
}

/// Says yes to so many of a thousand, as evenly as they can be spread.
pub fn spread(permille: u32) -> impl FnMut() -> bool {
    let mut due = 0;
    move || {
        due += permille;
        let yes = due >= 1000;
        due -= if yes { 1000 } else { 0 };
        yes
    }
}

/// The shortest buckets there are, in ticks of the clocks that are used here.
const BUCKET: u32 = 64;

/// The last so many buckets of a time window, on the share of failures; 100 % trips, so nothing here does.
pub fn time_config(buckets: u8) -> Config {
    Config::time(buckets, ManualClock::RATE.duration_of(BUCKET)).failure_permille(1000)
}

/// As cheap to read as [`CoarseClock`](microbreaker::CoarseClock), but it stands still while there is measured. So all
/// buckets of a time window can be in use, as they are in earnest, without waiting for each.
#[derive(Clone, Copy)]
pub struct Hand;

static HAND: ManualClock = ManualClock::new();

impl Clock for Hand {
    const RATE: microbreaker::TickRate = ManualClock::RATE;

    #[inline(always)]
    fn now(&self) -> Ticks {
        HAND.now()
    }
}

/// Calls in each of the last so many buckets, one in ten of them a failure.
pub fn all_buckets_used<W: Window>(breaker: &Breaker<W, Hand>, buckets: u8) {
    breaker.reset();
    let mut good = one_in_ten_fails();
    for _ in 0..buckets {
        HAND.advance_ticks(BUCKET);
        for _ in 0..20 {
            let _ = by_permit(breaker, good());
        }
    }
}
