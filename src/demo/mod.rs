//! `FakeSlack`, `FakeKapso` and the playground: the real service between two fakes, all over HTTP on loopback, with no
//! accounts.

mod channel;
mod demo_server;
mod endpoints;
mod exchange;
mod faults;
mod forms;
mod frame_headers;
mod gallery;
mod kapso;
mod pictures;
pub mod plain;
mod playground;
pub mod rules;
mod running_demo;
mod sample_sessions;
mod sandbox;
mod sandbox_server;
mod security_headers;
mod slack;
mod socket;
mod views;
mod web_api;

use std::error::Error;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

pub use self::channel::{ButtonRef, FailureNotice, PostedMessage};
pub use self::demo_server::DemoServer;
pub use self::exchange::{AppReply, DeliveryPath, Exchange, SlackRequest, UserAction};
pub use self::faults::Fault;
pub use self::forms::Person;
pub use self::kapso::FakeKapso;
pub use self::running_demo::{RunningDemo, Transport, start, start_over};
pub use self::sandbox::KapsoRequest;
pub use self::slack::{DirectResponse, FakeSlack, FormResponse};
pub use self::socket::{FakeSocket, OpenFault, SocketFault};
pub use self::views::OpenedView;
pub use self::web_api::{FakeWebApi, TokenState, WebCall, WebFault};
use crate::app::client_builder;
use crate::app::shutdown_signal;
use crate::clock::Clock;
use crate::config::Settings;
use crate::server::{self, Bounds};
use crate::telemetry::{self, LogFormat};

/// The default port of the playground.
pub const PORT: u16 = 3000;
/// Timeout of `demo --type`: longer than the slowest late reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(40);

/// Command-line options of `demo`.
#[derive(Debug)]
pub struct Options {
    /// Port on loopback; 0 for any free one.
    pub port: u16,
    /// Whether Slack's requests go through Socket Mode.
    pub socket: bool,
    /// Whether the service has a bot token, and sends direct messages.
    pub bot: bool,
    /// Whether to open the playground in a browser.
    pub open: bool,
    /// Send this command to a demo that is already running on `port`, instead of starting one.
    pub typed: Option<String>,
}

/// Runs the demo, or sends a command to one that is already running.
///
/// # Errors
/// If the port is taken, the service cannot start, or no demo is running on the port.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match &options.typed {
            Some(command) => {
                print_line(&send_to_running_demo(options.port, command).await?);
                Ok(())
            }
            None => run_until_shutdown(options).await,
        }
    })
}

async fn run_until_shutdown(options: &Options) -> Result<(), Box<dyn Error>> {
    let stop = shutdown_signal()?;
    let warnings = tracing_subscriber::filter::Targets::new().with_default(tracing::Level::WARN);
    let _log = telemetry::start(LogFormat::Text, &warnings);
    let transport = if options.socket {
        Transport::Socket
    } else {
        Transport::Http
    };
    let change = |settings: &mut Settings| {
        if !options.bot {
            settings.bot_token = None;
        }
    };
    let mut demo = start_over(transport, options.port, Clock::system(), change).await?;
    if options.open {
        open_in_browser(demo.url());
    }
    tokio::select! {
        () = stop => {}
        () = async {
            print_examples(&demo).await;
            std::future::pending::<()>().await;
        } => {}
    }
    demo.stop_service().await;
    Ok(())
}

/// Prints the playground's address and its first card, then shows how two more commands are answered.
async fn print_examples(demo: &RunningDemo) {
    let port = match demo.url().port() {
        Some(port) if port != PORT => format!(" --port {port}"),
        _ => String::new(),
    };
    print_line(&format!(
        "Kapso's WhatsApp sandbox, in Slack: the real service between a fake Slack and a fake Kapso.\n\
         {}\n\
         Playground:              {}\n\
         Gallery of all messages: {}gallery\n\
         From a second terminal:  {} demo{port} --type \"{} help\"\n\
         Press Ctrl-C to stop.\n",
        if demo.server().slack.socket().is_on() {
            "Commands and button presses come through Socket Mode.\n"
        } else {
            ""
        },
        demo.url(),
        demo.url(),
        std::env::args().next().unwrap_or_else(|| "kapso-slack".to_owned()),
        DemoServer::COMMAND,
    ));
    let card = demo.server().show_first_card();
    print_example("a pending session", &demo_server::first_command(), card).await;
    // In a demo of their own, so that the playground has only the first card.
    let Ok(mut tour) = start(0, Clock::system(), |_| {}).await else {
        return;
    };
    let examples = [
        ("an unknown session ID", "no-such-session", None),
        (
            "Kapso takes 3 s: the reply comes later, as a separate message",
            "active",
            Some(Fault::Delay(Duration::from_secs(3))),
        ),
    ];
    for (title, arguments, fault) in examples {
        let command = format!("{} {arguments}", DemoServer::COMMAND);
        if let Some(fault) = fault {
            tour.server().kapso.fail_next_request(fault);
        }
        print_example(title, &command, tour.server().run_command(&command)).await;
    }
    tour.stop_service().await;
    print_line("Try more in the playground, and press the buttons there.");
}

async fn print_example(title: &str, command: &str, reply: impl Future<Output = String>) {
    print_line(&format!("— {title}\n> {command}"));
    print_line(&format!("    {}\n", reply.await.replace('\n', "\n    ")));
}

/// Opens the playground in the default browser. The demo keeps running if there is none.
fn open_in_browser(url: &Url) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(opener)
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        print_line(&format!("Could not open a browser: {opener} is not installed."));
    }
}

/// Sends `command` to the demo running on `port` and returns the reply as plain text.
async fn send_to_running_demo(port: u16, command: &str) -> Result<String, Box<dyn Error>> {
    let http = client_builder().timeout(REPLY_TIMEOUT).build()?;
    let response = http
        .post(format!("http://127.0.0.1:{port}/type"))
        .body(command.to_owned())
        .send()
        .await
        .map_err(|_| format!("no demo is running on port {port}; start one with `kapso-slack demo`"))?;
    let status = response.status();
    let text = response.text().await?;
    if status.is_success() {
        Ok(text)
    } else {
        Err(text.into())
    }
}

/// Prints a line. Ignores errors: standard output may be a closed pipe.
fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Serves `routes` until the task is aborted.
async fn serve(listener: TcpListener, routes: Router) {
    let bounds = Bounds {
        head_deadline: Duration::from_secs(10),
        // Counts from the beginning of a response: the stream of events must not end while a page is open.
        keep_alive: Duration::from_hours(24 * 7),
        connections: 1_000,
        draining: CancellationToken::new(),
        closed: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    server::serve(listener, routes, bounds).await;
}
