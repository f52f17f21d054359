//! Boots and says so.
#![no_std]
#![no_main]

#[board::entry]
fn main() -> ! {
    board::println!("hello");
    board::exit(0)
}
