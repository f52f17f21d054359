//! The RISC-V machine that QEMU emulates, behind the functions that the stories need. `cortex-m` has the same
//! functions.
#![no_std]

#[cfg(feature = "modem")]
#[path = "../../shared/executor.rs"]
pub mod executor;
pub mod icount;
#[cfg(feature = "modem")]
#[doc(hidden)]
pub mod interrupts;
pub mod reset;
#[cfg(feature = "modem")]
mod serial;
pub mod shot;
pub mod time;
#[cfg(feature = "modem")]
#[path = "../../shared/uart.rs"]
pub mod uart;

#[cfg(feature = "defmt")]
use defmt_semihosting as _;

pub use riscv_rt::entry;
pub use semihosting::{eprintln, println, process::exit};

#[cfg(feature = "defmt")]
defmt::timestamp!("{=u64:tms}", embassy_time::Instant::now().as_millis());

/// The target that this was built for.
pub const TARGET: &str = env!("BOARD_TARGET");

/// [`icount::Counter`] checks itself with these.
#[inline(always)]
fn eight_instructions() {
    // SAFETY: the instructions do nothing.
    unsafe { core::arch::asm!(".rept 8", "nop", ".endr", options(nomem, nostack, preserves_flags)) }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    exit(101)
}

// SAFETY: riscv-rt calls the function of this name, with this signature.
#[unsafe(export_name = "ExceptionHandler")]
fn exception(_: &riscv_rt::TrapFrame) -> ! {
    let at = riscv::register::mepc::read();
    eprintln!("trap {:?} at {at:#x}", riscv::register::mcause::read().code());
    exit(102)
}

/// Starts the time. Call it once, before anything waits.
pub fn start() {
    time::start();
}
