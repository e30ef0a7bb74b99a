//! The service between a fake Slack and a fake Kapso, all three over HTTP on loopback: no accounts needed.

mod channel;
mod demo_server;
mod endpoints;
mod exchange;
mod faults;
mod forms;
mod gallery;
mod kapso;
mod pictures;
pub mod plain;
mod playground;
mod response_urls;
pub mod rules;
mod sandbox;
mod security_headers;
mod slack;
mod slack_queries;

use std::error::Error;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

pub use self::channel::{ButtonRef, Failed, Posted};
pub use self::demo_server::{DemoServer, RunningDemo, start};
pub use self::exchange::{Act, Answer, Exchange, Request, Way};
pub use self::forms::Person;
pub use self::kapso::{FakeKapso, Fault};
pub use self::sandbox::Asked;
pub use self::slack::{FakeSlack, Sent};
use crate::app::client_builder;
use crate::cli::asked_to_stop;
use crate::clock::Clock;
use crate::server::{self, Bounds};
use crate::telemetry::{self, LogFormat};

/// Where the demo listens if not told otherwise.
pub const PORT: u16 = 3000;
/// How long `demo --type` waits: longer than the longest late answer takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// What `demo` is told on the command line.
#[derive(Debug)]
pub struct Options {
    /// The port on loopback.
    pub port: u16,
    /// Whether to open the playground in a browser.
    pub open: bool,
    /// A command to type into the demo that plays there already.
    pub typed: Option<String>,
}

/// Plays the demo, or types a command into the one that is already playing.
///
/// # Errors
/// Says what is in the way, such as a taken port.
pub fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match options.typed {
            Some(command) => {
                say(&type_into(options.port, &command).await?);
                Ok(())
            }
            None => play(options.port, options.open).await,
        }
    })
}

async fn play(port: u16, open: bool) -> Result<(), Box<dyn Error>> {
    let stop = asked_to_stop()?;
    let warnings = tracing_subscriber::filter::Targets::new().with_default(tracing::Level::WARN);
    telemetry::start(LogFormat::Text, &warnings);
    let mut playing = start(port, Clock::system(), |_| {}).await?;
    if open {
        open_in_browser(playing.url());
    }
    tokio::select! {
        () = stop => {}
        () = async {
            show(&playing).await;
            std::future::pending::<()>().await;
        } => {}
    }
    playing.stop_service().await;
    Ok(())
}

/// Says where the playground is, types a few commands and prints what a person in Slack would read.
async fn show(playing: &RunningDemo) {
    let port = match playing.url().port() {
        Some(port) if port != PORT => format!(" --port {port}"),
        _ => String::new(),
    };
    say(&format!(
        "Kapso's WhatsApp sandbox, in Slack: the real service, between a fake Slack and a fake Kapso.\n\n\
         Type, press and break things:  {}\n\
         Every message there is:        {}gallery\n\
         From a second terminal:        {} demo{port} --type \"{} help\"\n\
         Ctrl-C ends the demo.\n",
        playing.url(),
        playing.url(),
        std::env::args().next().unwrap_or_else(|| "kapso-slack".to_owned()),
        DemoServer::COMMAND,
    ));
    let house = playing.server();
    let examples = [
        ("a session that waits for its tester", demo_server::PENDING, None),
        ("an id that Kapso does not know", "no-such-session", None),
        (
            "Kapso takes 3 s: the answer comes later, as a message of its own",
            "active",
            Some(Fault::Slow(Duration::from_secs(3))),
        ),
        ("help", "help", None),
    ];
    for (what, typed, fault) in examples {
        let command = format!("{} {typed}", DemoServer::COMMAND);
        say(&format!("— {what}\n> {command}"));
        if let Some(fault) = fault {
            house.kapso.fail_next(fault);
        }
        let answer = house.ask(&command).await;
        say(&format!("    {}\n", answer.replace('\n', "\n    ")));
    }
}

/// Asks the system to open the playground. The demo plays on if there is no browser.
fn open_in_browser(url: &Url) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(opener)
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        say(&format!("No browser could be opened ({opener} is missing)."));
    }
}

/// Types `command` into the demo that plays on `port`, and returns what a person would read.
async fn type_into(port: u16, command: &str) -> Result<String, Box<dyn Error>> {
    let http = client_builder().timeout(PATIENCE).build()?;
    let answer = http
        .post(format!("http://127.0.0.1:{port}/type"))
        .body(command.to_owned())
        .send()
        .await
        .map_err(|_| format!("no demo plays on port {port}; start one with `kapso-slack demo`"))?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() {
        Ok(text)
    } else {
        Err(text.into())
    }
}

/// Standard output may be a closed pipe; the demo then goes on without a word.
fn say(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

/// Serves a fake's routes for as long as the fake lives.
async fn serve(listener: TcpListener, routes: Router) {
    let bounds = Bounds {
        head_deadline: Duration::from_secs(10),
        connections: 1_000,
        draining: CancellationToken::new(),
        closed: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    server::serve(listener, routes, bounds).await;
}
