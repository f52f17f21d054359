//! The command line. A bad argument gets one clear line.

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};

use crate::alone::Holder;
use crate::measure;

/// How much to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The rounds without a network.
    pub(crate) alone: measure::Plan,
    /// The number of rounds under load.
    pub(crate) rounds: u64,
    /// How long one server is loaded in a round.
    pub(crate) seconds: u64,
    /// The number of threads of a server.
    pub(crate) workers: usize,
    /// If it is there, nothing is measured: a thousand calls are made.
    pub(crate) only_calls: Option<Holder>,
}

/// Why there is nothing to run: help was asked for, or an argument is wrong.
#[derive(Debug)]
pub(crate) enum Stop {
    Help(String),
    Wrong(String),
}

impl Stop {
    /// Prints the reason. Returns the exit code of the process.
    pub(crate) fn show(&self) -> ExitCode {
        match self {
            Self::Help(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Self::Wrong(line) => {
                eprintln!("{line}");
                ExitCode::from(2)
            }
        }
    }
}

/// Reads the command line; its first word is the name of the program.
pub(crate) fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Plan, Stop> {
    let matches = command().try_get_matches_from(words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp => Stop::Help(error.to_string()),
        // The other lines are advice; `--help` gives better advice.
        _ => Stop::Wrong(error.to_string().lines().take(1).collect()),
    })?;
    let number = |name, usual| matches.get_one::<u64>(name).copied().unwrap_or(usual);
    let smoke = matches.get_flag("smoke");
    let cores = available_parallelism().map_or(1, usize::from);
    Ok(Plan {
        alone: if smoke {
            measure::Plan::SMOKE
        } else {
            // Shorter than a time slice, so that most rounds are not interrupted, even if other programs want the core.
            measure::Plan { rounds: 61, slice: Duration::from_millis(1) }
        },
        rounds: number("rounds", if smoke { 1 } else { 7 }),
        seconds: number("seconds", if smoke { 1 } else { 3 }),
        only_calls: matches.get_one::<String>("only-calls").map(|holder| match holder.as_str() {
            "static" => Holder::Static,
            "arc" => Holder::Arc,
            _ => Holder::None,
        }),
        workers: matches.get_one::<u64>("workers").map_or(cores, |&workers| usize::try_from(workers).unwrap_or(cores)),
    })
}

fn command() -> Command {
    let number = |name: &'static str, most: u64| {
        Arg::new(name).long(name).value_name("N").value_parser(RangedU64ValueParser::<u64>::new().range(1..=most))
    };
    Command::new("overhead")
        .about("What the tower layer costs, alone and in an axum echo under wrk, and what a holder costs")
        .arg(number("rounds", 99).help("Rounds, in each of which every server is loaded once [default: 7]"))
        .arg(number("seconds", 60).help("How long each is loaded in a round [default: 3]"))
        .arg(number("workers", 64).help("Threads of the server [default: one per core]"))
        .arg(
            Arg::new("smoke")
                .long("smoke")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["rounds", "seconds"])
                .help("Run everything once, with figures that mean nothing"),
        )
        .arg(
            Arg::new("only-calls")
                .long("only-calls")
                .value_name("HOLDER")
                .value_parser(["bare", "static", "arc"])
                .exclusive(true)
                .help("Only make a thousand calls, for callgrind to count, behind a layer with this holder or none"),
        )
        .after_help(
            "Exit code: 0 if the layer allocates nothing, 1 if it does, 2 if the arguments are wrong or nothing could\n\
             be measured.",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Plan, Stop> {
        parse(std::iter::once("overhead").chain(words.split_whitespace()))
    }

    #[test]
    fn what_is_asked_for_is_what_is_done() {
        let plan = parsed("--rounds 9 --seconds 2 --workers 3").unwrap();
        assert_eq!((plan.rounds, plan.seconds, plan.workers), (9, 2, 3));
        assert_eq!(plan.only_calls, None);
        for (word, holder) in [("bare", Holder::None), ("static", Holder::Static), ("arc", Holder::Arc)] {
            assert_eq!(parsed(&format!("--only-calls {word}")).unwrap().only_calls, Some(holder));
        }
        let plan = parsed("--smoke --workers 1").unwrap();
        assert_eq!((plan.rounds, plan.seconds, plan.workers, plan.alone.rounds), (1, 1, 1, 1));
    }

    #[test]
    fn each_bad_argument_gets_one_line_that_names_it() {
        for (words, names) in [
            ("--rounds 0", "0 is not in 1..=99"),
            ("--seconds 61", "61 is not in 1..=60"),
            ("--workers many", "'many' for '--workers <N>'"),
            ("--smoke --rounds 2", "--rounds"),
            ("--only-calls rc", "'rc' for '--only-calls <HOLDER>'"),
            ("--frobnicate", "--frobnicate"),
            ("stray", "stray"),
        ] {
            let Err(Stop::Wrong(line)) = parsed(words) else { panic!("{words}") };
            assert!(line.starts_with("error: ") && !line.contains('\n') && line.contains(names), "{words}: {line}");
        }
    }

    #[test]
    fn help_is_no_error() {
        assert!(matches!(parsed("--help"), Err(Stop::Help(text)) if text.contains("--rounds <N>")));
    }
}
