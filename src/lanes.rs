//! Shards for many cores: how many there may be, and what keeps them apart.

/// A number of lanes: the type behind the `LANES` of a [`TimeWindow`](crate::TimeWindow) and of
/// [`Counters`](crate::Counters).
#[derive(Debug)]
pub struct Lanes<const LANES: usize>;

/// A number of lanes that there can be: 1, 2, 4, 8, 16, 32 or 64. One lane is not padded. Sealed.
pub trait LaneCount: Padded {}

impl<L: Padded> LaneCount for L {}

#[diagnostic::on_unimplemented(message = "a number of lanes must be 1, 2, 4, 8, 16, 32 or 64")]
/// What makes a lane's own cache lines: nothing where there is but one.
pub trait Padded {
    #[doc(hidden)]
    type Padding: core::fmt::Debug;
    #[doc(hidden)]
    const PADDING: Self::Padding;
}

/// Two lines: adjacent ones are fetched in pairs on x86-64 and are one on some AArch64.
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
