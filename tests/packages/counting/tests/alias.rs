//! The documented bounds at which a tag comes round (`microbreaker::bounds`), from both sides. A caller is stopped
//! before each of its accesses in turn, while others make a number of moves. An old word may be mistaken for a present
//! one only at a bound, and there it must happen at some access.

use core::time::Duration;
use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use microbreaker::counted::interrupted;
use microbreaker::{
    Breaker, Clock, Config, CountWindow, Effect, FailureKind, Fixed, LiveWindow, ManualClock, OpenReason, Outcome,
    Policy, State, Streak, TickRate, Ticks, TimeWindow, Window, count_words,
};

const SECOND: Duration = Duration::from_secs(1);

type Shared<W> = Rc<Breaker<W, ManualClock>>;

fn shared<W: LiveWindow>(config: Config) -> Shared<W> {
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

/// Each is two generations.
fn reset<W: Window>(breaker: &Shared<W>, times: u32) {
    (0..times).for_each(|_| breaker.reset());
}

/// Lets exactly so many generations pass, and leaves the circuit closed. It was closed before, and there are two or more.
fn pass<W: Window>(breaker: &Shared<W>, generations: u32) {
    if generations % 2 == 1 {
        breaker.trip(OpenReason::Manual, SECOND);
    }
    reset(breaker, generations / 2);
    assert_eq!(breaker.state(), State::Closed);
}

/// Trips the circuit by a failure, for a second.
fn trip<W: Window>(breaker: &Shared<W>) {
    breaker.acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
}

const fn one_strike() -> Config {
    Config::streak(1).open_for(SECOND).jitter(false)
}

/// The generations after which a generation comes round, and those beside it.
const ROUND_A_GENERATION: [u32; 6] = [1 << 8, (1 << 16) - 2, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, (1 << 16) + 2];

struct Two;

impl Policy for Two {
    const CONFIG: Config = Config::streak(2);
}

#[test]
fn a_permit_counts_again_after_2_to_the_16_generations() {
    fn seen<W: Window>(make: impl Fn() -> Shared<W>) -> Vec<u32> {
        let counted = |generations: &u32| {
            let breaker = make();
            let permit = breaker.acquire().unwrap();
            pass(&breaker, *generations);
            permit.failure() == Effect::Counted
        };
        ROUND_A_GENERATION.into_iter().filter(counted).collect()
    }
    assert_eq!(seen(|| shared::<Streak>(Config::streak(2))), [1 << 16]);
    assert_eq!(seen(|| Rc::new(Breaker::<Fixed<Streak, Two>, _>::fixed(ManualClock::new()))), [1 << 16]);
    assert_eq!(seen(|| shared::<(Streak, CountWindow<3>)>(Config::count(4).and_streak(2))), [1 << 16]);
    assert_eq!(seen(|| shared::<CountWindow<3>>(Config::count(4))), [1 << 16]);
    assert_eq!(seen(|| shared::<TimeWindow<2>>(Config::time(2, SECOND))), [1 << 16]);
}

/// The run stands in the word that decides, or in the counts beside it.
#[test]
fn a_streak_takes_a_stale_failure_after_2_to_the_16_generations() {
    fn seen<W: LiveWindow + 'static>(config: Config) -> Vec<u32> {
        shows(ROUND_A_GENERATION, |access, generations| {
            let breaker = shared::<W>(config);
            let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
            interrupted(access, move || pass(&other, generations), || permit.failure())?;
            Some(breaker.tally().total != 0)
        })
    }
    assert_eq!(seen::<Streak>(Config::streak(2)), [1 << 16]);
    assert_eq!(seen::<(Streak, CountWindow<3>)>(Config::count(4).and_streak(2)), [1 << 16]);
    assert_eq!(seen::<Streak>(Config::streak(300)), [1 << 16], "too long for the word that decides");
}

/// Counts that are not needed get a new tag in time.
#[test]
fn a_run_in_the_counts_that_is_not_needed_for_2_to_the_16_generations_is_empty() {
    let breaker = shared::<(Streak, CountWindow<3>)>(Config::count(4).and_streak(2));
    breaker.acquire().unwrap().failure();
    pass(&breaker, 1 << 16);
    assert_eq!(breaker.tally().total, 0);
}

/// As above, for counts that moves leave alone until their tag is old.
#[test]
fn results_of_probes_that_are_not_needed_for_2_to_the_16_generations_are_gone() {
    let breaker = shared::<Streak>(one_strike().probes(2));
    let probe = || {
        trip(&breaker);
        breaker.clock().advance(SECOND);
        breaker.acquire().unwrap()
    };
    probe().success();
    let (generation, closed) = (breaker.status().generation, breaker.status().generation + 2);
    assert_eq!(breaker.tally().total, 0);
    breaker.reset();
    assert_eq!(breaker.status().generation, closed);
    // Two more generations until half-open.
    pass(&breaker, (1 << 16) - 4);
    let again = probe();
    assert_eq!(breaker.status().generation, generation, "it came round");
    // The one success of long ago does not count: two are needed.
    assert_eq!(again.success(), Effect::Counted);
    assert_eq!(breaker.state(), State::HalfOpen);
}

/// A caller looks at a half-open state in which no probe was admitted, and is stopped before it is. In the half-open state that it
/// finds when it goes on, 32 were, and the last of them has the only slot.
#[test]
fn a_probe_is_admitted_to_a_half_open_state_2_to_the_16_generations_later() {
    let seen = shows([1 << 8, (1 << 16) - 2, 1 << 16, (1 << 16) + 2], |access, distance| {
        let breaker = shared::<Streak>(one_strike().probes(2).successes(1).at_once(1));
        trip(&breaker);
        assert!(breaker.half_open());
        let (other, is_late) = (Rc::clone(&breaker), Rc::new(Cell::new(true)));
        let late = Rc::clone(&is_late);
        let meanwhile = move || {
            late.set(other.status().probes_in_flight == 0);
            // If the caller has begun its lease, the generation after this one is one further.
            let before = other.status().generation;
            other.reset();
            let passed = other.status().generation.wrapping_sub(before) & 0xFFFF;
            // A trip takes one generation, and a move by hand to half-open two.
            pass(&other, distance - passed - 3);
            trip(&other);
            assert!(other.half_open());
            for _ in 1..32 {
                drop(other.acquire().unwrap());
            }
            mem::forget(other.acquire().unwrap());
        };
        let admitted = interrupted(access, meanwhile, || breaker.acquire().map(mem::forget).is_ok())?;
        Some(admitted && is_late.get())
    });
    assert_eq!(seen, [1 << 16]);
}

/// A clock that rounds down, moved by hand.
#[derive(Default)]
struct Rounding(Cell<u32>);

impl Clock for Rounding {
    const RATE: TickRate = ManualClock::RATE;

    fn now(&self) -> Ticks {
        Ticks::new(self.0.get())
    }
}

/// Opens the circuit for a second. Those of the `tried` numbers of ticks after which it rejects.
fn rejects_after<C: Clock>(
    make: impl Fn() -> C,
    advance: impl Fn(&C, u32),
    tried: impl IntoIterator<Item = u32>,
) -> Vec<u32> {
    let rejects = |&ticks: &u32| {
        let breaker: Breaker<Streak, C> = Breaker::new(one_strike().open_at_most(SECOND).lease(SECOND), make());
        breaker.acquire().unwrap().failure();
        advance(breaker.clock(), ticks);
        breaker.acquire().is_err()
    };
    tried.into_iter().filter(rejects).collect()
}

/// The longest that anything lasts is a second and a quarter of jitter. A power of two bounds that and the most slack that a clock
/// may have.
const LONGEST: u32 = (1280_u32 + 1023).next_power_of_two();

/// Before it has come round, a deadline looks present already for the longest time, less the second that it was for.
const ALREADY: u32 = LONGEST - 1024;

/// By a clock that moves in whole ticks, deadlines are exact, and come round after 2^31 ticks.
#[test]
fn a_deadline_comes_round_after_2_to_the_31_ticks_of_a_clock_without_slack() {
    const ROUND: u32 = 1 << 31;
    const BEFORE: u32 = ROUND - ALREADY;
    let tried = [1, 1023, 1024, 1 << 20, BEFORE - 1, BEFORE, ROUND, ROUND + 1023, ROUND + 1024, ROUND + (1 << 20)];
    let seen = rejects_after(ManualClock::new, ManualClock::advance_ticks, tried);
    assert_eq!(seen, [1, 1023, BEFORE, ROUND, ROUND + 1023]);
}

/// The slack is one tick, and the parity may be one more.
#[test]
fn a_deadline_comes_round_after_2_to_the_32_ticks_of_any_other_clock() {
    const BEFORE: u32 = 0_u32.wrapping_sub(ALREADY);
    let tried = [1, 1023, 1024, 1026, 1 << 20, 1 << 31, (1 << 31) + 1023, BEFORE - 1, BEFORE + 2];
    let seen = rejects_after(Rounding::default, |clock, ticks| clock.0.set(clock.0.get().wrapping_add(ticks)), tried);
    assert_eq!(seen, [1, 1023, 1024, BEFORE + 2]);
}

/// A deadline has one bit for its turn. A thread that opened the circuit is stopped before it says until when. Others do,
/// and end that turn and some more. Whether the present open time is as long as it should be.
fn a_deadline_is_overwritten(turns: u32, ticks: u32) -> bool {
    let seen = shows([turns], |access, turns| {
        let breaker = shared::<Streak>(one_strike());
        trip(&breaker);
        breaker.reset();
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        let meanwhile = move || {
            for _ in 0..turns {
                other.clock().advance_ticks(ticks);
                other.reset();
                trip(&other);
            }
        };
        interrupted(access, meanwhile, || permit.failure())?;
        if breaker.state() == State::Closed {
            return Some(false);
        }
        breaker.clock().advance_ticks(500);
        Some(breaker.retry_in_ticks() != Some(1024 - 500))
    });
    seen == [turns]
}

#[test]
fn a_deadline_is_overwritten_if_the_same_tick_is_one_again_an_odd_number_of_turns_later() {
    let seen: Vec<u32> = (1..8).filter(|&turns| a_deadline_is_overwritten(turns, 0)).collect();
    assert_eq!(seen, [1, 3, 5, 7]);
    assert!((1..8).all(|turns| !a_deadline_is_overwritten(turns, 1)), "another tick is another deadline");
}

#[test]
fn the_attempt_stays_at_31() {
    let breaker = shared::<Streak>(one_strike().backoff_1024ths(1024));
    trip(&breaker);
    for failed in 1..70 {
        breaker.clock().advance(SECOND);
        breaker.acquire().unwrap().failure();
        let status = breaker.status();
        assert_eq!((u32::from(status.attempt), status.reason), (failed.min(31), Some(OpenReason::Failures)));
    }
}

/// A run of 255 is the longest that stands in the word that decides.
#[test]
fn a_streak_of_any_length_opens_with_its_last_failure() {
    for failures in [254, 255, 256, 257, 1023] {
        let breaker = shared::<Streak>(Config::streak(failures));
        for failed in 1..=failures {
            assert_eq!((breaker.state(), breaker.tally().failed), (State::Closed, u32::from(failed) - 1));
            breaker.acquire().unwrap().failure();
        }
        assert_eq!(breaker.state(), State::Open, "after {failures}");
    }
}

/// A generation takes a chunk of its own, so 256 laps of three chunks are 768 generations.
#[test]
fn a_count_window_takes_a_stale_failure_after_256_laps() {
    let seen = shows(1..1600, |access, resets| {
        let breaker = shared::<CountWindow<4>>(Config::count(43));
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        interrupted(access, move || reset(&other, resets), || permit.failure())?;
        Some(breaker.tally().total != 0)
    });
    assert_eq!(seen, [768, 1536]);
}

/// A success is stopped before an access. Meanwhile there are so many resets, and then a success of the last
/// generation. Whether the stopped success is counted beside that one.
fn takes_a_stale_success<W: LiveWindow + 'static>(breaker: &Shared<W>, access: u32, resets: u32) -> Option<bool> {
    let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(breaker));
    let meanwhile = move || {
        reset(&other, resets);
        // Begins the window of the last generation.
        other.acquire().unwrap().success();
    };
    interrupted(access, meanwhile, || permit.success())?;
    Some(breaker.tally().total != 1)
}

/// Not even after 512 generations, when the tag of the head comes round.
#[test]
fn a_count_window_takes_no_stale_success() {
    let seen = shows([1, 255, 256, 257, 512], |access, resets| {
        let breaker = shared::<CountWindow<3>>(Config::count(4).minimum(1).failure_permille(1000));
        breaker.acquire().unwrap().success();
        breaker.acquire().unwrap().failure();
        takes_a_stale_success(&breaker, access, resets)
    });
    assert_eq!(seen, []);
}

#[test]
fn a_count_window_of_one_word_takes_a_stale_failure_after_64_resets() {
    let seen = shows(1..600, |access, transitions| {
        let breaker = shared::<CountWindow<1>>(Config::count(24));
        // A word that was never written is like no other.
        breaker.reset();
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        interrupted(access, move || reset(&other, transitions), || permit.failure())?;
        Some(breaker.tally().total != 0)
    });
    assert_eq!(seen, [64, 128, 192, 256, 320, 384, 448, 512, 576]);
}

/// Each transition retags the word, whether or not there are outcomes.
#[test]
fn a_count_window_of_one_word_that_is_not_needed_for_128_transitions_stays_empty() {
    for transitions in 1..600 {
        let breaker = shared::<CountWindow<1>>(Config::count(24));
        breaker.acquire().unwrap().failure();
        reset(&breaker, transitions);
        assert_eq!(breaker.tally().total, 0, "{transitions} transitions");
    }
}

/// The winner of a transition is stopped before it retags the word. Meanwhile there are so many transitions that the
/// word is as it was before that transition.
#[test]
fn a_count_window_of_one_word_is_emptied_as_that_of_64_resets_before() {
    let seen = shows(2..600, |access, distance| {
        let breaker = shared::<CountWindow<1>>(Config::count(24));
        breaker.acquire().unwrap().failure();
        let (other, generation) = (Rc::clone(&breaker), Rc::new(Cell::new(0)));
        let counted_in = Rc::clone(&generation);
        let meanwhile = move || {
            reset(&other, distance - 1);
            let permit = other.acquire().unwrap();
            counted_in.set(permit.generation());
            permit.failure();
        };
        interrupted(access, meanwhile, || breaker.reset())?;
        Some(breaker.status().generation == generation.get() && breaker.tally().total != 1)
    });
    assert_eq!(seen, [64, 128, 192, 256, 320, 384, 448, 512, 576]);
}

/// Not even after 128 transitions, unless the word is then the same bit for bit.
#[test]
fn a_count_window_of_one_word_takes_no_stale_success_unless_the_word_is_the_same() {
    let with_a_failure = || {
        let breaker = shared::<CountWindow<1>>(Config::count(4).minimum(1).failure_permille(1000));
        breaker.acquire().unwrap().success();
        breaker.acquire().unwrap().failure();
        breaker
    };
    let seen = shows(1..600, |access, transitions| takes_a_stale_success(&with_a_failure(), access, transitions));
    assert_eq!(seen, []);
    let seen = shows(1..600, |access, transitions| {
        let breaker = with_a_failure();
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        let meanwhile = move || {
            reset(&other, transitions);
            other.acquire().unwrap().success();
            other.acquire().unwrap().failure();
        };
        interrupted(access, meanwhile, || permit.success())?;
        Some(breaker.tally().total != 2)
    });
    assert_eq!(seen, [64, 128, 192, 256, 320, 384, 448, 512, 576]);
}

/// The number of chunks after which the index of a window of three chunks comes round: 2^15 / 4 laps.
const ROUND: u32 = 3 << 13;

/// A window of the last 43 calls, in three chunks. A failure was stopped at its `access` while `chunks` chunks came and
/// went, in which every other call was a failure. `None` if the failure makes no such access.
fn interrupted_by_chunks(permille: u16, access: u32, chunks: u32) -> Option<Shared<CountWindow<4>>> {
    let breaker = shared::<CountWindow<4>>(Config::count(43).failure_permille(permille));
    let report = |breaker: &Shared<CountWindow<4>>, times: u32| {
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
    assert_eq!(count_words(43, false), 4);
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
/// generations, which are 64 resets.
#[test]
fn a_time_window_revives_a_bucket_after_64_generations() {
    let bucket = ManualClock::RATE.duration_of(64);
    let seen = shows(2..64, |access, resets| {
        let breaker = shared::<TimeWindow<2>>(Config::time(2, bucket).minimum(2));
        reset(&breaker, 128);
        breaker.acquire().unwrap().failure();
        reset(&breaker, 64 - resets - 1);
        let other = Rc::clone(&breaker);
        interrupted(access, move || reset(&other, resets - 1), || breaker.reset())?;
        breaker.reset();
        Some(breaker.tally().total != 0)
    });
    assert_eq!(seen, [64 / 2]);
}

/// For a thread that clears an old bucket the turn doubles the bound: in between, the bucket was begun twice.
#[test]
fn a_time_window_clears_a_bucket_256_generations_later() {
    let bucket = ManualClock::RATE.duration_of(1 << 10);
    let seen = shows(1..300, |access, resets| {
        let breaker = shared::<TimeWindow<2>>(Config::time(2, bucket).minimum(2));
        reset(&breaker, 128);
        breaker.acquire().unwrap().failure();
        reset(&breaker, 63);
        let (other, counted_in) = (Rc::clone(&breaker), Rc::new(Cell::new(0)));
        let generation = Rc::clone(&counted_in);
        let meanwhile = move || {
            for past in 1..=resets {
                other.reset();
                if past % 64 == 0 || past == resets {
                    let permit = other.acquire().unwrap();
                    generation.set(permit.generation());
                    permit.failure();
                }
            }
        };
        interrupted(access, meanwhile, || breaker.reset())?;
        Some(breaker.status().generation == counted_in.get() && breaker.tally().total != 1)
    });
    assert_eq!(seen, [256 / 2, 512 / 2]);
}

#[test]
fn a_bucket_takes_a_stale_success_after_128_generations() {
    let seen = shows(1..300, |access, resets| {
        let breaker = shared::<TimeWindow<4>>(Config::time(4, SECOND).minimum(1));
        breaker.acquire().unwrap().success();
        takes_a_stale_success(&breaker, access, resets)
    });
    assert_eq!(seen, [128 / 2, 256 / 2, 384 / 2, 512 / 2]);
}

/// Nobody counts a failure meanwhile, so the word of the failures is the same bit for bit.
#[test]
fn a_bucket_takes_a_stale_failure_after_64_resets() {
    let seen = shows(1..600, |access, transitions| {
        let config = Config::time(4, SECOND).minimum(1).failure_permille(1000);
        let breaker = shared::<TimeWindow<4>>(config);
        // Half a round of the tags: a word that was never written carries tag 0.
        reset(&breaker, 64);
        breaker.acquire().unwrap().success();
        let (permit, other) = (breaker.acquire().unwrap(), Rc::clone(&breaker));
        let meanwhile = move || {
            reset(&other, transitions);
            other.acquire().unwrap().success();
        };
        interrupted(access, meanwhile, || permit.failure())?;
        Some(breaker.tally().failed != 0)
    });
    assert_eq!(seen, [64, 128, 192, 256, 320, 384, 448, 512, 576]);
}

#[test]
fn a_fresh_probe_is_written_off_after_32_others_within_one_look_at_the_word() {
    let seen = shows(1..70, |access, admissions| {
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
    assert_eq!(seen, [32, 64]);
}
