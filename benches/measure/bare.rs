//! The smallest handler that does the same in principle: it verifies the signature, requests the session from Kapso and
//! answers with a small card. No log, metrics, deadlines, rate limit, cache, retries or database.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use kapso_slack::slack::signature::{MAX_SKEW_SECONDS, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use tokio::net::TcpListener;

struct Handler {
    secret: String,
    key: String,
    base_url: String,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Envelope {
    data: Session,
}

#[derive(Deserialize)]
struct Session {
    status: String,
    phone_number: String,
    activation_code: String,
    activation_link: String,
}

/// Serves on `address` until the process is killed.
pub fn serve(address: SocketAddr, secret: &str, key: &str, base_url: &str, threads: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let handler = Arc::new(Handler {
        secret: secret.to_owned(),
        key: key.to_owned(),
        base_url: base_url.to_owned(),
        http: kapso_slack::app::client_builder().build().expect("a client"),
    });
    let router = Router::new()
        .route("/slack/commands", post(command))
        .with_state(handler);
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind(address).await.expect("a port");
        axum::serve(listener, router).await.expect("it serves for ever");
    });
}

async fn command(State(handler): State<Arc<Handler>>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_signed(&handler.secret, &headers, &body) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut fields = form_urlencoded::parse(&body);
    let Some((_, id)) = fields.find(|(name, _)| name == "text") else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(session) = session(&handler, &id).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let text = format!(
        "*{}*\nPhone {}\nCode `{}`",
        session.status, session.phone_number, session.activation_code
    );
    let card = json!({
        "response_type": "ephemeral",
        "text": text,
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": text } },
            { "type": "actions", "elements": [{
                "type": "button",
                "text": { "type": "plain_text", "text": "Activate in WhatsApp" },
                "url": session.activation_link,
            }] },
        ],
    });
    ([(header::CONTENT_TYPE, "application/json")], card.to_string()).into_response()
}

async fn session(handler: &Handler, id: &str) -> Result<Session, reqwest::Error> {
    let address = format!("{}/sandbox_sessions/{id}", handler.base_url);
    let request = handler.http.get(address).header("x-api-key", &handler.key);
    let body = request.send().await?.error_for_status()?.bytes().await?;
    let envelope: Envelope = serde_json::from_slice(&body).expect("a session");
    Ok(envelope.data)
}

fn is_signed(secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    let (Some(timestamp), Some(signature)) = (text(TIMESTAMP_HEADER), text(SIGNATURE_HEADER)) else {
        return false;
    };
    let now = Timestamp::now().as_second();
    if !timestamp
        .parse()
        .is_ok_and(|at: i64| (now - at).abs() <= MAX_SKEW_SECONDS)
    {
        return false;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    let signature = signature
        .strip_prefix("v0=")
        .and_then(|signature| hex::decode(signature).ok());
    signature.is_some_and(|signature| mac.verify_slice(&signature).is_ok())
}
