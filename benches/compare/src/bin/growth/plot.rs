//! A plot: before the measurement it has [`Line`]s of cases, after it [`Curve`]s of times.

use crate::measure::{Case, Plan, median, ratio, rounds};
use std::time::Duration;

pub struct Plot<L> {
    /// Names the picture, and the section of the report.
    pub name: &'static str,
    pub title: &'static str,
    /// How the plot was measured, in Markdown.
    pub about: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<L>,
}

#[derive(Clone, Copy)]
pub struct Axis {
    pub label: &'static str,
    pub scale: Scale,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The axis begins at zero.
    Linear,
    Log,
}

impl Axis {
    pub const fn linear(label: &'static str) -> Self {
        Self { label, scale: Scale::Linear }
    }

    pub const fn log(label: &'static str) -> Self {
        Self { label, scale: Scale::Log }
    }
}

pub struct Line {
    label: String,
    /// The line has a single case, which does not depend on `x`.
    level: bool,
    points: Vec<(f64, Case<'static>)>,
}

impl Line {
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), level: false, points: Vec::new() }
    }

    /// A line that is the same at every `x`.
    pub fn level(label: impl Into<String>, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        let mut line = Self::new(label);
        line.push(0, run);
        line.level = true;
        line
    }

    pub fn push(&mut self, x: impl Into<f64>, run: impl FnMut(u64) -> Duration + 'static) {
        let x = x.into();
        self.points.push((x, Case::new(format!("{}, {x}", self.label), run)));
    }
}

pub struct Curve {
    pub label: String,
    pub level: bool,
    pub points: Vec<Point>,
}

/// A measured case: nanoseconds per call in each round.
pub struct Point {
    pub x: f64,
    times: Vec<f64>,
}

impl Point {
    pub fn nanos(&self) -> f64 {
        median(&self.times)
    }
}

impl Curve {
    pub fn at(&self, x: f64) -> Option<&Point> {
        self.points.iter().find(|point| self.level || point.x.total_cmp(&x).is_eq())
    }

    /// The ratio of the last point to the first.
    pub fn growth(&self) -> Option<f64> {
        Some(ratio(&self.points.last()?.times, &self.points.first()?.times))
    }
}

impl Plot<Line> {
    /// Measures all points of the plot in the same rounds.
    pub fn measured(self, plan: Plan) -> Plot<Curve> {
        let (mut cases, mut shapes) = (Vec::new(), Vec::new());
        for Line { label, level, points } in self.lines {
            let (xs, line): (Vec<f64>, Vec<Case>) = points.into_iter().unzip();
            cases.extend(line);
            shapes.push((label, level, xs));
        }
        let mut times = rounds(plan, &mut cases).into_iter();
        let mut points =
            |xs: Vec<f64>| xs.into_iter().zip(times.by_ref()).map(|(x, times)| Point { x, times }).collect();
        let lines = shapes.into_iter().map(|(label, level, xs)| Curve { label, level, points: points(xs) }).collect();
        Plot { name: self.name, title: self.title, about: self.about, x: self.x, y: self.y, lines }
    }
}

impl Plot<Curve> {
    pub fn curve(&self, label: &str) -> Option<&Curve> {
        self.lines.iter().find(|curve| curve.label == label)
    }

    /// Every `x` that some curve has, in order.
    pub fn xs(&self) -> Vec<f64> {
        let curves = self.lines.iter().filter(|curve| !curve.level);
        let mut xs: Vec<f64> = curves.flat_map(|curve| curve.points.iter().map(|point| point.x)).collect();
        xs.sort_unstable_by(f64::total_cmp);
        xs.dedup();
        xs
    }
}
