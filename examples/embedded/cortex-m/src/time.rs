//! embassy-time's driver on SysTick: an interrupt a millisecond.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

struct SysTickDriver {
    now: Mutex<Cell<u64>>,
    next: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: SysTickDriver = SysTickDriver {
    now: Mutex::new(Cell::new(0)),
    next: Mutex::new(Cell::new(u64::MAX)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

impl SysTickDriver {
    /// Wakes what is due and notes when the next is.
    fn expire(&self, cs: CriticalSection<'_>, queue: &mut Queue) {
        self.next.borrow(cs).set(queue.next_expiration(self.now.borrow(cs).get()));
    }
}

impl Driver for SysTickDriver {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.now.borrow(cs).get())
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

/// A millisecond passed. For the `SysTick` handler, which belongs to the program.
pub fn tick() {
    critical_section::with(|cs| {
        let now = DRIVER.now.borrow(cs).get() + 1;
        DRIVER.now.borrow(cs).set(now);
        if now >= DRIVER.next.borrow(cs).get() {
            DRIVER.expire(cs, &mut DRIVER.queue.borrow(cs).borrow_mut());
        }
    });
}

/// Starts the ticks. Once, before anything waits.
pub fn start(systick: &mut SYST) {
    systick.set_clock_source(SystClkSource::Core);
    #[expect(clippy::cast_possible_truncation, reason = "a thousand")]
    systick.set_reload(crate::CORE_HZ / TICK_HZ as u32 - 1);
    systick.clear_current();
    systick.enable_interrupt();
    systick.enable_counter();
}
