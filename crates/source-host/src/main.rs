//! `source-host`: runs sources live.

use std::process::ExitCode;

fn main() -> ExitCode {
    source_host::command()
}
