//! How the cost grows with the lanes of a time window.

use crate::calls::{
    Hand, all_buckets_used, always, each, empty_call, guarded, one_in_ten_fails, time_config, together,
};
use crate::guarded::{STRETCH, healthy, load_compare_exchange};
use crate::plot::{Axis, Line, Plot};
use microbreaker::{Breaker, CoarseClock, LiveWindow, TimeWindow};
use std::hint::black_box;
use std::sync::atomic::AtomicU32;

const BUCKETS: u8 = 10;

pub fn lanes() -> Plot<Line> {
    let mut lines =
        ["1 thread, healthy", "1 thread, 10 % fail", "2 threads, healthy", "2 threads, 10 % fail"].map(Line::new);
    add::<TimeWindow<16, 1>>(&mut lines, 1);
    add::<TimeWindow<16, 2>>(&mut lines, 2);
    add::<TimeWindow<16, 4>>(&mut lines, 4);
    add::<TimeWindow<16, 8>>(&mut lines, 8);
    let floor = together(2, AtomicU32::new(0), |word, calls| {
        for _ in 0..calls {
            let _ = black_box(load_compare_exchange(word, true));
        }
    });
    let floors = [Line::level("empty call", empty_call()), Line::level("2 threads, load + CAS on one word", floor)];
    Plot {
        name: "lanes",
        title: "Time window: lanes",
        about: "10 buckets in 16 slots, 100 % to trip. Two threads share one breaker, and where there are two lanes or \
                more each writes to its own. The main thread waits for them and has used lanes too: so with 2 lanes one \
                of the two looks at each call whether the main thread's is free. Where there are two threads, time is \
                that of the coarse clock, and few buckets are in use."
            .into(),
        x: Axis::log("lanes"),
        y: Axis::log("ns per call of a thread"),
        lines: floors.into_iter().chain(lines).collect(),
    }
}

fn add<W: LiveWindow + Sync + 'static>(lines: &mut [Line; 4], lanes: u32) {
    let alone = || Breaker::<W, _>::new(time_config(BUCKETS), Hand);
    let begin = |breaker: &Breaker<W, Hand>| all_buckets_used(breaker, BUCKETS);
    let shared = || healthy::<W, _>(time_config(BUCKETS), CoarseClock);
    let [one_healthy, one_failing, two_healthy, two_failing] = lines;
    one_healthy.push(lanes, guarded(alone(), STRETCH, begin, always()));
    one_failing.push(lanes, guarded(alone(), STRETCH, begin, one_in_ten_fails()));
    two_healthy.push(lanes, together(2, shared(), each(always)));
    two_failing.push(lanes, together(2, shared(), each(one_in_ten_fails)));
}
