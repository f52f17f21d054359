//! What the crate shows: a root with the core, rooms with the rest, and one table of features.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn read(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The names of `pub use path::{A, B};` and `pub use path::A;`, lower-case ones (modules) too.
fn shown(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in code.split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else { continue };
        let members =
            path.split_once("::{").map_or_else(|| path.rsplit("::").next().unwrap_or(path), |(_, members)| members);
        names.extend(
            members
                .split(',')
                .map(|name| name.trim_matches([' ', '\n', '}']).to_owned())
                .filter(|name| !name.is_empty()),
        );
    }
    names
}

#[test]
fn the_root_shows_the_core_and_the_rooms() {
    let lib = read("src/lib.rs");
    let shown = shown(&lib);
    // `counted` is what a test's build shows.
    let (rooms, names): (BTreeSet<_>, BTreeSet<_>) = shown
        .into_iter()
        .filter(|name| name != "counted")
        .partition(|name| name.starts_with(char::is_lowercase) && !name.contains('_') || name == "embassy_time");
    println!("{} names at the root, {} rooms besides metrics and bounds", names.len(), rooms.len());
    assert!(names.len() < 60, "the root is the core, fewer than sixty names: {names:?}");
    // Nothing is defined there but these two rooms.
    let defined: Vec<&str> =
        lib.lines().filter(|line| line.starts_with("pub ") && !line.starts_with("pub use ")).collect();
    assert_eq!(defined, ["pub mod bounds;", "pub mod metrics;"]);
    assert!(!lib.contains("macro_export"), "a macro would stand at the root");
    let expected = [
        "defmt",
        "embassy_time",
        "fallback",
        "grpc",
        "health",
        "http",
        "io",
        "keyed",
        "lazy",
        "quanta",
        "registry",
        "settings",
        "tower",
        "tracing",
    ];
    assert_eq!(rooms, expected.map(str::to_owned).into(), "a room is named as users look for it");
}

/// The rows of a table of features.
fn rows(text: &str) -> Vec<&str> {
    text.lines().skip_while(|line| !line.starts_with("| feature |")).take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn there_is_one_table_of_features() {
    let table = read("src/features.md");
    assert_eq!(rows(&table), rows(&read("README.md")), "README.md has a copy of src/features.md");
    assert!(read("src/lib.rs").contains("include_str!(\"features.md\")"));

    let told: BTreeSet<String> = rows(&table)[3..]
        .iter()
        .map(|row| row.split('`').nth(1).unwrap_or_else(|| panic!("a feature in backticks: {row}")).to_owned())
        .collect();
    let manifest = read("Cargo.toml");
    let section = manifest.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let features: BTreeSet<String> = section
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "default")
        .collect();
    assert_eq!(told, features);
}
