//! The RISC-V machine that QEMU emulates, behind the functions that the stories need. `cortex-m` has the same.
#![no_std]

pub mod cut;
pub mod icount;
pub mod reset;
pub mod shot;
pub mod time;

pub use riscv_rt::entry;
pub use semihosting::{eprintln, println, process::exit};

/// What it was built for.
pub const TARGET: &str = env!("BOARD_TARGET");

/// What [`icount::Counter`] tries itself on.
#[inline(always)]
fn eight_instructions() {
    // SAFETY: they do nothing.
    unsafe { core::arch::asm!(".rept 8", "nop", ".endr", options(nomem, nostack, preserves_flags)) }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    eprintln!("{info}");
    exit(101)
}

// SAFETY: the name that riscv-rt calls, with its signature.
#[unsafe(export_name = "ExceptionHandler")]
fn exception(_: &riscv_rt::TrapFrame) -> ! {
    let at = riscv::register::mepc::read();
    eprintln!("trap {:?} at {at:#x}", riscv::register::mcause::read().code());
    exit(102)
}
