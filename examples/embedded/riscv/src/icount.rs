//! Counts executed instructions exactly: under `ICOUNT=shift=0` QEMU's `minstret` counts them. They are instructions,
//! not cycles.

/// Counts what a closure executes, less what an empty one does.
#[derive(Debug)]
pub struct Counter {
    empty: u32,
}

#[inline(always)]
fn instructions() -> u32 {
    let count: u32;
    // SAFETY: reads a counter.
    unsafe { core::arch::asm!("csrr {0}, minstret", out(reg) count) };
    count
}

impl Counter {
    /// Measures the empty closure. Panics if instructions are not counted as the counter needs.
    #[inline(never)]
    #[expect(clippy::new_without_default, reason = "once in a program")]
    pub fn new() -> Self {
        let raw = Self { empty: 0 };
        let counter = Self { empty: core::hint::black_box(raw.count(|| ())) };
        let eight = counter.count_call(crate::eight_instructions) - counter.count_call(|| ());
        assert_eq!(eight, 8, "run it with ICOUNT=shift=0");
        counter
    }

    /// Measures every call at the same place, because the compiler puts different code around each inlined closure.
    #[inline(never)]
    fn count_call(&self, call: fn()) -> u32 {
        self.count(core::hint::black_box(call))
    }

    /// The instructions of `run`.
    #[inline(always)]
    pub fn count<T>(&self, run: impl FnOnce() -> T) -> u32 {
        let before = instructions();
        core::hint::black_box(run());
        instructions().wrapping_sub(before) - self.empty
    }
}
