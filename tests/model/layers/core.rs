//! The section `core`: what the layers need of a breaker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use microbreaker::{
    Breaker, Clock, Config, HORIZON, ManualClock, OpenReason, Permit, RejectReason, Rejected, State, Streak, Tripped,
};
use serde_json::{Value, json};

use super::{Inputs, Outcomes, Steps};

type Circuit = Breaker<Streak, ManualClock>;

struct Core {
    breaker: Arc<Circuit>,
    /// The permits that are held. One that is never reported is kept to the end.
    held: HashMap<String, Permit<Arc<Circuit>>>,
    /// The generations that a scenario remembers.
    noted: HashMap<String, u32>,
    elapsed_ms: u64,
}

/// The settings of a breaker, as several sections have them. Jitter is off.
pub(super) fn config(inputs: &Inputs<'_>) -> Outcomes<Config> {
    let ms = |name: &str| inputs.optional_number(name).map(|ms| ms.map(Duration::from_millis));
    let mut config = Config::streak(inputs.number("streak")?).jitter(false);
    config = config.open_for(Duration::from_millis(inputs.number("open_ms")?));
    if let Some(probes) = inputs.optional_number("probes")? {
        config = config.probes(probes);
    }
    if let Some(successes) = inputs.optional_number("successes")? {
        config = config.successes(successes);
    }
    match (inputs.optional_number::<u64>("factor_permille")?, ms("max_ms")?) {
        (Some(permille), Some(max)) => {
            // In 1024ths, rounded to the nearest; 1500 and 2000 permille are exact.
            let factor = permille.checked_mul(1024).ok_or("factor_permille is out of range")?;
            let factor = u32::try_from((factor + 500) / 1000).map_err(|_| "factor_permille is out of range")?;
            config = config.backoff_1024ths(factor).open_at_most(max);
        }
        // Without a backoff, open times do not grow.
        (None, None) => config = config.backoff_1024ths(1024),
        _ => return Err("factor_permille and max_ms go together".into()),
    }
    if let Some(time) = ms("ramp_ms")? {
        config = config.ramp(time);
    }
    if let Some(time) = ms("hold_max_ms")? {
        config = config.hold_at_most(time);
    }
    if let Some(time) = ms("stable_after_ms")? {
        config = config.stable_after(time);
    }
    Ok(config)
}

pub(super) fn begin(inputs: &Inputs<'_>) -> Outcomes<Box<dyn Steps>> {
    let breaker = Breaker::try_new(config(inputs)?, ManualClock::new()).map_err(|error| error.to_string())?;
    let (held, noted) = (HashMap::new(), HashMap::new());
    Ok(Box::new(Core { breaker: Arc::new(breaker), held, noted, elapsed_ms: 0 }))
}

impl Steps for Core {
    fn step(&mut self, operation: &str, inputs: &Inputs<'_>) -> Outcomes<Value> {
        let time = || inputs.number("ms").map(Duration::from_millis);
        match operation {
            "acquire" => {
                let answer = Breaker::acquire_in(Arc::clone(&self.breaker));
                self.admitted(inputs.text("id")?, answer)
            }
            "anyway" => {
                let answer = Breaker::acquire_anyway_in(Arc::clone(&self.breaker));
                self.admitted(inputs.text("id")?, answer)
            }
            "touch" => {
                drop(self.breaker.acquire());
                Ok(Value::Null)
            }
            "good" => self.report(inputs, |permit| _ = permit.success()),
            "bad" => self.report(inputs, |permit| _ = permit.failure()),
            "cancel" => self.report(inputs, drop),
            "hold" => {
                let time = time()?;
                self.report(inputs, |permit| _ = permit.hold(time))
            }
            "manual" => {
                self.breaker.trip(OpenReason::Manual, time()?);
                Ok(Value::Null)
            }
            "trip" => {
                let reason = layer(inputs.text("reason")?)?;
                Ok(match self.breaker.trip(reason, time()?) {
                    Tripped::Opened(_) => json!({"moved": true}),
                    Tripped::Covered(Some(left)) => json!({"moved": false, "covered": millis(left)?}),
                    Tripped::Covered(None) | Tripped::Idle => json!({"moved": false}),
                })
            }
            "note" => {
                self.noted.insert(inputs.text("label")?.to_owned(), self.breaker.status().generation);
                Ok(Value::Null)
            }
            "release" => {
                let generation = match inputs.text("generation")? {
                    "now" => self.breaker.status().generation,
                    label => *self.noted.get(label).ok_or_else(|| format!("no generation {label} was noted"))?,
                };
                Ok(json!(self.breaker.release(generation)))
            }
            "reset" => Ok(self.by_hand(Breaker::reset)),
            "latch" => Ok(self.by_hand(|breaker| _ = breaker.latch())),
            "force_open" => Ok(self.by_hand(|breaker| _ = breaker.force_open())),
            "disable" => Ok(self.by_hand(|breaker| _ = breaker.disable())),
            "time" => {
                self.advance(inputs.number("ms")?)?;
                Ok(Value::Null)
            }
            "status" => self.status(),
            _ => Err("unknown operation".into()),
        }
    }
}

impl Core {
    fn admitted(&mut self, id: &str, answer: Result<Permit<Arc<Circuit>>, Rejected>) -> Outcomes<Value> {
        match answer {
            Ok(permit) => match self.held.insert(id.to_owned(), permit) {
                None => Ok(json!({"admitted": true})),
                Some(_) => Err(format!("permit {id} is held already")),
            },
            Err(rejected) => {
                let mut answer = json!({"admitted": false});
                if let (RejectReason::Open(reason), Some(left)) = (rejected.reason(), rejected.retry_in()) {
                    answer["reason"] = json!(reason.name());
                    answer["retry_in"] = json!(millis(left)?);
                }
                Ok(answer)
            }
        }
    }

    /// Reports on the permit that `id` names, or on one that is acquired for it.
    fn report(&mut self, inputs: &Inputs<'_>, report: impl FnOnce(Permit<Arc<Circuit>>)) -> Outcomes<Value> {
        let permit = match inputs.optional_text("id")? {
            Some(id) => self.held.remove(id).ok_or_else(|| format!("no permit {id} is held"))?,
            None => Breaker::acquire_in(Arc::clone(&self.breaker))
                .map_err(|rejected| format!("expected to be admitted, {rejected}"))?,
        };
        report(permit);
        Ok(Value::Null)
    }

    fn by_hand(&self, operate: impl FnOnce(&Circuit)) -> Value {
        operate(&self.breaker);
        Value::Null
    }

    fn advance(&mut self, ms: u64) -> Outcomes {
        // Converts the total: if each part were converted by itself, it would lose a fraction of a tick.
        let ticks = |ms: u64| ms.checked_mul(1024).map(|scaled| scaled / 1000).ok_or("the time is out of range");
        let before = ticks(self.elapsed_ms)?;
        self.elapsed_ms = self.elapsed_ms.checked_add(ms).ok_or("the time is out of range")?;
        let rest = u32::try_from(ticks(self.elapsed_ms)? - before).map_err(|_| "the time is past the clock's range")?;
        if rest > HORIZON {
            return Err("the time is past the horizon".into());
        }
        self.breaker.clock().advance_ticks(rest);
        Ok(())
    }

    fn status(&self) -> Outcomes<Value> {
        let status = self.breaker.status();
        let mut answer = json!({"state": status.state.name()});
        if let Some(reason) = status.reason {
            answer["reason"] = json!(reason.name());
        }
        if let (State::Open, Some(left)) = (status.state, status.retry_in) {
            answer["retry_in"] = json!(millis(left)?);
        }
        Ok(answer)
    }
}

/// The reason of a layer, by its name.
fn layer(name: &str) -> Outcomes<OpenReason> {
    let reason = OpenReason::ALL.into_iter().find(|reason| reason.name() == name && reason.is_of_a_layer());
    reason.ok_or_else(|| format!("{name} is no reason of a layer"))
}

/// A time of whole ticks, in milliseconds, rounded down: exact at whole seconds, where the edges lie.
fn millis(time: Duration) -> Outcomes<u64> {
    let ticks = ManualClock::RATE.ticks_in(time).ok_or("a time past the horizon")?;
    Ok(u64::from(ticks) * 1000 / 1024)
}

#[test]
fn what_is_not_understood_fails() {
    let replay = |config: Value, steps: Value| {
        super::replay(begin, &json!({"id": "probe", "rule": "0", "why": "to fail", "config": config, "steps": steps}))
    };
    let good = json!({"streak": 1, "open_ms": 1000});
    assert_eq!(replay(good.clone(), json!([{"do": "bad"}, {"do": "status", "expect": {"state": "open"}}])), Ok(()));
    for (steps, expected) in [
        (json!([]), "there are no steps"),
        (json!([["bad"]]), "a step is no object"),
        (json!([{}]), "do is missing"),
        (json!([{"do": "explode"}]), "unknown operation"),
        (json!([{"do": "bad", "times": 2}]), "a step has an unknown field times"),
        (json!([{"do": "reset", "id": "a"}]), "a step has an unknown field id"),
        (json!([{"do": "acquire"}]), "id is missing"),
        (json!([{"do": "acquire", "id": 1}]), "id is no text"),
        (json!([{"do": "acquire", "id": "a"}, {"do": "acquire", "id": "a"}]), "permit a is held already"),
        (json!([{"do": "good", "id": "a"}]), "no permit a is held"),
        (json!([{"do": "bad"}, {"do": "bad"}]), "expected to be admitted"),
        (json!([{"do": "hold"}]), "ms is missing"),
        (json!([{"do": "hold", "ms": 1.5}]), "ms is no whole number"),
        (json!([{"do": "time", "ms": -1}]), "ms is no whole number"),
        (json!([{"do": "time", "ms": u64::MAX}]), "out of range"),
        (json!([{"do": "trip", "reason": "whim", "ms": 1}]), "whim is no reason of a layer"),
        (json!([{"do": "trip", "reason": "manual", "ms": 1}]), "manual is no reason of a layer"),
        (json!([{"do": "release", "generation": "b"}]), "no generation b was noted"),
        (json!([{"do": "release", "generation": 1}]), "generation is no text"),
        (json!([{"do": "status", "expect": {"mood": "good"}}]), "expected mood, which"),
        (json!([{"do": "status", "expect": {"state": "ajar"}}]), "expected \"ajar\", saw \"closed\""),
        (json!([{"do": "status", "expect": {"state": {"at_least": 1}}}]), "compares whole numbers"),
        (json!([{"do": "status", "expect": {"state": {"like": "closed"}}}]), "expected {\"like\":\"closed\"}"),
        (json!([{"do": "reset", "expect": true}]), "expected true, saw null"),
    ] {
        let error = replay(good.clone(), steps.clone()).expect_err(&steps.to_string());
        assert!(error.contains(expected), "{steps}: {error}");
    }
    for (config, expected) in [
        (json!({"open_ms": 1000}), "streak is missing"),
        (json!({"streak": 1}), "open_ms is missing"),
        (json!({"streak": 0, "open_ms": 1000}), "streak must be at least 1 failure"),
        (json!({"streak": "1", "open_ms": 1000}), "streak is no whole number"),
        (json!({"streak": 1, "open_ms": 1000, "colour": 1}), "config has an unknown field colour"),
        (json!({"streak": 1, "open_ms": 1000, "max_ms": 1000}), "go together"),
        (json!({"streak": 1, "open_ms": 1000, "probes": 256}), "probes is out of range"),
        (json!([]), "config is no object"),
    ] {
        let error = replay(config.clone(), json!([{"do": "status"}])).expect_err(&config.to_string());
        assert!(error.contains(expected), "{config}: {error}");
    }
}
