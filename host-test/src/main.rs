//! `host-test`: recorded traffic for any `pipeline:source` component.

use std::process::ExitCode;

fn main() -> ExitCode {
    host_test::cli::main()
}
