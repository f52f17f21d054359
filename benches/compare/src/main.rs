//! Compares our breaker, the rivals and the floors in one run: `cargo compare`.

#[path = "../../guarded/mod.rs"]
mod guarded;
mod measure;

mod args;
mod caller;
mod cases;
mod floors;
mod heap;
mod limits;
mod machine;
mod ours;
mod picture;
mod private_work;
mod report;
mod rivals;
mod row;
mod run;
mod section;
mod table;

use std::error::Error;
use std::process::ExitCode;

use args::Wish;
use limits::{Beside, Limit};
use measure::Plan;
use microbreaker::CoarseClock;
use private_work::PrivateWork;
use report::Circumstances;
use rivals::About;
use run::Run;

fn main() -> ExitCode {
    let done = match args::parse(std::env::args().skip(1)) {
        Ok(Wish::Help) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Wish::Smoke(plan)) => smoke(plan),
        Ok(Wish::Run(plan)) => compare(plan),
        Err(unknown) => Err(unknown.into()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("cargo compare: {error}");
        ExitCode::from(2)
    })
}

fn smoke(plan: Plan) -> Result<ExitCode, Box<dyn Error>> {
    let (run, ..) = measured(plan)?;
    println!("{}", run.cases.join("\n"));
    println!("{} cases ran; nothing was written, for their figures mean nothing", run.cases.len());
    Ok(ExitCode::SUCCESS)
}

fn compare(plan: Plan) -> Result<ExitCode, Box<dyn Error>> {
    let before = machine::load();
    let (run, rivals, private) = measured(plan)?;
    let how = Circumstances { rounds: plan.rounds, private, load: [before, machine::load()] };
    let limits = limits::limits(&run);
    let beside = limits::beside_rivals(&run);
    let text = report::text(&run, &rivals, &limits, &beside, &how);
    println!("{text}");
    picture::draw(&run, &report::path("compare.svg"))?;
    report::write(&text)?;
    let all_is_well = limits.iter().all(Limit::is_met) && !beside.iter().any(Beside::is_behind);
    Ok(if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measured(plan: Plan) -> Result<(Run, Vec<About>, PrivateWork), Box<dyn Error>> {
    // The clock starts before anything is measured; from then on a coarse reading is one load.
    if !CoarseClock::start() {
        return Err("the coarse clock's thread could not start".into());
    }
    let private = PrivateWork::calibrate();
    let mut rows = floors::rows(private);
    rows.extend(ours::rows(private));
    let rivals = rivals::all(private);
    let mut about = Vec::new();
    for rival in rivals {
        about.push(rival.about);
        rows.extend(rival.rows);
    }
    Ok((Run::measure(plan, rows), about, private))
}
