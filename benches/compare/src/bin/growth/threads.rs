//! How the cost grows with the threads on one breaker.

use crate::calls::{always, each, empty_call, together};
use crate::guarded::{Count100, count, healthy, load, load_compare_exchange, streak, time};
use crate::plot::{Axis, Line, Plot};
use microbreaker::{CoarseClock, Config, LiveWindow, Streak, TimeWindow};
use std::hint::black_box;
use std::sync::atomic::AtomicU32;
use std::thread::available_parallelism;

pub fn threads() -> Plot<Line> {
    let lines = [
        floor("load", load),
        floor("load + compare-exchange", load_compare_exchange),
        guarded::<Streak>("streak", streak()),
        guarded::<Count100>("count 100", count()),
        guarded::<TimeWindow<16>>("time, 1 lane", time()),
        guarded::<TimeWindow<16, 8>>("time, 8 lanes", time()),
    ];
    Plot {
        name: "threads",
        title: "Threads, all on one healthy breaker",
        about: "A thread's own time per call: a level line scales perfectly. Only stretches in which all threads ran \
                side by side count. The floors are on one word that all threads share."
            .into(),
        x: Axis::log("threads"),
        y: Axis::log("ns per call of a thread"),
        lines: [Line::level("empty call, 1 thread", empty_call())].into_iter().chain(lines).collect(),
    }
}

/// Numbers of threads: powers of two up to the number of cores, and that number; at least two.
fn numbers() -> Vec<u32> {
    let most = available_parallelism().map_or(2, |most| u32::try_from(most.get()).unwrap_or(u32::MAX)).max(2);
    let mut numbers: Vec<u32> = (0..u32::BITS).map(|power| 1 << power).take_while(|&number| number < most).collect();
    numbers.push(most);
    numbers
}

fn guarded<W: LiveWindow + Sync + 'static>(label: &str, config: Config) -> Line {
    let mut line = Line::new(label);
    for number in numbers() {
        let breaker = healthy::<W, _>(config, CoarseClock);
        line.push(number, together(number as usize, breaker, each(always)));
    }
    line
}

fn floor<T: 'static>(label: &str, call: impl Fn(&AtomicU32, bool) -> T + Copy + Sync + 'static) -> Line {
    let mut line = Line::new(label);
    for number in numbers() {
        let body = move |word: &AtomicU32, calls| {
            for _ in 0..calls {
                black_box(call(word, true));
            }
        };
        line.push(number, together(number as usize, AtomicU32::new(0), body));
    }
    line
}
