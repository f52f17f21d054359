//! How the cost grows with the share of rejected calls.

use crate::calls::spread;
use crate::guarded::{Padded, by_permit, healthy, open, streak, timed, work};
use crate::plot::{Axis, Line, Plot};
use microbreaker::{Clock, CoarseClock, StdClock, Streak};
use std::hint::black_box;
use std::time::Duration;

const PERMILLE: [u32; 9] = [0, 10, 50, 100, 250, 500, 750, 900, 1000];

pub fn rejections() -> Plot<Line> {
    let mut lines = ["empty call, or none", "streak, coarse clock", "streak, standard clock"].map(Line::new);
    for share in PERMILLE {
        let percent = f64::from(share) / 10.0;
        let [floor, coarse, std] = &mut lines;
        let mut rejected = spread(share);
        floor.push(percent, move |calls| timed(calls, || if rejected() { Err(()) } else { work(true) }));
        coarse.push(percent, alternating(share, CoarseClock));
        std.push(percent, alternating(share, StdClock));
    }
    Plot {
        name: "rejections",
        title: "Share of calls that are rejected",
        about: "A process that calls two peers: one breaker is healthy, the other open. A rejected call is not made, \
                and the floor does not make it either. Rejections are spread evenly."
            .into(),
        x: Axis::linear("% of the calls are rejected"),
        y: Axis::linear("ns per call"),
        lines: lines.into(),
    }
}

/// Calls on a healthy breaker and on an open breaker. `share` of the calls go to the open one.
fn alternating<C: Clock + Copy + 'static>(share: u32, clock: C) -> impl FnMut(u64) -> Duration {
    let breakers =
        Box::new([Padded(healthy::<Streak, C>(streak(), clock)), Padded(open::<Streak, C>(streak(), clock))]);
    let mut rejected = spread(share);
    move |calls| {
        let [healthy, open] = black_box(&*breakers);
        timed(calls, || by_permit(&if rejected() { open } else { healthy }.0, true))
    }
}
