//! The gateway as a program of its own, until it is stopped.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use microbreaker::State;
use microbreaker::metrics::Reading;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::gateway::args::Serving;
use crate::gateway::visitors::Visitors;
use crate::gateway::{Gateway, Patience, Plan};
use crate::report::{aligned, grouped, length};
use crate::show;
use crate::upstream::{SCRIPT, Upstream};

/// The seed of our own upstream's working times.
const SEED: u32 = 1;

/// Serves until the process is interrupted or told to terminate. Answers that are under way are then finished.
pub(crate) fn run(serving: Serving) -> ExitCode {
    tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(serving))) {
        Ok(readings) => {
            show::say(&table(&readings));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(serving: Serving) -> io::Result<Vec<Reading>> {
    let upstream = if let Some(uri) = serving.upstream {
        uri
    } else {
        let own = Upstream::start(SEED).await?;
        let uri = own.uri();
        tokio::spawn(moods(own));
        uri
    };
    let has_database = serving.backends.database.is_some();
    let plan = Plan {
        listen: serving.listen,
        upstream,
        backends: serving.backends,
        settings: serving.settings,
        state: serving.state,
        patience: Patience::USUAL,
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let gateway = Gateway::bind(plan).await?;
    show::say(&format!("watch it on http://{}/\n", gateway.address()));
    let visitors = serving.visitors.then(|| Visitors::start(gateway.address(), has_database)).transpose()?;
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        drop(visitors);
    };
    gateway.serve(stop).await
}

/// Plays the script over and over, three times as slowly.
async fn moods(upstream: Upstream) {
    loop {
        for part in SCRIPT {
            if upstream.set(part.mood).await.is_err() {
                return;
            }
            sleep(part.lasts * 3).await;
        }
        // An empty script must not become a busy loop.
        sleep(Duration::from_secs(1)).await;
    }
}

/// What came through the gateway, a line for each of its breakers.
fn table(readings: &[Reading]) -> String {
    let row = |words: [&str; 6]| words.map(str::to_owned);
    let mut rows = vec![row(["through the gateway", "answered", "failed", "turned away", "rejected", "open for"])];
    rows.extend(readings.iter().map(|reading| {
        let name = format!("  {} ({})", reading.name, reading.states.one().map_or("-", State::name));
        let [answered, failed, turned_away, rejected] =
            [reading.success + reading.alive, reading.failure, reading.hold, reading.rejected].map(grouped);
        [name, answered, failed, turned_away, rejected, length(reading.open)]
    }));
    format!("\n{}", aligned(&rows))
}
