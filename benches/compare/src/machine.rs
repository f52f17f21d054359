//! The machine, the compiler and the package versions of a measurement.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

pub fn machine() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_string())
        })
        .unwrap_or_else(|| "a processor that does not say which".into());
    format!("{model}, {cores} cores, {} on {}", std::env::consts::OS, std::env::consts::ARCH)
}

pub fn compiler() -> String {
    // Cargo names the compiler if it is not the one in the path.
    let name = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(name).arg("--version").output();
    said.map_or_else(|_| "rustc".into(), |said| String::from_utf8_lossy(&said.stdout).trim().to_string())
}

/// How many processes ran or wanted to run, on average over the last minute. Processes other than ours make the figures
/// doubtful.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_string()
}

/// The version of `package` in the lock file of this build.
pub fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| field(entry, "name") == Some(package));
    entry.and_then(|entry| field(entry, "version")).unwrap_or("of an unknown version")
}

fn field<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"');
    entry.lines().find_map(value)
}
