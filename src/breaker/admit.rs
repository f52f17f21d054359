//! Asking to make a call: a permit, or a rejection.

use core::ops::Deref;

use crate::breaker::Breaker;
use crate::breaker::permit::Permit;
use crate::breaker::ticket::{PANICKING, PROBE, REASON, REFUSAL, TIMED, TIMELESS, Ticket, UNCOUNTED, is_refusal};
use crate::clock::{Clock, Ticks};
use crate::config::source::Source;
use crate::machine::counts::{Counts, Verdict};
use crate::machine::window::Window;
use crate::machine::word::{CLOSED, DISABLED, HALF_OPEN, OFF, Word};
use crate::platform::atomics::panicking;
use crate::terms::observer::Observer;
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::OpenReason;
use crate::terms::tally::Tally;

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    /// Asks to make a call.
    ///
    /// Report the outcome on the permit, which the report consumes. A permit that is dropped without a report counts as
    /// cancelled. See [`Permit`].
    ///
    /// One call makes at most one move that an observer is told of, whatever its observer does meanwhile.
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

    /// [`acquire`](Self::acquire), and if that rejects the call, a permit that counts nowhere, if nothing but a doubt about
    /// the peer's health speaks against the call. Use it if every member of a group would reject: a call that may fail is
    /// better than none.
    ///
    /// The circuit then is open, half-open without a free slot, or ramping, for the reason Failures, Slow, Outlier or Fleet.
    /// The call's report changes nothing, and the observer is told by [`on_anyway`](Observer::on_anyway). A call never goes
    /// past a hold, a budget, a dependency that is down, an operator, or a latch.
    ///
    /// ```
    /// use core::time::Duration;
    /// use microbreaker::{Breaker, Config, ManualClock, Streak};
    ///
    /// let breaker: Breaker<Streak, _> = Breaker::new(Config::streak(1), ManualClock::new());
    /// breaker.acquire().unwrap().failure();
    /// assert!(breaker.acquire().is_err());
    /// assert!(breaker.acquire_anyway().is_ok());
    /// breaker.hold(Duration::from_secs(1));
    /// assert!(breaker.acquire_anyway().is_err());
    /// ```
    pub fn acquire_anyway(&self) -> Result<Permit<&Self>, Rejected> {
        Self::acquire_anyway_in(self)
    }

    /// [`acquire_anyway`](Self::acquire_anyway) with a permit that owns its reference to the breaker.
    pub fn acquire_anyway_in<H: Deref<Target = Self>>(holder: H) -> Result<Permit<H>, Rejected> {
        match holder.admit_anyway() {
            Ok(ticket) => Ok(Permit { holder, ticket, reported: false }),
            Err((reason, ticks)) => Err(Rejected::new(reason, ticks, const { &C::RATE })),
        }
    }

    /// Admits or rejects a call. The paths of a healthy and of an open circuit are inlined into the caller; all others
    /// are out of line.
    #[inline(always)]
    pub(super) fn admit(&self) -> Result<Ticket, Refusal> {
        let word = self.cell.peek();
        if word.is_quiet()
            && let Some(ticket) = self.quiet_ticket(word)
        {
            return Ok(ticket);
        }
        // A small core does without most of what follows: there bytes count most, and the way out of line is not much
        // longer. That of live settings is, so there an open circuit keeps its path.
        if (IS_LARGE || Self::MANY) && word.is_open() {
            match self.try_left(word) {
                Some(None) if IS_LARGE => return self.admit_after(word).unpack(),
                Some(Some(left)) if !self.is_shadow() => {
                    let reason = RejectReason::Open(word.reason());
                    self.observer.on_reject(reason);
                    return Err((reason, Some(left)));
                }
                _ => {}
            }
        } else if IS_LARGE
            && W::IN_WORD
            && word.is_settled()
            && !self.settings.rules::<C>().levels()
            && let Some(ticket) = self.quiet_ticket(word)
        {
            // A streak that has counted failures admits like a quiet one, unless its permits carry a level.
            return Ok(ticket);
        }
        self.admit_packed().unpack()
    }

    /// The ticket of a call that a quiet circuit admits, unless there is more to do for it.
    #[inline(always)]
    fn quiet_ticket(&self, word: Word) -> Option<Ticket> {
        let slow_after = self.settings.slow_after::<C>();
        if panicking() {
            None
        } else if slow_after.limit().is_none() {
            self.observer.on_permit(false);
            // Nobody reads the start of a quiet permit, so any value will do. This one is in a register already.
            Some(Ticket { word: word.quiet(), start: Ticks::new(slow_after.bits()) })
        } else if IS_LARGE {
            Some(self.admit_timed(word))
        } else {
            None
        }
    }

    /// The ticket of a call that is timed, and otherwise quiet.
    #[inline(never)]
    fn admit_timed(&self, word: Word) -> Ticket {
        self.observer.on_permit(false);
        Ticket::new(word, TIMED, self.clock.now())
    }

    /// The way in of a call that no fast path takes. Its result is in two registers: a result in memory would cost the
    /// healthy path more than all its other work.
    #[inline(never)]
    fn admit_packed(&self) -> Answer {
        let answer = self.ask(false, NONE_OVER);
        self.permit(answer)
    }

    /// The same, after the open time of `over`, which is over: it need not read the clock again to know that.
    #[inline(never)]
    fn admit_after(&self, over: Word) -> Answer {
        let answer = self.ask(false, over);
        self.permit(answer)
    }

    pub(super) fn admit_anyway(&self) -> Result<Ticket, Refusal> {
        let answer = self.ask(true, NONE_OVER);
        self.permit(answer).unpack()
    }

    /// Completes the ticket of an admitted call.
    #[inline(always)]
    fn permit(&self, answer: Answer) -> Answer {
        let Answer(mut head, mut start) = answer;
        if is_refusal(head) {
            return answer;
        }
        self.observer.on_permit(head & PROBE != 0);
        if self.settings.slow_after::<C>().limit().is_some() {
            start = self.clock.now().count();
            head |= TIMED;
        }
        if panicking() {
            head |= PANICKING;
        }
        Answer(head, start)
    }

    /// A call that is refused by `word`, which rejects it, unless the breaker is in shadow, or it is to be admitted `anyway`.
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn refused(&self, word: Word, reason: u32, ticks: Option<u32>, anyway: bool) -> Answer {
        if self.is_shadow() {
            self.observer.on_would_reject(reason_from(reason));
            return Self::uncounted(word);
        }
        if anyway && word.is_doubted() {
            self.observer.on_anyway(reason_from(reason));
            return Self::uncounted(word);
        }
        self.observer.on_reject(reason_from(reason));
        Answer(REFUSAL | REASON.of(reason) | TIMELESS.flag(ticks.is_none()), ticks.unwrap_or(0))
    }

    /// A call that `word` rejects and that is admitted all the same. Of a ramp it keeps the payload.
    #[inline(always)]
    fn uncounted(word: Word) -> Answer {
        Answer::admitted(if Self::RAMPS && word.is_ramping() { word } else { word.quiet() }, UNCOUNTED)
    }

    /// Whether a call is admitted, and as what; or why it is refused.
    ///
    /// It starts over only if another thread has moved the word, or if it decided a deadline. Its own moves end it, so that an
    /// observer that acts on a move cannot keep it going. `over`: an open word whose time is known to be over.
    #[inline(always)]
    fn ask(&self, anyway: bool, over: Word) -> Answer {
        loop {
            // Relaxed: where time matters, `decide` catches up.
            let word = self.cell.peek();
            let kind = word.kind();
            if kind == CLOSED {
                if !self.forgets(word) {
                    return Answer::admitted(word, 0);
                }
                continue;
            }
            if kind == OFF {
                if word.which() == DISABLED {
                    return Answer::admitted(word.quiet(), UNCOUNTED);
                }
                return self.refused(word, LATCHED + word.which(), None, anyway);
            }
            let left = if IS_LARGE && word == over { Some(0) } else { self.left(word) };
            let Some(left) = left else { continue };
            let next = if Self::RAMPS && word.is_ramping() {
                self.next_of_ramp(word, left)
            } else if kind == HALF_OPEN {
                self.next_of_probes(word, left)
            } else if left > 0 {
                Next::Refused(word.reason() as u32, left)
            } else if word.reason() as u32 == OpenReason::Budget as u32 {
                // Nothing suggests that the peer is sick.
                Next::Verdict(Verdict::CLOSE, self.window_tally())
            } else {
                Next::Verdict(Verdict::PROBE, self.window_tally())
            };
            let to = match next {
                Next::Admitted => return Answer::admitted(word, 0),
                // The last look: see `left`. A call of a ramp is counted by now, and looked before.
                Next::Refused(reason, left) if Self::RAMPS && reason == NOT_IN_SHARE || self.cell.peek() == word => {
                    return self.refused(word, reason, Some(left), anyway);
                }
                Next::Refused(..) | Next::Again => continue,
                Next::Verdict(verdict, tally) => self.conclude(word, verdict, tally),
                Next::AnotherProbe => self.move_to(word, word.with_probe(), 0).then_some(word.with_probe()),
                Next::RampIsOver => self.end_ramp(word),
            };
            match to {
                Some(to) if to.is_half_open() => return Answer::admitted(to, PROBE),
                Some(to) if !to.is_open() => return Answer::admitted(to, 0),
                Some(to) if O::WATCHES => {
                    return self.refused(to, to.reason() as u32, Some(self.left(to).unwrap_or(0)), anyway);
                }
                // If nobody is told of the move, nobody can keep this going.
                _ => {}
            }
        }
    }

    /// What a half-open `word` means for a caller, with `left` ticks of the latest lease left.
    #[inline(always)]
    fn next_of_probes(&self, word: Word, left: u32) -> Next {
        if !Self::MANY {
            return if !word.probe_is_out() {
                // The next caller begins a generation and a lease of its own.
                Next::Verdict(Verdict::PROBE, self.window_tally())
            } else if left > 0 {
                Next::Refused(NO_SLOT, left)
            } else {
                // The lease is over, and the lost probe counts as failed.
                Next::Verdict(Verdict::open(OpenReason::Failures), Counts::LOST_PROBE)
            };
        }
        let Some(counts) = self.cell.counts(word.generation()) else { return Next::Again };
        let terms = self.settings.probe_terms::<C>();
        if let Some(verdict) = counts.verdict(terms) {
            // The results are complete, and the thread that completed them may be stopped.
            Next::Verdict(verdict, Self::told(|| counts.tally()))
        } else if counts.has_room(word.admitted(), terms, self.settings.rules::<C>().at_once()) {
            Next::AnotherProbe
        } else if left > 0 {
            Next::Refused(NO_SLOT, left)
        } else {
            // The lease is over, and all probes in flight count as failed. This moves no other word than the one whose lease is
            // over: an admission since would have changed it.
            Next::Verdict(Verdict::open(OpenReason::Failures), Self::told(|| counts.tally_with_lost(word.admitted())))
        }
    }

    /// What a ramping `word` means for a caller, with `left` ticks until its deadline.
    #[inline(always)]
    fn next_of_ramp(&self, word: Word, left: u32) -> Next {
        let mut left = self.ramp_left(word, left);
        if left == 0 {
            return Next::RampIsOver;
        }
        // A sixteenth of the calls in the first sixteenth of the ramp, two in the second, and so on.
        let (step, mut share) = (self.ramp_step(), 16);
        while left > step && share > 1 {
            left -= step;
            share -= 1;
        }
        match self.cell.counts(word.generation()) {
            // `left` is of this ramp, and so is the share.
            _ if !self.cell.is(word.generation()) => Next::Again,
            Some(counts) if self.cell.exchange_counts(counts, counts.with_call()) => {
                if counts.admits(share) {
                    Next::Admitted
                } else {
                    Next::Refused(NOT_IN_SHARE, left)
                }
            }
            _ => Next::Again,
        }
    }
}

/// What a state means for a caller.
enum Next {
    Admitted,
    /// For this reason, and for so many ticks.
    Refused(u32, u32),
    /// The word has moved on.
    Again,
    /// The circuit moves by this verdict, which rests on these sums.
    Verdict(Verdict, Tally),
    /// The caller has one more probe.
    AnotherProbe,
    RampIsOver,
}

/// In place of an open word whose time is known to be over: no state.
const NONE_OVER: Word = Word::from_bits(u32::MAX);

/// Whether this is no small core, on which bytes count more than calls out of line.
pub(super) const IS_LARGE: bool = cfg!(target_pointer_width = "64");

/// A rejection: its reason, and in how many ticks to ask again (`None`: time alone will not help).
pub(super) type Refusal = (RejectReason, Option<u32>);

// The reasons of refusals that are not the reason of an open circuit. The first two follow one another as in the word.
const LATCHED: u32 = 8;
const FORCED_OPEN: u32 = 9;
const NO_SLOT: u32 = 10;
const NOT_IN_SHARE: u32 = 11;

#[inline(always)]
const fn reason_from(number: u32) -> RejectReason {
    match number {
        LATCHED => RejectReason::Latched,
        FORCED_OPEN => RejectReason::ForcedOpen,
        NO_SLOT => RejectReason::HalfOpen,
        NOT_IN_SHARE => RejectReason::Ramping,
        reason => RejectReason::Open(OpenReason::from_number(reason)),
    }
}

/// A ticket or a refusal in two words, whose bits `ticket.rs` draws. The ticket is a new one: its answer has not begun.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Answer(u32, u32);

impl Answer {
    /// A ticket of this kind, without start.
    #[inline(always)]
    fn admitted(word: Word, kind: u32) -> Self {
        Self(Ticket::new(word, kind, Ticks::new(0)).word.bits(), 0)
    }

    #[inline(always)]
    fn unpack(self) -> Result<Ticket, Refusal> {
        let Self(head, ticks) = self;
        if !is_refusal(head) {
            return Ok(Ticket { word: Word::from_bits(head), start: Ticks::new(ticks) });
        }
        Err((reason_from(REASON.get(head)), (!TIMELESS.is_set(head)).then_some(ticks)))
    }
}
