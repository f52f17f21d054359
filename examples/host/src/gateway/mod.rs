//! A gateway in front of real dependencies: an HTTP upstream whose answers stream and, if asked for, a PostgreSQL and a
//! Redis. Each is behind a breaker of its own.
//!
//! | path | what |
//! | --- | --- |
//! | `/` | a status page: each breaker's state, rates and timeline, live |
//! | `/events` | what the page shows, as server-sent events |
//! | `/health` | the breakers as JSON; 503 if no dependency can be called |
//! | `/metrics` | the metrics for Prometheus |
//! | `/upstream/…` | what the upstream answers there, as it streams |
//! | `/time` | the database's clock; if the database cannot be asked, a cached reading or else "unknown" |
//! | `PUT /breakers/NAME/MODE` | switches a breaker to `on`, `off`, `open` or `shadow` |

pub(crate) mod args;
pub mod dependency;
mod guard;
mod proxy;
pub(crate) mod service;
mod settings;
#[cfg(test)]
mod tests;
mod visitors;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, put};
use axum::serve::ListenerExt;
use futures_util::{StreamExt, stream};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use microbreaker::fallback::{Fallback, Served, Tier};
use microbreaker::health::{Condition, Health, HealthBody};
use microbreaker::http::{AtEnd, ClassifyHead, HeadOutcome, HttpStatus, StallAfter};
use microbreaker::metrics::{Monitors, Reading};
use microbreaker::tower::{BreakerLayer, BreakerService};
use microbreaker::{Config, Error, GuardExt as _, Mode, Rejected};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use self::args::Backends;
use self::dependency::{Cache, Database, classify};
use self::guard::{Guard, Guarded, Move, Timeline};

/// What the gateway serves, and where.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Uri,
    pub(crate) backends: Backends,
    /// The file with the settings of the breakers. It is watched.
    pub(crate) settings: Option<PathBuf>,
    /// The directory that keeps the states of the breakers over a restart.
    pub(crate) state: Option<PathBuf>,
    pub(crate) patience: Patience,
}

/// How long the gateway waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the head of an answer, counted from the last frame of the request. Also for a connection.
    pub(crate) head: Duration,
    /// For the next frame of a client's request.
    pub(crate) upload: Duration,
    /// For a frame of an answer, before the upstream counts as stalled: a client that hangs up later is not to blame.
    pub(crate) stall: Duration,
    /// For a frame of an answer, before the answer is cut off.
    pub(crate) frame: Duration,
    /// For answers that are under way when the gateway stops.
    pub(crate) drain: Duration,
}

impl Patience {
    pub(crate) const USUAL: Self = Self {
        head: Duration::from_secs(1),
        upload: Duration::from_secs(10),
        stall: Duration::from_secs(2),
        frame: Duration::from_secs(3),
        drain: Duration::from_millis(500),
    };
}

/// A gateway that listens.
pub(crate) struct Gateway {
    address: SocketAddr,
    listener: TcpListener,
    service: Arc<Service>,
    settings: Option<(PathBuf, settings::All)>,
    state: Option<PathBuf>,
}

/// Connections to the database.
const POOL: usize = 8;

/// How often the page gets a frame, and over how many frames its rates are taken.
const FRAME: Duration = Duration::from_millis(500);
const FRAMES: usize = 8;

type Call = BoxCloneSyncService<hyper::Request<Body>, hyper::Response<Incoming>, proxy::Fault>;
type Upstream = BreakerService<Call, Arc<Guarded>, AtEnd<StallAfter<Answers>>>;

/// What all routes share.
struct Service {
    guards: Vec<Guard>,
    upstream: Upstream,
    target: Uri,
    database: Option<(Database, Arc<Guarded>)>,
    cache: Option<(Cache, Arc<Guarded>)>,
    registry: Registry,
    timeline: Arc<Timeline>,
    patience: Patience,
    /// Whether the gateway is stopping. A browser that shows the page never hangs up, so it must be told.
    stopping: watch::Sender<bool>,
}

/// The path below which the upstream is.
const UPSTREAM: &str = "/upstream";

/// The cache keeps the last reading of the database's clock under this key.
const TIME: &str = "gateway:time";

impl Gateway {
    /// Listens and makes the breakers. Connections are made when they are needed.
    pub(crate) async fn bind(plan: Plan) -> io::Result<Self> {
        let wrong = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        if plan.upstream.query().is_some() {
            return Err(wrong(format!(
                "{}: the URL of the upstream must not have a query, because each request has its own",
                plan.upstream
            )));
        }
        let mut names = vec!["upstream"];
        let Backends { database, redis } = plan.backends;
        names.extend(database.as_ref().map(|_| "database"));
        names.extend(redis.as_ref().map(|_| "cache"));
        let settings = settings::All::read(plan.settings.as_deref(), &names).map_err(wrong)?;
        // This comes before states are restored, because that uses the kept states up.
        let listener = TcpListener::bind(plan.listen).await;
        let listener = listener.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", plan.listen)))?;
        let address = listener.local_addr()?;
        if let Some(directory) = &plan.state {
            fs::create_dir_all(directory)?;
        }

        let timeline = Timeline::new();
        let guard = |name, base| {
            Guard::new(name, base, &settings.of(name), &timeline, plan.state.as_deref())
                .map_err(|error| wrong(format!("{name}: {error}")))
        };
        let upstream = guard("upstream", Config::upstream().minimum(10).open_for(Duration::from_secs(1)))?;
        let mut guards = vec![upstream.clone()];
        let mut another = |name| {
            // A database answers soon or not at all, so few bad answers are enough.
            let base = Config::count(50).failure_permille(500).minimum(10).open_for(Duration::from_secs(1)).probes(3);
            let guard = guard(name, base.successes(2).open_at_most(Duration::from_secs(15)))?;
            guards.push(guard.clone());
            io::Result::Ok(guard.breaker)
        };
        let database = match database.map(|url| url.parse()).transpose().map_err(io::Error::other)? {
            Some(config) => Some((Database::new(config, POOL), another("database")?)),
            None => None,
        };
        let cache = match redis.map(redis::Client::open).transpose().map_err(io::Error::other)? {
            Some(client) => Some((Cache::new(client), another("cache")?)),
            None => None,
        };

        let monitors = Monitors::new();
        for guard in &guards {
            monitors.add(Arc::clone(&guard.breaker)).map_err(io::Error::other)?;
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(monitors));

        let patience = plan.patience;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience.head));
        let client: proxy::Client = Client::builder(TokioExecutor::new()).build(connector);
        let call = service_fn(move |request| proxy::call(client.clone(), request, patience.head, patience.upload));
        let layer = BreakerLayer::new(Arc::clone(&upstream.breaker)).settle(AtEnd(Answers).stall_after(patience.stall));
        let upstream = layer.layer(BoxCloneSyncService::new(call));

        let stopping = watch::Sender::new(false);
        let target = plan.upstream;
        let service = Service { guards, upstream, target, database, cache, registry, timeline, patience, stopping };
        let settings = plan.settings.map(|file| (file, settings));
        Ok(Self { address, listener, service: Arc::new(service), settings, state: plan.state })
    }

    /// The address at which it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is over. Answers that are under way are then finished, within [`drain`](Patience::drain),
    /// and the states of the breakers are kept. Returns what the breakers counted.
    pub(crate) async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<Vec<Reading>> {
        let router = axum::Router::new()
            .route("/", get(async || Html(include_str!("page.html"))))
            .route("/events", get(events))
            .route("/health", get(health))
            .route("/metrics", get(metrics))
            .route("/time", get(time))
            .route(UPSTREAM, any(upstream))
            .route(&format!("{UPSTREAM}/"), any(upstream))
            .route(&format!("{UPSTREAM}/{{*path}}"), any(upstream))
            .route("/breakers/{name}/{mode}", put(switch))
            .with_state(Arc::clone(&self.service));
        let follows = self
            .settings
            .map(|(file, settings)| tokio::spawn(settings::follow(file, settings, self.service.guards.clone())));
        let service = Arc::clone(&self.service);
        let stop = async move {
            stop.await;
            service.stopping.send_replace(true);
        };
        // Each line of a stream is sent at once, not together with the next.
        let listener = self.listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop).into_future();
        let mut stopping = self.service.stopping.subscribe();
        let too_late = async {
            let _ = stopping.wait_for(|stopping| *stopping).await;
            sleep(self.service.patience.drain).await;
        };
        let served = tokio::select! {
            served = serving => served,
            () = too_late => Ok(()),
        };
        if let Some(follows) = follows {
            follows.abort();
        }
        let kept = match &self.state {
            // If one state cannot be kept, the others are kept all the same.
            Some(directory) => self.service.guards.iter().map(|guard| guard.save(directory)).fold(Ok(()), Result::and),
            None => Ok(()),
        };
        served.and(kept).map(|()| self.service.readings())
    }
}

/// What an answer of the upstream, or the error in its place, says about the upstream.
#[derive(Clone, Copy)]
struct Answers;

impl<B> ClassifyHead<Result<hyper::Response<B>, proxy::Fault>> for Answers {
    fn classify_head(&self, result: &Result<hyper::Response<B>, proxy::Fault>) -> HeadOutcome {
        match result {
            Ok(response) => HttpStatus.classify_head(response),
            Err(fault) => HeadOutcome::of(fault.outcome()),
        }
    }
}

/// Passes a request on and streams the answer. The breaker hears of the outcome when the answer has ended.
async fn upstream(State(service): State<Arc<Service>>, request: Request) -> Response {
    let Some(request) = proxy::onward(request, UPSTREAM, &service.target) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match service.upstream.clone().oneshot(request).await {
        Ok(answer) => proxy::back(answer, service.patience.frame),
        Err(Error::Rejected(rejected)) => unavailable(&rejected),
        Err(Error::Inner(fault)) => fault.into_response(),
    }
}

/// 503, with the time after which to come back.
fn unavailable(rejected: &Rejected) -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, rejected.to_string()).into_response();
    if let Some(time) = rejected.retry_in() {
        // Whole seconds, rounded up, so that nobody comes too early.
        let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The database's clock. If that fails, the reading in the cache. If there is none, "unknown".
async fn time(State(service): State<Arc<Service>>) -> Response {
    let Some((database, breaker)) = &service.database else {
        return (StatusCode::NOT_FOUND, "there is no database: start the gateway with --database URL").into_response();
    };
    let answer = Fallback::first(database.time().guarded_with(&**breaker, classify).await)
        .cached_async(|_| async {
            let (cache, breaker) = service.cache.as_ref()?;
            cache.get(TIME).guarded_with(&**breaker, classify).await.ok().flatten()
        })
        .await;
    let Served { value, tier, error } = answer.degraded(|_| "unknown".to_owned());
    if let (Tier::Primary, Some((cache, breaker))) = (tier, &service.cache) {
        // If the cache cannot take the reading, the breaker of the cache counts that.
        let _ = cache.set(TIME, &value).guarded_with(&**breaker, classify).await;
    }
    let body = serde_json::json!({
        "time": value,
        "served_by": tier.name(),
        "because": error.map(|error| match error {
            Error::Rejected(rejected) => rejected.to_string(),
            Error::Inner(other) => format!("{other:?}"),
        }),
    });
    json(StatusCode::OK, body.to_string())
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

impl Service {
    fn healths(&self) -> Vec<Health<'_>> {
        self.guards.iter().map(|guard| Health::of(guard.name, &*guard.breaker)).collect()
    }

    fn readings(&self) -> Vec<Reading> {
        self.guards.iter().map(|guard| guard.breaker.reading()).collect()
    }

    /// What the page shows. `before` was read `apart` before `now`.
    fn frame(&self, before: &[Reading], now: &[Reading], apart: Duration) -> String {
        let per_second = |count: u64| {
            #[expect(clippy::cast_precision_loss, reason = "calls within some seconds")]
            let count = count as f64;
            count / apart.as_secs_f64().max(1e-3)
        };
        let rates: Vec<Rates> = before
            .iter()
            .zip(now)
            .map(|(before, now)| Rates {
                calls: per_second(calls(now).saturating_sub(calls(before))),
                failed: per_second(now.failure.saturating_sub(before.failure)),
                rejected: per_second(now.rejected.saturating_sub(before.rejected)),
                open_seconds: now.open.as_secs_f64(),
            })
            .collect();
        let now_ms = u64::try_from(self.timeline.age().as_millis()).unwrap_or(u64::MAX);
        let (moves, since_ms) = self.timeline.moves();
        let frame = Frame { health: HealthBody(self.healths()), rates, moves, since_ms, now_ms };
        serde_json::to_string(&frame).unwrap_or_default()
    }
}

/// How many calls have ended.
const fn calls(reading: &Reading) -> u64 {
    reading.success
        + reading.failure
        + reading.alive
        + reading.ignored
        + reading.cancelled
        + reading.hold
        + reading.latch
}

#[derive(Serialize)]
struct Frame<'a> {
    health: HealthBody<Vec<Health<'a>>>,
    rates: Vec<Rates>,
    moves: Vec<Move>,
    /// Earlier transitions are no longer in `moves`.
    since_ms: u64,
    now_ms: u64,
}

/// The rates of a breaker, per second, and its open time in all.
#[derive(Serialize)]
struct Rates {
    calls: f64,
    failed: f64,
    rejected: f64,
    open_seconds: f64,
}

async fn events(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let mut stopping = service.stopping.subscribe();
    let frames = stream::unfold((service, VecDeque::new()), async |(service, mut before)| {
        if !before.is_empty() {
            sleep(FRAME).await;
        }
        let (now, read) = (service.readings(), Instant::now());
        before.push_back((now.clone(), read));
        if before.len() > FRAMES + 1 {
            before.pop_front();
        }
        let (oldest, at) = before.front()?;
        let event = Event::default().data(service.frame(oldest, &now, read - *at));
        Some((Ok::<_, Infallible>(event), (service, before)))
    });
    Sse::new(frames.take_until(async move { drop(stopping.wait_for(|stopping| *stopping).await) }))
}

async fn health(State(service): State<Arc<Service>>) -> Response {
    let body = HealthBody(service.healths());
    let status = match body.condition() {
        Condition::Down => StatusCode::SERVICE_UNAVAILABLE,
        Condition::Ok | Condition::Degraded => StatusCode::OK,
    };
    json(status, serde_json::to_string(&body).unwrap_or_default())
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let mut page = String::new();
    match encode(&mut page, &service.registry) {
        Ok(()) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn switch(State(service): State<Arc<Service>>, Path((name, mode)): Path<(String, String)>) -> Response {
    let Some(guard) = service.guards.iter().find(|guard| guard.name == name) else {
        return (StatusCode::NOT_FOUND, format!("there is no breaker with the name {name:?}")).into_response();
    };
    let Some(mode) = Mode::ALL.into_iter().find(|known| known.name() == mode) else {
        return (StatusCode::BAD_REQUEST, "a mode is on, off, open or shadow").into_response();
    };
    tracing::info!(name = guard.name, mode = mode.name(), "switched by hand");
    guard.breaker.switch(mode);
    StatusCode::NO_CONTENT.into_response()
}
