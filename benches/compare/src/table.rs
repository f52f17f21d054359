//! Shows the run as text.

use std::fmt::Write as _;

use crate::floors;
use crate::limits::{Beside, COMPARED, Limit};
use crate::row::{Column, Kind, Row};
use crate::run::Run;

const ONE_THREAD: [Column; 4] = [Column::ClosedOk, Column::TenPercent, Column::OpenReject, Column::Churn];
const TWO_THREADS: [Column; 3] = [Column::Shared, Column::Own, Column::SharedWork];

pub fn one_thread(run: &Run) -> String {
    let mut lines = vec![head(&ONE_THREAD, &["bytes + heap", "allocations: call, rejection, cycle"])];
    lines.extend(rows(run, &ONE_THREAD).map(|(at, row)| {
        let bytes = row.bytes.filter(|_| row.kind != Kind::Floor).map_or_else(String::new, |(own, heap)| match heap {
            0 => own.to_string(),
            _ => format!("{own} + {heap}"),
        });
        line(run, at, &ONE_THREAD, &[bytes, allocations(row)])
    }));
    lines.concat()
}

pub fn two_threads(run: &Run) -> String {
    let mut lines = vec![head(&TWO_THREADS, &["shared : each its own"])];
    lines.extend(rows(run, &TWO_THREADS).map(|(at, _)| {
        let ratio = run.ratio((at, Column::Shared), (at, Column::Own));
        line(run, at, &TWO_THREADS, &[ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))])
    }));
    lines.concat()
}

/// Why a figure is missing, for each one that is.
pub fn missing(run: &Run) -> String {
    let mut text = String::new();
    for row in &run.rows {
        for (column, why) in &row.cannot {
            let _ = writeln!(text, "- {}, {}: {why}.", row.name, column.title());
        }
    }
    text
}

pub fn beside(run: &Run, all: &[Beside]) -> String {
    let mut text = head(&COMPARED, &[]);
    for (at, row) in run.rows.iter().enumerate().filter(|(_, row)| matches!(row.kind, Kind::Rival { .. })) {
        let _ = write!(text, "| {} ", row.name);
        for column in COMPARED {
            let cell = all.iter().find(|beside| (beside.rival, beside.column) == (at, column));
            let _ = match cell {
                Some(cell) if cell.is_behind() => write!(text, "| **{:.2}** ", cell.ratio),
                Some(cell) => write!(text, "| {:.2} ", cell.ratio),
                None => write!(text, "| – "),
            };
        }
        text.push_str("|\n");
    }
    text
}

pub fn limits(all: &[Limit]) -> String {
    let mut text = "| limit | measured | at most | |\n| --- | --: | --: | --- |\n".to_string();
    for limit in all {
        let ratio = limit.ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"));
        let verdict = if limit.is_met() { "ok" } else { "NOT MET" };
        let _ = writeln!(text, "| {} | {ratio} | {:.2} | {verdict} |", limit.what, limit.most);
    }
    text
}

/// A line for each column in which a rival is ahead.
pub fn ahead(run: &Run, all: &[Beside]) -> String {
    let mut text = String::new();
    for Beside { rival, ours, column, ratio } in all.iter().filter(|beside| beside.is_behind()) {
        let (rival, ours) = (run.rows[*rival].name, run.rows[*ours].name);
        let _ = writeln!(text, "- {}: {rival} is ahead of {ours} ({ratio:.2}).", column.title());
    }
    text
}

fn rows<'a>(run: &'a Run, columns: &'a [Column]) -> impl Iterator<Item = (usize, &'a Row)> {
    let measured = |at| columns.iter().any(|&column| run.nanos((at, column)).is_some());
    run.rows.iter().enumerate().filter(move |&(at, _)| measured(at))
}

fn head(columns: &[Column], more: &[&str]) -> String {
    let titles: Vec<&str> = columns.iter().map(|column| column.title()).chain(more.iter().copied()).collect();
    format!("| | {} |\n| --- {}|\n", titles.join(" | "), "| --: ".repeat(titles.len()))
}

fn line(run: &Run, at: usize, columns: &[Column], more: &[String]) -> String {
    let row = &run.rows[at];
    let name = match row.kind {
        Kind::Floor => format!("*{}*", row.name),
        Kind::Ours { .. } => format!("**{}**", row.name),
        Kind::Rival { .. } => row.name.to_string(),
    };
    let cells: Vec<String> = columns.iter().map(|&column| cell(run, at, column)).chain(more.iter().cloned()).collect();
    format!("| {name} | {} |\n", cells.join(" | "))
}

fn cell(run: &Run, at: usize, column: Column) -> String {
    let Some(nanos) = run.nanos((at, column)) else {
        return if run.rows[at].cannot.contains_key(&column) { "–".into() } else { String::new() };
    };
    let nanos = if nanos < 99.95 { format!("{nanos:.1}") } else { format!("{nanos:.0}") };
    let floor = run.named(floors::EMPTY).and_then(|floor| run.ratio((at, column), (floor, column)));
    match floor {
        Some(ratio) if ratio < 9.95 => format!("{nanos} ({ratio:.2}×)"),
        Some(ratio) => format!("{nanos} ({ratio:.0}×)"),
        None => nanos,
    }
}

fn allocations(row: &Row) -> String {
    let one = |column| {
        row.heap.get(&column).map(|&(taken, kept)| match kept {
            0.0 => format!("{taken:.0}"),
            _ => format!("{taken:.0} ({kept:.0} B kept)"),
        })
    };
    let all: Vec<String> = [Column::ClosedOk, Column::OpenReject, Column::Churn].into_iter().filter_map(one).collect();
    all.join(", ")
}
