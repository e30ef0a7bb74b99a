//! Entry point of the program `kapso-slack`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A command allocates about 300 times, which costs less here than in the system's allocator (docs/measurements.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    kapso_slack::cli::run()
}
