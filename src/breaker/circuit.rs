//! The face of every breaker, whatever its window, its clock, its observer and its settings: what lists and layers hold.

use core::time::Duration;

use crate::breaker::Breaker;
use crate::breaker::admit::Refusal;
use crate::breaker::ticket;
use crate::clock::Clock;
use crate::machine::window::Window;
use crate::terms::event::{Effect, Tripped};
use crate::terms::mode::Mode;
use crate::terms::observer::Observer;
use crate::terms::outcome::Outcome;
use crate::terms::rejected::Rejected;
use crate::terms::state::{OpenReason, State};
use crate::terms::tally::Status;

/// The permission to make one call through a [`Circuit`], as a plain value: it does not know its circuit.
///
/// Report it exactly once, to the circuit that gave it: by [`report`](Circuit::report) or [`cancel`](Circuit::cancel). A
/// ticket that is dropped is not reported: if it was a probe's, the slot stays taken until the
/// [lease](crate::Config::lease) is over. A [`Permit`](crate::Permit) reports itself when it is dropped, so prefer it where
/// the type of the breaker is known.
#[must_use = "report how the call went; a dropped ticket is not reported"]
#[derive(Debug)]
pub struct Ticket {
    ticket: ticket::Ticket,
    level: u8,
}

impl Ticket {
    /// Whether this is a half-open probe.
    pub const fn is_probe(&self) -> bool {
        self.ticket.is_probe()
    }

    /// The degradation level when the ticket was given; see [`Permit::level`](crate::Permit::level).
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Whether the report counts; see [`Permit::is_counted`](crate::Permit::is_counted).
    pub const fn is_counted(&self) -> bool {
        !self.ticket.is_uncounted()
    }

    /// The generation in which the ticket was given.
    pub const fn generation(&self) -> u32 {
        self.ticket.word.generation().number()
    }
}

/// A breaker, whatever its window, clock, observer and settings. Every [`Breaker`] implements it. The trait is object-safe:
/// lists, and layers above the breaker, hold `&dyn Circuit`.
///
/// Where no method says otherwise, it does what the method of [`Breaker`] with the same name does.
///
/// ```
/// use core::time::Duration;
/// use microbreaker::{Breaker, Circuit, Config, CountWindow, ManualClock, OpenReason, Outcome, State, Streak, count_words};
///
/// type Last20 = CountWindow<{ count_words(20, false) }>;
/// let clock = ManualClock::new();
/// let modem: Breaker<Streak, _> = Breaker::new(Config::streak(1), &clock);
/// let sensor: Breaker<Last20, _> = Breaker::new(Config::count(20), &clock);
/// let all: [&dyn Circuit; 2] = [&modem, &sensor];
///
/// let ticket = all[0].admit().unwrap();
/// all[0].report(ticket, Outcome::Failure(Default::default()));
/// assert_eq!(modem.state(), State::Open);
///
/// for circuit in all {
///     circuit.trip(OpenReason::Manual, Duration::from_secs(1));
/// }
/// assert!(all.iter().all(|circuit| circuit.state() == State::Open));
/// ```
pub trait Circuit {
    /// The name that the breaker's observer gives it; empty if there is none.
    fn name(&self) -> &str;
    /// See [`Breaker::state`].
    fn state(&self) -> State;
    /// See [`Breaker::status`].
    fn status(&self) -> Status;
    /// See [`Breaker::peek`].
    fn peek(&self) -> Result<(), Rejected>;
    /// See [`Breaker::retry_in`].
    fn retry_in(&self) -> Option<Duration>;
    /// Asks to make a call: [`Breaker::acquire`], with a plain ticket.
    fn admit(&self) -> Result<Ticket, Rejected>;
    /// [`Breaker::acquire_anyway`], with a plain ticket.
    fn admit_anyway(&self) -> Result<Ticket, Rejected>;
    /// Reports how the call of a ticket went: see [`Permit::record`](crate::Permit::record). The ticket must be one of this
    /// circuit. That of another one may count here as if it were, or not at all.
    fn report(&self, ticket: Ticket, outcome: Outcome) -> Effect;
    /// Gives a ticket back whose call was not made, or was dropped: what a drop does for a [`Permit`](crate::Permit).
    fn cancel(&self, ticket: Ticket);
    /// See [`Breaker::trip`].
    fn trip(&self, reason: OpenReason, time: Duration) -> Tripped;
    /// See [`Breaker::release`].
    fn release(&self, generation: u32) -> bool;
    /// See [`Breaker::half_open`].
    fn half_open(&self) -> bool;
    /// See [`Breaker::hold`].
    fn hold(&self, time: Duration) -> Effect;
    /// See [`Breaker::latch`].
    fn latch(&self) -> Effect;
    /// See [`Breaker::switch`].
    fn switch(&self, mode: Mode) -> bool;
    /// See [`Breaker::reset`].
    fn reset(&self);
}

impl<W: Window, C: Clock, O: Observer> Breaker<W, C, O> {
    fn with_level(&self, answer: Result<ticket::Ticket, Refusal>) -> Result<Ticket, Rejected> {
        match answer {
            Ok(ticket) => Ok(Ticket { ticket, level: self.level_of(ticket.closed_word()) }),
            Err((reason, ticks)) => Err(Rejected::new(reason, ticks, const { &C::RATE })),
        }
    }
}

impl<W: Window, C: Clock, O: Observer> Circuit for Breaker<W, C, O> {
    fn name(&self) -> &str {
        self.observer.name()
    }

    fn state(&self) -> State {
        Self::state(self)
    }

    fn status(&self) -> Status {
        Self::status(self)
    }

    fn peek(&self) -> Result<(), Rejected> {
        Self::peek(self)
    }

    fn retry_in(&self) -> Option<Duration> {
        Self::retry_in(self)
    }

    fn admit(&self) -> Result<Ticket, Rejected> {
        self.with_level(Self::admit(self))
    }

    fn admit_anyway(&self) -> Result<Ticket, Rejected> {
        self.with_level(Self::admit_anyway(self))
    }

    fn report(&self, ticket: Ticket, outcome: Outcome) -> Effect {
        self.settle(ticket.ticket, outcome, None)
    }

    fn cancel(&self, ticket: Ticket) {
        self.abandon(ticket.ticket);
    }

    fn trip(&self, reason: OpenReason, time: Duration) -> Tripped {
        Self::trip(self, reason, time)
    }

    fn release(&self, generation: u32) -> bool {
        Self::release(self, generation)
    }

    fn half_open(&self) -> bool {
        Self::half_open(self)
    }

    fn hold(&self, time: Duration) -> Effect {
        Self::hold(self, time)
    }

    fn latch(&self) -> Effect {
        Self::latch(self)
    }

    fn switch(&self, mode: Mode) -> bool {
        Self::switch(self, mode)
    }

    fn reset(&self) {
        Self::reset(self);
    }
}
