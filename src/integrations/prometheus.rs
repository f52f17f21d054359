//! `prometheus-client`: a collector that reads the breakers of [`Monitors`] at each scrape.

use core::fmt;
use std::vec::Vec;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::metrics::families::{FAMILIES, Kind, Value};
use crate::metrics::monitors::Monitors;
use crate::metrics::reading::Latency;

/// A set of monitors that is registered with a registry shows the [metrics](crate::metrics::Monitors#metrics) of all
/// its breakers. It reads them at each scrape.
///
/// ```
/// use microbreaker::metrics::{Meter, Monitors};
/// use microbreaker::{Breaker, Config, StdClock, Streak};
/// use prometheus_client::{encoding::text::encode, registry::Registry};
///
/// static PAYMENTS: Breaker<Streak, StdClock, Meter> =
///     Breaker::observed(Config::database(), StdClock::new(), Meter::new("payments"));
///
/// let monitors = Monitors::new();
/// monitors.add(&PAYMENTS)?;
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(monitors));
///
/// let mut page = String::new();
/// encode(&mut page, &registry)?;
/// assert!(page.contains(r#"circuit_breaker_state{name="payments",state="closed"} 1"#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Collector for Monitors {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let readings = self.readings();
        for family in &FAMILIES {
            let (name, kind) = match family.kind {
                // The encoder adds the suffix again.
                Kind::Count | Kind::Seconds => (family.name.trim_end_matches("_total"), MetricType::Counter),
                Kind::Level => (family.name, MetricType::Gauge),
                Kind::Times => (family.name, MetricType::Histogram),
            };
            let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
            for reading in &readings {
                let mut result = Ok(());
                (family.samples)(reading, &mut |labels, value| {
                    if result.is_ok() {
                        result = metric.encode_family(&labels).and_then(|sample| encode(sample, value));
                    }
                });
                result?;
            }
        }
        Ok(())
    }
}

fn encode(mut sample: MetricEncoder<'_>, value: Value) -> fmt::Result {
    match value {
        Value::Count(count) => sample.encode_counter::<NoLabelSet, _, f64>(&count, None),
        Value::Seconds(time) => sample.encode_counter::<NoLabelSet, _, f64>(&time.as_secs_f64(), None),
        Value::Level(level) => sample.encode_gauge(&level),
        Value::Times(latency) => {
            let bounds = Latency::BOUNDS.iter().map(core::time::Duration::as_secs_f64).chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(latency.buckets).collect();
            sample.encode_histogram::<NoLabelSet>(latency.sum.as_secs_f64(), latency.count(), &buckets, None)
        }
    }
}
