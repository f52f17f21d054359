//! The plan of `src/`: imports go down from wing to wing, no files import each other in a circle, and foreign crates stay in
//! their places. The plan itself is told in `src/README.md`.
//!
//! What is read: every `crate::` and `super::` path and the first name of every other path, outside comments, strings and
//! unit tests. What a folder's door re-exports of its own files is not an import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The wings from the ground up. A wing may import from itself and from lower floors.
const FLOORS: [&[&str]; 9] = [
    &["platform"],
    &["clock"],
    &["terms", "config"],
    &["machine"],
    &["breaker"],
    &["metrics"],
    &["compose"],
    &["integrations"],
    &["lib"],
];

/// Foreign crates and the only places that may name them.
const FOREIGN: [(&str, &[&str]); 22] = [
    ("arc_swap", &["compose/lazy"]),
    ("async_lock", &["compose/lazy"]),
    ("defmt", &["integrations/defmt"]),
    ("embassy_time", &["integrations/embassy_time"]),
    ("heapless", &["compose/keyed"]),
    ("http", &["integrations/http", "integrations/grpc"]),
    ("http_body", &["integrations/http"]),
    ("httpdate", &["integrations/http"]),
    ("humantime", &["integrations/serde"]),
    ("loom", &["platform"]),
    ("metrics", &["integrations/metrics"]),
    ("opentelemetry", &["integrations/opentelemetry"]),
    ("papaya", &["compose/registry"]),
    ("pin_project_lite", &["integrations/http", "integrations/tower"]),
    ("portable_atomic", &["platform"]),
    ("prometheus_client", &["integrations/prometheus"]),
    ("serde", &["integrations/serde"]),
    ("shuttle", &["platform"]),
    ("tower", &["integrations/tower"]),
    ("tower_layer", &["integrations/tower"]),
    ("tower_service", &["integrations/tower"]),
    ("tracing", &["integrations/tracing"]),
];

/// A file above this many lines is a warehouse; one above the other is named with its reason.
const LONGEST: usize = 700;
const LONG: usize = 500;
const LONG_FOR_A_REASON: [(&str, &str); 3] = [
    ("machine/control", "one word, its matrix and its moves: they are proved together"),
    ("machine/window/count", "one protocol of a head and its chunks"),
    ("machine/window/time", "one protocol of a head and its buckets"),
];

/// What a source file imports.
struct File {
    /// Its module path with slashes: `machine/window/count`; a folder's door has the folder's.
    module: String,
    lines: usize,
    /// Module paths of the crate that it names, whatever they go on to.
    imports: BTreeSet<String>,
    /// First names of other paths.
    foreign: BTreeSet<String>,
}

/// The text without comments, strings, unit tests, and what only the documentation uses.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let text = text.split("#[cfg(all(test").next().unwrap_or_default();
    // What only the documentation's links need.
    let text = text.lines().scan(false, |of_docs, line| {
        let skipped = *of_docs;
        *of_docs = line == "#[cfg(doc)]";
        Some(if skipped { "" } else { line })
    });
    let text: String = text.flat_map(|line| [line, "\n"]).collect();
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' {
            let mut end = 1;
            let bytes = rest.as_bytes();
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            (end + 1).min(rest.len())
        } else {
            code.push(c);
            c.len_utf8()
        };
        rest = &rest[skip..];
    }
    code
}

/// All paths of two names or more, `use` trees opened: `a::{b, c::d}` is `a::b` and `a::c::d`. Of a tree that is public
/// (`pub use self::...`) nothing is told: it shows what the folder's own files define.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for statement in code.split_inclusive([';', '}', '{']) {
        let statement = statement.trim();
        if statement.starts_with("pub use self::") {
            continue;
        }
        let words: String =
            statement.chars().map(|c| if c.is_alphanumeric() || "_:".contains(c) { c } else { ' ' }).collect();
        paths.extend(words.split_whitespace().filter(|word| word.contains("::")).map(str::to_owned));
    }
    // A tree's members, below its prefix.
    let mut rest = code;
    while let Some(at) = rest.find("::{") {
        let start = rest[..at].rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).map_or(0, |at| at + 1);
        let prefix = &rest[start..at];
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end);
        paths.extend(rest[at + 3..end].split(',').map(|member| format!("{prefix}::{}", member.trim())));
        rest = &rest[at + 3..];
    }
    paths
}

fn read(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(root).unwrap().with_extension("");
            let is_door = relative.ends_with("mod");
            let module = if is_door { relative.parent().unwrap().to_path_buf() } else { relative.clone() };
            let module = module.to_str().unwrap().replace('\\', "/");
            files.push(file(module, &text));
        }
    }
}

fn file(module: String, text: &str) -> File {
    let (mut imports, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    for path in paths(&code(text)) {
        let names: Vec<&str> = path.split("::").filter(|name| !name.is_empty()).collect();
        let Some((&first, rest)) = names.split_first() else { continue };
        match first {
            "crate" => _ = imports.insert(rest.join("/")),
            "super" => {
                // Of a door the folder above, of a file its folder.
                let ups = 1 + rest.iter().take_while(|&&name| name == "super").count();
                let mut above: Vec<&str> = module.split('/').collect();
                for _ in 0..ups {
                    above.pop();
                }
                above.extend(rest.iter().skip_while(|&&name| name == "super"));
                imports.insert(above.join("/"));
            }
            // At the root a wing's name needs no `crate::`.
            _ if module == "lib" && FLOORS.iter().any(|wings| wings.contains(&first)) => {
                imports.insert(names.join("/"));
            }
            _ => _ = foreign.insert(first.to_owned()),
        }
    }
    File { module, lines: text.lines().count(), imports, foreign }
}

fn house() -> Vec<File> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read(&root, &root, &mut files);
    files.sort_by(|a, b| a.module.cmp(&b.module));
    files
}

fn wing(module: &str) -> &str {
    module.split('/').next().unwrap_or_default()
}

fn floor(wing: &str) -> usize {
    FLOORS
        .iter()
        .position(|wings| wings.contains(&wing))
        .unwrap_or_else(|| panic!("`{wing}` is no wing: see src/README.md"))
}

/// From file to file: of an import the longest beginning that is a file. A path of the root's own names leads to the root, which
/// is above all: `use` names the defining file.
fn arrows(files: &[File]) -> BTreeMap<&str, BTreeSet<&str>> {
    let modules: BTreeSet<&str> = files.iter().map(|file| file.module.as_str()).collect();
    files
        .iter()
        .map(|file| {
            let targets = file.imports.iter().map(|import| {
                let mut import = import.as_str();
                loop {
                    if let Some(&module) = modules.get(import) {
                        return module;
                    }
                    let Some((above, _)) = import.rsplit_once('/') else { return "lib" };
                    import = above;
                }
            });
            (file.module.as_str(), targets.filter(|&target| target != file.module).collect())
        })
        .collect()
}

/// Steps up, as `from -> to`.
fn steps_up(files: &[File]) -> Vec<String> {
    let mut up = Vec::new();
    for (from, targets) in arrows(files) {
        for to in targets {
            let (own, other) = (wing(from), wing(to));
            if own != other && floor(other) >= floor(own) {
                up.push(format!("{from} -> {to}"));
            }
        }
    }
    up
}

/// Circles of files, each as the names on its way.
fn circles(files: &[File]) -> Vec<String> {
    fn visit<'a>(
        at: &'a str,
        arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        found: &mut Vec<String>,
    ) {
        if let Some(begin) = way.iter().position(|&before| before == at) {
            found.push(format!("{} -> {at}", way[begin..].join(" -> ")));
            return;
        }
        if done.contains(at) {
            return;
        }
        way.push(at);
        for next in arrows.get(at).into_iter().flatten() {
            visit(next, arrows, way, done, found);
        }
        way.pop();
        done.insert(at);
    }
    let arrows = arrows(files);
    let (mut done, mut found) = (BTreeSet::new(), Vec::new());
    for start in arrows.keys() {
        visit(start, &arrows, &mut Vec::new(), &mut done, &mut found);
    }
    found
}

/// Foreign crates named outside their places, as `file: crate`.
fn trespassers(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (name, places) in FOREIGN {
            let at_home = places.iter().any(|place| {
                file.module.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            if file.foreign.contains(name) && !at_home {
                found.push(format!("{}: {name}", file.module));
            }
        }
    }
    found
}

#[test]
fn imports_go_down() {
    let files = house();
    assert_eq!(steps_up(&files), Vec::<String>::new());
    assert_eq!(circles(&files), Vec::<String>::new());
    assert_eq!(trespassers(&files), Vec::<String>::new());

    let arrows = arrows(&files);
    let between: BTreeSet<(&str, &str)> = arrows
        .iter()
        .flat_map(|(from, targets)| targets.iter().map(|to| (wing(from), wing(to))))
        .filter(|(from, to)| from != to)
        .collect();
    let longest = files.iter().max_by_key(|file| file.lines).unwrap();
    println!(
        "{} files, {} arrows between wings, 0 up, 0 circles, longest {} with {} lines",
        files.len(),
        between.len(),
        longest.module,
        longest.lines
    );
}

#[test]
fn no_file_is_a_warehouse() {
    for file in house() {
        assert!(file.lines <= LONGEST, "{} has {} lines", file.module, file.lines);
        let reason = LONG_FOR_A_REASON.iter().find(|(name, _)| *name == file.module);
        assert_eq!(
            file.lines > LONG,
            reason.is_some(),
            "{} has {} lines: name its reason, or drop it",
            file.module,
            file.lines
        );
        if let Some((name, reason)) = reason {
            println!("{name} has {} lines: {reason}", file.lines);
        }
    }
}

/// Every dependency of the manifest has its place, so that a new one is not overlooked.
#[test]
fn every_dependency_has_a_place() {
    let manifest = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name.replace('-', "_"));
    let names: Vec<String> = names.filter(|name| !name.starts_with('#')).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(FOREIGN.iter().any(|(known, _)| *known == name), "{name}: where may it be named?");
    }
}

fn made_up(files: &[(&str, &str)]) -> Vec<File> {
    files.iter().map(|(module, text)| file((*module).into(), text)).collect()
}

#[test]
fn a_step_up_is_found() {
    let up = |text| steps_up(&made_up(&[("terms/state", text), ("breaker", ""), ("clock", "")]));
    assert_eq!(up("use crate::clock::Ticks;\n/// See crate::breaker::Breaker\n"), Vec::<String>::new());
    assert_eq!(up("use crate::breaker::{Breaker, permit::Permit};\n"), ["terms/state -> breaker"]);
    assert_eq!(up("fn f() -> crate::breaker::Breaker {}\n"), ["terms/state -> breaker"]);
    assert_eq!(up("use super::super::breaker::Breaker;\n"), ["terms/state -> breaker"]);
    assert_eq!(up("use crate::HORIZON;"), ["terms/state -> lib"], "the root shows names, it defines none");
    let sideways = made_up(&[("terms/state", "use crate::config::Config;"), ("config", "")]);
    assert_eq!(steps_up(&sideways), ["terms/state -> config"], "two wings of one floor know nothing of each other");
}

#[test]
fn a_circle_is_found() {
    let files = made_up(&[
        ("machine/a", "use crate::machine::b::B;"),
        ("machine/b", "use super::c::C;"),
        ("machine/c", "use crate::machine::a::{A, D};"),
    ]);
    assert_eq!(circles(&files), ["machine/a -> machine/b -> machine/c -> machine/a"]);
    assert_eq!(circles(&files[..2]), Vec::<String>::new());
}

#[test]
fn a_foreign_crate_outside_its_place_is_found() {
    let of = |module, text| trespassers(&made_up(&[(module, text)]));
    assert_eq!(of("machine/timer", "use serde::Serialize;"), ["machine/timer: serde"]);
    assert_eq!(of("integrations/grpc", "fn f(map: &http::HeaderMap) {}"), Vec::<String>::new());
    assert_eq!(of("breaker/call", "fn f() { tracing::info!(\"{}\", 1) }"), ["breaker/call: tracing"]);
    assert_eq!(of("integrations/serder", "use serde::Serialize;"), ["integrations/serder: serde"]);
}
