//! Takes the quick start out of the front page of the documentation.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let page = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../../src/lib.rs");
    println!("cargo::rerun-if-changed={}", page.display());
    let page = fs::read_to_string(page).unwrap();

    let lines = page.lines().skip_while(|line| *line != "//! # Quick start").skip(1);
    let section: Vec<&str> = lines
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .scan(false, |in_code, line| {
            *in_code ^= line.starts_with("```");
            (*in_code || !line.starts_with("# ")).then_some(line) // the next heading ends it
        })
        .collect();
    assert_eq!(section.iter().filter(|line| **line == "```").count(), 2, "one example: {section:#?}");

    let to = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("quick_start.md");
    fs::write(to, section.join("\n")).unwrap();
}
