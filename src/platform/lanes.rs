//! Shards for many cores: how many there may be, and what keeps them apart.

/// A number of lanes: the type behind the `LANES` of a [`TimeWindow`](crate::TimeWindow) and of
/// [`Counters`](crate::metrics::Counters).
#[derive(Debug)]
pub struct Lanes<const LANES: usize>;

/// A number of lanes that is possible: 1, 2, 4, 8, 16, 32 or 64. A single lane is not padded. Sealed.
pub trait LaneCount: Padded {}

impl<L: Padded> LaneCount for L {}

#[diagnostic::on_unimplemented(message = "a number of lanes must be 1, 2, 4, 8, 16, 32 or 64")]
/// The padding that gives each lane cache lines of its own: none for a single lane.
pub trait Padded {
    #[doc(hidden)]
    type Padding: core::fmt::Debug;
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

/// The lane, of `lanes` (a power of two), that this thread should write to. Any lane is correct; a stable choice is
/// fast.
///
/// The address of a local says which stack we run on, so this needs no thread-local and works in `no_std`. Stacks
/// are 64 KiB apart or more where there are many; on one stack everything maps to one lane.
#[cfg(not(any(microbreaker_loom, microbreaker_shuttle)))]
#[inline]
pub(crate) fn lane(lanes: usize) -> usize {
    if lanes <= 1 {
        return 0;
    }
    let here = 0_u8;
    let stack = core::ptr::from_ref(&here).addr() >> 16;
    // Fibonacci hashing: neighbouring stacks land on different lanes. Only low bits are kept, so the width of the
    // multiplication does not matter.
    (stack.wrapping_mul(0x9E37_79B9) >> 12) & (lanes - 1)
}

/// Under a model a lane must be a function of the schedule alone: the model's thread number.
#[cfg(any(microbreaker_loom, microbreaker_shuttle))]
pub(crate) fn lane(lanes: usize) -> usize {
    #[cfg(microbreaker_loom)]
    let id = format!("{:?}", loom::thread::current().id());
    #[cfg(microbreaker_shuttle)]
    let id = format!("{:?}", shuttle::thread::current().id());
    let number: usize = id.chars().filter(char::is_ascii_digit).collect::<std::string::String>().parse().unwrap_or(0);
    number & (lanes - 1)
}
