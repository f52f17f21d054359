//! Each transition is logged with all of its facts, and nothing else is logged.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use microbreaker::tracing::TracingLog;
use microbreaker::{Breaker, Config, CountWindow, ManualClock, OpenReason, count_words};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const SECOND: Duration = Duration::from_secs(1);

/// An event: its level, its target and its fields.
#[derive(Debug)]
struct Line(Level, &'static str, BTreeMap<&'static str, String>);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.2.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.2.insert(field.name(), format!("{value:?}"));
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        panic!("a span: {span:?}");
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(*event.metadata().level(), event.metadata().target(), BTreeMap::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn only_transitions_are_logged() {
    let lines = Lines::default();
    let config = Config::count(4).open_for(5 * SECOND).ramp(SECOND).jitter(false);
    let breaker: Breaker<CountWindow<{ count_words(4, false) }>, _, _> =
        Breaker::observed(config, ManualClock::new(), TracingLog::new("payments"));
    let seen = || std::mem::take(&mut *lines.0.lock().unwrap());
    tracing::subscriber::with_default(lines.clone(), || {
        for _ in 0..100 {
            breaker.acquire().unwrap().success();
            drop(breaker.acquire().unwrap());
        }
        breaker.acquire().unwrap().failure();
        assert!(seen().is_empty(), "calls are not");

        breaker.acquire().unwrap().failure();
        let [Line(level, target, fields)] = &seen()[..] else { panic!("one event") };
        assert_eq!((*level, *target), (Level::WARN, "microbreaker"));
        let expected = [
            ("attempt", "0"),
            ("failed", "2"),
            ("from", "closed"),
            ("generation", "1"),
            ("message", "circuit breaker payments: closed -> open"),
            ("name", "payments"),
            ("reason", "failures"),
            ("retry_in_ms", "5000"),
            ("slow", "0"),
            ("to", "open"),
            ("total", "4"),
        ];
        assert_eq!(fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(), expected);

        (0..100).for_each(|_| assert!(breaker.acquire().is_err()));
        assert!(seen().is_empty(), "rejections are not");
        breaker.clock().advance(5 * SECOND);
        breaker.acquire().unwrap().success();
        breaker.clock().advance(2 * SECOND);
        breaker.acquire().unwrap().success();
        breaker.latch();
        breaker.reset();
        breaker.trip(OpenReason::Outlier, SECOND + Duration::from_micros(10));
        breaker.force_open();
    });
    let told: Vec<_> = seen()
        .iter()
        .map(|Line(level, _, fields)| {
            let field = |name| fields.get(name).map_or("-", String::as_str).to_owned();
            format!("{level} {} {} {} {}", field("from"), field("to"), field("reason"), field("retry_in_ms"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "INFO open half_open failures -",
            "INFO half_open ramping - -",
            "INFO ramping closed - -",
            "WARN closed latched - -",
            "INFO latched closed - -",
            "WARN closed open outlier 1001",
            "INFO open forced_open - -",
        ]
    );
}
