//! A reset of the whole machine, as a watchdog makes it: RAM keeps its contents, everything else starts anew.

use core::ptr;

use crate::time::{machine_time, set_machine_alarm};

/// The `sifive_test` device of QEMU's `virt`, and the value that resets the machine.
const TEST: *mut u32 = 0x0010_0000 as *mut u32;
const RESET: u32 = 0x7777;

/// Resets the machine.
pub fn system() -> ! {
    riscv::interrupt::disable();
    // While the machine resets, no processor runs. Under `-icount sleep=off` QEMU then moves its clock to the next
    // alarm. An alarm at the end of time is too far away: QEMU would hang.
    set_machine_alarm(machine_time() + 10_000);
    // SAFETY: the device's register, which takes a write at any time.
    unsafe { ptr::write_volatile(TEST, RESET) };
    // The reset takes effect a few instructions later.
    loop {
        core::hint::spin_loop();
    }
}
