//! The main job of a circuit breaker, on real input: a fleet of HTTP clients calls a real server through a breaker
//! and, side by side, an equal fleet calls an equal server without one.
//!
//! ```text
//! cargo run --release -p host                                   a scripted server that fails in five ways
//! cargo run --release -p host -- --upstream http://127.0.0.1:8080/health --seconds 10
//! cargo run --release -p host -- serve            a gateway in front of real servers, until it is stopped
//! ```
//!
//! While the script runs, the guarded server is behind the gateway as well, with a status page to watch; so are a
//! PostgreSQL and a Redis, where `DATABASE_URL` and `REDIS_URL` name them.
//!
//! Ends with one table and the breaker's promises, each checked. Exit code 0: all kept; 1: one broken, or the run
//! could not be made; 2: bad arguments.

mod args;
mod gateway;
mod load;
mod record;
mod report;
mod rules;
mod service;
mod show;
mod tuning;
mod upstream;
mod visitors;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use microbreaker::{Breaker, Counters, Reading, StdClock};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::args::{Args, Backends, Job};
use crate::load::{Fleet, SideBoard, Watch};
use crate::record::{News, Outage, Record, What};
use crate::show::{Scene, Screen};
use crate::tuning::Tuning;
use crate::upstream::{Mood, SCRIPT, Upstream};
use crate::visitors::Visited;

/// The whole run, the table included, is over by then; a scripted one takes about 20 seconds.
const AT_MOST: Duration = Duration::from_secs(30);

/// Does what the command line asks for, the program's name first; the process's exit code.
pub fn main(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let args = match args::parse(words) {
        Ok(args) => args,
        Err(stop) => return stop.show(),
    };
    let backends = match Backends::from_env() {
        Ok(backends) => backends,
        Err(stop) => return stop.show(),
    };
    if let Job::Serve(serving) = args.job {
        return service::run(serving, backends, args.seed);
    }
    let begin = Instant::now();
    match run(&args, backends, begin) {
        Ok((record, readings)) => {
            let promises = rules::check(&record);
            let in_time = begin.elapsed() <= AT_MOST;
            show::say(&report::table(&record));
            show::say(&report::gateway(&readings));
            show::say(&report::promises(&promises, in_time));
            if in_time && promises.iter().all(rules::Promise::kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, backends: Backends, begin: Instant) -> io::Result<(Record, Vec<Reading>)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // A script that does not come to its end is a broken promise too, not a run that somebody has to kill.
    let rest = AT_MOST.saturating_sub(Duration::from_secs(1));
    let result = runtime.block_on(async {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the run did not reach its table in time");
        timeout(rest, guarded_and_not(args, backends, begin)).await.map_err(|_| late())?
    });
    runtime.shutdown_background();
    result
}

/// The run itself: servers, fleets, screen and script; what they saw is the record.
async fn guarded_and_not(args: &Args, backends: Backends, begin: Instant) -> io::Result<(Record, Vec<Reading>)> {
    let (tell, news) = mpsc::channel();
    let (tuning, servers) = match &args.job {
        Job::Script => (
            Tuning::scripted(args.clients),
            Some((Upstream::start(args.seed).await?, Upstream::start(args.seed).await?)),
        ),
        Job::Guard { .. } => (Tuning::gentle(args.clients), None),
        Job::Serve(_) => unreachable!("a gateway is served elsewhere"),
    };
    let visited = match &servers {
        Some((guarded, _)) => Some(Visited::start(guarded.uri(), backends).await?),
        None => None,
    };

    let watch = Watch::new(begin, tell.clone());
    let breaker = Breaker::try_observed(tuning.config(), StdClock::new(), (watch, Counters::new("upstream")))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    breaker.seed(args.seed);
    let breaker = Arc::new(breaker);

    let boards = (Arc::new(SideBoard::default()), Arc::new(SideBoard::default()));
    let (stop, stopped) = watch::channel(false);
    let fleet = |board, breaker, target| Fleet {
        tuning,
        begin,
        board,
        breaker,
        target,
        marks_probes: servers.is_some(),
        seed: args.seed,
        stopped: stopped.clone(),
    };
    let (with_target, without_target, length) = match (&args.job, &servers) {
        (Job::Guard { target, seconds }, _) => (target.clone(), None, *seconds),
        (Job::Script, Some((with, without))) => (with.uri(), Some(without.uri()), upstream::script_length()),
        (Job::Script, None) | (Job::Serve(_), _) => unreachable!("a script starts its servers"),
    };

    let screen = Screen::new(&Scene {
        title: match &visited {
            Some(visited) => format!("{}\nwatch it on {}", args.job.title(&tuning), visited.page()),
            None => args.job.title(&tuning),
        },
        length,
        with: Arc::clone(&boards.0),
        without: without_target.is_some().then(|| Arc::clone(&boards.1)),
        breaker: Arc::clone(&breaker),
        begin,
    });
    let screen = thread::Builder::new().name("screen".into()).spawn(move || screen.follow(&news))?;

    let metronome = tokio::spawn(load::metronome(stopped.clone()));
    let with = fleet(Arc::clone(&boards.0), Some(Arc::clone(&breaker)), with_target).start();
    let without = without_target.map(|target| fleet(Arc::clone(&boards.1), None, target).start());

    let outages = if let Some((first, second)) = &servers {
        play(first, second, begin, &tell).await?
    } else {
        // The calls under way at the end are dropped, so the length asked for is the whole run's.
        sleep(length.saturating_sub(begin.elapsed())).await;
        Vec::new()
    };
    let _ = stop.send(true);
    let with = with.join().await;
    let without = match without {
        Some(side) => Some(side.join().await),
        None => None,
    };
    let readings = match visited {
        Some(visited) => visited.stop().await?,
        None => Vec::new(),
    };
    let lateness = metronome.await.unwrap_or_default();
    let _ = tell.send(News { at: begin.elapsed(), what: What::End });
    let moves = screen.join().map_err(|_| io::Error::other("the screen's thread panicked"))?;
    let record = Record {
        tuning,
        outages,
        moves,
        with,
        without,
        rejected: breaker.observer().1.counts().rejected,
        most_probes_at_once: servers.as_ref().map(|(with, _)| with.most_probes_at_once()),
        lateness,
    };
    Ok((record, readings))
}

/// Plays the script on both servers at once and tells when each outage was.
async fn play(
    with: &Upstream,
    without: &Upstream,
    begin: Instant,
    tell: &mpsc::Sender<News>,
) -> io::Result<Vec<Outage>> {
    let mut outages: Vec<Outage> = Vec::new();
    let mut due = Instant::now();
    for scene in SCRIPT {
        let at = begin.elapsed();
        if scene.mood == Mood::Serves {
            if let Some(outage) = outages.last_mut() {
                outage.to = at;
            }
        } else {
            outages.push(Outage { mood: scene.mood, from: at, to: Duration::MAX });
        }
        // A watcher that is gone takes its news with it; the run goes on.
        let _ = tell.send(News { at, what: What::Scene(scene.mood) });
        let (first, second) = tokio::join!(with.set(scene.mood), without.set(scene.mood));
        first.and(second)?;
        due += scene.lasts;
        sleep_until(due).await;
    }
    Ok(outages)
}
