//! No breaker, but a log.
#![no_std]
#![no_main]

#[size::entry]
fn main() -> ! {
    defmt::info!("up");
    loop {
        size::send();
        size::sleep(1000);
    }
}
