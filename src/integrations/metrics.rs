//! The `metrics` facade: gives the readings of [`Monitors`] to the recorder that is installed.

use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::vec::Vec;

use metrics::{Counter, Gauge, Label, counter, describe_counter, describe_gauge, gauge};

use crate::metrics::families::{FAMILIES, Kind, Labels, Value, cumulative};
use crate::metrics::monitors::Monitors;

impl Monitors {
    /// Describes and sets the [metrics](Self#metrics) through the recorder of the `metrics` facade. Call it before each
    /// scrape, or every few seconds if the recorder pushes. Without a recorder it does nothing.
    ///
    /// The facade has neither counters of fractions nor histograms that can be set. So
    /// `circuit_breaker_open_seconds_total` is in whole seconds, rounded down, and a histogram is shown as Prometheus
    /// stores it: `_bucket` by `le`, `_count` and `_sum`.
    ///
    /// The facade cannot remove a metric either. After a breaker was [removed](Self::remove), the next call sets its
    /// state and its probes to 0, once, through the recorder of that call. Numbers that only grow stay as they were.
    ///
    /// ```
    /// use microbreaker::metrics::{Meter, Monitors};
    /// use microbreaker::{Breaker, Config, StdClock, Streak};
    ///
    /// static PAYMENTS: Breaker<Streak, StdClock, Meter> =
    ///     Breaker::observed(Config::database(), StdClock::new(), Meter::new("payments"));
    ///
    /// let monitors = Monitors::new();
    /// monitors.add(&PAYMENTS)?;
    /// // In the handler of `/metrics`, before the recorder renders its page:
    /// monitors.publish();
    /// # Ok::<(), microbreaker::metrics::DuplicateName>(())
    /// ```
    pub fn publish(&self) {
        describe();
        for reading in self.readings() {
            for family in &FAMILIES {
                (family.samples)(&reading, &mut |labels, value| match value {
                    Value::Count(count) => count_of(family.name.to_owned(), labels).absolute(count),
                    Value::Seconds(time) => count_of(family.name.to_owned(), labels).absolute(time.as_secs()),
                    Value::Level(level) => level_of(family.name.to_owned(), labels).set(level),
                    Value::Times(latency) => {
                        cumulative(&latency, labels, |labels, calls| {
                            count_of(format!("{}_bucket", family.name), labels).absolute(calls);
                        });
                        count_of(format!("{}_count", family.name), labels).absolute(latency.count());
                        level_of(format!("{}_sum", family.name), labels).set(latency.sum.as_secs_f64());
                    }
                });
            }
        }
        // The removed breakers come last, since a breaker may have been removed after its reading above.
        for reading in self.removed() {
            for family in FAMILIES.iter().filter(|family| matches!(family.kind, Kind::Level)) {
                (family.samples)(&reading, &mut |labels, _| {
                    level_of(family.name.to_owned(), labels).set(0);
                });
            }
        }
    }
}

fn describe() {
    for family in &FAMILIES {
        match family.kind {
            Kind::Count | Kind::Seconds => describe_counter!(family.name, family.help),
            Kind::Level => describe_gauge!(family.name, family.help),
            Kind::Times => {
                describe_counter!(format!("{}_bucket", family.name), family.help);
                describe_counter!(format!("{}_count", family.name), family.help);
                describe_gauge!(format!("{}_sum", family.name), family.help);
            }
        }
    }
}

fn count_of(name: String, labels: Labels<'_>) -> Counter {
    counter!(name, owned(labels))
}

fn level_of(name: String, labels: Labels<'_>) -> Gauge {
    gauge!(name, owned(labels))
}

fn owned(labels: Labels<'_>) -> Vec<Label> {
    labels.iter().map(|&(name, value)| Label::from_static_parts(name, value)).collect()
}
