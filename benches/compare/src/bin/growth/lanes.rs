//! How the cost grows with the lanes of a time window.

use crate::calls::{
    Hand, all_buckets_used, always, each, empty_call, guarded, one_in_ten_fails, time_config, together,
};
use crate::guarded::{STRETCH, healthy, load_compare_exchange};
use crate::plot::{Axis, Line, Plot};
use microbreaker::{Breaker, CoarseClock, TimeWindow, Window};
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::Duration;

const BUCKETS: u8 = 10;

pub fn lanes() -> Plot<Line> {
    let mut lines = [
        "1 thread, healthy",
        "1 thread, 10 % fail",
        "2 threads apart, healthy",
        "2 threads that meet, healthy",
        "2 threads apart, 10 % fail",
    ]
    .map(Line::new);
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
        about: "10 buckets in 16 slots, 100 % to trip. Two threads share one breaker. Which lane a thread writes to \
                follows from where its stack is, so each case is run with their stacks in four places: \u{201c}apart\u{201d} \
                is the quickest of them, \u{201c}that meet\u{201d} the slowest. Where there are two threads, time is that of \
                the coarse clock, and few buckets are in use."
            .into(),
        x: Axis::log("lanes"),
        y: Axis::log("ns per call of a thread"),
        lines: floors.into_iter().chain(lines).collect(),
    }
}

fn add<W: Window + Sync + 'static>(lines: &mut [Line; 5], lanes: u32) {
    let alone = || Breaker::<W, _>::new(time_config(BUCKETS), Hand);
    let begin = |breaker: &Breaker<W, Hand>| all_buckets_used(breaker, BUCKETS);
    let shared = || healthy::<W, _>(time_config(BUCKETS), CoarseClock);
    let [one_healthy, one_failing, apart, meeting, failing] = lines;
    one_healthy.push(lanes, guarded(alone(), STRETCH, begin, always()));
    one_failing.push(lanes, guarded(alone(), STRETCH, begin, one_in_ten_fails()));
    apart.push(lanes, elsewhere(Duration::min, together(2, shared(), each(always))));
    meeting.push(lanes, elsewhere(Duration::max, together(2, shared(), each(always))));
    failing.push(lanes, elsewhere(Duration::min, together(2, shared(), each(one_in_ten_fails))));
}

/// Runs the calls in equal parts, with the stacks of the threads in another place for each part. Returns the time of
/// the part that `which` prefers, scaled to all calls.
fn elsewhere(
    which: fn(Duration, Duration) -> Duration,
    mut run: impl FnMut(u64) -> Duration,
) -> impl FnMut(u64) -> Duration {
    move |calls| {
        let part = calls.div_ceil(u64::from(PLACES));
        let times = (0..PLACES).map(|taken| with_stacks_taken(taken, || run(part)));
        times.reduce(which).unwrap_or_default() * PLACES
    }
}

const PLACES: u32 = 4;

/// Calls `run` while sleeping threads take `taken` of the stacks that its threads would have got.
fn with_stacks_taken<T>(taken: u32, run: impl FnOnce() -> T) -> T {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let closed = gate.lock();
        for _ in 0..taken {
            scope.spawn(|| drop(gate.lock()));
        }
        let result = run();
        drop(closed);
        result
    })
}
