//! The route table and the HTTP handlers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use crate::clock::Clock;
use crate::db::StoreConnection;
use crate::dispatch::Dispatcher;
use crate::qr::{ImageError, Images};
use crate::slack::command::SlashCommand;
use crate::slack::interaction::Interaction;
use crate::slack::request::{Rejection, SlackVerifier};
use crate::slack::socket_mode::SocketMode;
use crate::slack::verified::Verified;
use crate::telemetry::{LogLimit, Metrics, chain};

pub const COMMANDS: &str = "/slack/commands";
pub const INTERACTIONS: &str = "/slack/interactions";
/// Images of QR codes, fetched by Slack.
pub const QR: &str = "/qr/{file}";
/// Liveness.
pub const HEALTHZ: &str = "/healthz";
/// Readiness, as JSON with reasons.
pub const READYZ: &str = "/readyz";
/// Metrics, on a separate listener.
pub const METRICS: &str = "/metrics";

/// Longest part of a path that is not served that the log shows, in characters.
const PATH_MAX: usize = 100;

/// State shared by the handlers.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) verifier: Arc<SlackVerifier>,
    /// `None` if no requests come through the socket.
    pub(crate) socket: Option<Arc<SocketMode>>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) connection: Arc<StoreConnection>,
    pub(crate) images: Arc<Images>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log_limit: Arc<LogLimit>,
    pub(crate) clock: Clock,
}

impl FromRef<AppState> for Arc<SlackVerifier> {
    fn from_ref(state: &AppState) -> Self {
        Self::clone(&state.verifier)
    }
}

/// Every route but [`METRICS`].
pub(crate) fn routes(state: AppState) -> Router {
    let router = Router::new()
        .route(HEALTHZ, get(async || "ok\n"))
        .route(READYZ, get(readyz))
        .route(QR, get(qr));
    let router = if state.verifier.signatures.has_secrets() {
        let router = with_and_without_slash(router, COMMANDS, &post(commands));
        with_and_without_slash(router, INTERACTIONS, &post(interactions))
    } else {
        // All requests come through the socket.
        router
    };
    router.fallback(not_served).with_state(state)
}

/// The only route of the listener for metrics.
pub(crate) fn metrics(metrics: Arc<Metrics>) -> Router {
    const OPEN_METRICS: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let page = async move |headers: HeaderMap| {
        if accepts_only_plain_text(&headers) {
            ([(header::CONTENT_TYPE, PROMETHEUS)], metrics.to_prometheus_text())
        } else {
            ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.to_text())
        }
    };
    Router::new().route(METRICS, get(page))
}

fn accepts_only_plain_text(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut ranges = accepted
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .map(|range| range.trim().to_ascii_lowercase());
    let mut plain = false;
    let open = ranges.any(|range| {
        plain |= range == "text/plain" || range == "text/*";
        range == "application/openmetrics-text" || range == "application/*"
    });
    plain && !open
}

/// Both forms are served: Slack shows `http_client_error` for a 404, and does not follow redirects of a POST.
fn with_and_without_slash(router: Router<AppState>, path: &str, method: &MethodRouter<AppState>) -> Router<AppState> {
    router
        .route(path, method.clone())
        .route(&format!("{path}/"), method.clone())
}

async fn commands(State(state): State<AppState>, verified: Result<Verified<SlashCommand>, Rejection>) -> Response {
    match verified {
        Ok(verified) => match state.dispatcher.command(verified).await.into_message() {
            Some(message) => json(message),
            None => StatusCode::OK.into_response(),
        },
        Err(rejection) => reject(&state, rejection),
    }
}

async fn interactions(State(state): State<AppState>, verified: Result<Verified<Interaction>, Rejection>) -> Response {
    match verified {
        Ok(verified) => match state.dispatcher.interaction(verified).await.into_message() {
            Some(errors) => json(errors),
            None => StatusCode::OK.into_response(),
        },
        Err(rejection) => reject(&state, rejection),
    }
}

async fn qr(State(state): State<AppState>, uri: Uri) -> Response {
    const NOSNIFF: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let image = state.images.load(uri.path(), uri.query().unwrap_or_default());
    match image.await {
        Ok(image) => {
            let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
            let max_age = format!("private, max-age={}", image.valid_for.as_secs());
            ([NOSNIFF, content_type], [(header::CACHE_CONTROL, max_age)], image.png).into_response()
        }
        Err(error) => {
            let status = error.status();
            match &error {
                ImageError::Address(reason) => record_rejection(&state, status, reason),
                ImageError::Kapso(error) => tracing::warn!(
                    status = status.as_u16(),
                    error = chain(&**error),
                    "could not show a QR code"
                ),
                ImageError::TimedOut | ImageError::TooMany => tracing::warn!(
                    status = status.as_u16(),
                    error = error.to_string().trim_end(),
                    "could not show a QR code"
                ),
                ImageError::NothingToActivate => {}
            }
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (status, [NOSNIFF, no_store], error.to_string()).into_response()
        }
    }
}

fn reject(state: &AppState, rejection: Rejection) -> Response {
    let status = rejection.status();
    if !status.is_success() {
        record_rejection(state, status, &rejection);
    }
    rejection.into_response()
}

/// Counts the request, and logs it unless there were too many like it: strangers must not fill the log.
fn record_rejection(state: &AppState, status: StatusCode, reason: &dyn std::error::Error) {
    state.metrics.count_rejected_request(status);
    let reason = reason.to_string();
    // The same for every number of seconds in it.
    let kind: String = reason.chars().filter(|c| !c.is_ascii_digit()).collect();
    if let Some(suppressed) = admit_line(state, &kind) {
        tracing::warn!(status = status.as_u16(), reason, suppressed, "request rejected");
    }
}

/// A request at a path that is not served: often a prefix that a proxy should have removed.
async fn not_served(State(state): State<AppState>, uri: Uri) -> StatusCode {
    const STATUS: StatusCode = StatusCode::NOT_FOUND;
    state.metrics.count_rejected_request(STATUS);
    if let Some(suppressed) = admit_line(&state, "path") {
        let reason = "this path is not served";
        let path = printable_start(uri.path());
        tracing::warn!(status = STATUS.as_u16(), reason, path, suppressed, "request rejected");
    }
    STATUS
}

/// Whether a line of this kind may be logged; `Some` with the number of lines like it that were left out before.
fn admit_line(state: &AppState, kind: &str) -> Option<u64> {
    let admitted = state.log_limit.admit(kind, state.clock.now());
    if admitted.is_none() {
        state.metrics.count_suppressed_log_line();
    }
    admitted
}

/// The start of a path that anybody may have written, with `?` for everything but printable ASCII.
fn printable_start(path: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    path.chars().take(PATH_MAX).map(printable).collect()
}

async fn readyz(State(state): State<AppState>) -> Response {
    let stopping = state.dispatcher.stopping.is_cancelled();
    let shutdown = stopping.then(|| "the service is shutting down".to_owned());
    let disconnected = state.socket.as_ref().and_then(|socket| socket.problem());
    let degraded = state.connection.degradation().map(|failure| failure.to_string());
    let (code, status) = if shutdown.is_some() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if disconnected.is_some() {
        (StatusCode::SERVICE_UNAVAILABLE, "disconnected")
    } else if degraded.is_some() {
        // Look-ups still work.
        (StatusCode::OK, "degraded")
    } else {
        (StatusCode::OK, "ready")
    };
    let why: Vec<String> = shutdown.into_iter().chain(disconnected).chain(degraded).collect();
    let body = serde_json::json!({ "status": status, "why": why });
    (code, json(body.to_string().into())).into_response()
}

fn json(body: Bytes) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}
