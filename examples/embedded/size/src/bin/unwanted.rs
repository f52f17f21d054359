//! The things that a breaker must not bring into firmware. They show that `measure` finds them. This is never run.
#![no_std]
#![no_main]

use core::fmt::{self, Write};
use core::hint::black_box;

use size::sleep;

struct Out;

impl Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| sleep(byte.into()));
        Ok(())
    }
}

#[size::entry]
fn main() -> ! {
    loop {
        let number: u32 = black_box(3);
        let quotient = black_box(u64::MAX) / u64::from(number).wrapping_mul(black_box(7));
        let product = black_box(1.5_f32) * black_box(2.5);
        let _ = write!(Out, "{quotient} {}", product > 3.0);
        sleep(black_box([1, 2, 3])[number as usize]);
    }
}
