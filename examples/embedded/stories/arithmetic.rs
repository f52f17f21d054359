//! Converts durations and ticks into each other on the target, and compares the results with those of compile time.
//!
//! A compiler may be wrong: LLVM 22 compiled an earlier form of this division, by more than 32 bits, into a division
//! that gave wrong results on 32-bit RISC-V.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::time::Duration;

use microbreaker::{HORIZON, TickRate};

const RATES: [TickRate; 6] = [
    TickRate::new(1024, 1),
    TickRate::new(15_625, 16),
    TickRate::new(1000, 1),
    TickRate::new(1, u32::MAX),
    TickRate::new(u32::MAX, 4),
    TickRate::new(999_999_937, 1_000_003),
];

const fn durations() -> [Duration; 64] {
    let mut all = [Duration::ZERO; 64];
    let (mut at, mut random) = (0, 1_u64);
    while at < all.len() {
        // Marsaglia's xorshift. The result is shifted, so that there are durations of every length.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        all[at] = Duration::new(random >> 32 >> (at / 2), (random % 1_000_000_000) as u32);
        at += 1;
    }
    all[0] = Duration::new(u32::MAX as u64, 999_999_999);
    all
}

static DURATIONS: [Duration; 64] = durations();

/// The results at compile time for each rate and duration: the ticks, and the duration of these ticks. (If there are
/// none, it is the duration of some number of ticks below the horizon.)
static EXPECTED: [[(Option<u32>, Duration); 64]; 6] = {
    let mut expected = [[(None, Duration::ZERO); 64]; 6];
    let (mut rate, durations) = (0, durations());
    while rate < RATES.len() {
        let mut at = 0;
        while at < durations.len() {
            expected[rate][at] = both(RATES[rate], durations[at]);
            at += 1;
        }
        rate += 1;
    }
    expected
};

#[inline(always)]
const fn both(rate: TickRate, duration: Duration) -> (Option<u32>, Duration) {
    let ticks = rate.ticks_in(duration);
    let known = match ticks {
        Some(ticks) => ticks,
        None => duration.subsec_nanos() % HORIZON,
    };
    (ticks, rate.duration_of(known))
}

/// Tries one rate. The rate is known at compile time, as a clock's rate is.
fn try_rate<const RATE: usize>(wrong: &mut u32) {
    for (&duration, &expected) in DURATIONS.iter().zip(&EXPECTED[RATE]) {
        let found = both(const { RATES[RATE] }, black_box(duration));
        if found != expected {
            *wrong += 1;
            board::println!("{:?}, {duration:?}: {found:?}, should be {expected:?}", RATES[RATE]);
        }
    }
}

#[board::entry]
fn main() -> ! {
    let mut wrong = 0;
    try_rate::<0>(&mut wrong);
    try_rate::<1>(&mut wrong);
    try_rate::<2>(&mut wrong);
    try_rate::<3>(&mut wrong);
    try_rate::<4>(&mut wrong);
    try_rate::<5>(&mut wrong);
    board::println!("{} durations, {wrong} of them wrong", RATES.len() * DURATIONS.len());
    board::exit(i32::from(wrong > 0))
}
