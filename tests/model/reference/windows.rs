//! The windows of the model: queues of outcomes, which are summed and judged anew each time.

use std::collections::VecDeque;

use microbreaker::{OpenReason, WindowKind};

use super::super::settings::Settings;

/// A window's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sums {
    pub(crate) window: WindowKind,
    pub(crate) total: u32,
    pub(crate) failed: u32,
    pub(crate) slow: u32,
}

/// The outcome of a call, as windows and probes count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark {
    pub(super) failed: bool,
    pub(super) slow: bool,
}

/// The assessment of a window's sums: whether they trip, whether the minimum is reached, and the level.
pub(super) struct Opinion {
    pub(super) sums: Sums,
    pub(super) trip: Option<OpenReason>,
    pub(super) ripe: bool,
    pub(super) level: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Window {
    Streak { threshold: u32, run: u32 },
    Count { calls: usize, counts_slow: bool, outcomes: VecDeque<Mark> },
    Time { buckets: u64, bucket: u64, outcomes: VecDeque<(u64, Mark)> },
}

impl Window {
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        let shape = settings.shape;
        let streak = shape.streak.map(|threshold| Self::Streak { threshold: threshold.into(), run: 0 });
        let count = shape.count.map(|calls| Self::Count {
            calls: calls.into(),
            counts_slow: shape.slow,
            outcomes: VecDeque::new(),
        });
        let time = shape.time.map(|(buckets, bucket)| Self::Time {
            buckets: buckets.into(),
            bucket,
            outcomes: VecDeque::new(),
        });
        [streak, count, time].into_iter().flatten().collect()
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Streak { run, .. } => *run = 0,
            Self::Count { outcomes, .. } => outcomes.clear(),
            Self::Time { outcomes, .. } => outcomes.clear(),
        }
    }

    /// Counts one outcome. `true` if this window counts it as failed or slow: then it must be judged.
    pub(super) fn record(&mut self, mut mark: Mark, now: u64) -> bool {
        match self {
            Self::Streak { run, .. } => *run = if mark.failed || mark.slow { *run + 1 } else { 0 },
            Self::Count { calls, counts_slow, outcomes } => {
                mark.slow &= *counts_slow;
                outcomes.push_back(mark);
                if outcomes.len() > *calls {
                    outcomes.pop_front();
                }
            }
            Self::Time { bucket, outcomes, .. } => {
                // Sorted: within a bucket the order of the outcomes makes no difference, so equal windows compare
                // equal.
                let outcome = (now / *bucket, mark);
                let place = outcomes.partition_point(|other| other <= &outcome);
                outcomes.insert(place, outcome);
            }
        }
        mark.failed || mark.slow
    }

    pub(super) fn sums(&self, now: u64) -> Sums {
        match self {
            Self::Streak { run, .. } => Sums { window: WindowKind::Streak, total: *run, failed: *run, slow: 0 },
            Self::Count { outcomes, .. } => sum(WindowKind::Count, outcomes.iter()),
            Self::Time { buckets, bucket, outcomes } => {
                let recent = outcomes.iter().filter(|(index, _)| index + buckets > now / bucket);
                sum(WindowKind::Time, recent.map(|(_, mark)| mark))
            }
        }
    }

    /// Judges the window. `last` is the outcome that was just recorded, `level` the level before it.
    pub(super) fn judge(&self, settings: &Settings, now: u64, last: Mark, level: u8) -> Opinion {
        let sums = self.sums(now);
        if let Self::Streak { threshold, run } = self {
            let reason = if last.failed { OpenReason::Failures } else { OpenReason::Slow };
            return Opinion {
                sums,
                trip: (run >= threshold).then_some(reason),
                ripe: true,
                // A run only grows by one or falls to nothing, so its level needs no memory.
                level: degrade(0, u64::from(*run), u64::from(*threshold)),
            };
        }
        let ripe = sums.total >= settings.minimum();
        let axes = [(sums.failed, settings.failure_permille()), (sums.slow, settings.slow_permille())];
        let level_of = |(part, permille): (u32, Option<u16>)| {
            permille.map_or(0, |share| degrade(level, u64::from(part) * 1000, u64::from(share) * u64::from(sums.total)))
        };
        Opinion {
            sums,
            trip: over_threshold(settings, settings.minimum(), sums),
            ripe,
            level: if ripe { axes.map(level_of).into_iter().max().unwrap_or(0) } else { 0 },
        }
    }
}

fn sum<'a>(window: WindowKind, outcomes: impl Iterator<Item = &'a Mark>) -> Sums {
    let mut sums = Sums { window, total: 0, failed: 0, slow: 0 };
    for mark in outcomes {
        sums.total += 1;
        sums.failed += u32::from(mark.failed);
        sums.slow += u32::from(mark.slow);
    }
    sums
}

/// The reason to open, if there are at least `minimum` calls and a share is reached. Failures come before slow calls.
pub(super) fn over_threshold(settings: &Settings, minimum: u32, sums: Sums) -> Option<OpenReason> {
    let reached = |part: u32, permille: Option<u16>| {
        permille.is_some_and(|share| u64::from(part) * 1000 >= u64::from(share) * u64::from(sums.total))
    };
    if sums.total < minimum {
        None
    } else if reached(sums.failed, settings.failure_permille()) {
        Some(OpenReason::Failures)
    } else if reached(sums.slow, settings.slow_permille()) {
        Some(OpenReason::Slow)
    } else {
        None
    }
}

/// The level that follows `level` if `value` has reached part of `trip`. It rises at each quarter of `trip`, and falls
/// only an eighth below that quarter.
pub(super) fn degrade(mut level: u8, value: u64, trip: u64) -> u8 {
    while level < 3 && value * 4 >= trip * u64::from(level + 1) {
        level += 1;
    }
    while level > 0 && value * 8 < trip * (2 * u64::from(level) - 1) {
        level -= 1;
    }
    level
}
