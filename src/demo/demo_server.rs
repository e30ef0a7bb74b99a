//! Starts the service between both fakes, and the playground.

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

// Not secrets: the demo listens on loopback only and uses no account.
const KEY: &str = "demo-api-key-not-a-secret";
const SECRET: &str = "demo-signing-secret-not-a-secret";

/// Id of the pending session that examples use.
pub(super) const PENDING: &str = "123e4567-e89b-12d3-a456-426614174000";

/// The service between both fakes.
pub struct DemoServer {
    pub kapso: FakeKapso,
    pub slack: FakeSlack,
    /// Base URL of the service.
    pub app_url: Url,
    /// Clock of the service and both fakes. Advance it with [`DemoServer::advance_clock`], so that the playground updates.
    pub clock: Clock,
    /// Signs addresses of QR codes, for the gallery.
    pub(super) qr: Addresses,
    /// Changes when state outside both fakes changes, such as the clock.
    pub(super) changed: watch::Sender<()>,
    /// Name of the active fault, see [`faults::ALL`].
    fault_name: Mutex<&'static str>,
}

/// A running demo. Dropping it stops the playground and both fakes.
pub struct RunningDemo {
    server: Arc<DemoServer>,
    url: Url,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<()>>,
    _playground: AbortOnDropHandle<()>,
}

/// Starts the demo on `port` of loopback, 0 for any free one. `change` may override the service's settings.
///
/// # Errors
/// If the port is taken or the service cannot start.
pub async fn start(port: u16, clock: Clock, change: impl FnOnce(&mut Settings)) -> Result<RunningDemo, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port} ({error}); try another one with --port"))?;
    let url = address(&listener)?;

    let kapso = FakeKapso::start(loopback().await?, KEY, clock.clone())?;
    add_sample_sessions(&kapso, clock.now());
    let http = client_builder().build()?;
    let slack = FakeSlack::start(loopback().await?, http, SECRET.into(), clock.clone())?;
    slack.limit_channels();
    let app_listener = loopback().await?;
    let app_url = address(&app_listener)?;
    let mut settings = settings(&kapso, &slack, &app_url)?;
    change(&mut settings);
    let app = App::build(settings, clock.clone()).await?;
    let server = Arc::new(DemoServer {
        kapso,
        slack,
        qr: Addresses::new(app_url.clone(), &[SECRET.into()]),
        app_url,
        clock,
        changed: watch::Sender::new(()),
        fault_name: Mutex::new(faults::HEALTHY),
    });

    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(app.serve(app_listener, shutdown.clone().cancelled_owned()));
    let playground = tokio::spawn(super::serve(listener, playground::routes(Arc::clone(&server))));
    Ok(RunningDemo {
        server,
        url,
        shutdown,
        serving: Some(serving),
        _playground: AbortOnDropHandle::new(playground),
    })
}

impl RunningDemo {
    #[must_use]
    pub fn server(&self) -> &DemoServer {
        &self.server
    }

    /// The playground's address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Shuts the service down gracefully: it delivers pending replies first. The fakes and the playground keep running.
    pub async fn stop_service(&mut self) {
        self.shutdown.cancel();
        if let Some(serving) = self.serving.take() {
            // A panic in the service has already been logged.
            let _ = serving.await;
        }
    }
}

impl DemoServer {
    /// Name of the slash command.
    pub const COMMAND: &str = "/sandbox";

    /// Sends a command, waits for its reply and returns it as plain text.
    pub async fn run_command(&self, command: &str) -> String {
        let sent = self
            .slack
            .send_command(&self.app_url, &Person::default(), command)
            .await;
        let reply = match (sent.message, sent.status) {
            (Some(posted), _) => posted,
            (None, Some(status)) if status.is_success() => self.slack.wait_for_reply(sent.exchange).await,
            _ => return "Slack says that the app did not respond.".to_owned(),
        };
        plain::text(&reply.message)
    }

    /// Advances the clock and updates the playground.
    pub fn advance_clock(&self, span: SignedDuration) {
        self.clock.advance(span);
        self.changed.send_replace(());
    }

    /// Sets the fault with this name and releases stalled requests. Returns false if there is no such fault.
    pub(super) fn set_fault(&self, name: &str) -> bool {
        let Some(choice) = faults::ALL.into_iter().find(|choice| choice.name == name) else {
            return false;
        };
        *self.fault_name.lock().unwrap_or_else(PoisonError::into_inner) = choice.name;
        self.kapso.set_fault(faults::fault(name));
        self.kapso.release_stalled_requests();
        true
    }

    /// Name of the active fault.
    pub(super) fn fault_name(&self) -> &'static str {
        *self.fault_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fixed settings: the environment and `.env` are not read.
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
    // No load balancer has to notice the shutdown.
    settings.timing.shutdown.linger = Duration::ZERO;
    Ok(settings)
}

/// Adds a session in every state.
fn add_sample_sessions(kapso: &FakeKapso, now: Timestamp) {
    let ago = |minutes| (now - SignedDuration::from_mins(minutes)).to_string();
    let add = |id: &str, phone: &str, code: &str, agent: Value| {
        kapso.add_session(id);
        kapso.set_field(id, "phone_number", phone.into());
        kapso.set_field(id, "activation_code", code.into());
        kapso.set_field(
            id,
            "activation_link",
            format!("https://wa.me/12345678901?text={code}").into(),
        );
        kapso.set_field(id, "agent", agent);
    };
    kapso.add_session(PENDING);
    add(
        "pending-for-an-hour",
        "+4915112345678",
        "K7WQ2M",
        json!({"id": "agent-2", "name": "Booking Assistant"}),
    );
    kapso.set_field("pending-for-an-hour", "created_at", ago(60).into());
    add(
        "active",
        "+5511987654321",
        "ZX81AB",
        json!({"id": "agent-3", "name": "Returns & Refunds"}),
    );
    kapso.activate("active");
    add(
        "expired",
        "+447700900123",
        "H3LL0W",
        json!({"id": "agent-123abc", "name": "Customer Support Agent"}),
    );
    kapso.expire("expired");
    kapso.set_field("expired", "expires_at", ago(30).into());
    add(
        "superseded",
        "+33612345678",
        "QQ4T7N",
        json!({"id": "agent-2", "name": "Booking Assistant"}),
    );
    kapso.supersede("superseded");
    add("in-a-new-state", "+81312345678", "M0P2RS", Value::Null);
    kapso.set_field("in-a-new-state", "status", "paused_by_operator".into());
    // Enough sessions for a second page of the list.
    for day in 1..=5_i64 {
        let id = format!("expired-long-ago-{day}");
        let agent = json!({"id": "agent-123abc", "name": "Customer Support Agent"});
        add(&id, &format!("+4477009001{}", 30 + day), "0LDC0D", agent);
        kapso.expire(&id);
        kapso.set_field(&id, "created_at", ago((day + 1) * 24 * 60).into());
        kapso.set_field(&id, "expires_at", ago(day * 24 * 60).into());
    }
}

async fn loopback() -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}

fn address(listener: &TcpListener) -> Result<Url, Box<dyn Error>> {
    Ok(Url::parse(&format!("http://{}", listener.local_addr()?))?)
}
