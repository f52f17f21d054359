//! The platform: the one file that knows which atomics, which fence and which panic machinery we run on.
//!
//! Atomics are those of `core` by default, and of `portable-atomic` on cores without compare-exchange. Under test they
//! are those of loom or shuttle, or counting ones. Everything above this file reads as plain Rust.

#[cfg(not(any(microbreaker_loom, microbreaker_shuttle, microbreaker_counting)))]
#[cfg(not(feature = "portable-atomic"))]
pub(crate) use core::sync::atomic::{AtomicU32, Ordering, fence};
#[cfg(not(any(microbreaker_loom, microbreaker_shuttle, microbreaker_counting)))]
#[cfg(feature = "portable-atomic")]
pub(crate) use portable_atomic::{AtomicU32, Ordering, fence};

/// For a server's clock alone: a breaker's words have 32 bits.
#[cfg(feature = "quanta")]
pub(crate) use core::sync::atomic::AtomicU64;
/// A word for what is no breaker's state and exists with `std` alone: the numbers of threads.
#[cfg(all(feature = "std", not(any(microbreaker_loom, microbreaker_shuttle))))]
pub(crate) use core::sync::atomic::AtomicUsize;

#[cfg(microbreaker_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, Ordering, fence};

#[cfg(microbreaker_shuttle)]
pub(crate) use scheduled::{AtomicU32, Ordering, fence};
#[cfg(microbreaker_shuttle)]
#[path = "../../tests/packages/shuttle/atomics.rs"]
mod scheduled;

#[cfg(microbreaker_counting)]
pub(crate) use counted::{AtomicU32, Ordering, fence};
#[cfg(microbreaker_counting)]
#[path = "../../tests/packages/counting/atomics.rs"]
pub mod counted;

#[cfg(all(not(target_has_atomic = "32"), not(feature = "portable-atomic")))]
compile_error!(
    "this core has no compare-exchange: enable microbreaker's feature `portable-atomic`, and in the final \
     binary a backend of portable-atomic (`critical-section`, or `unsafe-assume-single-core` where that is true)"
);

/// Declares a function that is `const` everywhere but under loom, whose atomics have no const `new`.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(microbreaker_loom))]
        $(#[$meta])* $vis const fn $($rest)*
        #[cfg(microbreaker_loom)]
        $(#[$meta])* $vis fn $($rest)*
    };
}
pub(crate) use const_fn;

/// An array of zeroed atomics.
macro_rules! zeroed {
    ($len:expr) => {
        $crate::platform::atomics::initial!(repeat $len, $crate::platform::atomics::AtomicU32::new(0))
    };
}
pub(crate) use zeroed;

/// Declares, gives, repeats and takes an initial value: a const, or under loom the result of a function.
macro_rules! initial {
    (declare) => {
        #[cfg(not(microbreaker_loom))]
        #[doc(hidden)]
        const INITIAL: Self;
        #[cfg(microbreaker_loom)]
        #[doc(hidden)]
        fn initial() -> Self;
    };
    (give $value:expr) => {
        #[cfg(not(microbreaker_loom))]
        #[doc(hidden)]
        const INITIAL: Self = $value;
        #[cfg(microbreaker_loom)]
        #[doc(hidden)]
        fn initial() -> Self {
            $value
        }
    };
    (repeat $count:expr, $value:expr) => {{
        #[cfg(not(microbreaker_loom))]
        let array = [const { $value }; $count];
        #[cfg(microbreaker_loom)]
        let array = core::array::from_fn(|_| $value);
        array
    }};
    (take $type:ty) => {{
        #[cfg(not(microbreaker_loom))]
        let value = <$type>::INITIAL;
        #[cfg(microbreaker_loom)]
        let value = <$type>::initial();
        value
    }};
}
pub(crate) use initial;

/// Whether this thread is unwinding. Without `std` there is no way to know, and most such targets abort anyway.
#[inline]
pub(crate) fn panicking() -> bool {
    #[cfg(feature = "std")]
    return std::thread::panicking();
    #[cfg(not(feature = "std"))]
    return false;
}
