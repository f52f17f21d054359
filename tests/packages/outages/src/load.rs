//! Clients that call a dependency through one breaker, and the records of the clients and of its observer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::gateway::dependency::classify;
use microbreaker::{Breaker, CountWindow, Event, Observer, Outcome, StdClock, count_words};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::target::Target;

/// The breaker, over the last twenty calls.
pub(crate) type Guarded = Breaker<CountWindow<{ count_words(20, false) }>, StdClock, Watch>;

/// There are more clients than connections in the pool.
pub(crate) const CLIENTS: u32 = 8;

/// The time between two calls of a client.
const PAUSE: Duration = Duration::from_millis(4);

/// Keeps each transition and the time at which it was told.
#[derive(Debug)]
pub(crate) struct Watch {
    begin: Instant,
    events: Mutex<Vec<(Duration, Event)>>,
}

impl Watch {
    pub(crate) const fn new(begin: Instant) -> Self {
        Self { begin, events: Mutex::new(Vec::new()) }
    }

    pub(crate) fn events(&self) -> Vec<(Duration, Event)> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Watch {
    fn on_event(&self, event: &Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push((self.begin.elapsed(), *event));
    }
}

/// A call that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) outcome: Outcome,
    pub(crate) probe: bool,
    pub(crate) generation: u32,
}

/// A client's calls; for each rejected call, the time and how long the rejection took.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) calls: Vec<Call>,
    pub(crate) rejections: Vec<(Duration, Duration)>,
}

/// Starts the clients, which run until they are told to stop.
pub(crate) fn start(
    breaker: &Arc<Guarded>,
    target: &Arc<Target>,
    begin: Instant,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<Diary> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(client(Arc::clone(breaker), Arc::clone(target), begin, stopped.clone()));
    }
    clients
}

async fn client(
    breaker: Arc<Guarded>,
    target: Arc<Target>,
    begin: Instant,
    mut stopped: watch::Receiver<bool>,
) -> Diary {
    let mut diary = Diary::default();
    while !*stopped.borrow() {
        let asked = Instant::now();
        match breaker.acquire() {
            Ok(permit) => {
                let from = begin.elapsed();
                let (probe, generation) = (permit.is_probe(), permit.generation());
                let result = target.ask().await;
                let outcome = classify(&result);
                // Read before the report, so that every call admitted because of the report is later.
                let to = begin.elapsed();
                permit.record(outcome);
                diary.calls.push(Call { from, to, outcome, probe, generation });
            }
            Err(_) => diary.rejections.push((begin.elapsed(), asked.elapsed())),
        }
        // The pause ends early if the client is told to stop.
        let _ = timeout(PAUSE, stopped.changed()).await;
    }
    diary
}
