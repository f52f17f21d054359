//! Proves that the breaker behaves as well-known breakers do. It replays every vector of `vectors.json` (see
//! `vectors.md`), or of the file that the environment variable `VECTORS` names, with a manual clock.
//!
//! If a vector is not fully understood, it fails: an unknown key, step, label or number is never skipped.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use microbreaker::{
    Breaker, Clock, Config, CountWindow, FailureKind, LiveWindow, ManualClock, Outcome, Permit, ProbeRule, State,
    Streak, TimeWindow,
};
use serde_json::{Map, Value, json};

const VENDORED: &str = include_str!("vectors.json");

/// A result whose error says what went wrong and where.
type Outcomes<T = ()> = Result<T, String>;

#[test]
fn every_vector_is_replayed() {
    let text = match std::env::var_os("VECTORS") {
        Some(path) => std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        None => VENDORED.to_owned(),
    };
    let vectors = parse(&text).unwrap_or_else(|error| panic!("{error}"));
    let mut failures = Vec::new();
    for vector in &vectors {
        if let Err(failure) = replay(vector) {
            failures.push(failure);
        }
    }
    // Writes to the handle itself: libtest hides the `println!` output of a test that passes, and the count must be
    // seen.
    let mut out = std::io::stdout().lock();
    for failure in &failures {
        writeln!(out, "FAILED {failure}").unwrap();
    }
    writeln!(out, "{} of {} vectors replayed", vectors.len() - failures.len(), vectors.len()).unwrap();
    drop(out);
    assert!(failures.is_empty(), "{} vectors failed:\n{}", failures.len(), failures.join("\n"));
}

/// Reads the file as a list of vectors. Refuses an empty list, which proves nothing, and two vectors with one name.
fn parse(text: &str) -> Outcomes<Vec<Value>> {
    let vectors: Vec<Value> = serde_json::from_str(text).map_err(|error| format!("not a list of vectors: {error}"))?;
    if vectors.is_empty() {
        return Err("no vectors".into());
    }
    let mut seen = HashMap::new();
    for (index, vector) in vectors.iter().enumerate() {
        let id = text_at(vector, "id").map_err(|error| format!("vector {index}: {error}"))?;
        if let Some(earlier) = seen.insert(id, index) {
            return Err(format!("vectors {earlier} and {index} are both called {id}"));
        }
    }
    Ok(vectors)
}

fn replay(vector: &Value) -> Outcomes {
    let id = text_at(vector, "id")?;
    replay_named(vector).map_err(|error| format!("{id}: {error}"))
}

fn replay_named(vector: &Value) -> Outcomes {
    let fields = object(vector, "a vector")?;
    only(fields, "a vector", &["id", "source", "why", "config", "steps"])?;
    text_at(vector, "source")?;
    text_at(vector, "why")?;
    let steps = fields.get("steps").and_then(Value::as_array).ok_or("steps is no list")?;
    let setup = Setup::read(fields.get("config").ok_or("config is missing")?)?;
    match setup.window {
        Kind::Streak => run::<Streak>(&setup, steps),
        Kind::Count => {
            run::<CountWindow<129>>(&setup, steps)?;
            if setup.fits_in_one_word() { run::<CountWindow<1>>(&setup, steps) } else { Ok(()) }
        }
        Kind::Time => run::<TimeWindow<64>>(&setup, steps),
    }
}

enum Kind {
    Streak,
    Count,
    Time,
}

/// The configuration of a vector.
struct Setup {
    window: Kind,
    config: Config,
    slow_after_ms: Option<u64>,
}

impl Setup {
    fn read(value: &Value) -> Outcomes<Self> {
        let fields = object(value, "config")?;
        only(
            fields,
            "config",
            &[
                "window",
                "min_calls",
                "failure_permille",
                "slow_permille",
                "slow_after_ms",
                "open_ms",
                "backoff",
                "probes",
                "at_once",
                "successes",
                "lease_ms",
                "hold_max_ms",
                "verdict",
            ],
        )?;
        let (window, config) = Self::window(fields.get("window").ok_or("window is missing")?)?;
        // There is never any jitter. Without a `backoff`, open times do not grow.
        let mut config = config.jitter(false).backoff_1024ths(1024);
        if let Some(calls) = number_at(fields, "min_calls")? {
            config = config.minimum(calls);
        }
        if let Some(share) = number_at(fields, "failure_permille")? {
            config = config.failure_permille(share);
        }
        if let Some(share) = number_at(fields, "slow_permille")? {
            config = config.slow_permille(share);
        }
        let slow_after_ms = number_at(fields, "slow_after_ms")?;
        if let Some(ms) = slow_after_ms {
            config = config.slow_after(Duration::from_millis(ms));
        }
        if let Some(ms) = number_at(fields, "open_ms")? {
            config = config.open_for(Duration::from_millis(ms));
        }
        if let Some(backoff) = fields.get("backoff") {
            let backoff = object(backoff, "backoff")?;
            only(backoff, "backoff", &["factor_permille", "max_ms"])?;
            let permille: u32 = number_at(backoff, "factor_permille")?.ok_or("factor_permille is missing")?;
            let max = number_at(backoff, "max_ms")?.ok_or("max_ms is missing")?;
            // Rounds to the nearest 1024th; 1500 ‰ and 2000 ‰ are exact.
            let factor = (u64::from(permille) * 1024 + 500) / 1000;
            let factor = u32::try_from(factor).map_err(|_| format!("factor_permille {permille} is out of range"))?;
            config = config.backoff_1024ths(factor).open_at_most(Duration::from_millis(max));
        }
        if let Some(probes) = number_at(fields, "probes")? {
            config = config.probes(probes);
        }
        if let Some(at_once) = number_at(fields, "at_once")? {
            config = config.at_once(at_once);
        }
        if let Some(successes) = number_at(fields, "successes")? {
            config = config.successes(successes);
        }
        if let Some(ms) = number_at(fields, "lease_ms")? {
            config = config.lease(Duration::from_millis(ms));
        }
        if let Some(ms) = number_at(fields, "hold_max_ms")? {
            config = config.hold_at_most(Duration::from_millis(ms));
        }
        if let Some(verdict) = fields.get("verdict") {
            config = config.probe_rule(match verdict.as_str() {
                Some("streak") => ProbeRule::FirstFailure,
                Some("rates") => ProbeRule::Rates,
                _ => return Err(format!("unknown verdict {verdict}")),
            });
        }
        Ok(Self { window, config, slow_after_ms })
    }

    /// Whether a count window of one word holds as many outcomes, if a longer one takes the configuration.
    fn fits_in_one_word(&self) -> bool {
        Breaker::<CountWindow<1>, _>::try_new(self.config, ManualClock::new()).is_ok()
    }

    fn window(value: &Value) -> Outcomes<(Kind, Config)> {
        let fields = object(value, "window")?;
        let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
        match keys[..] {
            ["streak"] => Ok((Kind::Streak, Config::streak(number_at(fields, "streak")?.unwrap_or(0)))),
            ["count"] => Ok((Kind::Count, Config::count(number_at(fields, "count")?.unwrap_or(0)))),
            ["buckets", "time_ms"] => {
                let buckets: u8 = number_at(fields, "buckets")?.unwrap_or(0);
                let total: u64 = number_at(fields, "time_ms")?.unwrap_or(0);
                if buckets == 0 || !total.is_multiple_of(u64::from(buckets)) {
                    return Err(format!("{total} ms in {buckets} buckets is no whole bucket"));
                }
                Ok((Kind::Time, Config::time(buckets, Duration::from_millis(total / u64::from(buckets)))))
            }
            _ => Err(format!("unknown window {value}")),
        }
    }
}

/// A replay in progress: the breaker, the permits that are held, and the time so far.
struct Run<'a, W: LiveWindow> {
    breaker: &'a Breaker<W, &'a ManualClock>,
    held: HashMap<String, Permit<&'a Breaker<W, &'a ManualClock>>>,
    elapsed_ms: u64,
    slow_after_ms: Option<u64>,
}

fn run<W: LiveWindow>(setup: &Setup, steps: &[Value]) -> Outcomes {
    let clock = ManualClock::new();
    let breaker: Breaker<W, _> = Breaker::try_new(setup.config, &clock).map_err(|error| format!("config: {error}"))?;
    let mut run = Run { breaker: &breaker, held: HashMap::new(), elapsed_ms: 0, slow_after_ms: setup.slow_after_ms };
    for (index, step) in steps.iter().enumerate() {
        run.step(step).map_err(|error| format!("step {index} {step}: {error}"))?;
    }
    Ok(())
}

impl<'a, W: LiveWindow> Run<'a, W> {
    fn step(&mut self, step: &Value) -> Outcomes {
        let parts = step.as_array().ok_or("a step is a list")?;
        let (name, arguments) = parts.split_first().ok_or("an empty step")?;
        let name = name.as_str().ok_or("a step begins with its name")?;
        match (name, arguments) {
            ("ok" | "fail" | "ignore" | "alive" | "slow_ok" | "slow_fail", []) => self.report(name, 1),
            ("ok" | "fail" | "ignore" | "alive" | "slow_ok" | "slow_fail", [Value::Number(_)]) => {
                self.report(name, number(&arguments[0], "the count")?)
            }
            ("latch", []) => {
                self.admitted()?.latch();
                Ok(())
            }
            ("hold", [ms @ Value::Number(_)]) => {
                self.admitted()?.hold(millis(ms)?);
                Ok(())
            }
            ("ok" | "fail" | "ignore" | "alive" | "latch" | "cancel", [Value::String(label)]) => {
                let permit = self.take(label)?;
                match name {
                    "ok" => drop(permit.success()),
                    "fail" => drop(permit.failure()),
                    "ignore" => drop(permit.ignore()),
                    "alive" => drop(permit.alive()),
                    "latch" => drop(permit.latch()),
                    _ => drop(permit),
                }
                Ok(())
            }
            ("hold", [Value::String(label), ms]) => {
                let time = millis(ms)?;
                self.take(label)?.hold(time);
                Ok(())
            }
            ("acquire", [Value::String(label)]) => {
                let permit = self.admitted()?;
                match self.held.insert(label.clone(), permit) {
                    None => Ok(()),
                    Some(_) => Err(format!("permit {label} is held already")),
                }
            }
            ("reset", []) => {
                self.breaker.reset();
                Ok(())
            }
            ("force_open", []) => {
                self.breaker.force_open();
                Ok(())
            }
            ("disable", []) => {
                self.breaker.disable();
                Ok(())
            }
            ("reject", []) => self.rejected().map(drop),
            ("retry_in", [ms]) => self.retry_in(number(ms, "the time")?),
            ("advance", [ms]) => self.advance(number(ms, "the time")?),
            ("state", [Value::String(state)]) => self.state(state),
            ("probe_due", []) => self.probe_due(),
            ("tally", [expected]) => self.tally(expected),
            _ => Err("unknown step".into()),
        }
    }

    /// A permit; an error if the call is rejected.
    fn admitted(&self) -> Outcomes<Permit<&'a Breaker<W, &'a ManualClock>>> {
        self.breaker.acquire().map_err(|rejected| format!("expected to be admitted, {rejected}"))
    }

    fn report(&mut self, name: &str, times: u32) -> Outcomes {
        let outcome = match name {
            "ok" | "slow_ok" => Outcome::Success,
            "fail" | "slow_fail" => Outcome::Failure(FailureKind::Other),
            "ignore" => Outcome::Ignored,
            _ => Outcome::Alive,
        };
        for turn in 1..=times {
            let permit = self.admitted().map_err(|error| format!("{error}, at number {turn}"))?;
            if name.starts_with("slow") {
                let limit = self.slow_after_ms.ok_or("a slow call without slow_after_ms")?;
                // The limit is in whole ticks, rounded up; this is one tick more.
                let over = u32::try_from((limit * 1024).div_ceil(1000) + 1).map_err(|_| "slow_after_ms is too long")?;
                permit.record_elapsed(outcome, ManualClock::RATE.duration_of(over));
            } else {
                permit.record(outcome);
            }
        }
        Ok(())
    }

    /// The time that the rejection gives, in ticks; an error if the call is admitted.
    fn rejected(&self) -> Outcomes<Option<u32>> {
        match self.breaker.acquire() {
            Err(rejected) => Ok(rejected.retry_in_ticks()),
            Ok(_) => Err(format!("expected to be rejected, was admitted while {}", self.breaker.state().name())),
        }
    }

    fn retry_in(&self, ms: u64) -> Outcomes {
        let said = self.rejected()?.ok_or_else(|| format!("expected {ms} ms, it says no time"))?;
        // The two may differ by one tick. They are compared in thousandths of a tick, so that nothing is rounded.
        if (u128::from(said) * 1000).abs_diff(u128::from(ms) * 1024) <= 1000 {
            Ok(())
        } else {
            Err(format!("expected {ms} ms ± 1 tick, it says {said} ticks of 1/1024 s"))
        }
    }

    fn advance(&mut self, ms: u64) -> Outcomes {
        // Converts the total: if each part were converted by itself, it would lose a fraction of a tick.
        let ticks = |ms: u64| ms.checked_mul(1024).map(|scaled| scaled / 1000).ok_or("the time is out of range");
        let before = ticks(self.elapsed_ms)?;
        self.elapsed_ms = self.elapsed_ms.checked_add(ms).ok_or("the time is out of range")?;
        let mut rest = ticks(self.elapsed_ms)? - before;
        while rest > 0 {
            let part = u32::try_from(rest).unwrap_or(u32::MAX);
            self.breaker.clock().advance_ticks(part);
            rest -= u64::from(part);
        }
        Ok(())
    }

    fn state(&self, expected: &str) -> Outcomes {
        if !["closed", "open", "half_open"].contains(&expected) {
            return Err(format!("unknown state {expected}"));
        }
        let seen = self.breaker.state();
        // The vectors know three states only, so latched and forced open count as open.
        let shown = match seen {
            State::Latched | State::ForcedOpen => State::Open.name(),
            other => other.name(),
        };
        if shown == expected { Ok(()) } else { Err(format!("expected {expected}, saw {}", seen.name())) }
    }

    fn probe_due(&self) -> Outcomes {
        let status = self.breaker.status();
        match status.state {
            State::HalfOpen => Ok(()),
            State::Open if status.retry_in == Some(Duration::ZERO) => Ok(()),
            state => Err(format!("expected a due probe, saw {}, retry in {:?}", state.name(), status.retry_in)),
        }
    }

    fn tally(&self, expected: &Value) -> Outcomes {
        let expected = object(expected, "tally")?;
        only(expected, "tally", &["total", "failed", "slow"])?;
        let seen = self.breaker.tally();
        for (name, sum) in [("total", seen.total), ("failed", seen.failed), ("slow", seen.slow)] {
            let expected = number_at(expected, name)?.unwrap_or(sum);
            if expected != sum {
                return Err(format!("expected {name} {expected}, saw {seen:?}"));
            }
        }
        Ok(())
    }

    fn take(&mut self, label: &str) -> Outcomes<Permit<&'a Breaker<W, &'a ManualClock>>> {
        self.held.remove(label).ok_or_else(|| format!("no permit {label} is held"))
    }
}

fn object<'v>(value: &'v Value, what: &str) -> Outcomes<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| format!("{what} is no object: {value}"))
}

/// An error if a key is not among `known`.
fn only(fields: &Map<String, Value>, what: &str, known: &[&str]) -> Outcomes {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has an unknown key {key}")),
        None => Ok(()),
    }
}

fn text_at<'v>(value: &'v Value, key: &str) -> Outcomes<&'v str> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| format!("{key} is missing or no text"))
}

fn number<T: TryFrom<u64>>(value: &Value, what: &str) -> Outcomes<T> {
    let number = value.as_u64().ok_or_else(|| format!("{what} is no whole number: {value}"))?;
    T::try_from(number).map_err(|_| format!("{what} is out of range: {value}"))
}

fn number_at<T: TryFrom<u64>>(fields: &Map<String, Value>, key: &str) -> Outcomes<Option<T>> {
    fields.get(key).map(|value| number(value, key)).transpose()
}

fn millis(value: &Value) -> Outcomes<Duration> {
    number(value, "the time").map(Duration::from_millis)
}

/// A vector with these two parts; its other parts are valid.
fn vector(config: &Value, steps: &Value) -> Value {
    json!({"id": "probe", "source": "here", "why": "to see the runner fail", "config": config, "steps": steps})
}

fn failure(config: &Value, steps: &Value) -> String {
    replay(&vector(config, steps)).expect_err("the runner let it pass")
}

#[test]
fn a_wrong_expectation_is_reported_with_its_place() {
    let config = json!({"window": {"streak": 2}, "open_ms": 1000, "slow_after_ms": 1000});
    assert_eq!(replay(&vector(&config, &json!([["fail", 2], ["state", "open"], ["retry_in", 1000]]))), Ok(()));
    let wrong = [
        (json!([["fail", 1], ["state", "open"]]), r#"probe: step 1 ["state","open"]: expected open, saw closed"#),
        (json!([["fail", 3]]), "at number 3"),
        (json!([["reject"]]), "step 0 [\"reject\"]: expected to be rejected, was admitted while closed"),
        (json!([["fail", 2], ["acquire", "a"]]), "expected to be admitted"),
        (json!([["fail", 2], ["retry_in", 998]]), "expected 998 ms ± 1 tick, it says 1024 ticks"),
        (json!([["fail", 2], ["retry_in", 1002]]), "expected 1002 ms ± 1 tick, it says 1024 ticks"),
        (json!([["latch"], ["retry_in", 1000]]), "it says no time"),
        (json!([["fail", 2], ["probe_due"]]), "expected a due probe, saw open"),
        (json!([["fail", 1], ["tally", {"failed": 2}]]), "expected failed 2, saw"),
        (json!([["slow_ok", 2], ["state", "closed"]]), "expected closed, saw open"),
    ];
    for (steps, expected) in wrong {
        let seen = failure(&config, &steps);
        assert!(seen.contains(expected), "{steps}: {seen}");
    }
}

/// Every vector of the file proves something: if its expectations are reversed, it fails.
#[test]
fn every_vector_can_fail() {
    for vector in parse(VENDORED).unwrap() {
        let mut turned = vector.clone();
        let steps = turned["steps"].as_array_mut().unwrap();
        for step in steps.iter_mut() {
            *step = match step[0].as_str().unwrap() {
                "state" if step[1] == "closed" => json!(["state", "open"]),
                "state" => json!(["state", "closed"]),
                "reject" => json!(["acquire", "turned"]),
                "retry_in" => json!(["retry_in", step[1].as_u64().unwrap() + 1000]),
                "tally" => json!(["tally", {"total": step[1]["total"].as_u64().unwrap() + 1}]),
                _ => continue,
            };
        }
        assert_ne!(turned, vector, "{} expects nothing", vector["id"]);
        assert!(replay(&turned).is_err(), "{} passes both ways round", vector["id"]);
    }
}

#[test]
fn what_is_not_understood_fails() {
    let good = json!({"window": {"streak": 2}});
    let steps = [
        (json!(["okay"]), "unknown step"),
        (json!(["ok", 1, 2]), "unknown step"),
        (json!(["ok", null]), "unknown step"),
        (json!(["ok", -1]), "no whole number"),
        (json!(["ok", 1.5]), "no whole number"),
        (json!(["slow_ok", "a"]), "unknown step"),
        (json!(["slow_ok"]), "a slow call without slow_after_ms"),
        (json!(["latch", 2]), "unknown step"),
        (json!(["hold"]), "unknown step"),
        (json!(["cancel"]), "unknown step"),
        (json!(["cancel", "nobody"]), "no permit nobody is held"),
        (json!(["advance", "1"]), "no whole number"),
        (json!(["advance", u64::MAX]), "out of range"),
        (json!(["state", "ajar"]), "unknown state ajar"),
        (json!(["tally", {"sum": 1}]), "tally has an unknown key sum"),
        (json!([]), "an empty step"),
        (json!("ok"), "a step is a list"),
    ];
    for (step, expected) in steps {
        let seen = failure(&good, &json!([step]));
        assert!(seen.contains(expected), "{step}: {seen}");
    }
    let twice = failure(&good, &json!([["acquire", "a"], ["acquire", "a"]]));
    assert!(twice.contains("permit a is held already"), "{twice}");

    let configs = [
        (json!({}), "window is missing"),
        (json!({"window": {"streak": 2}, "opens_ms": 1}), "config has an unknown key opens_ms"),
        (json!({"window": {"streak": 2, "count": 2}}), "unknown window"),
        (json!({"window": {"time_ms": 1000}}), "unknown window"),
        (json!({"window": {"time_ms": 1000, "buckets": 3}}), "no whole bucket"),
        (json!({"window": {"time_ms": 1000, "buckets": 0}}), "no whole bucket"),
        (json!({"window": {"streak": 65536}}), "out of range"),
        (json!({"window": {"streak": 0}}), "config: streak must be at least 1 failure"),
        (json!({"window": {"streak": 2}, "verdict": "coin"}), "unknown verdict"),
        (json!({"window": {"streak": 2}, "verdict": "rates"}), "config: a verdict by rates"),
        (json!({"window": {"streak": 2}, "backoff": {"factor_permille": 2000}}), "max_ms is missing"),
        (json!({"window": {"streak": 2}, "backoff": {"factor_permille": 2000, "max_ms": 1, "x": 1}}), "unknown key x"),
    ];
    for (config, expected) in configs {
        let seen = failure(&config, &json!([]));
        assert!(seen.contains(expected), "{config}: {seen}");
    }
    assert!(parse("[]").is_err());
    assert!(parse("{}").is_err());
    assert!(parse(r#"[{"id": "a"}, {"id": "a"}]"#).unwrap_err().contains("both called a"));
    assert!(replay(&json!({"id": "a", "source": "", "why": "", "config": good, "steps": [], "stpes": []})).is_err());
}
