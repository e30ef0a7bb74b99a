//! Starts and stops the service between both fakes, and the playground.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::sandbox::SAMPLE_AGENT;
use super::{DemoServer, FakeKapso, FakeSlack, playground};
use crate::app::{App, client_builder};
use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::qr::Addresses;

// Not secrets: the demo listens on loopback only and uses no account.
const KEY: &str = "demo-api-key-not-a-secret";
const SECRET: &str = "demo-signing-secret-not-a-secret";

/// Id of the pending session that examples use.
pub(super) const PENDING: &str = "123e4567-e89b-12d3-a456-426614174000";

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
    let qr = Addresses::new(app_url.clone(), &[SECRET.into()]);
    let server = Arc::new(DemoServer::new(kapso, slack, app_url, clock, qr));

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
            ("DEFAULT_AGENT", SAMPLE_AGENT),
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
    kapso.allow_undocumented();
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
