//! Cuts of a save in RAM. In one test any of its words are missing. In the other an interrupt copies the memory at each
//! instruction of the save, because a reset at that instruction would leave the same memory.

use core::hint::black_box;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use board::shot::{Gun, Landed};
use microbreaker::{Retained, Snapshot};

use crate::keeper::{Essence, essence};

#[unsafe(link_section = ".uninit.retained")]
static MEMORY: MaybeUninit<Retained> = MaybeUninit::uninit();
const WORDS: usize = size_of::<Retained>() / 4;

/// The memory in which the firmware keeps its state.
pub(crate) fn retained() -> &'static Retained {
    // `black_box`: the contents come from outside the program, so the compiler must take them for any value, but not
    // for uninitialised memory.
    // SAFETY: the static lives for ever and consists of words, for which every pattern of bits is valid.
    unsafe { &*black_box(MEMORY.as_ptr()) }
}

/// The words of that memory, as a reset finds them.
fn memory() -> &'static [AtomicU32; WORDS] {
    // SAFETY: a `Retained` consists of atomic words and nothing else, so this is the same number of the same words.
    unsafe { &*black_box(MEMORY.as_ptr()).cast() }
}

fn copy() -> [u32; WORDS] {
    memory().each_ref().map(|word| word.load(Relaxed))
}

/// Fills the memory, as if it had come up with these words.
pub(crate) fn fill(words: impl IntoIterator<Item = u32>) {
    for (place, word) in memory().iter().zip(words) {
        place.store(word, Relaxed);
    }
}

/// The state that a boot finds.
pub(crate) fn load() -> Option<Essence> {
    retained().load().ok().map(|snapshot| essence(&snapshot))
}

/// One place without a checksum. The story must catch it.
static NAIVE: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

fn save_naively(snapshot: &Snapshot) {
    for (place, word) in NAIVE.iter().zip(essence(snapshot)) {
        place.store(word, Relaxed);
    }
}

/// Both memories, as they were when the interrupt came.
static SEEN: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];
static SEEN_NAIVE: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

fn look() {
    for (to, from) in SEEN.iter().zip(memory()).chain(SEEN_NAIVE.iter().zip(&NAIVE)) {
        to.store(from.load(Relaxed), Relaxed);
    }
}

/// What the cuts came to.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) cuts: u32,
    pub(crate) wrong: u32,
    pub(crate) naive_wrong: u32,
}

/// Tries every subset of the words that a save writes. In whatever order the words reach the memory, a reset leaves one
/// of these subsets.
pub(crate) fn every_subset(states: &[Snapshot]) -> Count {
    let mut count = Count::default();
    fill([0; WORDS]);
    retained().save(&states[0]);
    for pair in states.windows(2) {
        let (old, new) = (essence(&pair[0]), essence(&pair[1]));
        let before = copy();
        retained().save(&pair[1]);
        let after = copy();
        let slot = if before[..WORDS / 2] == after[..WORDS / 2] { WORDS / 2 } else { 0 };
        for subset in 0..1_u32 << Snapshot::WORDS {
            let is_written = |at: usize| at.checked_sub(slot).is_some_and(|at| at < 8 && subset >> at & 1 != 0);
            fill((0..WORDS).map(|at| if is_written(at) { after[at] } else { before[at] }));
            count.cuts += 1;
            count.wrong += u32::from(![Some(old), Some(new)].contains(&load()));
        }
        for subset in 0..1_u32 << old.len() {
            save_naively(&pair[0]);
            for (at, place) in NAIVE.iter().enumerate().filter(|(at, _)| subset >> at & 1 != 0) {
                place.store(new[at], Relaxed);
            }
            let found: Essence = NAIVE.each_ref().map(|word| word.load(Relaxed));
            count.naive_wrong += u32::from(found != old && found != new);
        }
        fill(after);
    }
    count
}

/// Prepares the memory before the save that is cut. It holds two states, and `old` is the latest.
fn prepare(older: &Snapshot, old: &Snapshot) -> [u32; WORDS] {
    fill([0; WORDS]);
    retained().save(older);
    retained().save(old);
    copy()
}

/// Copies the memory at each instruction of a save. Also returns the first instruction after which the memory had
/// changed.
pub(crate) fn every_instruction(gun: &mut Gun, [older, old, new]: [&Snapshot; 3]) -> (Count, u32) {
    let (mut count, mut first_change, before) = (Count::default(), None, prepare(older, old));
    for after in 1.. {
        fill(before);
        if gun.fire(after, &look, &mut || retained().save(new)) == Landed::After {
            break;
        }
        let seen = SEEN.each_ref().map(|word| word.load(Relaxed));
        if seen != before {
            first_change.get_or_insert(after);
        }
        fill(seen);
        count.cuts += 1;
        count.wrong += u32::from(![Some(essence(old)), Some(essence(new))].contains(&load()));
    }
    for after in 1.. {
        save_naively(old);
        if gun.fire(after, &look, &mut || save_naively(new)) == Landed::After {
            break;
        }
        let seen = SEEN_NAIVE.each_ref().map(|word| word.load(Relaxed));
        count.naive_wrong += u32::from(seen != essence(old) && seen != essence(new));
    }
    (count, first_change.expect("the save was seen"))
}

/// Begins a save, and calls `reset` after `after` instructions of it. Returns if the save was over by then.
pub(crate) fn reset_within(gun: &mut Gun, after: u32, reset: fn(), [older, old, new]: [&Snapshot; 3]) {
    prepare(older, old);
    gun.fire(after, &reset, &mut || retained().save(new));
}
