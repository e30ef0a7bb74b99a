//! The front door: reads the command line, calls one verb, and turns what came of it into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kapso_slack::cli::run()
}
