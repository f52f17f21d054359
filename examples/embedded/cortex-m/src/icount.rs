//! Counts executed instructions exactly, under `ICOUNT=shift=10`. An instruction then takes 1024 ns of virtual time,
//! which is 25.6 counts of SysTick at 25 MHz. So two readings tell how many instructions were executed between them.
//! They are instructions, not cycles.

use core::sync::atomic::{Ordering, compiler_fence};

use cortex_m::peripheral::{Peripherals, SYST, syst::SystClkSource};

/// Counts what a closure executes, less what an empty one does.
#[derive(Debug)]
pub struct Counter {
    empty: u32,
}

impl Counter {
    /// Takes the processor's peripherals: SysTick belongs to the counter from now on. Panics if time does not pass as
    /// the counter needs.
    #[inline(never)]
    #[expect(clippy::new_without_default, reason = "once in a program")]
    pub fn new() -> Self {
        let mut systick = Peripherals::take().expect("nobody else took the peripherals").SYST;
        systick.disable_interrupt();
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(0x00FF_FFFF);
        systick.clear_current();
        systick.enable_counter();
        let raw = Self { empty: 0 };
        let counter = Self { empty: core::hint::black_box(raw.count(|| ())) };
        let eight = counter.count_call(crate::eight_instructions) - counter.count_call(|| ());
        assert_eq!(eight, 8, "run it with ICOUNT=shift=10");
        counter
    }

    /// Measures every call at the same place, because the compiler puts different code around each inlined closure.
    #[inline(never)]
    fn count_call(&self, call: fn()) -> u32 {
        self.count(core::hint::black_box(call))
    }

    /// The instructions of `run`, up to some 600 000.
    #[inline(always)]
    pub fn count<T>(&self, run: impl FnOnce() -> T) -> u32 {
        let before = SYST::get_current();
        compiler_fence(Ordering::SeqCst);
        core::hint::black_box(run());
        compiler_fence(Ordering::SeqCst);
        let after = SYST::get_current();
        let counts = u64::from(before.wrapping_sub(after) & 0x00FF_FFFF);
        let nanos_by_hertz = u64::from(crate::CORE_HZ) << 10;
        let instructions = (counts * 1_000_000_000 + nanos_by_hertz / 2) / nanos_by_hertz;
        u32::try_from(instructions).unwrap_or(u32::MAX) - self.empty
    }
}
