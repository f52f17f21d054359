//! The main job of a circuit breaker, on real input: a fleet of HTTP clients calls a real server through a circuit
//! breaker. At the same time an equal fleet calls an equal server without one.
//!
//! ```text
//! cargo run --release -p host                           the servers follow a script and fail in five ways (20 s)
//! cargo run --release -p host -- --upstream http://127.0.0.1:8080/health --seconds 10
//! cargo run --release -p host --features gateway -- serve --visitors
//!                                                       a gateway in front of real servers, until it is stopped
//! ```
//!
//! The first two end with a table and with the promises of the breaker, each checked. Exit code 0: all were kept.
//! 1: one was broken, or the run was not possible. 2: an argument was wrong.
//!
//! Without the feature `gateway` the package has no web framework, no database and no metrics among its dependencies,
//! so that the first command is built quickly.

mod args;
#[cfg(feature = "gateway")]
pub mod gateway;
mod job;
mod load;
mod record;
mod report;
mod rules;
mod show;
mod tuning;
mod upstream;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::args::Asked;

/// Does what the command line asks for and returns the exit code. The first word is the name of the program.
pub fn main(words: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
    match args::parse(words) {
        Ok(Asked::Run(args)) => job::run(&args),
        #[cfg(feature = "gateway")]
        Ok(Asked::Serve(serving)) => gateway::service::run(serving),
        Err(stop) => stop.show(),
    }
}
