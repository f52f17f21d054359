//! How the cost grows with the share of failures.

use crate::calls::{Hand, all_buckets_used, guarded, spread, time_config};
use crate::guarded::{Count100, STRETCH, Time10, all_good, count, streak, time_in_stretches, work};
use crate::plot::{Axis, Line, Plot};
use microbreaker::{Breaker, CoarseClock, Streak};

const PERMILLE: [u16; 9] = [0, 10, 50, 100, 250, 500, 750, 900, 1000];

pub fn failures() -> Plot<Line> {
    let mut lines = ["empty call", "streak", "count 100", "time, 10 buckets"].map(Line::new);
    for share in PERMILLE {
        let percent = f64::from(share) / 10.0;
        let good = || {
            let mut bad = spread(share.into());
            move || !bad()
        };
        let stretch = |most| if share == 1000 { most } else { STRETCH };
        let [floor, streaks, counts, times] = &mut lines;
        let (mut outcome, stretch_of_floor) = (good(), stretch(99));
        floor.push(percent, move |calls| time_in_stretches(calls, stretch_of_floor, || (), || work(outcome())));
        let breaker = Breaker::<Streak, _>::new(streak(), CoarseClock);
        streaks.push(percent, guarded(breaker, stretch(1000), all_good, good()));
        // The threshold is only a little above the share: the further the share is below it, the sooner a verdict can
        // stop.
        let breaker = Breaker::<Count100, _>::new(count().failure_permille((share + 50).min(1000)), CoarseClock);
        counts.push(percent, guarded(breaker, stretch(99), all_good, good()));
        let breaker = Breaker::<Time10, _>::new(time_config(10), Hand);
        times.push(percent, guarded(breaker, STRETCH, |breaker| all_buckets_used(breaker, 10), good()));
    }
    Plot {
        name: "failures",
        title: "Share of calls that fail",
        about: "Nothing trips: a streak at 1023, the last 100 at 5 points more than fail, the buckets at 100 %. Where every measured call fails, what keeps \
                them from it are successes outside the measurement: the breaker is begun anew with them every 1000 \
                calls (streak) or 99 (count, and the empty call, whose figure at 100 % thereby shows what two clock \
                readings add to 99 calls); those in a time window stay, as its clock stands still. Failures are \
                spread evenly, which a branch predictor learns: real ones would cost a misprediction more."
            .into(),
        x: Axis::linear("% of the calls fail"),
        y: Axis::linear("ns per call"),
        lines: lines.into(),
    }
}
