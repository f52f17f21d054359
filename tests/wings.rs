//! The plan of `src/`: imports go down from wing to wing, no files import each other in a circle, and foreign crates stay in
//! their places. The plan itself is told in `src/README.md`.
//!
//! What is read: every path, in `use`, elsewhere and in macros, outside comments, strings and unit tests. What a folder's
//! door re-exports of its own files is not an import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

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
const FOREIGN: [(&str, &[&str]); 23] = [
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
    ("quanta", &["integrations/quanta"]),
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
const LONG_FOR_A_REASON: [(&str, &str); 4] = [
    ("config", "one builder, with a method for each setting, and one check of all of them together"),
    ("machine/window/ring", "one protocol of a head and its chunks"),
    ("machine/window/time", "one protocol of a head and its buckets"),
    ("machine/word", "one word, with all its moves and the matrix that they make"),
];

/// What a source file imports.
#[derive(Default)]
struct File {
    /// Its module path with slashes: `machine/window/count`; a folder's door has the folder's.
    module: String,
    lines: usize,
    /// Module paths of the crate that it names, whatever they go on to.
    imports: BTreeSet<String>,
    /// First names of other paths.
    foreign: BTreeSet<String>,
    /// Ways around this test: another name for the crate, `extern crate`, a file that is taken in by its path.
    detours: BTreeSet<String>,
}

/// Reads the tokens of a file, of macros' bodies too.
struct Reader {
    file: File,
    /// The module that the tokens stand in: the file's, or an inline one below it.
    module: Vec<String>,
}

impl Reader {
    /// All tokens of a block or a file. What only a test or the documentation compiles is passed over.
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if is_passed_over(&tokens[at..]) {
                at += 2;
                // The item: to its semicolon or its braces.
                while at < tokens.len() {
                    at += 1;
                    match &tokens[at - 1] {
                        TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                        _ => {}
                    }
                }
                continue;
            }
            match &tokens[at] {
                TokenTree::Ident(name) if name == "use" => {
                    let end = tokens[at..].iter().position(|token| is(token, ';')).map_or(tokens.len(), |end| at + end);
                    let shows = at > 0 && matches!(&tokens[at - 1], TokenTree::Ident(name) if name == "pub");
                    self.tree(&tokens[at + 1..end], &[], shows);
                    at = end;
                }
                TokenTree::Ident(name) if name == "extern" && is_word(tokens.get(at + 1), "crate") => {
                    self.file.detours.insert(format!("extern crate {}", tokens[at + 2]));
                    at += 2;
                }
                TokenTree::Ident(name) if name == "mod" && matches!(tokens.get(at + 2), Some(TokenTree::Group(_))) => {
                    let Some(TokenTree::Group(body)) = tokens.get(at + 2) else { unreachable!("just seen") };
                    self.module.push(tokens[at + 1].to_string());
                    self.read(body.stream());
                    self.module.pop();
                    at += 2;
                }
                TokenTree::Ident(name) if (name == "include" && is_punct(tokens.get(at + 1), '!')) => {
                    self.file.detours.insert("include!".into());
                }
                TokenTree::Ident(_) => {
                    let (path, next) = path(&tokens, at);
                    if path.len() > 1 {
                        self.names(&path);
                    }
                    at = next - 1;
                }
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Bracket
                        && is_word(group.stream().into_iter().next().as_ref(), "path")
                    {
                        self.file.detours.insert("#[path]".into());
                    }
                    self.read(group.stream());
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// A tree of `use`, below `prefix`. If it is public it `shows` what the folder's own files define: that is no import.
    fn tree(&mut self, tokens: &[TokenTree], prefix: &[String], shows: bool) {
        for member in tokens.split(|token| is(token, ',')).filter(|member| !member.is_empty()) {
            let mut whole = prefix.to_vec();
            let mut branches = false;
            let mut renamed = false;
            for token in member {
                match token {
                    TokenTree::Ident(name) if name == "as" => renamed = true,
                    TokenTree::Ident(name) if !renamed => whole.push(name.to_string()),
                    TokenTree::Group(group) => {
                        branches = true;
                        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.tree(&inner, &whole, shows);
                    }
                    _ => {}
                }
            }
            if branches {
                continue;
            }
            if whole.iter().all(|name| ["crate", "self", "super"].contains(&name.as_str())) && renamed {
                self.file.detours.insert(format!("use {} as", whole.join("::")));
            }
            let own =
                whole.first().is_some_and(|name| name == "self") && whole.get(1).is_some_and(|name| name != "super");
            if !(shows && own) {
                self.names(&whole);
            }
        }
    }

    fn names(&mut self, path: &[String]) {
        let mut rest = path;
        let mut base = match path[0].as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.clone(),
            // At the root a wing's name needs no `crate::`.
            first if self.file.module == "lib" && FLOORS.iter().any(|wings| wings.contains(&first)) => Vec::new(),
            first => {
                self.file.foreign.insert(first.trim_start_matches("r#").to_owned());
                return;
            }
        };
        while let Some(first) = rest.first() {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => _ = base.pop(),
                _ => break,
            }
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        self.file.imports.insert(base.join("/"));
    }
}

/// Whether an attribute begins here that leaves the next item to tests or to the documentation.
fn is_passed_over(tokens: &[TokenTree]) -> bool {
    let (Some(hash), Some(TokenTree::Group(attribute))) = (tokens.first(), tokens.get(1)) else { return false };
    let text = attribute.to_string().replace(char::is_whitespace, "");
    is(hash, '#') && (text == "[cfg(test)]" || text == "[cfg(doc)]" || text.starts_with("[cfg(all(test,"))
}

fn is(token: &TokenTree, punctuation: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == punctuation)
}

fn is_punct(token: Option<&TokenTree>, punctuation: char) -> bool {
    token.is_some_and(|token| is(token, punctuation))
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(name)) if name == word)
}

/// The names of a path that begins at a token, and where it ends.
fn path(tokens: &[TokenTree], mut at: usize) -> (Vec<String>, usize) {
    let mut names = Vec::new();
    while let Some(TokenTree::Ident(name)) = tokens.get(at) {
        names.push(name.to_string());
        at += 1;
        if !(is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')) {
            break;
        }
        at += 2;
    }
    (names, at)
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
            files.push(file(&module.to_str().unwrap().replace('\\', "/"), &text));
        }
    }
}

fn file(module: &str, text: &str) -> File {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{module}: {error}"));
    let file = File { module: module.into(), lines: text.lines().count(), ..File::default() };
    let mut reader = Reader { file, module: module.split('/').map(str::to_owned).collect() };
    reader.read(tokens);
    reader.file
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

/// Ways around this test, as `file: way`. The stand-ins for the platform are taken in by their path.
fn detours(files: &[File]) -> Vec<String> {
    let found = files.iter().flat_map(|file| file.detours.iter().map(|way| (wing(&file.module), &file.module, way)));
    found
        .filter(|(wing, _, way)| {
            !(*wing == "platform" && *way == "#[path]" || *wing == "lib" && *way == "extern crate std")
        })
        .map(|(_, module, way)| format!("{module}: {way}"))
        .collect()
}

#[test]
fn imports_go_down() {
    let files = house();
    assert_eq!(steps_up(&files), Vec::<String>::new());
    assert_eq!(circles(&files), Vec::<String>::new());
    assert_eq!(trespassers(&files), Vec::<String>::new());
    assert_eq!(detours(&files), Vec::<String>::new());

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
    let tables = manifest.matches("dependencies]").count();
    assert_eq!(tables, 2, "one table of dependencies and one of dev-dependencies");
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name.replace('-', "_"));
    let names: Vec<String> = names.filter(|name| !name.starts_with('#')).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(FOREIGN.iter().any(|(known, _)| *known == name), "{name}: where may it be named?");
    }
}

fn made_up(files: &[(&str, &str)]) -> Vec<File> {
    files.iter().map(|(module, text)| file(module, text)).collect()
}

#[test]
fn a_step_up_is_found() {
    let up = |text| steps_up(&made_up(&[("terms/state", text), ("breaker", ""), ("clock", "")]));
    assert_eq!(up("use crate::clock::Ticks;\n/// See crate::breaker::Breaker\n"), Vec::<String>::new());
    assert_eq!(up("use crate::breaker::{Breaker, permit::Permit};\n"), ["terms/state -> breaker"]);
    assert_eq!(up("fn f() -> crate::breaker::Breaker {}\n"), ["terms/state -> breaker"]);
    assert_eq!(up("use super::super::breaker::Breaker;\n"), ["terms/state -> breaker"]);
    assert_eq!(up("use self::super::super::breaker::Breaker;"), ["terms/state -> breaker"]);
    assert_eq!(up("pub use self::super::super::breaker::Breaker;"), ["terms/state -> breaker"]);
    assert_eq!(up("use crate::{clock::Ticks, breaker::{self, permit}};"), ["terms/state -> breaker"]);
    assert_eq!(up("mod inner { use super::super::super::breaker::Breaker; }"), ["terms/state -> breaker"]);
    assert_eq!(up("macro_rules! m { () => { $crate::breaker::Breaker } }"), ["terms/state -> breaker"]);
    assert_eq!(up("fn f() { crate :: breaker :: Breaker }"), ["terms/state -> breaker"]);
    assert_eq!(
        up(r##"const C: (char, &str) = ('"', r#"a"b"#); use crate::breaker::Breaker;"##),
        ["terms/state -> breaker"]
    );
    let after_tests =
        "#[cfg(test)]\nmod tests { use crate::breaker::Breaker; }\npub(crate) use crate::breaker::Breaker as B;";
    assert_eq!(up(after_tests), ["terms/state -> breaker"]);
    assert_eq!(up("#[cfg(test)]\nmod tests { use crate::breaker::Breaker; }"), Vec::<String>::new());
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
    assert_eq!(of("machine/cell", "use serde::Serialize;"), ["machine/cell: serde"]);
    assert_eq!(of("integrations/grpc", "fn f(map: &http::HeaderMap) {}"), Vec::<String>::new());
    assert_eq!(of("breaker/call", "fn f() { tracing::info!(\"{}\", 1) }"), ["breaker/call: tracing"]);
    for text in ["use tracing;", "use tracing as t;", "use {tracing as t};", "#[tracing::instrument] fn f() {}"] {
        assert_eq!(of("breaker/call", text), ["breaker/call: tracing"], "{text}");
    }
    assert_eq!(of("integrations/serder", "use serde::Serialize;"), ["integrations/serder: serde"]);
}

#[test]
fn a_way_around_is_found() {
    let of = |text| detours(&made_up(&[("breaker/call", text)]));
    assert_eq!(of("use crate as me;"), ["breaker/call: use crate as"]);
    assert_eq!(of("use super as up;"), ["breaker/call: use super as"]);
    assert_eq!(of("extern crate tracing as t;"), ["breaker/call: extern crate tracing"]);
    assert_eq!(of("#[path = \"../machine/cell.rs\"] mod cell;"), ["breaker/call: #[path]"]);
    assert_eq!(of("include!(\"../machine/cell.rs\");"), ["breaker/call: include!"]);
    assert_eq!(of("use crate::clock::Ticks as T;"), Vec::<String>::new());
}
