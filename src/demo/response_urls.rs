//! What is posted to a `response_url`: taken into the channel, or refused.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};

use super::channel::Channel;
use super::exchange::Way;

/// A `response_url` is posted to.
pub(super) async fn receive(State(channel): State<Arc<Channel>>, Path(token): Path<String>, body: Bytes) -> Response {
    match channel.open(&token) {
        Ok((exchange, pressed)) => {
            let note = |status| {
                channel.note(exchange, |exchange| {
                    exchange.answer(Way::ResponseUrl, Some(status), &body);
                });
            };
            let Ok(message) = serde_json::from_slice(&body) else {
                note(StatusCode::BAD_REQUEST);
                channel.broke("a response_url was posted something that is no JSON");
                return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
            };
            if !channel.pictures.fetch(&message).await {
                note(StatusCode::BAD_REQUEST);
                return (StatusCode::BAD_REQUEST, "invalid_blocks").into_response();
            }
            note(StatusCode::OK);
            channel.take(exchange, Way::ResponseUrl, pressed, message);
            // The sender lives as long as the channel.
            drop(channel.keeps_waiting.subscribe().wait_for(|waits| !waits).await);
            "ok".into_response()
        }
        Err((status, retry_after)) => {
            channel.tell();
            let mut answer = status.into_response();
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            answer
        }
    }
}
