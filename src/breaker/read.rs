//! Reading a breaker. Nothing here moves the state.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::config::source::Source;
use crate::machine::cell::Cell;
use crate::machine::window::Window;
use crate::machine::word::Word;
use crate::terms::observer::Observer;
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::State;
use crate::terms::tally::{Status, Tally};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// What [`acquire`](Self::acquire) would return now. It takes no probe, moves nothing and notifies no observer. Use
    /// it if a rejection would waste work before the call (choosing a connection, reading a body, joining a queue).
    ///
    /// `Ok` promises nothing: another caller may be faster, and only `acquire` decides whether a call is in the share
    /// of a ramp. In shadow the result is always `Ok`, because nothing is rejected. While the circuit is healthy, it
    /// costs one load.
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
        if self.cell.peek().is_quiet() || self.settings.rules::<C>().shadow() { Ok(()) } else { self.peek_unhealthy() }
    }

    #[inline(never)]
    fn peek_unhealthy(&self) -> Result<(), Rejected> {
        let Remaining { word, ticks, .. } = self.present_remaining();
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

    /// The state, by one load. An open circuit whose time is over still shows as open: it moves when the next caller
    /// asks.
    pub fn state(&self) -> State {
        self.cell.peek().state()
    }

    /// The state, and the number of half-open probes in flight.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "metrics ask for it"))]
    pub(crate) fn state_and_probes(&self) -> (State, u8) {
        let word = self.cell.load();
        (word.state(), self.probes_in_flight(word))
    }

    /// How many probes of `word` are in flight. Admissions stand in the word and reports in the counts, so both are looked at
    /// again until no admission came between. If its half-open state is over, none are: they are stale.
    pub(super) fn probes_in_flight(&self, mut word: Word) -> u8 {
        if !Self::MANY {
            return (word.is_half_open() && word.probe_is_out()).into();
        }
        let generation = word.generation();
        while word.is_half_open() && word.generation() == generation {
            let counts = self.cell.read_counts(generation);
            let now = self.cell.load();
            if now == word {
                return u8::try_from(counts.out(word.admitted())).unwrap_or(u8::MAX);
            }
            word = now;
        }
        0
    }

    /// The state, the sums and the switches of the breaker together; see [`Status`].
    pub fn status(&self) -> Status {
        let Remaining { word, ticks, .. } = self.present_remaining();
        #[expect(clippy::cast_possible_truncation, reason = "five bits")]
        let attempt = word.attempt() as u8;
        Status {
            state: word.state(),
            reason: (word.is_open() || word.is_half_open()).then(|| word.reason()),
            level: self.level_of(word),
            attempt,
            generation: word.generation().number(),
            retry_in: ticks.map(|ticks| C::RATE.duration_of(ticks)),
            probes_in_flight: self.probes_in_flight(word),
            shadow: self.settings.rules::<C>().shadow(),
            tally: self.tally_of(word),
        }
    }

    /// How long to wait before asking again, rounded up: zero for now, `None` if only a reset helps. While the circuit
    /// is closed, no clock is read.
    pub fn retry_in(&self) -> Option<Duration> {
        self.present_remaining().ticks.map(|ticks| C::RATE.duration_of(ticks))
    }

    /// [`retry_in`](Self::retry_in) in ticks of the breaker's clock, without the conversion.
    pub fn retry_in_ticks(&self) -> Option<u32> {
        self.present_remaining().ticks
    }

    /// The window's sums; for a pair of windows, the sums of the first. They are empty unless the circuit is closed or
    /// ramping.
    pub fn tally(&self) -> Tally {
        self.tally_of(self.cell.load())
    }

    /// Whether the breaker remembers nothing against the peer: it is closed, and there is no failure or slow call in
    /// its window, or in either window of a pair. It also remembers no [attempt](crate::Config::stable_after).
    ///
    /// If you replace a clean breaker by a new one, the new one may still decide differently. It lacks the counted
    /// successes, so later failures are a larger share and the minimum of calls must be reached again. It also lacks
    /// the [seed](Self::seed), a switch to shadow, and settings from a [reload](Self::reconfigure).
    pub fn is_clean(&self) -> bool {
        let word = self.cell.load();
        let forgets = !word.remembers() || self.left(word) == Some(0);
        let is_clean = || if W::IN_WORD { self.run(word) == 0 } else { self.window.is_clean(self.scope(word)) };
        let is_clean = word.state() == State::Closed && forgets && is_clean();
        // The last look, behind those at the window: of a generation that is over, they find nothing. Acquire, partner: the
        // Release of the exchange that they saw.
        Cell::catch_up();
        is_clean && self.cell.peek() == word
    }

    /// When asking again can help, for the generation of `word`, or for a later one if that generation is over.
    pub(crate) fn remaining(&self, mut word: Word) -> Remaining {
        loop {
            let ticks = match word.state() {
                State::Closed | State::Ramping | State::Disabled => Some(0),
                State::HalfOpen if self.has_slot(word) => Some(0),
                State::Open | State::HalfOpen => {
                    // The whole word: with another number of probes admitted, the counts were those of a later one, and a slot that
                    // is free looked taken.
                    match self.left(word) {
                        Some(left) if self.cell.peek() == word => Some(left),
                        _ => {
                            word = self.cell.load();
                            continue;
                        }
                    }
                }
                State::Latched | State::ForcedOpen => None,
            };
            return Remaining { word, ticks, may_shrink: word.is_half_open() };
        }
    }

    /// Whether a half-open circuit would admit a probe now, or its probes have a verdict.
    fn has_slot(&self, word: Word) -> bool {
        if !Self::MANY {
            return !word.probe_is_out();
        }
        let terms = self.settings.probe_terms::<C>();
        let counts = self.cell.read_counts(word.generation());
        counts.verdict(terms).is_some() || counts.has_room(word.admitted(), terms, self.settings.rules::<C>().at_once())
    }

    /// When asking again can help, for the present generation.
    pub(crate) fn present_remaining(&self) -> Remaining {
        self.remaining(self.cell.load())
    }
}

/// When asking again can help.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "embassy-time"), expect(dead_code, reason = "who waits needs all of it"))]
pub(crate) struct Remaining {
    /// A word of the generation that was looked at.
    pub(crate) word: Word,
    /// Ticks until then. `None`: waiting alone does not help.
    pub(crate) ticks: Option<u32>,
    /// Whether `ticks` is only an upper bound: a probe may report sooner.
    pub(crate) may_shrink: bool,
}
