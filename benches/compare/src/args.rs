//! The command line.

use std::fmt;

use crate::measure::Plan;

pub const HELP: &str = "\
Ours, the rivals and the floors in one run.

Usage: cargo compare [OPTIONS]

  --smoke   run every case once, with figures that mean nothing; write nothing
  --help    this

Writes benches/RESULTS.md and benches/compare.svg. Exit code: 0 if every limit is met and no rival is ahead, 1 if not,
2 if the arguments are wrong or nothing could be measured or written.";

/// What the command line asks for.
#[derive(Debug)]
pub enum Wish {
    Help,
    Run(Plan),
    Smoke(Plan),
}

/// An argument that is not known.
#[derive(Debug)]
pub struct UnknownArgument(String);

impl fmt::Display for UnknownArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no argument {:?}: --smoke and --help are all there are", self.0)
    }
}

impl std::error::Error for UnknownArgument {}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Wish, UnknownArgument> {
    let mut wish = Wish::Run(Plan::FULL);
    for argument in arguments {
        match argument.as_str() {
            "--help" | "-h" => return Ok(Wish::Help),
            "--smoke" => wish = Wish::Smoke(Plan::SMOKE),
            // The cargo alias ends in `--`, so a second `--` arrives here.
            "--" => {}
            _ => return Err(UnknownArgument(argument)),
        }
    }
    Ok(wish)
}
