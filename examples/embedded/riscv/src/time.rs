//! embassy-time's driver on the CLINT of QEMU's `virt`: a 10 MHz counter with a compare register, so it needs no tick.
//!
//! The driver counts in microseconds, but its time moves in whole milliseconds, and it wakes tasks at these. The
//! reason: QEMU is an instruction late now and then, when the host is busy. The next millisecond makes up for that.
//! Otherwise the delays would add up, until one run differed from the others.

use core::cell::{Cell, RefCell};
use core::ptr;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;
const MTIME: *const u32 = 0x0200_BFF8 as *const u32;
/// Ticks in a millisecond, and counts of the machine's timer in one.
const TICKS: u64 = TICK_HZ / 1000;
const COUNTS: u64 = 10_000;

/// All 64 bits of the machine's timer. It reads high, low and high again, until both readings of high agree.
pub fn machine_time() -> u64 {
    loop {
        // SAFETY: the addresses are those of the timer's registers, which may be read at any time.
        let (high, low, again) =
            unsafe { (ptr::read_volatile(MTIME.add(1)), ptr::read_volatile(MTIME), ptr::read_volatile(MTIME.add(1))) };
        if high == again {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Sets when the machine's timer interrupts next.
pub fn set_machine_alarm(at: u64) {
    // SAFETY: the address is that of the compare register. While its low half changes, its high half is the largest, so
    // the alarm never comes too soon.
    unsafe {
        ptr::write_volatile(MTIMECMP.add(1), u32::MAX);
        ptr::write_volatile(MTIMECMP, at as u32);
        ptr::write_volatile(MTIMECMP.add(1), (at >> 32) as u32);
    }
}

struct Clint {
    /// For how many of the machine's counts time stood still.
    frozen: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: Clint = Clint {
    frozen: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl Clint {
    /// Wakes the tasks that are due, and sets the alarm for the next deadline. If that is already past, the timer
    /// interrupts at once.
    fn expire(&self, cs: CriticalSection<'_>, queue: &mut Queue) {
        let next = queue.next_expiration(self.now()).div_ceil(TICKS);
        set_machine_alarm(next.saturating_mul(COUNTS).saturating_add(self.frozen.borrow(cs).get()));
    }
}

impl Driver for Clint {
    fn now(&self) -> u64 {
        critical_section::with(|cs| (machine_time() - self.frozen.borrow(cs).get()) / COUNTS * TICKS)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let mut queue = self.queue.borrow(cs).borrow_mut();
            if queue.schedule_wake(at, waker) {
                self.expire(cs, &mut queue);
            }
        });
    }
}

/// Handles the alarm. The program's `MachineTimer` handler calls this.
pub fn tick() {
    critical_section::with(|cs| DRIVER.expire(cs, &mut DRIVER.queue.borrow(cs).borrow_mut()));
}

/// Allows the timer to interrupt. Call it once, before anything waits.
pub fn start() {
    set_machine_alarm(u64::MAX);
    // SAFETY: the handler exists, and no critical section is held.
    unsafe {
        riscv::register::mie::set_mtimer();
        riscv::interrupt::enable();
    }
}

/// Runs `what` while time stands still. The driver leaves out what the machine's timer counts meanwhile.
#[cfg(feature = "modem")]
pub(crate) fn frozen<T>(cs: CriticalSection<'_>, what: impl FnOnce() -> T) -> T {
    let before = machine_time();
    let result = what();
    let frozen = DRIVER.frozen.borrow(cs);
    frozen.set(frozen.get() + (machine_time() - before));
    DRIVER.expire(cs, &mut DRIVER.queue.borrow(cs).borrow_mut());
    result
}
