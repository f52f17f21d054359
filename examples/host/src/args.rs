//! The command line: what can be asked for, and one clear line for each mistake.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use hyper::Uri;
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt as _};

#[cfg(feature = "gateway")]
use crate::gateway::args::Serving;
use crate::show;
use crate::tuning::MOST_CLIENTS;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The main job.
    Run(Args),
    /// The gateway, until it is stopped.
    #[cfg(feature = "gateway")]
    Serve(Serving),
}

/// The arguments of the main job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) job: Job,
    /// Clients in each fleet.
    pub(crate) clients: u16,
    /// The seed of the clients' pauses, of the servers' working times and of the breaker's jitter.
    pub(crate) seed: u32,
}

/// Which server is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Our own two, which follow a script: one through a breaker, one without.
    Script,
    /// A server of the user's, only through a breaker.
    Guard { target: Uri, seconds: Duration },
}

impl Args {
    /// One line that says what is going to happen.
    pub(crate) fn title(&self) -> String {
        let clients = self.clients;
        match &self.job {
            Job::Script => format!(
                "{clients} clients call an upstream through a circuit breaker, {clients} call another without.\n\
                 Both upstreams follow the same script."
            ),
            Job::Guard { target, .. } => format!("{clients} clients call {target} through a circuit breaker."),
        }
    }
}

/// Why nothing is run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Help was asked for.
    Help(&'static str),
    /// The arguments are wrong: one line that says how.
    Wrong(String),
}

impl Stop {
    /// A mistake in the arguments.
    pub(crate) fn wrong(why: impl std::fmt::Display) -> Self {
        Self::Wrong(format!("error: {why}"))
    }

    /// Prints it, and returns the exit code of the program.
    pub(crate) fn show(&self) -> ExitCode {
        match self {
            Self::Help(text) => {
                show::say(text);
                ExitCode::SUCCESS
            }
            Self::Wrong(line) => {
                eprintln!("{line}");
                ExitCode::from(2)
            }
        }
    }
}

impl From<lexopt::Error> for Stop {
    fn from(error: lexopt::Error) -> Self {
        Self::wrong(error)
    }
}

const HELP: &str = "\
Shows what a circuit breaker does. 16 clients call an HTTP server through a circuit breaker, and 16 call an equal server
without one. Both servers follow the same script and fail in five ways. The program ends after 20 seconds with a table.

Usage: host [OPTIONS]
       host serve [OPTIONS]    run a gateway instead (needs `--features gateway`; see `serve --help`)

Options:
  --upstream URL   Call this server (http only) through a circuit breaker, instead of the two on the script
  --seconds S      How long to call that server: 1 to 30 [default: 20]
  --clients N      Clients in each fleet: 1 to 64 [default: 16; with --upstream: 4]
  --seed N         Seed of pauses, working times and jitter [default: 1]
  -h, --help       Print this help
";

/// Reads the command line. The first word is the name of the program.
pub(crate) fn parse(words: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Asked, Stop> {
    let mut parser = Parser::from_iter(words);
    let (mut upstream, mut seconds, mut clients, mut seed) = (None, None, None, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("upstream") => set(&mut upstream, "--upstream", &mut parser, url)?,
            Long("seconds") => set(&mut seconds, "--seconds", &mut parser, |text| number(text, 1, 30))?,
            Long("clients") => {
                set(&mut clients, "--clients", &mut parser, |text| number(text, 1, u32::from(MOST_CLIENTS)))?;
            }
            Long("seed") => set(&mut seed, "--seed", &mut parser, |text| number(text, 0, u32::MAX))?,
            Long("help") | Short('h') => return Err(Stop::Help(HELP)),
            Value(word) if word == "serve" => {
                if upstream.is_some() || seconds.is_some() || clients.is_some() || seed.is_some() {
                    return Err(Stop::wrong("`serve` must be the first argument: it has options of its own"));
                }
                return serve(parser);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let job = match (upstream, seconds) {
        (None, None) => Job::Script,
        (None, Some(_)) => {
            return Err(Stop::wrong("--seconds needs --upstream: the length of the script is fixed"));
        }
        (Some(target), seconds) => {
            // A little less than was asked for, so that the table too is printed within that time.
            Job::Guard { target, seconds: Duration::from_millis(u64::from(seconds.unwrap_or(20)) * 1000 - 200) }
        }
    };
    let usual = if job == Job::Script { 16 } else { 4 };
    let clients = clients.and_then(|clients| u16::try_from(clients).ok()).unwrap_or(usual);
    Ok(Asked::Run(Args { job, clients, seed: seed.unwrap_or(1) }))
}

#[cfg(feature = "gateway")]
fn serve(parser: Parser) -> Result<Asked, Stop> {
    crate::gateway::args::parse(parser).map(Asked::Serve)
}

#[cfg(not(feature = "gateway"))]
fn serve(_: Parser) -> Result<Asked, Stop> {
    Err(Stop::wrong("`serve` needs the feature `gateway`: cargo run --release -p host --features gateway -- serve"))
}

/// Reads the value of the option `name` into `place`. An option can be given once.
pub(crate) fn set<T>(
    place: &mut Option<T>,
    name: &str,
    parser: &mut Parser,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<(), Stop> {
    let text = parser.value()?.string().map_err(|error| Stop::wrong(format_args!("{name}: {error}")))?;
    let value = read(&text).map_err(|why| Stop::wrong(format_args!("{name} {text}: {why}")))?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Stop::wrong(format_args!("{name} is given twice"))),
    }
}

/// A whole number from `least` to `most`.
fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// A URL that can be called.
pub(crate) fn url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("this is not a URL ({error})"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(server)) if !server.host().is_empty() => Ok(uri),
        (Some("https"), _) => Err("this example has no TLS: it speaks http only".to_owned()),
        (Some(_), Some(_)) => Err("the scheme must be http".to_owned()),
        _ => Err("it must look like http://host:port/path".to_owned()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn parsed(words: &str) -> Result<Asked, Stop> {
        parse(std::iter::once("host").chain(words.split_whitespace()))
    }

    /// The words are refused by one line that contains `names`.
    pub(crate) fn refused(words: &str, names: &str) {
        match parsed(words) {
            Err(Stop::Wrong(line)) => {
                assert!(line.starts_with("error: ") && !line.contains('\n') && line.contains(names), "{words}: {line}");
            }
            other => panic!("`{words}` gave {other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_the_script() {
        assert_eq!(parsed(""), Ok(Asked::Run(Args { job: Job::Script, clients: 16, seed: 1 })));
    }

    #[test]
    fn a_server_can_be_guarded_instead() {
        let asked = parsed("--upstream http://127.0.0.1:80/x --seconds 30 --clients=2 --seed 7");
        let Ok(Asked::Run(Args { job: Job::Guard { target, seconds }, clients, seed })) = asked else {
            panic!("{asked:?}")
        };
        assert_eq!((clients, seed), (2, 7));
        assert_eq!(target, "http://127.0.0.1:80/x");
        assert!(seconds < Duration::from_secs(30) && seconds > Duration::from_secs(29));
    }

    #[test]
    fn each_bad_argument_gets_one_line_that_names_it() {
        for (words, names) in [
            ("--clients 0", "--clients 0: must be a whole number from 1 to 64"),
            ("--clients 65", "--clients 65: must be a whole number from 1 to 64"),
            ("--clients many", "--clients many"),
            ("--clients 1 --clients 2", "--clients is given twice"),
            ("--upstream http://h --seconds 0", "--seconds 0: must be a whole number from 1 to 30"),
            ("--upstream http://h --seconds 31", "--seconds 31: must be a whole number from 1 to 30"),
            ("--seed -1", "--seed -1"),
            ("--seed 4294967296", "--seed"),
            ("--upstream https://example.org/", "http only"),
            ("--upstream ftp://example.org/", "scheme must be http"),
            ("--upstream localhost", "http://host:port/path"),
            ("--upstream /path", "http://host:port/path"),
            ("--upstream http://:80/", "--upstream"),
            ("--upstream", "--upstream"),
            ("--frobnicate", "--frobnicate"),
            ("-x", "-x"),
            ("stray", "stray"),
            ("--clients 3 serve", "serve"),
        ] {
            refused(words, names);
        }
    }

    #[test]
    fn seconds_without_a_server_say_what_they_need() {
        refused("--seconds 5", "--upstream");
    }

    #[test]
    fn help_is_no_error() {
        for words in ["--help", "-h", "--clients 3 --help"] {
            assert!(matches!(parsed(words), Err(Stop::Help(text)) if text.contains("--upstream URL")), "{words}");
        }
    }

    #[cfg(not(feature = "gateway"))]
    #[test]
    fn serve_names_the_feature_and_the_command() {
        refused("serve", "feature `gateway`: cargo run --release -p host --features gateway -- serve");
        refused("serve --listen 127.0.0.1:0", "feature `gateway`");
    }
}
