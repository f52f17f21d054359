//! How the cost grows with the number of breakers in one process.

use crate::calls::empty_call;
use crate::guarded::{Count100, by_permit, count, healthy, load, streak, timed};
use crate::plot::{Axis, Line, Plot};
use microbreaker::{Breaker, CoarseClock, Config, LiveWindow, Streak};
use std::fmt::Write;
use std::hint::black_box;
use std::mem::size_of;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

const NUMBERS: [u32; 6] = [1, 10, 100, 1000, 10_000, 100_000];

/// Puts a value on a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct OwnLine<T>(T);

const LINE: usize = align_of::<OwnLine<u8>>();

pub fn breakers() -> Plot<Line> {
    let mut lines =
        ["word, one load", "word on a line of its own, one load", "streak", "streak on a line of its own", "count 100"]
            .map(Line::new);
    for number in NUMBERS {
        let [words, own_lines, streaks, own_streaks, counts] = &mut lines;
        words.push(number, at_random(number, AtomicU32::default, |word| load(word, true)));
        own_lines.push(number, at_random(number, OwnLine::<AtomicU32>::default, |line| load(&line.0, true)));
        streaks.push(number, guarded::<Streak>(number, streak()));
        let aligned = || OwnLine(healthy::<Streak, _>(streak(), CoarseClock));
        own_streaks.push(number, at_random(number, aligned, |line| by_permit(&line.0, true)));
        counts.push(number, guarded::<Count100>(number, count()));
    }
    Plot {
        name: "breakers",
        title: "Breakers in one process, one picked at random for each call",
        about: about(),
        x: Axis::log("breakers"),
        y: Axis::linear("ns per call"),
        lines: [Line::level("empty call", empty_call())].into_iter().chain(lines).collect(),
    }
}

fn guarded<W: LiveWindow + 'static>(number: u32, config: Config) -> impl FnMut(u64) -> Duration {
    at_random(number, move || healthy::<W, _>(config, CoarseClock), |breaker| by_permit(breaker, true))
}

/// Each call picks a target at random. First every target is called once, because the cases before have filled the
/// caches with other data.
fn at_random<T, R>(number: u32, make: impl Fn() -> T, call: impl Fn(&T) -> R) -> impl FnMut(u64) -> Duration {
    let targets: Vec<T> = (0..number).map(|_| make()).collect();
    let mut random = 0x9E37_79B9_u32;
    move |calls| {
        let targets = black_box(&targets);
        for target in targets {
            black_box(call(target));
        }
        // A local copy: otherwise each random number would be stored to memory and loaded again.
        let mut next = random;
        let time = timed(calls, || {
            // Marsaglia's xorshift.
            next ^= next << 13;
            next ^= next >> 17;
            next ^= next << 5;
            let at = (u64::from(next) * targets.len() as u64) >> 32;
            usize::try_from(at).ok().and_then(|at| targets.get(at)).map(&call)
        });
        random = next;
        time
    }
}

fn about() -> String {
    let mut text = String::from(
        "All are healthy. The floors are one load from as many words, picked in the same way. A breaker allocates \
         nothing, so its size is all its memory:\n\n\
         | breaker | bytes | in whole cache lines | 100,000 of them |\n| --- | --- | --- | --- |\n",
    );
    for (name, size) in [
        ("streak", size_of::<Breaker<Streak, CoarseClock>>()),
        ("count 100", size_of::<Breaker<Count100, CoarseClock>>()),
    ] {
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "| {name} | {size} | {} | {}.{} MB |", size.next_multiple_of(LINE), size / 10, size % 10);
    }
    text
}
