//! The demo's own address: where commands are typed into it from outside.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode, header};

use super::House;
use crate::app::client_builder;

/// Longer than the longest late answer takes.
const PATIENCE: Duration = Duration::from_secs(40);

/// What the demo answers at.
pub(super) fn routes(house: Arc<House>) -> Router {
    Router::new()
        .route("/type", post(typed))
        .layer(middleware::from_fn(from_this_machine))
        .with_state(house)
}

async fn typed(State(house): State<Arc<House>>, command: String) -> Response {
    if !command.starts_with('/') {
        return (
            StatusCode::BAD_REQUEST,
            "a command begins with a slash, such as /sandbox help",
        )
            .into_response();
    }
    house.ask(&command).await.into_response()
}

/// Refuses pages of other sites, which a browser on this machine could be made to send here.
async fn from_this_machine(request: Request, next: Next) -> Response {
    if is_local(request.headers()) {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

fn is_local(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let loopback = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        matches!(host, "127.0.0.1" | "localhost" | "[::1]")
    };
    text(header::HOST).is_some_and(loopback)
        && text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://").is_some_and(loopback))
}

/// Types `command` into the demo that plays on `port`, and returns what a person would read.
pub(super) async fn type_into(port: u16, command: &str) -> Result<String, Box<dyn Error>> {
    let http = client_builder().timeout(PATIENCE).build()?;
    let answer = http
        .post(format!("http://127.0.0.1:{port}/type"))
        .body(command.to_owned())
        .send()
        .await
        .map_err(|_| format!("no demo plays on port {port}; start one with `kapso-slack demo`"))?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() {
        Ok(text)
    } else {
        Err(text.into())
    }
}
