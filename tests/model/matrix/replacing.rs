//! Who may open a circuit that is open or half-open already: every reason over every other.

use std::time::Duration;

use microbreaker::{Breaker, Clock, Config, Effect, HORIZON, ManualClock, OpenReason, State, Streak, Tripped};

use super::{GIVEN, LONGER, Plant, Row, SECOND, Setup, Told, config};

/// Who replaces whom. A row for each reason of a trip, a column for each reason of the open circuit, and in each cell what a
/// trip does that asks for longer than is left, for as long, for less, and for something although the time is over:
///
/// - `T`: the circuit is open for the time asked, for the new reason;
/// - `L`: it is open for the time left, for the new reason;
/// - `.`: covered, nothing moves.
#[rustfmt::skip]
const WHO_REPLACES_WHOM: [(OpenReason, [&str; 8]); 8] = [
    //                       Failures Slow    Hold    Budget  Dependency Manual Outlier Fleet
    (OpenReason::Failures,   ["T..T", "TTLT", "T..T", "TTTT", "TTTT", "...T", "TTTT", "TTTT"]),
    (OpenReason::Slow,       ["TTLT", "T..T", "T..T", "TTTT", "TTTT", "...T", "TTTT", "TTTT"]),
    (OpenReason::Hold,       ["TTLT", "TTLT", "T..T", "TTTT", "TTTT", "...T", "TTTT", "TTTT"]),
    (OpenReason::Budget,     ["....", "....", "....", "T..T", "....", "....", "....", "...."]),
    (OpenReason::Dependency, ["...T", "...T", "...T", "...T", "T..T", "...T", "...T", "...T"]),
    (OpenReason::Manual,     ["TTTT", "TTTT", "TTTT", "TTTT", "TTTT", "TTTT", "TTTT", "TTTT"]),
    (OpenReason::Outlier,    ["...T", "...T", "...T", "...T", "...T", "...T", "T..T", "...T"]),
    (OpenReason::Fleet,      ["...T", "...T", "...T", "...T", "...T", "...T", "...T", "T..T"]),
];

/// How a circuit is opened for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Trip,
    /// Without a permit.
    Hold,
    /// On a permit from the time before the circuit opened.
    StaleHold,
}

/// Opens for `new` and the time `asked` a circuit that has been open for `old` since `passed`. Returns the letter of the table.
fn replace(new: OpenReason, old: OpenReason, passed: Duration, asked: Duration, by: By) -> char {
    let left = GIVEN.saturating_sub(passed);
    let clock = &ManualClock::new();
    let breaker = Plant::<Streak>::observed(config(Config::streak(1), Setup::Memory, true), clock, Told::default());
    let permit = breaker.acquire().unwrap();
    Row::ClosedAndRemembers.enter(&breaker);
    assert!(matches!(breaker.trip(old, GIVEN), Tripped::Opened(_)));
    breaker.clock().advance(passed);
    let before = breaker.status();
    assert_eq!((before.reason, before.retry_in, before.attempt), (Some(old), Some(left), 1));
    breaker.observer().events.set(0);
    let moved = match by {
        By::Trip => {
            let tripped = breaker.trip(new, asked);
            let generation = breaker.status().generation;
            assert!(
                matches!(tripped, Tripped::Covered(rest) if rest == Some(left))
                    || tripped == Tripped::Opened(generation)
            );
            tripped == Tripped::Opened(generation)
        }
        By::Hold => breaker.hold(asked) == Effect::Opened(new),
        By::StaleHold => permit.hold(asked) == Effect::Opened(new),
    };
    let now = breaker.status();
    if !moved {
        assert_eq!((now, breaker.observer().events.get()), (before, 0));
        return '.';
    }
    assert_eq!((now.state, now.reason, now.attempt), (State::Open, Some(new), 1));
    assert_eq!((now.generation, breaker.observer().events.get()), (before.generation + 1, 1));
    match now.retry_in {
        time if time == Some(asked) => 'T',
        time if time == Some(left) => 'L',
        time => panic!("{new:?} over {old:?}: {time:?}"),
    }
}

#[test]
fn who_replaces_whom_is_as_the_table_says() {
    let mut cells = 0;
    for (new, line) in WHO_REPLACES_WHOM {
        for (old, expected) in OpenReason::ALL.into_iter().zip(line) {
            let by = |by: By| -> String {
                // Five seconds are given, so three are left.
                let (passed, over) = (2 * SECOND, GIVEN + SECOND);
                [(passed, 6), (passed, 3), (passed, 1), (over, 3)]
                    .map(|(passed, asked)| replace(new, old, passed, asked * SECOND, by))
                    .iter()
                    .collect()
            };
            assert_eq!(by(By::Trip), expected, "{new:?} over {old:?}");
            if new == OpenReason::Hold {
                assert_eq!(by(By::Hold), expected, "a hold over {old:?}");
                assert_eq!(by(By::StaleHold), expected, "a hold on a stale permit over {old:?}");
            }
            cells += 4;
        }
    }
    assert_eq!(WHO_REPLACES_WHOM.map(|(new, _)| new), OpenReason::ALL);
    assert_eq!(cells, 8 * 8 * 4);
}

/// A half-open circuit keeps the reason for which it was open. Who may open it again does not depend on that.
#[test]
fn all_but_a_budget_open_a_half_open_circuit_whatever_it_recovers_from() {
    for old in OpenReason::ALL {
        for new in OpenReason::ALL {
            let clock = &ManualClock::new();
            let breaker =
                Plant::<Streak>::observed(config(Config::streak(1), Setup::Plain, true), clock, Told::default());
            assert!(matches!(breaker.trip(old, GIVEN), Tripped::Opened(_)));
            assert!(breaker.half_open());
            let before = breaker.status();
            assert_eq!((before.state, before.reason), (State::HalfOpen, Some(old)));
            let tripped = breaker.trip(new, SECOND);
            let now = breaker.status();
            if new == OpenReason::Budget {
                assert_eq!((tripped, now), (Tripped::Covered(Some(Duration::ZERO)), before));
            } else {
                assert_eq!(tripped, Tripped::Opened(now.generation));
                assert_eq!((now.state, now.reason, now.retry_in), (State::Open, Some(new), Some(SECOND)));
            }
        }
    }
}

/// The longest time of a layer is the horizon, that of the peer and of an operator is a setting. Each time is at least a tick,
/// even over a time that is over.
#[test]
fn times_are_capped_by_whose_they_are() {
    let tick = ManualClock::RATE.duration_of(1);
    let horizon = ManualClock::RATE.duration_of(HORIZON);
    for reason in OpenReason::ALL {
        let clock = &ManualClock::new();
        let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1).hold_at_most(LONGER), clock);
        assert!(matches!(breaker.trip(reason, Duration::MAX), Tripped::Opened(_)));
        assert_eq!(breaker.retry_in(), Some(if reason.is_of_a_layer() { horizon } else { LONGER }), "{reason:?}");
        breaker.reset();
        assert!(matches!(breaker.trip(reason, Duration::ZERO), Tripped::Opened(_)));
        assert_eq!(breaker.retry_in(), Some(tick));
        clock.advance(tick);
        assert!(matches!(breaker.trip(reason, Duration::ZERO), Tripped::Opened(_)), "{reason:?}");
        assert_eq!(breaker.retry_in(), Some(tick));
    }
}

/// Only the generation that a trip returned is released, and only once.
#[test]
fn a_release_ends_no_other_open_time_than_its_own() {
    for reason in OpenReason::ALL {
        let clock = &ManualClock::new();
        let breaker = Plant::<Streak>::observed(config(Config::streak(1), Setup::Plain, true), clock, Told::default());
        let Tripped::Opened(generation) = breaker.trip(reason, GIVEN) else { panic!("it is closed") };
        let before = breaker.status();
        for other in [generation + 1, generation.wrapping_sub(1), generation + (1 << 16), u32::MAX] {
            assert!(!breaker.release(other));
        }
        assert_eq!(breaker.status(), before);
        assert_eq!(breaker.release(generation), reason.is_of_a_layer(), "{reason:?}");
        assert!(!breaker.release(generation));
        let state = match reason {
            OpenReason::Budget => State::Closed,
            _ if reason.is_of_a_layer() => State::HalfOpen,
            _ => State::Open,
        };
        assert_eq!(breaker.state(), state);
    }
}
