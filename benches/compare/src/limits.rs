//! The limits that our breaker must keep, and whether this run keeps them.

use crate::floors;
use crate::ours;
use crate::row::{Column, Judge, Kind, Time};
use crate::run::{Cell, Run};

/// A limit.
pub struct Limit {
    pub what: String,
    /// The measured ratio. `None` if it was not measured; the limit is then not met.
    pub ratio: Option<f64>,
    pub most: f64,
}

impl Limit {
    pub fn is_met(&self) -> bool {
        self.ratio.is_some_and(|ratio| ratio <= self.most)
    }
}

pub fn limits(run: &Run) -> Vec<Limit> {
    let ours = |judge, time| run.of_kind(Kind::Ours { judge, time, lanes: 1 });
    let floor = |name| run.named(name);
    let limit = |(of, to): (Option<usize>, Option<usize>), (column, beside): (Column, Column), most, than: &str| {
        let name = of.map_or("?", |row| run.rows[row].name);
        Limit {
            what: format!("{}: {name} beside {than}", column.title()),
            ratio: of.zip(to).and_then(|(of, to)| run.ratio((of, column), (to, beside))),
            most,
        }
    };
    let alone = |column| (column, column);
    let mut limits = Vec::new();
    for judge in [Judge::Streak, Judge::Count] {
        let pair = (ours(judge, Time::Word), floor(floors::EMPTY));
        limits.push(limit(pair, alone(Column::ClosedOk), 1.6, floors::EMPTY));
    }
    let pair = (ours(Judge::Time, Time::Word), floor(floors::EXCHANGE));
    limits.push(limit(pair, alone(Column::ClosedOk), 1.1, floors::EXCHANGE));
    for judge in [Judge::Count, Judge::Time] {
        for can_be_shared in [true, false] {
            let best = best_with_a_window(run, can_be_shared);
            let name = best.map_or("?", |row| run.rows[row].name);
            let kind = if can_be_shared { "the best rival with a window" } else { "the best that cannot be shared" };
            let than = format!("{kind} ({name})");
            limits.push(limit((ours(judge, Time::Word), best), alone(Column::TenPercent), 1.0 / 1.5, &than));
        }
    }
    for (time, beside) in [(Time::Word, floors::EMPTY), (Time::Real, floors::NOW)] {
        for judge in [Judge::Streak, Judge::Count, Judge::Time] {
            let pair = (ours(judge, time), floor(beside));
            limits.push(limit(pair, alone(Column::OpenReject), 1.2, beside));
        }
    }
    // Only the windows whose healthy call just loads. A time window counts its successes, so it writes.
    for judge in [Judge::Streak, Judge::Count] {
        let row = ours(judge, Time::Word);
        limits.push(limit((row, row), (Column::Shared, Column::Own), 1.1, "a breaker each"));
    }
    limits
}

fn best_with_a_window(run: &Run, can_be_shared: bool) -> Option<usize> {
    let time = |row| run.nanos((row, Column::TenPercent)).unwrap_or(f64::INFINITY);
    (0..run.rows.len())
        .filter(|&row| matches!(run.rows[row].kind, Kind::Rival { judge: Judge::Count | Judge::Time, .. }))
        .filter(|&row| run.nanos((row, Column::Shared)).is_some() == can_be_shared)
        .min_by(|&one, &other| time(one).total_cmp(&time(other)))
}

/// Our time compared with a rival's, in a column that the rival can do.
pub struct Beside {
    pub rival: usize,
    pub ours: usize,
    pub column: Column,
    /// Our time divided by the rival's. If it is above 1, the rival is ahead.
    pub ratio: f64,
}

impl Beside {
    pub fn is_behind(&self) -> bool {
        self.ratio > 1.0
    }
}

/// The columns to compare. `Own` is not among them: the cost of two threads with a breaker each says nothing about a
/// shared breaker.
pub const COMPARED: [Column; 6] =
    [Column::ClosedOk, Column::TenPercent, Column::OpenReject, Column::Churn, Column::Shared, Column::SharedWork];

pub fn beside_rivals(run: &Run) -> Vec<Beside> {
    let mut all = Vec::new();
    for (rival, row) in run.rows.iter().enumerate() {
        let Kind::Rival { judge, time } = row.kind else { continue };
        for column in COMPARED {
            let ours = run.of_kind(ours::beside(column, judge, time));
            let ratio = |ours: usize| {
                let (ours, theirs): (Cell, Cell) = ((ours, column), (rival, column));
                run.ratio(ours, theirs)
            };
            if let Some((ours, ratio)) = ours.and_then(|ours| Some((ours, ratio(ours)?))) {
                all.push(Beside { rival, ours, column, ratio });
            }
        }
    }
    all
}
