//! Socket Mode: commands and button presses through `WebSocket`s that we open to Slack, so that no public address is
//! needed.
//! Source: <https://docs.slack.dev/apis/events-api/using-socket-mode>.
//!
//! Two connections are open, and Slack delivers each envelope through one of them. A connection that Slack wants to end
//! is replaced first: the old one is closed when Slack has said hello on the new one.

mod connection;
mod dial;
pub mod envelope;
mod open;
mod probe;

use std::collections::VecDeque;
use std::error::Error as _;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::{Mutex as SyncMutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use http::HeaderValue;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::connection::{Connection, Signal};
use self::dial::{Socket, dial};
use self::open::{OpenError, Opener};
pub use self::probe::{ProbeError, Target, probe};
use super::acknowledgement::Acknowledgement;
use super::command::SlashCommand;
use super::interaction::Interaction;
use super::verified::Verified;
use crate::clock::Clock;
use crate::config::{Proxy, SocketHost, SocketTiming};

/// Connections that are open at the same time, of the 10 that Slack allows for all processes of the app.
pub const CONNECTIONS: usize = 2;
/// How long Slack may still count a connection that has ended.
const LINGERS: Duration = Duration::from_mins(2);
/// As many failures give the longest pause.
const MANY_FAILURES: u32 = 16;

/// A request from the socket.
pub enum Request {
    Command(Verified<SlashCommand>),
    Interaction(Verified<Interaction>),
}

/// Handles a request up to its acknowledgement.
pub type Handler = Box<dyn Fn(Request) -> BoxFuture<'static, Acknowledgement> + Send + Sync>;

/// Whether a line of this kind may be logged; `Some` with the number of lines like it that were left out before.
pub type AdmitLine = Box<dyn Fn(&str) -> Option<u64> + Send + Sync>;

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The number of connections that are ready has changed.
    Connections(usize),
    /// A connection is replaced, or an attempt to open one failed.
    Reconnect(Reason),
    /// An envelope arrived.
    Envelope(EnvelopeKind),
}

/// Why a connection is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Slack will close it in about 10 s.
    Warning,
    RefreshRequested,
    /// The app has more than the 10 connections that Slack allows.
    TooManyWebsockets,
    /// Socket Mode was turned off in the app's settings. It is not replaced.
    LinkDisabled,
    /// Slack gave a reason that this app does not know.
    Other,
    /// Slack closed it without a warning.
    Closed,
    /// Nothing came from Slack for too long.
    Silent,
    /// Reading or writing failed.
    Broken,
    /// It could not be opened.
    NotOpened,
    /// Not counted: its replacement is there, or the service is stopping.
    Replaced,
}

impl Reason {
    /// Every reason that is counted.
    pub const COUNTED: [Self; 9] = [
        Self::Warning,
        Self::RefreshRequested,
        Self::TooManyWebsockets,
        Self::LinkDisabled,
        Self::Other,
        Self::Closed,
        Self::Silent,
        Self::Broken,
        Self::NotOpened,
    ];

    /// The value of the label in log and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::RefreshRequested => "refresh_requested",
            Self::TooManyWebsockets => "too_many_websockets",
            Self::LinkDisabled => "link_disabled",
            Self::Other => "other",
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::Broken => "broken",
            Self::NotOpened => "not_opened",
            Self::Replaced => "replaced",
        }
    }

    fn of_disconnect(reason: &str) -> Self {
        match reason {
            "warning" => Self::Warning,
            "refresh_requested" => Self::RefreshRequested,
            "too_many_websockets" => Self::TooManyWebsockets,
            "link_disabled" => Self::LinkDisabled,
            _ => Self::Other,
        }
    }

    /// Whether Slack said so before it ended the connection, so that the replacement need not wait.
    fn is_announced(self) -> bool {
        matches!(self, Self::Warning | Self::RefreshRequested | Self::Other)
    }
}

/// What an envelope contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeKind {
    SlashCommand,
    Interaction,
    /// Something that this app does not handle.
    Other,
}

impl EnvelopeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::SlashCommand, Self::Interaction, Self::Other];

    /// The value of the label in the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SlashCommand => "slash_commands",
            Self::Interaction => "interactive",
            Self::Other => "other",
        }
    }
}

/// What a [`SocketMode`] needs.
pub struct Environment {
    /// Must follow no redirects and keep no connections.
    pub http: Client,
    pub api: Url,
    pub token: SecretString,
    pub hosts: Vec<SocketHost>,
    pub proxy: Proxy,
    pub clock: Clock,
    pub timing: SocketTiming,
    pub handle: Handler,
    pub observe: Box<dyn Fn(Event) + Send + Sync>,
    pub admit_line: AdmitLine,
}

/// What the connections share.
struct Shared {
    clock: Clock,
    timing: SocketTiming,
    handle: Handler,
    observe: Box<dyn Fn(Event) + Send + Sync>,
    admit_line: AdmitLine,
    status: SyncMutex<Status>,
}

/// The socket to Slack.
pub struct SocketMode {
    shared: Shared,
    opener: Opener,
    proxy: Proxy,
    /// When Slack accepts the next request for a connection. Locked during a request: there is one at a time.
    next_request: Mutex<Instant>,
}

#[derive(Default)]
struct Status {
    /// Connections on which Slack has said hello, and which have no replacement yet.
    ready: usize,
    /// Connections, whether Slack has said hello or not.
    connected: usize,
    /// When connections ended lately: Slack may still count them.
    ended: VecDeque<Instant>,
    /// Connections of other processes, as far as they were logged.
    others: u64,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// Whether no further attempts are made.
    is_halted: bool,
}

impl SocketMode {
    /// A socket that is not open yet. `None` if the token cannot be sent in a header.
    #[must_use]
    pub fn new(environment: Environment) -> Option<Self> {
        let token = environment.token.expose_secret();
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        authorization.set_sensitive(true);
        Some(Self {
            opener: Opener::new(
                environment.http,
                &environment.api,
                authorization,
                environment.hosts,
                environment.timing.open,
            ),
            proxy: environment.proxy,
            shared: Shared {
                clock: environment.clock,
                timing: environment.timing,
                handle: environment.handle,
                observe: environment.observe,
                admit_line: environment.admit_line,
                status: SyncMutex::default(),
            },
            next_request: Mutex::new(Instant::now()),
        })
    }

    /// Why no commands arrive through the socket; `None` while they do.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let status = self.shared.status();
        if status.ready > 0 {
            return None;
        }
        let error = status.last_error.as_deref();
        Some(match (status.is_halted, error) {
            (true, error) => format!("the socket to Slack is closed: {}", error.unwrap_or("it has failed")),
            (false, Some(error)) => format!("the socket to Slack is not open; the last attempt: {error}"),
            (false, None) => "the socket to Slack is not open yet".to_owned(),
        })
    }

    /// Keeps the connections open until `stop` is cancelled, or Slack refuses for good. Then waits for the last
    /// acknowledgements.
    pub async fn run(&self, stop: &CancellationToken) {
        let _halts = Halts(&self.shared);
        // Of all connections, also if one learns that Socket Mode is turned off.
        let stop = stop.child_token();
        join_all((0..CONNECTIONS).map(|_| self.keep_connected(&stop))).await;
    }

    /// Keeps one connection open.
    async fn keep_connected(&self, stop: &CancellationToken) {
        let drain = CancellationToken::new();
        let mut connections = FuturesUnordered::new();
        let replacing = async {
            let mut previous = None::<CancellationToken>;
            let mut failures = 0_u32;
            loop {
                let socket = match drive(self.connect(failures), &mut connections).await {
                    Ok(socket) => socket,
                    Err(error) => {
                        if self.not_opened(&error, stop) {
                            return;
                        }
                        failures = failures.saturating_add(u32::from(!matches!(error, OpenError::RateLimited(_))));
                        continue;
                    }
                };
                let connected_at = Instant::now();
                let (signals, mut signal) = mpsc::unbounded_channel();
                let drain = drain.child_token();
                connections.push(self.serve(socket, signals, drain.clone()));
                let ready = timeout(self.shared.timing.open, signal.recv());
                let error = match drive(ready, &mut connections).await {
                    Ok(Some(Signal::Ready { connections: total })) => {
                        self.log_others(total);
                        None
                    }
                    Ok(Some(Signal::Replace(Reason::LinkDisabled))) => {
                        Some(OpenError::Fatal(Reason::LinkDisabled.name().to_owned()))
                    }
                    Ok(Some(Signal::Replace(reason))) => Some(OpenError::EndedEarly(reason.name())),
                    Ok(None) => Some(OpenError::EndedEarly(Reason::Broken.name())),
                    Err(_) => Some(OpenError::TimedOut),
                };
                if let Some(error) = error {
                    drain.cancel();
                    if self.not_opened(&error, stop) {
                        return;
                    }
                    failures = failures.saturating_add(1);
                    continue;
                }
                if let Some(previous) = previous.replace(drain) {
                    previous.cancel();
                }
                let reason = loop {
                    match drive(signal.recv(), &mut connections).await {
                        Some(Signal::Ready { .. }) => {}
                        Some(Signal::Replace(reason)) => break reason,
                        None => break Reason::Broken,
                    }
                };
                (self.shared.observe)(Event::Reconnect(reason));
                if reason == Reason::LinkDisabled {
                    self.halt(&OpenError::Fatal(reason.name().to_owned()));
                    stop.cancel();
                    return;
                }
                tracing::info!(reason = reason.name(), "a socket connection to Slack is being replaced");
                if reason == Reason::TooManyWebsockets {
                    // One more would make it worse.
                    previous.take().inspect(CancellationToken::cancel);
                }
                let was_stable = connected_at.elapsed() >= self.shared.timing.stable;
                failures = failures_after(failures, reason, was_stable);
            }
        };
        tokio::select! {
            () = replacing => {}
            () = stop.cancelled() => {}
        }
        drain.cancel();
        while connections.next().await.is_some() {}
    }

    /// Opens a connection, after a pause that grows with the number of failures before.
    async fn connect(&self, failures: u32) -> Result<Socket, OpenError> {
        sleep(pause_after(failures, &self.shared.timing)).await;
        let url = {
            let mut next_request = self.next_request.lock().await;
            sleep_until(*next_request).await;
            let opened = self.opener.open().await;
            if let Err(OpenError::RateLimited(retry_after)) = &opened {
                // Other processes wait, too.
                let jitter = self.shared.timing.min_retry_delay.mul_f64(fastrand::f64());
                *next_request = Instant::now() + *retry_after + jitter;
            }
            opened?
        };
        let dialed = timeout(self.shared.timing.open, dial(&url, &self.proxy)).await;
        dialed.map_err(|_| OpenError::TimedOut)?.map_err(OpenError::Dial)
    }

    async fn serve(&self, socket: Socket, signals: mpsc::UnboundedSender<Signal>, drain: CancellationToken) {
        self.shared.status().connected += 1;
        let connection = Connection {
            shared: &self.shared,
            socket,
            signals,
            drain,
        };
        connection.serve().await;
        let mut status = self.shared.status();
        status.connected -= 1;
        status.ended.push_back(Instant::now());
    }

    /// Logs an attempt that failed. Returns whether it was the last one.
    fn not_opened(&self, error: &OpenError, stop: &CancellationToken) -> bool {
        (self.shared.observe)(Event::Reconnect(Reason::NotOpened));
        if let OpenError::Fatal(code) = error {
            self.halt(error);
            if code == Reason::LinkDisabled.name() {
                stop.cancel();
            }
            return true;
        }
        self.shared.status().last_error = Some(error.to_string());
        tracing::warn!(
            error = with_causes(error),
            "a socket connection to Slack could not be opened"
        );
        false
    }

    /// No further attempts are made.
    fn halt(&self, error: &OpenError) {
        let mut status = self.shared.status();
        status.last_error = Some(error.to_string());
        let is_first = !std::mem::replace(&mut status.is_halted, true);
        let open = status.ready;
        drop(status);
        if !is_first {
            return;
        }
        // Then those that are open are closed at once.
        let is_turned_off = matches!(error, OpenError::Fatal(code) if code == Reason::LinkDisabled.name());
        let error = error.to_string();
        if open == 0 {
            log_closed(&error);
        } else if !is_turned_off {
            tracing::error!(
                error,
                open,
                "no new socket connections to Slack are opened; restart the service when this is mended"
            );
        }
    }

    /// Warns if Slack counts more connections than ours.
    fn log_others(&self, total: Option<u64>) {
        let Some(total) = total else {
            return;
        };
        let mut status = self.shared.status();
        while status.ended.pop_front_if(|at| at.elapsed() > LINGERS).is_some() {}
        let ours = status.connected + status.ended.len();
        let others = total.saturating_sub(u64::try_from(ours).unwrap_or(u64::MAX));
        let logged = std::mem::replace(&mut status.others, others);
        drop(status);
        if others > logged {
            tracing::warn!(
                others,
                "other processes have sockets of this app: each command goes to one of them"
            );
        }
    }
}

impl Shared {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection as ready until the result is dropped.
    fn ready(&self) -> Ready<'_> {
        let open = self.change_ready(|ready| ready + 1);
        let mut status = self.status();
        if !status.is_halted {
            status.last_error = None;
        }
        drop(status);
        tracing::info!(open, "a socket connection to Slack is open");
        Ready(self)
    }

    fn change_ready(&self, change: impl FnOnce(usize) -> usize) -> usize {
        let mut status = self.status();
        status.ready = change(status.ready);
        let ready = status.ready;
        drop(status);
        (self.observe)(Event::Connections(ready));
        ready
    }
}

/// Marks the socket as halted when it runs no more, also after a panic.
struct Halts<'s>(&'s Shared);

impl Drop for Halts<'_> {
    fn drop(&mut self) {
        let mut status = self.0.status();
        status.is_halted = true;
        if std::thread::panicking() {
            status.last_error = Some("it has failed; restart the service".to_owned());
        }
    }
}

/// A connection on which Slack has said hello.
struct Ready<'s>(&'s Shared);

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        let open = self.0.change_ready(|ready| ready.saturating_sub(1));
        let status = self.0.status();
        let error = status.last_error.clone().filter(|_| open == 0 && status.is_halted);
        drop(status);
        if let Some(error) = error {
            log_closed(&error);
        }
    }
}

/// The pause before the next attempt: exponential, with full jitter; none without failures.
fn pause_after(failures: u32, timing: &SocketTiming) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::ZERO;
    };
    let longest = timing
        .min_retry_delay
        .saturating_mul(2_u32.saturating_pow(doublings.min(MANY_FAILURES)));
    longest.min(timing.max_retry_delay).mul_f64(fastrand::f64())
}

/// The failures in a row after a connection on which Slack had said hello.
fn failures_after(failures: u32, reason: Reason, was_stable: bool) -> u32 {
    let before = if was_stable { 0 } else { failures };
    if reason == Reason::TooManyWebsockets {
        MANY_FAILURES
    } else if reason.is_announced() && was_stable {
        before
    } else {
        before.saturating_add(1)
    }
}

fn log_closed(error: &str) {
    tracing::error!(
        error,
        "the socket to Slack stays closed; restart the service when this is mended"
    );
}

/// Waits for `future`, and serves `connections` at the same time.
async fn drive<T, C: Future<Output = ()>>(future: impl Future<Output = T>, connections: &mut FuturesUnordered<C>) -> T {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            result = &mut future => return result,
            Some(()) = connections.next() => {}
        }
    }
}

/// An error and its causes, in one line.
fn with_causes(error: &OpenError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(line, ": {error}");
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Timing;

    const SAMPLES: usize = 1_000;

    fn timing() -> SocketTiming {
        Timing::standard(Duration::from_secs(2)).socket
    }

    #[test]
    fn a_pause_is_a_random_part_of_a_span_that_doubles_up_to_its_limit() {
        fastrand::seed(1);
        for (failures, seconds) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (4, 8),
            (5, 16),
            (6, 30),
            (MANY_FAILURES, 30),
            (u32::MAX, 30),
        ] {
            let longest = Duration::from_secs(seconds);
            let pauses: Vec<Duration> = (0..SAMPLES).map(|_| pause_after(failures, &timing())).collect();
            assert!(pauses.iter().all(|pause| *pause <= longest), "{failures}");
            // Full jitter: the whole span is used.
            for tenth in 0..10 {
                let part = longest * tenth / 10..longest * (tenth + 1) / 10;
                assert!(pauses.iter().any(|pause| part.contains(pause)), "{failures}: {part:?}");
            }
        }
    }

    #[test]
    fn there_is_no_pause_before_the_first_attempt() {
        assert_eq!(pause_after(0, &timing()), Duration::ZERO);
    }

    #[test]
    fn failures_are_forgotten_after_a_connection_that_lasted() {
        for (reason, was_stable, expected) in [
            (Reason::Warning, true, 0),
            (Reason::RefreshRequested, true, 0),
            (Reason::Closed, true, 1),
            (Reason::Silent, true, 1),
            (Reason::Broken, true, 1),
            // One that Slack ends again and again must not be replaced without a pause.
            (Reason::Warning, false, 8),
            (Reason::Closed, false, 8),
            (Reason::TooManyWebsockets, true, MANY_FAILURES),
            (Reason::TooManyWebsockets, false, MANY_FAILURES),
        ] {
            assert_eq!(
                failures_after(7, reason, was_stable),
                expected,
                "{reason:?}, {was_stable}"
            );
        }
    }
}
