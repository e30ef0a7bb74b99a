//! The service between a fake Slack and a fake Kapso, all three over HTTP on loopback: no accounts needed.

mod channel;
mod exchange;
mod forms;
mod kapso;
pub mod plain;
pub mod rules;
mod sandbox;
mod slack;
mod workspace;

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

pub use self::channel::{Failed, Place, Posted};
pub use self::exchange::{Answer, Exchange, Request, Way};
pub use self::forms::Person;
pub use self::kapso::{FakeKapso, Fault};
pub use self::sandbox::Asked;
pub use self::slack::{FakeSlack, Sent};
use crate::app::{App, client_builder};
use crate::cli::asked_to_stop;
use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::server::{self, Bounds};
use crate::telemetry::{self, LogFormat};

/// Where the demo listens if not told otherwise.
pub const PORT: u16 = 3000;

/// The first session that the demo types.
const PENDING: &str = "123e4567-e89b-12d3-a456-426614174000";

/// The service, running between both fakes.
pub struct House {
    /// Kapso.
    pub kapso: FakeKapso,
    /// Slack.
    pub slack: FakeSlack,
    /// Where the service answers.
    pub app_url: Url,
    /// What all three judge time by.
    pub clock: Clock,
}

/// Plays the demo on `port`, or, with `typed`, types a command into the one that is already playing there.
///
/// # Errors
/// Says what is in the way, such as a taken port.
pub fn run(port: u16, typed: Option<String>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match typed {
            Some(command) => {
                say(&workspace::type_into(port, &command).await?);
                Ok(())
            }
            None => play(port).await,
        }
    })
}

async fn play(port: u16) -> Result<(), Box<dyn Error>> {
    let stop = asked_to_stop()?;
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port} ({error}); try another one with --port"))?;
    let port = listener.local_addr()?.port();
    let warnings = tracing_subscriber::filter::Targets::new().with_default(tracing::Level::WARN);
    telemetry::start(LogFormat::Text, &warnings);

    let clock = Clock::system();
    let kapso = FakeKapso::start(loopback().await?, KEY, clock.clone())?;
    fill(&kapso, clock.now());
    let http = client_builder().build()?;
    let slack = FakeSlack::start(loopback().await?, http, SECRET.into(), clock.clone())?;
    let app = App::build(settings(&kapso, &slack)?, clock.clone()).await?;
    let app_listener = loopback().await?;
    let app_url = Url::parse(&format!("http://{}", app_listener.local_addr()?))?;
    let house = Arc::new(House {
        kapso,
        slack,
        app_url,
        clock,
    });

    let ended = CancellationToken::new();
    let serving = app.serve(app_listener, ended.clone().cancelled_owned());
    let desk = serve(listener, workspace::routes(Arc::clone(&house)));
    let talking = async {
        show(&house, port).await;
        stop.await;
        ended.cancel();
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(serving, talking) } => {}
        () = desk => {}
    }
    Ok(())
}

/// Types a few commands and prints what a person in Slack would read.
async fn show(house: &House, port: u16) {
    say("Kapso's WhatsApp sandbox, in Slack: the real service, between a fake Slack and a fake Kapso.\n");
    let about = [
        (format!("/sandbox {PENDING}"), "a session that waits for its tester"),
        (
            "/sandbox not-a-session-of-ours".to_owned(),
            "an id that Kapso does not know",
        ),
        (
            "/sandbox slow-and-active".to_owned(),
            "Kapso takes 3 s: the answer comes later, as a message",
        ),
        ("/sandbox help".to_owned(), "help"),
    ];
    for (command, what) in about {
        say(&format!("— {what}\n> {command}"));
        if command.contains("slow") {
            house.kapso.fail_next(Fault::Slow(Duration::from_secs(3)));
        }
        say(&format!("{}\n", indented(&house.ask(&command).await)));
    }
    say(&format!(
        "Type more from a second terminal:\n\n    {} demo{} --type \"/sandbox {PENDING}\"\n\n\
         Sessions to look up: {}.\nCtrl-C ends the demo.",
        std::env::args().next().unwrap_or_else(|| "kapso-slack".to_owned()),
        if port == PORT {
            String::new()
        } else {
            format!(" --port {port}")
        },
        house.kapso.sessions().into_keys().collect::<Vec<_>>().join(", "),
    ));
}

/// Standard output may be a closed pipe; the demo then goes on without a word.
fn say(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

fn indented(text: &str) -> String {
    format!("    {}", text.replace('\n', "\n    "))
}

impl House {
    /// Types a command and waits for its answer, as plain text.
    pub async fn ask(&self, command: &str) -> String {
        let sent = self.slack.types(&self.app_url, &Person::default(), command).await;
        let answer = match (sent.message, sent.status) {
            (Some(posted), _) => posted,
            (None, Some(status)) if status.is_success() => self.slack.later(sent.exchange).await,
            _ => return "Slack says that the app did not respond.".to_owned(),
        };
        plain::text(&answer.message)
    }
}

const KEY: &str = "the-demo-has-no-key-worth-hiding";
const SECRET: &str = "the-demo-has-no-secret-worth-hiding";

/// The demo's own settings: nothing of the environment gets in.
fn settings(kapso: &FakeKapso, slack: &FakeSlack) -> Result<Settings, Box<dyn Error>> {
    let environment = Environment::of(
        [
            ("SLACK_SIGNING_SECRET", SECRET),
            ("KAPSO_API_KEY", KEY),
            ("KAPSO_BASE_URL", kapso.base_url().as_str()),
            ("SLACK_RESPONSE_HOSTS", &slack.origin()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    Ok(environment.settings()?)
}

/// A session in every state there is.
fn fill(kapso: &FakeKapso, now: Timestamp) {
    let ago = |minutes| (now - SignedDuration::from_mins(minutes)).to_string();
    for id in [
        PENDING,
        "pending-for-an-hour",
        "slow-and-active",
        "expired",
        "superseded",
        "in-a-new-state",
    ] {
        kapso.add(id);
    }
    kapso.set("pending-for-an-hour", "created_at", ago(60).into());
    kapso.activate("slow-and-active");
    kapso.expire("expired");
    kapso.set("expired", "expires_at", ago(30).into());
    kapso.supersede("superseded");
    kapso.set("in-a-new-state", "status", "paused_by_operator".into());
    kapso.set("in-a-new-state", "agent", serde_json::Value::Null);
}

async fn loopback() -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
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
