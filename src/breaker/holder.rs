//! How a permit reaches its breaker.

/// A reference to a breaker, of any kind: `&`, `&'static`, `Arc`, and every other type that derefs to a breaker. The
/// trait is implemented for all of them and is sealed. A reference to an `Arc` is no holder: write `&*arc`, or clone the
/// `Arc`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reference to a breaker",
    label = "hold it by `&*arc`, `Arc::clone(&arc)` or `&'static`",
    note = "a holder is anything that derefs to a `Breaker`"
)]
pub trait Holder: sealed::Holds {}

#[diagnostic::do_not_recommend]
impl<H: sealed::Holds> Holder for H {}

pub(crate) mod sealed {
    use core::ops::Deref;

    use crate::breaker::Breaker;
    use crate::clock::Clock;
    use crate::machine::window::Window;
    use crate::terms::observer::Observer;

    pub trait Holds {
        #[doc(hidden)]
        type Window: Window;
        #[doc(hidden)]
        type Clock: Clock;
        #[doc(hidden)]
        type Observer: Observer;

        #[doc(hidden)]
        fn breaker(&self) -> &Breaker<Self::Window, Self::Clock, Self::Observer>;
    }

    impl<H, W, C, O> Holds for H
    where
        H: Deref<Target = Breaker<W, C, O>>,
        W: Window,
        C: Clock,
        O: Observer,
    {
        type Window = W;
        type Clock = C;
        type Observer = O;

        #[inline(always)]
        fn breaker(&self) -> &Breaker<W, C, O> {
            self
        }
    }
}
