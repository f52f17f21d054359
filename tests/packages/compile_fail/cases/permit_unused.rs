#![deny(unused_must_use)]

use microbreaker::{Breaker, Config, ManualClock, Rejected, Streak};

fn ask(breaker: &Breaker<Streak, ManualClock>) -> Result<(), Rejected> {
    breaker.acquire()?;
    Ok(())
}

fn main() {
    let breaker = Breaker::new(Config::streak(5), ManualClock::new());
    let _ = ask(&breaker);
}
