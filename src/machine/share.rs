//! Whether a share is reached.

/// Whether `part` of `total` is at least `permille`, if that is not 0. Shares are compared by cross multiplication in 64
/// bits, so nothing is divided and nothing overflows.
pub(crate) fn is_share(part: u32, total: u32, permille: u32) -> bool {
    permille > 0 && u64::from(part) * 1000 >= u64::from(permille) * u64::from(total)
}
