//! The mps2's UART (of the CMSDK), polled. It is `modem`'s only way to the host.

use core::ptr;

const DATA: *mut u32 = 0x4000_4000 as *mut u32;
const STATE: *mut u32 = 0x4000_4004 as *mut u32;
const CONTROL: *mut u32 = 0x4000_4008 as *mut u32;
const BAUD_DIVIDER: *mut u32 = 0x4000_4010 as *mut u32;
/// Bits of the state: no more can be sent now; something was received.
const FULL: u32 = 1 << 0;
const RECEIVED: u32 = 1 << 1;

fn read(register: *mut u32) -> u32 {
    // SAFETY: one of the registers above.
    unsafe { ptr::read_volatile(register) }
}

fn write(register: *mut u32, value: u32) {
    // SAFETY: one of the registers above, none of which touches memory.
    unsafe { ptr::write_volatile(register, value) };
}

/// Switches both directions on, as fast as it goes.
pub(crate) fn start() {
    write(BAUD_DIVIDER, 16);
    write(CONTROL, 0b11);
}

/// Sends a byte.
pub(crate) fn put(byte: u8) {
    while read(STATE) & FULL != 0 {}
    write(DATA, byte.into());
}

/// Waits for a byte.
pub(crate) fn get() -> u8 {
    while read(STATE) & RECEIVED == 0 {}
    read(DATA) as u8
}
