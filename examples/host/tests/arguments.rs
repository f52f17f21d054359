//! The program's answer to arguments that start no run: one line and an exit code.

use std::process::{Command, Output};

fn host(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_host")).args(arguments).output().unwrap()
}

fn is_refused(arguments: &[&str], names: &str) {
    let output = host(arguments);
    let says = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{says}");
    assert!(says.starts_with("error: ") && says.lines().count() == 1 && says.contains(names), "{says}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_mistake_is_exit_code_2() {
    is_refused(&["--clients", "0"], "--clients 0");
    is_refused(&["--seconds", "5"], "--upstream");
}

#[test]
fn help_is_exit_code_0() {
    let output = host(&["--help"]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(String::from_utf8(output.stdout).unwrap().contains("--upstream URL"));
}

#[cfg(not(feature = "gateway"))]
#[test]
fn serve_names_the_feature_that_it_needs() {
    is_refused(&["serve"], "cargo run --release -p host --features gateway -- serve");
}
