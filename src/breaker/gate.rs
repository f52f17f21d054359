//! How a permit reaches its breaker.

/// How a permit reaches its breaker: any `Deref` to one. Sealed by being so for all.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reference to a breaker",
    label = "hold it by `&'static` or `Arc`",
    note = "a holder is anything that derefs to a `Breaker`"
)]
pub trait Holder: holder::Sealed {}

#[diagnostic::do_not_recommend]
impl<H: holder::Sealed> Holder for H {}

mod holder {
    use core::ops::Deref;
    use core::time::Duration;

    use crate::breaker::Breaker;
    use crate::breaker::ticket::Ticket;
    use crate::clock::{Clock, Ticks};
    use crate::machine::window::Window;
    use crate::terms::event::Effect;
    use crate::terms::observer::Observer;
    use crate::terms::outcome::Outcome;

    pub trait Sealed {
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn settle(&self, ticket: Ticket, outcome: Outcome, elapsed: Option<Duration>) -> Effect;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn settle_success(&self, ticket: Ticket) -> Effect;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn settle_failure(&self, ticket: Ticket) -> Effect;
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "cannot be called from outside")]
        fn abandon(&self, ticket: Ticket);
        #[doc(hidden)]
        fn now(&self) -> Ticks;
        #[doc(hidden)]
        fn times_calls(&self) -> bool;
        #[doc(hidden)]
        fn tell_elapsed(&self, elapsed: Duration);
        #[doc(hidden)]
        fn took(&self, start: Ticks) -> u32;
        #[doc(hidden)]
        fn has_outlasted(&self, start: Ticks, time: Duration) -> bool;
        #[doc(hidden)]
        fn has_outlasted_half_of_its_lease(&self) -> bool;
    }

    impl<H, W, C, O> Sealed for H
    where
        H: Deref<Target = Breaker<W, C, O>>,
        W: Window,
        C: Clock,
        O: Observer,
    {
        #[inline]
        #[expect(private_interfaces, reason = "as declared")]
        fn settle(&self, ticket: Ticket, outcome: Outcome, elapsed: Option<Duration>) -> Effect {
            Breaker::settle(self, ticket, outcome, elapsed)
        }

        #[inline(always)]
        #[expect(private_interfaces, reason = "as declared")]
        fn settle_success(&self, ticket: Ticket) -> Effect {
            Breaker::settle_success(self, ticket)
        }

        #[inline(always)]
        #[expect(private_interfaces, reason = "as declared")]
        fn settle_failure(&self, ticket: Ticket) -> Effect {
            Breaker::settle_failure(self, ticket)
        }

        #[inline]
        #[expect(private_interfaces, reason = "as declared")]
        fn abandon(&self, ticket: Ticket) {
            Breaker::abandon(self, ticket);
        }

        fn now(&self) -> Ticks {
            self.clock.now()
        }

        #[inline(always)]
        fn times_calls(&self) -> bool {
            self.observer.times_calls()
        }

        fn tell_elapsed(&self, elapsed: Duration) {
            self.observer.on_elapsed(elapsed);
        }

        fn took(&self, start: Ticks) -> u32 {
            Breaker::took(self, start)
        }

        fn has_outlasted(&self, start: Ticks, time: Duration) -> bool {
            C::RATE.ticks_in(time).is_some_and(|limit| Breaker::took(self, start) > limit)
        }

        fn has_outlasted_half_of_its_lease(&self) -> bool {
            self.probes.age(&self.clock) > self.live.lease() / 2
        }
    }
}
