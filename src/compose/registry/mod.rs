//! Breakers by key for servers: one for each host, model or tenant.
//!
//! A [`Registry`] creates a breaker when its key is first asked for, holds no more breakers than its capacity, and lets
//! go of those that nobody uses any more. A [`RegistryBuilder`] makes the registry; [`Registry::get_or_create`] gives
//! the breaker of a key as a [`Member`], which is used like an `Arc` of the breaker. Firmware that knows its peers from
//! the start needs no heap for them: see `keyed` (feature `heapless`).

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
use crate::machine::window::LiveWindow;
use crate::metrics::meter::Metered;
use crate::metrics::monitors::{DuplicateName, Monitors};
use crate::metrics::reading::{Reading, States};
use crate::platform::atomics::{AtomicU32, Ordering};
use crate::terms::observer::Observer;
use crate::terms::state::State;

/// Not a stamp, since a stamp has at most 31 bits: as far as is known, some breaker can be let go.
const NEVER: u32 = u32::MAX;

type Label<K> = Box<dyn Fn(&K) -> &'static str + Send + Sync>;
type Observe<O> = Box<dyn Fn(&'static str) -> O + Send + Sync>;

/// Breakers by key: each is made from a template when its key first comes, and there are never more than a capacity.
///
/// - Looking up a key that has a breaker takes no lock. It hashes the key, reads the clock (use a
///   [`CoarseClock`](crate::CoarseClock)) and counts the [`Member`] that it gives, as an `Arc` does: one shared write,
///   and another when the member is dropped. Where a key is known in advance, keep its member: calls through it do none
///   of this.
/// - Creating a breaker takes a lock, for as long as it takes to make the breaker. A full registry also goes over all
///   its breakers once.
/// - A full registry lets go of a breaker that is idle for long enough, that nobody holds (there is no member of it,
///   and no permit with a member) and that is [clean](Breaker::is_clean). If there are several, the one idle longest
///   goes. No failure is forgotten this way, only successes, the [seed](Breaker::seed), and what an operator did to
///   that breaker by hand (use [`configure`](Self::configure)).
/// - If no such breaker is clean, the registry forgets a breaker that nobody holds and that has been idle for [much
///   longer](RegistryBuilder::forget_after): closed with failures, half-open, ramping, or open with its time over.
///   Again the one idle longest goes. It is reset outside the lock as it goes, so its observer is notified.
/// - A breaker that is open for longer, latched, forced open or disabled keeps its place until that is over or an
///   operator ends it (by [`visit`](Self::visit) or [`remove`](Self::remove)): an operator's decision holds until an
///   operator changes it. So switch off only a few keys, or all of them for a while, and let no response latch a key
///   that callers can make up.
/// - If nothing can be evicted, the key uses the overflow breaker: there is no error and no growth. A search that found
///   nothing is not repeated for an eighth of the idle time, so keys that somebody makes up cost no more than that.
/// - Each breaker has its own mode: [`visit`](Self::visit) reaches all breakers that exist, and a template in
///   [shadow](Config::shadow) reaches those to come.
/// - While somebody holds a member, the key's breaker is not let go, except by [`remove`](Self::remove): every other
///   caller of that key gets the same breaker.
///
/// # Metrics
///
/// Let all breakers of a label share one [`Meter`](crate::metrics::Meter) of that name, and add them to
/// [`Monitors`](crate::metrics::Monitors) together. Do not add a single member: `Monitors` would hold it for ever.
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
/// // The overflow breaker stands on its own and is never let go.
/// monitors.add(hosts.overflow().clone()).unwrap();
///
/// hosts.get_or_create("a.example").acquire().unwrap().failure();
/// hosts.get_or_create("b.example").acquire().unwrap().success();
/// let reading = &monitors.readings()[0];
/// assert_eq!((reading.name, reading.success, reading.failure), ("hosts", 1, 1));
/// assert_eq!((reading.states.count(State::Open), reading.states.count(State::Closed)), (1, 1));
/// ```
///
/// The reading's calls, rejections, transitions and times are then those of all breakers that share the meter,
/// including breakers that are gone. Its states and probes are those of the present breakers whose label is the meter's
/// name (none, if that name is no label). Open seconds are added up: two open breakers add two seconds each second. So
/// if `n` breakers are open, take a [reading](crate::metrics::Reading) `n` times as often. For a thousand open breakers
/// at 1024 Hz, that is every half hour.
pub struct Registry<K, W: LiveWindow, C, O = ()> {
    map: papaya::HashMap<K, Arc<Slot<W, C, O>>>,
    admin: Mutex<Admin<K>>,
    /// The stamp of the last search that found no breaker to let go, or `NEVER`.
    nothing_evictable_at: AtomicU32,
    overflow: Member<W, C, O>,
    clock: C,
    capacity: usize,
    /// A stamp counts 2^this ticks.
    shift: u32,
    /// The idle time in stamps, rounded up.
    idle: u32,
    /// The time in stamps, rounded up, after which a breaker that is not clean may go; never if `None`.
    forget: Option<u32>,
    label: Label<K>,
    observe: Observe<O>,
}

/// State that only creation, eviction and the operator need. No hook is called under its lock.
struct Admin<K> {
    template: Config,
    /// Settings of single keys. Each was checked: a breaker can be made of it.
    overrides: HashMap<K, Config>,
    /// How many breakers are in the map. The map grows and shrinks under this lock only, so the bound is exact.
    members: usize,
}

struct Slot<W: LiveWindow, C, O> {
    breaker: Breaker<W, C, O>,
    label: &'static str,
    overflow: bool,
    used: Used,
}

impl<K, W, C, O> Registry<K, W, C, O>
where
    K: Hash + Eq,
    W: LiveWindow,
    C: Clock + Clone,
    O: Observer,
{
    /// The breaker of `key`. It is made if there is none; if there is no room for it, this is the overflow breaker.
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
        // Relaxed: a hint, so a benign race. An older value costs either a search under the lock, or an eighth of the
        // idle time for which the key still uses the overflow breaker.
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

    /// Lets go of `key`'s breaker, whatever its state. Callers that still hold it go on with it by themselves; the next
    /// caller that asks gets a new one.
    ///
    /// Its observer is not notified. [Reset](Breaker::reset) the breaker afterwards; otherwise a
    /// [`Meter`](crate::metrics::Meter) that it shares with others counts it as open for ever.
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

    /// Takes a new template over: for breakers to come, and at once for present breakers whose keys have no settings of
    /// their own, as by [`Breaker::reconfigure`]. On an error nothing changes.
    pub fn reconfigure(&self, template: &Config) -> Result<(), ConfigError> {
        let mut admin = self.admin();
        // All breakers that follow the template have the same fixed shape and the same types: settings that suit one
        // suit all.
        self.overflow.reconfigure(template)?;
        admin.template = *template;
        for (_, slot) in self.map.iter(&self.map.guard()).filter(|(key, _)| !admin.overrides.contains_key(*key)) {
            slot.breaker.reconfigure(template)?;
        }
        Ok(())
    }

    /// Gives `key` settings of its own in place of the template's: at once if the key has a breaker, and for every
    /// breaker that is made for it later. On an error nothing changes.
    ///
    /// The settings are kept until [`unconfigure`](Self::unconfigure) and do not count towards the capacity. They are
    /// meant for keys that an operator knows.
    pub fn configure(&self, key: K, config: Config) -> Result<(), ConfigError> {
        let mut admin = self.admin();
        match self.map.get(&key, &self.map.guard()) {
            Some(slot) => slot.breaker.reconfigure(&config)?,
            None => _ = config.words(const { &C::RATE }, W::CAPACITY)?,
        }
        admin.overrides.insert(key, config);
        Ok(())
    }

    /// Gives `key` the template's settings again. If the key's breaker has another shape than the template, that is an
    /// error and nothing changes: [remove](Self::remove) the breaker first.
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

    /// Goes over all breakers in one pass and gives the key, the label and the breaker of each. The overflow breaker
    /// comes last and has no key. It takes no lock and allocates nothing; a breaker that is created or let go meanwhile
    /// may or may not be seen.
    ///
    /// A visit does not count as use. A breaker that you force open here while the registry lets it go may be gone a
    /// moment later, and a [`Meter`](crate::metrics::Meter) that it shares with others goes on counting it as open. So
    /// change the state of a breaker only while you [hold](Self::get) it.
    pub fn visit(&self, mut each: impl FnMut(Option<&K>, &'static str, &Breaker<W, C, O>)) {
        for (key, slot) in self.map.iter(&self.map.guard()) {
            each(Some(key), slot.label, &slot.breaker);
        }
        each(None, self.overflow.label(), &self.overflow);
    }

    /// A reading of the breakers whose label is the name of `meter`, which they share: what the meter counted, and how
    /// many of them are in each state. It goes over all breakers once, like [`visit`](Self::visit), and changes no
    /// state.
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

    /// The breaker that all keys share for which there is no room.
    pub fn overflow(&self) -> &Member<W, C, O> {
        &self.overflow
    }

    /// How many keys have a breaker of their own.
    pub fn len(&self) -> usize {
        self.admin().members
    }

    /// Whether no key has a breaker of its own.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys can have a breaker of their own.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn admin(&self) -> MutexGuard<'_, Admin<K>> {
        // Only a panic in a key's `Hash` or `Eq` poisons it. At worst one place of the capacity is lost.
        self.admin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time, coarsely: 31 bits at most, which wrap.
    fn stamp(&self) -> u32 {
        self.clock.now().count() >> self.shift
    }

    /// How many stamps lie between `used` and `now`. It is 0 if `used` is younger than `now`, since `now` may have been
    /// read long before. A stamp older than 15/16 of a wrap (45 days at 1024 Hz) looks younger than `now` until the
    /// wrap is over.
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
        // The hooks are called before the lock is taken, since they may use the registry.
        let label = (self.label)(&key);
        let observer = (self.observe)(label);
        let mut admin = self.admin();
        // Another caller may have made it meanwhile.
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
        // These settings were checked when they were set, so this does not fail.
        let Ok(breaker) = Breaker::try_observed(config, self.clock.clone(), observer) else {
            return self.overflow.clone();
        };
        let slot = Arc::new(Slot { breaker, label, overflow: false, used: Used::new(self.stamp()) });
        // The member is counted before the slot can be found in the map, as in `Used::look`.
        let member = Member(Arc::clone(&slot));
        self.map.insert(key, slot, &self.map.guard());
        admin.members += 1;
        drop(admin);
        // A breaker that is forgotten in another state is reset, so that its observer no longer counts it as open.
        if let Some(gone) = gone
            && gone.breaker.state() != State::Closed
        {
            gone.breaker.reset();
        }
        member
    }

    /// Takes one breaker out of the map that may go: a clean one if there is any, and of these the one idle longest.
    /// `None` if no breaker may go.
    fn make_room(&self, admin: &mut Admin<K>) -> Option<Arc<Slot<W, C, O>>> {
        let guard = self.map.guard();
        // The loop goes round again only if somebody asked for the slot that was found; that slot is then no longer
        // idle.
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

impl<W: LiveWindow, C: Clock, O: Observer> Slot<W, C, O> {
    /// Whether the state that the breaker is in may be forgotten: no open time is running, and no state waits for an
    /// operator.
    fn is_over(&self) -> bool {
        match self.breaker.state() {
            // Nobody holds the slot, so the only probes that can be in flight are lost ones.
            State::Closed | State::HalfOpen | State::Ramping => true,
            State::Open => self.breaker.retry_in_ticks() == Some(0),
            State::Latched | State::ForcedOpen | State::Disabled => false,
        }
    }
}

impl<K, W: LiveWindow, C, O> fmt::Debug for Registry<K, W, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Monitors {
    /// Adds the breakers of a registry whose label is the name of `meter`, which they [share](Registry#metrics). The
    /// registry is held by `&'static`, `Arc` or any other `Deref`. Call this once for each label; add the overflow
    /// breaker by itself.
    ///
    /// It is an error if that name is monitored already.
    pub fn add_members<R, K, W, C, O, M>(&self, registry: R, meter: M) -> Result<(), DuplicateName>
    where
        R: Deref<Target = Registry<K, W, C, O>> + Send + Sync + 'static,
        K: Hash + Eq,
        W: LiveWindow,
        C: Clock + Clone,
        O: Observer,
        M: Metered + Send + Sync + 'static,
    {
        self.add_read(Arc::new(move || registry.reading(&meter)))
    }
}

/// A breaker of a [`Registry`]. It derefs to the breaker, and may be held, cloned and put in a permit
/// ([`Breaker::acquire_in`]) like an `Arc` of the breaker.
///
/// While somebody holds a member, its breaker stays the breaker of its key and keeps its place in the registry. So do
/// not keep members of keys that are no longer in use.
pub struct Member<W: LiveWindow, C, O = ()>(Arc<Slot<W, C, O>>);

impl<W: LiveWindow, C, O> Member<W, C, O> {
    /// The breaker's name in logs and metrics. It is never the key.
    pub fn label(&self) -> &'static str {
        self.0.label
    }

    /// Whether this is the overflow breaker, which all keys share for which there was no room.
    pub fn is_overflow(&self) -> bool {
        self.0.overflow
    }
}

impl<W: LiveWindow, C, O> Deref for Member<W, C, O> {
    type Target = Breaker<W, C, O>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0.breaker
    }
}

// By hand: a derive would demand `Clone` of `W`, `C` and `O`.
impl<W: LiveWindow, C, O> Clone for Member<W, C, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: LiveWindow, C, O> fmt::Debug for Member<W, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("label", &self.label())
            .field("is_overflow", &self.is_overflow())
            .finish_non_exhaustive()
    }
}
