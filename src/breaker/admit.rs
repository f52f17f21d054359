//! Asking to make a call: a permit, or a rejection.

use core::ops::Deref;

use crate::breaker::Breaker;
use crate::breaker::permit::Permit;
use crate::breaker::ticket::{PANICKING, PROBE, REASON, REFUSED, TIMED, TIMELESS, Ticket, UNCOUNTED, probe_of};
use crate::clock::{Clock, Ticks};
use crate::machine::control::{ControlWord, Step};
use crate::machine::probes::Admission;
use crate::machine::window::Window;
use crate::platform::atomics::panicking;
use crate::terms::observer::Observer;
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::{OpenReason, State};

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Asks to make a call.
    ///
    /// Report the outcome on the permit, which the report consumes. A permit that is dropped without a report counts as
    /// cancelled. See [`Permit`].
    #[inline(always)]
    pub fn acquire(&self) -> Result<Permit<&Self>, Rejected> {
        Self::acquire_in(self)
    }

    /// [`acquire`](Self::acquire) with a permit that owns its reference to the breaker (`&'static`, an `Arc`, …). Such
    /// a permit can live in a future or move to another thread.
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

    /// Admits or rejects a call. The paths of a healthy and of an open circuit are inlined into the caller; all others
    /// are out of line.
    #[inline(always)]
    pub(super) fn admit(&self) -> Result<Ticket, Refusal> {
        let word = self.state.peek();
        if word.is_quiet()
            && let slow_after = self.live.slow_after()
            && slow_after.limit().is_none()
            && !panicking()
        {
            self.observer.on_permit(false);
            // Nobody reads the start of a quiet permit, so any value will do. This one is in a register already.
            return Ok(Ticket { word, start: Ticks::new(slow_after.bits()) });
        }
        // The Relaxed load of `word` suffices here too: the Acquire loads of the period's own words order the clock
        // reading, see `Timer::try_fast`.
        if word.is_open()
            && let Some(remaining) = self.timer.try_fast(word.generation(), &self.clock)
            && !self.live.rules().shadow()
        {
            let reason = RejectReason::Open(word.reason());
            self.observer.on_reject(reason);
            return Err((reason, Some(remaining)));
        }
        self.admit_packed().unpack()
    }

    /// [`admit_unhealthy`](Self::admit_unhealthy), with its result in two registers. A result in memory would cost the
    /// healthy path more than all its other work.
    #[inline(never)]
    fn admit_packed(&self) -> Answer {
        Answer::pack(self.admit_unhealthy())
    }

    #[inline]
    pub(super) fn permit(&self, word: ControlWord, mut kind: u32) -> Ticket {
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
                        // The period is over. The first caller moves the circuit to half-open, or from ramping to
                        // closed. Callers that lose this exchange start over in the new state, as the winner does.
                        let step = if word.is_open() { Step::PROBE } else { Step::FINISH };
                        self.transition(Some(generation), step, self.window_tally(), None);
                        continue;
                    }
                    if word.is_open() {
                        (RejectReason::Open(word.reason()), Some(period.remaining()))
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
                        Admission::Probe(era) => return Ok(self.permit(word, probe_of(era))),
                        Admission::Full(remaining) => (RejectReason::HalfOpen, Some(remaining)),
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
}

/// A rejection: its reason, and in how many ticks to ask again (`None`: time alone will not help).
pub(super) type Refusal = (RejectReason, Option<u32>);

/// A ticket or a refusal in two words, whose bits `ticket.rs` draws. The ticket is a new one: its answer has not begun.
#[derive(Clone, Copy)]
struct Answer(u32, u32);

impl Answer {
    fn pack(result: Result<Ticket, Refusal>) -> Self {
        match result {
            Ok(ticket) => Self(ticket.word.bits(), ticket.start.count()),
            Err((reason, ticks)) => {
                let reason = match reason {
                    RejectReason::Open(reason) => reason as u32,
                    RejectReason::Latched => 8,
                    RejectReason::HalfOpen => 9,
                    RejectReason::Ramping => 10,
                    // A breaker never rejects with `Unready`.
                    RejectReason::ForcedOpen | RejectReason::Unready => 11,
                };
                Self(REASON.of(reason) | TIMELESS.flag(ticks.is_none()) | REFUSED, ticks.unwrap_or(0))
            }
        }
    }

    #[inline]
    fn unpack(self) -> Result<Ticket, Refusal> {
        let Self(head, ticks) = self;
        if head & REFUSED != REFUSED {
            return Ok(Ticket { word: ControlWord::from_bits(head), start: Ticks::new(ticks) });
        }
        let reason = match REASON.get(head) {
            8 => RejectReason::Latched,
            9 => RejectReason::HalfOpen,
            10 => RejectReason::Ramping,
            11 => RejectReason::ForcedOpen,
            reason => RejectReason::Open(OpenReason::from_number(reason)),
        };
        Err((reason, (!TIMELESS.is_set(head)).then_some(ticks)))
    }
}
