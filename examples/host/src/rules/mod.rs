//! The breaker's promises, each checked against the record.
//!
//! No check asks how fast anything was, so a slow machine breaks no promise. If a bound is a time, it comes from the
//! breaker's settings. The only slack is [`HANDLING`] and twice the lateness that was measured in the run.

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use microbreaker::{OpenReason, State, WindowKind};

use crate::record::{Call, End, Move, Outage, Record};
use crate::tuning::{HOLD_AT_MOST, PROBES};
use crate::upstream::Mood;

/// How late the clients and the observer may act on what has happened. On a small machine that does other things too,
/// threads wait for their turn and timers fire late. Twice the lateness that was measured in the run is added.
const HANDLING: Duration = Duration::from_millis(100);

/// A tick of the clock. Periods are counted in ticks: rounding up adds at most one, and so does the slack of the clock.
const TICK: Duration = Duration::from_nanos(976_563);

/// A promise, and what the record shows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) text: String,
    pub(crate) found: String,
    /// What broke it. If there is nothing, it was kept.
    pub(crate) broken: Vec<String>,
}

impl Promise {
    pub(crate) fn kept(&self) -> bool {
        self.broken.is_empty()
    }
}

/// What both fleets saw of an outage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met {
    pub(crate) outage: Outage,
    /// Wasted calls that touched it.
    pub(crate) wasted: u32,
    pub(crate) wasted_without: Option<u32>,
    /// How many may be wasted: enough to open the circuit, those under way then, and a probe for each open period.
    pub(crate) bound: u32,
    /// The time from its beginning to the opening of the circuit.
    pub(crate) opened: Option<Duration>,
    pub(crate) periods: u32,
    /// The time from the recovery to the closing of the circuit.
    pub(crate) closed: Option<Duration>,
    /// How long that may take.
    pub(crate) closes_within: Duration,
    /// Good answers to calls that were sent between the recovery and the closing. With a breaker these are probes.
    pub(crate) recovering: u32,
    /// The good answers that the fleet without a breaker got in the same time.
    pub(crate) recovering_without: Option<u32>,
}

/// All outages of the script.
pub(crate) fn meet(record: &Record) -> Vec<Met> {
    let ends = record.outages.iter().skip(1).map(|next| next.from).chain([Duration::MAX]);
    record.outages.iter().zip(ends).map(|(outage, until)| meet_one(record, outage, until)).collect()
}

fn meet_one(record: &Record, outage: &Outage, until: Duration) -> Met {
    let tuning = &record.tuning;
    let moves = || record.moves.iter().filter(|step| step.at >= outage.from && step.at < until);
    let wasted = |calls: &[Call]| number(calls.iter().filter(|call| call.is_wasted() && call.touches(outage)).count());
    let periods = number(moves().filter(|step| step.opens()).count());
    // One answer with a Retry-After is enough to open the circuit.
    let trips_after = if outage.mood == Mood::Limits { 1 } else { tuning.threshold() };
    let closed = moves().find(|step| step.to == State::Closed && step.at >= outage.to).map(|step| step.at);
    // A probe may fail after the recovery: it was under way then, or this machine stalled. The circuit then rightly
    // stays open for one more period.
    let last_bad = record
        .with
        .iter()
        .filter(|call| call.probe && call.is_wasted() && call.told > outage.to && Some(call.told) <= closed)
        .map(|call| call.told)
        .max()
        .unwrap_or(outage.to);
    let period = moves().filter_map(|step| step.lasts).max().unwrap_or_default();
    let recovered = outage.to..closed.unwrap_or(until);
    let recovering = |calls: &[Call]| {
        number(calls.iter().filter(|call| !call.is_wasted() && recovered.contains(&call.sent)).count())
    };
    Met {
        outage: *outage,
        wasted: wasted(&record.with),
        wasted_without: record.without.as_deref().map(wasted),
        // Each client has one call at a time, and the call of one of them opens the circuit.
        bound: trips_after + u32::from(tuning.clients) - 1 + periods,
        opened: moves().find(|step| step.opens()).map(|step| step.at.saturating_sub(outage.from)),
        periods,
        closed: closed.map(|at| at.saturating_sub(outage.to)),
        closes_within: last_bad.saturating_sub(outage.to) + period + tuning.probing() + slack(record),
        recovering: recovering(&record.with),
        recovering_without: record.without.as_deref().map(recovering),
    }
}

fn slack(record: &Record) -> Duration {
    HANDLING + 2 * record.lateness
}

/// All promises. Without a script there are none about outages.
pub(crate) fn check(record: &Record) -> Vec<Promise> {
    let met = meet(record);
    let mut promises = Vec::new();
    if !met.is_empty() {
        promises.extend([opens(&met), wastes_little(&met), closes(&met)]);
    }
    promises.extend([
        opens_for_cause(record),
        stays_open(record),
        lets_nobody_pass(record),
        obeys_the_server(record),
        probes_gently(record),
        tells_all(record),
    ]);
    promises
}

fn opens(met: &[Met]) -> Promise {
    Promise {
        text: "opens in every outage".to_owned(),
        found: format!("{} of {}", met.iter().filter(|met| met.opened.is_some()).count(), met.len()),
        broken: broken(met, |met| met.opened.is_none(), |_| "never opened".to_owned()),
    }
}

fn wastes_little(met: &[Met]) -> Promise {
    let numbers: Vec<_> = met.iter().map(|met| format!("{} <= {}", met.wasted, met.bound)).collect();
    Promise {
        text: "wastes per outage <= threshold + calls under way + one probe per open period".to_owned(),
        found: numbers.join(", "),
        broken: broken(
            met,
            |met| met.wasted > met.bound,
            |met| format!("{} wasted in {} open periods, bound {}", met.wasted, met.periods, met.bound),
        ),
    }
}

fn closes(met: &[Met]) -> Promise {
    let show = |met: &Met| match met.closed {
        Some(time) => format!("{} <= {}", time.as_millis(), met.closes_within.as_millis()),
        None => format!("never <= {}", met.closes_within.as_millis()),
    };
    let numbers: Vec<_> = met.iter().map(show).collect();
    let late = |met: &Met| met.closed.is_none_or(|time| time > met.closes_within);
    Promise {
        text: "closes within one open period of the recovery, plus the time of the probes".to_owned(),
        found: format!("{} ms", numbers.join(", ")),
        broken: broken(met, late, show),
    }
}

fn broken(met: &[Met], is: impl Fn(&Met) -> bool, how: impl Fn(&Met) -> String) -> Vec<String> {
    met.iter().filter(|met| is(met)).map(|met| format!("{}: {}", met.outage.mood.says(), how(met))).collect()
}

/// A closed circuit opens after enough failed or slow calls, or when the server says so by a Retry-After.
fn opens_for_cause(record: &Record) -> Promise {
    let tuning = &record.tuning;
    // The breaker starts to measure a call after us and stops before us. So if it found a call slow, we find it slow.
    let limited = |call: &Call| matches!(call.end, End::Limited { .. });
    let bad = |call: &Call| !limited(call) && (call.is_wasted() || call.took() + 2 * TICK >= tuning.slow_after);
    let mut since = Duration::ZERO;
    let mut broken = Vec::new();
    let mut openings = 0;
    for step in &record.moves {
        match step.to {
            State::HalfOpen => since = step.at,
            State::Open if step.from == State::Closed => {
                openings += 1;
                let within = |call: &&Call| call.ended >= since && call.ended <= step.at;
                let (found, needed) = if step.reason == Some(OpenReason::Hold) {
                    (record.with.iter().filter(within).filter(|call| limited(call)).count(), 1)
                } else {
                    (record.with.iter().filter(within).filter(|call| bad(call)).count(), tuning.threshold())
                };
                if number(found) < needed {
                    broken.push(format!("{} at {:.3?} after {found} bad calls, not {needed}", step.why(), step.at));
                }
            }
            _ => {}
        }
    }
    Promise {
        text: format!("opens only after {} bad calls, or on Retry-After", tuning.threshold()),
        found: format!("{openings} times"),
        broken,
    }
}

/// Each open period has the configured length plus at most a quarter. A hold has the length that the server asked for, or
/// what was left of a longer period that it found.
fn stays_open(record: &Record) -> Promise {
    let tuning = &record.tuning;
    let asked = |time: Duration| {
        record.with.iter().any(|call| {
            matches!(call.end, End::Limited { retry_after, .. }
            if time >= retry_after.min(HOLD_AT_MOST) && time < retry_after + 3 * TICK)
        })
    };
    let right = |step: &Move| match (step.reason, step.lasts) {
        (Some(OpenReason::Hold), Some(time)) if step.from == State::Open => {
            asked(time) || time <= tuning.longest_open() + 6 * TICK
        }
        (Some(OpenReason::Hold), Some(time)) => asked(time),
        // The base is rounded up to a tick, and the jitter adds whole ticks. The slack of the clock is one more, and so is the
        // parity of a deadline.
        (Some(_), Some(time)) => time >= tuning.open_for && time <= tuning.longest_open() + 4 * TICK,
        _ => false,
    };
    let open = || record.moves.iter().filter(|step| step.to == State::Open);
    let wrong_length =
        open().filter(|step| !right(step)).map(|step| format!("{:?} at {:.3?}: {}", step.lasts, step.at, step.why()));
    // Of both ends we know only when the observer heard of them.
    let slack = slack(record);
    let cut_short = record
        .moves
        .windows(2)
        .filter(|pair| pair[1].to == State::HalfOpen)
        .filter(|pair| pair[0].lasts.is_none_or(|time| pair[1].at + slack < pair[0].at + time))
        .map(|pair| format!("{:?} at {:.3?} was over at {:.3?}", pair[0].lasts, pair[0].at, pair[1].at));
    Promise {
        text: format!(
            "stays open {} to {} ms, or as long as Retry-After says",
            tuning.open_for.as_millis(),
            tuning.longest_open().as_millis()
        ),
        found: format!("{} periods", open().filter(|step| step.opens()).count()),
        broken: wrong_length.chain(cut_short).collect(),
    }
}

/// No call gets through while the circuit is open.
fn lets_nobody_pass(record: &Record) -> Promise {
    // The observer hears of a transition after it was made, so the end of a period is known only to within the slack.
    let slack = slack(record);
    let mut broken = Vec::new();
    for pair in record.moves.windows(2) {
        let (open, next) = (&pair[0], &pair[1]);
        if open.to != State::Open {
            continue;
        }
        let passed = |call: &&Call| call.asked >= open.at && call.sent + slack < next.at;
        broken.extend(record.with.iter().filter(passed).map(|call| format!("a call at {:.3?}", call.sent)));
    }
    Promise {
        text: "lets no call through while it is open".to_owned(),
        found: format!("{} rejected at once", record.rejected),
        broken,
    }
}

/// After the server has said when to come back, no client comes sooner.
fn obeys_the_server(record: &Record) -> Promise {
    let mut broken = Vec::new();
    let mut holds = 0;
    for turned_away in &record.with {
        let End::Limited { retry_after, held: true } = turned_away.end else { continue };
        holds += 1;
        let until = turned_away.ended + retry_after.min(HOLD_AT_MOST);
        let early = |call: &&Call| call.asked >= turned_away.told && call.sent < until;
        broken.extend(record.with.iter().filter(early).map(|call| {
            format!("a call at {:.3?}, told at {:.3?} to wait {retry_after:?}", call.sent, turned_away.ended)
        }));
    }
    Promise {
        text: "sends nothing before a Retry-After is over".to_owned(),
        found: format!("{holds} answers with one"),
        broken,
    }
}

/// Probes go out one at a time, and few of them.
fn probes_gently(record: &Record) -> Promise {
    let mut probes: Vec<&Call> = record.with.iter().filter(|call| call.probe).collect();
    probes.sort_by_key(|call| call.sent);
    let half_open = record.moves.iter().filter(|step| step.to == State::HalfOpen).count();
    let mut broken: Vec<String> = probes
        .windows(2)
        .filter(|pair| pair[1].sent < pair[0].ended)
        .map(|pair| format!("two at once at {:.3?}", pair[1].sent))
        .collect();
    if probes.len() > half_open * usize::from(PROBES) {
        broken.push(format!("{} probes in {half_open} half-open states", probes.len()));
    }
    broken.extend(
        record
            .moves
            .iter()
            .filter(|step| matches!(step.tally, (WindowKind::Probes, total, ..) if total > u32::from(PROBES)))
            .map(|step| format!("a verdict at {:.3?} over {} probes", step.at, step.tally.1)),
    );
    if let Some(most) = record.most_probes_at_once.filter(|&most| most > 1) {
        broken.push(format!("the server saw {most} at once"));
    }
    Promise {
        text: format!("probes one at a time, at most {PROBES} per half-open state"),
        found: format!("{} probes, {half_open} half-open states", probes.len()),
        broken,
    }
}

/// The observer hears of every transition once: each begins in the state in which the last one ended, and its
/// generation is one, two or three further.
fn tells_all(record: &Record) -> Promise {
    let first = record.moves.first().filter(|step| step.from != State::Closed);
    let mut broken: Vec<String> =
        first.map(|step| format!("the first is from {}", step.from.name())).into_iter().collect();
    broken.extend(
        record
            .moves
            .windows(2)
            .filter(|pair| {
                let further = pair[1].generation.wrapping_sub(pair[0].generation);
                pair[1].from != pair[0].to || !(1..=3).contains(&further)
            })
            .map(|pair| {
                format!(
                    "{} {} is followed by {} from {}",
                    pair[0].generation,
                    pair[0].to.name(),
                    pair[1].generation,
                    pair[1].from.name()
                )
            }),
    );
    Promise { text: "tells every transition once".to_owned(), found: format!("{} in all", record.moves.len()), broken }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
