//! One run from its beginning to its table: servers, fleets, screen and script.

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::future::join;
use microbreaker::metrics::Counters;
use microbreaker::{Breaker, StdClock};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::args::{Args, Job};
use crate::load::{self, Fleet, SideBoard, Watch};
use crate::record::{News, Outage, Record, What};
use crate::show::{Scene, Screen};
use crate::tuning::Tuning;
use crate::upstream::{self, Mood, SCRIPT, Upstream};
use crate::{report, rules, show};

/// The whole run, the table included, must end within this time. A scripted one takes about 20 seconds.
const AT_MOST: Duration = Duration::from_secs(30);

/// Makes the run, then prints its table and the promises.
pub(crate) fn run(args: &Args) -> ExitCode {
    let begin = Instant::now();
    match record(args, begin) {
        Ok(record) => {
            let promises = rules::check(&record);
            let in_time = begin.elapsed() <= AT_MOST;
            show::say(&report::table(&record));
            show::say(&report::story(&record));
            show::say(&report::promises(&promises, in_time));
            if in_time && promises.iter().all(rules::Promise::kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn record(args: &Args, begin: Instant) -> io::Result<Record> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // A script that does not reach its end is a broken promise. Nobody should have to kill the program.
    let rest = AT_MOST.saturating_sub(Duration::from_secs(1));
    let result = runtime.block_on(async {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the run did not reach its table in time");
        timeout(rest, guarded_and_not(args, begin)).await.map_err(|_| late())?
    });
    runtime.shutdown_background();
    result
}

/// Starts everything, plays the script (or waits), stops everything, and records what happened.
async fn guarded_and_not(args: &Args, begin: Instant) -> io::Result<Record> {
    let (tell, news) = mpsc::channel();
    let (tuning, servers, targets, length) = match &args.job {
        Job::Script => {
            let servers = (Upstream::start(args.seed).await?, Upstream::start(args.seed).await?);
            let targets = (servers.0.uri(), Some(servers.1.uri()));
            (Tuning::scripted(args.clients), Some(servers), targets, upstream::script_length())
        }
        Job::Guard { target, seconds } => (Tuning::gentle(args.clients), None, (target.clone(), None), *seconds),
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
    let screen = Screen::new(&Scene {
        title: args.title(),
        length,
        with: Arc::clone(&boards.0),
        without: targets.1.is_some().then(|| Arc::clone(&boards.1)),
        breaker: Arc::clone(&breaker),
        begin,
    });
    let screen = thread::Builder::new().name("screen".into()).spawn(move || screen.follow(&news))?;

    let metronome = tokio::spawn(load::metronome(stopped.clone()));
    let with = fleet(Arc::clone(&boards.0), Some(Arc::clone(&breaker)), targets.0).start();
    let without = targets.1.map(|target| fleet(Arc::clone(&boards.1), None, target).start());

    let outages = if let Some((first, second)) = &servers {
        play(first, second, begin, &tell).await?
    } else {
        // Calls that are under way at the end are dropped, so the whole run is as long as was asked for.
        sleep(length.saturating_sub(begin.elapsed())).await;
        Vec::new()
    };
    let _ = stop.send(true);
    let with = with.join().await;
    let without = match without {
        Some(side) => Some(side.join().await),
        None => None,
    };
    let lateness = metronome.await.unwrap_or_default();
    let _ = tell.send(News { at: begin.elapsed(), what: What::End });
    let moves = screen.join().map_err(|_| io::Error::other("the screen's thread panicked"))?;
    Ok(Record {
        tuning,
        outages,
        moves,
        with,
        without,
        rejected: breaker.observer().1.counts().rejected,
        most_probes_at_once: servers.as_ref().map(|(with, _)| with.most_probes_at_once()),
        lateness,
    })
}

/// Plays the script on both servers at once, and returns when each outage began and ended.
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
        // If the screen is gone, nobody receives the news. The run goes on.
        let _ = tell.send(News { at, what: What::Scene(scene.mood) });
        let (first, second) = join(with.set(scene.mood), without.set(scene.mood)).await;
        first.and(second)?;
        due += scene.lasts;
        sleep_until(due).await;
    }
    Ok(outages)
}
