//! Cuts of a save in RAM: any of its words missing, or a look at the memory at each of its instructions, which is what a
//! reset there would leave.

use core::hint::black_box;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use board::shot::{Gun, Landed};
use microbreaker::{Retained, Snapshot};

use crate::keeper::{Essence, essence};

#[unsafe(link_section = ".uninit.retained")]
static MEMORY: MaybeUninit<Retained> = MaybeUninit::uninit();
const WORDS: usize = size_of::<Retained>() / 4;

/// What the firmware keeps.
pub(crate) fn retained() -> &'static Retained {
    // What is in it comes from outside the program: the compiler may take it for anything, but not for nothing.
    // SAFETY: it lives for ever, and is words of which every pattern of bits is valid.
    unsafe { &*black_box(MEMORY.as_ptr()) }
}

/// The memory under it, as a reset finds it.
fn memory() -> &'static [AtomicU32; WORDS] {
    // SAFETY: a `Retained` is atomic words and nothing else, so that these are as many of the same.
    unsafe { &*black_box(MEMORY.as_ptr()).cast() }
}

fn copy() -> [u32; WORDS] {
    memory().each_ref().map(|word| word.load(Relaxed))
}

/// As if the memory had come up with these words.
pub(crate) fn fill(words: impl IntoIterator<Item = u32>) {
    for (place, word) in memory().iter().zip(words) {
        place.store(word, Relaxed);
    }
}

/// The state that a boot finds.
pub(crate) fn load() -> Option<Essence> {
    retained().load().ok().map(|snapshot| essence(&snapshot))
}

/// To be caught: one place without a checksum.
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

/// Of the words that a save writes, every subset: in whatever order they reach the memory, a reset leaves one of these.
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

/// The memory before the save that is cut: two states kept, of which `old` is the latest.
fn prepare(older: &Snapshot, old: &Snapshot) -> [u32; WORDS] {
    fill([0; WORDS]);
    retained().save(older);
    retained().save(old);
    copy()
}

/// At each instruction of a save a look at the memory. Also the first after which it had changed.
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

/// A save that `reset` ends after so many instructions. Returns if it was over by then.
pub(crate) fn reset_within(gun: &mut Gun, after: u32, reset: fn(), [older, old, new]: [&Snapshot; 3]) {
    prepare(older, old);
    gun.fire(after, &reset, &mut || retained().save(new));
}
