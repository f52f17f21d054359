//! Judging sums: which threshold they reach, and how far they are on the way to it.

use crate::clock::Clock;
use crate::config::source::{Limits, Source};
use crate::machine::scope::Scope;
use crate::machine::share::is_share;
use crate::terms::state::OpenReason;
use crate::terms::tally::Tally;

/// An assessment of a window's sums.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assessment {
    pub(crate) tally: Tally,
    /// The limits by which the sums were judged.
    pub(crate) limits: Limits,
    pub(crate) trip: Option<OpenReason>,
    /// Whether the minimum of calls is reached.
    pub(crate) minimum_reached: bool,
    pub(crate) level: u8,
}

/// The threshold that the sums reach, if any; the failure threshold comes first.
pub(crate) fn over_threshold<const MANY: bool>(limits: Limits, tally: Tally) -> Option<OpenReason> {
    // The minimum is at least 1, so the shares below are shares of at least one call.
    if tally.total < limits.minimum() {
        None
    } else if is_share::<MANY>(tally.failed, tally.total, limits.failure(), 8) {
        Some(OpenReason::Failures)
    } else if is_share::<MANY>(tally.slow, tally.total, limits.slow(), 8) {
        Some(OpenReason::Slow)
    } else {
        None
    }
}

/// The assessment of sums by shares.
pub(crate) fn judge_shares<const MANY: bool, S: Source, C: Clock>(scope: &Scope<'_, S, C>, tally: Tally) -> Assessment {
    let limits = scope.limits();
    let minimum_reached = tally.total >= limits.minimum();
    let is_at = |eighths: u32| {
        minimum_reached
            && (is_share::<MANY>(tally.failed, tally.total, limits.failure(), eighths)
                || is_share::<MANY>(tally.slow, tally.total, limits.slow(), eighths))
    };
    let level = scope.level_by(|| degradation(scope.level, is_at));
    Assessment { tally, limits, trip: over_threshold::<MANY>(limits, tally), minimum_reached, level }
}

/// The level on the way to a threshold, coming from `level`, if `is_at` says how many eighths of the way are reached. The level
/// rises at each quarter, and falls only an eighth below the quarter at which it rose, so that it does not flap around a
/// quarter.
pub(crate) fn degradation(level: u8, is_at: impl Fn(u32) -> bool) -> u8 {
    let mut new = 3_u8;
    while new > 0 && !is_at(u32::from(if new > level { 2 * new } else { 2 * new - 1 })) {
        new -= 1;
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::config::Config;
    use crate::config::capacity::Capacity;
    use crate::config::live::Live;
    use crate::config::source::Source;
    use crate::terms::tally::WindowKind;

    #[test]
    fn levels_rise_at_quarters_and_fall_an_eighth_below() {
        let path = [(24, 0), (25, 1), (49, 1), (50, 2), (38, 2), (37, 1), (75, 3), (63, 3), (62, 2), (13, 1), (12, 0)];
        let mut level = 0;
        for (value, expected) in path {
            level = degradation(level, |eighths| value * 8 >= 100 * eighths);
            assert_eq!(level, expected, "at {value}");
        }
    }

    #[test]
    fn shares_of_billions_of_calls_do_not_overflow() {
        let limits = Config::count(100)
            .minimum(1)
            .failure_permille(500)
            .words(&ManualClock::RATE, Capacity { count: true, calls: [1023; 2], ..Capacity::NONE });
        let live = Live::new(&limits.unwrap());
        let tally = |failed| Tally { window: WindowKind::Time, total: u32::MAX, failed, slow: 0 };
        assert_eq!(over_threshold::<true>(live.limits::<ManualClock>(), tally(u32::MAX / 2)), None);
        assert_eq!(
            over_threshold::<true>(live.limits::<ManualClock>(), tally(u32::MAX / 2 + 1)),
            Some(OpenReason::Failures)
        );
        assert_eq!(over_threshold::<true>(live.limits::<ManualClock>(), tally(u32::MAX)), Some(OpenReason::Failures));
    }
}
