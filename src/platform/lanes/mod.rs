//! Shards for many cores: how many there may be, what keeps them apart, and which of them a thread writes to.
//!
//! `lane(lanes)` is the lane, of `lanes` (a power of two, at most 64), that the calling thread should write to. Any
//! lane is correct; a lane of its own is fast.

// With `std`, by the number of the thread.
#[cfg(all(feature = "std", not(any(microbreaker_loom, microbreaker_shuttle))))]
mod numbers;
#[cfg(all(feature = "std", not(any(microbreaker_loom, microbreaker_shuttle))))]
mod threads;
#[cfg(all(feature = "std", not(any(microbreaker_loom, microbreaker_shuttle))))]
pub(crate) use self::threads::lane;

// Without it, by the stack.
#[cfg(not(any(feature = "std", microbreaker_loom, microbreaker_shuttle)))]
mod stack;
#[cfg(not(any(feature = "std", microbreaker_loom, microbreaker_shuttle)))]
pub(crate) use self::stack::lane;

// In a model, by the schedule.
#[cfg(any(microbreaker_loom, microbreaker_shuttle))]
mod modelled;
#[cfg(any(microbreaker_loom, microbreaker_shuttle))]
pub(crate) use self::modelled::lane;

/// A number of lanes: the type behind the `LANES` of a [`TimeWindow`](crate::TimeWindow) and of
/// [`Counters`](crate::metrics::Counters).
///
/// # Which lane a thread writes to
///
/// With the feature `std`, while at most `LANES` threads are alive that have used lanes, no two of them write to the
/// same lane. A thread counts from its first write to any window, counters or meter of several lanes until its
/// thread-locals are destroyed, even if it idles in between. If more threads are alive, some share a lane, which costs
/// time and nothing else. When a thread ends, one of those that had to share takes its lane, at its own next write. On
/// a target of 32 bits, 32 threads have lanes of their own at most.
///
/// At its first write, a thread has the platform note that its end matters, and for this the platform may allocate.
///
/// Without `std`, the lane follows from the address of the stack, so two threads may share one by chance.
#[derive(Debug)]
pub struct Lanes<const LANES: usize>;

/// A number of lanes that is possible: 1, 2, 4, 8, 16, 32 or 64. A single lane is not padded. Sealed.
pub trait LaneCount: Padded {}

impl<L: Padded> LaneCount for L {}

#[diagnostic::on_unimplemented(message = "a number of lanes must be 1, 2, 4, 8, 16, 32 or 64")]
/// The padding that gives each lane cache lines of its own: none for a single lane.
pub trait Padded {
    #[doc(hidden)]
    type Padding: core::fmt::Debug + Send + Sync;
    #[doc(hidden)]
    const PADDING: Self::Padding;
}

/// Two lines of 64 bytes: x86-64 fetches adjacent lines in pairs, and on some AArch64 cores the two are one line.
#[doc(hidden)]
#[derive(Debug)]
#[repr(align(128))]
pub struct OwnLines;

impl Padded for Lanes<1> {
    type Padding = ();
    const PADDING: () = ();
}

macro_rules! padded {
    ($($lanes:literal)*) => { $(
        impl Padded for Lanes<$lanes> {
            type Padding = [OwnLines; 0];
            const PADDING: Self::Padding = [];
        }
    )* };
}
padded!(2 4 8 16 32 64);
