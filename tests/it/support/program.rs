//! The real program in a process and a folder of its own, with no environment variables but those that a test sets.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use jiff::SignedDuration;
use kapso_slack::app::{App, client_builder};
use kapso_slack::clock::Clock;
use kapso_slack::config::Environment;
use kapso_slack::demo::{DirectResponse, FakeKapso, FakeSlack, Person, PostedMessage};
use kapso_slack::telemetry;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use url::Url;

use crate::support::store_health::WORKS;
use crate::support::{ID, KEY, SECRET, port};

/// Timeout for anything that a program does: far longer than it takes.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How far the clock of a service is ahead of the machine's.
pub const HOURS_AHEAD: &str = "HOURS_AHEAD";

/// The program before it is started.
pub struct Program {
    command: Command,
    folder: Folder,
}

/// The program while it runs.
pub struct Running {
    child: Child,
    /// `None` once it was closed.
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    said: Vec<String>,
    _folder: Folder,
}

/// The exit code and output of a program.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// Time from the call until its end.
    pub took: Duration,
}

/// `kapso-slack` with these arguments.
pub fn program(arguments: &[&str]) -> Program {
    program_with_prefix(&[], arguments)
}

/// The program in `KAPSO_SLACK_PROGRAM`, so that a release build can be measured; by default the one that was compiled with
/// the tests. Logs little, since it is not read line by line.
pub fn program_under_load() -> Program {
    let path = env::var("KAPSO_SLACK_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_kapso-slack").to_owned());
    run(&[&path])
        .with("HOST", "127.0.0.1")
        .with("PORT", "0")
        .with("RUST_LOG", "error,kapso_slack::cli=info")
}

/// `kapso-slack` with these arguments, with the command `before` in front.
fn program_with_prefix(before: &[&str], arguments: &[&str]) -> Program {
    run(&[before, &[env!("CARGO_BIN_EXE_kapso-slack")], arguments].concat())
}

/// A shell command that calls `cargo run --quiet --`, with the program in place of what cargo would build. Signals reach
/// the program itself.
pub fn shell_command(command: &str) -> Program {
    let program = run(&["/bin/sh", "-c", &format!("exec {command}")]);
    let cargo = program.folder.0.join("cargo");
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2 $3\" = 'run --quiet --' ] || exit 64\nshift 3\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_kapso-slack")
    );
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let path = program.folder.path().to_string();
    program.with("PATH", &path)
}

/// A command line that is run in a folder of its own, with an empty environment.
fn run(words: &[&str]) -> Program {
    let folder = Folder::new();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .env_clear()
        .current_dir(&folder.0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Program { command, folder }
}

impl Program {
    /// Sets an environment variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Creates a file in its folder.
    pub fn file(self, name: &str, content: &str) -> Self {
        fs::write(self.folder.0.join(name), content).unwrap();
        self
    }

    /// With a file of these bytes in its folder.
    pub fn binary_file(self, name: &str, content: &[u8]) -> Self {
        fs::write(self.folder.0.join(name), content).unwrap();
        self
    }

    /// With an empty folder in its folder.
    pub fn folder(self, name: &str) -> Self {
        fs::create_dir(self.folder.0.join(name)).unwrap();
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Running {
            child,
            stdout: Some(stdout),
            said: Vec::new(),
            _folder: self.folder,
        }
    }

    /// Starts it and waits for its end.
    pub async fn wait_for_exit(self) -> Ended {
        self.start().wait_for_exit().await
    }
}

impl Running {
    /// Waits for a line of its output that contains `words`.
    pub async fn wait_for_line(&mut self, words: &str) -> String {
        let listening = async {
            let stdout = self.stdout.as_mut().expect("it is not closed");
            while let Some(line) = stdout.next_line().await.unwrap() {
                self.said.push(line);
                let line = self.said.last().unwrap();
                if line.contains(words) {
                    return line.clone();
                }
            }
            panic!("it ended without {words:?}: {:?}", self.said);
        };
        let Ok(line) = timeout(TIMEOUT, listening).await else {
            panic!("no line with {words:?} in time: {:#?}", self.said);
        };
        line
    }

    /// Waits until it listens, and returns its address.
    pub async fn wait_until_listening(&mut self) -> Url {
        let line: Value = serde_json::from_str(&self.wait_for_line("\"listening\"").await).unwrap();
        format!("http://{}", line["address"].as_str().unwrap()).parse().unwrap()
    }

    /// Waits until it listens, and returns its address and that of its metrics.
    pub async fn wait_for_addresses(&mut self) -> (Url, Url) {
        let line: Value = serde_json::from_str(&self.wait_for_line("\"listening\"").await).unwrap();
        let url = |field: &str| format!("http://{}", line[field].as_str().unwrap()).parse().unwrap();
        let metrics: Url = url("metrics");
        (url("address"), metrics.join("/metrics").unwrap())
    }

    /// Closes the pipe that its standard output goes to.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// Reads and forgets what it writes from now on.
    pub fn drain_output(&mut self) {
        let mut stdout = self.stdout.take().expect("it is not closed");
        tokio::spawn(async move { while let Ok(Some(_)) = stdout.next_line().await {} });
    }

    /// Waits for its end, which must be a success.
    pub async fn wait_for_end(mut self) {
        let status = timeout(TIMEOUT, self.child.wait()).await.expect("it ends in time");
        let status = status.unwrap();
        assert!(status.success(), "{status}");
    }

    /// Waits for its end and reads nothing more of its standard output: its exit code and standard error.
    pub async fn wait_for_exit_unread(&mut self) -> (Option<i32>, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        let status = timeout(TIMEOUT, self.child.wait()).await.expect("it ends in time");
        let mut complaints = String::new();
        stderr.read_to_string(&mut complaints).await.unwrap();
        (status.unwrap().code(), complaints)
    }

    /// Waits until it listens and its database is open, and returns its address.
    pub async fn wait_until_serving(&mut self) -> Url {
        let app = self.wait_until_listening().await;
        self.wait_for_line(WORKS).await;
        app
    }

    /// Sends it a signal, such as `TERM`.
    pub async fn send_signal(&self, signal: &str) {
        let id = self.child.id().expect("it still runs").to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status().await;
        assert!(sent.unwrap().success(), "kill -{signal} {id}");
    }

    /// Waits for its end.
    pub async fn wait_for_exit(mut self) -> Ended {
        let began = Instant::now();
        let mut stderr = self.child.stderr.take().unwrap();
        let ending = async {
            let mut complaints = String::new();
            let reading = async { stderr.read_to_string(&mut complaints).await.unwrap() };
            let listening = async {
                let stdout = self.stdout.as_mut().expect("it is not closed");
                while let Some(line) = stdout.next_line().await.unwrap() {
                    self.said.push(line);
                }
            };
            let (status, _, ()) = tokio::join!(self.child.wait(), reading, listening);
            (status.unwrap(), complaints)
        };
        let (status, stderr) = timeout(TIMEOUT, ending).await.expect("it ends in time");
        Ended {
            code: status.code(),
            stdout: self.said.join("\n"),
            stderr,
            took: began.elapsed(),
        }
    }
}

/// Runs in a process of its own: `kapso-slack serve`, but with a longer deadline for storing jobs.
#[test]
#[ignore = "run by other tests, in a process of its own"]
#[expect(
    clippy::print_stdout,
    reason = "the log lines begin after what the test runner prints"
)]
fn service_process() {
    println!();
    let environment = Environment::of_process().unwrap();
    let mut settings = environment.settings().unwrap();
    settings.timing.enqueue = TIMEOUT;
    let hours_ahead = env::var(HOURS_AHEAD).map_or(0, |hours| hours.parse().unwrap());
    if hours_ahead != 0 {
        // PostgreSQL's clock is not moved.
        settings.timing.max_clock_skew = None;
    }
    let log = environment.log().unwrap();
    let _log = telemetry::start(log.format, &log.filter);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate()).unwrap();
        let listener = TcpListener::bind(settings.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Clock::system();
        clock.advance(SignedDuration::from_hours(hours_ahead));
        let app = App::build(settings, clock).await.unwrap();
        // Under the target that the default filter lets through.
        tracing::info!(target: "kapso_slack::cli", %address, "listening");
        app.serve(listener, async move {
            terminated.recv().await;
        })
        .await;
    });
}

/// Both fakes, for a program that uses the system's clock.
pub struct Fakes {
    pub kapso: FakeKapso,
    pub slack: FakeSlack,
    /// The clock of both.
    pub clock: Clock,
    pub person: Person,
}

impl Fakes {
    /// Starts both fakes; FakeKapso has the documented session.
    pub async fn start() -> Self {
        Self::start_with_key(KEY).await
    }

    /// The same, with a Kapso that accepts this key alone.
    pub async fn start_with_key(key: &str) -> Self {
        let clock = Clock::system();
        let kapso = FakeKapso::start(port().await, key, clock.clone()).unwrap();
        kapso.add_session(ID);
        let http = client_builder().build().unwrap();
        Self {
            kapso,
            slack: FakeSlack::start(port().await, http, SECRET.into(), clock.clone()).unwrap(),
            clock,
            person: Person::default(),
        }
    }

    /// The service with all required settings.
    pub fn service(&self) -> Program {
        self.service_with_prefix(&[])
    }

    /// The service, in a process of this test binary, with a long deadline for storing jobs: every acknowledged command has
    /// its pending reply in the database, even on a busy machine.
    pub fn service_that_waits_for_the_store(&self) -> Program {
        let tests = env::current_exe().unwrap();
        // The test's name is its path without the crate's name.
        let (_, module) = module_path!().split_once("::").unwrap();
        let test = format!("{module}::service_process");
        let words = [tests.to_str().unwrap(), "--exact", &test, "--ignored", "--nocapture"];
        self.with_secrets(run(&words))
    }

    /// The service with all required settings except the secrets.
    pub fn service_without_secrets(&self) -> Program {
        self.between_fakes(program(&[]))
    }

    /// The service with all required settings, with the command `before` in front.
    pub fn service_with_prefix(&self, before: &[&str]) -> Program {
        self.with_secrets(program_with_prefix(before, &[]))
    }

    fn with_secrets(&self, program: Program) -> Program {
        self.between_fakes(program)
            .with("SLACK_SIGNING_SECRET", SECRET)
            .with("KAPSO_API_KEY", KEY)
    }

    fn between_fakes(&self, program: Program) -> Program {
        program
            .with("KAPSO_BASE_URL", self.kapso.base_url().as_str())
            .with("SLACK_RESPONSE_HOSTS", &self.slack.origin())
            .with("HOST", "127.0.0.1")
            .with("PORT", "0")
    }

    /// Somebody types a command, in a channel of its own: one channel takes a message per second.
    pub async fn send_command(&self, app: &Url, command: &str) -> DirectResponse {
        let person = Person {
            channel: format!("C{:010}", fastrand::u32(..)),
            ..self.person.clone()
        };
        self.slack.send_command(app, &person, command).await
    }

    /// The body of `/readyz`.
    pub async fn readiness(&self, app: &Url) -> String {
        let answer = reqwest::get(app.join("/readyz").unwrap()).await;
        answer.unwrap().text().await.unwrap()
    }

    /// Looks up the documented session.
    pub async fn show_session(&self, app: &Url) -> PostedMessage {
        let sent = self.send_command(app, &format!("/sandbox {ID}")).await;
        match sent.message {
            Some(card) => card,
            None => self.slack.wait_for_reply(sent.exchange).await,
        }
    }

    /// Presses a button.
    pub async fn press(&self, app: &Url, on: &PostedMessage, action_id: &str) -> DirectResponse {
        self.slack.press_button(app, &self.person, on, action_id).await
    }

    /// Sends a command, and returns the plain text of the reply in the response.
    pub async fn command_text(&self, app: &Url, command: &str) -> String {
        let sent = self.send_command(app, command).await;
        let PostedMessage { message, .. } = sent
            .message
            .unwrap_or_else(|| panic!("no direct answer: {:?}", sent.status));
        kapso_slack::demo::plain::text(&message)
    }
}

/// A folder that is deleted when this is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// Whether a file in it contains this text.
    pub fn holds(&self, words: &str) -> bool {
        let mut files = fs::read_dir(&self.0).unwrap();
        files.any(|file| {
            let content = fs::read(file.unwrap().path()).unwrap();
            content.windows(words.len()).any(|window| window == words.as_bytes())
        })
    }

    /// Its path.
    pub fn path(&self) -> std::path::Display<'_> {
        self.0.display()
    }

    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
