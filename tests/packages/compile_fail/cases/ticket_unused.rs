#![deny(unused_must_use)]

use microbreaker::{Breaker, Circuit, Config, ManualClock, Streak};

fn main() {
    let breaker: Breaker<Streak, ManualClock> = Breaker::new(Config::streak(5), ManualClock::new());
    let circuit: &dyn Circuit = &breaker;
    circuit.admit().unwrap();
}
