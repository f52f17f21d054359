//! What wraps, when, and what it takes to matter.
//!
//! The words are 32 bits wide, so tags, counters and ticks wrap. Every word carries the tag of the generation that it belongs
//! to; a tag that wraps could make an old word look like a present one. This table says for each how many steps that takes and
//! which thread must be stopped where. Nothing else about a wrap is observable.
//!
//! | what wraps | after | what it takes to matter |
//! | --- | --- | --- |
//! | ticks, for an open time, a ramp, a lease, a slow limit | 2³² ticks (48 days at 1024 Hz) | its time is over, and nobody asks until 2³² ticks or more after it began: it may last once more. A permit held so long looks young |
//! | ticks, for a time window | 2³² ticks less two buckets | no call reported for that long: what was counted before may count once more |
//! | generation of a permit (20 bits) | 2²⁰ transitions | a permit held over an exact multiple of them counts again |
//! | tags of a beginning (16 bits), a length (8), probes (8), a streak (20) | 2¹⁶, 2⁸, 2⁸, 2²⁰ transitions | a thread stopped between its second look and its exchange for an exact multiple of them, and the word the same bit for bit: an open time begins or lasts at random, a probe is admitted or reported to a later half-open state, a stale failure counts. A word that is merely not needed for long is retagged in time |
//! | write-offs of lost probes (4 bits) | – | cannot: at most 15 in a half-open state |
//! | admissions of probes (4 bits) | 16 in one half-open state | a caller stopped while it looks at a lease, while exactly a multiple of 16 probes come and go |
//! | head of a time window (as many bits as a bucket's length has, at least 6) | 2⁶ transitions | a thread stopped between its second look at the control word and its exchange for an exact multiple of them, and the head the same bit for bit: what was counted an exact multiple of 128 transitions before may count once more |
//! | index of a count window (15 bits) | 16 640 chunks or more, each of 21 outcomes (10 where slow calls count) or a transition | a thread stopped as it moves the head, and the head the same bit for bit: the window is short of up to a chunk of outcomes for as long as it would hold that chunk |
//! | lap in a chunk (8 bits) | 256 laps of the ring, of as many chunks as it has words | a thread stopped before it places its outcome, and the chunk the same bit for bit: the outcome counts as if it came now, even a stale one |
//! | tag of a bucket (8 bits) | 256 steps, of which a lap of the ring is one and a transition two | a thread stopped for exactly so many between its look at the head and that at the bucket: its outcome counts as if it came now, even a stale one. A bucket that is merely old is cleared first |
//! | tag and turn of a bucket (9 bits) | 512 such steps | a thread stopped as it clears, and the word the same bit for bit: what was counted in between is lost |
//! | counters of a [`Counters`](crate::metrics::Counters) | 2³² | they are meant to wrap |
//!
//! Each is shown from both sides by `tests/packages/counting/tests/alias.rs` (those of the clock: `tests/model/reference/`).
//!
//! A bucket stops counting at 2²³ − 1 calls; a streak at 2¹² − 1. Open times and holds of 2¹⁹
//! ticks (8 minutes) or more are rounded up by less than a 2¹⁸th, a lease and a ramp by less than a 1024th.
