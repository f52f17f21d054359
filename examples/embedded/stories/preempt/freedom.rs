//! What may come of a meeting though it is neither of the two orders.
//!
//! Some operations are of several steps, each one exchange: count an outcome, then carry out the verdict; open, then
//! say for how long; end the open time, then compete for a probe. An interrupt may fall between two of them. Even then
//! what is left, and how it goes on, is that of one of the two orders; so are the events, and each answer, though not
//! all of the same order. Every exception is named here, with its reason. And whatever the answers were, the counters
//! must agree with them, and the events must be a path to the state that is left.

use core::time::Duration;

use microbreaker::{Clock, Effect, OpenReason, RejectReason, State};

use crate::guarded::{Answer, Hand, Intruder, LONGEST, Look, Operation, Report, Seen, Sums, Told};

/// Where `Pair::unaccounted` has the calls that would have been rejected.
const WOULD_REJECT: usize = 7;

/// Who meets.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) operation: Operation,
    pub(crate) intruder: Intruder,
}

impl Pair {
    pub(crate) fn permits(self, seen: &Seen, before: &Seen, after: &Seen) -> bool {
        let orders = [before, after];
        let asked = self.asked();
        let left = orders.into_iter().any(|order| seen.left == order.left && seen.next == order.next);
        let told = orders.into_iter().any(|order| alike(&seen.events, &order.events))
            || asked.is_some_and(|reason| opened_anew(seen, before, reason, None))
            || asked.is_some_and(|reason| opened_anew(seen, after, reason, self.intruder.asks()))
            || self.begun_twice(seen, after);
        let answers = orders.iter().any(|order| seen.operation == order.operation) || self.may_answer(seen, orders);
        let intrudes = orders.iter().any(|order| seen.intruder == order.intruder) || self.may_intrude(seen, orders);
        let mut accounts = self.unaccounted(seen);
        if self.met_between_moves(seen, before) {
            accounts[WOULD_REJECT] = accounts[WOULD_REJECT].wrapping_sub(1);
        }
        let counted = orders.iter().any(|order| accounts == self.unaccounted(order));
        left && told && answers && intrudes && counted && is_path(seen)
    }

    /// Where both ask to open for a time: the operation's reason.
    fn asked(self) -> Option<OpenReason> {
        self.intruder.asks()?;
        self.operation.asks()
    }

    fn may_answer(self, seen: &Seen, [before, after]: [&Seen; 2]) -> bool {
        match (self.operation, seen.operation) {
            // Counted, and then somebody else carried out the verdict, or moved on.
            (Operation::Report(_), Answer::Effect(Effect::Counted)) => [before, after].iter().any(|order| {
                matches!(order.operation, Answer::Effect(Effect::Opened(_) | Effect::Closed | Effect::Ramping))
            }),
            (Operation::Status, Answer::Status(look)) => {
                let (Answer::Status(before), Answer::Status(after)) = (before.operation, after.operation) else {
                    return false;
                };
                // One look at the state, and others at the rest, "a moment younger".
                let rest = look.retry_in == before.retry_in;
                let probes = look.probes_in_flight == 0 || look.probes_in_flight == before.probes_in_flight;
                let sums = look.sums == Sums(0, 0, 0) || look.sums == before.sums || look.sums.is_after(after.sums);
                look.is_of(before, after)
                    && (rest || look.retry_in == after.retry_in)
                    && (probes || look.probes_in_flight == after.probes_in_flight)
                    && sums
            }
            // Counted meanwhile: a failure of which the verdict is not carried out yet, or of which a time window has
            // only the call so far.
            (Operation::Tally, Answer::Tally(sums)) => {
                matches!(after.operation, Answer::Tally(after) if sums.is_after(after))
            }
            _ => false,
        }
    }

    fn may_intrude(self, seen: &Seen, [before, after]: [&Seen; 2]) -> bool {
        // A time window counts a call before its failure: one that is in between makes the share look smaller, and sees
        // the whole of it itself.
        let (call, effect) = before.intruder;
        if matches!(effect, Answer::Effect(Effect::Opened(_)))
            && seen.operation == after.operation
            && seen.intruder == (call, Answer::Effect(Effect::Counted))
        {
            return true;
        }
        if self.met_between_moves(seen, before) {
            return true;
        }
        let opens = self.operation.asks().is_some();
        match seen.intruder.0 {
            // Open, and nobody has said yet for how long: the longest it can be.
            Answer::Rejected(RejectReason::Open(_), ticks) => opens && ticks == Hand::RATE.ticks_in(LONGEST),
            // The circuit was open already, for a time that nobody had said yet.
            Answer::Effect(Effect::Opened(_)) => self.operation == Operation::Restore && self.asked().is_some(),
            Answer::Status(look) => {
                let (Answer::Status(before), Answer::Status(after)) = (before.intruder.0, after.intruder.0) else {
                    return false;
                };
                let unsaid = opens && look == Look { retry_in: Some(LONGEST), ..after };
                // The outcome is counted, and a probe back, but the verdict not carried out; or half-open, and no probe
                // out yet; or lost probes are written off.
                let between = look.probes_in_flight <= before.probes_in_flight
                    && look.sums.is_after(before.sums)
                    && look.retry_in == Some(Duration::ZERO);
                let acts = matches!(self.operation, Operation::Acquire | Operation::Report(_));
                // A switch to shadow: the shadow switch was moved, but the state not yet reset.
                let shadowed = self.operation == Operation::SwitchToShadow && look == Look { shadow: true, ..before };
                unsaid || shadowed || (acts && look.is_of(before, after) && between)
            }
            _ => false,
        }
    }

    /// A switch to shadow from forced open or disabled is two moves: the shadow switch first, and then a reset. The
    /// interrupt came between them. It saw the old state in shadow, so a call that the old state rejects was admitted on
    /// a permit that is not counted, and the observer was told that it would have been rejected.
    fn met_between_moves(self, seen: &Seen, before: &Seen) -> bool {
        self.operation == Operation::SwitchToShadow
            && match (seen.intruder, before.intruder.0) {
                (
                    (Answer::Admitted { probe: false, level: 0, counted: false }, effect),
                    Answer::Rejected(RejectReason::ForcedOpen, None),
                ) => {
                    let cancelled = self.intruder == Intruder::Cancel && effect == Answer::Nothing;
                    cancelled || effect == Answer::Effect(Effect::Uncounted)
                }
                _ => false,
            }
    }

    /// A switch from forced open or disabled looks at the state, and then resets it. The interrupt switched between the
    /// look and the reset. So the circuit was reset twice: the events are one more, from closed to closed.
    fn begun_twice(self, seen: &Seen, after: &Seen) -> bool {
        let mut events = seen.events;
        let again = events
            .iter_mut()
            .find(|told| **told != Told::NONE && told.from() == State::Closed && told.to() == State::Closed);
        matches!(self.operation, Operation::SwitchOn | Operation::SwitchToShadow)
            && self.intruder == Intruder::SwitchOn
            && again.map(|told| *told = Told::NONE).is_some()
            && alike(&events, &after.events)
    }

    /// The counters, less what the answers account for: the same whatever the order.
    fn unaccounted(self, seen: &Seen) -> [u32; 13] {
        let counts = &seen.counts;
        let answers = [seen.operation, seen.intruder.0, seen.intruder.1];
        let number = |is: fn(&Answer) -> bool| answers.iter().map(|answer| u32::from(is(answer))).sum::<u32>();
        let made =
            |call: Intruder| u32::from(self.intruder == call && matches!(seen.intruder.0, Answer::Admitted { .. }));
        [
            counts.permitted - number(|answer| matches!(answer, Answer::Admitted { .. })),
            counts.probes - number(|answer| matches!(answer, Answer::Admitted { probe: true, .. })),
            counts.rejected - number(|answer| matches!(answer, Answer::Rejected(..))),
            counts.stale - number(|answer| matches!(answer, Answer::Effect(Effect::Stale))),
            counts.success - made(Intruder::Success),
            counts.failure - made(Intruder::Failure),
            counts.cancelled - made(Intruder::Cancel),
            counts.would_reject, // at `WOULD_REJECT`
            counts.slow,
            counts.alive,
            counts.ignored,
            counts.holds,
            counts.latches,
        ]
    }
}

impl Operation {
    /// The reason, if it asks to open for a time.
    fn asks(self) -> Option<OpenReason> {
        match self {
            Self::Hold | Self::Report(Report::Hold) => Some(OpenReason::Hold),
            Self::Trip => Some(OpenReason::Budget),
            Self::Restore => Some(OpenReason::Manual),
            _ => None,
        }
    }
}

impl Look {
    /// State, reason, level and attempt, one look, are those of either.
    fn is_of(self, before: Self, after: Self) -> bool {
        let head = |look: Self| (look.state, look.reason, look.level, look.attempt, look.shadow);
        head(self) == head(before) || head(self) == head(after)
    }
}

impl Sums {
    /// The sums after one outcome more at most, of which only the call may be in.
    fn is_after(self, earlier: Self) -> bool {
        let grew = |now: u32, then: u32| now == then || now == then + 1;
        grew(self.0, earlier.0) && grew(self.1, earlier.1) && grew(self.2, earlier.2)
    }
}

/// The same events. One whose teller was overtaken before it knew for how long it opened, or ramps, does not tell it.
fn alike(seen: &[Told; 8], order: &[Told; 8]) -> bool {
    let mut rest = *order;
    let found = seen.iter().filter(|&told| *told != Told::NONE).all(|told| {
        let untold = matches!(told.to(), State::Open | State::Ramping) && told.lasts() == 0;
        let place = rest
            .iter_mut()
            .filter(|other| **other != Told::NONE)
            .find(|other| *other == told || untold && other.without_length() == told.without_length());
        place.map(|place| *place = Told::NONE).is_some()
    });
    found && rest == [Told::NONE; 8]
}

/// The interrupt opened for a shorter time before the operation had said its own, and then the operation opened anew: one
/// event more than where the interrupt came first, of an opening that was overtaken before anybody knew its length. Where
/// the interrupt's own opening would have done nothing in either order (a restore's state is left by hand alone), one more:
/// the one that lasts `intruded` ticks.
fn opened_anew(seen: &Seen, order: &Seen, reason: OpenReason, intruded: Option<u32>) -> bool {
    let mut events = seen.events;
    let mut forget =
        |is: &dyn Fn(&Told) -> bool| events.iter_mut().find(|told| is(told)).map(|told| *told = Told::NONE).is_some();
    let overtaken = forget(&|told| told.lasts() == 0 && *told == told.with_reason(reason));
    let intruded = intruded.is_none_or(|ticks| forget(&|told| told.lasts() == ticks));
    overtaken && intruded && alike(&events.map(Told::without_from), &order.events.map(Told::without_from))
}

/// Each event begins where another one ended: from closed, by way of all of them, to the state that is left.
fn is_path(seen: &Seen) -> bool {
    State::ALL.iter().all(|&state| {
        let number =
            |is: &dyn Fn(&Told) -> bool| seen.events.iter().filter(|&told| *told != Told::NONE && is(told)).count();
        let (ends, begins) = (number(&|told| told.to() == state), number(&|told| told.from() == state));
        let told = u32::try_from(ends) == Ok(seen.counts.transitions_to(state));
        told && ends + usize::from(state == State::Closed) == begins + usize::from(state == seen.left.state)
    })
}
