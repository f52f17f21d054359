//! A save that is cut off before each of its accesses, or that another save interrupts there.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use microbreaker::counted::interrupted;
use microbreaker::{Breaker, Config, ManualClock, OpenReason, Retained, Snapshot, Streak};

/// The snapshot of a breaker that is open for so many seconds.
fn open_for(seconds: u32) -> Snapshot {
    let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    breaker.trip(OpenReason::Manual, Duration::from_secs(seconds.into()));
    breaker.snapshot()
}

fn seconds(retained: &Retained) -> Option<u32> {
    retained.load().ok().map(|snapshot| snapshot.remaining_ticks() / 1024)
}

/// Retained memory with so many earlier saves, so that each slot has its turn.
fn saved(times: u32) -> Rc<Retained> {
    let retained = Rc::new(Retained::new());
    (1..=times).for_each(|time| retained.save(&open_for(time)));
    retained
}

#[test]
fn a_save_that_is_cut_off_leaves_the_one_before() {
    for times in 0..4 {
        let before = if times == 0 { None } else { Some(times) };
        let mut cuts = 0;
        let cut = |access| {
            let retained = saved(times);
            let found = Rc::new(Cell::new(None));
            let (memory, told, snapshot) = (Rc::clone(&retained), Rc::clone(&found), open_for(100));
            // What a program that starts after the cut would find.
            interrupted(access, move || told.set(Some(seconds(&memory))), || retained.save(&snapshot))?;
            assert_eq!(seconds(&retained), Some(100));
            found.get()
        };
        for found in (0..).map_while(cut) {
            assert_eq!(found, before, "cut {cuts} after {times}");
            cuts += 1;
        }
        assert_eq!(cuts, 24, "sixteen loads, eight stores");
    }
}

#[test]
fn two_saves_that_meet_leave_one_of_both_or_the_one_before() {
    for times in 0..4 {
        let mut found = [0; 3];
        let meet = |access| {
            let retained = saved(times);
            let (other, [first, second]) = (Rc::clone(&retained), [100, 200].map(open_for));
            interrupted(access, move || other.save(&second), || retained.save(&first))?;
            Some(retained)
        };
        for retained in (0..).map_while(meet) {
            match seconds(&retained) {
                Some(100) => found[0] += 1,
                Some(200) => found[1] += 1,
                left if left == Some(times) || times == 0 && left.is_none() => found[2] += 1,
                other => panic!("{other:?} after {times}"),
            }
            // The next save works.
            retained.save(&open_for(300));
            assert_eq!(seconds(&retained), Some(300));
        }
        assert!(found[0] + found[1] > 0, "{found:?}");
    }
}
