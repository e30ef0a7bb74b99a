//! A second process that opens a SQLite file.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kapso_slack::config::DatabaseUrl;
use kapso_slack::db::Database;
use kapso_slack::queue::{JobRows, WorkerId};

use crate::support::databases::{at, late};

/// Environment variable with the path of the file that [`second_process_main`] opens.
const PATH: &str = "IT_STORE_PATH";

/// Runs in the second process: opens a store, adds a job, prints the result, and waits until its input ends.
#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
#[expect(clippy::print_stdout, reason = "the test that started it reads the result")]
async fn second_process_main() {
    let path = std::env::var(PATH).expect("the path of a file");
    let result = match Database::open(&DatabaseUrl::file(Path::new(&path))).await {
        Ok(database) => {
            let jobs = JobRows::new(database);
            jobs.insert(&late(0), Some((&WorkerId::random(), at(15))))
                .await
                .map(drop)
        }
        Err(error) => Err(error),
    };
    println!("\nresult: {result:?}");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// A second process that has a file open, or has failed to open it.
pub struct SecondProcess {
    /// `Ok(())`, or the error in its debug format.
    pub said: String,
    child: Child,
}

impl SecondProcess {
    /// Runs [`second_process_main`] on a file, with the command `before` in front, and waits for its result.
    pub fn open(path: &Path, before: &[&str]) -> Self {
        let this = std::env::current_exe().unwrap();
        // The test's name is its path without the crate's name.
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::second_process_main");
        let mut words = before.iter().map(AsRef::as_ref).chain([this.as_os_str()]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args(["--exact", &test, "--ignored", "--nocapture"])
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("result: ").map(str::to_owned));
        Self {
            said: said.expect("it prints a result"),
            child,
        }
    }

    /// Kills the process with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A command to put in front of a program, so that it cannot write to a read-only file even if the tests run as root.
pub fn without_privilege(read_only: &Path) -> &'static [&'static str] {
    match fs::File::options().append(true).open(read_only) {
        Ok(_) => &["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override"],
        Err(_) => &[],
    }
}
