//! OpenTelemetry: observable instruments over the readings of [`Monitors`].

use std::format;
use std::vec::Vec;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use crate::metrics::families::{FAMILIES, Family, Kind, Labels, Value, cumulative};
use crate::metrics::monitors::Monitors;

impl Monitors {
    /// Makes an observable instrument of `meter` for each of the [metrics](Self#metrics). The instruments also show
    /// breakers that are added later. Call this once for each meter: instruments last as long as the meter's provider,
    /// and two instruments of one name count double.
    ///
    /// Each instrument's callback takes its own readings, so two metrics of one collection may be a few calls apart. No
    /// instrument can observe a histogram, so a histogram is shown as Prometheus stores it: `_bucket` (by `le`) and
    /// `_count` are up-down counters, which never go down and whose names a Prometheus exporter does not change; `_sum`
    /// is a gauge.
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
    /// monitors.observe(&opentelemetry::global::meter("microbreaker"));
    /// # Ok::<(), microbreaker::metrics::DuplicateName>(())
    /// ```
    pub fn observe(&self, meter: &Meter) {
        for family in &FAMILIES {
            let (name, help) = (family.name, family.help);
            match family.kind {
                Kind::Count => {
                    let counts = self.callback(family, |labels, value, observe| {
                        if let Value::Count(count) = value {
                            observe(count, labels);
                        }
                    });
                    meter.u64_observable_counter(name).with_description(help).with_callback(counts).build();
                }
                Kind::Seconds => {
                    let seconds = self.callback(family, |labels, value, observe| {
                        if let Value::Seconds(time) = value {
                            observe(time.as_secs_f64(), labels);
                        }
                    });
                    let counter = meter.f64_observable_counter(name).with_description(help).with_unit("s");
                    counter.with_callback(seconds).build();
                }
                Kind::Level => {
                    let levels = self.callback(family, |labels, value, observe| {
                        if let Value::Level(level) = value {
                            observe(level.into(), labels);
                        }
                    });
                    meter.u64_observable_gauge(name).with_description(help).with_callback(levels).build();
                }
                Kind::Times => {
                    let buckets = self.callback(family, |labels, value, observe| {
                        if let Value::Times(latency) = value {
                            cumulative(&latency, labels, |labels, calls| observe(signed(calls), labels));
                        }
                    });
                    let counts = self.callback(family, |labels, value, observe| {
                        if let Value::Times(latency) = value {
                            observe(signed(latency.count()), labels);
                        }
                    });
                    let sums = self.callback(family, |labels, value, observe| {
                        if let Value::Times(latency) = value {
                            observe(latency.sum.as_secs_f64(), labels);
                        }
                    });
                    let part = |suffix| format!("{name}_{suffix}");
                    let bucket = meter.i64_observable_up_down_counter(part("bucket"));
                    bucket.with_description(help).with_callback(buckets).build();
                    let count = meter.i64_observable_up_down_counter(part("count"));
                    count.with_description(help).with_callback(counts).build();
                    let sum = meter.f64_observable_gauge(part("sum")).with_unit("s");
                    sum.with_description(help).with_callback(sums).build();
                }
            }
        }
    }

    /// The function that an instrument calls at each collection.
    fn callback<T>(&self, family: &'static Family, sample: Sample<T>) -> impl Fn(&dyn AsyncInstrument<T>) + use<T> {
        let monitors = self.clone();
        move |instrument| {
            for reading in monitors.readings() {
                (family.samples)(&reading, &mut |labels, value| {
                    sample(labels, value, &mut |measured, labels| instrument.observe(measured, &attributes(labels)));
                });
            }
        }
    }
}

/// Gives an instrument the numbers that it observes of a value, with their labels.
type Sample<T> = fn(Labels<'_>, Value, &mut dyn FnMut(T, Labels<'_>));

fn signed(calls: u64) -> i64 {
    calls.try_into().unwrap_or(i64::MAX)
}

fn attributes(labels: Labels<'_>) -> Vec<KeyValue> {
    labels.iter().map(|&(name, value)| KeyValue::new(name, value)).collect()
}
