//! The microbit's UART (of the nRF51), polled. It is `modem`'s only way to the host.

use core::ptr;

const START_RX: *mut u32 = 0x4000_2000 as *mut u32;
const START_TX: *mut u32 = 0x4000_2008 as *mut u32;
const RECEIVED: *mut u32 = 0x4000_2108 as *mut u32;
const SENT: *mut u32 = 0x4000_211C as *mut u32;
const ENABLE: *mut u32 = 0x4000_2500 as *mut u32;
const RXD: *mut u32 = 0x4000_2518 as *mut u32;
const TXD: *mut u32 = 0x4000_251C as *mut u32;

fn read(register: *mut u32) -> u32 {
    // SAFETY: one of the registers above.
    unsafe { ptr::read_volatile(register) }
}

fn write(register: *mut u32, value: u32) {
    // SAFETY: one of the registers above, none of which touches memory.
    unsafe { ptr::write_volatile(register, value) };
}

/// Waits for an event and clears it.
fn wait(event: *mut u32) {
    while read(event) == 0 {}
    write(event, 0);
}

/// Switches both directions on.
pub(crate) fn start() {
    write(ENABLE, 4);
    write(START_RX, 1);
    write(START_TX, 1);
}

/// Sends a byte.
pub(crate) fn put(byte: u8) {
    write(TXD, byte.into());
    wait(SENT);
}

/// Waits for a byte.
pub(crate) fn get() -> u8 {
    wait(RECEIVED);
    read(RXD) as u8
}
