//! The end of a run: one table, and the promises.

use std::fmt::Write as _;
use std::time::Duration;

use microbreaker::{Reading, State};

use crate::record::{Call, Record};
use crate::rules::{Met, Promise, meet};

/// Both fleets side by side, aligned.
pub(crate) fn table(record: &Record) -> String {
    let met = meet(record);
    let with = Column::new(&record.with);
    let without = record.without.as_deref().map(Column::new);
    let both =
        |text: &str, of: fn(&Column) -> String| [text.to_owned(), of(&with), without.as_ref().map_or_else(dash, of)];
    let mut rows = vec![
        [String::new(), "with breaker".to_owned(), "without".to_owned()],
        both("calls sent", |side| grouped(side.sent)),
        both("  answered well", |side| grouped(side.good)),
        ["  rejected at once, not sent".to_owned(), grouped(u64::from(record.rejected)), dash()],
    ];
    if met.is_empty() {
        rows.push(both("calls that ended badly", |side| grouped(side.bad)));
    } else {
        let total = |of: fn(&Met) -> Option<u32>| met.iter().map(|met| of(met).map(u64::from)).sum::<Option<u64>>();
        let show = |number: Option<u64>| number.map_or_else(dash, grouped);
        rows.push([
            "calls wasted on a dead upstream".to_owned(),
            show(total(|met| Some(met.wasted))),
            show(total(|met| met.wasted_without)),
        ]);
        rows.extend(met.iter().map(|met| {
            let without = met.wasted_without.map(u64::from);
            [format!("  {}", met.outage.mood.says()), grouped(u64::from(met.wasted)), show(without)]
        }));
    }
    rows.push(both("time callers lost in bad calls", |side| length(side.lost)));
    rows.push(both("latency of calls sent, p50", |side| length(side.percentile(50))));
    rows.push(both("  p95", |side| length(side.percentile(95))));
    rows.push(both("  p99", |side| length(side.percentile(99))));
    if !met.is_empty() {
        let span = |times: Option<(Duration, Duration)>| {
            times.map_or_else(dash, |(least, most)| format!("{} to {}", length(least), length(most)))
        };
        rows.push(["from fault to open".to_owned(), span(range(met.iter().filter_map(|met| met.opened))), dash()]);
        rows.push(["from recovery to closed".to_owned(), span(range(met.iter().filter_map(|met| met.closed))), dash()]);
    }
    rows.push(["open periods".to_owned(), grouped(count(record.moves.iter().filter(|step| step.opens()))), dash()]);
    rows.push(["probes sent".to_owned(), grouped(count(record.with.iter().filter(|call| call.probe))), dash()]);
    format!("\n{}", aligned(&rows))
}

/// What came through the gateway, a line for each of its breakers.
pub(crate) fn gateway(readings: &[Reading]) -> String {
    if readings.is_empty() {
        return String::new();
    }
    let row = |words: [&str; 6]| words.map(str::to_owned);
    let mut rows = vec![row(["through the gateway", "good", "failed", "held off", "rejected", "open for"])];
    rows.extend(readings.iter().map(|reading| {
        let name = format!("  {} ({})", reading.name, reading.states.one().map_or("-", State::name));
        let [good, failed, held, rejected] =
            [reading.success + reading.alive, reading.failure, reading.hold, reading.rejected].map(grouped);
        [name, good, failed, held, rejected, length(reading.open)]
    }));
    format!("\n{}", aligned(&rows))
}

/// Each promise on a line, and what broke it below.
pub(crate) fn promises(promises: &[Promise], in_time: bool) -> String {
    let mut text = String::from("\n");
    for promise in promises {
        let word = if promise.kept() { "kept  " } else { "BROKEN" };
        // Lists of numbers go on a line of their own, lest a terminal breaks them.
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
    sent: u64,
    good: u64,
    bad: u64,
    lost: Duration,
    /// Sorted.
    took: Vec<Duration>,
}

impl Column {
    fn new(calls: &[Call]) -> Self {
        let mut took: Vec<Duration> = calls.iter().map(Call::took).collect();
        took.sort_unstable();
        let bad = || calls.iter().filter(|call| call.is_bad());
        let (sent, bad_ones) = (count(calls.iter()), count(bad()));
        Self { sent, good: sent - bad_ones, bad: bad_ones, lost: bad().map(Call::took).sum(), took }
    }

    /// The least value that `percent` of the calls did not exceed, exactly (nearest rank); zero if there were none.
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

/// "12 345".
fn grouped(number: u64) -> String {
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

/// "4.2 ms", "1.25 s".
fn length(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}

/// The first column to the left, the others to the right, a rule under the head.
fn aligned<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        // Names to the left, numbers to the right.
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
    use crate::record::End;
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
        assert_eq!(cells("calls sent"), ["11", "200"]);
        assert_eq!(cells("calls wasted on a dead upstream"), ["7", "100"]);
        assert_eq!(cells("probes sent"), ["4", "-"]);
        assert_eq!(cells("from recovery to closed"), ["445.0", "ms", "to", "445.0", "ms", "-"]);
    }

    #[test]
    fn without_a_script_there_is_one_column() {
        let mut record = good();
        record.outages.clear();
        record.without = None;
        let text = table(&record);
        assert!(text.contains("calls that ended badly") && !text.contains("from fault to open"), "{text}");
    }

    #[test]
    fn a_broken_promise_says_how_and_not_for_ever() {
        let promise = |broken| Promise {
            text: "closes".to_owned(),
            found: "1 <= 2".to_owned(),
            broken: vec!["late".to_owned(); broken],
        };
        assert_eq!(promises(&[promise(0)], true), "\nkept    closes: 1 <= 2\n");
        let text = promises(&[promise(7)], false);
        assert!(text.starts_with("\nBROKEN  closes") && text.contains("and 2 more"), "{text}");
        assert!(text.ends_with("BROKEN  ends within 30 s\n"), "{text}");
    }
}
