//! A database server of this test. It starts on a free loopback port in a directory of its own, can be stopped, killed
//! and started again on both, and ends when it is dropped.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// The kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Redis,
}

/// A server that runs, hangs or is down.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

/// How long a server may take to accept connections.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

impl Server {
    /// Starts one and waits until it accepts connections.
    pub(crate) fn start(kind: Kind) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("outage-").tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut server = Self { kind, directory, port, child: None };
        if kind == Kind::Postgres {
            server.make_cluster()?;
        }
        server.run()?;
        Ok(server)
    }

    /// The port on 127.0.0.1 where it listens.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server (`SIGSTOP`): connections stay open, and requests get no answer.
    pub(crate) fn hang(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets the server go on (`SIGCONT`).
    pub(crate) fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills the server and all processes that it has started (`SIGKILL`): connections break, and new ones are refused.
    pub(crate) fn crash(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// Starts the server again on its port and data, and waits until it accepts connections.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut command = match self.kind {
            Kind::Redis => {
                let mut command = Command::new(find("redis-server")?);
                command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
                command.arg(self.port.to_string()).arg("--dir").arg(self.directory.path());
                command
            }
            Kind::Postgres => {
                let mut command = as_nobody_special(&find("postgres")?);
                command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
                for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"] {
                    command.args(["-c", setting]);
                }
                command
            }
        };
        self.child = Some(quietly(&mut command).spawn()?);
        let begin = Instant::now();
        while !self.accepts() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()).transpose()? {
                return Err(io::Error::other(format!("{:?} ended at once: {status}", self.kind)));
            }
            if begin.elapsed() > STARTS_WITHIN {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{:?} does not start", self.kind)));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Whether the server answers sensibly. PostgreSQL listens before it can serve.
    fn accepts(&self) -> bool {
        let address = (Ipv4Addr::LOCALHOST, self.port);
        match self.kind {
            Kind::Redis => TcpStream::connect(address).is_ok(),
            Kind::Postgres => find("pg_isready").is_ok_and(|tool| {
                let mut command = Command::new(tool);
                command.args(["-q", "-t", "1", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
                quietly(&mut command).status().is_ok_and(|status| status.success())
            }),
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn make_cluster(&self) -> io::Result<()> {
        let mut open = Command::new("chmod");
        // PostgreSQL makes and owns the directory inside.
        succeed(open.arg("777").arg(self.directory.path()))?;
        let mut command = as_nobody_special(&find("initdb")?);
        command.arg("-D").arg(self.data()).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]);
        succeed(quietly(command.arg("--no-sync")))
    }

    /// Sends `signal` to the server and to all processes that it has started.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        // The server is stopped first, so that it starts no more processes, and those that it has are still its
        // children when the search begins.
        send(child.id(), Signal::STOP)?;
        let others = children(child.id());
        others.into_iter().chain([child.id()]).try_for_each(|pid| send(pid, signal))
    }
}

fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match kill_process(pid, signal) {
        // The process has ended meanwhile.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: a drop can report no error.
        let _ = self.crash();
        if self.kind == Kind::Postgres && geteuid().is_root() {
            let _ = fs::remove_dir_all(self.data());
        }
    }
}

/// The processes that `parent` has started, and those that they have started.
fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        // The format is `pid (command) state parent …`, and the command may contain any character.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        if after.split_whitespace().nth(1).and_then(|word| word.parse().ok()) == Some(parent) {
            found.push(pid);
            found.extend(children(pid));
        }
    }
    found
}

/// PostgreSQL refuses to run as root.
fn as_nobody_special(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).current_dir("/");
    command
}

/// The path of a program: on `PATH`, or in Debian's directory of PostgreSQL.
fn find(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    // The newest version first.
    places.sort_by(|a, b| b.cmp(a));
    std::env::split_paths(&path).chain(places).map(|place| place.join(name)).find(|file| file.is_file()).ok_or_else(
        || {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("{name} is not installed (Debian: postgresql, redis-server)"),
            )
        },
    )
}

fn quietly(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}
