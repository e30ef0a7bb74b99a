//! Puts the parts together, serves them on a listener, and ends without owing anybody an answer.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::commands::Commands;
use crate::config::{Settings, Timing};
use crate::dispatch::Bot;
use crate::jobs::{DatabaseUrl, JobStore, runner};
use crate::kapso;
use crate::qr;
use crate::routes::{self, AppState};
use crate::server::{self, Bounds};
use crate::slack::request::SlackVerifier;
use crate::slack::response_url::ResponseUrlClient;
use crate::slack::signature::SigningSecrets;
use crate::telemetry::Metrics;

/// Connections to the metrics at once, within the descriptors that are kept free.
const METRICS_CONNECTIONS: usize = 16;
/// Notices posted at once.
const NOTICES: usize = 32;
/// Idle connections kept to one host.
const IDLE_CONNECTIONS: usize = 32;

/// The service, ready to be served.
pub struct App {
    desk: AppState,
    metrics_listener: Option<TcpListener>,
    database: DatabaseUrl,
    timing: Timing,
    connections: usize,
    connection_tasks: TaskTracker,
}

/// Why the service does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// `METRICS_ADDR` cannot be listened on.
    #[error("METRICS_ADDR: cannot listen on {address}")]
    Metrics {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client for Kapso and Slack cannot be made; most likely no CA certificates were found.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

impl App {
    /// Puts the service together. `clock` judges stamps and ages.
    ///
    /// # Errors
    /// Says what keeps the service from starting, see [`StartError`].
    pub async fn build(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let http = client(&settings.timing).map_err(StartError::Client)?;
        let metrics = Arc::new(Metrics::new());
        let metrics_listener = match settings.metrics_addr {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| StartError::Metrics { address, source })?,
            ),
            None => None,
        };
        let observer = {
            let metrics = Arc::clone(&metrics);
            Box::new(move |seen| metrics.asked_kapso(seen))
        };
        let kapso = Arc::new(kapso::Client::new(
            http.clone(),
            &settings.kapso_base_url,
            settings.kapso_api_key,
            clock.clone(),
            settings.timing.kapso.clone(),
            observer,
        ));
        let ledger = Arc::new(JobStore::new(clock.clone(), {
            let metrics = Arc::clone(&metrics);
            move || metrics.store_failed()
        }));
        let qr = settings
            .public_url
            .map(|public_url| Arc::new(qr::Addresses::new(public_url, &settings.signing_secrets)));
        let bot = Bot {
            commands: Commands {
                kapso: Arc::clone(&kapso),
                allowed: Arc::new(settings.allowed),
                store: Arc::clone(&ledger),
                clock: clock.clone(),
                command_name: settings.command.clone(),
                qr_addresses: qr.clone(),
            },
            kapso,
            notices: Semaphore::new(NOTICES),
            qr,
            postman: ResponseUrlClient::new(
                http,
                settings.response_hosts,
                clock.clone(),
                settings.timing.post.clone(),
            ),
            clock: clock.clone(),
            command_name: settings.command,
            budget: settings.reply_budget,
            tasks: TaskTracker::new(),
            give_up: CancellationToken::new(),
            stopping: CancellationToken::new(),
            ledger,
            metrics,
        };
        let door = SlackVerifier {
            secrets: SigningSecrets::new(&settings.signing_secrets),
            clock,
            body_deadline: settings.timing.body,
        };
        Ok(Self {
            desk: AppState {
                door: Arc::new(door),
                bot: Arc::new(bot),
            },
            metrics_listener,
            database: settings.database,
            timing: settings.timing,
            connections: settings.connections.unwrap_or_else(server::connections_allowed),
            connection_tasks: TaskTracker::new(),
        })
    }

    /// Where `/metrics` is served, if it is.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<std::net::SocketAddr> {
        self.metrics_listener.as_ref()?.local_addr().ok()
    }

    /// Serves on `listener` until `shutdown`, then turns not-ready, delivers every answer it owes, and returns.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let bot = Arc::clone(&self.desk.bot);
        let bounds = Bounds {
            head_deadline: self.timing.head,
            connections: self.connections,
            draining: CancellationToken::new(),
            closed: CancellationToken::new(),
            tasks: self.connection_tasks,
        };
        if let Some(listener) = self.metrics_listener {
            let page = routes::metrics(Arc::clone(&bot.metrics));
            let few = Bounds {
                connections: METRICS_CONNECTIONS,
                ..bounds.clone()
            };
            bounds.tasks.spawn(server::serve(listener, page, few));
        }
        let database = self.database;
        let nap = self.timing.nap;
        let owed = {
            let bot = Arc::clone(&bot);
            async move {
                let running = async {
                    tokio::select! {
                        () = bot.ledger.was_opened() => {}
                        () = bot.stopping.cancelled() => {}
                    }
                    runner::run(Arc::clone(&bot), nap).await;
                };
                tokio::select! {
                    never = bot.ledger.keep_open(&database) => match never {},
                    () = running => {}
                }
            }
        };
        bounds.tasks.spawn(owed);
        let routes = routes::routes(self.desk);
        let serving = server::serve(listener, routes, bounds.clone());
        tokio::pin!(serving);
        let ending = async {
            shutdown.await;
            drain(&bot, &bounds, &self.timing.drain).await;
        };
        tokio::join!(serving, ending);
    }
}

/// The end: first what is owed, then the connections.
async fn drain(bot: &Bot, bounds: &Bounds, timing: &Drain) {
    let began = Instant::now();
    tracing::info!(owed = bot.tasks.len(), "stopping");
    bot.stopping.cancel();
    bounds.draining.cancel();
    bot.tasks.close();
    if timeout_at(began + timing.kapso, bot.tasks.wait()).await.is_err() {
        bot.give_up.cancel();
        let _ = timeout_at(began + timing.delivery, bot.tasks.wait()).await;
    }
    // Whoever routes requests here needs a moment to see that they should go elsewhere.
    sleep_until(began + timing.linger).await;
    bounds.closed.cancel();
    bounds.tasks.close();
    let _ = timeout_at(Instant::now() + timing.connections, bounds.tasks.wait()).await;
    // What came with the last requests.
    let _ = timeout_at(began + timing.delivery, bot.tasks.wait()).await;
    bot.ledger.close().await;
    match bot.tasks.len() {
        0 => tracing::info!("stopped; nothing is owed"),
        lost => tracing::error!(lost, "stopped; answers were still on their way"),
    }
}

/// How the end is timed.
#[derive(Clone, Debug)]
pub struct Drain {
    /// How long after the signal Kapso's answers are waited for.
    pub kapso: Duration,
    /// How long after the signal answers are delivered.
    pub delivery: Duration,
    /// How long after the signal requests are answered at least, if only with "being restarted".
    pub linger: Duration,
    /// How long connections then have to take their last response.
    pub connections: Duration,
}

/// The one HTTP client, for Kapso and for Slack.
fn client(timing: &Timing) -> Result<Client, reqwest::Error> {
    client_builder()
        .connect_timeout(timing.connect)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build()
}

/// How every HTTP client here begins: no redirects, which would carry a key or a message to somewhere else, and no
/// proxies from the environment.
pub fn client_builder() -> ClientBuilder {
    // One provider in every feature set: two linked ones make the default ambiguous, and that panics at run time.
    // It fails only where it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("kapso-slack/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
}
