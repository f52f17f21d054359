//! The program: hands the command line to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    host::main(std::env::args_os())
}
