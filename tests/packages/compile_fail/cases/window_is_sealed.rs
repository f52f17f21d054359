use microbreaker::{Breaker, Config, ManualClock};

struct Mine;

fn main() {
    let _ = Breaker::<Mine, _>::try_new(Config::streak(5), ManualClock::new());
}
