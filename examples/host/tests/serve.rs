//! The gateway as a process: its settings, its signals and its restart. No test sleeps for a fixed time: each waits
//! until it sees what it expects.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Nothing takes that long. A test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(60);

struct Gateway {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
}

impl Gateway {
    /// Starts a gateway in front of its own upstream, and waits until it says where it listens.
    fn start(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = command(arguments, env).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("watch it on http://").and_then(|rest| rest.strip_suffix('/'));
        let address = address.unwrap_or_else(|| panic!("it said {line:?}")).to_owned();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, to) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                to.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, address, log }
    }

    /// The whole answer to a request: status line, headers and body.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.asked(request);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn asked(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").unwrap();
        stream
    }

    fn health(&self) -> serde_json::Value {
        let answer = self.ask("GET /health");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Waits until `what` is in the log this many times.
    fn logs(&self, times: usize, what: &str) {
        self.until(what, || self.log.lock().unwrap().matches(what).count() == times);
    }

    fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed() < DEADLINE, "no {what}: {}", self.log.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        let mut status = None;
        let begin = Instant::now();
        while status.is_none() {
            assert!(begin.elapsed() < DEADLINE, "it does not stop");
            status = self.child.try_wait().unwrap();
            thread::sleep(Duration::from_millis(5));
        }
        status.unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It has ended already, unless a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
    // The gateway must not read these: only its arguments name other servers.
    command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none").env("REDIS_URL", "redis://127.0.0.1:1/");
    command.envs(env.iter().copied());
    command
}

/// Replaces the file at once, so that nobody ever reads half of it.
fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

#[test]
fn a_bad_file_keeps_the_old_settings_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.toml");
    write(&file, "[upstream]\nmode = \"shadow\"\n");
    let gateway = Gateway::start(&["--settings", file.to_str().unwrap()], &[]);
    assert_eq!(gateway.health()["breakers"][0]["shadow"], true);

    let (kept, not) = ("settings not taken over; the ones before them stay in force", "settings not taken over");
    write(&file, "[upstream]\nmode = \n");
    gateway.logs(1, kept);
    write(&file, "[upstream]\nmode = \"open\"\n[mail]\n");
    gateway.logs(2, kept);
    fs::remove_file(&file).unwrap();
    gateway.logs(3, kept);
    // This is valid TOML, but the breaker cannot work with it. The mode beside the wrong setting is not applied either.
    write(&file, "[upstream]\nmode = \"open\"\nprobes = 16\n");
    gateway.logs(4, not);
    gateway.logs(1, "probes may be at most 15 (it is 16, the most is 15); the settings before it stay in force");
    let now = gateway.health();
    assert_eq!((&now["breakers"][0]["shadow"], &now["breakers"][0]["state"]), (&true.into(), &"closed".into()));

    write(&file, "[upstream]\nmode = \"open\"\nprobes = 3\n");
    gateway.logs(1, "settings taken over");
    assert_eq!(gateway.health()["breakers"][0]["state"], "forced_open");
    assert!(gateway.ask("GET /upstream/x").starts_with("HTTP/1.1 503 "));

    // If the file changes and its settings do not, a switch by hand stays.
    assert!(gateway.ask("PUT /breakers/upstream/on").starts_with("HTTP/1.1 204 "));
    write(&file, "# The same.\n[upstream]\nprobes = 3\nmode = \"open\"\n");
    gateway.logs(1, "settings read, none changed");
    assert_eq!(gateway.health()["breakers"][0]["state"], "closed");
    assert!(gateway.stop().success());
}

#[test]
fn servers_are_named_by_arguments_and_not_by_the_environment() {
    let names = |gateway: &Gateway| {
        let health = gateway.health();
        let breakers = health["breakers"].as_array().unwrap().iter();
        breakers.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let gateway = Gateway::start(&[], &[]);
    assert_eq!(names(&gateway), ["upstream"]);
    assert!(gateway.stop().success());
    let arguments = ["--database", "postgres://nobody@127.0.0.1:1/none", "--redis", "redis://127.0.0.1:1/"];
    let gateway = Gateway::start(&arguments, &[]);
    assert_eq!(names(&gateway), ["upstream", "database", "cache"]);
    assert!(gateway.stop().success());
}

#[test]
fn visitors_come_if_they_are_asked_for() {
    let gateway = Gateway::start(&["--visitors"], &[]);
    gateway.until("visit", || {
        let metrics = gateway.ask("GET /metrics");
        let ended = "circuit_breaker_calls_total{name=\"upstream\",outcome=\"success\"} ";
        metrics.lines().filter_map(|line| line.strip_prefix(ended)).any(|count| count != "0")
    });
    assert!(gateway.stop().success());
}

#[test]
fn the_environment_is_above_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.toml");
    write(&file, "[upstream]\nmode = \"open\"\n");
    let arguments = ["--settings", file.to_str().unwrap()];
    let gateway = Gateway::start(&arguments, &[("BREAKER_UPSTREAM_MODE", "off")]);
    assert_eq!(gateway.health()["breakers"][0]["state"], "disabled");
    // It also wins when the file changes.
    write(&file, "[upstream]\nmode = \"shadow\"\nopen_for = \"2s\"\n");
    gateway.logs(1, "settings taken over");
    assert_eq!(gateway.health()["breakers"][0]["state"], "disabled");

    let output = command(&arguments, &[("BREAKER_UPSTREAM_PROBES", "many")]).output().unwrap();
    let says = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(says.starts_with("error: ") && says.contains("BREAKER_UPSTREAM") && says.contains("probes"), "{says}");
}

#[test]
fn it_stops_while_it_is_watched_and_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let arguments = ["--state", state.to_str().unwrap()];
    let gateway = Gateway::start(&arguments, &[]);
    assert!(gateway.ask("PUT /breakers/upstream/open").starts_with("HTTP/1.1 204 "));
    let mut watching = BufReader::new(gateway.asked("GET /events"));
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        assert_ne!(watching.read_line(&mut line).unwrap(), 0);
    }
    assert!(gateway.stop().success());
    // The watcher's answer was ended properly.
    let mut rest = String::new();
    watching.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");

    let gateway = Gateway::start(&arguments, &[]);
    assert_eq!(gateway.health()["breakers"][0]["state"], "forced_open");
    gateway.logs(1, "restored");
    assert!(gateway.stop().success());
}
