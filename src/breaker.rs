//! The breaker and its permit.
//!
//! # Example
//!
//! ```
//! use microbreaker::{Breaker, Config, ManualClock, State, Streak};
//!
//! let clock = ManualClock::new();
//! let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(2), &clock);
//! breaker.acquire().unwrap().failure();
//! breaker.acquire().unwrap().failure();
//! assert_eq!(breaker.state(), State::Open);
//! assert!(breaker.acquire().is_err());
//! ```

use core::fmt;
use core::ops::Deref;
use core::time::Duration;

use crate::clock::{Clock, HORIZON, Ticks};
use crate::config::Config;
use crate::config::error::{Bound, ConfigError, Field};
use crate::config::live::{Live, Shape, Words};
use crate::machine::backoff;
use crate::machine::control::{ATTEMPT_MAX, Generation, StateCell, Step, Word};
use crate::machine::probes::{Admission, Judged, Judgement, Probes};
use crate::machine::scope::{Mark, Scope};
use crate::machine::timer::{LONGEST, Timer};
use crate::machine::window::{Glance, Placement, Recorded, Window};
use crate::platform::atomics::{const_fn, initial, panicking};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::terms::event::{Effect, Event, Report, ReportKind};
use crate::terms::observer::Observer;
use crate::terms::outcome::{FailureKind, Outcome};
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::{Status, Tally};

/// A circuit breaker: asks a window `W` whether the peer is healthy, a clock `C` for the time, and tells an observer
/// `O`.
///
/// Share it by reference: every method takes `&self`, from any thread or interrupt, and returns in a bounded number
/// of its own steps or retries only because another caller made progress. It holds no lock and no memory but its own
/// words.
#[derive(Debug)]
pub struct Breaker<W, C, O = ()> {
    state: StateCell,
    live: Live,
    timer: Timer,
    probes: Probes,
    shape: Shape,
    window: W,
    clock: C,
    observer: O,
}

impl<W: Window, C: Clock> Breaker<W, C> {
    const_fn! {
        /// A closed breaker that nobody observes.
        ///
        /// # Panics
        /// If the configuration cannot work: at compile time in a `const` or `static`. [`try_new`](Self::try_new)
        /// returns the error instead.
        pub const fn new(config: Config, clock: C) -> Self {
            Self::observed(config, clock, ())
        }
    }

    /// Like [`new`](Self::new), for settings that are only known at run time.
    pub fn try_new(config: Config, clock: C) -> Result<Self, ConfigError> {
        Self::try_observed(config, clock, ())
    }
}

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    const_fn! {
        /// A closed breaker with an observer.
        ///
        /// # Panics
        /// If the configuration cannot work: at compile time in a `const` or `static`.
        pub const fn observed(config: Config, clock: C, observer: O) -> Self {
            match config.words(const { &C::RATE }, W::CAPACITY) {
                Ok(words) => Self::assemble(&words, clock, observer),
                Err(error) => panic!("{}", error.sentence()),
            }
        }
    }

    /// Whether a generation begins cold.
    const COLD: bool = W::SHARES;

    const_fn! {
        const fn assemble(words: &Words, clock: C, observer: O) -> Self {
            Self {
                state: StateCell::new(Self::COLD),
                live: Live::new(words),
                timer: Timer::new(),
                probes: Probes::new(),
                shape: words.shape,
                window: initial!(take W),
                clock,
                observer,
            }
        }
    }

    /// Like [`observed`](Self::observed), for settings that are only known at run time.
    pub fn try_observed(config: Config, clock: C, observer: O) -> Result<Self, ConfigError> {
        let words = config.words(const { &C::RATE }, W::CAPACITY)?;
        Ok(Self::assemble(&words, clock, observer))
    }

    /// Asks to make a call.
    ///
    /// The permit must be reported, by value; dropped without a report it counts as cancelled. See [`Permit`].
    #[inline(always)]
    pub fn acquire(&self) -> Result<Permit<&Self>, Rejected> {
        Self::acquire_in(self)
    }

    /// [`acquire`](Self::acquire) with a permit that owns how the breaker is held (`&'static`, an `Arc`, …), so that
    /// it can live in a future or move to another thread.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use microbreaker::{Breaker, Config, ManualClock, Streak};
    ///
    /// let breaker: Arc<Breaker<Streak, _>> = Arc::new(Breaker::new(Config::streak(5), ManualClock::new()));
    /// let permit = Breaker::acquire_in(Arc::clone(&breaker)).unwrap();
    /// std::thread::spawn(move || permit.success()).join().unwrap();
    /// ```
    #[inline(always)]
    pub fn acquire_in<H: Deref<Target = Self>>(holder: H) -> Result<Permit<H>, Rejected> {
        match holder.admit() {
            Ok(ticket) => Ok(Permit { holder, ticket, reported: false }),
            Err((reason, ticks)) => Err(Rejected::new(reason, ticks, const { &C::RATE })),
        }
    }

    /// What [`acquire`](Self::acquire) would say now, without asking: no probe is taken, nothing moves and no observer is
    /// told. For whoever has something to do before the call (a connection to choose, a body to read, a queue to join)
    /// that a rejection would waste.
    ///
    /// `Ok` promises nothing: another caller may be faster, and whether a call is among a ramp's share is known only by
    /// asking. In shadow it is always `Ok`, for nothing is rejected. While quietly closed it is one load.
    ///
    /// ```
    /// use core::time::Duration;
    /// use microbreaker::{Breaker, Config, ManualClock, Streak};
    ///
    /// let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1).jitter(false), ManualClock::new());
    /// assert!(breaker.peek().is_ok());
    /// breaker.hold(Duration::from_secs(1));
    /// assert_eq!(breaker.peek().unwrap_err().retry_in(), Some(Duration::from_secs(1)));
    /// ```
    #[inline]
    pub fn peek(&self) -> Result<(), Rejected> {
        if self.state.peek().is_quiet() || self.live.rules().shadow() { Ok(()) } else { self.peek_unhealthy() }
    }

    #[inline(never)]
    fn peek_unhealthy(&self) -> Result<(), Rejected> {
        let Rest { word, ticks, .. } = self.present_rest();
        let reason = match word.state() {
            _ if ticks == Some(0) => return Ok(()),
            State::Open => RejectReason::Open(word.reason()),
            State::HalfOpen => RejectReason::HalfOpen,
            State::Latched => RejectReason::Latched,
            State::ForcedOpen => RejectReason::ForcedOpen,
            State::Closed | State::Ramping | State::Disabled => return Ok(()),
        };
        Err(Rejected::new(reason, ticks, const { &C::RATE }))
    }

    /// The state: one load. An open circuit whose time is over still shows as open; it moves when somebody asks.
    pub fn state(&self) -> State {
        self.state.peek().state()
    }

    /// The state, and how many half-open probes are out.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "metrics ask for it"))]
    pub(crate) fn state_and_probes(&self) -> (State, u8) {
        let word = self.state.load();
        (word.state(), self.probes_out(word))
    }

    fn probes_out(&self, word: Word) -> u8 {
        if word.state() == State::HalfOpen { self.probes.out(word.generation()) } else { 0 }
    }

    /// Everything at a glance; see [`Status`].
    pub fn status(&self) -> Status {
        let word = self.state.load();
        #[expect(clippy::cast_possible_truncation, reason = "five bits")]
        let attempt = word.attempt() as u8;
        Status {
            state: word.state(),
            reason: (word.state() == State::Open).then(|| word.reason()),
            level: word.level(),
            attempt,
            generation: word.generation().number(),
            retry_in: self.rest(word).ticks.map(|ticks| C::RATE.duration_of(ticks)),
            probes_out: self.probes_out(word),
            shadow: self.live.rules().shadow(),
            tally: self.window.tally(self.scope(word)),
        }
    }

    /// When to ask again: zero for now, `None` for "not before somebody resets it". Rounded up. While closed it reads
    /// no clock.
    pub fn retry_in(&self) -> Option<Duration> {
        self.present_rest().ticks.map(|ticks| C::RATE.duration_of(ticks))
    }

    /// [`retry_in`](Self::retry_in) in ticks of the breaker's clock: the same without any arithmetic.
    pub fn retry_in_ticks(&self) -> Option<u32> {
        self.present_rest().ticks
    }

    /// The window's sums; of a pair, those of the first. Empty unless closed or ramping.
    pub fn tally(&self) -> Tally {
        self.window.tally(self.scope(self.state.load()))
    }

    /// Whether it remembers nothing against the peer: closed, with no failure or slow call in its window, or in either of a
    /// pair.
    ///
    /// A new breaker in its place may still decide otherwise, for it lacks the successes counted (without them failures to
    /// come are a larger share, and a minimum of calls has to be met anew), the [seed](Self::seed), the shadow switch if it
    /// was thrown, and settings taken over live.
    pub fn is_clean(&self) -> bool {
        let word = self.state.load();
        word.state() == State::Closed && self.window.is_clean(self.scope(word))
    }

    /// The observer.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// The clock.
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    /// Closes the circuit and empties its window, whatever the state. Permits that are out become stale.
    pub fn reset(&self) {
        self.take(None, const { Step::reset(Self::COLD) }, self.window_tally(), None);
    }

    /// Opens the circuit for `time`, capped by [`Config::hold_at_most`]: what layers above use (a budget, a
    /// dependency). While open it only ever lengthens; latched, forced open and disabled it does nothing.
    pub fn trip(&self, reason: OpenReason, time: Duration) -> Effect {
        self.open_for(None, reason, time)
    }

    /// Opens the circuit because the peer said when to come back. Like [`Permit::hold`], but without a permit: it is
    /// never stale.
    pub fn hold(&self, time: Duration) -> Effect {
        self.open_for(None, OpenReason::Hold, time)
    }

    /// Opens the circuit until somebody [resets](Self::reset) it. Forced open and disabled it does nothing.
    pub fn latch(&self) -> Effect {
        self.open_for_good(None)
    }

    /// What must not be forgotten over a restart, for [`restore`](Self::restore). All of it is of one generation.
    ///
    /// While the owner of a hold is still about to say how long (it was interrupted in the middle), the time left is the
    /// longest a hold may be.
    #[must_use = "a snapshot that is not kept outlives nothing"]
    pub fn snapshot(&self) -> Snapshot {
        loop {
            let word = self.state.load();
            let period = match word.state() {
                State::Open | State::Ramping => match self.period(word) {
                    Some(period) => period,
                    // Over meanwhile: another caller moved on.
                    None => continue,
                },
                _ => Period { elapsed: 0, span: 0 },
            };
            return Snapshot {
                state: word.state(),
                reason: if word.is_open() { word.reason() } else { OpenReason::Failures },
                attempt: word.attempt(),
                rest: period.rest(),
                age: period.elapsed,
                sequence: 0,
                rate: C::RATE.ratio(),
            };
        }
    }

    /// Goes on where a [`snapshot`](Self::snapshot) was taken, `passed` ago: after a restart, before anybody asks. By
    /// hand, from any state; permits that are out become stale.
    ///
    /// `None` is for a time that nobody knows for certain (a clock that can be set does not), and the safe choice: an
    /// open circuit stays open for all that was left. If no more is given than has passed, the open time is never over
    /// before it would have been. A ramp goes on for what was left of it, from its first step: the window starts empty. A
    /// half-open circuit is restored as one whose probes were lost with the restart, open for another open time: a device
    /// that is brought down by its own probe backs off instead of probing again at once, for ever.
    ///
    /// Restore first, before a task or an interrupt uses the breaker: what was reported to it till then, a hold among it,
    /// is forgotten, as by a [reset](Self::reset). [Seed](Self::seed) before that, for the jitter of that other open time.
    /// A hold that comes meanwhile counts. A caller that comes meanwhile to a restored ramp may begin a whole one.
    ///
    /// On an error nothing changes.
    pub fn restore(&self, snapshot: &Snapshot, passed: Option<Duration>) -> Result<(), SnapshotError> {
        if !snapshot.is_of(C::RATE) {
            return Err(SnapshotError::Rate);
        }
        // Whole ticks that have passed for certain. What is left may be more than the horizon, by jitter, but not twice it.
        let passed = passed.map_or(0, |time| match (C::RATE.ticks_in(time), C::RATE.ticks_in(time / 2)) {
            (Some(ticks), _) => ticks.saturating_sub(1),
            (None, Some(half)) => 2 * half.saturating_sub(1),
            (None, None) => u32::MAX,
        });
        let (state, reason, attempt, rest) = match snapshot.state {
            State::HalfOpen => {
                let attempt = (snapshot.attempt + 1).min(ATTEMPT_MAX);
                (State::Open, OpenReason::Failures, attempt, backoff::open_time(&self.live, attempt, self.clock.now()))
            }
            state => (state, snapshot.reason, snapshot.attempt, snapshot.rest),
        };
        let span = rest.saturating_sub(passed).saturating_add(C::SLACK).min(LONGEST);
        let tally = self.window_tally();
        let restore = Step::restore(state, reason, attempt, Self::COLD);
        let Some((from, to)) = self.state.step(None, restore).won() else { return Ok(()) };
        self.entered(from, to, tally, Some(span));
        if state == State::Open && self.timer.span(to.generation()).is_none_or(|decided| decided < span) {
            // A shorter hold, reported meanwhile, said how long before we could, or somebody moved on: see that ours is
            // covered.
            self.open_for_ticks(Some(to.generation()), reason, span);
        }
        Ok(())
    }

    /// Rejects everything and records nothing until [`reset`](Self::reset): maintenance. `false` if it already did.
    pub fn force_open(&self) -> bool {
        self.take(None, Step::FORCE, self.window_tally(), None)
    }

    /// Admits everything and records nothing until [`reset`](Self::reset). `false` if it already did.
    pub fn disable(&self) -> bool {
        self.take(None, Step::DISABLE, self.window_tally(), None)
    }

    /// Ends shadow: from now on, rejections are real.
    pub fn enforce(&self) {
        self.live.set_shadow(false);
    }

    /// Shadow: the machine runs exactly as it would, but a call that it would reject is admitted, on a permit that
    /// counts nowhere except in the observer's [`on_would_reject`](Observer::on_would_reject). So a new breaker can
    /// watch production before it is allowed to act.
    pub fn watch_only(&self) {
        self.live.set_shadow(true);
    }

    /// Whether it is in shadow, see [`watch_only`](Self::watch_only).
    pub fn is_watch_only(&self) -> bool {
        self.live.rules().shadow()
    }

    /// Seeds the jitter with what tells this device from others, so that a fleet does not probe in step. Takes effect
    /// with the next opening.
    pub fn seed(&self, seed: u32) {
        self.live.set_seed(seed);
    }

    /// Takes new settings over while calls run; on an error nothing changes.
    ///
    /// A streak's threshold, a window's length and whether it counts slow calls are fixed. The shadow switch stays as it
    /// is. A circuit that is open stays open for the time it was given. Thresholds and minimum change together, and so do
    /// half-open's rules; a call that runs meanwhile may see some groups old and some new. Two reloads at once may mix
    /// their groups: every mix is valid, but serialise them if it must be one.
    pub fn reconfigure(&self, config: &Config) -> Result<(), ConfigError> {
        let words = config.words(const { &C::RATE }, W::CAPACITY)?;
        if words.shape != self.shape {
            return Err(ConfigError::new(Field::Shape, 0, Bound::Fixed, const { &C::RATE }));
        }
        self.live.replace(&words);
        // The minimum may have grown: until somebody has judged at or above it again, successes judge too. Whoever
        // judged by the old thresholds and warms after this exchange has by it seen the new ones, and cools again.
        if Self::COLD {
            // One of the two, unless the word moves in between.
            while self.state.step(None, Step::COOL).won().is_none()
                && self.state.step(None, Step::TOUCH).won().is_none()
            {}
        }
        Ok(())
    }

    #[inline]
    fn scope(&self, word: Word) -> Scope<'_, C> {
        Scope {
            state: &self.state,
            generation: word.generation(),
            live: &self.live,
            shape: &self.shape,
            clock: &self.clock,
            level: word.level(),
        }
    }

    /// The healthy and the open path, for their callers; all else is out of line.
    #[inline(always)]
    fn admit(&self) -> Result<Ticket, Refusal> {
        let word = self.state.peek();
        if word.is_quiet()
            && let slow_after = self.live.slow_after()
            && slow_after.limit().is_none()
            && !panicking()
        {
            self.observer.on_permit(false);
            // Any start will do, for nobody asks a quiet permit's: this one stands in a register of its own already.
            return Ok(Ticket { word, start: Ticks::new(slow_after.bits()) });
        }
        // A look as Relaxed as that suffices: the period's own words order the clock's reading, see `Timer::glance`.
        if word.is_open()
            && let Some(rest) = self.timer.glance(word.generation(), &self.clock)
            && !self.live.rules().shadow()
        {
            let reason = RejectReason::Open(word.reason());
            self.observer.on_reject(reason);
            return Err((reason, Some(rest)));
        }
        self.admit_packed().unpack()
    }

    /// [`admit_unhealthy`](Self::admit_unhealthy), answering in two registers: a result in memory costs the healthy
    /// path more than all the rest of it.
    #[inline(never)]
    fn admit_packed(&self) -> Answer {
        Answer::pack(self.admit_unhealthy())
    }

    #[inline]
    fn permit(&self, word: Word, mut kind: u32) -> Ticket {
        self.observer.on_permit(kind & PROBE != 0);
        let mut start = Ticks::new(0);
        if self.live.slow_after().limit().is_some() {
            start = self.clock.now();
            kind |= TIMED;
        }
        if panicking() {
            kind |= PANICKING;
        }
        Ticket { word: word.with_kind(kind), start }
    }

    fn admit_unhealthy(&self) -> Result<Ticket, Refusal> {
        let (word, reason, ticks) = loop {
            let word = self.state.load();
            let generation = word.generation();
            let (reason, ticks) = match word.state() {
                State::Closed => return Ok(self.permit(word, 0)),
                State::Disabled => return Ok(self.permit(word, UNCOUNTED)),
                State::Open | State::Ramping => {
                    let Some(period) = self.period(word) else { continue };
                    if period.is_over() {
                        // The first caller after it. Whoever wins, all then compete for a probe, or are closed.
                        let step = if word.is_open() { Step::PROBE } else { Step::FINISH };
                        self.take(Some(generation), step, self.window_tally(), None);
                        continue;
                    }
                    if word.is_open() {
                        (RejectReason::Open(word.reason()), Some(period.rest()))
                    } else {
                        let share = period.share();
                        match self.probes.ramp(&self.state, generation, share) {
                            Some(true) => return Ok(self.permit(word, 0)),
                            Some(false) => (RejectReason::Ramping, Some(period.until_share(share + 1))),
                            None => continue,
                        }
                    }
                }
                State::HalfOpen => {
                    match self.probes.admit(&self.state, generation, &self.live, &self.clock, Self::COLD) {
                        Admission::Probe(era) => return Ok(self.permit(word, PROBE | u32::from(era) << ERA_AT)),
                        Admission::Full(rest) => (RejectReason::HalfOpen, Some(rest)),
                        Admission::Complete(judged) => {
                            self.carry_out(generation, judged);
                            continue;
                        }
                        Admission::Over => continue,
                    }
                }
                State::Latched => (RejectReason::Latched, None),
                State::ForcedOpen => (RejectReason::ForcedOpen, None),
            };
            break (word, reason, ticks);
        };
        if self.live.rules().shadow() {
            self.observer.on_would_reject(reason);
            return Ok(self.permit(word, UNCOUNTED));
        }
        self.observer.on_reject(reason);
        Err((reason, ticks))
    }

    /// How far the present period (open or ramping) has come, deciding its beginning and length if nobody has; `None`
    /// if the generation is over.
    #[inline]
    fn period(&self, word: Word) -> Option<Period> {
        let period = self.period_or_over(word);
        (period.span != Period::OVER.span).then_some(period)
    }

    /// [`period`](Self::period), answering in two registers.
    #[inline(never)]
    fn period_or_over(&self, word: Word) -> Period {
        let generation = word.generation();
        let Some(elapsed) = self.timer.elapsed(&self.state, generation, &self.clock) else { return Period::OVER };
        let span = self.timer.span(generation).or_else(|| self.decide_span(word, elapsed.opened));
        Period { elapsed: elapsed.ticks, span: span.unwrap_or(Period::OVER.span) }
    }

    #[cold]
    fn decide_span(&self, word: Word, opened: Ticks) -> Option<u32> {
        let generation = word.generation();
        let length = match word.state() {
            State::Ramping => self.live.ramp().max(1),
            _ if !word.was_said() => backoff::open_time(&self.live, word.attempt(), opened),
            // A hold whose owner is between opening and saying how long. Nobody else knows; until it says, take the
            // longest it can be: never early (unless a reload lowers the cap just then), and not for ever should it never
            // come back.
            _ => {
                let longest = self.live.hold_at_most().saturating_add(C::SLACK);
                return self.timer.span_or(&self.state, generation, longest);
            }
        };
        self.timer.settle_span(&self.state, generation, length.saturating_add(C::SLACK))
    }

    /// When it pays to ask. Of `word`'s generation, or of a later one if that is over.
    pub(crate) fn rest(&self, mut word: Word) -> Rest {
        loop {
            let generation = word.generation();
            let (ticks, may_shrink) = match word.state() {
                State::Closed | State::Ramping | State::Disabled => (Some(0), false),
                State::Open => {
                    let unsaid = self.is_unsaid(word);
                    let Some(period) = self.period(word) else {
                        word = self.state.load();
                        continue;
                    };
                    (Some(period.rest()), unsaid)
                }
                State::HalfOpen => {
                    (Some(self.probes.free_in(&self.state, generation, &self.live, &self.clock, Self::COLD)), true)
                }
                State::Latched | State::ForcedOpen => (None, false),
            };
            return Rest { word, ticks, may_shrink };
        }
    }

    /// The present rest.
    pub(crate) fn present_rest(&self) -> Rest {
        self.rest(self.state.load())
    }

    /// Whether it is open for a time that its owner is still about to say.
    fn is_unsaid(&self, word: Word) -> bool {
        word.was_said() && self.timer.span(word.generation()).is_none()
    }

    /// The window's sums for an event, if anybody wants them.
    fn window_tally(&self) -> Tally {
        if O::WATCHES { self.tally() } else { Tally::default() }
    }

    /// Takes a step and, as its winner, does all that a transition entails. `span`: how long, if somebody said so.
    /// `false` if another was faster, or there is nothing to do.
    fn take(&self, generation: Option<Generation>, step: Step, tally: Tally, span: Option<u32>) -> bool {
        let moved = self.state.step(generation, step).won();
        if let Some((from, to)) = moved {
            self.entered(from, to, tally, span);
        }
        moved.is_some()
    }

    /// The winner's part. All of it may also be done, or be found done, by others: nobody waits for us.
    fn entered(&self, from: Word, to: Word, tally: Tally, span: Option<u32>) {
        let generation = to.generation();
        let lasts_ticks = if matches!(to.state(), State::Open | State::Ramping) {
            if let Some(span) = span {
                let _ = self.timer.settle_span(&self.state, generation, span);
            }
            self.period(to).map(|period| period.span)
        } else {
            None
        };
        if from.generation() != generation {
            self.timer.renew(&self.state, generation);
            self.probes.renew(&self.state, generation);
            self.window.renew(self.scope(to));
        }
        if O::WATCHES {
            #[expect(clippy::cast_possible_truncation, reason = "five bits")]
            let attempt = to.attempt() as u8;
            self.observer.on_event(&Event {
                from: from.state(),
                to: to.state(),
                reason: (to.state() == State::Open).then(|| to.reason()),
                generation: generation.number(),
                attempt,
                tally,
                lasts_ticks,
                at: self.clock.now(),
                rate: const { &C::RATE },
            });
        }
    }

    /// Makes the move that complete probe results call for, unless somebody has.
    fn carry_out(&self, generation: Generation, judged: Judged) -> Option<Effect> {
        let (step, effect) = match judged.judgement {
            Judgement::Close if self.live.ramp() > 0 => (const { Step::ramp(Self::COLD) }, Effect::Ramping),
            Judgement::Close => (const { Step::close(Self::COLD) }, Effect::Closed),
            Judgement::Reopen(reason) => (Step::reopen(reason), Effect::Opened(reason)),
        };
        self.take(Some(generation), step, judged.tally, None).then_some(effect)
    }

    /// Opens for a time that somebody said. `own` is the generation of the permit it came with, if it came with one.
    fn open_for(&self, own: Option<Generation>, reason: OpenReason, time: Duration) -> Effect {
        let ticks = C::RATE.ticks_in(time).unwrap_or(HORIZON).min(self.live.hold_at_most()).max(1);
        self.open_for_ticks(own, reason, ticks.saturating_add(C::SLACK))
    }

    /// See [`open_for`](Self::open_for); slack included.
    fn open_for_ticks(&self, mut own: Option<Generation>, reason: OpenReason, ticks: u32) -> Effect {
        // What is longer could never be found covered.
        let ticks = ticks.min(LONGEST);
        let mut effect = None;
        loop {
            let word = self.state.load();
            let generation = word.generation();
            let stale = own.is_some_and(|own| own != generation);
            match word.state() {
                State::Open => {
                    // Opened by a hold whose owner has not said how long yet? Then this one says it. The owner finds a
                    // shorter time than its own and opens anew. (Moving on at once instead would lose the owner's hold,
                    // if it were the longer one and said so in the same moment.)
                    let unsaid = self.is_unsaid(word);
                    if unsaid {
                        let _ = self.timer.settle_span(&self.state, generation, ticks);
                    }
                    match self.period(word) {
                        None => continue,
                        Some(period) if period.rest() > ticks => return effect.unwrap_or(Effect::Unchanged),
                        // As long as that, but perhaps by what this one said: the move, and its reason, are still due.
                        Some(period) if period.rest() == ticks && !unsaid => {
                            return effect.unwrap_or(Effect::Unchanged);
                        }
                        Some(_) => {}
                    }
                }
                State::Closed | State::HalfOpen | State::Ramping if !stale => {}
                _ if stale => return effect.unwrap_or(Effect::Stale),
                _ => return effect.unwrap_or(Effect::Unchanged),
            }
            // A move of its own, even from open: lengthening a deadline in place could be overtaken by the first
            // caller after the old one, and the hold would be lost.
            let tally = self.window_tally();
            let Some((from, to)) = self.state.step(Some(generation), Step::ask(reason)).won() else { continue };
            self.entered(from, to, tally, Some(ticks));
            effect = Some(Effect::Opened(reason));
            if self.timer.span(to.generation()).is_some_and(|decided| decided >= ticks) {
                return Effect::Opened(reason);
            }
            // A shorter hold said how long before we could, or somebody moved on: see that ours is covered.
            own = Some(to.generation());
        }
    }

    /// Latches. A move, never a result of a probe first: a helper could carry out that result and lose the latch.
    fn open_for_good(&self, own: Option<Generation>) -> Effect {
        loop {
            let word = self.state.load();
            let stale = own.is_some_and(|own| own != word.generation());
            // Open, it counts whatever its generation: it speaks of the peer.
            if stale && word.state() != State::Open {
                return Effect::Stale;
            }
            match word.state() {
                State::Latched | State::ForcedOpen | State::Disabled => return Effect::Unchanged,
                State::Closed | State::Open | State::HalfOpen | State::Ramping => {}
            }
            if self.take(Some(word.generation()), Step::LATCH, self.window_tally(), None) {
                return Effect::Latched;
            }
        }
    }

    /// Reports a success, at a glance where nothing has changed since the permit was given and all is well.
    #[inline(always)]
    fn settle_success(&self, ticket: Ticket) -> Effect {
        // One compare: the same generation, still quiet, and a permit that is (any other's word is no control word).
        // Acquire, partner: the exchange that made it quiet. Its thread had judged what a head of this generation
        // counted; without this a window could glance at an older one, find that clean, and lose the success.
        if self.state.load() == ticket.word && self.window.glance(self.scope(ticket.word), ticket.word, true) {
            self.tell(ReportKind::Success, false, Effect::Counted);
            return Effect::Counted;
        }
        self.settle_success_slowly(ticket)
    }

    #[inline(never)]
    fn settle_success_slowly(&self, ticket: Ticket) -> Effect {
        self.settle_result(ticket, ReportKind::Success, false, None)
    }

    #[inline(always)]
    fn settle_failure(&self, ticket: Ticket) -> Effect {
        if W::FAILS_AT_A_GLANCE {
            return self.settle_failure_at_a_glance(ticket);
        }
        self.settle_failure_slowly(ticket)
    }

    #[inline(never)]
    fn settle_failure_at_a_glance(&self, ticket: Ticket) -> Effect {
        // Acquire, and the compare: see `settle_success`.
        if self.state.load() != ticket.word {
            return self.settle_failure_slowly(ticket);
        }
        let effect = match self.window.glance_failure(self.scope(ticket.word), ticket.word) {
            Glance::Nothing => return self.settle_failure_slowly(ticket),
            Glance::Counted => Effect::Counted,
            Glance::Placed(placement) => self.judge_placed(ticket.word, placement),
        };
        self.tell(ReportKind::Failure(FailureKind::Other), false, effect);
        effect
    }

    #[cold]
    fn judge_placed(&self, word: Word, placement: Placement) -> Effect {
        self.recorded(word, self.window.verdict(self.scope(word), placement))
    }

    #[inline(always)]
    fn settle_failure_slowly(&self, ticket: Ticket) -> Effect {
        self.settle_result(ticket, ReportKind::Failure(FailureKind::Other), false, None)
    }

    /// Reports `outcome` on a ticket.
    fn settle(&self, ticket: Ticket, outcome: Outcome, elapsed: Option<Duration>) -> Effect {
        match outcome {
            Outcome::Success => self.settle_result(ticket, ReportKind::Success, false, elapsed),
            Outcome::Slow => self.settle_result(ticket, ReportKind::Success, true, elapsed),
            Outcome::Failure(kind) => self.settle_result(ticket, ReportKind::Failure(kind), false, elapsed),
            Outcome::Alive | Outcome::Ignored | Outcome::Hold(_) | Outcome::Latch => self.settle_other(ticket, outcome),
        }
    }

    /// Reports a success or a failure, `slow` if the caller said so.
    #[inline(never)]
    fn settle_result(&self, ticket: Ticket, kind: ReportKind, slow: bool, elapsed: Option<Duration>) -> Effect {
        let timed = ticket.kind() & TIMED != 0 || elapsed.is_some();
        let slow = slow || timed && self.is_slow(ticket, elapsed);
        let mark = Mark { failed: matches!(kind, ReportKind::Failure(_)), slow };
        let effect = if ticket.kind() & (PROBE | UNCOUNTED) == 0 {
            self.record(ticket.word.generation(), mark)
        } else {
            self.settle_special(ticket, Some(mark))
        };
        self.tell(kind, slow, effect);
        effect
    }

    #[cold]
    fn settle_other(&self, ticket: Ticket, outcome: Outcome) -> Effect {
        let own = Some(ticket.word.generation());
        let (kind, effect) = match outcome {
            Outcome::Hold(time) if ticket.kind() & UNCOUNTED == 0 => {
                (ReportKind::Hold, self.open_for(own, OpenReason::Hold, time))
            }
            Outcome::Latch if ticket.kind() & UNCOUNTED == 0 => (ReportKind::Latch, self.open_for_good(own)),
            Outcome::Hold(_) => (ReportKind::Hold, Effect::Uncounted),
            Outcome::Latch => (ReportKind::Latch, Effect::Uncounted),
            // A probe that is alive is good: the peer answers.
            Outcome::Alive if ticket.kind() & PROBE != 0 => {
                (ReportKind::Alive, self.settle_special(ticket, Some(Mark::GOOD)))
            }
            Outcome::Alive => (ReportKind::Alive, self.settle_neutral(ticket)),
            _ => (ReportKind::Ignored, self.settle_neutral(ticket)),
        };
        self.tell(kind, false, effect);
        effect
    }

    /// A permit that was dropped without a report.
    #[cold]
    fn abandon(&self, ticket: Ticket) {
        let panicked = ticket.kind() & PANICKING == 0 && panicking();
        // A caller's own timeout around a hanging upstream drops the call: it must open the circuit.
        // Not once it has answered: how long its answer lasts is no more the peer's doing than the caller's.
        let outlived = ticket.kind() & (TIMED | ANSWERED) == TIMED && self.is_slow(ticket, None);
        if panicked {
            self.settle(ticket, Outcome::Failure(FailureKind::Panic), None);
        } else if outlived {
            self.settle(ticket, Outcome::Failure(FailureKind::Timeout), None);
        } else {
            let effect = self.settle_neutral(ticket);
            self.tell(ReportKind::Cancelled, false, effect);
        }
    }

    fn settle_neutral(&self, ticket: Ticket) -> Effect {
        if ticket.kind() & (PROBE | UNCOUNTED) != 0 {
            self.settle_special(ticket, None)
        } else {
            let word = self.state.peek();
            if word.generation() != ticket.word.generation() {
                return Effect::Stale;
            }
            // Nothing is counted, but a call was made: a time window that only sees such calls must not sleep through
            // a wrap of the clock.
            self.window.renew(self.scope(word));
            Effect::Neutral
        }
    }

    /// A probe's report (`None`: its slot goes back), or one that counts nowhere.
    #[cold]
    fn settle_special(&self, ticket: Ticket, mark: Option<Mark>) -> Effect {
        let generation = ticket.word.generation();
        if ticket.kind() & UNCOUNTED != 0 {
            return Effect::Uncounted;
        }
        if !self.state.is(generation) {
            return Effect::Stale;
        }
        let era = (ticket.kind() >> ERA_AT & 15) as u8;
        let reported = self.probes.report(&self.state, generation, &self.live, era, mark, Self::COLD);
        // If the results were complete before ours: carry the verdict out in case its owner sleeps.
        let carried = reported.judged.and_then(|judged| self.carry_out(generation, judged));
        match mark {
            _ if !reported.counted => Effect::Stale,
            Some(_) => carried.unwrap_or(Effect::Counted),
            None => carried.unwrap_or(Effect::Neutral),
        }
    }

    fn is_slow(&self, ticket: Ticket, elapsed: Option<Duration>) -> bool {
        let Some(limit) = self.live.slow_after().limit() else { return false };
        let took = match elapsed {
            Some(elapsed) => C::RATE.ticks_in(elapsed).unwrap_or(u32::MAX),
            None if ticket.kind() & ANSWERED != 0 => ticket.start.count(),
            None => self.took(ticket.start),
        };
        took > limit
    }

    /// Ticks since a reading. A difference of readings that round down is less than a tick too long, which a comparison
    /// by `>` allows for.
    fn took(&self, start: Ticks) -> u32 {
        self.clock.now().since(start).saturating_sub(C::SLACK.saturating_sub(1))
    }

    /// Counts an outcome in the window.
    #[inline]
    fn record(&self, generation: Generation, mark: Mark) -> Effect {
        let word = self.state.peek();
        if word.generation() != generation {
            return Effect::Stale;
        }
        let recorded = self.window.record(self.scope(word), mark, !word.is_calm());
        self.recorded(word, recorded)
    }

    /// What it comes to that an outcome, under the control word `word`, was `recorded` so.
    #[inline]
    fn recorded(&self, word: Word, recorded: Recorded) -> Effect {
        let generation = word.generation();
        match recorded {
            Recorded::Counted => Effect::Counted,
            Recorded::Stale => Effect::Stale,
            Recorded::Judged(opinion) => {
                if let Some(reason) = opinion.trip {
                    let opened = self.take(Some(generation), Step::trip(reason), opinion.tally, None);
                    return if opened { Effect::Opened(reason) } else { Effect::Counted };
                }
                if Self::COLD && opinion.ripe && word.is_cold() {
                    let _ = self.state.step(Some(generation), Step::WARM);
                    // Judged by thresholds that a reload has replaced meanwhile: they warm nothing.
                    if self.live.limits() != opinion.limits {
                        let _ = self.state.step(Some(generation), Step::COOL);
                    }
                }
                // The level is advice: of two that differ the later stays, and while it is above 0 every outcome
                // evaluates it again. A benign race.
                if opinion.level != word.level() {
                    let _ = self.state.step(Some(generation), Step::level(opinion.level));
                }
                Effect::Counted
            }
        }
    }

    #[inline]
    fn tell(&self, kind: ReportKind, slow: bool, effect: Effect) {
        if O::WATCHES {
            let at = matches!(kind, ReportKind::Failure(_)).then(|| self.clock.now());
            self.observer.on_report(&Report { kind, slow, effect, at });
        }
    }
}

/// When it pays to ask.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "embassy-time"), expect(dead_code, reason = "who waits needs all of it"))]
pub(crate) struct Rest {
    /// Of the generation that was looked at.
    pub(crate) word: Word,
    /// `None`: not by waiting.
    pub(crate) ticks: Option<u32>,
    /// It is the longest that it can be: a probe may report, or a hold's owner say less.
    pub(crate) may_shrink: bool,
}

/// How far an open or ramping period has come.
#[derive(Clone, Copy)]
struct Period {
    elapsed: u32,
    span: u32,
}

impl Period {
    /// Of a generation that is over. No span is as long: they are kept in 19 bits and a shift.
    const OVER: Self = Self { elapsed: 0, span: u32::MAX };

    #[inline]
    fn rest(self) -> u32 {
        self.span.saturating_sub(self.elapsed)
    }

    #[inline]
    fn is_over(self) -> bool {
        self.elapsed >= self.span
    }

    /// The share of calls to admit, 1 to 16 sixteenths, unless the time is over.
    fn share(self) -> u32 {
        let (elapsed, mut step, mut share) = (u64::from(self.elapsed) << 4, u64::from(self.span), 1);
        while elapsed >= step {
            step += u64::from(self.span);
            share += 1;
        }
        share
    }

    /// Ticks until `share` sixteenths are admitted.
    fn until_share(self, share: u32) -> u32 {
        let at = (u64::from(self.span) * u64::from(share - 1)).div_ceil(16);
        u32::try_from(at).unwrap_or(u32::MAX).saturating_sub(self.elapsed).max(1)
    }
}

/// What a permit knows. A quiet one (the ordinary permit of a healthy breaker) carries the control word that it was
/// given under; any other the same generation and level, and what kind it is. Two words: it travels in registers.
#[derive(Clone, Copy)]
struct Ticket {
    word: Word,
    start: Ticks,
}

impl Ticket {
    #[inline(always)]
    const fn kind(self) -> u32 {
        self.word.kind()
    }
}

// The bits of a kind. 0 to 2 say that it is one, 3 and 4 hold the level.

/// Of a probe, which has no level: the era it was admitted in.
const ERA_AT: u32 = 3;
/// `start` is set.
const TIMED: u32 = 1 << 7;
/// The thread was already panicking when it was given.
const PANICKING: u32 = 1 << 8;
/// A half-open probe.
const PROBE: u32 = 1 << 9;
/// Reports change nothing.
const UNCOUNTED: u32 = 1 << 10;
/// Of a timed one: its answer has begun, and `start` is how long that took.
const ANSWERED: u32 = 1 << 11;

/// Why not, and in how many ticks to ask again.
type Refusal = (RejectReason, Option<u32>);

/// A ticket or a refusal in two words: a new ticket, which nobody has answered. A refusal has both bits of
/// [`REFUSED`](Self::REFUSED), a ticket at most one: a quiet one has neither, and no probe is uncounted.
#[derive(Clone, Copy)]
struct Answer(u32, u32);

impl Answer {
    const REFUSED: u32 = PROBE | UNCOUNTED;
    const TIMELESS: u32 = 1 << 11;
    const REASON_AT: u32 = 12;

    fn pack(result: Result<Ticket, Refusal>) -> Self {
        match result {
            Ok(ticket) => Self(ticket.word.bits(), ticket.start.count()),
            Err((reason, ticks)) => {
                let reason = match reason {
                    RejectReason::Open(reason) => reason as u32,
                    RejectReason::Latched => 8,
                    RejectReason::HalfOpen => 9,
                    RejectReason::Ramping => 10,
                    // A breaker never says `Unready`.
                    RejectReason::ForcedOpen | RejectReason::Unready => 11,
                };
                let timeless = if ticks.is_none() { Self::TIMELESS } else { 0 };
                Self(reason << Self::REASON_AT | timeless | Self::REFUSED, ticks.unwrap_or(0))
            }
        }
    }

    #[inline]
    fn unpack(self) -> Result<Ticket, Refusal> {
        let Self(head, ticks) = self;
        if head & Self::REFUSED != Self::REFUSED {
            return Ok(Ticket { word: Word::from_bits(head), start: Ticks::new(ticks) });
        }
        let reason = match head >> Self::REASON_AT {
            8 => RejectReason::Latched,
            9 => RejectReason::HalfOpen,
            10 => RejectReason::Ramping,
            11 => RejectReason::ForcedOpen,
            reason => RejectReason::Open(OpenReason::from_number(reason)),
        };
        Err((reason, (head & Self::TIMELESS == 0).then_some(ticks)))
    }
}

/// How a permit reaches its breaker: any `Deref` to one. Sealed by being so for all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reference to a breaker",
    label = "hold it by `&'static` or `Arc`",
    note = "a holder is anything that derefs to a `Breaker`"
)]
pub trait Holder: holder::Sealed {}

#[diagnostic::do_not_recommend]
impl<H: holder::Sealed> Holder for H {}

mod holder {
    use super::{Breaker, Clock, Deref, Duration, Effect, Observer, Outcome, Ticket, Ticks, Window};

    pub trait Sealed {
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn settle(&self, ticket: Ticket, outcome: Outcome, elapsed: Option<Duration>) -> Effect;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn settle_success(&self, ticket: Ticket) -> Effect;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn settle_failure(&self, ticket: Ticket) -> Effect;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn abandon(&self, ticket: Ticket);
        #[doc(hidden)]
        fn now(&self) -> Ticks;
        #[doc(hidden)]
        fn times_calls(&self) -> bool;
        #[doc(hidden)]
        fn tell_elapsed(&self, elapsed: Duration);
        #[doc(hidden)]
        fn took(&self, start: Ticks) -> u32;
        #[doc(hidden)]
        fn has_outlasted(&self, start: Ticks, time: Duration) -> bool;
        #[doc(hidden)]
        fn has_outlasted_half_of_its_lease(&self) -> bool;
    }

    impl<H, W, C, O> Sealed for H
    where
        H: Deref<Target = Breaker<W, C, O>>,
        W: Window,
        C: Clock,
        O: Observer,
    {
        #[inline]
        #[expect(private_interfaces, reason = "as declared")]
        fn settle(&self, ticket: Ticket, outcome: Outcome, elapsed: Option<Duration>) -> Effect {
            Breaker::settle(self, ticket, outcome, elapsed)
        }

        #[inline(always)]
        #[expect(private_interfaces, reason = "as declared")]
        fn settle_success(&self, ticket: Ticket) -> Effect {
            Breaker::settle_success(self, ticket)
        }

        #[inline(always)]
        #[expect(private_interfaces, reason = "as declared")]
        fn settle_failure(&self, ticket: Ticket) -> Effect {
            Breaker::settle_failure(self, ticket)
        }

        #[inline]
        #[expect(private_interfaces, reason = "as declared")]
        fn abandon(&self, ticket: Ticket) {
            Breaker::abandon(self, ticket);
        }

        fn now(&self) -> Ticks {
            self.clock.now()
        }

        #[inline(always)]
        fn times_calls(&self) -> bool {
            self.observer.times_calls()
        }

        fn tell_elapsed(&self, elapsed: Duration) {
            self.observer.on_elapsed(elapsed);
        }

        fn took(&self, start: Ticks) -> u32 {
            Breaker::took(self, start)
        }

        fn has_outlasted(&self, start: Ticks, time: Duration) -> bool {
            C::RATE.ticks_in(time).is_some_and(|limit| Breaker::took(self, start) > limit)
        }

        fn has_outlasted_half_of_its_lease(&self) -> bool {
            self.probes.age(&self.clock) > self.live.lease() / 2
        }
    }
}

/// Leave to make one call, and the duty to say how it went: exactly once, by value.
///
/// **Dropped without a report it is cancelled**: neutral, and a probe's slot is given back. Two kinds of drop count as
/// failures instead: one while a panic unwinds that began after the permit was given (feature `std`), and one after
/// the call has outlived the slow limit without an [answer](Self::answered), for that is what a caller's own timeout
/// around a hanging peer looks like. So a permit can be held across `await` points: a dropped future loses nothing.
///
/// A report counts if the permit's generation is still the present one; else it is [`Stale`](Effect::Stale) and
/// changes nothing. `mem::forget` on a probe's permit loses its slot until the [lease](Config::lease) is over.
#[must_use = "report how the call went; dropping the permit cancels it"]
pub struct Permit<H: Holder> {
    holder: H,
    ticket: Ticket,
    reported: bool,
}

impl<H: Holder> Permit<H> {
    /// The call worked. Slow as well, if it took longer than a configured limit since the permit was given.
    #[inline(always)]
    pub fn success(self) -> Effect {
        self.record(Outcome::Success)
    }

    /// The call failed.
    #[inline(always)]
    pub fn failure(self) -> Effect {
        self.record(Outcome::Failure(FailureKind::Other))
    }

    /// The peer answered, which says nothing about its health: good for a probe, neutral for the window.
    pub fn alive(self) -> Effect {
        self.record(Outcome::Alive)
    }

    /// The call says nothing about the peer: neutral, a probe's slot is given back.
    pub fn ignore(self) -> Effect {
        self.record(Outcome::Ignored)
    }

    /// The peer said when to come back: opens the circuit for `time`, at least a tick, at most
    /// [`Config::hold_at_most`]. While open it only lengthens, and counts even from a stale permit; a stale one that
    /// finds the circuit closed or half-open again is dropped.
    pub fn hold(self, time: Duration) -> Effect {
        self.record(Outcome::Hold(time))
    }

    /// Do not ask again until somebody [resets](Breaker::reset) the breaker. Stale permits: as for a hold.
    pub fn latch(self) -> Effect {
        self.record(Outcome::Latch)
    }

    /// Reports any outcome.
    #[inline(always)]
    pub fn record(mut self, outcome: Outcome) -> Effect {
        self.reported = true;
        // The two ordinary outcomes have paths of their own; the choice is made at compile time where it can be.
        match outcome {
            Outcome::Success => self.holder.settle_success(self.ticket),
            Outcome::Failure(FailureKind::Other) => self.holder.settle_failure(self.ticket),
            outcome => self.holder.settle(self.ticket, outcome, None),
        }
    }

    /// Reports an outcome with the caller's own measure of how long the call took; the breaker's is not used. Its observer
    /// is [told](Observer::on_elapsed) the time too.
    #[inline]
    pub fn record_elapsed(mut self, outcome: Outcome, elapsed: Duration) -> Effect {
        self.tell_elapsed(elapsed);
        self.reported = true;
        self.holder.settle(self.ticket, outcome, Some(elapsed))
    }

    /// Says that the answer has begun, and more of it will follow (a stream): the slow limit is held against the time up to
    /// now, whenever the report comes, and dropping the permit no longer counts as a failure by it. The first time
    /// counts. Reads the clock where there is a slow limit, else it does nothing.
    ///
    /// ```
    /// use core::time::Duration;
    /// use microbreaker::{Breaker, Config, Counters, ManualClock, Streak};
    ///
    /// let limit = Duration::from_secs(1);
    /// let breaker: Breaker<Streak, _, _> =
    ///     Breaker::observed(Config::streak(5).slow_after(limit), ManualClock::new(), <Counters>::new("feed"));
    /// let mut permit = breaker.acquire().unwrap();
    /// permit.answered();
    /// breaker.clock().advance(100 * limit); // the rest of the answer
    /// permit.success();
    /// assert_eq!((breaker.observer().counts().good, breaker.observer().counts().slow), (1, 0));
    /// ```
    pub fn answered(&mut self) {
        if self.ticket.kind() & (TIMED | ANSWERED) == TIMED {
            self.ticket.start = Ticks::new(self.holder.took(self.ticket.start));
            self.ticket.word = Word::from_bits(self.ticket.word.bits() | ANSWERED);
        }
    }

    /// A reading of the breaker's clock.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "who waits for the rest of an answer needs it"))]
    pub(crate) fn now(&self) -> Ticks {
        self.holder.now()
    }

    /// Whether more than `time` has passed since a reading. Never, if that is past the [horizon](HORIZON).
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "who waits for the rest of an answer needs it"))]
    pub(crate) fn has_outlasted(&self, start: Ticks, time: Duration) -> bool {
        self.holder.has_outlasted(start, time)
    }

    /// Of a probe: whether more than half of the lease is over.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "who waits for the rest of an answer needs it"))]
    pub(crate) fn has_outlasted_half_of_its_lease(&self) -> bool {
        self.holder.has_outlasted_half_of_its_lease()
    }

    /// The degradation level when the permit was given: 0 healthy, 1 to 3 at a quarter, half and three quarters of the
    /// way to the trip point. Shed optional work by it. Always 0 unless [`Config::levels`] is on.
    #[inline]
    pub fn level(&self) -> u8 {
        if self.is_probe() { 0 } else { self.ticket.word.kept_level() }
    }

    /// Whether the observer wants to be told how long the call takes.
    #[inline(always)]
    pub(crate) fn times_calls(&self) -> bool {
        self.holder.times_calls()
    }

    /// Tells the observer how long the call took, as who made it measured it.
    pub(crate) fn tell_elapsed(&self, elapsed: Duration) {
        self.holder.tell_elapsed(elapsed);
    }

    /// Whether this is a half-open probe.
    #[inline]
    pub fn is_probe(&self) -> bool {
        self.ticket.kind() & PROBE != 0
    }

    /// The generation it was given in, which is that of the [`Event`] it began with: its report counts while that lasts.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.ticket.word.generation().number()
    }

    /// Whether its report counts at all: not while disabled, and not if it would have been rejected but for shadow.
    #[inline]
    pub fn is_counted(&self) -> bool {
        self.ticket.kind() & UNCOUNTED == 0
    }
}

impl<H: Holder> Drop for Permit<H> {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.reported {
            self.holder.abandon(self.ticket);
        }
    }
}

impl<H: Holder> fmt::Debug for Permit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("generation", &self.generation())
            .field("level", &self.level())
            .field("is_probe", &self.is_probe())
            .field("is_counted", &self.is_counted())
            .finish_non_exhaustive()
    }
}
