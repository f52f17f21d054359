//! The breakers that calls go through: those of the README's server, healthy, each on cache lines of its own.

use std::ops::Deref;
use std::sync::Arc;

use microbreaker::metrics::Meter;
use microbreaker::{Breaker, Config, CountWindow, StdClock, count_words};

use crate::guarded::Padded;

pub(crate) type Upstream<O = ()> = Breaker<CountWindow<{ count_words(100, false) }>, StdClock, O>;

/// Holds a breaker, as a layer wants it held.
pub(crate) trait Hold<O>: Deref<Target = Upstream<O>> + Clone + Send + Sync + 'static {}

impl<O, H: Deref<Target = Upstream<O>> + Clone + Send + Sync + 'static> Hold<O> for H {}

pub(crate) fn in_static() -> &'static Upstream {
    static UPSTREAM: Padded<Upstream> = Padded(Breaker::new(Config::upstream(), StdClock::new()));
    &UPSTREAM.0
}

/// Not padded: an `Arc` has its counts beside what they count, and who holds a breaker by one has that too.
pub(crate) fn in_arc() -> Arc<Upstream> {
    Arc::new(Breaker::new(Config::upstream(), StdClock::new()))
}

/// Counts calls and times them.
pub(crate) fn metered() -> &'static Upstream<Meter<8>> {
    static UPSTREAM: Padded<Upstream<Meter<8>>> =
        Padded(Breaker::observed(Config::upstream(), StdClock::new(), Meter::new("echo").timed()));
    &UPSTREAM.0
}
