//! The breakers that calls go through. They are configured like the README's server, are healthy, and each has cache
//! lines of its own.

use std::ops::Deref;
use std::sync::Arc;

use microbreaker::metrics::Meter;
use microbreaker::{Breaker, Config, CountWindow, StdClock, count_words};

use crate::guarded::Padded;

pub(crate) type Upstream<O = ()> = Breaker<CountWindow<{ count_words(100, false) }>, StdClock, O>;

/// A holder of a breaker, as a layer needs it.
pub(crate) trait Hold<O>: Deref<Target = Upstream<O>> + Clone + Send + Sync + 'static {}

impl<O, H: Deref<Target = Upstream<O>> + Clone + Send + Sync + 'static> Hold<O> for H {}

pub(crate) fn in_static() -> &'static Upstream {
    static UPSTREAM: Padded<Upstream> = Padded(Breaker::new(Config::upstream(), StdClock::new()));
    &UPSTREAM.0
}

/// Not padded: an `Arc` has its counts beside its value, and so has every user who holds a breaker in an `Arc`.
pub(crate) fn in_arc() -> Arc<Upstream> {
    Arc::new(Breaker::new(Config::upstream(), StdClock::new()))
}

/// A breaker whose observer counts calls and times them.
pub(crate) fn metered() -> &'static Upstream<Meter<8>> {
    static UPSTREAM: Padded<Upstream<Meter<8>>> =
        Padded(Breaker::observed(Config::upstream(), StdClock::new(), Meter::new("echo").timed()));
    &UPSTREAM.0
}
