//! The metrics, in one table for all exporters: their names, help texts and labels, and how a reading fills them in.
//!
//! Names follow Prometheus' conventions: a common prefix, base units, and `_total` on numbers that only grow.

use core::time::Duration;

use crate::metrics::reading::{Latency, Reading, States};
use crate::terms::state::State;

/// Names and values, the breaker's name first. All values but that name come from closed sets.
pub(crate) type Labels<'a> = &'a [(&'static str, &'static str)];

/// A metric: what it is, and its samples of one breaker.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    pub(crate) samples: fn(&Reading, Each<'_>),
}

pub(crate) type Each<'a> = &'a mut dyn FnMut(Labels<'_>, Value);

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A count, which only grows.
    Count,
    /// A sum of seconds, which only grows.
    Seconds,
    /// A number that goes up and down.
    Level,
    /// A histogram of seconds.
    Times,
}

/// A sample, of the kind of its family.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    Count(u64),
    Seconds(Duration),
    Level(u32),
    Times(Latency),
}

pub(crate) static FAMILIES: [Family; 11] = [
    Family {
        name: "circuit_breaker_calls_total",
        help: "Admitted calls that have ended, by outcome",
        kind: Kind::Count,
        samples: |reading, each| {
            let outcomes = [
                ("success", reading.success),
                ("failure", reading.failure),
                ("alive", reading.alive),
                ("ignored", reading.ignored),
                ("cancelled", reading.cancelled),
                ("hold", reading.hold),
                ("latch", reading.latch),
            ];
            for (outcome, count) in outcomes {
                each(&[("name", reading.name), ("outcome", outcome)], Value::Count(count));
            }
        },
    },
    Family {
        name: "circuit_breaker_slow_calls_total",
        help: "Calls, successful or failed, that took longer than the slow limit",
        kind: Kind::Count,
        samples: |reading, each| each(&[("name", reading.name)], Value::Count(reading.slow)),
    },
    Family {
        name: "circuit_breaker_rejected_total",
        help: "Calls rejected",
        kind: Kind::Count,
        samples: |reading, each| each(&[("name", reading.name)], Value::Count(reading.rejected)),
    },
    Family {
        name: "circuit_breaker_would_reject_total",
        help: "Calls admitted in shadow that would have been rejected",
        kind: Kind::Count,
        samples: |reading, each| each(&[("name", reading.name)], Value::Count(reading.would_reject)),
    },
    Family {
        name: "circuit_breaker_anyway_total",
        help: "Calls admitted anyway that would have been rejected",
        kind: Kind::Count,
        samples: |reading, each| each(&[("name", reading.name)], Value::Count(reading.anyway)),
    },
    Family {
        name: "circuit_breaker_transitions_total",
        help: "Transitions from a state to another",
        kind: Kind::Count,
        samples: |reading, each| {
            for from in State::ALL {
                for to in State::ALL {
                    let count = reading.transitions(from, to);
                    // The transitions that a breaker makes by itself are always shown: if a counter appears with its
                    // first increment, `rate` does not see that increment. Most of the others never happen.
                    if count > 0 || CYCLE.contains(&(from, to)) {
                        let labels = [("name", reading.name), ("from", from.name()), ("to", to.name())];
                        each(&labels, Value::Count(count));
                    }
                }
            }
        },
    },
    Family {
        name: "circuit_breaker_state",
        help: "1 for the state that it is in, 0 for all others",
        kind: Kind::Level,
        samples: |reading, each| {
            if let States::One(_) = reading.states {
                by_state(reading, each);
            }
        },
    },
    Family {
        name: "circuit_breaker_members",
        help: "Breakers of a registry that are in a state",
        kind: Kind::Level,
        samples: |reading, each| {
            if let States::Members(_) = reading.states {
                by_state(reading, each);
            }
        },
    },
    Family {
        name: "circuit_breaker_open_seconds_total",
        help: "Seconds in which all calls were rejected: open, latched or forced open",
        kind: Kind::Seconds,
        samples: |reading, each| each(&[("name", reading.name)], Value::Seconds(reading.open)),
    },
    Family {
        name: "circuit_breaker_probes_in_flight",
        help: "Half-open probes in flight",
        kind: Kind::Level,
        samples: |reading, each| each(&[("name", reading.name)], Value::Level(reading.probes_in_flight)),
    },
    Family {
        name: "circuit_breaker_call_duration_seconds",
        help: "How long calls took, where they are timed",
        kind: Kind::Times,
        samples: |reading, each| {
            if let Some(latency) = reading.latency {
                each(&[("name", reading.name)], Value::Times(latency));
            }
        },
    },
];

fn by_state(reading: &Reading, each: Each<'_>) {
    for state in State::ALL {
        let labels = [("name", reading.name), ("state", state.name())];
        each(&labels, Value::Level(reading.states.count(state)));
    }
}

/// The transitions that a breaker makes by itself.
const CYCLE: [(State, State); 7] = [
    (State::Closed, State::Open),
    (State::Open, State::HalfOpen),
    (State::HalfOpen, State::Open),
    (State::HalfOpen, State::Closed),
    (State::HalfOpen, State::Ramping),
    (State::Ramping, State::Open),
    (State::Ramping, State::Closed),
];

/// The upper bounds of a histogram's buckets in seconds, as they stand in the label `le`.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
pub(crate) const LE: [&str; Latency::BOUNDS.len() + 1] = [
    "0.0001", "0.0002", "0.0005", "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1.0", "2.0",
    "5.0", "10.0", "20.0", "50.0", "+Inf",
];

/// Gives a histogram's cumulative counts, each with the histogram's labels and its bound.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
pub(crate) fn cumulative(latency: &Latency, labels: Labels<'_>, mut each: impl FnMut(Labels<'_>, u64)) {
    let mut labels = labels.to_vec();
    let mut sum = 0;
    for (calls, le) in latency.buckets.iter().zip(LE) {
        sum += calls;
        labels.push(("le", le));
        each(&labels, sum);
        labels.pop();
    }
}

#[cfg(all(test, any(feature = "metrics", feature = "opentelemetry")))]
mod tests {
    use super::*;

    #[test]
    fn each_label_is_its_bound() {
        for (bound, le) in Latency::BOUNDS.iter().zip(LE) {
            assert_eq!(std::format!("{:?}", bound.as_secs_f64()), le);
        }
    }
}
