//! Runs tests of this binary once more, in another mode of the harness.

use std::process::Command;

/// Runs the tests of these modules but for those in `skipped`, with an environment variable that the harness reads.
///
/// # Panics
/// If one fails, or if there are fewer than 150: then modules were renamed.
pub fn run_again(modules: &[&str], skipped: &[&str], variable: (&str, &str)) {
    let (name, value) = variable;
    let run = Command::new(std::env::current_exe().unwrap())
        .args(modules.iter().map(|module| format!("{module}::")))
        .args(skipped.iter().flat_map(|test| ["--skip", test]))
        .env(name, value)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "with {name}={value}:\n{output}");
    let result = output
        .lines()
        .find(|line| line.starts_with("test result: ok. "))
        .unwrap();
    let passed: usize = result.split(' ').nth(3).unwrap().parse().unwrap();
    assert!(passed > 150, "modules were renamed: {result}");
}
