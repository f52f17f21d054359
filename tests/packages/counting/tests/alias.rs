//! The documented bounds at which a tag comes round (`microbreaker::bounds`), from both sides. A caller is stopped
//! before each of its accesses in turn, while others make a number of transitions. An old word may be mistaken for a
//! present one only at a bound, and there it must happen at some access.

use core::time::Duration;
use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use microbreaker::counted::interrupted;
use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, FailureKind, ManualClock, Outcome, ProbeRule, State, Streak,
    TimeWindow, Window, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

type Shared<W> = Rc<Breaker<W, ManualClock>>;

fn shared<W: Window>(config: Config) -> Shared<W> {
    Rc::new(Breaker::new(config, ManualClock::new()))
}

/// Those of the `tried` numbers that show an old word. `scenario` gets an access to stop before and a number, and tells
/// whether something of an older generation was seen; `None` if its caller makes fewer accesses.
fn shows(tried: impl IntoIterator<Item = u32>, scenario: impl Fn(u32, u32) -> Option<bool>) -> Vec<u32> {
    let is_seen = |&number: &u32| {
        let accesses: Vec<bool> = (0..).map_while(|access| scenario(access, number)).collect();
        assert!(accesses.len() > 2, "a caller makes some accesses");
        accesses.contains(&true)
    };
    tried.into_iter().filter(is_seen).collect()
}

fn reset<W: Window>(breaker: &Shared<W>, times: u32) {
    (0..times).for_each(|_| breaker.reset());
}

/// Trips the circuit by a failure, for a second.
fn trip<W: Window>(breaker: &Shared<W>) {
    breaker.acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
}

/// A whole outage: three transitions that leave a probes word with one success.
fn outage(breaker: &Shared<Streak>) {
    trip(breaker);
    breaker.clock().advance(SECOND);
    breaker.acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

/// Whether the next open time, some ticks later, is as long as configured, from its own beginning.
fn opens_for_its_own_time(breaker: &Shared<Streak>) -> bool {
    if breaker.state() == State::Open {
        breaker.reset();
    }
    breaker.clock().advance_ticks(500);
    trip(breaker);
    breaker.retry_in() == Some(SECOND)
}

fn one_strike() -> Config {
    Config::streak(1).open_for(SECOND).jitter(false)
}

#[test]
fn a_permit_counts_again_after_2_to_the_20_transitions() {
    let counted = |transitions: &u32| {
        let breaker = shared::<Streak>(Config::streak(2));
        let permit = breaker.acquire().unwrap();
        reset(&breaker, *transitions);
        permit.failure() == Effect::Counted
    };
    let seen: Vec<u32> = [1 << 8, (1 << 20) - 1, 1 << 20, (1 << 20) + 1].into_iter().filter(counted).collect();
    assert_eq!(seen, [1 << 20]);
}

#[test]
fn a_streak_takes_a_stale_failure_after_2_to_the_20_transitions() {
    let seen = shows([1 << 8, (1 << 20) - 1, 1 << 20, (1 << 20) + 1], |access, transitions| {
        let breaker = shared::<Streak>(Config::streak(2));
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        interrupted(access, move || reset(&other, transitions), || permit.failure())?;
        Some(breaker.tally().total != 0)
    });
    assert_eq!(seen, [1 << 20]);
}

/// Each transition retags the streak's word, whether or not there are outcomes.
#[test]
fn a_streak_that_is_not_needed_for_2_to_the_20_transitions_stays_empty() {
    let breaker = shared::<Streak>(Config::streak(2));
    breaker.acquire().unwrap().failure();
    reset(&breaker, 1 << 20);
    assert_eq!(breaker.tally().total, 0);
}

/// The words are the same two transitions before the stopped one and two transitions before the one it is mistaken for.
/// A length is stored XORed with its whole generation, so the lengths are chosen to differ in the bits above the tag in
/// which the generations differ: each length is twice the one before.
#[test]
fn an_open_time_takes_the_length_of_one_256_transitions_before() {
    let seen = shows(4..600, |access, distance| {
        let breaker = shared::<Streak>(one_strike());
        let long = ManualClock::RATE.duration_of(300_000);
        breaker.hold(long);
        breaker.reset();
        let other = Rc::clone(&breaker);
        let meanwhile = move || {
            reset(&other, distance - 3);
            other.hold(long * (1 << (distance / 256)));
            other.reset();
        };
        interrupted(access, meanwhile, || breaker.hold(100 * SECOND))?;
        Some(!opens_for_its_own_time(&breaker))
    });
    assert_eq!(seen, [256, 512]);
}

#[test]
fn an_open_time_begins_as_one_65536_transitions_before() {
    const WRAP: u32 = 1 << 16;
    let seen = shows([1 << 8, WRAP - 1, WRAP, WRAP + 1], |access, distance| {
        let breaker = shared::<Streak>(one_strike());
        trip(&breaker);
        breaker.reset();
        let other = Rc::clone(&breaker);
        let meanwhile = move || {
            reset(&other, distance - 3);
            // Both halves of the clock are as they were, but for the bits above the tag in which the generations
            // differ.
            other.clock().advance_ticks(WRAP + (distance >> 16));
            trip(&other);
            other.reset();
        };
        let permit = breaker.acquire().unwrap();
        interrupted(access, meanwhile, || permit.failure())?;
        Some(!opens_for_its_own_time(&breaker))
    });
    assert_eq!(seen, [WRAP]);
}

#[test]
fn a_probe_is_admitted_to_a_half_open_state_256_transitions_later() {
    let seen = shows(6..600, |access, distance| {
        let breaker = shared::<Streak>(one_strike());
        outage(&breaker);
        trip(&breaker);
        breaker.clock().advance(SECOND);
        let other = Rc::clone(&breaker);
        let meanwhile = move || {
            reset(&other, distance - 5);
            outage(&other);
            trip(&other);
        };
        let permit = interrupted(access, meanwhile, || breaker.acquire().map(mem::forget).is_ok())?;
        breaker.clock().advance(SECOND);
        // A caller stopped before its first access or after its last has a probe of its own generation, in flight.
        let is_out = permit && breaker.status().probes_in_flight == 1;
        Some(!is_out && breaker.state() == State::Open && breaker.acquire().is_err())
    });
    assert_eq!(seen, [256, 512]);
}

#[test]
fn a_probe_reports_to_a_half_open_state_256_transitions_later() {
    let seen = shows(3..600, |access, distance| {
        let breaker = shared::<Streak>(one_strike());
        trip(&breaker);
        breaker.clock().advance(SECOND);
        let (probe, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        let meanwhile = move || {
            reset(&other, distance - 2);
            trip(&other);
            other.clock().advance(SECOND);
            mem::forget(other.acquire().unwrap());
        };
        interrupted(access, meanwhile, || probe.success())?;
        Some(breaker.status().probes_in_flight != 1)
    });
    assert_eq!(seen, [256, 512]);
}

/// A generation takes a chunk of its own, so 256 laps of three chunks are 768 generations.
#[test]
fn a_count_window_takes_a_stale_failure_after_256_laps() {
    let seen = shows(1..1600, |access, transitions| {
        let breaker = shared::<CountWindow<3>>(Config::count(43));
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        interrupted(access, move || reset(&other, transitions), || permit.failure())?;
        Some(breaker.tally().total != 0)
    });
    assert_eq!(seen, [768, 1536]);
}

/// A success is stopped before an access. Meanwhile there are so many transitions, and then a success of the last
/// generation. Whether the stopped success is counted beside that one.
fn takes_a_stale_success<W: Window + 'static>(breaker: &Shared<W>, access: u32, transitions: u32) -> Option<bool> {
    let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(breaker));
    let meanwhile = move || {
        reset(&other, transitions);
        // Begins the window of the last generation.
        other.acquire().unwrap().success();
    };
    interrupted(access, meanwhile, || permit.success())?;
    Some(breaker.tally().total != 1)
}

/// Not even after 512 transitions, when the tag of the head comes round.
#[test]
fn a_count_window_takes_no_stale_success() {
    let seen = shows([1, 256, 511, 512, 513], |access, transitions| {
        let breaker = shared::<CountWindow<2>>(Config::count(4).minimum(1).failure_permille(1000));
        breaker.acquire().unwrap().success();
        breaker.acquire().unwrap().failure();
        takes_a_stale_success(&breaker, access, transitions)
    });
    assert_eq!(seen, []);
}

/// The number of chunks after which the index of a window of three chunks comes round: 2^15 / 4 laps.
const ROUND: u32 = 3 << 13;

/// A window of the last 43 calls, in three chunks. A failure was stopped at its `access` while `chunks` chunks came and
/// went, in which every other call was a failure. `None` if the failure makes no such access.
fn interrupted_by_chunks(permille: u16, access: u32, chunks: u32) -> Option<Shared<CountWindow<3>>> {
    let breaker = shared::<CountWindow<3>>(Config::count(43).failure_permille(permille));
    let report = |breaker: &Shared<CountWindow<3>>, times: u32| {
        for call in 0..times {
            let permit = breaker.acquire().unwrap();
            if call & 1 == 0 {
                permit.failure()
            } else {
                permit.success()
            };
        }
    };
    report(&breaker, 3 * 21);
    let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
    interrupted(access, move || report(&other, (chunks - 1) * 21 + 1), || permit.failure())?;
    Some(breaker)
}

#[test]
fn a_count_window_is_short_after_its_index_came_round() {
    let seen = shows([512, ROUND - 1, ROUND, ROUND + 1], |access, chunks| {
        Some(interrupted_by_chunks(1000, access, chunks)?.tally().total != 43)
    });
    assert_eq!(count_words(43, false), 3);
    assert_eq!(seen, [ROUND]);
}

/// The outcomes that the chunk is short of are no sign of health: the circuit opens by what the window shows.
#[test]
fn a_short_count_window_opens_by_what_it_shows() {
    let mut short = 0;
    for kind in [FailureKind::Other, FailureKind::Timeout] {
        for breaker in (0..).map_while(|access| interrupted_by_chunks(700, access, ROUND)) {
            short += u32::from(breaker.tally().total != 43);
            while breaker.state() == State::Closed {
                let tally = breaker.tally();
                assert!(tally.total < 43 || tally.failed * 1000 < 700 * tally.total, "{kind:?}: {tally:?}");
                breaker.acquire().unwrap().record(Outcome::Failure(kind));
            }
        }
    }
    assert!(short > 0, "none was short");
}

/// With buckets of 64 ticks the head has six bits for the generation. A bucket's own tag comes round after 128
/// transitions.
#[test]
fn a_time_window_revives_a_bucket_after_64_transitions() {
    let bucket = ManualClock::RATE.duration_of(64);
    let seen = shows(2..128, |access, distance| {
        let breaker = shared::<TimeWindow<2>>(Config::time(2, bucket).minimum(2));
        reset(&breaker, 256);
        breaker.acquire().unwrap().failure();
        reset(&breaker, 128 - distance - 1);
        let other = Rc::clone(&breaker);
        interrupted(access, move || reset(&other, distance - 1), || breaker.reset())?;
        breaker.reset();
        Some(breaker.tally().total != 0)
    });
    assert_eq!(seen, [64]);
}

/// For a thread that clears an old bucket the turn doubles the bound: in between, the bucket was begun twice.
#[test]
fn a_time_window_clears_a_bucket_256_transitions_later() {
    let bucket = ManualClock::RATE.duration_of(1 << 10);
    let seen = shows(1..600, |access, transitions| {
        let breaker = shared::<TimeWindow<2>>(Config::time(2, bucket).minimum(2));
        reset(&breaker, 256);
        breaker.acquire().unwrap().failure();
        reset(&breaker, 127);
        let (other, counted_in) = (Rc::clone(&breaker), Rc::new(Cell::new(0)));
        let generation = Rc::clone(&counted_in);
        let meanwhile = move || {
            for past in 1..=transitions {
                other.reset();
                if past % 128 == 0 || past == transitions {
                    let permit = other.acquire().unwrap();
                    generation.set(permit.generation());
                    permit.failure();
                }
            }
        };
        interrupted(access, meanwhile, || breaker.reset())?;
        Some(breaker.status().generation == counted_in.get() && breaker.tally().total != 1)
    });
    assert_eq!(seen, [256, 512]);
}

#[test]
fn a_bucket_takes_a_stale_success_after_128_transitions() {
    let seen = shows(1..600, |access, transitions| {
        let breaker = shared::<TimeWindow<4>>(Config::time(4, SECOND).minimum(1));
        breaker.acquire().unwrap().success();
        takes_a_stale_success(&breaker, access, transitions)
    });
    assert_eq!(seen, [128, 256, 384, 512]);
}

#[test]
fn a_fresh_probe_is_written_off_after_16_others_within_one_look_at_the_lease() {
    let seen = shows(1..50, |access, admissions| {
        let breaker = shared::<Streak>(one_strike().probes(2).at_once(1).lease(SECOND));
        trip(&breaker);
        breaker.clock().advance(SECOND);
        let (lost, other) = (Breaker::acquire_in(Rc::clone(&breaker)).unwrap(), Rc::clone(&breaker));
        // The lease is over, and a caller sees that. Meanwhile probes come and go, and the last of them stays in
        // flight.
        breaker.clock().advance(2 * SECOND);
        let in_time = Rc::new(Cell::new(false));
        let given_back = Rc::clone(&in_time);
        let meanwhile = move || {
            given_back.set(lost.ignore() == Effect::Neutral);
            for _ in 1..admissions {
                drop(other.acquire());
            }
            mem::forget(other.acquire());
        };
        interrupted(access, meanwhile, || breaker.acquire().is_ok())?;
        Some(in_time.get() && breaker.state() == State::Open)
    });
    assert_eq!(seen, [16, 32, 48]);
}

/// Not even after 256 transitions, because the words differ.
#[test]
fn a_ramping_caller_is_never_counted_among_later_probes() {
    let seen = shows(3..600, |access, transitions| {
        let one_strike = Config::count(4).minimum(1).open_for(SECOND).jitter(false);
        let by_rates = one_strike.probe_rule(ProbeRule::Rates).slow_permille(500).slow_after(1000 * SECOND);
        let breaker = shared::<CountWindow<2>>(by_rates.ramp(100 * SECOND));
        trip(&breaker);
        breaker.clock().advance(SECOND);
        breaker.acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Ramping);
        let (other, probe) = (Rc::clone(&breaker), Rc::new(Cell::new(None)));
        let out = Rc::clone(&probe);
        let meanwhile = move || {
            reset(&other, transitions - 2);
            trip(&other);
            other.clock().advance(SECOND);
            out.set(Breaker::acquire_in(Rc::clone(&other)).ok());
        };
        interrupted(access, meanwhile, || breaker.acquire().map(mem::forget).is_ok())?;
        Some(probe.take().unwrap().success() != Effect::Ramping)
    });
    assert_eq!(seen, []);
}
