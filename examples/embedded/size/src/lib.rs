//! The parts that all of these programs have, with or without a breaker: a radio, a timer, a panic handler.
#![no_std]

#[cfg(feature = "defmt")]
mod log;

use core::sync::atomic::{AtomicU32, Ordering};

// This links its critical sections. They replace compare-exchange on cores that have none.
#[cfg(target_arch = "arm")]
use cortex_m as _;
#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
use microbreaker::{Clock, TickRate, Ticks};
#[cfg(target_arch = "riscv32")]
use riscv as _;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;

/// Stands for a peripheral. The compiler knows neither the value of a read nor who reads a written value.
static REGISTER: AtomicU32 = AtomicU32::new(0);

/// Stands for a dialogue with the modem.
#[inline(never)]
pub fn send() -> bool {
    REGISTER.load(Ordering::Relaxed) & 1 == 0
}

/// Stands for a sleep.
#[inline(never)]
pub fn sleep(ticks: u32) {
    REGISTER.store(ticks, Ordering::Relaxed);
}

/// Stands for a timer of about a kilohertz.
#[derive(Debug)]
pub struct Uptime;

impl Clock for Uptime {
    const RATE: TickRate = TickRate::new(15_625, 16);

    #[inline]
    fn now(&self) -> Ticks {
        Ticks::new(REGISTER.load(Ordering::Relaxed))
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        sleep(0);
    }
}

/// A firmware that asks its breaker before each call. The settings are live, or `fixed`.
#[macro_export]
macro_rules! guarded {
    (fixed $window:ty, $config:expr $(, $also:expr)?) => {
        struct Settings;
        impl microbreaker::Policy for Settings {
            const CONFIG: microbreaker::Config = $config;
        }
        static BREAKER: microbreaker::Breaker<microbreaker::Fixed<$window, Settings>, $crate::Uptime> =
            microbreaker::Breaker::fixed($crate::Uptime);
        $crate::calls!($($also)?);
    };
    ($window:ty, $config:expr $(, $also:expr)?) => {
        static BREAKER: microbreaker::Breaker<$window, $crate::Uptime> =
            microbreaker::Breaker::new($config, $crate::Uptime);
        $crate::calls!($($also)?);
    };
}

/// The main loop of such a firmware.
#[macro_export]
macro_rules! calls {
    ($($also:expr)?) => {
        #[$crate::entry]
        fn main() -> ! {
            loop {
                match BREAKER.acquire() {
                    Ok(permit) => {
                        if $crate::send() { permit.success() } else { permit.failure() };
                        $crate::sleep(1000);
                    }
                    Err(rejected) => $crate::sleep(rejected.retry_in_ticks().unwrap_or(u32::MAX)),
                }
                $($also(&BREAKER);)?
            }
        }
    };
}
