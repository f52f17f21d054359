//! Asking to make a call: a permit, or a rejection.

use core::ops::Deref;

use crate::breaker::Breaker;
use crate::breaker::permit::Permit;
use crate::breaker::ticket::{LEVEL, PANICKING, PROBE, REASON, REFUSED, TIMED, TIMELESS, Ticket, UNCOUNTED};
use crate::clock::{Clock, Ticks};
use crate::config::source::Source;
use crate::machine::counts::{Counts, Verdict};
use crate::machine::mark::Mark;
use crate::machine::window::Window;
use crate::machine::word::{CLOSED, HALF_OPEN, OFF, OPEN, Word};
use crate::platform::atomics::panicking;
use crate::terms::event::Effect;
use crate::terms::observer::Observer;
use crate::terms::rejected::{RejectReason, Rejected};
use crate::terms::state::OpenReason;

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
        // On a small core, a breaker with constant settings does without: there bytes count most, and its way out of line is
        // not much longer.
        if (IS_LARGE || Self::MANY) && word.is_open() {
            match self.try_left(word) {
                Some(0) if IS_LARGE => return self.admit_after(word).unpack(),
                Some(left @ 1..) if !self.is_shadow() => {
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
        Ticket::new(word, 0, TIMED, self.clock.now())
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
        if REFUSED.is_set(head) {
            return answer;
        }
        self.observer.on_permit(head & PROBE != 0);
        if self.settings.rules::<C>().levels() {
            // If the word has moved on since, the level is that of a moment later, and advice as ever.
            head |= LEVEL.of(self.level_of(self.cell.peek()).into());
        }
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
    #[inline(always)]
    fn refused(&self, word: Word, reason: u32, ticks: Option<u32>, anyway: bool) -> Answer {
        // See `left`.
        if Self::MANY {
            self.refused_by_many(word, reason, ticks, anyway)
        } else {
            self.refused_here(word, reason, ticks, anyway)
        }
    }

    #[inline(never)]
    fn refused_by_many(&self, word: Word, reason: u32, ticks: Option<u32>, anyway: bool) -> Answer {
        self.refused_here(word, reason, ticks, anyway)
    }

    #[inline(always)]
    fn refused_here(&self, word: Word, reason: u32, ticks: Option<u32>, anyway: bool) -> Answer {
        if self.is_shadow() {
            self.observer.on_would_reject(reason_from(reason));
            return Answer::admitted(word, UNCOUNTED);
        }
        if anyway && word.is_doubted() {
            self.observer.on_anyway(reason_from(reason));
            return Answer::admitted(word, UNCOUNTED);
        }
        self.observer.on_reject(reason_from(reason));
        Answer(REASON.of(reason) | TIMELESS.flag(ticks.is_none()) | REFUSED.mask(), ticks.unwrap_or(0))
    }

    /// Whether a call is admitted, and as what; or why it is refused.
    ///
    /// It starts over only if another thread has moved the word, or if it decided a deadline. Its own moves end it, so that an
    /// observer that acts on a move cannot keep it going. `over`: an open word whose time is known to be over.
    #[inline(always)]
    fn ask(&self, anyway: bool, over: Word) -> Answer {
        loop {
            // Relaxed: where time matters, `left` and `decide` look again.
            let word = self.cell.peek();
            let kind = word.kind();
            if kind == CLOSED {
                if !self.forgets(word) {
                    return Answer::admitted(word, 0);
                }
                continue;
            }
            if kind == OFF {
                if word.is_disabled() {
                    return Answer::admitted(word, UNCOUNTED);
                }
                let reason = if word.is_forced_open() { FORCED_OPEN } else { LATCHED };
                return self.refused(word, reason, None, anyway);
            }
            if Self::MANY && kind == HALF_OPEN || Self::RAMPS && word.is_ramping() {
                let answer = self.ask_while_recovering(word, anyway);
                if answer != Answer::AGAIN {
                    return answer;
                }
                continue;
            }
            let to = if kind == HALF_OPEN && !word.probe_is_out() {
                // One probe, and its slot is free: the next caller begins a generation and a lease of its own.
                word.probing(Self::MANY)
            } else {
                let left = if IS_LARGE && word == over { Some(0) } else { self.left(word) };
                let Some(left) = left else { continue };
                if left > 0 {
                    let reason = if kind == OPEN { word.reason() as u32 } else { NO_SLOT };
                    return self.refused(word, reason, Some(left), anyway);
                }
                if kind != OPEN {
                    // The lease is over, and the lost probe counts as failed.
                    let lost = Ticket::new(word, 0, PROBE, Ticks::new(0));
                    let effect = self.settle_mark(lost, Some(Mark { failed: true, slow: false }));
                    // If nobody is told of the move, nobody can keep this going.
                    if O::WATCHES && matches!(effect, Effect::Opened(_)) {
                        return self.reopened(word.opened(Self::MANY, OpenReason::Failures), anyway);
                    }
                    continue;
                }
                if word.reason() as u32 == OpenReason::Budget as u32 {
                    // Nothing suggests that the peer is sick.
                    self.recovered(word)
                } else {
                    word.probing(Self::MANY)
                }
            };
            if self.move_to(word, to, 0, self.window_tally()) {
                return Answer::admitted(to, if to.is_half_open() { PROBE } else { 0 });
            }
        }
    }

    /// The refusal of the caller that has just opened the circuit again, into `word`.
    #[inline(never)]
    fn reopened(&self, word: Word, anyway: bool) -> Answer {
        self.refused(word, word.reason() as u32, Some(self.left(word).unwrap_or(0)), anyway)
    }

    /// [`ask`](Self::ask) while ramping, or half-open with many probes.
    #[inline(never)]
    fn ask_while_recovering(&self, word: Word, anyway: bool) -> Answer {
        let is_ramping = Self::RAMPS && word.is_ramping();
        let Some((raw, counts)) = self.cell.counts(word.generation(), Counts::of_probes(word.opener())) else {
            return Answer::AGAIN;
        };
        let Some(left) = self.left(word) else { return Answer::AGAIN };
        if is_ramping {
            self.ask_while_ramping(word, raw, counts, left, anyway)
        } else {
            self.ask_for_one_of_many(word, raw, counts, left, anyway)
        }
    }

    #[inline(always)]
    fn ask_for_one_of_many(&self, word: Word, raw: u32, counts: Counts, left: u32, anyway: bool) -> Answer {
        let terms = self.settings.probe_terms::<C>();
        let complete = counts.verdict(terms);
        let verdict = match complete {
            None if counts.has_room(terms, self.settings.rules::<C>().at_once()) => {
                // The lease begins first, then the slot is taken. In the other order, a caller that finds no slot free could
                // see the slot taken and the lease of an earlier probe, and write off a probe that has just begun. A benign
                // race: if the second exchange fails, the lease was lengthened by the time between two racing admissions.
                let to = word.next_turn();
                if !self.cell.exchange(word, to) {
                    return Answer::AGAIN;
                }
                self.decide(to, 0);
                // If the generation is over by now, the slot was taken in none: this caller is no probe.
                let taken = self.cell.exchange_counts(word.generation(), raw, counts.with_probe());
                let is_probe = taken && self.cell.is(word.generation());
                return if is_probe { Answer::admitted(to, PROBE) } else { Answer::AGAIN };
            }
            None if left > 0 => return self.refused(word, NO_SLOT, Some(left), anyway),
            // The lease is over, and all probes in flight count as failed. This moves no other word than the one whose lease
            // is over: an admission since would have changed its turn. A benign race: a probe that comes back between the look
            // at the counts and the move is told that it counted, or gave its slot back, and counts as lost all the same.
            None => Verdict::Reopen(OpenReason::Failures),
            // The results are complete, and the thread that completed them may be stopped.
            Some(verdict) => verdict,
        };
        let tally = Self::told(|| if complete.is_some() { counts.tally() } else { counts.tally_with_lost() });
        match self.conclude(word, verdict, tally) {
            Some(to) if !to.is_open() => Answer::admitted(to, 0),
            Some(to) if O::WATCHES => self.reopened(to, anyway),
            // If nobody is told of the move, nobody can keep this going.
            _ => Answer::AGAIN,
        }
    }

    #[inline(always)]
    fn ask_while_ramping(&self, word: Word, raw: u32, counts: Counts, left: u32, anyway: bool) -> Answer {
        let mut left = self.ramp_left(word, left);
        if left == 0 {
            let to = word.ramped(self.memory(word) > 0);
            let moved = self.move_to(word, to, 0, self.window_tally());
            return if moved { Answer::admitted(to, 0) } else { Answer::AGAIN };
        }
        // A sixteenth of the calls in the first sixteenth of the ramp, two in the second, and so on.
        let (step, mut share) = (self.ramp_step(), 16);
        while left > step && share > 1 {
            left -= step;
            share -= 1;
        }
        if !self.cell.exchange_counts(word.generation(), raw, counts.with_call()) {
            Answer::AGAIN
        } else if counts.admits(share) {
            Answer::admitted(word, 0)
        } else {
            self.refused(word, NOT_IN_SHARE, Some(left), anyway)
        }
    }
}

/// In place of an open word whose time is known to be over: no state.
const NONE_OVER: Word = Word::from_bits(u32::MAX);

/// Whether this is no small core, on which bytes count more than calls out of line.
pub(super) const IS_LARGE: bool = cfg!(target_pointer_width = "64");

/// A rejection: its reason, and in how many ticks to ask again (`None`: time alone will not help).
pub(super) type Refusal = (RejectReason, Option<u32>);

// The reasons of refusals that are not the reason of an open circuit.
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
    /// Neither: start over.
    const AGAIN: Self = Self(0, 0);

    /// A ticket of this kind, without level and start.
    #[inline(always)]
    fn admitted(word: Word, kind: u32) -> Self {
        Self(Ticket::new(word, 0, kind, Ticks::new(0)).word.bits(), 0)
    }

    #[inline(always)]
    fn unpack(self) -> Result<Ticket, Refusal> {
        let Self(head, ticks) = self;
        if !REFUSED.is_set(head) {
            return Ok(Ticket { word: Word::from_bits(head), start: Ticks::new(ticks) });
        }
        Err((reason_from(REASON.get(head)), (!TIMELESS.is_set(head)).then_some(ticks)))
    }
}
