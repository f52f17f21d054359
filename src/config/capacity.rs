//! What a window type can hold.

/// What a window type can hold; a [`Config`](crate::Config) is checked against it. Each window fills in its own part.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub(crate) streak: bool,
    /// Whether there is a count window.
    pub(crate) count: bool,
    /// The longest count window: without and with a count of slow calls.
    pub(crate) calls: [u32; 2],
    /// The number of slots of a time window.
    pub(crate) time_slots: u32,
}

impl Capacity {
    pub(crate) const NONE: Self = Self { streak: false, count: false, calls: [0; 2], time_slots: 0 };

    /// The longest count window that fits.
    pub(crate) const fn calls(self, slow: bool) -> u32 {
        self.calls[slow as usize]
    }

    /// The capacity of a pair. Two windows of one kind would read one setting and count the same outcomes twice, so
    /// that is an error.
    pub(crate) const fn and(self, other: Self) -> Self {
        assert!(!(self.streak && other.streak), "a pair of windows must be of two different kinds");
        assert!(!(self.count && other.count), "a pair of windows must be of two different kinds");
        assert!(self.time_slots == 0 || other.time_slots == 0, "a pair of windows must be of two different kinds");
        Self {
            streak: self.streak || other.streak,
            count: self.count || other.count,
            calls: [self.calls[0] + other.calls[0], self.calls[1] + other.calls[1]],
            time_slots: self.time_slots + other.time_slots,
        }
    }
}
