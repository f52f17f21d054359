//! Executed instructions, exactly: under `-icount` QEMU's `minstret` counts them. Instructions, not cycles.

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
    /// Measures the empty closure.
    #[inline(never)]
    #[expect(clippy::new_without_default, reason = "as that of the other boards")]
    pub fn new() -> Self {
        let raw = Self { empty: 0 };
        Self { empty: core::hint::black_box(raw.count(|| ())) }
    }

    /// The instructions of `run`.
    #[inline(always)]
    pub fn count<T>(&self, run: impl FnOnce() -> T) -> u32 {
        let before = instructions();
        core::hint::black_box(run());
        instructions().wrapping_sub(before) - self.empty
    }
}
