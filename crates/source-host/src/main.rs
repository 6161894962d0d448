//! `source-host`: runs sources live.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
