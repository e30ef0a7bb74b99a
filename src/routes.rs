//! The route table, and what is said over HTTP alone.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use thiserror::Error;

use crate::dispatch::Bot;
use crate::slack::command::SlashCommand;
use crate::slack::interaction::Interaction;
use crate::slack::request::{Rejection, Signed, SlackVerifier};
use crate::telemetry::{Metrics, chain};
use crate::{kapso, qr};

/// Where Slack sends slash commands.
pub const COMMANDS: &str = "/slack/commands";
/// Where Slack sends presses on buttons.
pub const INTERACTIONS: &str = "/slack/interactions";
/// Where Slack fetches the pictures of QR codes.
pub const QR: &str = "/qr/{file}";
/// Alive.
pub const HEALTHZ: &str = "/healthz";
/// Ready for work.
pub const READYZ: &str = "/readyz";
/// Metrics, on a listener of their own.
pub const METRICS: &str = "/metrics";

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct AppState {
    pub(crate) door: Arc<SlackVerifier>,
    pub(crate) bot: Arc<Bot>,
}

impl FromRef<AppState> for Arc<SlackVerifier> {
    fn from_ref(desk: &AppState) -> Self {
        Self::clone(&desk.door)
    }
}

/// Every address the service answers at.
pub(crate) fn routes(desk: AppState) -> Router {
    let router = Router::new()
        .route(HEALTHZ, get(async || "ok\n"))
        .route(READYZ, get(readyz))
        .route(QR, get(qr));
    let router = with_and_without_slash(router, COMMANDS, &post(commands));
    with_and_without_slash(router, INTERACTIONS, &post(interactions)).with_state(desk)
}

/// The metrics' own address.
pub(crate) fn metrics(metrics: Arc<Metrics>) -> Router {
    const OPEN_METRICS: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let page = async move || ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.to_text());
    Router::new().route(METRICS, get(page))
}

/// Slack shows `http_client_error` for a 404, and a POST cannot be redirected: both spellings serve.
fn with_and_without_slash(router: Router<AppState>, path: &str, method: &MethodRouter<AppState>) -> Router<AppState> {
    router
        .route(path, method.clone())
        .route(&format!("{path}/"), method.clone())
}

async fn commands(State(desk): State<AppState>, signed: Result<Signed<SlashCommand>, Rejection>) -> Response {
    match signed {
        Ok(signed) => match desk.bot.command(signed).await {
            Some(message) => json(message.to_json()),
            None => StatusCode::OK.into_response(),
        },
        Err(rejection) => turned_away(&desk, rejection),
    }
}

async fn interactions(State(desk): State<AppState>, signed: Result<Signed<Interaction>, Rejection>) -> Response {
    match signed {
        Ok(signed) => {
            desk.bot.interaction(signed).await;
            StatusCode::OK.into_response()
        }
        Err(rejection) => turned_away(&desk, rejection),
    }
}

/// Slack fetches the picture of a QR code, or somebody does to whom Slack gave its address.
async fn qr(State(desk): State<AppState>, uri: Uri) -> Response {
    const NOSNIFF: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    match picture(&desk, &uri).await {
        Ok((png, left)) => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
            let keep = (header::CACHE_CONTROL, format!("private, max-age={}", left.as_secs()));
            ([NOSNIFF, kind], [keep], png).into_response()
        }
        Err(reason) => {
            let status = reason.status();
            match &reason {
                NoPicture::Refused(refusal) => note_refusal(&desk, status, refusal),
                NoPicture::Fault(error) => tracing::warn!(
                    status = status.as_u16(),
                    error = chain(&**error),
                    "could not show a QR code"
                ),
                NoPicture::NothingToActivate => {}
            }
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (status, [NOSNIFF, no_store], reason.to_string()).into_response()
        }
    }
}

/// The picture, and for how long its address is good. Kapso is asked for addresses of our own alone.
async fn picture(desk: &AppState, uri: &Uri) -> Result<(Vec<u8>, Duration), NoPicture> {
    let file = uri.path().rsplit('/').next().unwrap_or_default();
    let addresses = desk.bot.qr.as_ref().ok_or(qr::Refusal::NotOurs)?;
    let admitted = addresses.check(file, uri.query().unwrap_or_default(), desk.bot.clock.now())?;
    let link = match desk.bot.commands.qr_link(&admitted.id).await {
        // It is gone, and comes back no more.
        Err(error) if matches!(*error, kapso::Error::NotFound) => None,
        link => link?,
    };
    let png = link.and_then(|link| qr::picture(link.url().as_str()));
    Ok((png.ok_or(NoPicture::NothingToActivate)?, admitted.left))
}

/// Why there is no picture, in words for whoever opens its address.
#[derive(Debug, Error)]
enum NoPicture {
    #[error("There is no QR code here: {0}.\n")]
    Refused(#[from] qr::Refusal),
    #[error("There is no QR code here: the session does not wait for its activation, or has no link.\n")]
    NothingToActivate,
    #[error("There is no QR code here now: the session cannot be looked up. Try again in a moment.\n")]
    Fault(#[from] Arc<kapso::Error>),
}

impl NoPicture {
    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(qr::Refusal::NotOurs) => StatusCode::FORBIDDEN,
            Self::Refused(qr::Refusal::Over) => StatusCode::GONE,
            Self::NothingToActivate => StatusCode::NOT_FOUND,
            Self::Fault(error) => match &**error {
                kapso::Error::Limited { .. } => StatusCode::SERVICE_UNAVAILABLE,
                kapso::Error::NoAnswer(_) => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::BAD_GATEWAY,
            },
        }
    }
}

fn turned_away(desk: &AppState, rejection: Rejection) -> Response {
    let status = rejection.status();
    if !status.is_success() {
        note_refusal(desk, status, &rejection);
    }
    rejection.into_response()
}

fn note_refusal(desk: &AppState, status: StatusCode, reason: &dyn std::error::Error) {
    desk.bot.metrics.refused(status);
    tracing::warn!(
        status = status.as_u16(),
        reason = reason.to_string(),
        "turned a request away"
    );
}

async fn readyz(State(desk): State<AppState>) -> Response {
    let (code, status, why) = if desk.bot.stopping.is_cancelled() {
        let why = "the service was asked to stop".to_owned();
        (StatusCode::SERVICE_UNAVAILABLE, "draining", Some(why))
    } else if let Some(trouble) = desk.bot.ledger.trouble() {
        // Look-ups go on, so traffic may come.
        (StatusCode::OK, "degraded", Some(trouble))
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
