//! `lictor`: the program people type.

use std::process::ExitCode;

fn main() -> ExitCode {
    lictor_cli::main()
}
