//! The gateway's breakers. All have one type. Each has a meter, a log and a line on the timeline.

use std::collections::VecDeque;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use microbreaker::metrics::Meter;
use microbreaker::settings::Settings;
use microbreaker::tracing::TracingLog;
use microbreaker::{Breaker, Config, ConfigError, CountWindow, Event, Observer, Snapshot, StdClock, count_words};
use serde::Serialize;
use tokio::time::Instant;

/// The breaker of a dependency. It judges up to the last hundred calls.
pub(crate) type Guarded = Breaker<CountWindow<{ count_words(100, false) }>, StdClock, (Meter<2>, (TracingLog, Line))>;

/// A breaker, with its base settings: changed settings are applied over them.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) name: &'static str,
    pub(crate) breaker: Arc<Guarded>,
    base: Config,
}

impl Guard {
    /// Makes a breaker from `settings`, and from `base` for all that they leave open. If the directory `kept` has a
    /// state for it, the breaker goes on in that state.
    pub(crate) fn new(
        name: &'static str,
        base: Config,
        settings: &Settings,
        timeline: &Arc<Timeline>,
        kept: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let observer =
            (Meter::new(name).timed(), (TracingLog::new(name), Line { name, timeline: Arc::clone(timeline) }));
        let breaker = Arc::new(Breaker::try_observed(settings.over(base), StdClock::new(), observer)?);
        // Several gateways in front of one upstream must not probe it in step.
        breaker.seed((RandomState::new().hash_one(name) >> 32) as u32);
        let guard = Self { name, breaker, base };
        if let Some(directory) = kept {
            guard.restore(directory);
        }
        // The settings have priority over the switch position of the last process.
        if let Some(mode) = settings.mode {
            guard.breaker.switch(mode);
        }
        Ok(guard)
    }

    /// Goes on in the state of the last process, if that kept one. Nobody knows for certain how long ago it ended, so
    /// an open circuit stays open for the whole time that was left then.
    fn restore(&self, directory: &Path) {
        let file = self.file(directory);
        // The file is removed at once. If this process crashes, it keeps no state, and the old one must not come back.
        let restored = Snapshot::read_from(&file)
            .and_then(|snapshot| fs::remove_file(&file).map(|()| snapshot))
            .and_then(|snapshot| self.breaker.restore(&snapshot, None).map_err(io::Error::other));
        match restored {
            Ok(()) => tracing::info!(name = self.name, state = self.breaker.state().name(), "restored"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A start without a state is always safe.
            Err(error) => tracing::warn!(name = self.name, file = %file.display(), %error, "not restored"),
        }
    }

    /// Keeps the state for the next process.
    pub(crate) fn save(&self, directory: &Path) -> io::Result<()> {
        self.breaker.snapshot().write_to(self.file(directory))
    }

    fn file(&self, directory: &Path) -> PathBuf {
        directory.join(self.name).with_extension("snapshot")
    }

    /// Applies changed settings to the running breaker. After an error the old settings stay in force.
    pub(crate) fn apply(&self, settings: &Settings) -> Result<(), microbreaker::settings::NotApplied> {
        settings.apply(self.base, &self.breaker)
    }
}

/// The last transitions of all breakers.
#[derive(Debug)]
pub(crate) struct Timeline {
    begin: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    moves: VecDeque<Move>,
    /// The time of the last transition that is no longer kept.
    since_ms: u64,
}

/// A transition, as the page shows it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Move {
    /// Milliseconds since the gateway started.
    pub(crate) at_ms: u64,
    pub(crate) name: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) failed: u32,
    pub(crate) total: u32,
}

/// How many transitions are kept: two a second for the two minutes that the page shows.
const KEPT: usize = 256;

impl Timeline {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begin: Instant::now(), kept: Mutex::default() })
    }

    /// The time since the gateway started.
    pub(crate) fn age(&self) -> Duration {
        self.begin.elapsed()
    }

    /// The last transitions, the oldest first. None is missing after the returned time, in milliseconds after the
    /// start.
    pub(crate) fn moves(&self) -> (Vec<Move>, u64) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.moves.iter().copied().collect(), kept.since_ms)
    }
}

/// Writes the transitions of one breaker on the timeline.
#[derive(Debug)]
pub(crate) struct Line {
    name: &'static str,
    timeline: Arc<Timeline>,
}

impl Observer for Line {
    fn on_event(&self, event: &Event) {
        let (failed, total) = (event.tally.failed, event.tally.total);
        let (from, to) = (event.from.name(), event.to.name());
        let reason = event.reason.map(microbreaker::OpenReason::name);
        let mut kept = self.timeline.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.moves.len() == KEPT
            && let Some(oldest) = kept.moves.pop_front()
        {
            kept.since_ms = oldest.at_ms;
        }
        // The clock is read under the lock, so that transitions are in the order of their times.
        let at_ms = u64::try_from(self.timeline.age().as_millis()).unwrap_or(u64::MAX);
        kept.moves.push_back(Move { at_ms, name: self.name, from, to, reason, failed, total });
    }
}
