//! Interleaved rounds: each round runs each case once. If something slows the machine for a while, it slows all cases.
//! Ratios are taken within a round.

use std::time::Duration;

/// Something to measure: `run` makes as many calls as it is told and returns how long they took.
pub struct Case<'a> {
    pub name: String,
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
}

impl<'a> Case<'a> {
    pub fn new(name: impl Into<String>, run: impl FnMut(u64) -> Duration + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub rounds: usize,
    /// How long one case runs in a round.
    pub slice: Duration,
}

impl Plan {
    pub const FULL: Self = Self { rounds: 31, slice: Duration::from_millis(10) };
    /// A plan that only shows that everything runs; its figures mean nothing.
    pub const SMOKE: Self = Self { rounds: 1, slice: Duration::from_micros(1) };
}

/// Nanoseconds per call: `[case][round]`.
pub fn rounds(plan: Plan, cases: &mut [Case]) -> Vec<Vec<f64>> {
    let calls: Vec<u64> = cases.iter_mut().map(|case| calls_in(plan.slice, case)).collect();
    let mut times = vec![Vec::with_capacity(plan.rounds); cases.len()];
    for round in 0..plan.rounds {
        // Each round begins with another case, so no case always follows the same one.
        for i in 0..cases.len() {
            let at = (i + round) % cases.len();
            let time = (cases[at].run)(calls[at]);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            times[at].push(time.as_nanos() as f64 / calls[at] as f64);
        }
    }
    times
}

/// How many calls take about as long as `slice`.
fn calls_in(slice: Duration, case: &mut Case) -> u64 {
    let mut calls = 64;
    loop {
        let time = (case.run)(calls);
        if time * 2 >= slice {
            let nanos = time.as_nanos().max(1);
            return u64::try_from(u128::from(calls) * slice.as_nanos() / nanos).unwrap_or(calls).max(64);
        }
        calls *= 2;
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The median of the ratios of each round.
pub fn ratio(ours: &[f64], floor: &[f64]) -> f64 {
    median(&ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect::<Vec<_>>())
}
