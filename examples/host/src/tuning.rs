//! The settings of the load and of the breaker, and the bounds that follow from them.

use std::time::Duration;

use microbreaker::metrics::Counters;
use microbreaker::{Breaker, Config, CountWindow, StdClock, count_words};

use crate::load::Watch;

/// The breaker of this example: it judges the last calls, and its observers watch and count.
pub(crate) type Guarded =
    Breaker<CountWindow<{ count_words(window(MOST_CLIENTS), true) }>, StdClock, (Watch, Counters)>;

/// The most clients in a fleet.
pub(crate) const MOST_CLIENTS: u16 = 64;

/// Probes of one half-open state. All of them must succeed. They go out one at a time, so an open period costs at most
/// one failed probe.
pub(crate) const PROBES: u8 = 2;

/// The longest `Retry-After` that is obeyed in full.
pub(crate) const HOLD_AT_MOST: Duration = Duration::from_secs(60);

/// The circuit opens at this share of failed calls, and at this share of slow calls.
const TRIP_PERMILLE: u16 = 500;

/// Two and a half times the number of clients. Half of that opens the circuit, which is more than one call of each
/// client. A stall of this machine makes every call under way slow, and one stall must not look like an outage.
const fn window(clients: u16) -> u16 {
    let calls = (clients * 5).div_ceil(2);
    if calls < 10 { 10 } else { calls }
}

/// How the clients behave, and how the breaker is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// Each has one call at a time.
    pub(crate) clients: u16,
    /// A call that takes longer is slow.
    pub(crate) slow_after: Duration,
    /// After this time the client gives up: it drops the call and its permit.
    pub(crate) timeout: Duration,
    pub(crate) open_for: Duration,
    /// The average time between two calls of a client.
    pub(crate) pause: Duration,
    /// The longest time that a client waits after a rejection before it asks again.
    pub(crate) patience: Duration,
}

impl Tuning {
    /// For our own servers: brisk, so that nobody has to watch five outages for long.
    pub(crate) const fn scripted(clients: u16) -> Self {
        Self {
            clients,
            slow_after: Duration::from_millis(90),
            timeout: Duration::from_millis(300),
            open_for: Duration::from_millis(400),
            pause: Duration::from_millis(15),
            patience: Duration::from_millis(25),
        }
    }

    /// For the user's server: about ten calls a second from each client.
    pub(crate) const fn gentle(clients: u16) -> Self {
        Self {
            clients,
            slow_after: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            open_for: Duration::from_secs(2),
            pause: Duration::from_millis(100),
            patience: Duration::from_millis(100),
        }
    }

    /// How many calls the breaker judges.
    pub(crate) const fn window(&self) -> u16 {
        window(self.clients)
    }

    /// How many failed or slow calls among them open the circuit.
    pub(crate) fn threshold(&self) -> u32 {
        (u32::from(self.window()) * u32::from(TRIP_PERMILLE)).div_ceil(1000)
    }

    /// The longest open period: jitter adds up to a quarter.
    pub(crate) fn longest_open(&self) -> Duration {
        self.open_for + self.open_for / 4
    }

    /// The longest time that successful probes take in all. A client asks for each within its patience, and a
    /// successful answer comes within the slow limit.
    pub(crate) fn probing(&self) -> Duration {
        (self.patience + self.slow_after) * u32::from(PROBES)
    }

    /// The breaker's settings. The open period does not grow, so each outage of the script shows several probes.
    pub(crate) const fn config(&self) -> Config {
        Config::count(self.window())
            .failure_permille(TRIP_PERMILLE)
            .slow_permille(TRIP_PERMILLE)
            .slow_after(self.slow_after)
            .open_for(self.open_for)
            .backoff_1024ths(1024)
            .probes(PROBES)
            .at_once(1)
            // Longer than any probe takes: the client drops it sooner.
            .lease(Duration::from_secs(2 * self.timeout.as_secs() + 1))
            .hold_at_most(HOLD_AT_MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_clients_makes_a_breaker() {
        for clients in 1..=MOST_CLIENTS {
            for tuning in [Tuning::scripted(clients), Tuning::gentle(clients)] {
                let (tell, _news) = std::sync::mpsc::channel();
                let watch = Watch::new(tokio::time::Instant::now(), tell);
                let observer = (watch, Counters::new(""));
                assert!(Guarded::try_observed(tuning.config(), StdClock::new(), observer).is_ok(), "{clients}");
                assert!(tuning.threshold() > u32::from(clients), "one stall must not look like an outage");
                // Calls under way when an outage begins may still succeed. They must not push its failures out of the
                // window.
                assert!(tuning.threshold() + u32::from(clients) <= u32::from(tuning.window()));
            }
        }
    }
}
