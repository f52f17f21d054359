//! The results that are allowed although they belong to neither of the two orders.
//!
//! Where one exchange decides, there is no such result: an interrupt comes before it or after it. Some operations have two
//! steps, and an interrupt may come between them. Here each pair of steps has its rule, which says for which operations
//! and in which states it holds, and by how much the result may differ from one of the orders. Everything else is as in
//! that order: the answers, what is left, how it goes on, the counters and the events. The events are a path to the state
//! that is left.
//!
//! One freedom is everywhere: a thread that is overtaken before it tells of its move tells no length.

use core::time::Duration;

use microbreaker::{Clock, Effect, RejectReason, State};

use crate::guarded::{
    Answer, BOUND, Events, GIVEN, Hand, Intruder, LATER, Look, Operation, Prepared, Report, Seen, Steps, Sums, Told,
};

/// An operation and the interrupt that it meets, in a state.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) prepared: Prepared,
    pub(crate) operation: Operation,
    pub(crate) intruder: Intruder,
    pub(crate) steps: Steps,
}

impl Pair {
    pub(crate) fn permits(self, seen: &Seen, before: &Seen, after: &Seen) -> bool {
        let orders = [before, after];
        is_path(seen)
            && orders.iter().any(|order| seen.counts.last_failure == order.counts.last_failure)
            && (orders.iter().any(|order| self.is(seen, order, |_| ()))
                || self.gives_a_time() && orders.iter().any(|order| self.is(seen, order, bounded))
                || self.counts_and_moves() && self.met_between_count_and_move(seen, before, after)
                || self.met_between_two_loads(seen, before, after)
                || self.met_before_a_retry(seen, before, after)
                || self.met_between_two_switches(seen, before, after)
                || self.met_a_reopening(seen, after))
    }

    /// Whether the result is that of `order`, except for what `change` changes.
    fn is(self, seen: &Seen, order: &Seen, change: impl FnOnce(&mut Seen)) -> bool {
        let mut expected = order.clone();
        change(&mut expected);
        seen.operation == expected.operation
            && seen.intruder == expected.intruder
            && seen.left == expected.left
            && seen.next == expected.next
            && alike(&seen.events, &expected.events)
            && self.unaccounted(seen) == self.unaccounted(order)
    }

    /// Whether the operation moves the circuit and then publishes the time that it was given. An interrupt between the two
    /// that needs the time publishes the bound which stands in the word: never less, and at most twice as long.
    fn gives_a_time(self) -> bool {
        matches!(
            self.operation,
            Operation::Hold | Operation::Report(Report::Hold) | Operation::Trip | Operation::Restore
        )
    }

    /// Whether the operation counts an outcome by one exchange, and moves the circuit by another: if the window has words
    /// of its own, and if there may be several probes. A streak alone, and the only probe, take one exchange.
    fn counts_and_moves(self) -> bool {
        use Report::{Alive, Drop, Failure, Ignore, Slow, Success};
        let Operation::Report(report) = self.operation else { return false };
        if self.prepared.is_half_open() {
            self.steps.probes && matches!(report, Success | Failure | Slow | Alive | Ignore | Drop)
        } else {
            self.steps.window && matches!(report, Success | Failure | Slow)
        }
    }

    fn met_between_count_and_move(self, seen: &Seen, before: &Seen, after: &Seen) -> bool {
        let counted = Answer::Effect(Effect::Counted);
        // The interrupt ended the generation after the report had seen it: by a move of its own, which may be the one that
        // the window is due, or its last before the outcome is counted. The report says that it counted, and changes nothing.
        let is_stale = before.operation == Answer::Effect(Effect::Stale)
            && matches!(seen.operation, Answer::Effect(Effect::Counted | Effect::Neutral));
        let is_ended = is_stale || self.operation == Operation::Report(Report::Drop);
        if is_ended && self.is(seen, before, |order| order.operation = seen.operation) {
            return true;
        }
        let moves = matches!(after.operation, Answer::Effect(Effect::Opened(_) | Effect::Closed | Effect::Ramping));
        let (first, then) = before.intruder;
        if self.prepared.is_half_open() {
            let carry_out = |order: &mut Seen| order.operation = counted;
            return moves
                && match first {
                    // It saw that the probe is back.
                    Answer::Status(look) if seen.operation != counted => {
                        let probes_in_flight = look.probes_in_flight - 1;
                        let look = Look { probes_in_flight, retry_in: Some(Duration::ZERO), ..look };
                        self.is(seen, after, |order| order.intruder = (Answer::Status(look), then))
                    }
                    // It carried the verdict out. If a ramp begins, the call that does this is admitted before the ramp
                    // counts its calls.
                    _ => {
                        self.is(seen, after, carry_out)
                            || after.operation == Answer::Effect(Effect::Ramping)
                                && self.is(seen, after, |order| {
                                    carry_out(order);
                                    admit_the_next(order);
                                })
                    }
                };
        }
        // It saw the outcome in the window, and the circuit as it was.
        if let (Answer::Status(old), Answer::Status(now)) = (first, seen.intruder.0) {
            let look = Look { sums: now.sums, ..old };
            return self.has_counted(old.sums, now.sums)
                && self.is(seen, after, |order| order.intruder = (Answer::Status(look), then));
        }
        // It saw the circuit still closed.
        moves && self.is(seen, after, |order| order.intruder = before.intruder)
    }

    /// Whether `now` are the `old` sums with the outcome that the operation reports.
    fn has_counted(self, old: Sums, now: Sums) -> bool {
        let grown = |calls, failed, slow| now == Sums(old.0 + calls, old.1 + failed, old.2 + slow);
        match self.operation {
            Operation::Report(Report::Success) => grown(1, 0, 0),
            Operation::Report(Report::Failure) => grown(1, 1, 0),
            // A time window counts a slow call first, and then that it was slow. For a streak it is a failure.
            Operation::Report(Report::Slow) => grown(1, 0, 0) || grown(1, 0, 1) || grown(1, 1, 0),
            _ => false,
        }
    }

    /// A status and a tally read several words, one after the other. The interrupt changed those that were still to be
    /// read.
    fn met_between_two_loads(self, seen: &Seen, before: &Seen, after: &Seen) -> bool {
        let is_mixed = match (seen.operation, before.operation, after.operation) {
            (Answer::Status(look), Answer::Status(new), Answer::Status(old)) => {
                let head = |look: Look| (look.state, look.reason, look.level, look.attempt);
                head(look) == head(old)
                    && [old.retry_in, new.retry_in].contains(&look.retry_in)
                    && [old.probes_in_flight, new.probes_in_flight].contains(&look.probes_in_flight)
                    && [old.shadow, new.shadow].contains(&look.shadow)
                    && (look.sums == new.sums || look.sums.is_after(old.sums))
            }
            (Answer::Tally(sums), Answer::Tally(new), Answer::Tally(old)) => sums == new || sums.is_after(old),
            _ => false,
        };
        is_mixed && self.is(seen, after, |order| order.operation = seen.operation)
    }

    /// If an attempt is to be forgotten, it is forgotten first, and then the operation begins anew. The interrupt saw the
    /// circuit closed, without the attempt.
    fn met_before_a_retry(self, seen: &Seen, before: &Seen, after: &Seen) -> bool {
        let (Prepared::Forgetting, Answer::Status(look)) = (self.prepared, before.intruder.0) else { return false };
        self.is(seen, after, |order| order.intruder.0 = Answer::Status(Look { attempt: 0, ..look }))
    }

    /// A switch from forced open or disabled looks at the state and then resets it, and a switch to shadow sets the shadow
    /// first.
    fn met_between_two_switches(self, seen: &Seen, before: &Seen, after: &Seen) -> bool {
        if !matches!(self.operation, Operation::SwitchOn | Operation::SwitchToShadow) {
            return false;
        }
        let (first, then) = before.intruder;
        match first {
            // In shadow, a call that the state rejects was admitted on a permit that is not counted, and the observer was
            // told that it would have been rejected.
            Answer::Rejected(RejectReason::ForcedOpen, None) => {
                let admitted = Answer::Admitted { probe: false, level: 0, counted: false };
                let is_dropped = self.intruder == Intruder::Cancel;
                let then = if is_dropped { then } else { Answer::Effect(Effect::Uncounted) };
                self.is(seen, before, |order| order.intruder = (admitted, then))
            }
            Answer::Status(look) => {
                self.is(seen, after, |order| order.intruder.0 = Answer::Status(Look { shadow: true, ..look }))
            }
            // Both switched, so the circuit was reset twice.
            _ => self.intruder == Intruder::SwitchOn && self.is(seen, after, reset_again),
        }
    }

    /// The caller that finds a lease over reopens the circuit, and is then told for how long. The interrupt moved the
    /// circuit on: the caller is to ask again at once.
    fn met_a_reopening(self, seen: &Seen, after: &Seen) -> bool {
        match (self.operation, after.operation) {
            (Operation::Acquire | Operation::Anyway, Answer::Rejected(reason, Some(_))) => {
                self.prepared == Prepared::HalfLost
                    && self.is(seen, after, |order| order.operation = Answer::Rejected(reason, Some(0)))
            }
            _ => false,
        }
    }

    /// The counters, minus the numbers that the answers account for. They are the same in every order.
    fn unaccounted(self, seen: &Seen) -> [u32; 13] {
        let counts = &seen.counts;
        let answers = [seen.operation, seen.intruder.0, seen.intruder.1];
        let number = |is: fn(&Answer) -> bool| answers.iter().map(|answer| u32::from(is(answer))).sum::<u32>();
        let made =
            |call: Intruder| u32::from(self.intruder == call && matches!(seen.intruder.0, Answer::Admitted { .. }));
        // Whether it was stale, a drop does not say.
        let stale = if self.operation == Operation::Report(Report::Drop) { 0 } else { counts.stale };
        // In a disabled breaker, a permit that counts nowhere is nothing that the observer is told of.
        let uncounted = number(|answer| matches!(answer, Answer::Admitted { counted: false, .. }));
        [
            counts.permitted - number(|answer| matches!(answer, Answer::Admitted { .. })),
            counts.probes - number(|answer| matches!(answer, Answer::Admitted { probe: true, .. })),
            counts.rejected - number(|answer| matches!(answer, Answer::Rejected(..))),
            stale.wrapping_sub(number(|answer| matches!(answer, Answer::Effect(Effect::Stale)))),
            (counts.anyway + counts.would_reject).wrapping_sub(uncounted),
            counts.success - made(Intruder::Success),
            counts.failure - made(Intruder::Failure) - made(Intruder::Anyway),
            counts.cancelled - made(Intruder::Cancel),
            counts.slow,
            counts.alive,
            counts.ignored,
            counts.holds,
            counts.latches,
        ]
    }
}

impl Sums {
    /// Whether these are the `earlier` sums, or the sums after one outcome more. Only the call of that outcome may be in
    /// them.
    fn is_after(self, earlier: Self) -> bool {
        let grew = |now: u32, then: u32| now == then || now == then + 1;
        grew(self.0, earlier.0) && grew(self.1, earlier.1) && grew(self.2, earlier.2)
    }
}

/// The next call, which fails, is admitted and counted.
fn admit_the_next(order: &mut Seen) {
    let [_, call, _, _, report, tally, ..] = &mut order.next;
    if let Answer::Tally(Sums(calls, failed, _)) = tally {
        *call = Answer::Admitted { probe: false, level: 0, counted: true };
        *report = Answer::Effect(Effect::Counted);
        (*calls, *failed) = (*calls + 1, *failed + 1);
    }
}

/// The circuit is reset once more.
fn reset_again(order: &mut Seen) {
    if let Some(free) = order.events.iter_mut().find(|told| **told == Told::NONE) {
        *free = Told::RESET;
    }
}

/// The bound of the given time takes the place of the time itself.
fn bounded(order: &mut Seen) {
    let [given, later] = [GIVEN, LATER].map(|time| Hand::RATE.ticks_in(time).unwrap_or(0));
    let time = |time: Option<Duration>| if time == Some(GIVEN) { Some(Hand::RATE.duration_of(BOUND)) } else { time };
    let answer = |answer: Answer| match answer {
        Answer::Rejected(reason, Some(left)) if left == given => Answer::Rejected(reason, Some(BOUND)),
        Answer::Rejected(reason, Some(left)) if left == given - later => Answer::Rejected(reason, Some(BOUND - later)),
        Answer::Covered(left) => Answer::Covered(time(left)),
        Answer::Status(look) => Answer::Status(Look { retry_in: time(look.retry_in), ..look }),
        other => other,
    };
    order.next = order.next.map(answer);
    order.intruder.0 = answer(order.intruder.0);
    order.left.retry_in = time(order.left.retry_in);
    order.events = order.events.map(|told| if told.lasts() == given { told.lasting(BOUND) } else { told });
}

/// Whether the events are the same. If a thread was overtaken before it told of its move, its event has the length that the
/// period was to have without jitter, or none.
fn alike(seen: &[Told; Events::MOST], order: &[Told; Events::MOST]) -> bool {
    let mut rest = *order;
    let mut events = seen.iter().enumerate().filter(|(_, told)| **told != Told::NONE);
    let found = events.all(|(at, told)| {
        let is_overtaken =
            |(other, next): (usize, &Told)| other != at && *next != Told::NONE && next.from() == told.to();
        let untold = matches!(told.to(), State::Open | State::Ramping) && seen.iter().enumerate().any(is_overtaken);
        let place = rest.iter_mut().filter(|other| **other != Told::NONE).find(|other| {
            let shorter = told.lasts() <= other.lasts() && other.without_length() == told.without_length();
            *other == told || untold && shorter
        });
        place.map(|place| *place = Told::NONE).is_some()
    });
    found && rest == [Told::NONE; Events::MOST]
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
