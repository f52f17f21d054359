//! Where a tag comes round: the documented bounds (see "Bounds" in the crate's documentation), from both sides, as far as
//! a caller can be stopped at the place in question: at a reading of its clock.

use std::cell::{Cell, RefCell};
use std::mem;
use std::time::Duration;

use microbreaker::{
    Breaker, Clock, Config, Effect, ManualClock, OpenReason, State, Streak, TickRate, Ticks, TimeWindow,
};

thread_local! {
    static NOW: Cell<u32> = const { Cell::new(0) };
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A clock at whose next reading something else happens first.
struct Interrupted;

impl Clock for Interrupted {
    const RATE: TickRate = TickRate::new(1024, 1);
    const SLACK: u32 = 0;

    fn now(&self) -> Ticks {
        let meanwhile = MEANWHILE.take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        Ticks::new(NOW.get())
    }
}

fn meanwhile(something: impl FnOnce() + 'static) {
    MEANWHILE.set(Some(Box::new(something)));
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_permit_counts_again_after_exactly_a_wrap_of_generations() {
    for transitions in [(1 << 20) - 1, 1 << 20, (1 << 20) + 1] {
        let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(2), ManualClock::new());
        let permit = breaker.acquire().unwrap();
        for _ in 0..transitions {
            breaker.reset();
        }
        let expected = if transitions == 1 << 20 { Effect::Counted } else { Effect::Stale };
        assert_eq!(permit.failure(), expected, "{transitions}");
    }
}

#[test]
fn a_bucket_takes_a_stale_success_after_exactly_128_transitions_between_two_of_its_looks() {
    for transitions in [1, 2, 63, 64, 100, 127, 128, 129, 192, 255, 256, 257, 512] {
        let breaker: &'static Breaker<TimeWindow<4>, _> =
            Box::leak(Box::new(Breaker::new(Config::time(4, SECOND).minimum(1), Interrupted)));
        breaker.acquire().unwrap().success();
        let permit = breaker.acquire().unwrap();
        meanwhile(move || {
            for _ in 0..transitions {
                breaker.reset();
            }
            breaker.acquire().unwrap().success();
        });
        let (expected, total) = if transitions % 128 == 0 { (Effect::Counted, 2) } else { (Effect::Stale, 1) };
        assert_eq!(permit.success(), expected, "{transitions}");
        assert_eq!(breaker.tally().total, total, "{transitions}");
    }
}

#[test]
fn a_fresh_probe_is_written_off_after_exactly_16_others_within_one_look_at_the_lease() {
    for admissions in [1, 2, 8, 15, 16, 17, 31, 32, 33] {
        NOW.set(0);
        let config = Config::streak(1).probes(2).at_once(1).open_for(SECOND).lease(SECOND);
        let breaker: &'static Breaker<Streak, _> = Box::leak(Box::new(Breaker::new(config, Interrupted)));
        breaker.trip(OpenReason::Manual, SECOND);
        NOW.set(1024);
        let lost = breaker.acquire().unwrap();
        assert!(lost.is_probe());
        // The lease is over, and a caller finds it so; meanwhile probes come and go, and the last of them stays out.
        NOW.set(4096);
        meanwhile(move || {
            lost.ignore();
            for _ in 1..admissions {
                breaker.acquire().unwrap().ignore();
            }
            mem::forget(breaker.acquire().unwrap());
        });
        let rejected = breaker.acquire().unwrap_err();
        if admissions % 16 == 0 {
            assert_eq!(breaker.state(), State::Open, "{admissions}: written off, it is a failure");
        } else {
            assert_eq!(breaker.state(), State::HalfOpen, "{admissions}");
            assert_eq!(rejected.retry_in_ticks(), Some(1024), "{admissions}: a lease of its own");
        }
    }
}
