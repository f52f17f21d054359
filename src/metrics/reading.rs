//! A reading: what a meter has counted, and the state of its breaker, at one moment.

use core::time::Duration;

use crate::terms::state::State;

pub(super) const STATES: usize = State::ALL.len();
pub(super) const BUCKETS: usize = Latency::BOUNDS.len() + 1;

/// The state of one breaker, or the number of breakers in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum States {
    /// The state of one breaker.
    One(State),
    /// How many breakers of a `Registry` are in each state, by [`State`]'s number.
    Members([u32; STATES]),
}

impl States {
    /// The state, if this is of one breaker.
    pub const fn one(&self) -> Option<State> {
        match *self {
            Self::One(state) => Some(state),
            Self::Members(_) => None,
        }
    }

    /// How many breakers are in `state`.
    pub const fn count(&self, state: State) -> u32 {
        match *self {
            Self::One(one) => (one as u8 == state as u8) as u32,
            Self::Members(counts) => counts[state as usize],
        }
    }
}

/// What a [`Meter`](crate::metrics::Meter) has counted, and the state of its breaker, at one moment.
///
/// Each number is exact and never falls, provided that a reading is taken at least every 2³² calls, and at least every
/// 2³¹ ticks (24 days at 1024 Hz) of an open circuit. If readings come later, a multiple of 2³² calls or ticks is
/// missing, and the open time may stand still until the missing ticks are such a multiple. The numbers are read one
/// after the other while calls go on, the state first, so together they may be torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The breaker's name, or the label of a registry's breakers.
    pub name: &'static str,
    /// The state, or the number of breakers in each state. An open circuit whose time is over still shows as open: it
    /// becomes half-open when a caller asks.
    pub states: States,
    /// Half-open probes in flight.
    pub probes_in_flight: u32,
    /// Calls reported as a success, slow ones included.
    pub success: u64,
    /// Calls reported as a failure.
    pub failure: u64,
    /// Calls reported alive.
    pub alive: u64,
    /// Calls reported as ignored.
    pub ignored: u64,
    /// Permits dropped without a report.
    pub cancelled: u64,
    /// Calls that ended in a hold.
    pub hold: u64,
    /// Calls that ended in a latch.
    pub latch: u64,
    /// Calls, successful or failed, that were slow.
    pub slow: u64,
    /// Calls rejected.
    pub rejected: u64,
    /// Calls admitted in shadow that would have been rejected.
    pub would_reject: u64,
    /// Calls admitted by [`acquire_anyway`](crate::Breaker::acquire_anyway) that would have been rejected.
    pub anyway: u64,
    /// Transitions from each state to each other state, by [`State`]'s number: see [`transitions`](Self::transitions).
    pub transitions: [[u64; STATES]; STATES],
    /// The total time in which the breaker rejected every call: open, latched or forced open. In shadow, it is the time
    /// in which the breaker would have done so. A transition counts from the moment when the thread that made it read
    /// the clock. If that thread was suspended just before, the moment is late by as long.
    pub open: Duration,
    /// The times of calls, if they are [timed](crate::metrics::Meter::timed).
    pub latency: Option<Latency>,
}

impl Reading {
    /// Transitions from one state to another.
    pub const fn transitions(&self, from: State, to: State) -> u64 {
        self.transitions[from as usize][to as usize]
    }
}

/// A histogram of how long calls took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// The number of calls in each bucket. A call is in the bucket of the first of the [`BOUNDS`](Self::BOUNDS) that it
    /// did not exceed; calls that exceeded all bounds are in the last bucket.
    pub buckets: [u64; BUCKETS],
    /// The sum of all times. It may be older than the buckets by one reading.
    pub sum: Duration,
}

impl Latency {
    /// The upper bounds of the buckets, inclusive: 1, 2 and 5 of each decade, from 100 µs to 50 s.
    pub const BOUNDS: [Duration; 18] = {
        let mut bounds = [Duration::ZERO; 18];
        let (mut at, mut micros) = (0, 100);
        while at < bounds.len() {
            bounds[at] = Duration::from_micros(micros);
            bounds[at + 1] = Duration::from_micros(2 * micros);
            bounds[at + 2] = Duration::from_micros(5 * micros);
            (at, micros) = (at + 3, 10 * micros);
        }
        bounds
    };

    pub(super) fn bucket(elapsed: Duration) -> usize {
        Self::BOUNDS.partition_point(|&bound| bound < elapsed)
    }

    /// The number of calls that were timed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time that `permille` thousandths of the calls did not exceed (500: the median). It is interpolated within
    /// its bucket as Prometheus does, so the error is at most the width of the bucket. A time above the last bound is
    /// given as that bound. `None` if no call was timed, or for more than 1000 ‰.
    pub fn quantile(&self, permille: u16) -> Option<Duration> {
        let count = u128::from(self.count());
        if count == 0 || permille > 1000 {
            return None;
        }
        let rank = count * u128::from(permille);
        let (mut below, mut lower) = (0, 0);
        for (&calls, upper) in self.buckets.iter().zip(Self::BOUNDS) {
            let (calls, upper) = (u128::from(calls) * 1000, upper.as_nanos());
            if calls > 0 && below + calls >= rank {
                lower += (upper - lower) * (rank - below) / calls;
                break;
            }
            (below, lower) = (below + calls, upper);
        }
        u64::try_from(lower).ok().map(Duration::from_nanos)
    }
}
