//! An interrupt at a chosen instruction. Needs `ICOUNT=shift=10`: an instruction then takes 1024 ns of virtual time,
//! and the machine's timer (of 100 ns) comes when so many have been executed. `cortex-m` has the same module.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use critical_section::Mutex;

use crate::time::{machine_time, set_machine_alarm};

/// What an interrupt does.
pub type Interrupt<'a> = &'a (dyn Fn() + Sync);

static ARMED: Mutex<Cell<Option<Interrupt<'static>>>> = Mutex::new(Cell::new(None));
/// The instruction before which the interrupt came. 0: it has not come yet. While a shot is pending, only the handler
/// writes this.
static AT: AtomicU32 = AtomicU32::new(0);

/// The machine's timer, for one shot at a time.
pub struct Gun {
    /// Instructions from the reading of the time until the shot is armed.
    lead: u32,
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
    /// Allows the timer to interrupt. The program defines the handler by [`shot_handler`](crate::shot_handler). Panics
    /// if time does not pass as the gun needs.
    #[expect(clippy::new_without_default, reason = "once in a program")]
    pub fn new() -> Self {
        crate::time::start();
        let mut gun = Self { lead: 0 };
        // Shots that are aimed too early all come as soon as they are armed.
        let soonest = gun.fire(1, &|| (), &mut || ());
        while gun.fire(2, &|| (), &mut || ()) == soonest {
            gun.lead += 1;
        }
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
        let counts = (u64::from(self.lead + after) * 2 - 1) * 512 / 100;
        set_machine_alarm(machine_time() + counts);
        compiler_fence(Ordering::SeqCst);
        operation();
        compiler_fence(Ordering::SeqCst);
        let at = AT.load(Ordering::Relaxed);
        set_machine_alarm(u64::MAX);
        critical_section::with(|cs| ARMED.borrow(cs).set(None));
        if at == 0 { Landed::After } else { Landed::Within(at) }
    }
}

/// The handler's part.
#[doc(hidden)]
pub fn landed() {
    let Some(interrupt) = critical_section::with(|cs| ARMED.borrow(cs).take()) else {
        return crate::time::tick();
    };
    set_machine_alarm(u64::MAX);
    let at = u32::try_from(riscv::register::mepc::read()).unwrap_or(u32::MAX);
    AT.store(at, Ordering::Relaxed);
    interrupt();
}

/// Defines the handler of the [`Gun`]'s interrupt. A program that has a [`Gun`] uses this once. While no shot is
/// pending, the timer is embassy's.
#[macro_export]
macro_rules! shot_handler {
    () => {
        #[riscv_rt::core_interrupt(riscv::interrupt::Interrupt::MachineTimer)]
        fn shot_landed() {
            $crate::shot::landed();
        }
    };
}
