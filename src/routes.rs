//! The route table and the HTTP handlers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};

use crate::db::StoreConnection;
use crate::dispatch::Dispatcher;
use crate::kapso::Client;
use crate::qr::{ImageError, Images};
use crate::slack::command::SlashCommand;
use crate::slack::interaction::Interaction;
use crate::slack::request::{Rejection, Signed, SlackVerifier};
use crate::telemetry::{Metrics, chain};

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

/// State shared by the handlers.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) verifier: Arc<SlackVerifier>,
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) connection: Arc<StoreConnection>,
    pub(crate) kapso: Arc<Client>,
    pub(crate) images: Arc<Images>,
    pub(crate) metrics: Arc<Metrics>,
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
    let router = with_and_without_slash(router, COMMANDS, &post(commands));
    with_and_without_slash(router, INTERACTIONS, &post(interactions)).with_state(state)
}

/// The only route of the listener for metrics.
pub(crate) fn metrics(metrics: Arc<Metrics>) -> Router {
    const OPEN_METRICS: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let page = async move || ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.to_text());
    Router::new().route(METRICS, get(page))
}

/// Both forms are served: Slack shows `http_client_error` for a 404, and does not follow redirects of a POST.
fn with_and_without_slash(router: Router<AppState>, path: &str, method: &MethodRouter<AppState>) -> Router<AppState> {
    router
        .route(path, method.clone())
        .route(&format!("{path}/"), method.clone())
}

async fn commands(State(state): State<AppState>, signed: Result<Signed<SlashCommand>, Rejection>) -> Response {
    match signed {
        Ok(signed) => match state.dispatcher.command(signed).await {
            Some(message) => json(message.to_json()),
            None => StatusCode::OK.into_response(),
        },
        Err(rejection) => reject(&state, rejection),
    }
}

async fn interactions(State(state): State<AppState>, signed: Result<Signed<Interaction>, Rejection>) -> Response {
    match signed {
        Ok(signed) => {
            state.dispatcher.interaction(signed).await;
            StatusCode::OK.into_response()
        }
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

fn record_rejection(state: &AppState, status: StatusCode, reason: &dyn std::error::Error) {
    state.metrics.count_rejected_request(status);
    tracing::warn!(
        status = status.as_u16(),
        reason = reason.to_string(),
        "request rejected"
    );
}

async fn readyz(State(state): State<AppState>) -> Response {
    let (code, status, why) = if state.dispatcher.stopping.is_cancelled() {
        let why = "the service is shutting down".to_owned();
        (StatusCode::SERVICE_UNAVAILABLE, "draining", Some(why))
    } else if let Some(failure) = state.connection.degradation() {
        // Status 200, since look-ups still work.
        (StatusCode::OK, "degraded", Some(failure.to_string()))
    } else {
        (StatusCode::OK, "ready", None)
    };
    let why: Vec<String> = why.into_iter().collect();
    let body = serde_json::json!({ "status": status, "why": why });
    (code, json(body.to_string().into())).into_response()
}

fn json(body: Vec<u8>) -> Response {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}
