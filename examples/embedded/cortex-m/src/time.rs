//! embassy-time's driver on SysTick, without a periodic tick. SysTick counts down to the next deadline, or as far as
//! its 24 bits reach. So an hour of sleep takes QEMU a moment.
//!
//! Each new deadline loses a few processor clocks. A board on which that matters has a better timer.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

/// Processor clocks in a tick.
const CLOCKS: u32 = crate::CORE_HZ / TICK_HZ as u32;
/// The most ticks that SysTick counts at once.
const FAR: u32 = 0x00FF_FFFF / CLOCKS;
/// The shortest period in clocks. A deadline that is nearer is a little late.
const NEAR: u32 = 256;

/// The period that SysTick counts at present.
#[derive(Clone, Copy)]
struct Period {
    /// When the period began: whole ticks, and the clocks after them.
    ticks: u64,
    clocks: u32,
    /// How many clocks the period has. 0: before the start.
    length: u32,
}

impl Period {
    /// The time now. At the end of a period SysTick begins another one of the same length, and the exception is pending
    /// until [`tick`] has run.
    fn now(self) -> (u64, u32) {
        if self.length == 0 {
            return (0, 0);
        }
        let left = SYST::get_current();
        let passed = if SCB::is_pendst_pending() {
            // We read again, because the first reading may be from before the end of the period.
            2 * self.length - SYST::get_current()
        } else {
            self.length - left
        };
        let clocks = self.clocks + passed;
        (self.ticks + u64::from(clocks / CLOCKS), clocks % CLOCKS)
    }
}

struct SysTickDriver {
    period: Mutex<Cell<Period>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: SysTickDriver = SysTickDriver {
    period: Mutex::new(Cell::new(Period { ticks: 0, clocks: 0, length: 0 })),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl SysTickDriver {
    /// Wakes the tasks that are due, and counts down to the next deadline.
    fn expire(&self, cs: CriticalSection<'_>, queue: &mut Queue) {
        let period = self.period.borrow(cs);
        let next = queue.next_expiration(period.get().now().0);
        let (ticks, clocks) = period.get().now();
        let ahead = next.saturating_sub(ticks).min(u64::from(FAR)) as u32;
        let length = (ahead * CLOCKS).saturating_sub(clocks).max(NEAR);
        // SAFETY: the counter is this driver's, and no other writes to it in a critical section.
        unsafe {
            (*SYST::PTR).rvr.write(length - 1);
            (*SYST::PTR).cvr.write(0);
        }
        // Zero would mean the end of a period, so we wait until the new period has begun.
        while SYST::get_current() == 0 {}
        // If the last period has ended, `ticks` and `clocks` include that already.
        SCB::clear_pendst();
        period.set(Period { ticks, clocks, length });
    }
}

impl Driver for SysTickDriver {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.period.borrow(cs).get().now().0)
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

/// Handles the end of a period. The program's `SysTick` handler calls this. A handler that asks for the time must not
/// interrupt it.
pub fn tick() {
    critical_section::with(|cs| {
        let period = DRIVER.period.borrow(cs);
        let Period { ticks, clocks, length } = period.get();
        let clocks = clocks + length;
        period.set(Period { ticks: ticks + u64::from(clocks / CLOCKS), clocks: clocks % CLOCKS, length });
        DRIVER.expire(cs, &mut DRIVER.queue.borrow(cs).borrow_mut());
    });
}

/// Begins to count. Call it once, before anything waits.
pub fn start(systick: &mut SYST) {
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(NEAR - 1);
    systick.clear_current();
    systick.enable_interrupt();
    systick.enable_counter();
    critical_section::with(|cs| DRIVER.expire(cs, &mut DRIVER.queue.borrow(cs).borrow_mut()));
}

/// Runs `what` while time stands still.
#[cfg(feature = "modem")]
pub(crate) fn frozen<T>(_: CriticalSection<'_>, what: impl FnOnce() -> T) -> T {
    const ENABLE: u32 = 1;
    // SAFETY: the counter is this driver's, and no other writes to it in a critical section.
    let counter = unsafe { &*SYST::PTR };
    // SAFETY: this stops the counter. Below it goes on where it stopped.
    unsafe { counter.csr.modify(|csr| csr & !ENABLE) };
    let result = what();
    // SAFETY: as above.
    unsafe { counter.csr.modify(|csr| csr | ENABLE) };
    result
}
