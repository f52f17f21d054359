//! What a registry is made of, and the check of it.

use core::fmt;
use core::time::Duration;
use std::boxed::Box;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::breaker::Breaker;
use crate::clock::{Clock, HORIZON};
use crate::compose::registry::used::Used;
use crate::compose::registry::{Admin, Label, Member, NEVER, Registry, Slot};
use crate::config::Config;
use crate::config::check::{Broken, ticks, within};
use crate::config::error::{ConfigError, Field};
use crate::machine::window::Window;
use crate::platform::atomics::AtomicU32;
use crate::terms::observer::Observer;

/// What a [`Registry`] is made of.
///
/// ```
/// use core::time::Duration;
/// use microbreaker::registry::{Registry, RegistryBuilder};
/// use microbreaker::{CoarseClock, Config, CountWindow, count_words};
///
/// let hosts: Registry<String, CountWindow<{ count_words(100, false) }>, CoarseClock> =
///     RegistryBuilder::new("hosts", Config::upstream())
///         .capacity(500)
///         .idle_after(Duration::from_secs(900))
///         .label(|host: &String| if host.ends_with(".internal") { "internal" } else { "external" })
///         .build(CoarseClock::new())
///         .unwrap();
///
/// let breaker = hosts.get_or_create("db.internal");
/// assert_eq!(breaker.label(), "internal");
/// assert_eq!(breaker.call(|| "42".parse::<u8>()), Ok(42));
/// ```
#[must_use = "a registry is made by `build`"]
pub struct RegistryBuilder<K> {
    template: Config,
    capacity: usize,
    idle_after: Duration,
    forget: Forget,
    label: Label<K>,
    overflow: &'static str,
}

/// When a breaker may go that is not clean.
#[derive(Clone, Copy, Debug)]
enum Forget {
    /// After so many idle times.
    Times(u32),
    After(Duration),
    Never,
}

impl<K> RegistryBuilder<K> {
    /// Breakers made from `template`, all with the label `name`.
    pub fn new(name: &'static str, template: Config) -> Self {
        Self {
            template,
            capacity: 1024,
            idle_after: Duration::from_secs(600),
            forget: Forget::Times(6),
            label: Box::new(move |_| name),
            overflow: "overflow",
        }
    }

    /// How many breakers it holds at most, besides the one for overflow (at least 1, default 1024).
    pub fn capacity(mut self, breakers: usize) -> Self {
        self.capacity = breakers;
        self
    }

    /// How long nobody has asked for a breaker before it may go to make room, if it is [clean](Breaker::is_clean) (default
    /// 10 minutes; 16 ticks of the clock up to the [`HORIZON`]). Told by the breakers' clock, to an eighth: not sooner, and
    /// up to two eighths later.
    pub fn idle_after(mut self, time: Duration) -> Self {
        self.idle_after = time;
        self
    }

    /// How long nobody has asked for a breaker before it may go though it is not clean, if no clean one can (default six
    /// times [`idle_after`](Self::idle_after), an hour, or the [`HORIZON`]; from that time up to the horizon). Told as
    /// exactly as that one. `None`: never.
    ///
    /// A key that failed and never comes again (a host that somebody made up, a tenant that left) is not clean by itself: a
    /// streak and a count window do not age, and an open circuit moves when somebody asks. Without this limit such keys
    /// keep their places for ever, and all later ones share the breaker for overflow.
    ///
    /// What goes by it forgets: failures counted, how often in a row it has opened, probes' results, a ramp. A key that
    /// comes again after that begins closed. Never forgotten by it are a hold or an open time that runs, a latch, and what
    /// an operator has forced open or disabled: see [`Registry`].
    pub fn forget_after(mut self, time: Option<Duration>) -> Self {
        self.forget = time.map_or(Forget::Never, Forget::After);
        self
    }

    /// What a key's breaker is called in logs and metrics: one of a few names that the program knows (default: that of
    /// the registry, for all). Never the key: what callers make up is without end.
    ///
    /// Called as a breaker is created, outside any lock, and perhaps more than once for a key.
    pub fn label(mut self, label: impl Fn(&K) -> &'static str + Send + Sync + 'static) -> Self {
        self.label = Box::new(label);
        self
    }

    /// What the breaker for overflow is called (default `"overflow"`).
    pub const fn overflow_label(mut self, label: &'static str) -> Self {
        self.overflow = label;
        self
    }

    /// A registry of breakers that nobody observes.
    pub fn build<W: Window, C: Clock + Clone>(self, clock: C) -> Result<Registry<K, W, C>, ConfigError> {
        self.build_observed(clock, |_| ())
    }

    /// A registry of breakers with an observer each, which `observe` makes from the label: breakers of one label may
    /// share what it counts in (see [metrics](Registry#metrics) for what a shared [`Meter`](crate::metrics::Meter) then shows).
    ///
    /// `observe` is called outside any lock, and may make one that is not needed, when two callers create at once or
    /// there is no room. The drop of one may come at any time, under the lock too: it must not use the registry.
    pub fn build_observed<W: Window, C: Clock + Clone, O: Observer>(
        self,
        clock: C,
        observe: impl Fn(&'static str) -> O + Send + Sync + 'static,
    ) -> Result<Registry<K, W, C, O>, ConfigError> {
        let checked = |checked: Result<u32, Broken>| {
            checked.map_err(|(field, value, bound)| ConfigError::new(field, value, bound, const { &C::RATE }))
        };
        // It has no upper bound.
        checked(within!(Capacity, u32::try_from(self.capacity).unwrap_or(u32::MAX), most u32::MAX))?;
        let idle = checked(within!(IdleAfter, ticks(self.idle_after, C::RATE)))?;
        let shift = (idle / 8).ilog2();
        let forget = match self.forget {
            Forget::Times(times) => Some(idle.saturating_mul(times).min(HORIZON)),
            Forget::After(time) => Some(checked(within!(ForgetAfter, ticks(time, C::RATE), least idle))?),
            Forget::Never => None,
        };
        let overflow = Slot {
            breaker: Breaker::try_observed(self.template, clock.clone(), observe(self.overflow))?,
            label: self.overflow,
            overflow: true,
            used: Used::new(0),
        };
        Ok(Registry {
            map: papaya::HashMap::new(),
            admin: Mutex::new(Admin { template: self.template, overrides: HashMap::new(), members: 0 }),
            nothing_evictable_at: AtomicU32::new(NEVER),
            overflow: Member(Arc::new(overflow)),
            clock,
            capacity: self.capacity,
            shift,
            idle: idle.div_ceil(1 << shift),
            forget: forget.map(|forget| forget.div_ceil(1 << shift)),
            label: self.label,
            observe: Box::new(observe),
        })
    }
}

impl<K> fmt::Debug for RegistryBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("template", &self.template)
            .field("capacity", &self.capacity)
            .field("idle_after", &self.idle_after)
            .field("forget", &self.forget)
            .finish_non_exhaustive()
    }
}
