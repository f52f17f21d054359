//! What a breaker tells of itself, without moving.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::clock::Clock;
use crate::machine::control::ControlWord;
use crate::machine::window::Window;
use crate::terms::observer::Observer;
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::State;
use crate::terms::tally::{Status, Tally};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
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

    /// The state: one load. An open circuit whose time is over still shows as open; it moves when somebody asks.
    pub fn state(&self) -> State {
        self.state.peek().state()
    }

    /// The state, and how many half-open probes are out.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "metrics ask for it"))]
    pub(crate) fn state_and_probes(&self) -> (State, u8) {
        let word = self.state.load();
        (word.state(), self.probes_in_flight(word))
    }

    pub(super) fn probes_in_flight(&self, word: ControlWord) -> u8 {
        if word.state() == State::HalfOpen { self.probes.out(word.generation()) } else { 0 }
    }

    /// Everything in one look; see [`Status`].
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
            retry_in: self.remaining(word).ticks.map(|ticks| C::RATE.duration_of(ticks)),
            probes_in_flight: self.probes_in_flight(word),
            shadow: self.live.rules().shadow(),
            tally: self.window.tally(self.scope(word)),
        }
    }

    /// When to ask again: zero for now, `None` for "not before somebody resets it". Rounded up. While closed it reads
    /// no clock.
    pub fn retry_in(&self) -> Option<Duration> {
        self.present_remaining().ticks.map(|ticks| C::RATE.duration_of(ticks))
    }

    /// [`retry_in`](Self::retry_in) in ticks of the breaker's clock: the same without any arithmetic.
    pub fn retry_in_ticks(&self) -> Option<u32> {
        self.present_remaining().ticks
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

    /// When it pays to ask. Of `word`'s generation, or of a later one if that is over.
    pub(crate) fn remaining(&self, mut word: ControlWord) -> Remaining {
        loop {
            let generation = word.generation();
            let (ticks, may_shrink) = match word.state() {
                State::Closed | State::Ramping | State::Disabled => (Some(0), false),
                State::Open => {
                    let unsaid = self.time_is_not_given_yet(word);
                    let Some(period) = self.period(word) else {
                        word = self.state.load();
                        continue;
                    };
                    (Some(period.remaining()), unsaid)
                }
                State::HalfOpen => {
                    (Some(self.probes.free_in(&self.state, generation, &self.live, &self.clock, Self::COLD)), true)
                }
                State::Latched | State::ForcedOpen => (None, false),
            };
            return Remaining { word, ticks, may_shrink };
        }
    }

    /// The present rest.
    pub(crate) fn present_remaining(&self) -> Remaining {
        self.remaining(self.state.load())
    }
}

/// When it pays to ask.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "embassy-time"), expect(dead_code, reason = "who waits needs all of it"))]
pub(crate) struct Remaining {
    /// Of the generation that was looked at.
    pub(crate) word: ControlWord,
    /// `None`: not by waiting.
    pub(crate) ticks: Option<u32>,
    /// It is the longest that it can be: a probe may report, or a hold's owner say less.
    pub(crate) may_shrink: bool,
}
