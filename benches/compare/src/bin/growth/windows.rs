//! How the cost grows with the window: with its outcomes, with its buckets.

use crate::calls::{
    Hand, all_buckets_used, always, empty_call, guarded, nine_in_ten_fail, one_in_ten_fails, time_config,
};
use crate::guarded::{STRETCH, all_good};
use crate::plot::{Axis, Line, Plot};
use microbreaker::{Breaker, CoarseClock, Config, CountWindow, LiveWindow, TimeWindow, count_words};

const HEALTHY: &str = "healthy";
/// The line that runs the same code at every length. If each length is a type of its own, each has a copy of the code,
/// and the place where the linker puts a copy is worth a cycle or two.
pub const SAME_CODE: &str = "healthy, same code";
pub const ONE_IN_TEN: &str = "10 % fail";
pub const NINE_IN_TEN: &str = "90 % fail";

type Longest = CountWindow<{ count_words(1000, false) }>;

pub fn outcomes() -> Plot<Line> {
    let mut lines = [HEALTHY, SAME_CODE, ONE_IN_TEN, NINE_IN_TEN].map(Line::new);
    macro_rules! windows {
        ($($outcomes:literal)*) => { $({
            type Window = CountWindow<{ count_words($outcomes, false) }>;
            let config = Config::count($outcomes);
            let breaker = |permille| Breaker::<Window, _>::new(config.failure_permille(permille), CoarseClock);
            let [healthy, same, one, nine] = &mut lines;
            same.push($outcomes, guarded(Breaker::<Longest, _>::new(config, CoarseClock), STRETCH, all_good, always()));
            healthy.push($outcomes, guarded(breaker(500), STRETCH, all_good, always()));
            one.push($outcomes, guarded(breaker(500), STRETCH, all_good, one_in_ten_fails()));
            nine.push($outcomes, guarded(breaker(901), STRETCH, all_good, nine_in_ten_fail()));
        })* };
    }
    windows!(10 30 100 320 1000);
    let [healthy, same, one, nine] = lines;
    Plot {
        name: "outcomes",
        title: "Count window: outcomes remembered",
        about: "The threshold is 50 %, and 90.1 % where nine of ten calls fail: every failure is counted and judged, none \
                trips. A verdict goes no further back than shows that it cannot: by about half of the window where one \
                in ten fails, by all of it where nine do. The windows take 1, 4, 7, 18 and 50 \
                words: one word alone, or a head and 21 outcomes to a word. \u{201c}Same code\u{201d}: all in 50 words, \
                so that the lengths differ by configuration only."
            .into(),
        x: Axis::log("outcomes in the window"),
        y: Axis::log("ns per call"),
        lines: vec![Line::level("empty call", empty_call()), healthy, same, one, nine],
    }
}

pub fn buckets() -> Plot<Line> {
    fn add<W: LiveWindow + 'static>(lines: &mut [Line; 3], buckets: u8) {
        let breaker = || Breaker::<W, _>::new(time_config(buckets), Hand);
        let begin = move |breaker: &Breaker<W, Hand>| all_buckets_used(breaker, buckets);
        let [healthy, same, one] = lines;
        healthy.push(buckets, guarded(breaker(), STRETCH, begin, always()));
        let longest = Breaker::<TimeWindow<64>, _>::new(time_config(buckets), Hand);
        same.push(buckets, guarded(longest, STRETCH, move |breaker| all_buckets_used(breaker, buckets), always()));
        one.push(buckets, guarded(breaker(), STRETCH, begin, one_in_ten_fails()));
    }
    let mut lines = [HEALTHY, SAME_CODE, ONE_IN_TEN].map(Line::new);
    add::<TimeWindow<8>>(&mut lines, 8);
    add::<TimeWindow<16>>(&mut lines, 16);
    add::<TimeWindow<32>>(&mut lines, 32);
    add::<TimeWindow<64>>(&mut lines, 64);
    let [healthy, same, one] = lines;
    Plot {
        name: "buckets",
        title: "Time window: buckets remembered",
        about: "As many buckets as slots, one lane, every bucket in use, 100 % to trip. The clock stands still while \
                there is measured: what it costs to move on to the next bucket, at most sixteen times a second here, \
                is not in it. A bucket is three words. \u{201c}Same code\u{201d}: all in 64 slots."
            .into(),
        x: Axis::log("buckets in the window"),
        y: Axis::log("ns per call"),
        lines: vec![Line::level("empty call", empty_call()), healthy, same, one],
    }
}
