//! A real PostgreSQL and a real Redis that hang (`SIGSTOP`), crash (`SIGKILL`) and come back, each behind a breaker and
//! under load. PostgreSQL's pool is exhausted as well, which is not the database's fault. Then each server fails over:
//! connections die silently, and only new connections are served again.
//!
//! ```text
//! cargo run --release -p outages            both (Debian: postgresql, redis-server)
//! cargo run --release -p outages -- redis   or one of them
//! cargo run --release -p outages -- lend    both, for another program: prints their URLs, and obeys its standard input
//!                                           (hang, resume, crash, run) until that ends
//! ```
//!
//! Prints a timeline for each server, and the breaker's promises. Exit code 0: all promises kept; 1: a promise broken,
//! or the run not possible.

mod load;
mod process;
mod promises;
mod proxy;
mod target;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use microbreaker::{Config, State, StdClock};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::load::{Diary, Guarded, Watch};
use crate::process::{Kind, Server};
use crate::proxy::Proxy;
use crate::target::Target;

/// The circuit opens at ten failures in twenty calls, for 300 ms at first and 1.2 s at most. It admits one probe at a
/// time, and two successes close it.
pub(crate) fn config() -> Config {
    Config::count(20)
        .minimum(10)
        .failure_permille(500)
        .open_for(OPEN_FOR)
        .backoff_1024ths(2048)
        .open_at_most(OPEN_AT_MOST)
        .probes(4)
        .at_once(1)
        .successes(2)
        .lease(Duration::from_secs(2))
}

pub(crate) const MINIMUM: u32 = 10;
pub(crate) const PERMILLE: u32 = 500;
const OPEN_FOR: Duration = Duration::from_millis(300);
const OPEN_AT_MOST: Duration = Duration::from_millis(1200);

/// The circuit must close within this time after a recovery: an open time that had just begun, and another one if a
/// probe came too soon; then as much again for a busy machine.
pub(crate) const CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// After this time the run stops waiting for the circuit to close, because the promise is broken by then.
const WEDGED_AFTER: Duration = Duration::from_secs(20);

/// A part of the run: what was done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    Serves,
    Hangs,
    Down,
    Silent,
    TakenOver,
    Exhausted,
}

impl Scene {
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Hangs => "hangs (SIGSTOP)",
            Self::Down => "is down (SIGKILL)",
            Self::Silent => "fails over (all silent)",
            Self::TakenOver => "serves new connections alone",
            Self::Exhausted => "serves; its pool is exhausted",
        }
    }

    pub(crate) const fn is_outage(self) -> bool {
        matches!(self, Self::Hangs | Self::Down | Self::Silent)
    }
}

/// The record of one server's run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) scenes: Vec<(Duration, Scene)>,
    pub(crate) breaker: Arc<Guarded>,
    pub(crate) diaries: Vec<Diary>,
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted == ["lend"] {
        return match lend() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let kinds = [("postgres", Kind::Postgres), ("redis", Kind::Redis)];
    if let Some(unknown) = wanted.iter().find(|name| kinds.iter().all(|(known, _)| known != name)) {
        eprintln!("error: no such server: {unknown} (postgres, redis; or lend)");
        return ExitCode::from(2);
    }
    let (mut kept, mut broken) = (0, 0);
    for (name, kind) in kinds {
        if !wanted.is_empty() && wanted.iter().all(|wanted| wanted != name) {
            continue;
        }
        let records = match run(kind) {
            Ok(records) => records,
            Err(error) => {
                eprintln!("error: {name}: {error}");
                return ExitCode::FAILURE;
            }
        };
        for record in records {
            promises::timeline(&record);
            for promise in promises::check(&record) {
                println!("  {promise}");
                if promise.broken.is_empty() { kept += 1 } else { broken += 1 }
            }
        }
    }
    println!("{kept} promises kept, {broken} broken");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lends both servers for as long as standard input is open.
fn lend() -> io::Result<()> {
    let mut servers = [Server::start(Kind::Postgres)?, Server::start(Kind::Redis)?];
    let [database, cache] = &servers;
    println!("DATABASE_URL=postgres://postgres@127.0.0.1:{}/postgres", database.port());
    println!("REDIS_URL=redis://127.0.0.1:{}/", cache.port());
    for line in io::stdin().lines() {
        let line = line?;
        for server in &mut servers {
            match line.trim() {
                "hang" => server.hang()?,
                "resume" => server.resume()?,
                "crash" => server.crash()?,
                "run" => server.run()?,
                other => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no order: {other}"))),
            }
        }
    }
    Ok(())
}

fn run(kind: Kind) -> io::Result<[Record; 2]> {
    let mut server = Server::start(kind)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let records =
        runtime.block_on(async { Ok([comes_back(kind, &mut server).await?, fails_over(kind, &server).await?]) });
    runtime.shutdown_timeout(Duration::from_secs(1));
    records
}

/// Each outage lasts for several open times, and each recovery until the circuit is closed again.
async fn comes_back(kind: Kind, server: &mut Server) -> io::Result<Record> {
    let mut play = Play::begin(kind, server.port())?;
    sleep(Duration::from_millis(1500)).await;

    play.scene(Scene::Hangs);
    server.hang()?;
    sleep(Duration::from_millis(2500)).await;
    server.resume()?;
    play.scene(Scene::Serves);
    play.closes().await?;

    play.scene(Scene::Down);
    server.crash()?;
    sleep(Duration::from_millis(2500)).await;
    // PostgreSQL recovers its log first, so the circuit may close before this call returns.
    server.run()?;
    play.scene(Scene::Serves);
    play.closes().await?;

    if kind == Kind::Postgres {
        play.scene(Scene::Exhausted);
        play.target.exhaust(Duration::from_millis(1500)).await;
        play.scene(Scene::Serves);
        sleep(Duration::from_millis(500)).await;
    }
    Ok(play.end().await)
}

/// No connection is refused, reset or closed, so a client that keeps its old connections never recovers.
async fn fails_over(kind: Kind, server: &Server) -> io::Result<Record> {
    let proxy = Proxy::start(server.port()).await?;
    let mut play = Play::begin(kind, proxy.port())?;
    sleep(Duration::from_millis(1500)).await;

    play.scene(Scene::Silent);
    proxy.fall_silent();
    sleep(Duration::from_millis(1500)).await;
    proxy.take_over();
    play.scene(Scene::TakenOver);
    play.closes().await?;
    Ok(play.end().await)
}

/// The clients at work, and what was done meanwhile.
struct Play {
    kind: Kind,
    begin: Instant,
    target: Arc<Target>,
    breaker: Arc<Guarded>,
    scenes: Vec<(Duration, Scene)>,
    stop: watch::Sender<bool>,
    clients: JoinSet<Diary>,
}

impl Play {
    /// Begins with a server that serves on `port`.
    fn begin(kind: Kind, port: u16) -> io::Result<Self> {
        let target = Arc::new(match kind {
            Kind::Postgres => Target::postgres(port),
            Kind::Redis => Target::redis(port),
        });
        let begin = Instant::now();
        let breaker = Guarded::try_observed(config(), StdClock::new(), Watch::new(begin));
        let breaker = Arc::new(breaker.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?);
        let (stop, stopped) = watch::channel(false);
        let clients = load::start(&breaker, &target, begin, &stopped);
        let mut play = Self { kind, begin, target, breaker, scenes: Vec::new(), stop, clients };
        play.scene(Scene::Serves);
        Ok(play)
    }

    fn scene(&mut self, scene: Scene) {
        self.scenes.push((self.begin.elapsed(), scene));
    }

    /// Waits until the circuit has closed and calls have succeeded for a while.
    async fn closes(&self) -> io::Result<()> {
        let closed = async {
            while self.breaker.state() != State::Closed {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("wedged: {:?}", self.breaker.status()));
        timeout(WEDGED_AFTER, closed).await.map_err(late)?;
        sleep(Duration::from_millis(700)).await;
        Ok(())
    }

    async fn end(self) -> Record {
        let Self { kind, scenes, breaker, stop, clients, .. } = self;
        let _ = stop.send(true);
        Record { kind, scenes, breaker, diaries: clients.join_all().await }
    }
}
