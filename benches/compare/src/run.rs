//! The measured times of a run.

use std::collections::BTreeMap;

use crate::measure::{Plan, median, ratio, rounds};
use crate::row::{Column, Kind, Row};

/// A row, by its index in [`Run::rows`], and a column.
pub type Cell = (usize, Column);

pub struct Run {
    pub rows: Vec<Row>,
    /// The names of all cases.
    pub cases: Vec<String>,
    /// Nanoseconds per call in each round.
    times: BTreeMap<Cell, Vec<f64>>,
}

impl Run {
    /// Measures all cases of all rows in the same rounds.
    pub fn measure(plan: Plan, mut rows: Vec<Row>) -> Self {
        let (cells, mut cases): (Vec<Cell>, Vec<_>) = rows
            .iter_mut()
            .enumerate()
            .flat_map(|(row, of)| of.cases.drain(..).map(move |(column, case)| ((row, column), case)))
            .unzip();
        let times = rounds(plan, &mut cases);
        let names = cases.into_iter().map(|case| case.name).collect();
        Self { rows, cases: names, times: cells.into_iter().zip(times).collect() }
    }

    pub fn nanos(&self, cell: Cell) -> Option<f64> {
        self.times.get(&cell).map(|times| median(times))
    }

    /// The median of the ratios within each round.
    pub fn ratio(&self, of: Cell, to: Cell) -> Option<f64> {
        Some(ratio(self.times.get(&of)?, self.times.get(&to)?))
    }

    pub fn named(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.name == name)
    }

    pub fn of_kind(&self, kind: Kind) -> Option<usize> {
        self.rows.iter().position(|row| row.kind == kind)
    }
}
