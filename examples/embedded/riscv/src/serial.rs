//! The board's UART (an NS16550), polled. It is `modem`'s only way to the host.

use core::ptr;

/// Data, both ways.
const DATA: *mut u8 = 0x1000_0000 as *mut u8;
const FIFO_CONTROL: *mut u8 = 0x1000_0002 as *mut u8;
const LINE_STATUS: *mut u8 = 0x1000_0005 as *mut u8;
const RECEIVED: u8 = 1 << 0;
const FREE: u8 = 1 << 5;

fn status() -> u8 {
    // SAFETY: the address is that of a register of the UART. Reading it has no effect that matters here.
    unsafe { ptr::read_volatile(LINE_STATUS) }
}

/// Switches its buffers on.
pub(crate) fn start() {
    // SAFETY: a register of the UART.
    unsafe { ptr::write_volatile(FIFO_CONTROL, 1) };
}

/// Sends a byte.
pub(crate) fn put(byte: u8) {
    while status() & FREE == 0 {}
    // SAFETY: a register of the UART.
    unsafe { ptr::write_volatile(DATA, byte) };
}

/// Waits for a byte.
pub(crate) fn get() -> u8 {
    while status() & RECEIVED == 0 {}
    // SAFETY: a register of the UART.
    unsafe { ptr::read_volatile(DATA) }
}
