//! The two interrupts of the stories that run [executors](crate::executor). No device of these boards raises them.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

/// The executor's, and that of the pins.
#[derive(Clone, Copy)]
#[repr(u16)]
enum Software {
    Tasks = 30,
    Pins = 31,
}

// SAFETY: the number is always the same, and each of these processors has that interrupt.
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

/// Halts until an interrupt is pending, even a masked one.
pub(crate) fn wait() {
    cortex_m::asm::wfi();
}

/// Allows the interrupts. The tasks have the lowest priority, then come the pins. The timer keeps its initial priority,
/// the highest.
pub(crate) fn start() {
    // SAFETY: nobody else changes priorities, and the first interrupt comes later.
    let mut nvic = unsafe { cortex_m::Peripherals::steal() }.NVIC;
    // SAFETY: as above. No critical section relies on priorities here.
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

        // SAFETY: it handles the two interrupts that the board allows, and no other comes.
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
