//! The route table, and what is said over HTTP alone.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderValue, StatusCode, header};

use crate::bot::Bot;
use crate::slack::command::SlashCommand;
use crate::slack::interaction::Interaction;
use crate::slack::request::{Door, Rejection, Signed};
use crate::telemetry::Metrics;

/// Where Slack sends slash commands.
pub const COMMANDS: &str = "/slack/commands";
/// Where Slack sends presses on buttons.
pub const INTERACTIONS: &str = "/slack/interactions";
/// Alive.
pub const HEALTHZ: &str = "/healthz";
/// Ready for work.
pub const READYZ: &str = "/readyz";
/// Metrics, on a listener of their own.
pub const METRICS: &str = "/metrics";

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) door: Arc<Door>,
    pub(crate) bot: Arc<Bot>,
}

impl FromRef<Desk> for Arc<Door> {
    fn from_ref(desk: &Desk) -> Self {
        Self::clone(&desk.door)
    }
}

/// Every address the service answers at.
pub(crate) fn routes(desk: Desk) -> Router {
    let router = Router::new()
        .route(HEALTHZ, get(async || "ok\n"))
        .route(READYZ, get(readyz));
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
fn with_and_without_slash(router: Router<Desk>, path: &str, method: &MethodRouter<Desk>) -> Router<Desk> {
    router
        .route(path, method.clone())
        .route(&format!("{path}/"), method.clone())
}

async fn commands(State(desk): State<Desk>, signed: Result<Signed<SlashCommand>, Rejection>) -> Response {
    match signed {
        Ok(signed) => match desk.bot.command(signed).await {
            Some(message) => json(message.to_json()),
            None => StatusCode::OK.into_response(),
        },
        Err(rejection) => turned_away(&desk, rejection),
    }
}

async fn interactions(State(desk): State<Desk>, signed: Result<Signed<Interaction>, Rejection>) -> Response {
    match signed {
        Ok(signed) => {
            desk.bot.interaction(signed).await;
            StatusCode::OK.into_response()
        }
        Err(rejection) => turned_away(&desk, rejection),
    }
}

fn turned_away(desk: &Desk, rejection: Rejection) -> Response {
    let status = rejection.status();
    if !status.is_success() {
        desk.bot.metrics.refused(status);
        tracing::warn!(
            status = status.as_u16(),
            reason = rejection.to_string(),
            "turned a request away"
        );
    }
    rejection.into_response()
}

async fn readyz(State(desk): State<Desk>) -> Response {
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
