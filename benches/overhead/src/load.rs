//! Serves the echo on loopback, each variant on a port of its own, and loads them with `wrk` in interleaved rounds.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use axum::Router;
use microbreaker::Breaker;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

use crate::args::Plan;
use crate::breakers;
use crate::echo::{BARE, METERED, NO_OP, Variant};
use crate::measure::{median, ratio};

/// Enough connections to keep one thread of wrk and those of the server busy. Few enough that the p99 is not all
/// waiting in line.
const CONNECTIONS: u64 = 32;

/// The figures that `echo.lua` prints after one load.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    requests: u64,
    per_second: f64,
    /// 1 divided by the number of requests.
    each: f64,
    /// In microseconds.
    p99: f64,
}

/// Loads each variant in turn. Returns a table.
pub(crate) fn run(plan: &Plan, variants: Vec<Variant>) -> Result<String, Box<dyn Error>> {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(plan.workers).enable_all().build()?;
    let mut servers = Vec::new();
    for Variant { name, router, .. } in variants {
        servers.push((name, serve(&runtime, router)?));
    }
    let counted_before = Breaker::reading(breakers::metered()).success;
    let mut counted_by_wrk = 0;
    let mut seen: Vec<[Vec<f64>; 3]> = servers.iter().map(|_| Default::default()).collect();
    // Round 0 warms up the allocator, the branch predictors and the clocks of the cores.
    for round in 0..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        for i in 0..servers.len() {
            // Each round begins with another server, so no server always follows the same one.
            let at = (i + usize::try_from(round)?) % servers.len();
            let before = own_micros()?;
            let figures = load(servers[at].1, if round == 0 { 1 } else { plan.seconds })?;
            if at == METERED {
                counted_by_wrk += figures.requests;
            }
            if round > 0 {
                seen[at][0].push(figures.per_second);
                seen[at][1].push(figures.p99);
                seen[at][2].push((own_micros()? - before) * figures.each);
            }
        }
    }
    let counted = Breaker::reading(breakers::metered()).success - counted_before;
    if counted < counted_by_wrk {
        return Err(format!("the breaker counted {counted} calls of {counted_by_wrk}").into());
    }

    let mut table = format!(
        "An axum echo on {} threads, under wrk with {CONNECTIONS} connections on the same cores; medians of {} rounds\n\
         of {} s each; ratios are medians of those within a round, with least and most. CPU is the server's alone, in\n\
         µs a request; \"no-op\" is a layer that does nothing:\n\n\
         | | requests/s | to bare | p99, µs | to bare | CPU | to bare | to no-op |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: |\n",
        plan.workers, plan.rounds, plan.seconds
    );
    for ((name, _), [speeds, p99s, spent]) in servers.iter().zip(&seen) {
        let _ = writeln!(
            table,
            "| {name} | {:.0} | {} | {:.0} | {} | {:.2} | {} | {} |",
            median(speeds),
            spread(speeds, &seen[BARE][0]),
            median(p99s),
            spread(p99s, &seen[BARE][1]),
            median(spent),
            spread(spent, &seen[BARE][2]),
            spread(spent, &seen[NO_OP][2]),
        );
    }
    Ok(table)
}

/// Serves on a free port for as long as the runtime lives.
fn serve(runtime: &Runtime, router: Router) -> io::Result<SocketAddr> {
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let address = listener.local_addr()?;
    runtime.spawn(async { axum::serve(listener, router).await });
    Ok(address)
}

fn load(server: SocketAddr, seconds: u64) -> Result<Figures, Box<dyn Error>> {
    let done = Command::new("wrk")
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string(), "--duration", &format!("{seconds}s")])
        .args(["--script", concat!(env!("CARGO_MANIFEST_DIR"), "/echo.lua"), &format!("http://{server}/")])
        .output()
        .map_err(|error| format!("wrk (Debian's package of that name) could not be run: {error}"))?;
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        return Err(format!("wrk: {}: {said}{}", done.status, String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(figures(&said)?)
}

/// Reads the figures. It is an error if there are none, or if any request failed, because they would then measure
/// something else.
fn figures(said: &str) -> Result<Figures, String> {
    let line = said.lines().find_map(|line| line.strip_prefix("figures ")).unwrap_or_default();
    let numbers: Vec<u32> = line.split(' ').map_while(|word| word.parse().ok()).collect();
    match numbers[..] {
        [0, _, _, _] => Err("no request was answered".into()),
        [requests, micros, p99, 0] if micros > 0 => Ok(Figures {
            requests: requests.into(),
            per_second: f64::from(requests) * 1e6 / f64::from(micros),
            each: 1.0 / f64::from(requests),
            p99: p99.into(),
        }),
        [_, _, _, failed] => Err(format!("{failed} requests failed")),
        _ => Err(format!("wrk gave no figures: {said}")),
    }
}

/// The processor time that this process has used so far, in microseconds. It leaves out wrk and all other processes. It
/// sums the threads that exist at the time of the call; the server's threads exist to the end.
fn own_micros() -> Result<f64, Box<dyn Error>> {
    let mut micros = 0.0;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        // The three numbers: nanoseconds on a core, nanoseconds waiting for a core, and how often it ran.
        let nanos: f64 = text.split(' ').next().unwrap_or_default().parse()?;
        micros += nanos / 1000.0;
    }
    Ok(micros)
}

/// The median ratio and the extremes.
fn spread(ours: &[f64], floor: &[f64]) -> String {
    let ratios = || ours.iter().zip(floor).map(|(ours, floor)| ours / floor);
    let (least, most) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    format!("{:.3} ({least:.3}..{most:.3})", ratio(ours, floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_line() {
        let said = "Running 2s test\nfigures 100000 2000000 750 0\n";
        assert_eq!(figures(said), Ok(Figures { requests: 100_000, per_second: 50_000.0, each: 1e-5, p99: 750.0 }));
    }

    #[test]
    fn what_is_no_measurement_gives_none() {
        for (said, names) in [
            ("", "no figures"),
            ("figures 1 2 3", "no figures"),
            ("figures 1 2 3 nan", "no figures"),
            ("figures 0 2000000 0 0", "no request"),
            ("figures 5 2000000 0 7", "7 requests failed"),
        ] {
            assert!(figures(said).is_err_and(|error| error.contains(names)), "{said}");
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        assert_eq!(spread(&[1.0, 20.0, 300.0], &[2.0, 20.0, 200.0]), "1.000 (0.500..1.500)");
    }
}
