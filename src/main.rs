//! Entry point of the program `kapso-slack`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kapso_slack::cli::run()
}
