//! An interrupt in the middle of an operation, so many instructions from its start: for a look at the memory there, or
//! for a reset. Under QEMU's `-icount` an instruction takes 2^shift ns of virtual time. `cortex-m` has the same.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use critical_section::Mutex;

use crate::time::{machine_time, set_machine_alarm};

/// Of a count of the machine's timer, in nanoseconds.
const COUNT: u64 = 100;

/// What the interrupt does, if one is out.
type Shot = Cell<Option<fn()>>;

static SHOT: Mutex<Shot> = Mutex::new(Cell::new(None));
/// Whether the shot came. Written by the handler alone while one is out.
static CAME: AtomicBool = AtomicBool::new(false);

/// The machine's timer, for one interrupt at a time; until then it is embassy's.
pub struct Cut {
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
    /// Allows the timer to interrupt, and measures how long an instruction takes.
    #[expect(clippy::new_without_default, reason = "as that of the other boards")]
    pub fn new() -> Self {
        crate::time::start();
        let before = machine_time();
        nothing();
        let nanoseconds = (machine_time() - before) * COUNT / NOTHING;
        // A power of two, by `-icount`; measured a little too long.
        Self { nanoseconds: 1 << nanoseconds.max(1).ilog2() }
    }

    /// Whether it can interrupt at each instruction: the timer is no coarser.
    pub fn is_exact(&self) -> bool {
        self.nanoseconds >= 2 * COUNT
    }

    /// Runs `operation`, and `interrupt` as an interrupt when `after` instructions have been executed since the timer
    /// was started, a few of which are this function's. `false` if the operation was over by then.
    #[inline(never)]
    pub fn within(&mut self, after: u32, interrupt: fn(), operation: impl FnOnce()) -> bool {
        CAME.store(false, Ordering::Relaxed);
        critical_section::with(|cs| SHOT.borrow(cs).set(Some(interrupt)));
        // At the middle of the instruction before: where it begins within a count is not known.
        set_machine_alarm(machine_time() + (u64::from(after) * 2 - 1) * self.nanoseconds / (2 * COUNT));
        compiler_fence(Ordering::SeqCst);
        operation();
        compiler_fence(Ordering::SeqCst);
        let came = CAME.load(Ordering::Relaxed);
        set_machine_alarm(u64::MAX);
        critical_section::with(|cs| SHOT.borrow(cs).set(None));
        came
    }
}

/// Lets embassy's time run instead. Once, before anything waits.
pub fn start_time() {
    crate::time::start();
}

/// The handler's part.
#[doc(hidden)]
pub fn interrupted() {
    match critical_section::with(|cs| SHOT.borrow(cs).take()) {
        Some(interrupt) => {
            set_machine_alarm(u64::MAX);
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
        #[riscv_rt::core_interrupt(riscv::interrupt::Interrupt::MachineTimer)]
        fn cut_timer() {
            $crate::cut::interrupted();
        }
    };
}
