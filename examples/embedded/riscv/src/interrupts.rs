//! The interrupts of the stories that run [executors](crate::executor). Software raises them.

use core::ptr;

use riscv::register::{mie, mip};

const MSIP: *mut u32 = 0x0200_0000 as *mut u32;

pub(crate) fn raise_tasks() {
    // SAFETY: the address is that of the CLINT's register for this hart's software interrupt.
    unsafe { ptr::write_volatile(MSIP, 1) };
}

pub(crate) fn raise_pins() {
    // SAFETY: no interrupt is delegated, so this one calls machine mode's own handler.
    unsafe { mip::set_ssoft() };
}

#[doc(hidden)]
pub fn tasks() {
    // SAFETY: as above.
    unsafe { ptr::write_volatile(MSIP, 0) };
    crate::executor::on_interrupt();
}

#[doc(hidden)]
pub fn clear_pins() {
    // SAFETY: as above.
    unsafe { mip::clear_ssoft() };
}

/// Halts until an interrupt is pending, even a masked one.
pub(crate) fn wait() {
    riscv::asm::wfi();
}

/// Allows the interrupts.
pub(crate) fn start() {
    // SAFETY: the handlers of both interrupts exist, and no critical section is held.
    unsafe {
        mie::set_msoft();
        mie::set_ssoft();
        riscv::interrupt::enable();
    }
}

/// The handlers of a program that runs executors; `$pins` is called, in an interrupt, when a pin changed.
#[macro_export]
macro_rules! handlers {
    ($pins:path) => {
        #[riscv_rt::core_interrupt(riscv::interrupt::Interrupt::MachineTimer)]
        fn machine_timer() {
            $crate::time::tick();
        }

        #[riscv_rt::core_interrupt(riscv::interrupt::Interrupt::MachineSoft)]
        fn machine_soft() {
            $crate::interrupts::tasks();
        }

        #[riscv_rt::core_interrupt(riscv::interrupt::Interrupt::SupervisorSoft)]
        fn supervisor_soft() {
            $crate::interrupts::clear_pins();
            $pins();
        }
    };
}
