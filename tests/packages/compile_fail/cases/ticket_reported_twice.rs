use microbreaker::{Breaker, Circuit, Config, ManualClock, Outcome, Streak};

fn main() {
    let breaker: Breaker<Streak, ManualClock> = Breaker::new(Config::streak(5), ManualClock::new());
    let circuit: &dyn Circuit = &breaker;
    let ticket = circuit.admit().unwrap();
    circuit.report(ticket, Outcome::Success);
    circuit.cancel(ticket);
}
