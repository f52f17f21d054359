//! The command line: what may be asked, and one clear line for what may not.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, value_parser};
use hyper::Uri;

use crate::show;
use crate::tuning::{MOST_CLIENTS, Tuning};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) job: Job,
    /// In each fleet.
    pub(crate) clients: u16,
    /// Of the load's pauses, the servers' working times and the breaker's jitter.
    pub(crate) seed: u32,
}

/// Which server is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Our own, twice, on a script.
    Script,
    /// Somebody's, through the breaker only.
    Guard { target: Uri, seconds: Duration },
    /// By whoever comes, through the gateway, until it is stopped.
    Serve(Serving),
}

/// What the gateway is to serve, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    pub(crate) listen: SocketAddr,
    /// `None`: our own, which fails now and then.
    pub(crate) upstream: Option<Uri>,
    pub(crate) backends: Backends,
    pub(crate) settings: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
}

/// Servers that are guarded where there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backends {
    /// A URL that was found to be one.
    pub(crate) postgres: Option<String>,
    pub(crate) redis: Option<String>,
}

impl Backends {
    /// Those that the environment names.
    pub(crate) fn from_env() -> Result<Self, Stop> {
        let read = |name: &str, check: fn(&str) -> Result<String, String>| {
            let given = std::env::var(name).ok().filter(|text| !text.is_empty());
            given.map(|text| check(&text)).transpose().map_err(|why| Stop::Wrong(format!("error: {name}: {why}")))
        };
        Ok(Self { postgres: read("DATABASE_URL", postgres)?, redis: read("REDIS_URL", redis)? })
    }

    /// These, and `others` where there are none.
    pub(crate) fn or(self, others: Self) -> Self {
        Self { postgres: self.postgres.or(others.postgres), redis: self.redis.or(others.redis) }
    }
}

impl Job {
    /// One line on what is going to happen.
    pub(crate) fn title(&self, tuning: &Tuning) -> String {
        let clients = tuning.clients;
        match self {
            Self::Script => format!("{clients} clients through a breaker, {clients} without, on one script"),
            Self::Guard { target, .. } => format!("{clients} clients call {target} through a breaker"),
            Self::Serve(serving) => format!("a gateway on {}", serving.listen),
        }
    }
}

/// Why there is nothing to run: help was asked for, or the arguments are wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Help(String),
    Wrong(String),
}

impl Stop {
    /// Says so; the process's exit code.
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

/// Reads the command line, the program's name first.
pub(crate) fn parse(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Args, Stop> {
    let matches = command().try_get_matches_from(words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp => Stop::Help(error.to_string()),
        _ => Stop::Wrong(one_line(&error.to_string())),
    })?;
    if let Some(("serve", matches)) = matches.subcommand() {
        let backends =
            Backends { postgres: matches.get_one("postgres").cloned(), redis: matches.get_one("redis").cloned() };
        let serving = Serving {
            listen: matches.get_one("listen").copied().unwrap_or(LISTEN),
            upstream: matches.get_one("upstream").cloned(),
            backends,
            settings: matches.get_one("settings").cloned(),
            state: matches.get_one("state").cloned(),
        };
        return Ok(Args { job: Job::Serve(serving), clients: 0, seed: 1 });
    }
    let job = match matches.get_one::<Uri>("upstream") {
        None => Job::Script,
        Some(target) => {
            let seconds = matches.get_one::<u64>("seconds").copied().unwrap_or(20);
            // A little less, so that the table too is out within the time asked for.
            Job::Guard { target: target.clone(), seconds: Duration::from_millis(seconds * 1000 - 200) }
        }
    };
    let usual = if job == Job::Script { 16 } else { 4 };
    Ok(Args {
        job,
        clients: matches.get_one::<u16>("clients").copied().unwrap_or(usual),
        seed: matches.get_one::<u32>("seed").copied().unwrap_or(1),
    })
}

/// The first paragraph says what is wrong; the rest is advice that `--help` gives better.
fn one_line(text: &str) -> String {
    let words = text.lines().take_while(|line| !line.trim().is_empty()).flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

/// Where the gateway listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

fn serve() -> Command {
    let option = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    Command::new("serve")
        .about("Runs a gateway in front of real servers, each behind a breaker of its own, until it is stopped")
        .arg(
            option("listen", "ADDRESS")
                .value_parser(value_parser!(SocketAddr))
                .help("Where to listen [default: 127.0.0.1:8080]"),
        )
        .arg(
            option("upstream", "URL")
                .value_parser(target)
                .help("The HTTP upstream [default: our own, which fails now and then]"),
        )
        .arg(option("postgres", "URL").value_parser(postgres).help("Guard this PostgreSQL too [default: DATABASE_URL]"))
        .arg(option("redis", "URL").value_parser(redis).help("Guard this Redis too [default: REDIS_URL]"))
        .arg(
            option("settings", "FILE")
                .value_parser(value_parser!(PathBuf))
                .help("TOML, a table for each breaker; watched, and taken over live"),
        )
        .arg(
            option("state", "DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Where the breakers' states are kept over a restart"),
        )
}

fn command() -> Command {
    let clients = value_parser!(u16).range(1..=i64::from(MOST_CLIENTS));
    let seconds = RangedU64ValueParser::<u64>::new().range(1..=30);
    Command::new("host")
        .about("Calls a real HTTP server through a circuit breaker, and the same one without, and compares")
        .arg(
            Arg::new("upstream")
                .long("upstream")
                .value_name("URL")
                .value_parser(target)
                .help("Guard this server (http only) instead of our own scripted one"),
        )
        .arg(
            Arg::new("seconds")
                .long("seconds")
                .value_name("S")
                .value_parser(seconds)
                .requires("upstream")
                .help("How long to guard it, 1 to 30 [default: 20]; the script has its own length"),
        )
        .arg(
            Arg::new("clients")
                .long("clients")
                .value_name("N")
                .value_parser(clients)
                .help("Clients in each fleet, 1 to 64 [default: 16; with --upstream 4]"),
        )
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .help("Seed of pauses, working times and jitter [default: 1]"),
        )
        .subcommand(serve())
        .args_conflicts_with_subcommands(true)
}

/// A PostgreSQL's URL.
fn postgres(text: &str) -> Result<String, String> {
    let config: Result<tokio_postgres::Config, _> = text.parse();
    config.map(|_| text.to_owned()).map_err(|error| format!("not like postgres://user@host/database ({error})"))
}

/// A Redis's URL.
fn redis(text: &str) -> Result<String, String> {
    redis::Client::open(text).map(|_| text.to_owned()).map_err(|error| format!("not like redis://host ({error})"))
}

/// A URL that can be called.
fn target(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("not a URL ({error})"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(server)) if !server.host().is_empty() => Ok(uri),
        (Some("https"), _) => Err("this example speaks http only, it has no TLS".to_owned()),
        (Some(_), Some(_)) => Err("the scheme must be http".to_owned()),
        _ => Err("must be like http://host:port/path".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Args, Stop> {
        parse(std::iter::once("host").chain(words.split_whitespace()))
    }

    fn wrong(words: &str) -> String {
        match parsed(words) {
            Err(Stop::Wrong(line)) => line,
            other => panic!("`{words}` gave {other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_the_script() {
        assert_eq!(parsed(""), Ok(Args { job: Job::Script, clients: 16, seed: 1 }));
    }

    #[test]
    fn a_server_can_be_guarded_instead() {
        let args = parsed("--upstream http://127.0.0.1:80/x --seconds 30 --clients 2 --seed 7").unwrap();
        assert_eq!((args.clients, args.seed), (2, 7));
        let Job::Guard { target, seconds } = args.job else { panic!("{:?}", args.job) };
        assert_eq!(target, "http://127.0.0.1:80/x");
        assert!(seconds < Duration::from_secs(30) && seconds > Duration::from_secs(29));
    }

    #[test]
    fn each_bad_argument_gets_one_line_that_names_it() {
        for (words, names) in [
            ("--clients 0", "0 is not in 1..=64"),
            ("--clients 65", "65 is not in 1..=64"),
            ("--clients many", "'many' for '--clients <N>'"),
            ("--upstream http://h --seconds 0", "0 is not in 1..=30"),
            ("--upstream http://h --seconds 31", "31 is not in 1..=30"),
            ("--seed -1", "-1"),
            ("--seed 4294967296", "--seed"),
            ("--upstream https://example.org/", "http only"),
            ("--upstream ftp://example.org/", "scheme must be http"),
            ("--upstream localhost", "http://host:port/path"),
            ("--upstream /path", "http://host:port/path"),
            ("--upstream http://:80/", "--upstream"),
            ("--upstream", "--upstream <URL>"),
            ("--frobnicate", "--frobnicate"),
            ("stray", "stray"),
        ] {
            let line = wrong(words);
            assert!(line.starts_with("error: ") && !line.contains('\n') && line.contains(names), "{words}: {line}");
        }
    }

    #[test]
    fn seconds_without_a_server_say_what_they_need() {
        let line = wrong("--seconds 5");
        assert!(line.contains("--upstream"), "{line}");
    }

    #[test]
    fn a_gateway_can_be_served_instead() {
        let args =
            parsed("serve --listen 127.0.0.1:1 --upstream http://h/ --postgres postgres://p@h/d --redis redis://h");
        let Ok(Args { job: Job::Serve(serving), .. }) = args else { panic!("{args:?}") };
        assert_eq!(serving.listen, "127.0.0.1:1".parse().unwrap());
        assert_eq!(serving.upstream.unwrap(), "http://h/");
        let backends = Backends { postgres: Some("postgres://p@h/d".into()), redis: Some("redis://h".into()) };
        assert_eq!((serving.backends, serving.settings), (backends, None));
    }

    #[test]
    fn a_gateways_bad_arguments_get_one_line_too() {
        for (words, names) in [
            ("serve --listen nowhere", "--listen"),
            ("serve --upstream https://h/", "http only"),
            ("serve --postgres http://h", "--postgres"),
            ("serve --redis http://h", "--redis"),
            ("serve --clients 3", "--clients"),
            ("--clients 3 serve", "serve"),
        ] {
            let line = wrong(words);
            assert!(line.starts_with("error: ") && !line.contains('\n') && line.contains(names), "{words}: {line}");
        }
    }

    #[test]
    fn help_is_no_error() {
        assert!(matches!(parsed("--help"), Err(Stop::Help(text)) if text.contains("--upstream <URL>")));
    }
}
