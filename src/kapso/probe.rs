//! One request that tells whether the API still answers at its address, and accepts the key.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use reqwest::Client;
use thiserror::Error;
use url::Url;

use super::api::{KEY_HEADER, body, sessions};
use super::page::Page;
use super::{Error, Unavailable};

/// The result of the request.
#[derive(Debug)]
pub struct Probe {
    /// The `Date` of the response.
    pub date: Option<HeaderValue>,
    pub result: Result<(), ProbeError>,
}

/// What is wrong. Quotes nothing of Kapso's response.
#[derive(Debug, Error)]
pub enum ProbeError {
    #[error("the request failed")]
    Transport(#[source] reqwest::Error),
    /// 401 or 403.
    #[error("status {}", .0.as_u16())]
    KeyRejected(StatusCode),
    /// The whole resource is not at this address any more: 404, 410 or a redirect.
    #[error("status {}", .0.as_u16())]
    Moved(StatusCode),
    #[error("status 429")]
    RateLimited,
    /// 5xx.
    #[error("status {}", .0.as_u16())]
    Server(StatusCode),
    #[error("{0}")]
    Unexpected(String),
}

/// Requests one session of the list, which exists in every project, even an empty one.
pub async fn probe(http: &Client, base: &Url, key: &HeaderValue, deadline: Duration) -> Probe {
    let mut address = sessions(base);
    address.set_query(Some("page=1&per_page=1"));
    let mut key = key.clone();
    key.set_sensitive(true);
    let sent = http.get(address).header(KEY_HEADER, key).timeout(deadline).send().await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => {
            return Probe {
                date: None,
                result: Err(ProbeError::Transport(error.without_url())),
            };
        }
    };
    let date = response.headers().get(header::DATE).cloned();
    let result = match response.status() {
        StatusCode::OK => match body(response).await {
            Ok(body) => Page::parse(&body).map(drop).map_err(ProbeError::Unexpected),
            Err(Error::Unavailable(Unavailable::Transport(error))) => Err(ProbeError::Transport(error)),
            Err(error) => Err(ProbeError::Unexpected(error.to_string())),
        },
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(ProbeError::KeyRejected(status)),
        status @ (StatusCode::NOT_FOUND | StatusCode::GONE) => Err(ProbeError::Moved(status)),
        status if status.is_redirection() => Err(ProbeError::Moved(status)),
        StatusCode::TOO_MANY_REQUESTS => Err(ProbeError::RateLimited),
        status if status.is_server_error() => Err(ProbeError::Server(status)),
        status => Err(ProbeError::Unexpected(format!("status {}", status.as_u16()))),
    };
    Probe { date, result }
}
