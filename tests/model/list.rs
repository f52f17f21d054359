//! Compares a count window with a list of outcomes, call by call.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use microbreaker::{Breaker, Config, CountWindow, LiveWindow, ManualClock, State, count_words};

#[test]
fn a_count_window_opens_with_the_call_with_which_a_list_would() {
    opens_as_a_list_would::<CountWindow<{ count_words(64, false) }>>(1..=64);
}

#[test]
fn a_count_window_of_one_word_opens_with_the_call_with_which_a_list_would() {
    opens_as_a_list_would::<CountWindow<1>>(1..=24);
}

/// A window of so many calls opens with the same call as a list of outcomes: with low and high thresholds, and resets in
/// between.
fn opens_as_a_list_would<W: LiveWindow>(lengths: RangeInclusive<u16>) {
    let mut dice = 1_u32;
    let mut roll = move |sides: u32| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (dice >> 8) % sides
    };
    let mut opened = 0;
    for calls in lengths {
        for (permille, minimum) in [(1, 1), (150, 1), (300, calls.div_ceil(2)), (500, calls), (900, 1), (1000, calls)] {
            let config = Config::count(calls).failure_permille(permille).minimum(minimum);
            let breaker: Breaker<W, _> = Breaker::new(config, ManualClock::new());
            let mut list = VecDeque::new();
            // The share of failures stays the same for 40 calls, so that windows fill with successes before failures
            // come.
            let mut bad_in = 0;
            for call in 0..400 {
                if call % 40 == 0 {
                    bad_in = [0, 30, 8, 3, 1][roll(5) as usize];
                }
                let failed = bad_in > 0 && roll(bad_in) == 0;
                list.push_back(failed);
                if list.len() > usize::from(calls) {
                    list.pop_front();
                }
                let permit = breaker.acquire().unwrap();
                if failed {
                    permit.failure()
                } else {
                    permit.success()
                };
                let bad = list.iter().filter(|failed| **failed).count();
                let ripe = list.len() >= usize::from(minimum);
                let opens = ripe && bad * 1000 >= usize::from(permille) * list.len();
                let says = format!("{calls} calls, {permille} permille, at least {minimum}, call {call}: {list:?}");
                assert_eq!(breaker.state() == State::Open, opens, "{says}");
                if opens || roll(90) == 0 {
                    opened += u32::from(opens);
                    breaker.reset();
                    list.clear();
                }
            }
        }
    }
    assert!(opened > 1000, "{opened} openings");
}
