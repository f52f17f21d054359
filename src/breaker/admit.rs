//! Asking to make a call: a permit, or a rejection.

use core::ops::Deref;

use crate::breaker::Breaker;
use crate::breaker::holder::Holder;
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
        admit_in(holder)
    }

    /// The healthy and the open path, for their callers; all else is out of line.
    #[inline(always)]
    pub(super) fn admit(&self) -> Result<Ticket, Refusal> {
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
        // A look as Relaxed as that suffices: the period's own words order the clock's reading, see `Timer::try_fast`.
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

    /// [`admit_unhealthy`](Self::admit_unhealthy), answering in two registers: a result in memory costs the healthy
    /// path more than all the rest of it.
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
                        // The first caller after it. Whoever wins, all then compete for a probe, or are closed.
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

/// Asks for a permit that owns how the breaker is held.
#[inline(always)]
pub(super) fn admit_in<H: Holder>(holder: H) -> Result<Permit<H>, Rejected> {
    match holder.breaker().admit() {
        Ok(ticket) => Ok(Permit { holder, ticket, reported: false }),
        Err((reason, ticks)) => Err(Rejected::new(reason, ticks, const { &<H::Clock as Clock>::RATE })),
    }
}

/// Why not, and in how many ticks to ask again.
pub(super) type Refusal = (RejectReason, Option<u32>);

/// A ticket or a refusal in two words, whose bits `ticket.rs` draws. The ticket is a new one, which nobody has answered.
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
                    // A breaker never says `Unready`.
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
