//! Writes the sections of `GROWTH.md`. People write their comments between the sections.

use crate::checks::Check;
use crate::draw::number;
use crate::machine;
use crate::measure::Plan;
use crate::plot::{Curve, Plot};
use std::fmt::Write;

/// A section: the picture, how it was measured, the figures and the checks.
pub fn section(plot: &Plot<Curve>, verdicts: &[Check]) -> String {
    let (title, name, about) = (plot.title, plot.name, plot.about.trim_end());
    format!("![{title}](growth-{name}.svg)\n\n{about}\n\n{}\n{}", table(plot), checks(verdicts))
}

/// A table of the medians, in nanoseconds per call.
pub fn table(plot: &Plot<Curve>) -> String {
    // Writing to a string cannot fail.
    let mut text = format!("| {} |", plot.x.label);
    for curve in &plot.lines {
        let _ = write!(text, " {} |", curve.label);
    }
    let _ = write!(text, "\n|{}\n", " ---: |".repeat(1 + plot.lines.len()));
    for x in plot.xs() {
        let _ = write!(text, "| {} |", number(x));
        for curve in &plot.lines {
            let nanos = curve.at(x).map_or_else(|| "–".into(), |point| format!("{:.2}", point.nanos()));
            let _ = write!(text, " {nanos} |");
        }
        text.push('\n');
    }
    text
}

pub fn checks(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "- {}: {}", if check.met { "ok" } else { "NOT MET" }, check.text);
    }
    text
}

/// The machine, the compiler and the rounds of the measurement.
pub fn circumstances(plan: Plan) -> String {
    format!(
        "`cargo growth`, on {}, {}. Medians of {} rounds of {} ms for each point, in ns per call; \
         all points of a plot, and the empty call, are measured in the same rounds, one after the other. The empty \
         call is the guarded function without a breaker.",
        machine::machine(),
        machine::compiler(),
        plan.rounds,
        plan.slice.as_millis(),
    )
}
