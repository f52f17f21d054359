//! Every operation on every window. `measure` reads which symbols they bring. This is never run.
#![no_std]
#![no_main]

use core::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::{
    Breaker, Circuit, Config, CountWindow, FailureKind, Fixed, LiveWindow, Mode, OpenReason, Outcome, Policy, Retained,
    Snapshot, Streak, TimeWindow, Tripped, Window, count_words,
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

/// One probe, a ramp, and an open time that grows by a factor of its own.
struct Simple;

impl Policy for Simple {
    const CONFIG: Config =
        Config::streak(300).backoff_1024ths(1500).ramp(Duration::from_secs(9)).stable_after(Duration::from_secs(60));
}

/// Everything that can be configured for a pair.
struct Rich;

impl Policy for Rich {
    const CONFIG: Config = TIME
        .and_streak(5)
        .probes(5)
        .at_once(2)
        .ramp(Duration::from_secs(9))
        .levels(true)
        .slow_after(Duration::from_secs(1))
        .slow_permille(500);

    fn seed() -> u32 {
        u32::from(send())
    }
}

static SIMPLE: Watched<Fixed<Streak, Simple>> = Breaker::fixed_observed(Uptime, Counters::new("simple"));
static RICH: Watched<Fixed<(Streak, TimeWindow<16>), Rich>> = Breaker::fixed_observed(Uptime, Counters::new("rich"));

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

fn reason() -> OpenReason {
    let reason = OpenReason::ALL.get(usize::from(send()) + 2 * usize::from(send()) + 4 * usize::from(send()));
    reason.copied().unwrap_or(OpenReason::Manual)
}

fn all<W: Window>(breaker: &'static Watched<W>) {
    match if send() { breaker.acquire() } else { breaker.acquire_anyway() } {
        Ok(permit) if permit.level() > 1 => drop(permit),
        Ok(permit) if permit.is_probe() => drop(permit.record_elapsed(outcome(), time())),
        Ok(permit) if permit.is_counted() => drop(permit.record(outcome())),
        Ok(permit) => sleep(permit.generation()),
        Err(rejected) => tell(rejected.retry_in()),
    }
    let _ = breaker.call_or(|| if send() { Ok(1) } else { Err(2) }, |_| 3);
    match breaker.trip(reason(), time()) {
        Tripped::Opened(generation) => _ = breaker.release(generation),
        Tripped::Covered(rest) => tell(rest),
        Tripped::Idle => {}
    }
    breaker.half_open();
    breaker.hold(time());
    breaker.latch();
    breaker.reset();
    breaker.force_open();
    breaker.disable();
    breaker.switch(Mode::Shadow);
    breaker.switch(Mode::On);
    let status = breaker.status();
    tell(status.retry_in);
    sleep(status.tally.total + breaker.tally().failed + breaker.state() as u32 + u32::from(breaker.is_clean()));
    if let Err(rejected) = breaker.peek() {
        tell(rejected.retry_in());
    }
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

/// What live settings add.
fn live<W: LiveWindow>(breaker: &'static Watched<W>, config: Config) {
    all(breaker);
    breaker.seed(7);
    let config = config.open_for(time()).lease(time()).probes(u8::from(send()) + 1).ramp(time());
    if let Err(error) = breaker.reconfigure(&config) {
        sleep(error.value);
    }
    if let Ok(other) = Watched::<W>::try_observed(config, Uptime, Counters::new("other")) {
        tell(other.retry_in());
    }
}

/// What a list of circuits can do.
fn listed(circuit: &dyn Circuit) {
    match if send() { circuit.admit() } else { circuit.admit_anyway() } {
        Ok(ticket) if ticket.is_probe() => circuit.cancel(ticket),
        Ok(ticket) => _ = circuit.report(ticket, outcome()),
        Err(rejected) => tell(rejected.retry_in()),
    }
    if let Tripped::Opened(generation) = circuit.trip(reason(), time()) {
        circuit.release(generation);
    }
    circuit.half_open();
    circuit.hold(time());
    circuit.latch();
    circuit.switch(Mode::Off);
    circuit.reset();
    tell(circuit.retry_in().or(circuit.status().retry_in));
    let is_blocked = circuit.peek().is_err();
    sleep(circuit.state() as u32 + u32::from(is_blocked) + u32::from(circuit.name().is_empty()));
}

#[size::entry]
fn main() -> ! {
    loop {
        live(&STREAK, Config::modem());
        live(&COUNT, SLOW);
        live(&TIMED, TIME);
        live(&PAIR, TIME.and_streak(5));
        all(&SIMPLE);
        all(&RICH);
        for circuit in [&STREAK as &dyn Circuit, &COUNT, &TIMED, &PAIR, &SIMPLE, &RICH] {
            listed(circuit);
        }
    }
}
