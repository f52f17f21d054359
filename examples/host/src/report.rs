//! The end of a run: one table, what it means, and the promises.

use std::fmt::Write as _;
use std::time::Duration;

use crate::record::{Call, End, Record};
use crate::rules::{Met, Promise, meet};
use crate::tuning::PROBES;

/// Both fleets side by side. What the breaker is for comes first: calls wasted on a dead upstream, and time waited for
/// them.
pub(crate) fn table(record: &Record) -> String {
    let met = meet(record);
    let with = Column::new(&record.with);
    let without = record.without.as_deref().map(Column::new);
    let both =
        |text: &str, of: fn(&Column) -> String| [text.to_owned(), of(&with), without.as_ref().map_or_else(dash, of)];
    let only = |text: &str, cell: String| [text.to_owned(), cell, dash()];
    let pair =
        |text: String, with: u64, without: Option<u64>| [text, grouped(with), without.map_or_else(dash, grouped)];

    let mut rows = vec![[String::new(), "with breaker".to_owned(), "without".to_owned()]];
    rows.push(both("calls wasted", |side| grouped(side.wasted)));
    rows.extend(met.iter().map(|met| {
        let text = format!("  upstream {}", met.outage.mood.says());
        pair(text, met.wasted.into(), met.wasted_without.map(u64::from))
    }));
    let outside = |all: u64, of: fn(&Met) -> u32| all.saturating_sub(met.iter().map(|met| u64::from(of(met))).sum());
    let with_outside = outside(with.wasted, |met| met.wasted);
    let without_outside = without.as_ref().map(|side| outside(side.wasted, |met| met.wasted_without.unwrap_or(0)));
    if !met.is_empty() && (with_outside > 0 || without_outside.is_some_and(|calls| calls > 0)) {
        rows.push(pair("  upstream serves".to_owned(), with_outside, without_outside));
    }
    rows.push(both("time waited for them", |side| length(side.waited)));
    rows.push(both("calls answered well", |side| grouped(side.answered)));
    if !met.is_empty() {
        let cost = Cost::of(&met);
        rows.push(pair("  between recovery and closing".to_owned(), cost.with, cost.without));
    }
    rows.push(only("calls rejected at once", grouped(u64::from(record.rejected))));
    rows.push(both("latency of calls sent, p50", |side| length(side.percentile(50))));
    rows.push(both("  p95", |side| length(side.percentile(95))));
    rows.push(both("  p99", |side| length(side.percentile(99))));
    if !met.is_empty() {
        let span = |times: Option<(Duration, Duration)>| {
            times.map_or_else(dash, |(least, most)| format!("{} to {}", length(least), length(most)))
        };
        rows.push(only("from fault to open", span(range(met.iter().filter_map(|met| met.opened)))));
        rows.push(only("from recovery to closed", span(closings(&met))));
    }
    rows.push(only("open periods", grouped(count(record.moves.iter().filter(|step| step.opens())))));
    rows.push(only("probes sent", grouped(count(record.with.iter().filter(|call| call.probe)))));
    format!("\n{}", aligned(&rows))
}

/// What the table shows, in sentences: what a wasted call is, what the breaker saved, and what it cost.
pub(crate) fn story(record: &Record) -> String {
    let slow_after = record.tuning.slow_after.as_millis();
    let mut texts = vec![format!("A wasted call failed, was turned away, or took longer than {slow_after} ms.")];
    if let Some(without) = record.without.as_deref() {
        texts.extend(saved_and_cost(record, without));
    }
    format!("\n{}", wrapped(&texts))
}

fn saved_and_cost(record: &Record, without: &[Call]) -> Vec<String> {
    let met = meet(record);
    let slow = |calls: &[Call]| count(calls.iter().filter(|call| call.end == End::Slow));
    let (slow, slow_without) = (slow(&record.with), slow(without));
    let (with, without) = (Column::new(&record.with), Column::new(without));
    let mut texts = vec![format!(
        "The breaker avoided {} of {} wasted calls, and {} of the {} that callers waited for them.",
        grouped(without.wasted.saturating_sub(with.wasted)),
        grouped(without.wasted),
        length(without.waited.saturating_sub(with.waited)),
        length(without.waited)
    )];
    let cost = without.answered.saturating_sub(with.answered);
    if cost == 0 {
        texts.push("It cost no good calls in this run.".to_owned());
    } else {
        #[expect(clippy::cast_precision_loss, reason = "a share for a person")]
        let percent = cost as f64 * 100.0 / without.answered as f64;
        let (cost, answered, outages) = (grouped(cost), grouped(without.answered), met.len());
        texts.push(format!(
            "It cost {cost} of {answered} good calls ({percent:.1} %), in a script with an outage every few seconds, \
             {outages} in all."
        ));
    }
    if let Some((least, most)) = closings(&met) {
        let cost = Cost::of(&met);
        let (least, most) = (length(least), length(most));
        let (answered, answered_without) = (grouped(cost.with), grouped(cost.without.unwrap_or(0)));
        texts.push(format!(
            "The cost arises after each recovery: the circuit stays open until its period is over and {PROBES} probes \
             have succeeded, here for {least} to {most}. In that time the upstream answered {answered_without} calls \
             without the breaker and {answered} with it. A shorter open period costs less and wastes more probes."
        ));
    }
    if slow_without > slow {
        let (slow, slow_without) = (grouped(slow), grouped(slow_without));
        texts.push(format!(
            "Slow answers count as wasted: there were {slow_without} without the breaker and {slow} with it. If your \
             callers can use a slow answer, set a higher limit."
        ));
    }
    texts
}

/// Each text on lines of at most 78 characters.
fn wrapped(texts: &[String]) -> String {
    let mut all = String::new();
    for text in texts {
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 78 {
                let _ = writeln!(all, "{line}");
                line.clear();
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let _ = writeln!(all, "{line}");
    }
    all
}

/// Good answers to calls that were sent between a recovery and the closing of the circuit. Their difference is the cost
/// of opening.
struct Cost {
    with: u64,
    without: Option<u64>,
}

impl Cost {
    fn of(met: &[Met]) -> Self {
        Self {
            with: met.iter().map(|met| u64::from(met.recovering)).sum(),
            without: met.iter().map(|met| met.recovering_without.map(u64::from)).sum(),
        }
    }
}

fn closings(met: &[Met]) -> Option<(Duration, Duration)> {
    range(met.iter().filter_map(|met| met.closed))
}

/// Each promise on a line of its own, and below it what broke it.
pub(crate) fn promises(promises: &[Promise], in_time: bool) -> String {
    let mut text = String::from("\nWhat the breaker promises, and what the run shows:\n");
    for promise in promises {
        let word = if promise.kept() { "kept  " } else { "BROKEN" };
        // A long list of numbers gets a line of its own, so that no terminal breaks it.
        let apart = if promise.text.len() + promise.found.len() > 68 { "\n          " } else { " " };
        let _ = writeln!(text, "{word}  {}:{apart}{}", promise.text, promise.found);
        for how in promise.broken.iter().take(5) {
            let _ = writeln!(text, "          {how}");
        }
        if promise.broken.len() > 5 {
            let _ = writeln!(text, "          and {} more", promise.broken.len() - 5);
        }
    }
    if !in_time {
        text.push_str("BROKEN  ends within 30 s\n");
    }
    text
}

/// What a column of the table is made of.
struct Column {
    wasted: u64,
    /// For the wasted calls.
    waited: Duration,
    answered: u64,
    /// Of all calls, sorted.
    took: Vec<Duration>,
}

impl Column {
    fn new(calls: &[Call]) -> Self {
        let mut took: Vec<Duration> = calls.iter().map(Call::took).collect();
        took.sort_unstable();
        let wasted = || calls.iter().filter(|call| call.is_wasted());
        let waited = wasted().map(Call::took).sum();
        Self { wasted: count(wasted()), waited, answered: count(calls.iter()) - count(wasted()), took }
    }

    /// The least value that `percent` of the calls did not exceed, by nearest rank. Zero if there were no calls.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.took.len() * percent).div_ceil(100);
        self.took.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

fn range(times: impl Iterator<Item = Duration>) -> Option<(Duration, Duration)> {
    times.fold(None, |range, time| {
        let (least, most) = range.unwrap_or((time, time));
        Some((least.min(time), most.max(time)))
    })
}

fn count<T>(things: impl Iterator<Item = T>) -> u64 {
    u64::try_from(things.count()).unwrap_or(u64::MAX)
}

fn dash() -> String {
    "-".to_owned()
}

/// A number as "12 345".
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A time as "4.2 ms" or "1.25 s".
pub(crate) fn length(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// The rows as text: the first column to the left, the others to the right, and a rule below the head.
pub(crate) fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let _ = if column == 0 { write!(text, "{cell:<width$}") } else { write!(text, "  {cell:>width$}") };
        }
        text.push('\n');
        if at == 0 {
            let _ = writeln!(text, "{}", "-".repeat(widths.iter().sum::<usize>() + 2 * (COLUMNS - 1)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::good;

    #[test]
    fn numbers_read_well() {
        let shown = [0, 999, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1 000", "12 345", "1 234 567"]);
        assert_eq!(length(Duration::from_micros(4_240)), "4.2 ms");
        assert_eq!(length(Duration::from_millis(1_250)), "1.25 s");
    }

    #[test]
    fn percentiles_are_exact() {
        let calls: Vec<Call> = (1..=200)
            .rev()
            .map(|millis| {
                let told = Duration::from_millis(millis);
                Call { asked: Duration::ZERO, sent: Duration::ZERO, ended: told, told, end: End::Good, probe: false }
            })
            .collect();
        let column = Column::new(&calls);
        let shown = [50, 95, 99, 100].map(|percent| column.percentile(percent).as_millis());
        assert_eq!(shown, [100, 190, 198, 200]);
        assert_eq!(Column::new(&[]).percentile(99), Duration::ZERO);
        assert_eq!(Column::new(&calls[..1]).percentile(1).as_millis(), 200);
    }

    #[test]
    fn the_table_is_aligned_and_counts() {
        let text = table(&good());
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert!(lines.iter().all(|line| line.chars().count() == lines[0].chars().count()), "{text}");
        let row = |name: &str| lines.iter().find(|line| line.starts_with(name)).copied().unwrap_or_default();
        let cells =
            |name: &str| row(name).strip_prefix(name).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
        assert_eq!(cells("calls wasted"), ["7", "200"]);
        assert_eq!(cells("  upstream answers 500"), ["7", "100"]);
        assert_eq!(cells("  upstream serves"), ["0", "100"]);
        assert_eq!(cells("time waited for them"), ["35.0", "ms", "1.00", "s"]);
        assert_eq!(cells("calls answered well"), ["4", "0"]);
        assert_eq!(cells("  between recovery and closing"), ["2", "0"]);
        assert_eq!(cells("calls rejected at once"), ["50", "-"]);
        assert_eq!(cells("probes sent"), ["4", "-"]);
        assert_eq!(cells("from recovery to closed"), ["445.0", "ms", "to", "445.0", "ms", "-"]);
    }

    #[test]
    fn without_a_script_there_is_one_column() {
        let mut record = good();
        record.outages.clear();
        record.without = None;
        let text = table(&record);
        assert!(text.contains("calls wasted") && !text.contains("from fault to open"), "{text}");
        assert!(!text.contains("  upstream"), "{text}");
        assert_eq!(story(&record), "\nA wasted call failed, was turned away, or took longer than 90 ms.\n");
    }

    #[test]
    fn the_story_says_what_the_breaker_saved_and_what_it_cost() {
        let mut record = good();
        let one_line = |record: &Record| story(record).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = one_line(&record);
        assert!(text.contains("avoided 193 of 200 wasted calls, and 965.0 ms of the 1.00 s that"), "{text}");
        assert!(text.contains("It cost no good calls"), "{text}");
        // Eight calls are answered well without the breaker, of which it cost four. Three are between recovery and
        // closing.
        let sent = |millis| Duration::from_millis(millis);
        let answered = [100, 200, 300, 400, 500, 2001, 2200, 2444].map(|millis| {
            let told = sent(millis + 4);
            Call { asked: sent(millis), sent: sent(millis), ended: told, told, end: End::Good, probe: false }
        });
        record.without.as_mut().unwrap().extend(answered);
        let text = one_line(&record);
        assert!(text.contains("It cost 4 of 8 good calls (50.0 %), in a script"), "{text}");
        assert!(text.contains("here for 445.0 ms to 445.0 ms. In that time the upstream answered 3 calls"), "{text}");
        assert!(text.contains("3 calls without the breaker and 2 with it."), "{text}");
        assert!(story(&record).lines().all(|line| line.chars().count() <= 78), "{}", story(&record));
    }

    #[test]
    fn a_broken_promise_says_how_and_not_for_ever() {
        let promise = |broken| Promise {
            text: "closes".to_owned(),
            found: "1 <= 2".to_owned(),
            broken: vec!["late".to_owned(); broken],
        };
        assert_eq!(
            promises(&[promise(0)], true),
            "\nWhat the breaker promises, and what the run shows:\nkept    closes: 1 <= 2\n"
        );
        let text = promises(&[promise(7)], false);
        assert!(text.contains("\nBROKEN  closes") && text.contains("and 2 more"), "{text}");
        assert!(text.ends_with("BROKEN  ends within 30 s\n"), "{text}");
    }
}
