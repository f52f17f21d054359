//! The gateway on its own, until it is stopped.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::args::{Backends, Serving};
use crate::gateway::{Gateway, Patience, Plan};
use crate::show;
use crate::upstream::{SCRIPT, Upstream};

/// Serves until an interrupt or a request to terminate, and then finishes what is under way.
pub(crate) fn run(serving: Serving, env: Backends, seed: u32) -> ExitCode {
    tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve(serving, env, seed))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(serving: Serving, env: Backends, seed: u32) -> io::Result<()> {
    let upstream = if let Some(uri) = serving.upstream {
        uri
    } else {
        let own = Upstream::start(seed).await?;
        let uri = own.uri();
        tokio::spawn(moods(own));
        uri
    };
    let plan = Plan {
        listen: serving.listen,
        upstream,
        backends: serving.backends.or(env),
        settings: serving.settings,
        state: serving.state,
        patience: Patience::USUAL,
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let gateway = Gateway::bind(plan).await?;
    show::say(&format!("watch it on http://{}/\n", gateway.address()));
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    gateway.serve(stop).await.map(drop)
}

/// The script, over and over, three times as long.
async fn moods(upstream: Upstream) {
    loop {
        for part in SCRIPT {
            if upstream.set(part.mood).await.is_err() {
                return;
            }
            sleep(part.lasts * 3).await;
        }
        // Not without a pause, whatever the script says.
        sleep(Duration::from_secs(1)).await;
    }
}
