//! No breaker.
#![no_std]
#![no_main]

#[size::entry]
fn main() -> ! {
    loop {
        size::send();
        size::sleep(1000);
    }
}
