//! Interrupts an operation at each of its instructions in turn, and judges the results.

use core::fmt::Debug;

use board::shot::{Gun, Interrupt, Landed};

/// An operation and an interrupt that meet.
pub(crate) trait Meeting: Debug {
    /// Everything that can be observed afterwards: what both returned, what is left, and how it goes on from there.
    type Seen: PartialEq + Debug;

    /// Prepares the same situation anew, hands operation and interrupt to `interleave`, and observes the result.
    /// `interleave` calls each of them once.
    fn meet(&self, interleave: &mut dyn FnMut(Interrupt<'_>, &mut dyn FnMut())) -> Self::Seen;

    /// Whether `seen` is allowed, although it differs from both orders: the interrupt `before` the operation, and the
    /// interrupt `after` it.
    fn permits(&self, seen: &Self::Seen, before: &Self::Seen, after: &Self::Seen) -> bool;
}

/// Bytes of the program text that can be marked, in instructions of two bytes. The Cortex-M0 has little RAM for the marks.
const TEXT: usize = if cfg!(target_arch = "arm") { 1 << 17 } else { 1 << 18 };

/// Which instructions were interrupted.
struct Marks([u32; TEXT / 2 / 32]);

impl Marks {
    /// Marks an address. `true`: it was not marked yet.
    fn mark(&mut self, address: u32) -> bool {
        // On RISC-V the first hexadecimal digit of an address only says that it is in RAM.
        let at = (address & 0x0FFF_FFFF) as usize / 2;
        let word = self.0.get_mut(at / 32).expect("code within the text that is marked");
        let bit = 1 << (at % 32);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// The result of a sweep.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    /// Offsets at which an interrupt was tried, all of them within the operation.
    pub(crate) offsets: u32,
    /// Offsets at which the interrupt came at the same instruction as at the offset before. In a critical section it
    /// waits for the end.
    pub(crate) waited: u32,
    /// Different instructions that were interrupted.
    pub(crate) distinct: u32,
    /// Offsets at which the result belonged to neither order, but was allowed.
    pub(crate) permitted: u32,
    /// Offsets at which the result was wrong.
    pub(crate) violations: u32,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.offsets += other.offsets;
        self.waited += other.waited;
        self.distinct += other.distinct;
        self.permitted += other.permitted;
        self.violations += other.violations;
    }
}

pub(crate) struct Sweeper {
    gun: Gun,
    marks: Marks,
    /// For how many meetings the first violation may still be printed.
    pub(crate) to_print: u32,
}

impl Sweeper {
    pub(crate) fn new() -> Self {
        Self { gun: Gun::new(), marks: Marks([0; TEXT / 2 / 32]), to_print: 20 }
    }

    /// Begins to count different instructions anew.
    pub(crate) fn forget(&mut self) {
        self.marks.0.fill(0);
    }

    /// Tries every offset, until an offset is past the end of the operation.
    #[inline(never)]
    pub(crate) fn sweep<M: Meeting>(&mut self, meeting: &M) -> Count {
        let before = meeting.meet(&mut |interrupt, operation| {
            interrupt();
            operation();
        });
        let after = meeting.meet(&mut |interrupt, operation| {
            operation();
            interrupt();
        });
        let mut count = Count::default();
        let mut last = 0;
        for offset in 1.. {
            let mut landed = Landed::After;
            let seen = meeting.meet(&mut |interrupt, operation| landed = self.gun.fire(offset, interrupt, operation));
            let Landed::Within(at) = landed else { break };
            count.offsets += 1;
            count.waited += u32::from(at == last);
            last = at;
            count.distinct += u32::from(self.marks.mark(at));
            if seen == before || seen == after {
                continue;
            }
            if meeting.permits(&seen, &before, &after) {
                count.permitted += 1;
                continue;
            }
            count.violations += 1;
            if count.violations == 1 && self.to_print > 0 {
                self.to_print -= 1;
                board::println!("{meeting:?}, offset {offset}, at {at:#x}:");
                board::println!("  seen   {seen:?}\n  before {before:?}\n  after  {after:?}");
            }
        }
        count
    }
}
