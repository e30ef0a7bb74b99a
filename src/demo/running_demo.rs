//! Starts and stops the service between both fakes, and the playground.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::demo_server::CHANNELS;
use super::sandbox::SAMPLE_AGENT;
use super::{DemoServer, FakeKapso, FakeSlack, playground, sample_sessions};
use crate::app::{App, client_builder};
use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::qr::Addresses;
use crate::slack::direct_messages::SCOPE;
use crate::slack::socket_mode::CONNECTIONS;

// Not secrets: the demo listens on loopback only and uses no account.
const KEY: &str = "demo-api-key-not-a-secret";
const SECRET: &str = "demo-signing-secret-not-a-secret";
const APP_TOKEN: &str = "xapp-demo-token-not-a-secret";
const BOT_TOKEN: &str = "xoxb-demo-token-not-a-secret";

/// A running demo. Dropping it stops the playground and both fakes.
pub struct RunningDemo {
    server: Arc<DemoServer>,
    url: Url,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<()>>,
    _playground: AbortOnDropHandle<()>,
}

/// How Slack's requests reach the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Http,
    /// Through Socket Mode.
    Socket,
}

/// Starts the demo over HTTP on `port` of loopback, 0 for any free one. `change` may override the service's settings.
///
/// # Errors
/// If the port is taken or the service cannot start.
pub async fn start(port: u16, clock: Clock, change: impl FnOnce(&mut Settings)) -> Result<RunningDemo, Box<dyn Error>> {
    start_over(Transport::Http, port, clock, change).await
}

/// The same over either transport.
///
/// # Errors
/// If the port is taken or the service cannot start.
pub async fn start_over(
    transport: Transport,
    port: u16,
    clock: Clock,
    change: impl FnOnce(&mut Settings),
) -> Result<RunningDemo, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port} ({error}); try another one with --port"))?;
    let url = address(&listener)?;

    let kapso = FakeKapso::start(loopback().await?, KEY, clock.clone())?;
    kapso.allow_undocumented();
    kapso.reset(sample_sessions::sessions(clock.now()));
    let http = client_builder().build()?;
    let slack = FakeSlack::start(loopback().await?, http, SECRET.into(), clock.clone())?;
    slack.limit_channels();
    slack.web_api().install(BOT_TOKEN, &["commands", SCOPE]);
    for channel in CHANNELS {
        slack.web_api().join(channel.id);
    }
    let app_listener = loopback().await?;
    let app_url = address(&app_listener)?;
    if transport == Transport::Socket {
        slack.turn_on_socket_mode(APP_TOKEN);
    }
    let mut settings = settings(transport, &kapso, &slack, &app_url)?;
    change(&mut settings);
    let only = settings.projects.clone();
    let has_bot = settings.bot_token.is_some();
    let app = App::build(settings, clock.clone()).await?;
    let secret = match transport {
        Transport::Http => SECRET,
        Transport::Socket => APP_TOKEN,
    };
    let qr = Addresses::new(app_url.clone(), &[secret.into()]);
    let server = DemoServer::new(kapso, only, slack, app.projects(), app_url, clock, qr);
    let server = Arc::new(server.with_bot(has_bot));

    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(app.serve(app_listener, shutdown.clone().cancelled_owned()));
    if transport == Transport::Socket {
        server.slack.socket().wait_for_connections(CONNECTIONS).await;
    }
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
fn settings(
    transport: Transport,
    kapso: &FakeKapso,
    slack: &FakeSlack,
    app_url: &Url,
) -> Result<Settings, Box<dyn Error>> {
    let secret = match transport {
        Transport::Http => ("SLACK_SIGNING_SECRET", SECRET),
        Transport::Socket => ("SLACK_APP_TOKEN", APP_TOKEN),
    };
    let environment = Environment::of(
        [
            secret,
            ("SLACK_API_URL", &slack.api_url()),
            ("SLACK_SOCKET_HOSTS", slack.socket().origin()),
            ("KAPSO_API_KEY", KEY),
            ("KAPSO_BASE_URL", kapso.base_url().as_str()),
            ("SLACK_RESPONSE_HOSTS", &slack.origin()),
            ("PUBLIC_URL", app_url.as_str()),
            ("SLACK_COMMAND", DemoServer::COMMAND),
            ("SLACK_BOT_TOKEN", BOT_TOKEN),
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

async fn loopback() -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0)).await
}

fn address(listener: &TcpListener) -> Result<Url, Box<dyn Error>> {
    Ok(Url::parse(&format!("http://{}", listener.local_addr()?))?)
}
