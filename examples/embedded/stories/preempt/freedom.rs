//! The results that are allowed although they belong to neither of the two orders.
//!
//! Some operations have several steps, and each step is one exchange. They count an outcome and then carry out the
//! verdict. They open the circuit and then give the time. They end the open time and then compete for a probe. An
//! interrupt may come between two steps. Even then, what is left and how it goes on belong to one of the two orders. So
//! do the events, and so does each answer, though not all of them to the same order. Every exception is named here,
//! with its reason. In every case the counters must agree with the answers, and the events must be a path to the state
//! that is left.

use core::time::Duration;

use microbreaker::{Clock, Effect, OpenReason, RejectReason, State};

use crate::guarded::{Answer, Hand, Intruder, LONGEST, Look, Operation, Report, Seen, Sums, Told};

/// Where `Pair::unaccounted` has the calls that would have been rejected.
const WOULD_REJECT: usize = 7;

/// An operation and the interrupt that it meets.
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

    /// If both ask to open for a time, the operation's reason.
    fn asked(self) -> Option<OpenReason> {
        self.intruder.asks()?;
        self.operation.asks()
    }

    fn may_answer(self, seen: &Seen, [before, after]: [&Seen; 2]) -> bool {
        match (self.operation, seen.operation) {
            // The outcome was counted. Then the interrupt carried out the verdict, or changed the state.
            (Operation::Report(_), Answer::Effect(Effect::Counted)) => [before, after].iter().any(|order| {
                matches!(order.operation, Answer::Effect(Effect::Opened(_) | Effect::Closed | Effect::Ramping))
            }),
            (Operation::Status, Answer::Status(look)) => {
                let (Answer::Status(before), Answer::Status(after)) = (before.operation, after.operation) else {
                    return false;
                };
                // A status reads the state first, and reads the other values a moment later.
                let rest = look.retry_in == before.retry_in;
                let probes = look.probes_in_flight == 0 || look.probes_in_flight == before.probes_in_flight;
                let sums = look.sums == Sums(0, 0, 0) || look.sums == before.sums || look.sums.is_after(after.sums);
                look.is_of(before, after)
                    && (rest || look.retry_in == after.retry_in)
                    && (probes || look.probes_in_flight == after.probes_in_flight)
                    && sums
            }
            // The interrupt counted a failure. Its verdict is not carried out yet, or a time window has counted only
            // the call so far.
            (Operation::Tally, Answer::Tally(sums)) => {
                matches!(after.operation, Answer::Tally(after) if sums.is_after(after))
            }
            _ => false,
        }
    }

    fn may_intrude(self, seen: &Seen, [before, after]: [&Seen; 2]) -> bool {
        // A time window counts a call before it counts the failure. In between, the share looks smaller to the
        // interrupt. The interrupted report itself then sees the whole share.
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
            // The circuit is open, but its time is not yet given. So the longest allowed time is assumed.
            Answer::Rejected(RejectReason::Open(_), ticks) => opens && ticks == Hand::RATE.ticks_in(LONGEST),
            // The circuit was open already, but its time was not yet given.
            Answer::Effect(Effect::Opened(_)) => self.operation == Operation::Restore && self.asked().is_some(),
            Answer::Status(look) => {
                let (Answer::Status(before), Answer::Status(after)) = (before.intruder.0, after.intruder.0) else {
                    return false;
                };
                let unsaid = opens && look == Look { retry_in: Some(LONGEST), ..after };
                // The outcome is counted and the probe is back, but the verdict is not carried out. Or the circuit is
                // half-open, and no probe is in flight yet. Or lost probes are written off.
                let between = look.probes_in_flight <= before.probes_in_flight
                    && look.sums.is_after(before.sums)
                    && look.retry_in == Some(Duration::ZERO);
                let acts = matches!(self.operation, Operation::Acquire | Operation::Report(_));
                // A switch to shadow has set the shadow switch, but has not yet reset the state.
                let shadowed = self.operation == Operation::SwitchToShadow && look == Look { shadow: true, ..before };
                unsaid || shadowed || (acts && look.is_of(before, after) && between)
            }
            _ => false,
        }
    }

    /// A switch to shadow from forced open or disabled is two moves: the shadow switch first, and then a reset. The
    /// interrupt came between them. It saw the old state in shadow, so a call that the old state rejects was admitted
    /// on a permit that is not counted, and the observer was told that it would have been rejected.
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

    /// The counters, minus the numbers that the answers account for. They are the same in both orders.
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
    /// The reason, if the operation asks to open for a time.
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
    /// Whether state, reason, level, attempt and shadow together are those of one of the two orders.
    fn is_of(self, before: Self, after: Self) -> bool {
        let head = |look: Self| (look.state, look.reason, look.level, look.attempt, look.shadow);
        head(self) == head(before) || head(self) == head(after)
    }
}

impl Sums {
    /// Whether these are the `earlier` sums, or the sums after one outcome more. Only the call of that outcome may be
    /// in them.
    fn is_after(self, earlier: Self) -> bool {
        let grew = |now: u32, then: u32| now == then || now == then + 1;
        grew(self.0, earlier.0) && grew(self.1, earlier.1) && grew(self.2, earlier.2)
    }
}

/// Whether the events are the same. If a thread was overtaken before it gave the length of its open time or ramp, its
/// event has no length.
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

/// The interrupt opened for a shorter time before the operation had given its own time, and then the operation opened
/// anew. So there is one event more than if the interrupt had come first: an opening that was overtaken before its time
/// was given. If the interrupt's own opening would have done nothing in either order (a restore's state is left by hand
/// alone), there is another one: the opening that lasts `intruded` ticks.
fn opened_anew(seen: &Seen, order: &Seen, reason: OpenReason, intruded: Option<u32>) -> bool {
    let mut events = seen.events;
    let mut forget =
        |is: &dyn Fn(&Told) -> bool| events.iter_mut().find(|told| is(told)).map(|told| *told = Told::NONE).is_some();
    let overtaken = forget(&|told| told.lasts() == 0 && *told == told.with_reason(reason));
    let intruded = intruded.is_none_or(|ticks| forget(&|told| told.lasts() == ticks));
    overtaken && intruded && alike(&events.map(Told::without_from), &order.events.map(Told::without_from))
}

/// Whether the events are a path: it begins at closed, uses every event once, and ends at the state that is left. Each
/// event begins in the state in which another one ended.
fn is_path(seen: &Seen) -> bool {
    State::ALL.iter().all(|&state| {
        let number =
            |is: &dyn Fn(&Told) -> bool| seen.events.iter().filter(|&told| *told != Told::NONE && is(told)).count();
        let (ends, begins) = (number(&|told| told.to() == state), number(&|told| told.from() == state));
        let told = u32::try_from(ends) == Ok(seen.counts.transitions_to(state));
        told && ends + usize::from(state == State::Closed) == begins + usize::from(state == seen.left.state)
    })
}
