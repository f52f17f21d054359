//! The Cortex-M machines that QEMU emulates, behind the functions that the stories need. `riscv` has the same
//! functions.
#![no_std]

#[cfg(feature = "modem")]
#[path = "../../shared/executor.rs"]
pub mod executor;
pub mod icount;
#[cfg(feature = "modem")]
mod interrupts;
pub mod reset;
#[cfg(feature = "modem")]
#[cfg_attr(cortex_m0, path = "nrf51.rs")]
#[cfg_attr(not(cortex_m0), path = "cmsdk.rs")]
mod serial;
pub mod shot;
pub mod time;
#[cfg(feature = "modem")]
#[path = "../../shared/uart.rs"]
pub mod uart;

#[cfg(feature = "defmt")]
use defmt_semihosting as _;

pub use cortex_m_rt::entry;
pub use semihosting::{eprintln, println, process::exit};

/// The target that this was built for.
pub const TARGET: &str = env!("BOARD_TARGET");

/// The clock of the processor and of SysTick, as QEMU emulates it.
pub const CORE_HZ: u32 = parse(env!("CORE_HZ"));

const fn parse(text: &str) -> u32 {
    let (text, mut at, mut number) = (text.as_bytes(), 0, 0);
    while at < text.len() {
        number = number * 10 + (text[at] - b'0') as u32;
        at += 1;
    }
    number
}

#[cfg(feature = "defmt")]
defmt::timestamp!("{=u64:tms}", embassy_time::Instant::now().as_millis());

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

// SAFETY: the handler prints and ends the program, so nothing of the faulting program goes on.
#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    eprintln!("HardFault {frame:?}");
    exit(102)
}

/// Starts the time. Call it once, before anything waits.
pub fn start() {
    let mut peripherals = cortex_m::Peripherals::take().expect("once");
    time::start(&mut peripherals.SYST);
}
