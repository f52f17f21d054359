//! The command line of the gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use hyper::Uri;
use lexopt::Arg::{Long, Short};
use lexopt::Parser;

use crate::args::{Stop, set, url};

/// What the gateway is to serve, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    pub(crate) listen: SocketAddr,
    /// `None`: our own upstream, which fails now and then.
    pub(crate) upstream: Option<Uri>,
    pub(crate) backends: Backends,
    pub(crate) settings: Option<PathBuf>,
    pub(crate) state: Option<PathBuf>,
    /// Whether visitors of our own call the gateway, so that there is something to watch.
    pub(crate) visitors: bool,
}

/// The servers that are guarded besides the upstream. None of them is taken from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backends {
    /// The URL of a PostgreSQL. It has been checked.
    pub(crate) database: Option<String>,
    /// The URL of a Redis. It has been checked.
    pub(crate) redis: Option<String>,
}

const HELP: &str = "\
Runs a gateway in front of real servers, each behind a circuit breaker of its own, until it is stopped.

Usage: host serve [OPTIONS]

Options:
  --listen ADDRESS   Listen here [default: 127.0.0.1:8080]
  --upstream URL     The HTTP upstream [default: our own, which fails now and then]
  --database URL     Guard this PostgreSQL too: postgres://user@host/database
  --redis URL        Guard this Redis too: redis://host
  --settings FILE    Settings as TOML, a table for each breaker; a change of the file is applied at once
  --state DIR        Keep the states of the breakers here over a restart
  --visitors         Let visitors call the gateway all the time, so that there is something to watch
  -h, --help         Print this help
";

/// The gateway listens here if it is not told where.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Reads what follows the word `serve`.
pub(crate) fn parse(mut parser: Parser) -> Result<Serving, Stop> {
    let (mut listen, mut upstream, mut database, mut redis) = (None, None, None, None);
    let (mut settings, mut state, mut visitors) = (None, None, false);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => set(&mut listen, "--listen", &mut parser, address)?,
            Long("upstream") => set(&mut upstream, "--upstream", &mut parser, url)?,
            Long("database") => set(&mut database, "--database", &mut parser, postgres)?,
            Long("redis") => set(&mut redis, "--redis", &mut parser, redis_url)?,
            Long("settings") => path(&mut settings, "--settings", &mut parser)?,
            Long("state") => path(&mut state, "--state", &mut parser)?,
            Long("visitors") => visitors = true,
            Long("help") | Short('h') => return Err(Stop::Help(HELP)),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Serving {
        listen: listen.unwrap_or(LISTEN),
        upstream,
        backends: Backends { database, redis },
        settings,
        state,
        visitors,
    })
}

/// A path need not be text.
fn path(place: &mut Option<PathBuf>, name: &str, parser: &mut Parser) -> Result<(), Stop> {
    match place.replace(parser.value()?.into()) {
        None => Ok(()),
        Some(_) => Err(Stop::wrong(format_args!("{name} is given twice"))),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it must look like 127.0.0.1:8080".to_owned())
}

fn postgres(text: &str) -> Result<String, String> {
    let config: Result<tokio_postgres::Config, _> = text.parse();
    config
        .map(|_| text.to_owned())
        .map_err(|error| format!("it must look like postgres://user@host/database ({error})"))
}

fn redis_url(text: &str) -> Result<String, String> {
    redis::Client::open(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("it must look like redis://host ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Asked;
    use crate::args::tests::{parsed, refused};

    #[test]
    fn a_gateway_can_be_served_instead() {
        let asked =
            parsed("serve --listen 127.0.0.1:1 --upstream http://h/ --database postgres://p@h/d --redis redis://h");
        let Ok(Asked::Serve(serving)) = asked else { panic!("{asked:?}") };
        assert_eq!(serving.listen, "127.0.0.1:1".parse().unwrap());
        assert_eq!(serving.upstream.unwrap(), "http://h/");
        let backends = Backends { database: Some("postgres://p@h/d".into()), redis: Some("redis://h".into()) };
        assert_eq!((serving.backends, serving.settings, serving.visitors), (backends, None, false));
    }

    #[test]
    fn a_gateways_bad_arguments_get_one_line_too() {
        for (words, names) in [
            ("serve --listen nowhere", "--listen"),
            ("serve --upstream https://h/", "http only"),
            ("serve --database http://h", "--database"),
            ("serve --redis http://h", "--redis"),
            ("serve --redis redis://h --redis redis://h", "--redis is given twice"),
            ("serve --state a --state b", "--state is given twice"),
            ("serve --settings", "--settings"),
            ("serve --visitors=3", "--visitors"),
            ("serve --clients 3", "--clients"),
            ("serve serve", "serve"),
        ] {
            refused(words, names);
        }
    }

    #[test]
    fn help_is_no_error() {
        assert!(matches!(parsed("serve --help"), Err(Stop::Help(text)) if text.contains("--database URL")));
    }
}
