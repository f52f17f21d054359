//! `cargo mutate [word …]`: applies each mutation of `loom-tests/mutations.txt` to a scratch copy of the workspace, and
//! runs the check that must notice it. With words, applies only the mutations whose check, file and purpose contain all
//! of them. Every check runs on the unbroken copy first, because a check that fails there proves nothing.
//!
//! Prints each mutation with its result, and `N of N caught` last. Fails unless all are caught.

mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use list::{Check, Mutation};

/// The folders that the workspace's `Cargo.toml` names, and the folder of the list.
const COPIED: [&str; 5] = ["src", "tests", "loom-tests", "benches", "examples"];
/// A mutation that hangs its check counts as noticed after so many times the check's unbroken time, and after this time
/// at least.
const PATIENCE: (u32, Duration) = (20, Duration::from_secs(60));

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    match run(root, &words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutate: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(root: &Path, words: &[String]) -> io::Result<bool> {
    let begin = Instant::now();
    let text = fs::read_to_string(root.join("loom-tests/mutations.txt"))?;
    let mut mutations = list::parse(&text).map_err(io::Error::other)?;
    mutations.retain(|mutation| {
        let all = format!("{} {} {}", mutation.check, mutation.file, mutation.why);
        words.iter().all(|word| all.contains(word))
    });
    // Sorted by kind of check, because each kind builds the library anew, and the next check of a kind finds it built.
    mutations.sort_by(|a, b| a.check.cmp(&b.check));
    let benches: Vec<Bench> = (0..thread::available_parallelism()?.get().min(4))
        .map(|number| Bench::new(root, number))
        .collect::<io::Result<_>>()?;

    let checks: Vec<Check> = mutations.iter().map(|mutation| mutation.check.clone()).collect();
    let unbroken = baseline(&benches, &checks)?;
    let (caught, hung) = (AtomicUsize::new(0), AtomicUsize::new(0));
    share_out(&benches, &mutations, |bench, mutation| {
        let verdict = bench.try_out(mutation, unbroken[&mutation.check])?;
        caught.fetch_add(usize::from(!matches!(verdict, Verdict::Missed(_))), Ordering::Relaxed);
        hung.fetch_add(usize::from(matches!(verdict, Verdict::Hangs)), Ordering::Relaxed);
        print!("{}", verdict.line(mutation));
        Ok(())
    })?;
    let (caught, all) = (caught.into_inner(), mutations.len());
    let lines: BTreeSet<_> = mutations.iter().map(|mutation| (&mutation.file, &mutation.from, &mutation.to)).collect();
    println!("{} s on {} benches", begin.elapsed().as_secs(), benches.len());
    println!("{} different lines broken; {} noticed by a check that comes to no end", lines.len(), hung.into_inner());
    println!("{caught} of {all} caught");
    Ok(caught == all && all > 0)
}

/// The time that each check takes on the unbroken copy; an error if one fails there.
fn baseline(benches: &[Bench], checks: &[Check]) -> io::Result<BTreeMap<Check, Duration>> {
    let mut distinct: Vec<&Check> = checks.iter().collect();
    distinct.dedup();
    let times = Mutex::new(BTreeMap::new());
    share_out(benches, &distinct, |bench, check| {
        let begin = Instant::now();
        match bench.cargo(check, Duration::from_secs(1200))? {
            Ended::Passed => {}
            ended => return Err(io::Error::other(format!("{check} fails unbroken: {ended:?}"))),
        }
        times.lock().expect("nobody panics").insert((*check).clone(), begin.elapsed());
        Ok(())
    })?;
    println!("{} checks pass unbroken", distinct.len());
    Ok(times.into_inner().expect("nobody panics"))
}

/// Does `work` for each of `items`, one at a time on each bench. A bench ends at its first error, which is returned.
fn share_out<T: Sync>(
    benches: &[Bench],
    items: &[T],
    work: impl Fn(&Bench, &T) -> io::Result<()> + Sync,
) -> io::Result<()> {
    let (next, work) = (&AtomicUsize::new(0), &work);
    thread::scope(|scope| {
        let running: Vec<_> = benches
            .iter()
            .map(|bench| {
                scope.spawn(move || {
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        work(bench, item)?;
                    }
                    Ok(())
                })
            })
            .collect();
        running.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })
}

/// How a check ended.
#[derive(Debug)]
enum Ended {
    Passed,
    /// The line of output that says why.
    Failed(String),
    DoesNotBuild(String),
    Hangs,
}

enum Verdict {
    Caught(String),
    /// Caught too, because the check does not end.
    Hangs,
    Missed(String),
}

impl Verdict {
    fn line(&self, mutation: &Mutation) -> String {
        let (mark, seen) = match self {
            Self::Caught(seen) => ("caught", seen.as_str()),
            Self::Hangs => ("caught", "does not come to an end"),
            Self::Missed(seen) => ("MISSED", seen.as_str()),
        };
        let [from, to] =
            [&mutation.from, &mutation.to].map(|text| text.lines().map(str::trim).collect::<Vec<_>>().join(" "));
        format!("{mark}  {} ({})\n        {from}  ==>  {to}\n        {seen}\n", mutation.check, mutation.file)
    }
}

/// A copy of the workspace. One mutation at a time is applied to it.
struct Bench {
    copy: PathBuf,
}

impl Bench {
    fn new(root: &Path, number: usize) -> io::Result<Self> {
        let copy = root.join(format!("target/mutate/{number}"));
        fs::create_dir_all(&copy)?;
        for name in COPIED {
            let to = copy.join(name);
            if to.exists() {
                fs::remove_dir_all(&to)?;
            }
            copy_all(&root.join(name), &to)?;
        }
        for name in ["Cargo.toml", "Cargo.lock", "README.md"] {
            fs::copy(root.join(name), copy.join(name))?;
        }
        Ok(Self { copy })
    }

    fn try_out(&self, mutation: &Mutation, unbroken: Duration) -> io::Result<Verdict> {
        let path = self.copy.join(&mutation.file);
        let text = fs::read_to_string(&path)?;
        let Some(broken) = mutation.apply(&text) else {
            return Ok(Verdict::Missed("its place is not found, or found twice".into()));
        };
        fs::write(&path, broken)?;
        // A property test that fails saves its seed, and would try that seed on the next mutation too.
        let seeds = self.copy.join("tests/model/reference/seeds.txt");
        let kept = fs::read(&seeds)?;
        let ended = self.cargo(&mutation.check, PATIENCE.1.max(unbroken * PATIENCE.0));
        fs::write(&path, text)?;
        fs::write(&seeds, kept)?;
        Ok(match ended? {
            Ended::Passed => Verdict::Missed("nothing noticed".into()),
            Ended::DoesNotBuild(error) => Verdict::Missed(format!("does not build: {error}")),
            Ended::Failed(seen) => Verdict::Caught(seen),
            Ended::Hangs => Verdict::Hangs,
        })
    }

    /// Builds, then runs within `limit`.
    fn cargo(&self, check: &Check, limit: Duration) -> io::Result<Ended> {
        let arguments = check.arguments();
        let split = arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len());
        let log = self.copy.join("log");
        let cargo = |arguments: &[&str]| -> io::Result<Command> {
            let file = fs::File::create(&log)?;
            let mut command = Command::new(env!("CARGO"));
            // A build directory of its own, whatever the caller's is. The preemptions and schedules are enough to show
            // every mutation.
            command.args(arguments).current_dir(&self.copy).env("CARGO_TARGET_DIR", self.copy.join("target"));
            command
                .env("LOOM_MAX_PREEMPTIONS", "2")
                .env("SHUTTLE_ITERATIONS", "100")
                .env("RUST_BACKTRACE", "0")
                .env("CARGO_TERM_COLOR", "never");
            command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
            Ok(command)
        };
        let mut build = arguments[..split].to_vec();
        if *check == Check::Stress {
            build[0] = "build";
        } else {
            build.push("--no-run");
        }
        if !cargo(&build)?.status()?.success() {
            return Ok(Ended::DoesNotBuild(first_line(&log, |line| line.starts_with("error"))?));
        }
        // A process group of its own, because the test is a child of cargo's and would outlive it.
        let mut running = cargo(&arguments)?.process_group(0).spawn()?;
        let group = running.id();
        let (sender, ended) = mpsc::channel();
        let waiting = thread::spawn(move || sender.send(running.wait()));
        let Ok(status) = ended.recv_timeout(limit) else {
            Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status()?;
            let _ = waiting.join();
            return Ok(Ended::Hangs);
        };
        let status = status?;
        let text = fs::read_to_string(&log)?;
        // With a name that no test has, cargo succeeds without running a test.
        if status.success() && !text.contains("test result: ok. 0 passed") {
            return Ok(Ended::Passed);
        }
        let mut lines = text.lines();
        let panic = lines.find(|line| line.contains("panicked at")).and_then(|_| lines.next());
        let marks = ["FAILED", "error", "0 passed", "VIOLATION"];
        Ok(Ended::Failed(match panic {
            Some(message) => message.to_owned(),
            None => first_line(&log, |line| marks.iter().any(|mark| line.contains(mark)))?,
        }))
    }
}

fn first_line(log: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<String> {
    let text = fs::read_to_string(log)?;
    Ok(text.lines().find(|line| wanted(line)).unwrap_or("no message").to_owned())
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "target" {
                copy_all(&entry.path(), &to)?;
            }
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
