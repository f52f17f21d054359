//! The timeline of a run, and the breaker's promises, each checked against the record. Two promises limit how long
//! something takes, and allow many times what it should take.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use microbreaker::{Clock, OpenReason, Outcome, State, StdClock};

use crate::load::{CLIENTS, Call};
use crate::{CLOSES_WITHIN, MINIMUM, PERMILLE, Record, Scene};

/// A promise, what the record shows of it, and what broke it.
#[derive(Debug)]
pub(crate) struct Promise {
    text: &'static str,
    found: String,
    pub(crate) broken: Vec<String>,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.broken.is_empty() { "ok    " } else { "BROKEN" };
        write!(f, "{verdict} {}: {}", self.text, self.found)?;
        self.broken.iter().try_for_each(|fault| write!(f, "\n         {fault}"))
    }
}

/// Prints what was done and what the circuit did, in order, with the calls of each part.
pub(crate) fn timeline(record: &Record) {
    println!("{:?}", record.kind);
    let mut lines: Vec<(Duration, String)> = Vec::new();
    for (number, &(at, scene)) in record.scenes.iter().enumerate() {
        let until = record.scenes.get(number + 1).map_or(Duration::MAX, |next| next.0);
        lines.push((at, format!("{:30} {}", scene.says(), calls_of(record, at, until))));
    }
    for (at, event) in record.breaker.observer().events() {
        let reason = event.reason.map_or(String::new(), |reason| format!(" ({})", reason.name()));
        let lasts =
            event.lasts_ticks.map_or(String::new(), |ticks| format!(" for {:?}", StdClock::RATE.duration_of(ticks)));
        let tally = format!("{} of {} failed", event.tally.failed, event.tally.total);
        lines.push((at, format!("  {} -> {}{reason}{lasts}, {tally}", event.from.name(), event.to.name())));
    }
    lines.sort_by_key(|line| line.0);
    for (at, line) in lines {
        println!("  {:6.2} s  {line}", at.as_secs_f64());
    }
}

/// The calls that ended, and those rejected, in a part of the run.
fn calls_of(record: &Record, from: Duration, until: Duration) -> String {
    let part = from..until;
    let calls = calls(record).filter(|call| part.contains(&call.to));
    let (mut good, mut bad, mut ignored) = (0, 0, 0);
    for call in calls {
        match call.outcome {
            Outcome::Success | Outcome::Alive => good += 1,
            Outcome::Ignored => ignored += 1,
            _ => bad += 1,
        }
    }
    let waits = waits(record, &part);
    let median = match (share(&waits, 50), share(&waits, 99)) {
        (Some(median), Some(most)) => format!(" in {median:?}, 99 % {most:?}"),
        _ => String::new(),
    };
    format!("{good} good, {bad} bad, {ignored} without a connection, {} rejected{median}", waits.len())
}

/// The times from and to which the server was away.
fn outages(record: &Record) -> impl Iterator<Item = (Duration, Duration)> {
    record.scenes.windows(2).filter(|pair| pair[0].1.is_outage()).map(|pair| (pair[0].0, pair[1].0))
}

fn calls(record: &Record) -> impl Iterator<Item = Call> {
    record.diaries.iter().flat_map(|diary| diary.calls.iter().copied())
}

fn rejections(record: &Record) -> impl Iterator<Item = (Duration, Duration)> {
    record.diaries.iter().flat_map(|diary| diary.rejections.iter().copied())
}

/// The times that the rejections in a part of the run took, the shortest first.
fn waits(record: &Record, part: &Range<Duration>) -> Vec<Duration> {
    let mut waits: Vec<Duration> =
        rejections(record).filter(|(at, _)| part.contains(at)).map(|(_, wait)| wait).collect();
    waits.sort_unstable();
    waits
}

/// The wait that `percent` percent of the calls did not exceed.
fn share(waits: &[Duration], percent: usize) -> Option<Duration> {
    waits.get(waits.len() * percent / 100).copied()
}

/// All promises, checked.
pub(crate) fn check(record: &Record) -> Vec<Promise> {
    let mut promises = vec![
        opens(record),
        rejects_at_once(record),
        never_early(record),
        one_probe_at_a_time(record),
        bounded(record),
        closes_in_time(record),
        recovers(record),
    ];
    if record.scenes.iter().any(|(_, scene)| *scene == Scene::Exhausted) {
        promises.push(a_pool_is_no_database(record));
    }
    promises
}

/// Each outage opens the circuit, at the configured tally.
fn opens(record: &Record) -> Promise {
    let mut broken = Vec::new();
    let events = record.breaker.observer().events();
    let trips: Vec<_> =
        events.iter().filter(|(_, event)| event.from == State::Closed && event.to == State::Open).collect();
    for (at, event) in &trips {
        let tally = event.tally;
        if tally.total < MINIMUM
            || tally.failed * 1000 < PERMILLE * tally.total
            || event.reason != Some(OpenReason::Failures)
        {
            broken.push(format!("at {at:?} by {tally:?}"));
        }
        let scene = record.scenes.iter().rev().find(|scene| scene.0 <= *at).map(|scene| scene.1);
        if !scene.is_some_and(Scene::is_outage) {
            broken.push(format!("at {at:?}, while it {}", scene.map_or("?", Scene::says)));
        }
    }
    let outages = outages(record).count();
    if trips.len() != outages {
        broken.push(format!("{} trips in {outages} outages", trips.len()));
    }
    let failed: Vec<String> =
        trips.iter().map(|(_, event)| format!("{} of {}", event.tally.failed, event.tally.total)).collect();
    Promise { text: "each outage opens it, once, at ten or more of twenty", found: failed.join(" and "), broken }
}

/// While the server is away, a rejection takes microseconds. The median is judged, because a busy machine takes the
/// processor away from some calls.
fn rejects_at_once(record: &Record) -> Promise {
    let (mut broken, mut found) = (Vec::new(), Vec::new());
    for (from, until) in outages(record) {
        let median = share(&waits(record, &(from..until)), 50);
        match median {
            Some(median) if median < AT_ONCE => {}
            Some(median) => broken.push(format!("the median is {median:?} from {from:?}, at most {AT_ONCE:?}")),
            None => broken.push(format!("nobody was rejected from {from:?}")),
        }
        found.push(format!("{:?}", median.unwrap_or_default()));
    }
    Promise { text: "who is rejected is told at once, in the median", found: found.join(" and "), broken }
}

/// More than a hundred times what a rejection takes, even in a debug build.
const AT_ONCE: Duration = Duration::from_micros(100);

/// No call is admitted before an open time is over.
fn never_early(record: &Record) -> Promise {
    let mut broken = Vec::new();
    let mut periods = 0;
    let mut events: Vec<_> = record.breaker.observer().events().into_iter().map(|(_, event)| event).collect();
    // Observers may hear of two transitions in the wrong order. There are too few of them for the generation to wrap.
    events.sort_by_key(|event| event.generation);
    for (number, open) in events.iter().enumerate() {
        let Some(ticks) = open.lasts_ticks.filter(|_| open.to == State::Open) else { continue };
        periods += 1;
        // The circuit opened after the last call of the generation before was admitted, and became half-open before the
        // first probe was.
        let of =
            |generation: u32| calls(record).filter(move |call| call.generation == generation).map(|call| call.from);
        let before = if number == 0 { 0 } else { events[number - 1].generation };
        let Some(after) = events.get(number + 1).map(|event| event.generation) else { continue };
        let (Some(before), Some(after)) = (of(before).max(), of(after).min()) else { continue };
        // The length includes the clock's slack, so that a reading that is rounded down ends no open time early.
        if after.saturating_sub(before) < StdClock::RATE.duration_of(ticks - StdClock::SLACK) {
            broken.push(format!("a call at {before:?}, open for {ticks} ticks, a probe at {after:?}"));
        }
    }
    Promise { text: "no open time ends early", found: format!("{periods} open times"), broken }
}

/// Probes of one half-open state do not overlap.
fn one_probe_at_a_time(record: &Record) -> Promise {
    let mut probes: Vec<Call> = calls(record).filter(|call| call.probe).collect();
    probes.sort_by_key(|probe| (probe.generation, probe.from));
    let overlap = |pair: &&[Call]| pair[0].generation == pair[1].generation && pair[1].from < pair[0].to;
    let broken = probes.windows(2).filter(overlap).map(|pair| format!("{pair:?}")).collect();
    Promise { text: "one probe at a time", found: format!("{} probes", probes.len()), broken }
}

/// In an outage no calls fail beyond those that trip the circuit, those in progress at that moment, and the probes.
fn bounded(record: &Record) -> Promise {
    let (mut broken, mut found) = (Vec::new(), Vec::new());
    for (number, &(from, scene)) in record.scenes.iter().enumerate() {
        if !scene.is_outage() {
            continue;
        }
        let until = record.scenes.get(number + 2).map_or(Duration::MAX, |next| next.0);
        let is_bad = |call: &Call| matches!(call.outcome, Outcome::Failure(_));
        let bad = |probe| {
            calls(record).filter(|call| call.probe == probe && is_bad(call) && (from..until).contains(&call.to)).count()
        };
        let (wasted, probes) = (bad(false), bad(true));
        found.push(format!("{wasted} and {probes} probes"));
        // Ten calls must fail in a window of twenty, and each client may have one call in progress.
        let most = 10 + CLIENTS as usize;
        if wasted > most {
            broken.push(format!("{wasted} calls at {from:?}, at most {most}"));
        }
    }
    Promise { text: "an outage costs no more calls than it takes to notice", found: found.join("; "), broken }
}

/// After each outage the circuit closes soon after the server is back, and opens again only a few times before.
fn closes_in_time(record: &Record) -> Promise {
    let (mut broken, mut found) = (Vec::new(), Vec::new());
    let events = record.breaker.observer().events();
    for (from, back) in outages(record) {
        let closed = events.iter().find(|(at, event)| *at >= from && event.to == State::Closed).map(|(at, _)| *at);
        let until = closed.unwrap_or(Duration::MAX);
        let opened = events.iter().filter(|(at, event)| (back..until).contains(at) && event.to == State::Open).count();
        // The server may have been back before the record says so.
        let took = until.saturating_sub(back);
        if took > CLOSES_WITHIN || opened > OPENS_AGAIN {
            broken.push(format!(
                "closed at {closed:?}, opened {opened} times from {back:?}, at most {CLOSES_WITHIN:?} and {OPENS_AGAIN}"
            ));
        }
        found.push(format!("{took:.2?}, opened {opened} times more"));
    }
    Promise { text: "it closes soon after the server is back", found: found.join("; "), broken }
}

/// One for a probe that came too soon, and two for probes that a busy machine made late.
const OPENS_AGAIN: usize = 3;

/// In the end the circuit is closed, no probe is in flight, and calls succeed.
fn recovers(record: &Record) -> Promise {
    let status = record.breaker.status();
    let mut broken = Vec::new();
    if status.state != State::Closed || status.probes_in_flight != 0 {
        broken.push(format!("{status:?}"));
    }
    let last = calls(record).max_by_key(|call| call.to);
    if last.is_none_or(|call| call.outcome != Outcome::Success) {
        broken.push(format!("the last call: {last:?}"));
    }
    let good = calls(record).filter(|call| call.outcome == Outcome::Success).count();
    Promise { text: "closed again, nothing wedged", found: format!("{good} good calls in all"), broken }
}

/// While all connections are taken, callers get none, and the circuit stays closed.
fn a_pool_is_no_database(record: &Record) -> Promise {
    let mut broken = Vec::new();
    let begin = record.scenes.iter().find(|scene| scene.1 == Scene::Exhausted).map_or(Duration::MAX, |scene| scene.0);
    let without = calls(record).filter(|call| call.from >= begin && call.outcome == Outcome::Ignored).count();
    if without == 0 {
        broken.push("nobody went without a connection".to_owned());
    }
    broken.extend(
        record.breaker.observer().events().iter().filter(|(at, _)| *at >= begin).map(|event| format!("{event:?}")),
    );
    Promise {
        text: "an exhausted pool is no dead database",
        found: format!("{without} went without a connection"),
        broken,
    }
}
