//! A real PostgreSQL and a real Redis that hang (`SIGSTOP`), crash (`SIGKILL`) and come back, each behind a breaker and
//! under load; PostgreSQL's pool is exhausted as well, which is not the database's fault.
//!
//! ```text
//! cargo run --release -p outages                both (Debian: postgresql, redis-server)
//! cargo run --release -p outages -- redis       or one of them
//! cargo run --release -p outages -- lend        both for somebody else: prints their URLs, and does as it is told on its
//!                                               standard input (hang, resume, crash, run) until that ends
//! ```
//!
//! Prints a timeline for each, and what the breaker promised of it. Exit code 0: all kept; 1: one broken, or the run could
//! not be made.

#[path = "../../../examples/host/src/gateway/dependency.rs"]
mod dependency;
mod load;
mod process;
mod promises;
mod target;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use microbreaker::{Config, State, StdClock};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::load::{Diary, Guarded, Watch};
use crate::process::{Kind, Server};
use crate::target::Target;

/// Opens at ten bad calls of twenty, for 300 ms at first and no longer than 1.2 s; one probe at a time, two good ones
/// close it.
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

/// A part of the run: what was done, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    Serves,
    Hangs,
    Down,
    Exhausted,
}

impl Scene {
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Hangs => "hangs (SIGSTOP)",
            Self::Down => "is down (SIGKILL)",
            Self::Exhausted => "serves; its pool is exhausted",
        }
    }
}

/// What was seen of one server.
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
        let record = match run(kind) {
            Ok(record) => record,
            Err(error) => {
                eprintln!("error: {name}: {error}");
                return ExitCode::FAILURE;
            }
        };
        promises::timeline(&record);
        for promise in promises::check(&record) {
            println!("  {promise}");
            if promise.broken.is_empty() { kept += 1 } else { broken += 1 }
        }
    }
    println!("{kept} promises kept, {broken} broken");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Both servers, for as long as standard input is open.
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

fn run(kind: Kind) -> io::Result<Record> {
    let mut server = Server::start(kind)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let record = runtime.block_on(play(kind, &mut server));
    runtime.shutdown_timeout(Duration::from_secs(1));
    record
}

/// Each outage long enough for several open periods; each recovery until the circuit is closed again.
async fn play(kind: Kind, server: &mut Server) -> io::Result<Record> {
    let target = Arc::new(match kind {
        Kind::Postgres => Target::postgres(server.port()),
        Kind::Redis => Target::redis(server.port()),
    });
    let begin = Instant::now();
    let breaker = Guarded::try_observed(config(), StdClock::new(), Watch::new(begin));
    let breaker = Arc::new(breaker.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?);
    let (stop, stopped) = watch::channel(false);
    let clients = load::start(&breaker, &target, begin, &stopped);

    let mut scenes = vec![(begin.elapsed(), Scene::Serves)];
    sleep(Duration::from_millis(1500)).await;

    scenes.push((begin.elapsed(), Scene::Hangs));
    server.hang()?;
    sleep(Duration::from_millis(2500)).await;
    server.resume()?;
    scenes.push((begin.elapsed(), Scene::Serves));
    closes(&breaker).await?;

    scenes.push((begin.elapsed(), Scene::Down));
    server.crash()?;
    sleep(Duration::from_millis(2500)).await;
    // PostgreSQL recovers its log first; the circuit may close before this returns.
    server.run()?;
    scenes.push((begin.elapsed(), Scene::Serves));
    closes(&breaker).await?;

    if kind == Kind::Postgres {
        scenes.push((begin.elapsed(), Scene::Exhausted));
        target.exhaust(Duration::from_millis(1500)).await;
        scenes.push((begin.elapsed(), Scene::Serves));
        sleep(Duration::from_millis(500)).await;
    }
    let _ = stop.send(true);
    let diaries = clients.join_all().await;
    Ok(Record { kind, scenes, breaker, diaries })
}

/// Until the circuit has closed and served for a while.
async fn closes(breaker: &Guarded) -> io::Result<()> {
    let closed = async {
        while breaker.state() != State::Closed {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("wedged: {:?}", breaker.status()));
    timeout(Duration::from_secs(20), closed).await.map_err(late)?;
    sleep(Duration::from_millis(700)).await;
    Ok(())
}
