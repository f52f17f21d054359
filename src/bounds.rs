//! What wraps, after how many steps, and what must happen for a wrap to matter.
//!
//! The words of a breaker are 32 bits wide, so tags, counters and ticks wrap. Each word carries the tag of the
//! generation that it belongs to. If a tag wraps, an old word could look like a present one. For each tag and counter,
//! this table says how many steps a wrap takes and which thread must be stopped at which point for it to matter.
//! Nothing else about a wrap of a breaker's words is observable. The last rows are about words that are no breaker's.
//!
//! A *generation* is the stretch of time within which a permit's outcome counts. A move passes one or two of them. A *turn*
//! is the stretch between two moves that begin a deadline: an open time, a lease, a ramp, the memory of an attempt. The
//! *second look* of a thread is its check, between loading a word and exchanging it, that its generation or turn is still
//! the present one.
//!
//! | what wraps | after | what it takes to matter |
//! | --- | --- | --- |
//! | ticks, for a deadline | 2³² ticks (48 days at 1024 Hz); 2³¹ by a clock whose [`SLACK`](crate::Clock::SLACK) is 0 | the time is over, and nobody calls the breaker until that many ticks have passed since it began, or fewer by no more than the longest time that is configured (1023 ticks more, and up to the next power of two): the circuit may reject once more, for no longer than that |
//! | ticks, for a slow limit | 2³² ticks | a permit is held for so long: its call looks short |
//! | ticks, for a time window | 2³² ticks less two buckets | no call is reported for that long: calls counted before may count once more |
//! | generation of a permit (16 bits) | 2¹⁶ generations | a permit is held over an exact multiple of them: its stale outcome counts |
//! | generation of the word, and tag of the counts (16 bits each) | 2¹⁶ generations | a thread is stopped between its look and its exchange for an exact multiple of them, and the word is then the same bit for bit: its move happens in a later generation, a stale failure counts, a probe is admitted or reported to a later half-open state. Counts that are merely not needed for long get a new tag in time |
//! | turn of a deadline (1 bit) | 2 turns | a thread is stopped between its second look and its exchange, another thread decides that deadline, and an odd number of turns follow. The deadline of the last of them falls on the very tick of the one before the stopped thread's: it is decided once more, so that period begins anew. If a second thread is stopped at the same time between its look at that deadline and its move, the turn that this move begins has the deadline that the first thread computed |
//! | admissions of probes (5 bits) | 32 in one half-open state | a caller is stopped between its look at the word and its exchange, and exactly a multiple of 32 probes come and go meanwhile: a probe that has just begun is written off, or one more is admitted than may be in flight |
//! | tag in the head of a time window (as many bits as a bucket's length has, 6 to 16) | 2⁶ generations | a thread is stopped between its second look and its exchange for an exact multiple of them, and the head is then the same bit for bit: calls counted an exact multiple of 128 generations before may count once more |
//! | tag of a count window in one word (7 bits) | 2⁷ generations | a thread is stopped between its second look and its exchange for an exact multiple of them, and the word is then the same bit for bit: its outcome counts as if it came now, even if it is stale. If the thread is the winner of a move, the window is emptied. A word that is merely not needed for long gets a new tag in time |
//! | index of a count window (15 bits) | 16 640 chunks or more. A chunk holds 21 outcomes (10 if slow calls count), and a new generation begins a new one | a thread is stopped while it moves the head, and the head is then the same bit for bit: up to one chunk of outcomes is missing, until the window would have dropped that chunk |
//! | lap in a chunk (8 bits) | 256 laps of the ring of chunks, of which the window has one in each word but the first | a thread is stopped before it places its outcome, and the chunk is then the same bit for bit: the outcome counts as if it came now, even if it is stale |
//! | tag of a bucket (8 bits) | 256 steps. A lap of the ring is one step, a generation is two | a thread is stopped between its look at the head and its look at the bucket's word, or between its second look and its exchange while nobody counts into that word, for exactly that many steps: its outcome counts as if it came now, even if it is stale. If the word is merely old, it is cleared first |
//! | tag and turn of a bucket (9 bits) | 512 such steps | a thread is stopped while it clears a bucket, and the word is then the same bit for bit: calls counted in between are lost |
//! | counters of a [`Counters`](crate::metrics::Counters) | 2³² | these counters are meant to wrap |
//! | counts and open time of a `Meter` | 2³² calls, 2³¹ ticks of an open circuit (24 days at 1024 Hz) | no reading is taken for so long: a multiple of 2³² calls or ticks is missing from the readings, and the open time may stand still until the missing ticks are such a multiple. If the breakers of a registry share the meter, the ticks of all that are open add up |
//! | stamps of a `Registry` (31 bits or less) | 2³² ticks | nobody asks for a key for 15/16 of that time (45 days at 1024 Hz): the key's breaker looks just used until that time is over, and then idle only since. So it may be let go later, never sooner |
//!
//! The test `tests/packages/counting/tests/alias.rs` shows each bound of a breaker's words from both sides;
//! `tests/model/reference/` does so for those of the clock.
//!
//! What does not wrap stops: a bucket at 2²³ − 1 calls, a run of failures at 1023, an attempt at 31.
//!
//! A lease, a ramp, the memory of an attempt and the longest hold are rounded up by less than one part in 1024 if they last
//! 2¹¹ ticks or more. By a clock whose [`SLACK`](crate::Clock::SLACK) is not 0, a deadline may be a tick later, for its lowest
//! bit tells its turn. If another caller comes between the move that opens the circuit for a given time and the moment at which
//! its owner says how long, the time is rounded up, to less than the next power of two. Nothing ends early by any of this.
