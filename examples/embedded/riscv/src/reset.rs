//! A reset of the whole machine, as a watchdog's is: RAM keeps its contents, everything else starts anew.

use core::ptr;

use crate::time::{machine_time, set_machine_alarm};

/// The `sifive_test` device of QEMU's `virt`, and what it takes for "reset".
const TEST: *mut u32 = 0x0010_0000 as *mut u32;
const RESET: u32 = 0x7777;

/// Resets the machine.
pub fn system() -> ! {
    riscv::interrupt::disable();
    // While it resets, no processor runs, and under `-icount sleep=off` QEMU then moves its clock to the next alarm. To
    // the end of time is too far: it would hang.
    set_machine_alarm(machine_time() + 10_000);
    // SAFETY: the device's register, which takes a write at any time.
    unsafe { ptr::write_volatile(TEST, RESET) };
    // It takes effect a few instructions on.
    loop {
        core::hint::spin_loop();
    }
}
