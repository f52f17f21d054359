use core::time::Duration;

use microbreaker::{Breaker, Clock, Config, Fixed, Policy, Streak, TickRate, Ticks};

/// A clock of a microsecond: its horizon is 18 minutes away.
struct Micros;

impl Clock for Micros {
    const RATE: TickRate = TickRate::new(1_000_000, 1);

    fn now(&self) -> Ticks {
        Ticks::new(0)
    }
}

struct Hourly;

impl Policy for Hourly {
    const CONFIG: Config = Config::streak(5).open_for(Duration::from_secs(3600));
}

static BREAKER: Breaker<Fixed<Streak, Hourly>, Micros> = Breaker::fixed(Micros);

fn main() {
    let _ = BREAKER.acquire();
}
