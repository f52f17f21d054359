//! Replays what the layers above a breaker are promised to do: the scenarios of `layers.json` (see `layers.md`), or of the file
//! that the environment variable `LAYERS` names. `LAYER_SECTIONS` names the sections to replay, with spaces between them; if
//! it is not set, these are all sections that this file can replay.
//!
//! A section that is asked for and is absent or empty fails. A scenario that is not fully understood fails: an unknown
//! operation, field, word or number is never skipped. Sections that are not asked for are listed and not counted.
//!
//! To replay another section, write a function for it and name it in [`SECTIONS`].

mod core;

use std::collections::HashSet;
use std::io::Write;

use serde_json::{Map, Value, json};

const VENDORED: &str = include_str!("../layers.json");

/// A result whose error says what went wrong and where.
type Outcomes<T = ()> = Result<T, String>;
type Fields = Map<String, Value>;

/// A section's name, and the function that begins a scenario of it: it gets the scenario's `config`, and returns the function
/// that makes one step and says what it answers.
const SECTIONS: [(&str, Begin); 1] = [("core", core::begin)];

type Begin = fn(&Inputs<'_>) -> Outcomes<Box<dyn Steps>>;

/// A scenario in progress.
trait Steps {
    /// Makes the step that `operation` names. Returns what it answers, [`Value::Null`] if it only acts.
    fn step(&mut self, operation: &str, inputs: &Inputs<'_>) -> Outcomes<Value>;
}

#[test]
fn every_scenario_of_the_sections_asked_for_is_replayed() {
    let text = match std::env::var_os("LAYERS") {
        Some(path) => std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        None => VENDORED.to_owned(),
    };
    let asked = match std::env::var("LAYER_SECTIONS") {
        Ok(names) => names.split_whitespace().map(str::to_owned).collect(),
        Err(_) => SECTIONS.map(|(name, _)| name.to_owned()).to_vec(),
    };
    let report = replay_all(&text, &asked);
    // Writes to the handle itself: libtest hides the `println!` output of a test that passes, and the count must be
    // seen.
    let mut out = std::io::stdout().lock();
    // libtest may have begun a line.
    writeln!(out).unwrap();
    for line in &report.lines {
        writeln!(out, "{line}").unwrap();
    }
    drop(out);
    assert!(report.failures.is_empty(), "{} failures:\n{}", report.failures.len(), report.failures.join("\n"));
}

/// What became of the sections asked for.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<String>,
    failures: Vec<String>,
}

fn replay_all(text: &str, asked: &[String]) -> Report {
    let mut report = Report::default();
    match replay_sections(text, asked, &mut report) {
        Ok((passed, all)) => report.lines.push(format!("{passed} of {all} scenarios replayed")),
        Err(error) => report.failures.push(error),
    }
    report.lines.extend(report.failures.iter().map(|failure| format!("FAILED {failure}")));
    report
}

/// Replays the sections asked for. Returns how many scenarios passed, of how many.
fn replay_sections(text: &str, asked: &[String], report: &mut Report) -> Outcomes<(usize, usize)> {
    let all: Fields = serde_json::from_str(text).map_err(|error| format!("no object of sections: {error}"))?;
    if asked.is_empty() {
        return Err("no section is asked for".into());
    }
    let (mut passed, mut count) = (0, 0);
    for name in asked {
        let replayed = scenarios(&all, name).and_then(|scenarios| {
            let (_, begin) = SECTIONS.iter().find(|(known, _)| known == name).ok_or("no function replays it")?;
            Ok((scenarios, *begin))
        });
        let (scenarios, begin) = match replayed {
            Ok(found) => found,
            Err(error) => {
                report.failures.push(format!("section {name}: {error}"));
                continue;
            }
        };
        let failures: Vec<String> = scenarios.iter().filter_map(|scenario| replay(begin, scenario).err()).collect();
        report.lines.push(format!("{name} {} of {}", scenarios.len() - failures.len(), scenarios.len()));
        passed += scenarios.len() - failures.len();
        count += scenarios.len();
        report.failures.extend(failures);
    }
    for (name, scenarios) in &all {
        if !asked.contains(name) {
            let number = scenarios.as_array().map_or_else(|| "no list".to_owned(), |list| list.len().to_string());
            report.lines.push(format!("not asked for: {name} ({number})"));
        }
    }
    Ok((passed, count))
}

/// The scenarios of a section. Refuses an empty list, which proves nothing, and two scenarios with one name.
fn scenarios<'v>(all: &'v Fields, name: &str) -> Outcomes<&'v [Value]> {
    let list = all.get(name).ok_or("it is absent")?.as_array().ok_or("it is no list")?;
    if list.is_empty() {
        return Err("it is empty".into());
    }
    let mut seen = HashSet::new();
    for scenario in list {
        let id = scenario.get("id").and_then(Value::as_str).ok_or("a scenario has no id")?;
        if !seen.insert(id) {
            return Err(format!("two scenarios are called {id}"));
        }
    }
    Ok(list)
}

fn replay(begin: Begin, scenario: &Value) -> Outcomes {
    let id = scenario.get("id").and_then(Value::as_str).ok_or("a scenario has no id")?;
    replay_named(begin, scenario).map_err(|error| format!("{id}: {error}"))
}

fn replay_named(begin: Begin, scenario: &Value) -> Outcomes {
    let fields = Inputs::of(scenario, "a scenario")?;
    fields.text("id")?;
    fields.text("rule")?;
    fields.text("why")?;
    let empty = json!({});
    let config = Inputs::of(fields.optional("config").unwrap_or(&empty), "config")?;
    let steps = fields.value("steps")?.as_array().ok_or("steps is no list")?;
    if steps.is_empty() {
        return Err("there are no steps".into());
    }
    let mut run = begin(&config).map_err(|error| format!("config: {error}"))?;
    config.finish()?;
    fields.finish()?;
    for (index, step) in steps.iter().enumerate() {
        make(&mut *run, step).map_err(|error| format!("step {index} {step}: {error}"))?;
    }
    Ok(())
}

fn make(run: &mut dyn Steps, step: &Value) -> Outcomes {
    let inputs = Inputs::of(step, "a step")?;
    let operation = inputs.text("do")?;
    let expected = inputs.optional("expect");
    let answer = run.step(operation, &inputs)?;
    inputs.finish()?;
    match expected {
        Some(expected) => compare(expected, &answer),
        None => Ok(()),
    }
}

/// The fields of an object, and which of them were read: one that nobody reads is unknown.
struct Inputs<'v> {
    what: &'static str,
    fields: &'v Fields,
    read: std::cell::RefCell<HashSet<&'v str>>,
}

impl<'v> Inputs<'v> {
    fn of(value: &'v Value, what: &'static str) -> Outcomes<Self> {
        let fields = value.as_object().ok_or_else(|| format!("{what} is no object: {value}"))?;
        Ok(Self { what, fields, read: HashSet::new().into() })
    }

    fn optional(&self, name: &str) -> Option<&'v Value> {
        let (name, value) = self.fields.get_key_value(name)?;
        self.read.borrow_mut().insert(name);
        Some(value)
    }

    fn value(&self, name: &str) -> Outcomes<&'v Value> {
        self.optional(name).ok_or_else(|| format!("{name} is missing"))
    }

    fn text(&self, name: &str) -> Outcomes<&'v str> {
        let value = self.value(name)?;
        value.as_str().ok_or_else(|| format!("{name} is no text: {value}"))
    }

    fn optional_text(&self, name: &str) -> Outcomes<Option<&'v str>> {
        if self.fields.contains_key(name) { self.text(name).map(Some) } else { Ok(None) }
    }

    fn number<T: TryFrom<u64>>(&self, name: &str) -> Outcomes<T> {
        let value = self.value(name)?;
        let number = value.as_u64().ok_or_else(|| format!("{name} is no whole number: {value}"))?;
        T::try_from(number).map_err(|_| format!("{name} is out of range: {value}"))
    }

    fn optional_number<T: TryFrom<u64>>(&self, name: &str) -> Outcomes<Option<T>> {
        if self.fields.contains_key(name) { self.number(name).map(Some) } else { Ok(None) }
    }

    /// An error if a field was not read.
    fn finish(&self) -> Outcomes {
        let read = self.read.borrow();
        match self.fields.keys().find(|name| !read.contains(name.as_str())) {
            Some(name) => Err(format!("{} has an unknown field {name}", self.what)),
            None => Ok(()),
        }
    }
}

/// The longest period that the clock can express, in milliseconds.
const HORIZON_MS: u64 = (microbreaker::HORIZON as u64) * 1000 / 1024;

/// Compares an answer with what is expected. Objects are compared by the names that `expected` gives, lists whole and in
/// order.
fn compare(expected: &Value, answer: &Value) -> Outcomes {
    let differs = || Err(format!("expected {expected}, saw {answer}"));
    match expected {
        Value::Object(fields) if fields.keys().any(|name| STANDS_FOR.contains(&name.as_str())) => {
            if stands_for(fields, answer)? { Ok(()) } else { differs() }
        }
        Value::Object(fields) => {
            let Value::Object(seen) = answer else { return differs() };
            for (name, expected) in fields {
                let seen = seen.get(name).ok_or_else(|| format!("expected {name}, which {answer} has not"))?;
                compare(expected, seen).map_err(|error| format!("{name}: {error}"))?;
            }
            Ok(())
        }
        Value::Array(expected) => match answer {
            Value::Array(seen) if seen.len() == expected.len() => {
                expected.iter().zip(seen).try_for_each(|(expected, seen)| compare(expected, seen))
            }
            _ => differs(),
        },
        Value::String(word) if word == "horizon" => {
            if *answer == json!(HORIZON_MS) {
                Ok(())
            } else {
                differs()
            }
        }
        _ if expected == answer => Ok(()),
        _ => differs(),
    }
}

/// The names of objects that stand for a value.
const STANDS_FOR: [&str; 6] = ["at_least", "at_most", "above", "below", "any_of", "not"];

/// Whether an answer is one of those that an object stands for.
fn stands_for(fields: &Fields, answer: &Value) -> Outcomes<bool> {
    let mut all = true;
    for (name, bound) in fields {
        let ordered = |holds: fn(&u64, &u64) -> bool| match (answer.as_u64(), bound.as_u64()) {
            (Some(answer), Some(bound)) => Ok(holds(&answer, &bound)),
            _ => Err(format!("{name} compares whole numbers, not {answer} with {bound}")),
        };
        all &= match name.as_str() {
            "at_least" => ordered(u64::ge)?,
            "at_most" => ordered(u64::le)?,
            "above" => ordered(u64::gt)?,
            "below" => ordered(u64::lt)?,
            "any_of" => {
                let list = bound.as_array().ok_or_else(|| format!("any_of is no list: {bound}"))?;
                list.iter().any(|expected| compare(expected, answer).is_ok())
            }
            "not" => compare(bound, answer).is_err(),
            _ => return Err(format!("an unknown comparison {name}")),
        };
    }
    Ok(all)
}

// The runner itself: it fails where it should.

fn vendored() -> Fields {
    serde_json::from_str(VENDORED).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_section_that_is_absent_or_empty_or_unknown_fails_if_it_is_asked_for() {
    for (text, asked, expected) in [
        (r#"{"budget": []}"#, "core", "section core: it is absent"),
        (r#"{"core": []}"#, "core", "section core: it is empty"),
        (r#"{"core": {}}"#, "core", "section core: it is no list"),
        (r#"{"core": [{}]}"#, "core", "section core: a scenario has no id"),
        (r#"{"core": [{"id": "a"}, {"id": "a"}]}"#, "core", "section core: two scenarios are called a"),
        (r#"{"weather": [{"id": "a"}]}"#, "weather", "section weather: no function replays it"),
        (r#"{"core": [{"id": "a"}]}"#, "core", "a: rule is missing"),
        ("[]", "core", "no object of sections"),
        (VENDORED, "", "no section is asked for"),
    ] {
        let asked: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
        let report = replay_all(text, &asked);
        assert!(report.failures.iter().any(|failure| failure.starts_with(expected)), "{text}: {report:?}");
    }
    let report = replay_all(VENDORED, &names(&["core"]));
    let others = report.lines.iter().filter(|line| line.starts_with("not asked for: ")).count();
    assert_eq!(others + 1, vendored().len(), "{report:?}");
}

/// Every scenario proves something: if its expectations are reversed one by one, it fails each time.
#[test]
fn every_expectation_can_fail() {
    let all = vendored();
    for (section, begin) in SECTIONS {
        for scenario in scenarios(&all, section).unwrap() {
            let steps = scenario["steps"].as_array().unwrap();
            let mut expectations = 0;
            for (index, step) in steps.iter().enumerate() {
                let Some(expected) = step.get("expect") else { continue };
                expectations += 1;
                let mut turned = scenario.clone();
                turned["steps"][index]["expect"] = json!({"not": expected});
                let error = replay(begin, &turned).expect_err(&format!("passes both ways round: {step}"));
                assert!(error.contains(&format!(": step {index} ")), "{error}");
            }
            assert!(expectations > 0, "{} expects nothing", scenario["id"]);
        }
    }
}

#[test]
fn answers_are_compared_by_the_names_and_the_order_that_are_given() {
    let answer = json!({"state": "open", "retry_in": 1000, "list": [1, {"a": 2, "b": 3}]});
    for same in [
        json!({}),
        json!({"state": "open"}),
        json!({"retry_in": {"at_least": 1000, "at_most": 1000, "above": 999, "below": 1001}}),
        json!({"state": {"any_of": ["closed", "open"]}, "retry_in": {"not": 1}}),
        json!({"list": [1, {"a": 2}]}),
    ] {
        assert_eq!(compare(&same, &answer), Ok(()), "{same}");
    }
    for other in [
        json!([]),
        json!("open"),
        json!({"state": "closed"}),
        json!({"reason": null}),
        json!({"retry_in": "1000"}),
        json!({"retry_in": {"above": 1000}}),
        json!({"retry_in": {"at_least": 1000, "below": 1000}}),
        json!({"retry_in": {"at_least": "1000"}}),
        json!({"retry_in": {"at_least": 1000, "roughly": 1000}}),
        json!({"state": {"any_of": []}}),
        json!({"state": {"not": "open"}}),
        json!({"list": [1]}),
        json!({"list": [{"a": 2}, 1]}),
        json!({"retry_in": "horizon"}),
    ] {
        assert!(compare(&other, &answer).is_err(), "{other}");
    }
    assert_eq!(compare(&json!("horizon"), &json!(HORIZON_MS)), Ok(()));
}
