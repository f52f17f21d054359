//! How the calls of a case are made and timed.

use crate::guarded::{OneInTen, Padded, by_permit, time_in_stretches, time_together, timed, work};
use microbreaker::{Breaker, Clock, Config, LiveWindow, ManualClock, State, Ticks};
use std::hint::black_box;
use std::time::Duration;

/// The floor: the same call without a breaker.
pub fn empty_call() -> impl FnMut(u64) -> Duration {
    |calls| timed(calls, || work(true))
}

/// Guarded calls on a breaker of their own. `begin` prepares the breaker before each stretch; `good` gives the
/// outcomes.
pub fn guarded<W: LiveWindow + 'static, C: Clock + 'static>(
    breaker: Breaker<W, C>,
    stretch: u64,
    begin: impl Fn(&Breaker<W, C>) + 'static,
    mut good: impl FnMut() -> bool + 'static,
) -> impl FnMut(u64) -> Duration {
    let breaker = Box::new(Padded(breaker));
    move |calls| {
        // The optimiser knows nothing about this reference, as if it came from another module.
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

/// Runs `threads` threads, all on `target`. `body` makes as many calls as it is told.
pub fn together<T: Sync>(threads: usize, target: T, body: impl Fn(&T, u64) + Sync) -> impl FnMut(u64) -> Duration {
    let target = Box::new(Padded(target));
    move |calls| {
        let target = &black_box(&*target).0;
        time_together(threads, calls, |_, calls| body(target, calls))
    }
}

/// A body for [`together`]: guarded calls whose outcomes `outcomes` gives, for each thread from the start.
pub fn each<W: LiveWindow, C: Clock, G: FnMut() -> bool>(
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

/// Is true for `permille` of a thousand calls, spread as evenly as possible.
pub fn spread(permille: u32) -> impl FnMut() -> bool {
    let mut due = 0;
    move || {
        due += permille;
        let yes = due >= 1000;
        due -= if yes { 1000 } else { 0 };
        yes
    }
}

/// The shortest bucket that can be configured, in ticks of the clocks here.
const BUCKET: u32 = 64;

/// A time window of `buckets` buckets that trips at 100 % failures, so no case here trips it.
pub fn time_config(buckets: u8) -> Config {
    Config::time(buckets, ManualClock::RATE.duration_of(BUCKET)).failure_permille(1000)
}

/// A clock as cheap to read as [`CoarseClock`](microbreaker::CoarseClock) that stands still while calls are measured.
/// All buckets of a time window can therefore be in use, as they are in a real program, without waiting for each.
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

/// Makes calls in each of the last `buckets` buckets; one call in ten fails.
pub fn all_buckets_used<W: LiveWindow>(breaker: &Breaker<W, Hand>, buckets: u8) {
    breaker.reset();
    let mut good = one_in_ten_fails();
    for _ in 0..buckets {
        HAND.advance_ticks(BUCKET);
        for _ in 0..20 {
            let _ = by_permit(breaker, good());
        }
    }
}
