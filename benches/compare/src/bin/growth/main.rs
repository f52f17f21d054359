//! Plots how the cost of a call grows with the window, the lanes, the breakers, the threads, the failures and the
//! rejections: `cargo growth`.
//!
//! Writes `benches/GROWTH.md` and `benches/growth-*.svg`. Fails if a cost grows that must not.
//!
//! `cargo growth -- threads lanes` measures only these plots. With `--smoke` everything runs once and nothing is
//! written.

mod breakers;
mod calls;
mod checks;
mod draw;
mod failures;
#[path = "../../../../guarded/mod.rs"]
mod guarded;
mod lanes;
#[allow(dead_code, reason = "shared with `compare`, and neither needs all of it")]
#[path = "../../machine.rs"]
mod machine;
#[allow(dead_code, reason = "as above")]
#[path = "../../measure.rs"]
mod measure;
mod plot;
mod rejections;
mod report;
mod ruler;
#[path = "../../section.rs"]
mod section;
mod threads;
mod windows;

use measure::Plan;
use microbreaker::CoarseClock;
use plot::{Line, Plot};
use std::env::args;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    // The cargo alias ends in `--`, so a second `--` arrives here.
    let arguments: Vec<String> = args().skip(1).filter(|argument| argument != "--").collect();
    let known = |argument: &&String| *argument == SMOKE || PLOTS.iter().any(|(name, _)| name == argument);
    if let Some(unknown) = arguments.iter().find(|argument| !known(argument)) {
        let names = PLOTS.map(|(name, _)| name).join(", ");
        eprintln!("growth: no such argument: {unknown}. There is {SMOKE}, and for some plots only: {names}.");
        return ExitCode::from(2);
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("growth: {error}");
            ExitCode::FAILURE
        }
    }
}

const SMOKE: &str = "--smoke";

/// A slice is shorter than a time slice of the system, so that most rounds are not interrupted even on a busy machine.
const FULL: Plan = Plan { rounds: 101, slice: Duration::from_millis(1) };

type Make = fn() -> Plot<Line>;

/// The plots are measured one after the other, so that the breakers of one plot do not take the caches of another.
const PLOTS: [(&str, Make); 7] = [
    ("outcomes", windows::outcomes),
    ("buckets", windows::buckets),
    ("lanes", lanes::lanes),
    ("breakers", breakers::breakers),
    ("threads", threads::threads),
    ("failures", failures::failures),
    ("rejections", rejections::rejections),
];

/// Returns whether no cost grew that must not. A smoke run does not check.
fn run(arguments: &[String]) -> Result<bool, Box<dyn Error>> {
    if !CoarseClock::start() {
        return Err("the coarse clock's thread could not start".into());
    }
    let is_smoke = arguments.iter().any(|argument| argument == SMOKE);
    let plan = if is_smoke { Plan::SMOKE } else { FULL };
    let wanted: Vec<&String> = arguments.iter().filter(|argument| *argument != SMOKE).collect();
    let benches = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let file = benches.join("GROWTH.md");
    let mut text = section::read(&file, "How the cost grows")?;
    text = section::with_section(&text, "run", None, &report::circumstances(plan));
    let mut all_met = true;
    for (name, plot) in PLOTS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| *wanted == name) {
            continue;
        }
        let plot = plot().measured(plan);
        let checks = if is_smoke { Vec::new() } else { checks::of(&plot) };
        all_met &= checks.iter().all(|check| check.met);
        println!("{}\n\n{}\n{}", plot.title, report::table(&plot), report::checks(&checks));
        let picture = draw::svg(&plot)?;
        text = section::with_section(&text, name, Some(plot.title), &report::section(&plot, &checks));
        // Each plot is written at once, so a run that is stopped early keeps the plots it has.
        if !is_smoke {
            fs::write(benches.join(format!("growth-{name}.svg")), picture)?;
            fs::write(&file, &text)?;
        }
    }
    if is_smoke {
        println!("A smoke run: the figures mean nothing, and nothing was written.");
    }
    Ok(all_met)
}
