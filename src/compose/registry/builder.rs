//! The builder of a registry: its settings, and the check of them.

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
use crate::machine::window::LiveWindow;
use crate::platform::atomics::AtomicU32;
use crate::terms::observer::Observer;

/// The settings of a [`Registry`] to be made.
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

/// When a breaker that is not clean may go.
#[derive(Clone, Copy, Debug)]
enum Forget {
    /// After this many times `idle_after`.
    Times(u32),
    After(Duration),
    Never,
}

impl<K> RegistryBuilder<K> {
    /// A registry whose breakers are made from `template` and all have the label `name`.
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

    /// How many breakers the registry holds at most, not counting the overflow breaker (at least 1, default 1024).
    pub fn capacity(mut self, breakers: usize) -> Self {
        self.capacity = breakers;
        self
    }

    /// The time after which a [clean](Breaker::is_clean) breaker may go to make room, if nobody has asked for it
    /// (default 10 minutes; from 16 ticks of the clock up to the [`HORIZON`]). The breakers' clock measures it to an
    /// eighth: a breaker never goes sooner, and may go up to two eighths later.
    pub fn idle_after(mut self, time: Duration) -> Self {
        self.idle_after = time;
        self
    }

    /// The time after which a breaker may go though it is not clean, if nobody has asked for it and no clean breaker
    /// can go. The default is six times [`idle_after`](Self::idle_after) (an hour, unless that is changed), but at most
    /// the [`HORIZON`]. Any time from `idle_after` up to the horizon will do, and is measured as exactly. `None` means
    /// never.
    ///
    /// The breaker of a key that failed and never comes again (a host that somebody made up, a tenant that left) does
    /// not become clean by itself: a streak and a count window do not age, and an open circuit changes only when
    /// somebody asks. Without this limit such keys keep their places for ever, and all later keys share the overflow
    /// breaker.
    ///
    /// When such a breaker goes, its counted failures, the number of times it has opened in a row, the results of its
    /// probes and its ramp are forgotten. If its key comes again after that, it begins closed. A breaker does not go by
    /// this limit while a hold or an open time is running, while it is latched, or while an operator has forced it open
    /// or disabled it: see [`Registry`].
    pub fn forget_after(mut self, time: Option<Duration>) -> Self {
        self.forget = time.map_or(Forget::Never, Forget::After);
        self
    }

    /// The function that names a key's breaker for logs and metrics. It must give one of a few names that the program
    /// knows, never the key: callers can make up any number of keys. By default every breaker has the name of the
    /// registry.
    ///
    /// The function is called when a breaker is created, outside any lock, and perhaps more than once for a key.
    pub fn label(mut self, label: impl Fn(&K) -> &'static str + Send + Sync + 'static) -> Self {
        self.label = Box::new(label);
        self
    }

    /// The label of the overflow breaker (default `"overflow"`).
    pub const fn overflow_label(mut self, label: &'static str) -> Self {
        self.overflow = label;
        self
    }

    /// A registry of breakers that nobody observes.
    pub fn build<W: LiveWindow, C: Clock + Clone>(self, clock: C) -> Result<Registry<K, W, C>, ConfigError> {
        self.build_observed(clock, |_| ())
    }

    /// A registry whose breakers have an observer each, which `observe` makes from the label. The observers of one
    /// label may refer to the same counters; [metrics](Registry#metrics) says what a shared
    /// [`Meter`](crate::metrics::Meter) then shows.
    ///
    /// `observe` is called outside any lock. If two callers create a breaker at once, or there is no room, it makes an
    /// observer that is not needed and is dropped. An observer may be dropped at any time, also under the registry's
    /// lock: its drop must not use the registry.
    pub fn build_observed<W: LiveWindow, C: Clock + Clone, O: Observer>(
        self,
        clock: C,
        observe: impl Fn(&'static str) -> O + Send + Sync + 'static,
    ) -> Result<Registry<K, W, C, O>, ConfigError> {
        let checked = |checked: Result<u32, Broken>| {
            checked.map_err(|(field, value, bound)| ConfigError::new(field, value, bound, const { &C::RATE }))
        };
        // A capacity has no upper bound; one that does not fit in 32 bits passes as the largest that does.
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
