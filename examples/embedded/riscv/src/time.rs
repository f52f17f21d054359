//! embassy-time's driver on the CLINT of QEMU's `virt`: a 10 MHz counter with a compare register, so no ticks.

use core::cell::RefCell;
use core::ptr;
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;
const MTIME: *const u32 = 0x0200_BFF8 as *const u32;
/// Counts of the machine's timer in a tick.
const COUNTS: u64 = 10_000_000 / TICK_HZ;

/// The machine's timer, whole: high, low and high again until they agree.
pub fn machine_time() -> u64 {
    loop {
        // SAFETY: the timer's registers, which may be read at any time.
        let (high, low, again) =
            unsafe { (ptr::read_volatile(MTIME.add(1)), ptr::read_volatile(MTIME), ptr::read_volatile(MTIME.add(1))) };
        if high == again {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// When the machine's timer interrupts next.
#[expect(clippy::cast_possible_truncation, reason = "the low half")]
pub fn set_machine_alarm(at: u64) {
    // SAFETY: the compare register; its high half is never too soon while the low one changes.
    unsafe {
        ptr::write_volatile(MTIMECMP.add(1), u32::MAX);
        ptr::write_volatile(MTIMECMP, at as u32);
        ptr::write_volatile(MTIMECMP.add(1), (at >> 32) as u32);
    }
}

struct Clint {
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: Clint = Clint { queue: Mutex::new(RefCell::new(Queue::new())) });

impl Clint {
    /// Wakes what is due and sets the alarm for the next; one already past interrupts at once.
    fn expire(&self, queue: &mut Queue) {
        set_machine_alarm(queue.next_expiration(self.now()).saturating_mul(COUNTS));
    }
}

impl Driver for Clint {
    fn now(&self) -> u64 {
        machine_time() / COUNTS
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let mut queue = self.queue.borrow(cs).borrow_mut();
            if queue.schedule_wake(at, waker) {
                self.expire(&mut queue);
            }
        });
    }
}

/// The alarm went off. For the `MachineTimer` handler, which belongs to the program.
pub fn tick() {
    critical_section::with(|cs| DRIVER.expire(&mut DRIVER.queue.borrow(cs).borrow_mut()));
}

/// Allows the timer to interrupt. Once, before anything waits.
pub fn start() {
    set_machine_alarm(u64::MAX);
    // SAFETY: the handler exists, and no critical section is being held.
    unsafe {
        riscv::register::mie::set_mtimer();
        riscv::interrupt::enable();
    }
}
