//! An interrupt at a chosen instruction. Needs `ICOUNT=shift=10`: an instruction then takes 1024 ns of virtual time,
//! and a one-shot SysTick comes when so many have been executed. `riscv` has the same module.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use cortex_m::peripheral::{Peripherals, SCB, SYST, syst::SystClkSource};
use critical_section::Mutex;

/// What an interrupt does.
pub type Interrupt<'a> = &'a (dyn Fn() + Sync);

static ARMED: Mutex<Cell<Option<Interrupt<'static>>>> = Mutex::new(Cell::new(None));
/// The instruction before which the interrupt came. 0: it has not come yet. While a shot is pending, only the handler
/// writes this.
static AT: AtomicU32 = AtomicU32::new(0);

/// SysTick, for one shot at a time.
pub struct Gun {
    systick: SYST,
}

/// Where a shot landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landed {
    /// Within the operation, before the instruction at this address.
    Within(u32),
    /// After the end of the operation, or not at all.
    After,
}

impl Gun {
    /// Takes the processor's peripherals: SysTick belongs to the gun from now on. The program defines the handler by
    /// [`shot_handler`](crate::shot_handler). Panics if time does not pass as the gun needs.
    #[expect(clippy::new_without_default, reason = "once in a program")]
    pub fn new() -> Self {
        let mut systick = Peripherals::take().expect("nobody else took the peripherals").SYST;
        systick.set_clock_source(SystClkSource::Core);
        let mut gun = Self { systick };
        gun.try_out();
        gun
    }

    fn try_out(&mut self) {
        let mut length = |operation: fn()| {
            let is_within = |&offset: &u32| self.fire(offset, &|| (), &mut || operation()) != Landed::After;
            (1..1000).take_while(is_within).count()
        };
        let eight = length(crate::eight_instructions) - length(|| ());
        assert_eq!(eight, 8, "run it with ICOUNT=shift=10");
    }

    /// Runs `operation`, and runs `interrupt` as an interrupt when `after` (1 to 600 000) instructions have been
    /// executed since the shot was armed. The first few of these are the last of this function.
    #[inline(never)]
    pub fn fire(&mut self, after: u32, interrupt: Interrupt<'_>, operation: &mut dyn FnMut()) -> Landed {
        // SAFETY: nobody but the handler calls `interrupt`, and it is removed from `ARMED` before this function
        // returns.
        let interrupt = unsafe { core::mem::transmute::<Interrupt<'_>, Interrupt<'static>>(interrupt) };
        critical_section::with(|cs| ARMED.borrow(cs).set(Some(interrupt)));
        AT.store(0, Ordering::Relaxed);
        // The shot is aimed at the middle of the instruction before, so that no rounding moves it to a neighbour.
        let counts = (u64::from(after) * 2 - 1) * 512 * u64::from(crate::CORE_HZ) / 1_000_000_000;
        self.systick.set_reload(u32::try_from(counts).expect("24 bits").max(1));
        self.systick.clear_current();
        self.systick.enable_interrupt();
        self.systick.enable_counter();
        compiler_fence(Ordering::SeqCst);
        operation();
        compiler_fence(Ordering::SeqCst);
        let at = AT.load(Ordering::Relaxed);
        stop();
        critical_section::with(|cs| ARMED.borrow(cs).set(None));
        if at == 0 { Landed::After } else { Landed::Within(at) }
    }
}

/// Stops SysTick, and clears an interrupt that is pending already.
fn stop() {
    const PROCESSOR_CLOCK: u32 = 1 << 2;
    // SAFETY: this is SysTick's control register. SysTick and its handler belong to the gun, so nobody else writes to
    // it.
    unsafe { (*SYST::PTR).csr.write(PROCESSOR_CLOCK) };
    SCB::clear_pendst();
}

/// The handler's part, called with the address of the interrupted instruction.
#[doc(hidden)]
pub extern "C" fn landed(at: u32) {
    let Some(interrupt) = critical_section::with(|cs| ARMED.borrow(cs).take()) else {
        return crate::time::tick();
    };
    stop();
    AT.store(at, Ordering::Relaxed);
    interrupt();
}

/// Defines the handler of the [`Gun`]'s interrupt. A program that has a [`Gun`] uses this once. While no shot is
/// pending, the timer is embassy's.
#[macro_export]
macro_rules! shot_handler {
    () => {
        // SAFETY: the vector table has this name. On entry the interrupted address is the seventh word on the stack.
        // The jump leaves stack and link register as they are, so `landed` returns from the exception.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        #[allow(non_snake_case, reason = "its name")]
        unsafe extern "C" fn SysTick() {
            core::arch::naked_asm!(
                "ldr r0, [sp, #24]",
                "ldr r1, ={landed}",
                "bx r1",
                landed = sym $crate::shot::landed,
            )
        }
    };
}
