//! Composition root: builds the parts from the settings, serves them, and shuts down gracefully.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt as _;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::clock::Clock;
use crate::commands::{Commands, Outcome};
use crate::config::{Alias, DatabaseUrl, KapsoTiming, Proxy, Settings, ShutdownTiming, Timing};
use crate::db::{DatabaseError, StoreConnection};
use crate::dispatch::{Dispatcher, RecentRequests, update_pace};
use crate::idempotency::IdempotencyKeys;
use crate::kapso::{self, Observation};
use crate::projects::{self, Projects};
use crate::qr;
use crate::queue::JobStore;
use crate::routes::{self, AppState};
use crate::server::{self, Bounds};
use crate::slack::button_value::ValueSigner;
use crate::slack::channel_pace::ChannelPace;
use crate::slack::direct_messages::DirectMessages;
use crate::slack::request::SlackVerifier;
use crate::slack::response_url::ResponseUrlClient;
use crate::slack::sealed::Sealer;
use crate::slack::signature::SignatureVerifier;
use crate::slack::socket_mode::{self, EnvelopeKind, Event, Reason, Request, SocketMode};
use crate::slack::web_api::{Refusal, WebApi};
use crate::telemetry::{Labels, LogLimit, Metrics};
use crate::watches::Watches;
use crate::watches::policy::News;
use crate::watches::poller;

/// Most connections to the metrics at the same time, out of the reserved file descriptors.
const METRICS_CONNECTIONS: usize = 16;
/// Connections may wait for images of QR codes: one in so many, and at most so many.
const IMAGE_CONNECTIONS_SHARE: usize = 8;
const IMAGE_CONNECTIONS_MAX: usize = 64;
/// Most idle connections in the pool for one host. With fewer than are used at once, many would be closed after each use.
const IDLE_CONNECTIONS: usize = 64;

/// The service, ready to be served.
pub struct App {
    state: AppState,
    kapso: Arc<kapso::HttpClients>,
    kapso_base_url: Url,
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
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The HTTP client for Kapso and Slack; most likely no CA certificates were found.
    #[error("the HTTP client cannot be created")]
    Client(#[source] reqwest::Error),
    /// A token with characters that no token has; the configuration accepts none.
    #[error("SLACK_APP_TOKEN holds characters that no token has")]
    Token,
    /// The in-memory database for jobs that cannot be stored in the database.
    #[error("the in-memory database cannot be created")]
    Memory(#[source] DatabaseError),
}

impl App {
    /// Builds the service. `clock` is the time for signatures, expiry and the cache.
    ///
    /// # Errors
    /// See [`StartError`].
    #[expect(clippy::too_many_lines, reason = "the list of all parts")]
    pub async fn build(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let socket_settings = settings.clone();
        let keys = settings.signing_keys();
        let connect = settings.timing.connect;
        let proxy = &settings.proxy;
        let new_connections = unpooled_client(proxy, connect).map_err(StartError::Client)?;
        let http = kapso_clients(proxy, &settings.timing, new_connections.clone()).map_err(StartError::Client)?;
        let http = Arc::new(http);
        let metrics = Arc::new(metrics());
        let metrics_listener = listen_for_metrics(settings.metrics_addr).await?;
        let projects = Arc::new(Projects::new(
            settings.projects,
            connector(
                Arc::clone(&http),
                settings.kapso_base_url.clone(),
                clock.clone(),
                settings.timing.kapso.clone(),
                Arc::clone(&metrics),
            ),
        ));
        let connection = Arc::new(StoreConnection::new({
            let metrics = Arc::clone(&metrics);
            move || metrics.count_store_failure()
        }));
        let queue = JobStore::new(
            Arc::clone(&connection),
            clock.clone(),
            settings.timing.enqueue,
            settings.timing.max_clock_skew,
        );
        let queue = Arc::new(queue.await.map_err(StartError::Memory)?);
        let idempotency = IdempotencyKeys::new(Arc::clone(&connection), clock.clone());
        let qr_addresses = settings
            .public_url
            .map(|public_url| Arc::new(qr::Addresses::new(public_url, &keys)));
        let web_api = WebApi::new(
            new_connections.clone(),
            settings.slack_api_url,
            settings.timing.response_url.attempt,
            settings.bot_token,
        );
        let dispatcher = Dispatcher {
            commands: Commands {
                projects: Arc::clone(&projects),
                access: Arc::new(settings.access_lists),
                watches: Watches::new(Arc::clone(&queue), clock.clone()),
                idempotency: idempotency.clone(),
                clock: clock.clone(),
                command_name: settings.command,
                qr_addresses: qr_addresses.clone(),
                signer: ValueSigner::new(&keys),
                sealer: Sealer::new(&keys),
                direct_messages: DirectMessages::new(web_api.clone(), clock.clone()),
                web_api,
            },
            // A post that is not answered may have been accepted, so that posting it again may double a message. A new
            // connection is the least likely not to answer: no firewall has forgotten it, and Slack is not closing it.
            response_urls: ResponseUrlClient::new(
                new_connections.clone(),
                settings.response_hosts,
                clock.clone(),
                settings.timing.response_url.clone(),
            ),
            channel_pace: ChannelPace::new(settings.timing.channel_interval),
            update_pace: update_pace(settings.timing.channel_interval),
            recent_requests: RecentRequests::new(socket_settings.app_token.is_some()),
            clock: clock.clone(),
            budget: settings.reply_budget,
            max_claim_interval: settings.timing.max_claim_interval,
            tasks: TaskTracker::new(),
            give_up: CancellationToken::new(),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            queue,
            idempotency,
            metrics: Arc::clone(&metrics),
            log_limit: LogLimit::default(),
        };
        let dispatcher = Arc::new(dispatcher);
        let socket = socket(socket_settings, new_connections, &dispatcher)?.map(Arc::new);
        let verifier = SlackVerifier::new(
            SignatureVerifier::new(&settings.signing_secrets),
            clock.clone(),
            settings.timing.request_body,
        );
        let connections = settings.connections.unwrap_or_else(server::connections_allowed);
        let connection_tasks = TaskTracker::new();
        let images = qr::Images::new(
            qr_addresses,
            Arc::clone(&projects),
            clock.clone(),
            settings.timing.image,
            (connections / IMAGE_CONNECTIONS_SHARE).clamp(1, IMAGE_CONNECTIONS_MAX),
            connection_tasks.clone(),
        );
        Ok(Self {
            state: AppState {
                verifier: Arc::new(verifier),
                dispatcher,
                socket,
                connection,
                images: Arc::new(images),
                metrics,
                log_limit: Arc::default(),
                clock,
            },
            kapso: http,
            kapso_base_url: settings.kapso_base_url,
            metrics_listener,
            database: settings.database,
            timing: settings.timing,
            connections,
            connection_tasks,
        })
    }

    /// Replaces the projects, the signing secrets and the bot token while the service runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader(self.state.clone())
    }

    /// The address of the listener for `/metrics`, if there is one.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_listener.as_ref()?.local_addr().ok()
    }

    /// The projects, for the demo.
    #[cfg(feature = "demo")]
    pub(crate) fn projects(&self) -> Arc<Projects> {
        Arc::clone(&self.state.dispatcher.commands.projects)
    }

    /// Serves on `listener` until `shutdown` completes; then reports not ready, delivers all pending replies, and returns.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let dispatcher = Arc::clone(&self.state.dispatcher);
        let bounds = Bounds {
            head_deadline: self.timing.request_head,
            keep_alive: self.timing.keep_alive,
            connections: self.connections,
            draining: CancellationToken::new(),
            closed: CancellationToken::new(),
            tasks: self.connection_tasks,
        };
        if let Some(listener) = self.metrics_listener {
            let page = routes::metrics(Arc::clone(&self.state.metrics));
            let bounds_of_metrics = Bounds {
                connections: METRICS_CONNECTIONS,
                ..bounds.clone()
            };
            bounds.tasks.spawn(server::serve(listener, page, bounds_of_metrics));
        }
        if let Some(socket) = &self.state.socket {
            let (socket, stopping) = (Arc::clone(socket), dispatcher.stopping.clone());
            bounds.tasks.spawn(async move { socket.run(&stopping).await });
        }
        if let Some(interval) = self.timing.kapso.keep_ready {
            let (kapso, base, stopping) = (self.kapso, self.kapso_base_url, dispatcher.stopping.clone());
            bounds.tasks.spawn(async move {
                tokio::select! {
                    never = kapso.keep_ready(&base, interval) => match never {},
                    () = stopping.cancelled() => {}
                }
            });
        }
        let background_work = run_in_background(
            Arc::clone(&dispatcher),
            Arc::clone(&self.state.connection),
            self.database,
            self.timing.max_poll_interval,
        );
        bounds.tasks.spawn(background_work);
        let routes = routes::routes(self.state);
        let serving = server::serve(listener, routes, bounds.clone());
        tokio::pin!(serving);
        let shutting_down = async {
            shutdown.await;
            shut_down(&dispatcher, &bounds, &self.timing.shutdown).await;
        };
        tokio::join!(serving, shutting_down);
    }
}

/// Replaces what can change while the service runs.
pub struct Reloader(AppState);

impl Reloader {
    /// Replaces the projects, the signing secrets and the bot token by those of these settings. Keys that stay go on with
    /// their client.
    pub fn replace(&self, settings: Settings) {
        let commands = &self.0.dispatcher.commands;
        let keys = settings.signing_keys();
        self.0.verifier.signatures.set_secrets(&settings.signing_secrets);
        commands.signer.set_secrets(&keys);
        if let Some(addresses) = &commands.qr_addresses {
            addresses.set_secrets(&keys);
        }
        commands.sealer.set_secrets(&keys);
        commands.direct_messages.set_token(settings.bot_token);
        commands.projects.replace(settings.projects);
    }
}

/// Completes with each SIGHUP. Call it early, so that none ends the process.
///
/// # Errors
/// If the system allows no signal handlers.
pub fn reload_signals() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Keeps the database open, polls watched sessions, and runs jobs, until the service has stopped.
async fn run_in_background(
    dispatcher: Arc<Dispatcher>,
    connection: Arc<StoreConnection>,
    database: DatabaseUrl,
    max_poll_interval: Duration,
) {
    let poller = poller::Environment {
        projects: Arc::clone(&dispatcher.commands.projects),
        store: Arc::clone(&dispatcher.queue),
        clock: dispatcher.clock.clone(),
        end_watch: {
            let dispatcher = Arc::clone(&dispatcher);
            Box::new(move |job, ending, session| Box::pin(Arc::clone(&dispatcher).end_watch(job, ending, session)))
        },
        notify_and_continue: {
            let dispatcher = Arc::clone(&dispatcher);
            Box::new(move |job, news, next, session| {
                Box::pin(Arc::clone(&dispatcher).notify_and_continue(job, news, next, session))
            })
        },
        update_card: {
            let dispatcher = Arc::clone(&dispatcher);
            Box::new(move |job, next, session| dispatcher.update_card(job, next, session))
        },
        on_count: {
            let metrics = Arc::clone(&dispatcher.metrics);
            Box::new(move |project, count| metrics.set_watches(project.map(Alias::as_str), count))
        },
        on_lost: {
            let dispatcher = Arc::clone(&dispatcher);
            Box::new(move |count| dispatcher.count_unreadable(count))
        },
        stopping: dispatcher.stopping.clone(),
    };
    let polling = async {
        tokio::select! {
            () = connection.wait_until_opened() => poller::run(poller, max_poll_interval).await,
            () = dispatcher.stopping.cancelled() => {}
        }
    };
    // Concurrently: a slow poll must not delay a reply.
    let working = future::join(polling, dispatcher.run_jobs());
    tokio::select! {
        never = connection.keep_open(&database) => match never {},
        _ = working => {}
    }
}

/// Delivers pending replies, then closes the connections and the database.
async fn shut_down(dispatcher: &Dispatcher, bounds: &Bounds, timing: &ShutdownTiming) {
    let started = Instant::now();
    dispatcher.stopping.cancel();
    bounds.draining.cancel();
    let pending = dispatcher.pending().await;
    tracing::info!(pending, "shutting down");
    dispatcher.tasks.close();
    if timeout_at(started + timing.kapso, dispatcher.wait_until_idle())
        .await
        .is_err()
    {
        dispatcher.give_up.cancel();
        let _ = timeout_at(started + timing.delivery, dispatcher.wait_until_idle()).await;
    }
    // A load balancer needs time to see that requests should go elsewhere.
    sleep_until(started + timing.linger).await;
    bounds.closed.cancel();
    bounds.tasks.close();
    // Delivers the replies to the last requests.
    let last = async {
        let _ = timeout_at(started + timing.delivery, dispatcher.wait_until_idle()).await;
        dispatcher.stopped.cancel();
    };
    let connections = timeout_at(Instant::now() + timing.connections, bounds.tasks.wait());
    let ((), _) = tokio::join!(last, connections);
    let undelivered = dispatcher.pending().await;
    // A database that does not answer would take as long as a query may.
    let _ = timeout_at(started + timing.database, dispatcher.queue.close()).await;
    if undelivered == 0 {
        tracing::info!("stopped; all replies were delivered");
    } else {
        tracing::error!(lost = undelivered, "stopped before all replies were delivered");
    }
}

/// Completes with the first SIGTERM or SIGINT. Call it before anything else, so that no early signal kills the process.
///
/// # Errors
/// If the system allows no signal handlers.
pub fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn listen_for_metrics(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await;
    listener
        .map(Some)
        .map_err(|source| StartError::Metrics { address, source })
}

/// Makes clients for Kapso, which share connections.
fn connector(
    http: Arc<kapso::HttpClients>,
    base: Url,
    clock: Clock,
    timing: KapsoTiming,
    metrics: Arc<Metrics>,
) -> projects::Connect {
    Box::new(move |key, alias| {
        let project = alias.map(|alias| alias.as_str().to_owned());
        metrics.set_kapso_rate_limit_left(project.as_deref(), kapso::DEFAULT_RATE_LIMIT);
        metrics.set_watches(project.as_deref(), 0);
        let metrics = Arc::clone(&metrics);
        let observer = move |request: Observation| {
            let status = request.status.map(|status| status.as_u16());
            metrics.count_kapso_request(status, request.took);
            metrics.set_kapso_rate_limit_left(project.as_deref(), request.rate_limit_left);
            if request.is_moved {
                metrics.count_kapso_moved();
            }
        };
        kapso::Client::new(
            Arc::clone(&http),
            &base,
            key,
            clock.clone(),
            timing.clone(),
            Box::new(observer),
        )
    })
}

/// The socket to Slack, if there is a token for it. `http` must follow no redirects.
fn socket(settings: Settings, http: Client, dispatcher: &Arc<Dispatcher>) -> Result<Option<SocketMode>, StartError> {
    let Some(token) = settings.app_token else {
        return Ok(None);
    };
    let socket = SocketMode::new(socket_mode::Environment {
        http,
        api: settings.slack_api_url,
        token,
        hosts: settings.socket_hosts,
        proxy: settings.proxy,
        clock: dispatcher.clock.clone(),
        timing: settings.timing.socket,
        handle: socket_handler(dispatcher),
        observe: socket_observer(&dispatcher.metrics),
        admit_line: {
            let dispatcher = Arc::clone(dispatcher);
            Box::new(move |kind| dispatcher.admit_line(kind))
        },
    });
    socket.map(Some).ok_or(StartError::Token)
}

/// Passes requests from the socket to the dispatcher.
fn socket_handler(dispatcher: &Arc<Dispatcher>) -> socket_mode::Handler {
    let dispatcher = Arc::clone(dispatcher);
    Box::new(move |request| {
        let dispatcher = Arc::clone(&dispatcher);
        Box::pin(async move {
            match request {
                Request::Command(command) => dispatcher.command(command).await,
                Request::Interaction(interaction) => dispatcher.interaction(interaction).await,
            }
        })
    })
}

/// Counts what happens on the socket.
fn socket_observer(metrics: &Arc<Metrics>) -> Box<dyn Fn(Event) + Send + Sync> {
    let metrics = Arc::clone(metrics);
    Box::new(move |event| match event {
        Event::Connections(count) => metrics.set_socket_connections(u64::try_from(count).unwrap_or(u64::MAX)),
        Event::Reconnect(reason) => metrics.count_socket_reconnect(reason.name()),
        Event::Envelope(kind) => metrics.count_socket_envelope(kind.name()),
    })
}

/// Metrics at zero, with every label.
fn metrics() -> Metrics {
    Metrics::new(&Labels {
        outcomes: Outcome::ALL.iter().map(|outcome| outcome.word()).collect(),
        news: News::ALL.map(News::name).to_vec(),
        reconnect_reasons: Reason::COUNTED.map(Reason::name).to_vec(),
        refusals: [&Refusal::OF_DIRECT_MESSAGES[..], &["other"]].concat(),
        envelope_types: EnvelopeKind::ALL.map(EnvelopeKind::name).to_vec(),
    })
}

/// An HTTP client that uses a new connection for each request.
fn unpooled_client(proxy: &Proxy, connect: Duration) -> Result<Client, reqwest::Error> {
    proxied_client_builder(proxy)
        .connect_timeout(connect)
        .pool_max_idle_per_host(0)
        .build()
}

/// The HTTP clients for Kapso.
fn kapso_clients(proxy: &Proxy, timing: &Timing, unpooled: Client) -> Result<kapso::HttpClients, reqwest::Error> {
    let pooled = proxied_client_builder(proxy)
        .connect_timeout(timing.connect)
        .read_timeout(timing.kapso.silence)
        .pool_idle_timeout(timing.kapso.pool_idle)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .build()?;
    Ok(kapso::HttpClients::new(pooled, unpooled, timing.kapso.pool_idle))
}

/// [`client_builder`], with the operator's proxy.
pub fn proxied_client_builder(proxy: &Proxy) -> ClientBuilder {
    if proxy.is_none() {
        return client_builder();
    }
    let proxy = proxy.clone();
    client_builder().proxy(reqwest::Proxy::custom(move |url| proxy.for_url(url).cloned()))
}

/// Base configuration of every HTTP client: no redirects, which would send a key or a message to another host, and no
/// proxies from the environment.
pub fn client_builder() -> ClientBuilder {
    // Installed explicitly: if a feature set links two crypto providers, rustls panics for lack of a default.
    // Fails only if it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("kapso-slack/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy();
    match tls() {
        Some(tls) => builder.tls_backend_preconfigured(tls),
        // The error is in the result of `build`.
        None => builder,
    }
}

/// What all HTTP clients share: the system's certificates, which are read and parsed once, and sessions that can be resumed.
fn tls() -> Option<ClientConfig> {
    static TLS: OnceLock<Option<ClientConfig>> = OnceLock::new();
    let tls = TLS.get_or_init(|| {
        let mut tls = ClientConfig::with_platform_verifier().ok()?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(tls)
    });
    tls.clone()
}
