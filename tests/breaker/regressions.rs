//! Bugs that were found. Each test is the sequence that showed the bug.

use std::cell::Cell;
use std::time::Duration;

use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, LiveWindow, ManualClock, Mode, OpenReason, ProbeRule, State, Streak,
    TickRate, Ticks, TimeWindow, Tripped,
};

/// A clock that jumps once, at a chosen reading, as if the thread had slept between two of its steps.
struct Jumping {
    now: Cell<u32>,
    readings: Cell<u32>,
    at: u32,
    by: u32,
}

impl Clock for Jumping {
    const RATE: TickRate = TickRate::new(1024, 1);
    const SLACK: u32 = 0;

    fn now(&self) -> Ticks {
        self.readings.set(self.readings.get() + 1);
        if self.readings.get() == self.at {
            self.now.set(self.now.get().wrapping_add(self.by));
        }
        Ticks::new(self.now.get())
    }
}

/// The beginning of a period is decided in two halves. A thread that slept between them once put the beginning into the
/// future, and the period was over at once.
#[test]
fn a_sleep_while_a_period_is_decided_never_ends_it_early() {
    const HOUR: u32 = 3600 * 1024;
    for seconds in [1, 47, 48, 49, 50, 60, 63, 64, 65, 115, 3000] {
        for at in 1..=3 {
            let by = seconds * 1024;
            let clock = Jumping { now: Cell::new(5_000_000), readings: Cell::new(0), at, by };
            let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), clock);
            assert_eq!(breaker.hold(Duration::from_secs(3600)), Effect::Opened(OpenReason::Hold));
            let rest = breaker.acquire().unwrap_err().retry_in_ticks().unwrap();
            // The period counts from the first half, or from a moment later by at most the time that the thread slept.
            assert!(rest <= HOUR && rest >= HOUR - by, "{seconds} s before reading {at}: {rest}");
        }
    }
}

/// If only the share of slow calls is judged, lost probes once counted as neither failed nor slow, and closed the
/// circuit.
#[test]
fn lost_probes_never_close_whatever_share_is_judged() {
    let config = Config::count(4)
        .minimum(3)
        .ignore_failure_share()
        .slow_permille(500)
        .slow_after(Duration::from_secs(1))
        .probe_rule(ProbeRule::Rates)
        .probes(3)
        .lease(Duration::from_secs(8));
    let breaker: Breaker<CountWindow<3>, _> = Breaker::new(config, ManualClock::new());
    breaker.trip(OpenReason::Manual, Duration::from_secs(1));
    breaker.clock().advance(Duration::from_secs(1));
    for _ in 0..3 {
        std::mem::forget(breaker.acquire().unwrap());
    }
    breaker.clock().advance(Duration::from_secs(8));
    assert!(breaker.acquire().is_err());
    assert_eq!(breaker.state(), State::Open);
}

/// A trip by hand may name failures as its reason. It still lasts for the time it was given.
#[test]
fn a_trip_takes_the_time_it_was_given_whatever_its_reason() {
    for reason in OpenReason::ALL {
        let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1).jitter(false), ManualClock::new());
        assert!(matches!(breaker.trip(reason, Duration::from_secs(1)), Tripped::Opened(_)));
        assert_eq!(breaker.retry_in(), Some(Duration::from_secs(1)));
        assert_eq!(breaker.status().reason, Some(reason));
    }
}

/// A probe that is so many generations old does not belong to the present half-open state. Eight bits of a generation, and
/// later nine, once were all that told two half-open states apart.
#[test]
fn a_probe_of_a_generation_with_the_same_tag_is_stale() {
    for apart in [255_u32, 256, 257, 511, 512, 513, 4096, (1 << 15) - 1, 1 << 15, (1 << 16) - 1] {
        let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1).jitter(false), ManualClock::new());
        let half_open = || {
            breaker.trip(OpenReason::Manual, Duration::from_secs(1));
            breaker.clock().advance(Duration::from_secs(1));
            breaker.acquire().unwrap()
        };
        let old = half_open();
        let begun = breaker.status().generation;
        // A reset is two generations further, and so are a trip and a probe together. Each trip is one.
        if apart % 2 == 1 {
            breaker.trip(OpenReason::Manual, Duration::from_secs(1));
        }
        while breaker.status().generation < begun + apart - 2 {
            breaker.reset();
        }
        let new = half_open();
        assert_eq!(breaker.status().generation, (begun + apart) % (1 << 16));
        assert_eq!(old.success(), Effect::Stale);
        assert_eq!(new.success(), Effect::Closed);
    }
}

/// In a half-open circuit, the word that counts a run beside the one that decides counts probes. For a pair with a streak,
/// these once were shown as a run of failures.
#[test]
fn probes_in_flight_are_no_run_of_failures() {
    let config = Config::time(4, Duration::from_secs(1)).and_streak(3).probes(5).jitter(false);
    let breaker: Breaker<(Streak, TimeWindow<4>), _> = Breaker::new(config, ManualClock::new());
    breaker.trip(OpenReason::Manual, Duration::from_secs(1));
    breaker.clock().advance(Duration::from_secs(1));
    let probes = [(); 3].map(|()| breaker.acquire().unwrap());
    assert_eq!((breaker.status().probes_in_flight, breaker.tally().total), (3, 0));
    assert_eq!(probes.map(microbreaker::Permit::success), [Effect::Counted; 3]);
    assert_eq!((breaker.state(), breaker.tally().total), (State::HalfOpen, 0));
}

/// The ticks wrap in the middle of a window whose ring has its largest size.
#[test]
fn a_long_time_window_goes_on_across_the_wrap() {
    let config = Config::time(64, Duration::from_secs(16_384)).minimum(20);
    let clock = ManualClock::at(Ticks::new(0_u32.wrapping_sub(1024)));
    let breaker: Breaker<TimeWindow<64>, _> = Breaker::new(config, &clock);
    for _ in 0..15 {
        breaker.acquire().unwrap().failure();
    }
    clock.advance_ticks(2048);
    for _ in 0..4 {
        assert_eq!(breaker.acquire().unwrap().failure(), Effect::Counted);
    }
    assert_eq!(breaker.acquire().unwrap().failure(), Effect::Opened(OpenReason::Failures));
}

/// In shadow, opens the circuit for a second, and lets it recover by a probe after so many that failed. Each open time is a
/// second.
fn recover_after<W: LiveWindow>(failed_probes: u8, breaker: &Breaker<W, ManualClock>) {
    let second = Duration::from_secs(1);
    breaker.switch(Mode::Shadow);
    breaker.trip(OpenReason::Manual, second);
    for probe in 0..=failed_probes {
        breaker.clock().advance(second);
        let permit = breaker.acquire().unwrap();
        if probe < failed_probes {
            permit.failure()
        } else {
            permit.success()
        };
    }
}

/// A permit that counts nowhere carries a word that no control word may equal. While ramping after a second attempt,
/// the two once were equal.
#[test]
fn an_uncounted_permit_is_uncounted_while_ramping_after_any_attempt() {
    for failed_probes in 0..6_u8 {
        let second = Duration::from_secs(1);
        let config = Config::time(4, second).open_for(second).jitter(false).backoff_1024ths(1024).ramp(second);
        let breaker: Breaker<TimeWindow<4>, _> = Breaker::new(config.probes(1), ManualClock::new());
        recover_after(failed_probes, &breaker);
        assert_eq!((breaker.state(), breaker.status().attempt), (State::Ramping, failed_probes));
        assert_eq!(breaker.acquire().unwrap().success(), Effect::Counted);
        let rejected_but_for_shadow = breaker.acquire().unwrap();
        assert!(!rejected_but_for_shadow.is_counted());
        assert_eq!(rejected_but_for_shadow.success(), Effect::Uncounted);
        assert_eq!(breaker.tally().total, 1);
    }
}

/// In a pair the run stands beside the word that a quiet permit compares.
#[test]
fn a_success_ends_the_run_of_a_streak_in_a_pair_though_the_circuit_is_quiet() {
    let config = Config::time(4, Duration::from_secs(1)).minimum(1).failure_permille(1000).and_streak(3);
    let breaker: Breaker<(Streak, TimeWindow<4>), _> = Breaker::new(config, ManualClock::new());
    breaker.acquire().unwrap().success();
    for _ in 0..3 {
        breaker.acquire().unwrap().failure();
        breaker.acquire().unwrap().failure();
        assert_eq!((breaker.state(), breaker.tally().failed), (State::Closed, 2));
        breaker.acquire().unwrap().success();
        assert_eq!(breaker.tally().failed, 0);
    }
}

/// The word of a permit that does not count is no word of the circuit, however many failures the circuit has counted.
#[test]
fn an_uncounted_permit_is_uncounted_after_any_run_of_failures() {
    let second = Duration::from_secs(1);
    let config = Config::streak(9).open_for(second).jitter(false).ramp(second);
    let breaker: Breaker<Streak, _> = Breaker::new(config, ManualClock::new());
    breaker.switch(Mode::Shadow);
    breaker.trip(OpenReason::Manual, second);
    breaker.clock().advance(second);
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().ignore();
    let uncounted: Vec<_> = (0..8).map(|_| breaker.acquire().unwrap()).collect();
    // The ramp ends, and the generation goes on.
    breaker.clock().advance(second);
    for permit in uncounted {
        breaker.acquire().unwrap().failure();
        assert_eq!((breaker.state(), permit.is_counted()), (State::Closed, false));
        assert_eq!(permit.success(), Effect::Uncounted);
    }
}

/// Nor after any number of failed probes, which a closed circuit remembers in the bits that say of which kind a permit is.
#[test]
fn an_uncounted_permit_is_uncounted_after_any_number_of_failed_probes() {
    let second = Duration::from_secs(1);
    for failed_probes in 0..20_u8 {
        let config = Config::streak(9).open_for(second).jitter(false).backoff_1024ths(1024).ramp(second).probes(1);
        let breaker: Breaker<Streak, _> = Breaker::new(config.stable_after(60 * second), ManualClock::new());
        recover_after(failed_probes, &breaker);
        breaker.acquire().unwrap().ignore();
        let uncounted = breaker.acquire().unwrap();
        // The ramp ends, and the generation goes on.
        breaker.clock().advance(second);
        breaker.acquire().unwrap().ignore();
        let status = breaker.status();
        assert_eq!((status.state, status.attempt, uncounted.is_counted()), (State::Closed, failed_probes, false));
        assert_eq!(uncounted.success(), Effect::Uncounted);
    }
}

/// A clock that is set by hand and rounds down.
struct Rounding(Cell<u32>);

impl Clock for Rounding {
    const RATE: TickRate = TickRate::new(1024, 1);

    fn now(&self) -> Ticks {
        Ticks::new(self.0.get())
    }
}

/// If a circuit opened at the very end of a tick and was asked at the very beginning of another, it would be open for
/// up to a tick less than it should.
#[test]
fn an_open_time_is_lengthened_by_what_rounding_may_lose() {
    let config = Config::streak(1).open_for(TickRate::new(1024, 1).duration_of(100)).jitter(false);
    // One bit of a deadline is its parity, so the time is longer by one tick more in every other case.
    for (begun, longer) in [(7, 2), (8, 1)] {
        let breaker: Breaker<Streak, _> = Breaker::new(config, Rounding(Cell::new(begun)));
        breaker.acquire().unwrap().failure();
        breaker.clock().0.set(begun + 100);
        assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(longer));
        breaker.clock().0.set(begun + 100 + longer);
        assert!(breaker.acquire().unwrap().is_probe());
    }
}

/// Two cores may read the clock in one order and report in the other. The later report must use the bucket that has
/// already begun, not the one before it.
#[test]
fn a_clock_slightly_behind_uses_the_bucket_that_has_begun() {
    let config = Config::time(1, TickRate::new(1024, 1).duration_of(64)).minimum(100);
    let breaker: Breaker<TimeWindow<2>, _> = Breaker::new(config, Rounding(Cell::new(64)));
    breaker.acquire().unwrap().failure();
    breaker.clock().0.set(63);
    breaker.acquire().unwrap().failure();
    assert_eq!(breaker.tally().total, 2);
    breaker.clock().0.set(64);
    assert_eq!(breaker.tally().total, 2);
    breaker.clock().0.set(128);
    assert_eq!(breaker.tally().total, 0);
}

/// A hold of 0 seconds still opens the circuit, and a probe is due at the next tick.
#[test]
fn a_hold_of_no_time_lasts_a_tick() {
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    assert_eq!(breaker.hold(Duration::ZERO), Effect::Opened(OpenReason::Hold));
    assert_eq!(breaker.acquire().unwrap_err().retry_in_ticks(), Some(1));
    breaker.clock().advance_ticks(1);
    assert!(breaker.acquire().unwrap().is_probe());
}

/// A clock that may show up to three ticks more than have really passed.
struct Lagging(ManualClock);

impl Clock for Lagging {
    const RATE: TickRate = TickRate::new(1024, 1);
    const SLACK: u32 = 3;

    fn now(&self) -> Ticks {
        self.0.now()
    }
}

/// Each period is lengthened by the clock's slack. The lease, the ramp and the slow limit once were not.
#[test]
fn no_period_is_shorter_by_what_its_clock_may_lag() {
    let ticks = |ticks| ManualClock::RATE.duration_of(ticks);
    let config = Config::streak(1).open_for(ticks(100)).jitter(false).lease(ticks(50)).ramp(ticks(16));
    let breaker: Breaker<Streak, _> =
        Breaker::new(config.slow_after(ticks(10)).hold_at_most(ticks(1000)), Lagging(ManualClock::new()));
    let pass = |ticks| breaker.clock().0.advance_ticks(ticks);
    let rest = |breaker: &Breaker<Streak, Lagging>| breaker.acquire().unwrap_err().retry_in_ticks();

    breaker.acquire().unwrap().failure();
    assert_eq!(rest(&breaker), Some(103), "an open time");
    pass(50);
    breaker.hold(ticks(5000));
    assert_eq!(rest(&breaker), Some(1004), "a hold, cut to the longest; and a tick for the parity of its deadline");
    pass(50);
    breaker.trip(OpenReason::Manual, ticks(200));
    assert_eq!(rest(&breaker), Some(203), "a trip for a time");
    pass(202);
    assert_eq!(rest(&breaker), Some(1));
    pass(1);

    let lost = breaker.acquire().unwrap();
    assert!(lost.is_probe());
    assert_eq!((rest(&breaker), breaker.status().retry_in), (Some(53), Some(ticks(53))), "a lease");
    lost.alive();
    assert_eq!(breaker.state(), State::Ramping);
    pass(19);
    drop(breaker.acquire());
    assert_eq!(breaker.state(), State::Ramping, "a ramp, and a tick for the parity of its deadline");
    pass(1);
    drop(breaker.acquire());
    assert_eq!(breaker.state(), State::Closed);

    let (quick, slow) = (breaker.acquire().unwrap(), breaker.acquire().unwrap());
    pass(12);
    assert_eq!(quick.success(), Effect::Counted, "the limit is not exceeded, given the clock's slack");
    pass(1);
    assert_eq!(slow.success(), Effect::Opened(OpenReason::Slow));
}
