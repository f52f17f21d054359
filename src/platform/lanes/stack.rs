//! The lane of a thread by the address of its stack: needs no thread-local, so it works in `no_std`.

/// The lane that this thread should write to.
///
/// The address of a local says which stack we run on. Stacks are 64 KiB apart or more where there are many; on one
/// stack everything maps to one lane.
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
