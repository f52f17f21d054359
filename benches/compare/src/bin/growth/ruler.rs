//! An axis: where a value stands, and which values are labelled.

use crate::plot::Scale;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

pub struct Ruler {
    scale: Scale,
    pub from: f64,
    pub to: f64,
    labelled: Vec<f64>,
}

impl Ruler {
    /// An axis through `values` and a little beyond. Values are labelled if there is room.
    pub fn through(scale: Scale, values: &[f64]) -> Self {
        let (left, right) = (place(scale, least(values)), place(scale, most(values)));
        let mut labelled: Vec<f64> = Vec::new();
        for &next in values {
            let is_free = |last: f64| place(scale, next) - place(scale, last) > (right - left) / 25.0;
            if labelled.last().is_none_or(|&last| is_free(last)) {
                labelled.push(next);
            }
        }
        let margin = (right - left) / 40.0;
        Self { scale, from: value(scale, left - margin), to: value(scale, right + margin), labelled }
    }

    /// An axis from a round value below `values` to a round value above them.
    pub fn around(scale: Scale, values: &[f64]) -> Self {
        let (least, most) = (least(values), most(values));
        let labelled: Vec<f64> = match scale {
            Scale::Linear => {
                let step = (-2..9).flat_map(round).find(|step| step * 8.0 >= most).unwrap_or(most);
                (0..=8).map(|i| f64::from(i) * step).take_while(|tick| tick - step < most).collect()
            }
            Scale::Log => {
                let all: Vec<f64> = (-2..9).flat_map(round).collect();
                let first = all.iter().rposition(|&tick| tick <= least).unwrap_or(0);
                let last = all.iter().position(|&tick| tick >= most).unwrap_or(all.len() - 1);
                all[first..=last].to_vec()
            }
        };
        let ends = labelled.first().copied().zip(labelled.last().copied());
        let (from, to) = ends.unwrap_or((least, most));
        Self { scale, from, to, labelled }
    }
}

impl Ranged for Ruler {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let at = |value| place(self.scale, value);
        let part = (at(*value) - at(self.from)) / (at(self.to) - at(self.from));
        #[expect(clippy::cast_possible_truncation, reason = "pixels")]
        let pixels = (part * f64::from(high - low)).round() as i32;
        low + pixels
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.labelled.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

fn place(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        // A logarithmic axis has no place for zero, which a smoke run may measure.
        Scale::Log => value.max(0.01).log10(),
    }
}

fn value(scale: Scale, place: f64) -> f64 {
    match scale {
        Scale::Linear => place,
        Scale::Log => 10_f64.powf(place),
    }
}

/// 1, 2 and 5 times a power of ten.
fn round(power: i32) -> [f64; 3] {
    [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power))
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}
