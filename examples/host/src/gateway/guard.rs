//! The gateway's breakers: one type for all, each with a meter, a log and a line on the timeline.

use std::collections::VecDeque;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use microbreaker::{
    Breaker, Config, ConfigError, CountWindow, Event, Meter, Observer, Settings, Snapshot, StdClock, TracingLog,
    count_words,
};
use serde::Serialize;
use tokio::time::Instant;

/// What guards a dependency: the last so many calls, up to a hundred.
pub(crate) type Guarded = Breaker<CountWindow<{ count_words(100, false) }>, StdClock, (Meter<2>, (TracingLog, Line))>;

/// A breaker and what it was made of, to which changed settings are applied.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) name: &'static str,
    pub(crate) breaker: Arc<Guarded>,
    base: Config,
}

impl Guard {
    /// A breaker as `settings` say, and as `base` says where they say nothing; in the state that was kept in `kept`.
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
        // Several gateways in front of one upstream are not to probe it in step.
        breaker.seed((RandomState::new().hash_one(name) >> 32) as u32);
        let guard = Self { name, breaker, base };
        if let Some(directory) = kept {
            guard.restore(directory);
        }
        // Above what the switch was when the last process ended.
        if let Some(mode) = settings.mode {
            guard.breaker.switch(mode);
        }
        Ok(guard)
    }

    /// Goes on where the last process was, if it said. How long ago that was nobody knows for certain: an open circuit
    /// stays open for all that was left.
    fn restore(&self, directory: &Path) {
        let file = self.file(directory);
        // Used up: a process that crashes leaves none, and what was before it must not come back then.
        let restored = Snapshot::read_from(&file)
            .and_then(|snapshot| fs::remove_file(&file).map(|()| snapshot))
            .and_then(|snapshot| self.breaker.restore(&snapshot, None).map_err(io::Error::other));
        match restored {
            Ok(()) => tracing::info!(name = self.name, state = self.breaker.state().name(), "restored"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A cold start is always safe.
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

    /// Takes changed settings over, live; an error leaves the old ones in force.
    pub(crate) fn apply(&self, settings: &Settings) -> Result<(), microbreaker::NotApplied> {
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
    /// When the last was that is kept no more.
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

/// So many are kept: two a second of the two minutes that the page shows.
const KEPT: usize = 256;

impl Timeline {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begin: Instant::now(), kept: Mutex::default() })
    }

    /// Since the gateway started.
    pub(crate) fn age(&self) -> Duration {
        self.begin.elapsed()
    }

    /// The last transitions, oldest first, and since how many milliseconds after the start they are all.
    pub(crate) fn moves(&self) -> (Vec<Move>, u64) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.moves.iter().copied().collect(), kept.since_ms)
    }
}

/// Writes one breaker's transitions on the timeline.
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
        // Under the lock, so that they are in the order of their times.
        let at_ms = u64::try_from(self.timeline.age().as_millis()).unwrap_or(u64::MAX);
        kept.moves.push_back(Move { at_ms, name: self.name, from, to, reason, failed, total });
    }
}
