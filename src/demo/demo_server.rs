//! The service, running between both fakes, and the playground that shows it.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{FakeKapso, FakeSlack, Person, faults, plain, playground};
use crate::app::{App, client_builder};
use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::qr::Addresses;

const KEY: &str = "the-demo-has-no-key-worth-hiding";
const SECRET: &str = "the-demo-has-no-secret-worth-hiding";

/// The first session that the demo types.
pub(super) const PENDING: &str = "123e4567-e89b-12d3-a456-426614174000";

/// The service, running between both fakes.
pub struct DemoServer {
    /// Kapso.
    pub kapso: FakeKapso,
    /// Slack.
    pub slack: FakeSlack,
    /// Where the service answers.
    pub app_url: Url,
    /// What all three judge time by. Moved with [`DemoServer::passes`], the playground notices.
    pub clock: Clock,
    /// Where the service shows QR codes.
    pub(super) qr: Addresses,
    /// Changes whenever the playground changes what neither fake notices.
    pub(super) touched: watch::Sender<()>,
    /// The name of the fault that Kapso has.
    fault: Mutex<&'static str>,
}

/// A demo that plays.
pub struct RunningDemo {
    house: Arc<DemoServer>,
    url: Url,
    ended: CancellationToken,
    serving: Option<JoinHandle<()>>,
    _playground: AbortOnDropHandle<()>,
}

/// Starts the demo on `port` of loopback, 0 for any. `change` has the last word about the app's settings.
///
/// # Errors
/// Says what is in the way, such as a taken port.
pub async fn start(port: u16, clock: Clock, change: impl FnOnce(&mut Settings)) -> Result<RunningDemo, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port} ({error}); try another one with --port"))?;
    let url = address(&listener)?;

    let kapso = FakeKapso::start(loopback().await?, KEY, clock.clone())?;
    fill(&kapso, clock.now());
    let http = client_builder().build()?;
    let slack = FakeSlack::start(loopback().await?, http, SECRET.into(), clock.clone())?;
    let app_listener = loopback().await?;
    let app_url = address(&app_listener)?;
    let mut settings = settings(&kapso, &slack, &app_url)?;
    change(&mut settings);
    let app = App::build(settings, clock.clone()).await?;
    let house = Arc::new(DemoServer {
        kapso,
        slack,
        qr: Addresses::new(app_url.clone(), &[SECRET.into()]),
        app_url,
        clock,
        touched: watch::Sender::new(()),
        fault: Mutex::new(faults::HEALTHY),
    });

    let ended = CancellationToken::new();
    let serving = tokio::spawn(app.serve(app_listener, ended.clone().cancelled_owned()));
    let playground = tokio::spawn(super::serve(listener, playground::routes(Arc::clone(&house))));
    Ok(RunningDemo {
        house,
        url,
        ended,
        serving: Some(serving),
        _playground: AbortOnDropHandle::new(playground),
    })
}

impl RunningDemo {
    /// What plays.
    #[must_use]
    pub fn server(&self) -> &DemoServer {
        &self.house
    }

    /// The playground's address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Ends the service, which delivers what it owes first. The fakes and the playground play on.
    pub async fn stop_service(&mut self) {
        self.ended.cancel();
        if let Some(serving) = self.serving.take() {
            // A panic of its own has been reported.
            let _ = serving.await;
        }
    }
}

impl DemoServer {
    /// The slash command.
    pub const COMMAND: &str = "/sandbox";

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

    /// Time passes, and whoever looks at the playground sees it.
    pub fn passes(&self, span: SignedDuration) {
        self.clock.advance(span);
        self.touched.send_replace(());
    }

    /// Gives Kapso the fault with this name, and lets go of what it held. False if there is no such fault.
    pub(super) fn break_kapso(&self, name: &str) -> bool {
        let Some(choice) = faults::ALL.into_iter().find(|choice| choice.name == name) else {
            return false;
        };
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = choice.name;
        self.kapso.fail(faults::fault(name));
        self.kapso.release();
        true
    }

    /// The name of the fault that Kapso has.
    pub(super) fn fault(&self) -> &'static str {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The demo's own settings: nothing of the environment gets in.
fn settings(kapso: &FakeKapso, slack: &FakeSlack, app_url: &Url) -> Result<Settings, Box<dyn Error>> {
    let environment = Environment::of(
        [
            ("SLACK_SIGNING_SECRET", SECRET),
            ("KAPSO_API_KEY", KEY),
            ("KAPSO_BASE_URL", kapso.base_url().as_str()),
            ("SLACK_RESPONSE_HOSTS", &slack.origin()),
            ("PUBLIC_URL", app_url.as_str()),
            ("SLACK_COMMAND", DemoServer::COMMAND),
            ("CREATE_USERS", "*"),
            ("DATABASE_URL", "sqlite::memory:"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let mut settings = environment.settings()?;
    // Nobody routes requests to a demo.
    settings.timing.shutdown.linger = Duration::ZERO;
    Ok(settings)
}

/// A session in every state there is.
fn fill(kapso: &FakeKapso, now: Timestamp) {
    let ago = |minutes| (now - SignedDuration::from_mins(minutes)).to_string();
    let other = |id: &str, phone: &str, code: &str, agent: Value| {
        kapso.add(id);
        kapso.set(id, "phone_number", phone.into());
        kapso.set(id, "activation_code", code.into());
        kapso.set(
            id,
            "activation_link",
            format!("https://wa.me/12345678901?text={code}").into(),
        );
        kapso.set(id, "agent", agent);
    };
    kapso.add(PENDING);
    other(
        "pending-for-an-hour",
        "+4915112345678",
        "K7WQ2M",
        json!({"id": "agent-2", "name": "Booking Assistant"}),
    );
    kapso.set("pending-for-an-hour", "created_at", ago(60).into());
    other(
        "active",
        "+5511987654321",
        "ZX81AB",
        json!({"id": "agent-3", "name": "Returns & Refunds"}),
    );
    kapso.activate("active");
    other(
        "expired",
        "+447700900123",
        "H3LL0W",
        json!({"id": "agent-123abc", "name": "Customer Support Agent"}),
    );
    kapso.expire("expired");
    kapso.set("expired", "expires_at", ago(30).into());
    other(
        "superseded",
        "+33612345678",
        "QQ4T7N",
        json!({"id": "agent-2", "name": "Booking Assistant"}),
    );
    kapso.supersede("superseded");
    other("in-a-new-state", "+81312345678", "M0P2RS", Value::Null);
    kapso.set("in-a-new-state", "status", "paused_by_operator".into());
    // So many that the list has a second page.
    for day in 1..=5_i64 {
        let id = format!("expired-long-ago-{day}");
        let agent = json!({"id": "agent-123abc", "name": "Customer Support Agent"});
        other(&id, &format!("+4477009001{}", 30 + day), "0LDC0D", agent);
        kapso.expire(&id);
        kapso.set(&id, "created_at", ago((day + 1) * 24 * 60).into());
        kapso.set(&id, "expires_at", ago(day * 24 * 60).into());
    }
}

async fn loopback() -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}

fn address(listener: &TcpListener) -> Result<Url, Box<dyn Error>> {
    Ok(Url::parse(&format!("http://{}", listener.local_addr()?))?)
}
