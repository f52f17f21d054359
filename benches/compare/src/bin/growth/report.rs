//! `GROWTH.md`: what was measured, with room for what people say about it.
//!
//! What is generated stands between `<!-- begin NAME -->` and `<!-- end NAME -->`, and only that is replaced.

use crate::checks::Check;
use crate::draw::number;
use crate::measure::Plan;
use crate::plot::{Curve, Plot};
use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

/// `report` with `content` in its place; at the end under a heading where it has none.
pub fn with_section(report: &str, name: &str, title: Option<&str>, content: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let section = format!("{begin}\n{}\n{end}", content.trim_end());
    let parts = report
        .split_once(&begin)
        .and_then(|(before, rest)| rest.split_once(&end).map(|(_, after)| format!("{before}{section}{after}")));
    parts.unwrap_or_else(|| {
        let heading = title.map(|title| format!("## {title}\n\n")).unwrap_or_default();
        format!("{}\n\n{heading}{section}\n", report.trim_end())
    })
}

/// Picture, how it came about, the figures and what is checked.
pub fn section(plot: &Plot<Curve>, verdicts: &[Check]) -> String {
    let (title, name, about) = (plot.title, plot.name, plot.about.trim_end());
    format!("![{title}](growth-{name}.svg)\n\n{about}\n\n{}\n{}", table(plot), checks(verdicts))
}

/// Medians, in nanoseconds per call.
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

/// On what, by what and how it was measured.
pub fn circumstances(plan: Plan) -> String {
    let cores = available_parallelism().map_or_else(|_| "?".into(), |cores| cores.to_string());
    format!(
        "`cargo growth`, on {cores} cores of {}, {}, {}. Medians of {} rounds of {} ms for each point, in ns per call; \
         all points of a plot, and the empty call, are measured in the same rounds, one after the other. The empty \
         call is the guarded function without a breaker.",
        processor().unwrap_or_else(|| "an unnamed processor".into()),
        std::env::consts::OS,
        compiler().unwrap_or_else(|| "an unknown compiler".into()),
        plan.rounds,
        plan.slice.as_millis(),
    )
}

fn processor() -> Option<String> {
    let about = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = about.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let kind =
        field("cpu family").zip(field("model\t")).map(|(family, model)| format!(" (family {family}, model {model})"));
    field("model name").map(|name| name + &kind.unwrap_or_default())
}

fn compiler() -> Option<String> {
    let said = Command::new("rustc").arg("--version").output().ok()?;
    String::from_utf8(said.stdout).ok().map(|version| version.trim().to_owned())
}
