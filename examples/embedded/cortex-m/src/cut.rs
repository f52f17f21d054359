//! An interrupt in the middle of an operation, so many instructions from its start: for a look at the memory there, or
//! for a reset. Under QEMU's `-icount` an instruction takes 2^shift ns of virtual time. `riscv` has the same.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use cortex_m::peripheral::{Peripherals, SCB, SYST, syst::SystClkSource};
use critical_section::Mutex;

/// What the interrupt does, if one is out.
type Shot = Cell<Option<fn()>>;

static SHOT: Mutex<Shot> = Mutex::new(Cell::new(None));
/// Whether the shot came. Written by the handler alone while one is out.
static CAME: AtomicBool = AtomicBool::new(false);

/// SysTick, for one interrupt at a time; until then it is embassy's.
pub struct Cut {
    systick: SYST,
    nanoseconds: u64,
}

/// How many instructions [`nothing`] has, at least.
const NOTHING: u64 = 128;

/// In a function of its own: the compiler takes a repeated instruction for one, and on Cortex-M0 it would place what
/// stands behind it out of its reach.
#[inline(never)]
fn nothing() {
    // SAFETY: does nothing.
    unsafe { core::arch::asm!(".rept 128", "nop", ".endr") };
}

impl Cut {
    /// Takes SysTick, and measures how long an instruction takes.
    #[expect(clippy::new_without_default, reason = "once in a program")]
    pub fn new() -> Self {
        let mut systick = Peripherals::take().expect("nobody else took the peripherals").SYST;
        systick.disable_interrupt();
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(0x00FF_FFFF);
        systick.clear_current();
        systick.enable_counter();
        let before = SYST::get_current();
        nothing();
        let counts = before.wrapping_sub(SYST::get_current()) & 0x00FF_FFFF;
        let nanoseconds = u64::from(counts) * 1_000_000_000 / u64::from(crate::CORE_HZ) / NOTHING;
        // A power of two, by `-icount`; measured a little too long.
        Self { systick, nanoseconds: 1 << nanoseconds.max(1).ilog2() }
    }

    /// Whether it can interrupt at each instruction: the timer is no coarser.
    pub fn is_exact(&self) -> bool {
        self.nanoseconds * u64::from(crate::CORE_HZ) >= 1_000_000_000
    }

    /// Runs `operation`, and `interrupt` as an interrupt when `after` instructions have been executed since the timer
    /// was started, a few of which are this function's. `false` if the operation was over by then.
    #[inline(never)]
    pub fn within(&mut self, after: u32, interrupt: fn(), operation: impl FnOnce()) -> bool {
        CAME.store(false, Ordering::Relaxed);
        critical_section::with(|cs| SHOT.borrow(cs).set(Some(interrupt)));
        // Rounded down it still ends within the instruction before, and never within an earlier one.
        let counts = u64::from(after) * self.nanoseconds * u64::from(crate::CORE_HZ) / 1_000_000_000;
        self.systick.set_reload(u32::try_from(counts).expect("24 bits").max(1));
        self.systick.clear_current();
        self.systick.enable_interrupt();
        self.systick.enable_counter();
        compiler_fence(Ordering::SeqCst);
        operation();
        compiler_fence(Ordering::SeqCst);
        let came = CAME.load(Ordering::Relaxed);
        stop();
        critical_section::with(|cs| SHOT.borrow(cs).set(None));
        came
    }
}

/// No more interrupts, and forgets one that is on its way.
fn stop() {
    /// Off, and by the processor's clock.
    const CLKSOURCE: u32 = 1 << 2;
    // SAFETY: SysTick's control register, which nobody writes to while a shot is out.
    unsafe { (*SYST::PTR).csr.write(CLKSOURCE) };
    SCB::clear_pendst();
}

/// Lets embassy's time run instead. Once, before anything waits.
pub fn start_time() {
    crate::time::start(&mut Peripherals::take().expect("nobody else took the peripherals").SYST);
}

/// The handler's part.
#[doc(hidden)]
pub fn interrupted() {
    match critical_section::with(|cs| SHOT.borrow(cs).take()) {
        Some(interrupt) => {
            stop();
            CAME.store(true, Ordering::Relaxed);
            interrupt();
        }
        None => crate::time::tick(),
    }
}

/// Defines the timer's handler, once in a program that uses [`Cut`] or [`start_time`].
#[macro_export]
macro_rules! cut_handler {
    () => {
        #[cortex_m_rt::exception]
        fn SysTick() {
            $crate::cut::interrupted();
        }
    };
}
