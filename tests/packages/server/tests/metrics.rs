//! The same metrics in every exporter: a small story, and the page of a scrape after it. `page.txt` is that page.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use microbreaker::metrics::{Meter, Monitors};
use microbreaker::registry::RegistryBuilder;
use microbreaker::tracing::TracingLog;
use microbreaker::{Breaker, Config, CountWindow, FailureKind, ManualClock, OpenReason, Outcome, Streak, count_words};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const SECOND: Duration = Duration::from_secs(1);

type Hosts = microbreaker::registry::Registry<u8, Streak, &'static ManualClock, &'static Meter>;
type Payments = Breaker<CountWindow<{ count_words(4, true) }>, ManualClock, (Meter<2>, TracingLog)>;

/// Payments fail and open for 5 s, one probe fails, and the next probe is due now. Stock is never asked. One of three
/// hosts is open.
fn story() -> (Arc<Payments>, Monitors) {
    let config = Config::count(4).slow_after(SECOND).slow_permille(1000).open_for(5 * SECOND).jitter(false);
    let observer = (Meter::new("payments").timed(), TracingLog::new("payments"));
    let payments = Arc::new(Payments::observed(config, ManualClock::new(), observer));
    let stock: Breaker<Streak, _, Meter> =
        Breaker::observed(Config::database(), ManualClock::new(), Meter::new("stock"));
    let monitors = Monitors::new();
    monitors.add(Arc::clone(&payments)).unwrap();
    monitors.add(Arc::new(stock)).unwrap();
    monitors.add_members(hosts(), &HOSTS).unwrap();

    let call = |outcome, millis| {
        payments.acquire().unwrap().record_elapsed(outcome, Duration::from_millis(millis));
    };
    call(Outcome::Success, 3);
    call(Outcome::Success, 1500);
    call(Outcome::Alive, 3);
    call(Outcome::Failure(FailureKind::Server), 40);
    call(Outcome::Failure(FailureKind::Timeout), 60_000);
    assert_eq!(payments.acquire().unwrap_err().retry_in(), Some(5 * SECOND));
    assert!(payments.acquire().is_err());
    payments.clock().advance(6 * SECOND);
    call(Outcome::Failure(FailureKind::Server), 40);
    payments.clock().advance(11 * SECOND + SECOND / 2);
    (payments, monitors)
}

static HOSTS: Meter = Meter::new("hosts");

fn hosts() -> &'static Hosts {
    static HOSTS_BY_KEY: LazyLock<Hosts> = LazyLock::new(|| {
        let clock: &ManualClock = Box::leak(Box::default());
        let hosts: Hosts = RegistryBuilder::new("hosts", Config::streak(1)).build_observed(clock, |_| &HOSTS).unwrap();
        for (key, outcome) in [(1, Outcome::Success), (2, Outcome::Failure(FailureKind::Refused)), (3, Outcome::Alive)]
        {
            hosts.get_or_create(&key).acquire().unwrap().record(outcome);
        }
        hosts
    });
    &HOSTS_BY_KEY
}

fn page(monitors: Monitors) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(monitors));
    let mut page = String::new();
    encode(&mut page, &registry).unwrap();
    page
}

/// The value of each series, as Rust writes it, by the series' name with its labels in order.
type Series = BTreeMap<String, String>;

fn key<'a>(name: &str, labels: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value:?}")).collect();
    labels.sort();
    format!("{name}{{{}}}", labels.join(","))
}

fn series_of_page(page: &str) -> Series {
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let labels = labels.split(',').map(|label| label.split_once('=').unwrap());
        (key(name, labels.map(|(name, value)| (name, value.trim_matches('"').to_owned()))), plain(value))
    };
    samples.map(parse).collect()
}

#[test]
fn a_scrape_shows_what_was_done_zeros_included() {
    let (payments, monitors) = story();
    let probe = payments.acquire().unwrap();
    assert!(probe.is_probe());
    let page = page(monitors);
    assert_eq!(page, include_str!("page.txt"), "\n{page}");
}

#[test]
fn each_breaker_has_seven_states_and_is_in_one() {
    let (payments, monitors) = story();
    let states = |expected: &str| {
        let series = series_of_page(&page(monitors.clone()));
        let of = |name: &str| {
            let named = format!("name={name:?}");
            series
                .iter()
                .filter(move |(key, _)| key.starts_with("circuit_breaker_state{") && key.contains(&named))
                .collect()
        };
        let states: Vec<(&String, &String)> = of("payments");
        assert_eq!(states.len(), 7);
        for (key, value) in states {
            let is = key.contains(&format!("state={expected:?}"));
            assert_eq!(value, if is { "1" } else { "0" }, "{key} while {expected}");
        }
    };
    // The open time is over, but no caller has asked since.
    states("open");
    payments.acquire().unwrap().alive();
    states("closed");
    payments.latch();
    states("latched");
    payments.force_open();
    states("forced_open");
    payments.disable();
    states("disabled");
    payments.reset();
    states("closed");
    payments.trip(OpenReason::Fleet, SECOND);
    payments.clock().advance(SECOND);
    let _probe = payments.acquire().unwrap();
    states("half_open");
}

#[test]
fn the_facade_is_handed_the_same() {
    let (payments, monitors) = story();
    let _probe = payments.acquire().unwrap();
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        monitors.publish();
        // A second publication sets the values again and does not add to them.
        monitors.publish();
    });
    let mut series = Series::new();
    for (composite, _, help, value) in recorder.snapshotter().snapshot().into_vec() {
        assert!(help.is_some_and(|help| !help.is_empty()), "{composite:?} is not described");
        let labels = composite.key().labels().map(|label| (label.key(), label.value().to_owned()));
        let value = match value {
            DebugValue::Counter(count) => count.to_string(),
            DebugValue::Gauge(level) => level.into_inner().to_string(),
            DebugValue::Histogram(_) => panic!("{composite:?} is a histogram"),
        };
        series.insert(key(composite.key().name(), labels), value);
    }
    assert_eq!(series, in_whole_seconds());
}

/// The series as the facade can show them: its counters have no fractions.
fn in_whole_seconds() -> Series {
    let mut series = series_of_page(include_str!("page.txt"));
    let open = series.get_mut(r#"circuit_breaker_open_seconds_total{name="payments"}"#).unwrap();
    assert_eq!(open, "17.5");
    "17".clone_into(open);
    series
}

/// The exporter that most programs use with the facade keeps the names, so the dashboard and the alerts work with it.
#[test]
fn the_facades_own_prometheus_page_has_the_same_series() {
    let (payments, monitors) = story();
    let _probe = payments.acquire().unwrap();
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || monitors.publish());
    let page = recorder.handle().render();
    let filled = page.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(series_of_page(&filled), in_whole_seconds());
}

/// A recorder cannot be told to forget a series, so a removed breaker is shown in no state.
#[test]
fn what_is_removed_does_not_stay_as_it_was_last_published() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let publish = |monitors: &Monitors| {
        metrics::with_local_recorder(&recorder, || monitors.publish());
        recorder.handle().render()
    };
    let latched = r#"circuit_breaker_state{name="payments",state="latched"}"#;
    let (payments, monitors) = story();
    payments.latch();
    assert!(publish(&monitors).contains(&format!("{latched} 1")));
    let open = r#"circuit_breaker_members{name="hosts",state="open"}"#;
    assert!(publish(&monitors).contains(&format!("{open} 1")));
    assert!(monitors.remove("payments") && !monitors.remove("payments") && monitors.remove("hosts"));
    assert!(monitors.readings().iter().all(|reading| reading.name != "payments"));
    let page = publish(&monitors);
    assert!(page.contains(&format!("{latched} 0")) && page.contains(&format!("{open} 0")), "{page}");
    let state = r#"circuit_breaker_state{name="hosts",state="open"}"#;
    assert!(!page.contains(state), "a registry is in no one state");
    // A breaker of its own takes the name, and then the registry takes it again.
    let own: Breaker<Streak, _, Meter> = Breaker::observed(Config::streak(1), ManualClock::new(), Meter::new("hosts"));
    own.trip(OpenReason::Manual, SECOND);
    monitors.add(Arc::new(own)).unwrap();
    assert!(publish(&monitors).contains(&format!("{state} 1")));
    assert!(monitors.remove("hosts"));
    monitors.add_members(hosts(), &HOSTS).unwrap();
    let page = publish(&monitors);
    assert!(page.contains(&format!("{state} 0")) && page.contains(&format!("{open} 1")), "{page}");
    // After it is added again, it shows at once.
    monitors.add(Arc::clone(&payments)).unwrap();
    assert!(monitors.add(Arc::clone(&payments)).is_err());
    assert!(monitors.remove("payments"));
    monitors.add(payments).unwrap();
    assert!(publish(&monitors).contains(&format!("{latched} 1")));
}

#[test]
fn open_telemetry_observes_the_same() {
    let (payments, monitors) = story();
    let _probe = payments.acquire().unwrap();
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(86_400)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    monitors.observe(&provider.meter("microbreaker"));
    provider.force_flush().unwrap();

    let mut series = Series::new();
    let collected = exporter.get_finished_metrics().unwrap();
    for metric in collected.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics) {
        assert!(!metric.description().is_empty(), "{metric:?}");
        assert_eq!(metric.unit() == "s", metric.name().contains("seconds") && !is_count(metric.name()), "{metric:?}");
        let monotonic = match metric.data() {
            AggregatedMetrics::F64(data) => points(metric.name(), data, &mut series),
            AggregatedMetrics::U64(data) => points(metric.name(), data, &mut series),
            AggregatedMetrics::I64(data) => points(metric.name(), data, &mut series),
        };
        assert_eq!(monotonic, metric.name().ends_with("_total"), "{metric:?}");
    }
    assert_eq!(series, series_of_page(include_str!("page.txt")));
    provider.shutdown().unwrap();
}

fn is_count(name: &str) -> bool {
    name.ends_with("_bucket") || name.ends_with("_count")
}

/// The number without a fraction of zero.
fn plain(number: &str) -> String {
    number.parse::<f64>().unwrap().to_string()
}

/// Adds a metric's points. Returns whether the metric only grows.
fn points<T: Copy + ToString>(name: &str, data: &MetricData<T>, to: &mut Series) -> bool {
    let mut add = |attributes: &mut dyn Iterator<Item = &opentelemetry::KeyValue>, value: T| {
        let labels: Vec<_> = attributes.map(|label| (label.key.as_str(), label.value.to_string())).collect();
        to.insert(key(name, labels.into_iter()), value.to_string());
    };
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().for_each(|point| add(&mut point.attributes(), point.value()));
            false
        }
        MetricData::Sum(sum) => {
            sum.data_points().for_each(|point| add(&mut point.attributes(), point.value()));
            sum.is_monotonic()
        }
        MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => panic!("{name} is a histogram"),
    }
}
