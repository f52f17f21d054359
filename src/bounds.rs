//! What wraps, after how many steps, and what must happen for a wrap to matter.
//!
//! The words of a breaker are 32 bits wide, so tags, counters and ticks wrap. Each word carries the tag of the
//! generation that it belongs to. If a tag wraps, an old word could look like a present one. For each tag and counter,
//! this table says how many steps a wrap takes and which thread must be stopped at which point for it to matter.
//! Nothing else about a wrap of a breaker's words is observable. The last rows are about words that are no breaker's.
//! The *second look* of a thread is its check, between loading a word and exchanging it, that its generation is still
//! the present one.
//!
//! | what wraps | after | what it takes to matter |
//! | --- | --- | --- |
//! | ticks, for an open time, a ramp, a lease, a slow limit | 2³² ticks (48 days at 1024 Hz) | the time is over, and nobody calls the breaker until 2³² ticks or more after the time began: the time may run a second time. A permit that is held for so long looks young |
//! | ticks, for a time window | 2³² ticks less two buckets | no call is reported for that long: calls counted before may count once more |
//! | generation of a permit (20 bits) | 2²⁰ transitions | a permit is held over an exact multiple of them: its stale outcome counts |
//! | tags of a beginning (16 bits), a length (8), probes (8), a streak (20) | 2¹⁶, 2⁸, 2⁸, 2²⁰ transitions | a thread is stopped between its second look and its exchange for an exact multiple of them, and the word is then the same bit for bit: an open time begins or lasts at random, a probe is admitted or reported to a later half-open state, a stale failure counts. A word that is merely not needed for long gets a new tag in time |
//! | write-offs of lost probes (4 bits) | – | this cannot happen: there are at most 15 in a half-open state |
//! | admissions of probes (4 bits) | 16 in one half-open state | a caller is stopped while it looks at a lease, and exactly a multiple of 16 probes come and go meanwhile: a probe that has just begun is written off |
//! | tag in the head of a time window (as many bits as a bucket's length has, at least 6) | 2⁶ transitions | a thread is stopped between its second look and its exchange for an exact multiple of them, and the head is then the same bit for bit: calls counted an exact multiple of 128 transitions before may count once more |
//! | index of a count window (15 bits) | 16 640 chunks or more. A chunk holds 21 outcomes (10 if slow calls count), and a transition begins a new one | a thread is stopped while it moves the head, and the head is then the same bit for bit: up to one chunk of outcomes is missing, until the window would have dropped that chunk |
//! | lap in a chunk (8 bits) | 256 laps of the ring of chunks, of which the window has one in each word | a thread is stopped before it places its outcome, and the chunk is then the same bit for bit: the outcome counts as if it came now, even if it is stale |
//! | tag of a bucket (8 bits) | 256 steps. A lap of the ring is one step, a transition is two | a thread is stopped between its look at the head and its look at the bucket, for exactly that many steps: its outcome counts as if it came now, even if it is stale. If the bucket is merely old, it is cleared first |
//! | tag and turn of a bucket (9 bits) | 512 such steps | a thread is stopped while it clears a bucket, and the word is then the same bit for bit: calls counted in between are lost |
//! | counters of a [`Counters`](crate::metrics::Counters) | 2³² | these counters are meant to wrap |
//! | counts and open time of a `Meter` | 2³² calls, 2³¹ ticks of an open circuit (24 days at 1024 Hz) | no reading is taken for so long: a multiple of 2³² calls or ticks is missing from the readings, and the open time may stand still until the missing ticks are such a multiple. If the breakers of a registry share the meter, the ticks of all that are open add up |
//! | stamps of a `Registry` (31 bits or less) | 2³² ticks | nobody asks for a key for 15/16 of that time (45 days at 1024 Hz): the key's breaker looks just used until that time is over, and then idle only since. So it may be let go later, never sooner |
//!
//! The test `tests/packages/counting/tests/alias.rs` shows each bound of a breaker's words from both sides;
//! `tests/model/reference/` does so for those of the clock.
//!
//! A bucket stops counting at 2²³ − 1 calls, a streak at 2¹² − 1 outcomes. An open time or a hold of 2¹⁹ ticks (8
//! minutes at 1024 Hz) or more is rounded up by less than one part in 2¹⁸, a lease or a ramp by less than one part in
//! 1024.
