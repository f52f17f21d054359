//! The breaker's promises, each checked against what was recorded.
//!
//! No check asks how fast anything was: a slow machine breaks no promise. Where a bound is a time, it is one the
//! breaker was configured with, and [`HANDLING`] is all the slack there is.

use std::time::Duration;

use microbreaker::{OpenReason, State, WindowKind};

use crate::record::{Call, End, Move, Outage, Record};
use crate::tuning::{HOLD_AT_MOST, PROBES};
use crate::upstream::Mood;

/// How late the clients and the observer may act on what they could know: threads wait for their turn and timers fire
/// late on a small machine that does other things too. Twice the lateness measured in the run comes on top.
const HANDLING: Duration = Duration::from_millis(100);

/// A tick of the clock, in which periods are counted: rounding up and the slack of the clock add up to one each.
const TICK: Duration = Duration::from_nanos(976_563);

/// A promise, what was found, and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) text: String,
    pub(crate) found: String,
    /// What broke it.
    pub(crate) broken: Vec<String>,
}

impl Promise {
    pub(crate) fn kept(&self) -> bool {
        self.broken.is_empty()
    }
}

/// An outage, as both fleets met it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met {
    pub(crate) outage: Outage,
    /// Bad calls that touched it.
    pub(crate) wasted: u32,
    pub(crate) wasted_without: Option<u32>,
    /// The most that may have been wasted: what it takes to trip, what was under way then, a probe per open period.
    pub(crate) bound: u32,
    /// From its beginning to the circuit's opening.
    pub(crate) opened: Option<Duration>,
    pub(crate) periods: u32,
    /// From the recovery to the circuit's closing.
    pub(crate) closed: Option<Duration>,
    /// The most that may have taken.
    pub(crate) closes_within: Duration,
}

/// Every outage of the script.
pub(crate) fn meet(record: &Record) -> Vec<Met> {
    let ends = record.outages.iter().skip(1).map(|next| next.from).chain([Duration::MAX]);
    record.outages.iter().zip(ends).map(|(outage, until)| meet_one(record, outage, until)).collect()
}

fn meet_one(record: &Record, outage: &Outage, until: Duration) -> Met {
    let tuning = &record.tuning;
    let moves = || record.moves.iter().filter(|step| step.at >= outage.from && step.at < until);
    let wasted = |calls: &[Call]| number(calls.iter().filter(|call| call.is_bad() && call.touches(outage)).count());
    let periods = number(moves().filter(|step| step.opens()).count());
    // One answer that says when to come back is enough.
    let trips_after = if outage.mood == Mood::Limits { 1 } else { tuning.threshold() };
    let closed = moves().find(|step| step.to == State::Closed && step.at >= outage.to).map(|step| step.at);
    // A probe that was under way at the recovery, or that this machine stalled, can end badly after it: the circuit
    // rightly stays open for one period more.
    let last_bad = record
        .with
        .iter()
        .filter(|call| call.probe && call.is_bad() && call.told > outage.to && Some(call.told) <= closed)
        .map(|call| call.told)
        .max()
        .unwrap_or(outage.to);
    let period = moves().filter_map(|step| step.lasts).max().unwrap_or_default();
    Met {
        outage: *outage,
        wasted: wasted(&record.with),
        wasted_without: record.without.as_deref().map(wasted),
        // Each client has one call at a time, and one of them makes the report that trips.
        bound: trips_after + u32::from(tuning.clients) - 1 + periods,
        opened: moves().find(|step| step.opens()).map(|step| step.at.saturating_sub(outage.from)),
        periods,
        closed: closed.map(|at| at.saturating_sub(outage.to)),
        closes_within: last_bad.saturating_sub(outage.to) + period + tuning.probing() + slack(record),
    }
}

fn slack(record: &Record) -> Duration {
    HANDLING + 2 * record.lateness
}

/// All promises; an empty script has none about outages.
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
        text: "wastes per outage <= threshold + in flight + one probe per open period".to_owned(),
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
        text: "closes within one open period of the recovery, and the probes' time".to_owned(),
        found: format!("{} ms", numbers.join(", ")),
        broken: broken(met, late, show),
    }
}

fn broken(met: &[Met], is: impl Fn(&Met) -> bool, how: impl Fn(&Met) -> String) -> Vec<String> {
    met.iter().filter(|met| is(met)).map(|met| format!("{}: {}", met.outage.mood.says(), how(met))).collect()
}

/// From closed, it opens after enough bad calls or on the server's word.
fn opens_for_cause(record: &Record) -> Promise {
    let tuning = &record.tuning;
    // The breaker's own measure of a call begins after ours and ends before ours: what it found slow, we find slow.
    let limited = |call: &Call| matches!(call.end, End::Limited { .. });
    let bad = |call: &Call| !limited(call) && (call.is_bad() || call.took() + 2 * TICK >= tuning.slow_after);
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

/// Each open period has the configured length, lengthened by at most a quarter; a hold the length that was asked for.
fn stays_open(record: &Record) -> Promise {
    let tuning = &record.tuning;
    let asked = |time: Duration| {
        record.with.iter().any(|call| {
            matches!(call.end, End::Limited { retry_after, .. }
            if time >= retry_after.min(HOLD_AT_MOST) && time < retry_after + 2 * TICK)
        })
    };
    let right = |step: &Move| match (step.reason, step.lasts) {
        (Some(OpenReason::Hold), Some(time)) => asked(time),
        // The base is rounded up to a tick; the jitter lengthens whole ticks; the clock's slack is one more.
        (Some(_), Some(time)) => time >= tuning.open_for && time <= tuning.longest_open() + 3 * TICK,
        _ => false,
    };
    let open = || record.moves.iter().filter(|step| step.to == State::Open);
    let wrong_length =
        open().filter(|step| !right(step)).map(|step| format!("{:?} at {:.3?}: {}", step.lasts, step.at, step.why()));
    // Both ends are known only by when the observer was told.
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

/// While it is open no call gets through.
fn lets_nobody_pass(record: &Record) -> Promise {
    // The observer is told of a transition after it was made, so the end of a period is known only to within that.
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
        text: "lets no call through while open".to_owned(),
        found: format!("{} rejected at once", record.rejected),
        broken,
    }
}

/// After the server said when to come back, nobody comes sooner.
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

/// One probe at a time, and few.
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

/// Every transition is told, once: each begins where the last one ended, in the next generation.
fn tells_all(record: &Record) -> Promise {
    let first = record.moves.first().filter(|step| step.from != State::Closed);
    let mut broken: Vec<String> =
        first.map(|step| format!("the first is from {}", step.from.name())).into_iter().collect();
    broken.extend(
        record
            .moves
            .windows(2)
            .filter(|pair| pair[1].from != pair[0].to || pair[1].generation != pair[0].generation + 1)
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

#[cfg(test)]
pub(crate) mod tests {
    use microbreaker::FailureKind;

    use super::*;
    use crate::tuning::Tuning;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn call(at: u64, took: u64, end: End, probe: bool) -> Call {
        Call { asked: ms(at), sent: ms(at), ended: ms(at + took), told: ms(at + took), end, probe }
    }

    fn failed(at: u64) -> Call {
        call(at, 5, End::Failed(FailureKind::Server), false)
    }

    fn step(at: u64, from: State, to: State, generation: u32) -> Move {
        let open = to == State::Open;
        Move {
            at: ms(at),
            from,
            to,
            reason: open.then_some(OpenReason::Failures),
            generation,
            tally: if from == State::HalfOpen { (WindowKind::Probes, 1, 1, 0) } else { (WindowKind::Count, 10, 5, 0) },
            lasts: open.then_some(ms(450)),
        }
    }

    /// Two clients, one outage from 1000 to 2000 ms: tripped at 1055, probed at 1510 (bad) and 1970 (bad), closed
    /// at 2445.
    pub(crate) fn good() -> Record {
        let bad_probe = |at| call(at, 5, End::Failed(FailureKind::Server), true);
        let good_probe = |at| call(at, 5, End::Good, true);
        let with = vec![
            call(900, 4, End::Good, false),
            failed(1000),
            failed(1010),
            failed(1020),
            failed(1030),
            failed(1050),
            bad_probe(1510),
            bad_probe(1970),
            good_probe(2430),
            good_probe(2440),
            call(2460, 4, End::Good, false),
        ];
        Record {
            tuning: Tuning::scripted(2),
            outages: vec![Outage { mood: Mood::Fails, from: ms(999), to: ms(2000) }],
            moves: vec![
                step(1055, State::Closed, State::Open, 1),
                step(1510, State::Open, State::HalfOpen, 2),
                step(1515, State::HalfOpen, State::Open, 3),
                step(1970, State::Open, State::HalfOpen, 4),
                step(1975, State::HalfOpen, State::Open, 5),
                step(2430, State::Open, State::HalfOpen, 6),
                step(2445, State::HalfOpen, State::Closed, 7),
            ],
            with,
            without: Some((100..300).map(|at| failed(at * 10)).collect()),
            rejected: 50,
            most_probes_at_once: Some(1),
            lateness: ms(2),
        }
    }

    /// The promises that a change to the good record breaks.
    fn broken_by(change: impl FnOnce(&mut Record)) -> Vec<String> {
        let mut record = good();
        change(&mut record);
        check(&record).into_iter().filter(|promise| !promise.kept()).map(|promise| promise.text).collect()
    }

    fn breaks(promise: &str, change: impl FnOnce(&mut Record)) {
        let broken = broken_by(change);
        assert!(broken.iter().any(|text| text.starts_with(promise)), "{promise}: {broken:?}");
    }

    #[test]
    fn a_good_record_keeps_them_all() {
        assert_eq!(broken_by(|_| ()), Vec::<String>::new());
        let met = meet(&good());
        assert_eq!((met[0].wasted, met[0].wasted_without, met[0].periods), (7, Some(100), 3));
        assert_eq!((met[0].opened, met[0].closed), (Some(ms(56)), Some(ms(445))));
    }

    #[test]
    fn an_outage_that_never_opens_is_broken() {
        breaks("opens in every", |record| record.moves.clear());
    }

    #[test]
    fn one_wasted_call_too_many_is_broken() {
        // Threshold 5, one in flight, three open periods: nine.
        assert!(broken_by(|record| record.with.extend([failed(1052), failed(1053)])).is_empty());
        breaks("wastes", |record| record.with.extend([failed(1052), failed(1053), failed(1053)]));
    }

    #[test]
    fn a_bad_call_after_the_recovery_is_not_the_outages() {
        let mut record = good();
        record.with.push(call(2001, 200, End::Slow, false));
        assert_eq!(meet(&record)[0].wasted, 7);
    }

    #[test]
    fn closing_late_or_never_is_broken() {
        // 450 ms open, 230 ms of probing, 104 ms of slack: by 2784.
        assert!(broken_by(|record| record.moves[6].at = ms(2784)).is_empty());
        breaks("closes within", |record| record.moves[6].at = ms(2785));
        breaks("closes within", |record| {
            record.moves.pop();
        });
    }

    #[test]
    fn a_probe_that_ends_badly_after_the_recovery_lengthens_it() {
        let late = |record: &mut Record| {
            record.with[7].told = ms(2100);
            record.moves[6].at = ms(2880);
        };
        assert!(broken_by(late).is_empty());
    }

    #[test]
    fn opening_without_cause_is_broken() {
        breaks("opens only after", |record| record.with.retain(|call| call.sent != ms(1030)));
    }

    #[test]
    fn a_period_too_short_or_too_long_is_broken() {
        breaks("stays open", |record| record.moves[0].lasts = Some(ms(399)));
        breaks("stays open", |record| record.moves[0].lasts = Some(ms(504)));
        breaks("stays open", |record| record.moves[0].lasts = None);
        // 450 ms from 1055 ms, with 104 ms of slack: not before 1401.
        assert!(broken_by(|record| record.moves[1].at = ms(1401)).is_empty());
        breaks("stays open", |record| record.moves[1].at = ms(1400));
        breaks("stays open", |record| record.moves[0].reason = Some(OpenReason::Hold));
    }

    #[test]
    fn a_call_while_open_is_broken() {
        breaks("lets no call", |record| record.with.push(call(1200, 5, End::Good, false)));
    }

    #[test]
    fn a_call_before_retry_after_is_broken() {
        let held = |at, held| call(at, 5, End::Limited { retry_after: ms(1000), held }, false);
        assert!(broken_by(|record| record.with.extend([held(3000, true), call(4005, 5, End::Good, false)])).is_empty());
        breaks("sends nothing", |record| record.with.extend([held(3000, true), call(4003, 5, End::Good, false)]));
        // Its report came too late to hold anything: the circuit had moved on.
        assert!(
            broken_by(|record| record.with.extend([held(3000, false), call(3500, 5, End::Good, false)])).is_empty()
        );
    }

    #[test]
    fn a_wave_of_probes_is_broken() {
        breaks("probes one", |record| record.most_probes_at_once = Some(2));
        breaks("probes one", |record| record.with[8].ended = ms(2441));
        breaks("probes one", |record| record.moves[2].tally = (WindowKind::Probes, 3, 1, 0));
        breaks("probes one", |record| {
            record.moves.remove(3);
            record.with.extend([call(2470, 1, End::Good, true), call(2480, 1, End::Good, true)]);
        });
    }

    #[test]
    fn a_transition_told_twice_or_not_at_all_is_broken() {
        breaks("tells every", |record| {
            record.moves.remove(2);
        });
        breaks("tells every", |record| {
            let twice = record.moves[2];
            record.moves.insert(2, twice);
        });
        breaks("tells every", |record| {
            record.moves.remove(0);
        });
    }
}
