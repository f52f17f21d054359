//! Breakers by key for servers: one for each host, model or tenant, created as keys come, never more than a bound.

mod builder;
mod used;

pub use self::builder::RegistryBuilder;

use core::borrow::Borrow;
use core::fmt;
use core::hash::Hash;
use core::ops::Deref;
use std::borrow::ToOwned;
use std::boxed::Box;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::compose::registry::used::Used;
use crate::config::Config;
use crate::config::error::ConfigError;
use crate::machine::window::Window;
use crate::metrics::meter::Metered;
use crate::metrics::monitors::{DuplicateName, Monitors};
use crate::metrics::reading::{Reading, States};
use crate::platform::atomics::{AtomicU32, Ordering};
use crate::terms::observer::Observer;
use crate::terms::state::State;

/// No stamp, for those have 31 bits at most: not known to be nothing_evictable_at.
const NEVER: u32 = u32::MAX;

type Label<K> = Box<dyn Fn(&K) -> &'static str + Send + Sync>;
type Observe<O> = Box<dyn Fn(&'static str) -> O + Send + Sync>;

/// Breakers by key, made from a template as keys come, never more than a capacity.
///
/// - Looking up a key that has a breaker takes no lock. It hashes the key, reads the clock (let it be a
///   [`CoarseClock`](crate::CoarseClock)) and counts the [`Member`] that it gives, as an `Arc` does: a shared write, and
///   another when that is dropped. Keep a member where its key is known: calls through it do none of this.
/// - Creating one takes a lock, for as long as it takes to make a breaker, and when it is full to look at all once.
/// - Full, it lets go of the breaker that has been idle longest, of those that are idle for long enough, that nobody
///   holds (no member, no permit with one) and that are [clean](Breaker::is_clean): no failure is forgotten, only
///   successes, its [seed](Breaker::seed), and what an operator did to that one by hand (use
///   [`configure`](Self::configure)).
/// - Is none of them clean, it forgets one that nobody holds and that has been idle for [much
///   longer](RegistryBuilder::forget_after), again the longest: closed with failures, half-open, ramping, or open with its
///   time over. It is reset as it goes, so its observer is told, outside the lock.
/// - One that is open for longer, latched, forced open or disabled stays, and keeps its place, until that is over or a hand
///   ends it ([`visit`](Self::visit), [`remove`](Self::remove)): what an operator said holds until an operator says
///   otherwise. So switch off few keys, or all for a while, and let no answer latch a key that callers make up.
/// - Is there none of either, the key shares the breaker for overflow: no error, and no growth. A look that found none is
///   not repeated for an eighth of the idle time: keys that somebody makes up cost no more than that.
/// - Switches are the breakers' own: [`visit`](Self::visit) reaches all there are, and a template in
///   [shadow](Config::shadow) those to come.
/// - Whoever holds a member holds the key's one breaker: it is not let go meanwhile, unless by [`remove`](Self::remove).
///
/// # Metrics
///
/// Let all breakers of a label share one [`Meter`](crate::metrics::Meter) of that name, and add them to
/// [`Monitors`](crate::metrics::Monitors) together: never a member by itself, which would be held for ever.
///
/// ```
/// use std::sync::Arc;
/// use microbreaker::metrics::{Meter, Monitors};
/// use microbreaker::registry::{Registry, RegistryBuilder};
/// use microbreaker::{CoarseClock, Config, State, Streak};
///
/// static HOSTS: Meter<8> = Meter::new("hosts");
/// static OVERFLOW: Meter<8> = Meter::new("overflow");
///
/// let hosts: Registry<String, Streak, CoarseClock, &Meter<8>> =
///     RegistryBuilder::new("hosts", Config::streak(1))
///         .build_observed(CoarseClock::new(), |label| if label == "hosts" { &HOSTS } else { &OVERFLOW })
///         .unwrap();
/// let hosts = Arc::new(hosts);
/// let monitors = Monitors::new();
/// monitors.add_members(Arc::clone(&hosts), &HOSTS).unwrap();
/// // This one is a breaker on its own, and never let go.
/// monitors.add(hosts.overflow().clone()).unwrap();
///
/// hosts.get_or_create("a.example").acquire().unwrap().failure();
/// hosts.get_or_create("b.example").acquire().unwrap().success();
/// let reading = &monitors.readings()[0];
/// assert_eq!((reading.name, reading.success, reading.failure), ("hosts", 1, 1));
/// assert_eq!((reading.states.count(State::Open), reading.states.count(State::Closed)), (1, 1));
/// ```
///
/// Calls, rejections, transitions and times are then those of all breakers that share the meter, gone ones included; states
/// and probes those of all that are there and have its name for their label (of a name that is no label: none). Open seconds
/// are added up, two open breakers make two a second; so with `n` of them open [readings](crate::metrics::Reading) are due `n` times as
/// often (a thousand at 1024 Hz: every half hour).
pub struct Registry<K, W, C, O = ()> {
    map: papaya::HashMap<K, Arc<Slot<W, C, O>>>,
    admin: Mutex<Admin<K>>,
    /// When (a stamp) all were looked at and none could go.
    nothing_evictable_at: AtomicU32,
    overflow: Member<W, C, O>,
    clock: C,
    capacity: usize,
    /// A stamp counts 2^this ticks.
    shift: u32,
    /// In stamps, rounded up.
    idle: u32,
    /// The same, until one that is not clean may go; never if `None`.
    forget: Option<u32>,
    label: Label<K>,
    observe: Observe<O>,
}

/// What only creation, eviction and the operator need. No hook is called under its lock.
struct Admin<K> {
    template: Config,
    /// Checked, each: a breaker can be made of it.
    overrides: HashMap<K, Config>,
    /// How many are in the map: it changes under this lock only, so the bound is exact.
    members: usize,
}

struct Slot<W, C, O> {
    breaker: Breaker<W, C, O>,
    label: &'static str,
    overflow: bool,
    used: Used,
}

impl<K, W, C, O> Registry<K, W, C, O>
where
    K: Hash + Eq,
    W: Window,
    C: Clock + Clone,
    O: Observer,
{
    /// The breaker of `key`, made if there is none, or the one for overflow if there is no room.
    ///
    /// ```
    /// use microbreaker::io::IoError;
    /// use microbreaker::registry::{Registry, RegistryBuilder};
    /// use microbreaker::{CoarseClock, Config, Error, GuardExt, Streak};
    /// # use std::io;
    ///
    /// async fn connect(host: &str) -> io::Result<()> {
    ///     # _ = host;
    ///     Err(io::ErrorKind::ConnectionRefused.into()) // your client
    /// }
    ///
    /// # let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    /// # let test = core::pin::pin!(async {
    /// let hosts: Registry<String, Streak, CoarseClock> =
    ///     RegistryBuilder::new("hosts", Config::streak(1)).build(CoarseClock::new()).unwrap();
    /// let call = async |host| connect(host).guarded_with(hosts.get_or_create(host), IoError).await;
    ///
    /// assert!(matches!(call("a.example").await, Err(Error::Inner(_))));
    /// assert!(matches!(call("a.example").await, Err(Error::Rejected(_))));
    /// assert!(matches!(call("b.example").await, Err(Error::Inner(_))));
    /// # });
    /// # assert!(core::future::Future::poll(test, &mut context).is_ready());
    /// ```
    pub fn get_or_create<Q>(&self, key: &Q) -> Member<W, C, O>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(member) = self.look(key) {
            return member;
        }
        // Relaxed: a hint. An older value costs a look under the lock, or an eighth of the idle time at the overflow's.
        if self.nothing_evictable_at.load(Ordering::Relaxed) == self.stamp() {
            return self.overflow.clone();
        }
        self.create(key.to_owned())
    }

    /// The breaker of `key`, if it has one of its own.
    pub fn get<Q>(&self, key: &Q) -> Option<Member<W, C, O>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.look(key)
    }

    /// Lets go of `key`'s breaker, whatever its state: its last holders go on with it by themselves, and whoever asks next
    /// gets a new one.
    ///
    /// Its observer hears nothing of it: [reset](Breaker::reset) it, lest a [`Meter`](crate::metrics::Meter) that others share count
    /// it as open for ever.
    pub fn remove<Q>(&self, key: &Q) -> Option<Member<W, C, O>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut admin = self.admin();
        let guard = self.map.guard();
        let slot = self.map.remove(key, &guard)?;
        slot.used.take_anyway();
        admin.members -= 1;
        self.nothing_evictable_at.store(NEVER, Ordering::Relaxed);
        Some(Member(Arc::clone(slot)))
    }

    /// Takes a new template over, for breakers to come and live for those that have no settings of their own: see
    /// [`Breaker::reconfigure`]. On an error nothing changes.
    pub fn reconfigure(&self, template: &Config) -> Result<(), ConfigError> {
        let mut admin = self.admin();
        // All that follow the template have the same fixed shape and the same types: what suits one suits all.
        self.overflow.reconfigure(template)?;
        admin.template = *template;
        for (_, slot) in self.map.iter(&self.map.guard()).filter(|(key, _)| !admin.overrides.contains_key(*key)) {
            slot.breaker.reconfigure(template)?;
        }
        Ok(())
    }

    /// Gives `key` settings of its own, in place of the template's: live if it has a breaker, and for whenever one is
    /// made. On an error nothing changes.
    ///
    /// They are kept until [`unconfigure`](Self::unconfigure), beyond the capacity: meant for keys that an operator knows.
    pub fn configure(&self, key: K, config: Config) -> Result<(), ConfigError> {
        let mut admin = self.admin();
        match self.map.get(&key, &self.map.guard()) {
            Some(slot) => slot.breaker.reconfigure(&config)?,
            None => _ = config.words(const { &C::RATE }, W::CAPACITY)?,
        }
        admin.overrides.insert(key, config);
        Ok(())
    }

    /// Gives `key` the template's settings again. On an error (its breaker has another shape: [remove](Self::remove) it
    /// first) nothing changes.
    pub fn unconfigure<Q>(&self, key: &Q) -> Result<(), ConfigError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut admin = self.admin();
        if let Some(slot) = self.map.get(key, &self.map.guard()) {
            slot.breaker.reconfigure(&admin.template)?;
        }
        admin.overrides.remove(key);
        Ok(())
    }

    /// Goes over all breakers in one pass: key, label and breaker of each, that for overflow last and without a key. Takes
    /// no lock and allocates nothing; what is created or let go meanwhile may or may not be seen.
    ///
    /// Nothing here counts as use: what is moved here (forced open, say) as it is let go may be gone a moment later, and a
    /// [`Meter`](crate::metrics::Meter) that others share goes on counting it as it was. Move what you [hold](Self::get).
    pub fn visit(&self, mut each: impl FnMut(Option<&K>, &'static str, &Breaker<W, C, O>)) {
        for (key, slot) in self.map.iter(&self.map.guard()) {
            each(Some(key), slot.label, &slot.breaker);
        }
        each(None, self.overflow.label(), &self.overflow);
    }

    /// What `meter` counted, which the breakers with its name for a label share, and how many of them are in each state.
    /// One pass over all, as [`visit`](Self::visit); it moves nothing.
    pub fn reading(&self, meter: &impl Metered) -> Reading {
        let (mut states, mut probes) = ([0; State::ALL.len()], 0);
        self.visit(|_, label, breaker| {
            if label == meter.name() {
                let (state, out) = breaker.state_and_probes();
                states[state as usize] += 1;
                probes += u32::from(out);
            }
        });
        meter.read(States::Members(states), probes, self.clock.now(), C::RATE)
    }

    /// The breaker that keys share for which there is no room.
    pub fn overflow(&self) -> &Member<W, C, O> {
        &self.overflow
    }

    /// How many keys have a breaker of their own.
    pub fn len(&self) -> usize {
        self.admin().members
    }

    /// Whether no key has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many can have.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn admin(&self) -> MutexGuard<'_, Admin<K>> {
        // Poisoned by a panic in a key's `Hash` or `Eq`, which loses a place at worst.
        self.admin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, coarsely: 31 bits at most, which wrap.
    fn stamp(&self) -> u32 {
        self.clock.now().count() >> self.shift
    }

    /// How many stamps ago `used` was; none if it is younger than `now`, which may have been read long before. What is
    /// older than 15/16 of a wrap (45 days at 1024 Hz) looks younger for the rest of it.
    fn age(&self, used: u32, now: u32) -> u32 {
        let most = u32::MAX >> self.shift;
        let age = now.wrapping_sub(used) & most;
        if age > most - most / 16 { 0 } else { age }
    }

    fn look<Q>(&self, key: &Q) -> Option<Member<W, C, O>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let guard = self.map.guard();
        let slot = self.map.get(key, &guard)?;
        slot.used.look(|| Member(Arc::clone(slot)), || self.stamp(), |used, now| self.age(used, now) == 0)
    }

    #[cold]
    fn create(&self, key: K) -> Member<W, C, O> {
        // The hooks, before the lock: they may use the registry.
        let label = (self.label)(&key);
        let observer = (self.observe)(label);
        let mut admin = self.admin();
        // Made by another meanwhile?
        if let Some(member) = self.look(&key) {
            return member;
        }
        let mut gone = None;
        if admin.members == self.capacity {
            gone = self.make_room(&mut admin);
            if gone.is_none() {
                self.nothing_evictable_at.store(self.stamp(), Ordering::Relaxed);
                return self.overflow.clone();
            }
        }
        let config = *admin.overrides.get(&key).unwrap_or(&admin.template);
        // It was checked as it was set.
        let Ok(breaker) = Breaker::try_observed(config, self.clock.clone(), observer) else {
            return self.overflow.clone();
        };
        let slot = Arc::new(Slot { breaker, label, overflow: false, used: Used::new(self.stamp()) });
        // Counted before it is to be found, as in `look`.
        let member = Member(Arc::clone(&slot));
        self.map.insert(key, slot, &self.map.guard());
        admin.members += 1;
        drop(admin);
        // Forgotten: whoever counts what is open hears that it is no more.
        if let Some(gone) = gone
            && gone.breaker.state() != State::Closed
        {
            gone.breaker.reset();
        }
        member
    }

    /// Takes the breaker out that is idle longest and may go, a clean one if there is. `None` if there is none.
    fn make_room(&self, admin: &mut Admin<K>) -> Option<Arc<Slot<W, C, O>>> {
        let guard = self.map.guard();
        // Another round only if somebody asked for the one found, which by that is idle no more.
        loop {
            let now = self.stamp();
            let may_go = |(key, slot)| {
                let slot: &Arc<Slot<W, C, O>> = slot;
                let idle = |used| self.age(used, now) > self.idle;
                let used = slot.used.spare_since(idle, || Arc::strong_count(slot))?;
                let age = self.age(used, now);
                let clean = slot.breaker.is_clean();
                let goes = clean || self.forget.is_some_and(|forget| age > forget) && slot.is_over();
                goes.then_some(((clean, age), used, key, slot))
            };
            let (_, used, key, slot) = self.map.iter(&guard).filter_map(may_go).max_by_key(|&(rank, ..)| rank)?;
            if slot.used.take(used) {
                self.map.remove(key, &guard);
                admin.members -= 1;
                return Some(Arc::clone(slot));
            }
        }
    }
}

impl<W: Window, C: Clock, O: Observer> Slot<W, C, O> {
    /// Whether nothing of what it remembers is still to last: no time that runs, and nothing that a hand must end.
    fn is_over(&self) -> bool {
        match self.breaker.state() {
            // Nobody holds it: no probe is out but lost ones.
            State::Closed | State::HalfOpen | State::Ramping => true,
            State::Open => self.breaker.retry_in_ticks() == Some(0),
            State::Latched | State::ForcedOpen | State::Disabled => false,
        }
    }
}

impl<K, W, C, O> fmt::Debug for Registry<K, W, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Monitors {
    /// Adds those breakers of a registry, held by `&'static`, `Arc` or any other `Deref`, whose label is the name of `meter`,
    /// which they share: [how](Registry#metrics). Once for each label; the breaker for overflow is better added by itself.
    ///
    /// An error if one of that name is there already.
    pub fn add_members<R, K, W, C, O, M>(&self, registry: R, meter: M) -> Result<(), DuplicateName>
    where
        R: Deref<Target = Registry<K, W, C, O>> + Send + Sync + 'static,
        K: Hash + Eq,
        W: Window,
        C: Clock + Clone,
        O: Observer,
        M: Metered + Send + Sync + 'static,
    {
        self.add_read(Arc::new(move || registry.reading(&meter)))
    }
}

/// A breaker of a [`Registry`]: derefs to it, and may be held, cloned and put in a permit
/// ([`Breaker::acquire_in`]) like an `Arc` of it.
///
/// While somebody holds it, it stays its key's. So do not keep more of them than keys are in use.
pub struct Member<W, C, O = ()>(Arc<Slot<W, C, O>>);

impl<W, C, O> Member<W, C, O> {
    /// What it is called in logs and metrics: never the key.
    pub fn label(&self) -> &'static str {
        self.0.label
    }

    /// Whether it is shared by all keys for which there was no room.
    pub fn is_overflow(&self) -> bool {
        self.0.overflow
    }
}

impl<W, C, O> Deref for Member<W, C, O> {
    type Target = Breaker<W, C, O>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0.breaker
    }
}

// By hand: a derive would ask for the same of its parameters.
impl<W, C, O> Clone for Member<W, C, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W, C, O> fmt::Debug for Member<W, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("label", &self.label())
            .field("is_overflow", &self.is_overflow())
            .finish_non_exhaustive()
    }
}
