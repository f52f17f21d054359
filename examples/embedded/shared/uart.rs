//! A UART. Its other end is a simulator on the host that lives in the board's virtual time.
//!
//! A real board has its vendor crate's buffered UART here, with the same traits. The application above cannot tell the
//! difference. Under QEMU the host's time means nothing: the board's time passes as instructions are executed, or at
//! once while the board sleeps. So board and simulator take turns. The serial line carries the bytes of the dialogue in
//! frames (little-endian):
//!
//! | board to simulator | simulator to board |
//! | --- | --- |
//! | what: 0 poll, 1 bytes that were sent, 2 an account | `u32`: ms of its next own action, all ones for never |
//! | `u32`: now in ms | pins, a bit each |
//! | `u8`: how many bytes follow; the bytes | `u8`: how many bytes follow; the bytes, received now |
//!
//! While the board waits for an answer, its time stands still, interrupts are masked, and nothing else happens. The
//! answer says when to ask again. So each run is the same, however busy the host is. A silent modem costs no real time,
//! because the board sleeps meanwhile.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::{Context, Poll};

use critical_section::{CriticalSection, Mutex};
use embassy_sync::waitqueue::WakerRegistration;
use embassy_time::Instant;
use embedded_io_async::{ErrorType, Read, Write};
use heapless::Deque;

use crate::{interrupts, serial, time};

/// The most bytes of a frame.
const FRAME: usize = 64;
const NEVER: u32 = u32::MAX;

#[derive(Clone, Copy)]
#[repr(u8)]
enum What {
    Poll = 0,
    Sent = 1,
    Account = 2,
}

struct Line {
    received: Deque<u8, { 2 * FRAME }>,
    /// When to ask the simulator, in ms.
    next: u32,
    pins: u8,
    reader: WakerRegistration,
}

static LINE: Mutex<RefCell<Line>> =
    Mutex::new(RefCell::new(Line { received: Deque::new(), next: 0, pins: 0, reader: WakerRegistration::new() }));

fn now() -> u32 {
    Instant::now().as_millis() as u32
}

impl Line {
    /// Gives the simulator a turn.
    fn exchange(&mut self, cs: CriticalSection<'_>, what: What, bytes: &[u8]) {
        let now = now();
        let before = self.pins;
        time::frozen(cs, || {
            serial::put(what as u8);
            for byte in now.to_le_bytes() {
                serial::put(byte);
            }
            serial::put(bytes.len() as u8);
            for &byte in bytes {
                serial::put(byte);
            }
            self.next = u32::from_le_bytes([(); 4].map(|()| serial::get()));
            self.pins = serial::get();
            for _ in 0..serial::get() {
                self.received.push_back(serial::get()).expect("the UART's buffer is large enough");
            }
        });
        if self.pins != before {
            interrupts::raise_pins();
        }
        // The reader takes what was received, or waits until the new `next`.
        self.reader.wake();
    }

    fn poll_read(&mut self, cs: CriticalSection<'_>, context: &Context<'_>, buffer: &mut [u8]) -> Poll<usize> {
        if self.received.is_empty() && now() >= self.next {
            self.exchange(cs, What::Poll, &[]);
        }
        if self.received.is_empty() {
            self.reader.register(context.waker());
            if self.next != NEVER {
                let at = Instant::from_millis(self.next.into());
                embassy_time_driver::schedule_wake(at.as_ticks(), context.waker());
            }
            return Poll::Pending;
        }
        let mut count = 0;
        while count < buffer.len()
            && let Some(byte) = self.received.pop_front()
        {
            buffer[count] = byte;
            count += 1;
        }
        Poll::Ready(count)
    }
}

/// The receiving half. One task reads.
#[derive(Debug)]
pub struct Rx(());

/// The sending half.
#[derive(Debug)]
pub struct Tx(());

/// Switches the UART on. Once.
pub fn start() -> (Rx, Tx) {
    serial::start();
    (Rx(()), Tx(()))
}

/// The modem's pins, a bit each.
pub fn pins() -> u8 {
    critical_section::with(|cs| LINE.borrow(cs).borrow().pins)
}

/// Tells the simulator what the program has counted. `false`: the simulator has counted otherwise.
pub fn account(words: &[u32; 8]) -> bool {
    critical_section::with(|cs| {
        let mut line = LINE.borrow(cs).borrow_mut();
        line.received.clear();
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        line.exchange(cs, What::Account, &bytes);
        line.received.pop_front() == Some(1)
    })
}

impl ErrorType for Rx {
    type Error = Infallible;
}

impl ErrorType for Tx {
    type Error = Infallible;
}

impl Read for Rx {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        Ok(poll_fn(|context| critical_section::with(|cs| LINE.borrow(cs).borrow_mut().poll_read(cs, context, buffer)))
            .await)
    }
}

impl Write for Tx {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let bytes = &bytes[..bytes.len().min(FRAME)];
        critical_section::with(|cs| LINE.borrow(cs).borrow_mut().exchange(cs, What::Sent, bytes));
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
