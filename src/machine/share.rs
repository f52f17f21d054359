//! Whether a share is reached.

/// Whether `part` of `total` is at least so many eighths of `permille`, if that is not 0.
///
/// By cross multiplication, so nothing is divided. `MANY`: there may be more than 1023 calls, so the products take 64 bits,
/// which on a small core are calls of a library.
#[inline(always)]
pub(crate) fn is_share<const MANY: bool>(part: u32, total: u32, permille: u32, eighths: u32) -> bool {
    permille > 0
        && if MANY {
            u64::from(part) * 8000 >= u64::from(total) * u64::from(permille * eighths)
        } else {
            part * 8000 >= total * permille * eighths
        }
}
