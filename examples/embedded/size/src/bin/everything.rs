//! Every operation on every window. `measure` reads which symbols they bring. This is never run.
#![no_std]
#![no_main]

use core::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, Config, CountWindow, FailureKind, Mode, Outcome, Retained, Snapshot, Streak, TimeWindow, Window,
    count_words,
};
use size::{Uptime, send, sleep};

type Watched<W> = Breaker<W, Uptime, Counters>;

const TIME: Config = Config::time(10, Duration::from_micros(1_048_576));
const SLOW: Config = Config::count(100).slow_after(Duration::from_secs(1)).slow_permille(500);

static STREAK: Watched<Streak> = Breaker::observed(Config::modem(), Uptime, Counters::new("streak"));
static COUNT: Watched<CountWindow<{ count_words(100, true) }>> =
    Breaker::observed(SLOW, Uptime, Counters::new("count"));
static TIMED: Watched<TimeWindow<16>> = Breaker::observed(TIME, Uptime, Counters::new("time"));
static PAIR: Watched<(Streak, TimeWindow<16>)> = Breaker::observed(TIME.and_streak(5), Uptime, Counters::new("pair"));
static RETAINED: Retained = Retained::new();

/// A time that the compiler does not know.
fn time() -> Duration {
    let seconds = if send() { 1 } else { u64::MAX / 3 };
    Duration::new(seconds, u32::from(send()) * 999_999_999)
}

fn tell(time: Option<Duration>) {
    let time = time.unwrap_or_default();
    sleep((time.as_secs() & 0xFFFF_FFFF) as u32 ^ time.subsec_nanos());
}

fn outcome() -> Outcome {
    match (send(), send(), send()) {
        (true, true, true) => Outcome::Success,
        (true, true, false) => Outcome::Slow,
        (true, false, true) => Outcome::Alive,
        (true, false, false) => Outcome::Ignored,
        (false, true, true) => Outcome::Hold(time()),
        (false, true, false) => Outcome::Latch,
        (false, false, _) => Outcome::Failure(FailureKind::Timeout),
    }
}

fn all<W: Window>(breaker: &'static Watched<W>, config: Config) {
    match breaker.acquire() {
        Ok(permit) if permit.level() > 1 => drop(permit),
        Ok(permit) if permit.is_probe() => drop(permit.record_elapsed(outcome(), time())),
        Ok(permit) if permit.is_counted() => drop(permit.record(outcome())),
        Ok(permit) => sleep(permit.generation()),
        Err(rejected) => tell(rejected.retry_in()),
    }
    let _ = breaker.call_or(|| if send() { Ok(1) } else { Err(2) }, |_| 3);
    breaker.trip(microbreaker::OpenReason::Budget, time());
    breaker.hold(time());
    breaker.latch();
    breaker.reset();
    breaker.force_open();
    breaker.disable();
    breaker.switch(Mode::Shadow);
    breaker.switch(Mode::On);
    breaker.seed(7);
    let config = config.open_for(time()).lease(time()).probes(u8::from(send()) + 1).ramp(time());
    if let Err(error) = breaker.reconfigure(&config) {
        sleep(error.value);
    }
    if let Ok(other) = Watched::<W>::try_observed(config, Uptime, Counters::new("other")) {
        tell(other.retry_in());
    }
    let status = breaker.status();
    tell(status.retry_in);
    sleep(status.tally.total + breaker.tally().failed + breaker.state() as u32);
    sleep(breaker.observer().counts().success);
    let snapshot = match RETAINED.load() {
        Ok(snapshot) => snapshot,
        Err(_) => breaker.snapshot(),
    };
    if let Ok(snapshot) = Snapshot::from_bytes(&snapshot.bytes()) {
        let _ = breaker.restore(&snapshot, Some(time()));
    }
    RETAINED.save(&breaker.snapshot());
}

#[size::entry]
fn main() -> ! {
    loop {
        all(&STREAK, Config::modem());
        all(&COUNT, SLOW);
        all(&TIMED, TIME);
        all(&PAIR, TIME.and_streak(5));
    }
}
