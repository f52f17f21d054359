//! What a caller finds that comes between two accesses of another.

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use microbreaker::counted::interrupted;
use microbreaker::{Breaker, Clock, Config, ManualClock, Streak, TickRate, Ticks};

/// Stands still, and may show up to three ticks more than have passed.
struct Lagging;

impl Clock for Lagging {
    const RATE: TickRate = ManualClock::RATE;
    const SLACK: u32 = 3;

    fn now(&self) -> Ticks {
        Ticks::new(7)
    }
}

fn ticks(ticks: u32) -> Duration {
    ManualClock::RATE.duration_of(ticks)
}

#[test]
fn a_hold_of_unknown_length_is_as_long_as_any_and_its_clocks_lag() {
    let told = Rc::new(RefCell::new(BTreeSet::new()));
    let hold = |access| {
        let config = Config::streak(1).hold_at_most(ticks(1000));
        let breaker: Rc<Breaker<Streak, _>> = Rc::new(Breaker::new(config, Lagging));
        let (other, told) = (Rc::clone(&breaker), Rc::clone(&told));
        let meanwhile = move || {
            if let Err(rejected) = other.acquire() {
                told.borrow_mut().insert(rejected.retry_in_ticks());
            }
        };
        interrupted(access, meanwhile, || breaker.hold(ticks(10)))
    };
    assert!((0..).map_while(hold).count() > 5);
    assert_eq!(told.take(), BTreeSet::from([Some(13), Some(1003)]));
}
