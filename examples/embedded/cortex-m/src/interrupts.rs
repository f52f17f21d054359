//! The interrupts of the stories that run [executors](crate::executor): two that no device of these boards raises.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

/// The executor's, and that of the pins.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Software {
    Tasks = 30,
    Pins = 31,
}

// SAFETY: always the same number, of an interrupt that each of these processors has.
unsafe impl InterruptNumber for Software {
    fn number(self) -> u16 {
        self as u16
    }
}

pub(crate) fn raise_tasks() {
    NVIC::pend(Software::Tasks);
}

pub(crate) fn raise_pins() {
    NVIC::pend(Software::Pins);
}

/// Halts until an interrupt is pending; masked ones count.
pub(crate) fn wait() {
    cortex_m::asm::wfi();
}

/// Lets them in: the tasks lowest, the pins above, the timer above all as it begins.
pub(crate) fn start() {
    // SAFETY: nobody else changes priorities, and this is before the first interrupt.
    let mut nvic = unsafe { cortex_m::Peripherals::steal() }.NVIC;
    // SAFETY: as above; no critical section rests on priorities here.
    unsafe {
        nvic.set_priority(Software::Tasks, 0xC0);
        nvic.set_priority(Software::Pins, 0x40);
        NVIC::unmask(Software::Tasks);
        NVIC::unmask(Software::Pins);
    }
}

/// The handlers of a program that runs executors; `$pins` is called, in an interrupt, when a pin changed.
#[macro_export]
macro_rules! handlers {
    ($pins:path) => {
        #[cortex_m_rt::exception]
        fn SysTick() {
            $crate::time::tick();
        }

        // SAFETY: the two interrupts that the board lets in, and no other.
        #[cortex_m_rt::exception]
        unsafe fn DefaultHandler(number: i16) {
            match number {
                30 => $crate::executor::on_interrupt(),
                31 => $pins(),
                other => panic!("interrupt {other}"),
            }
        }
    };
}
