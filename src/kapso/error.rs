//! Errors of requests to Kapso.

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

/// Why a request to Kapso failed. Written for operators; quotes nothing of Kapso's response.
#[derive(Debug, Error)]
pub enum Error {
    /// The project has no session with this id.
    #[error("Kapso has no session with this ID")]
    NotFound,
    #[error("Kapso rejected the API key with status {}", .0.as_u16())]
    KeyRejected(StatusCode),
    /// Kapso answered 429, or by our own count it would.
    #[error("Kapso's rate limit is used up for another {} s", .retry_after.as_secs())]
    RateLimited {
        /// How long to wait before the next request.
        retry_after: Duration,
    },
    /// Kapso rejected the session to be created.
    #[error("Kapso rejected the session to be created with status 422")]
    Unprocessable,
    /// There is no API at this address, as far as the response says.
    #[error("Kapso's API answered with status {}: Kapso may have moved it; check KAPSO_BASE_URL", .0.as_u16())]
    Moved(StatusCode),
    /// All attempts failed.
    #[error("Kapso did not answer")]
    Unavailable(#[from] Unavailable),
    /// Kapso sent a response that this client does not understand.
    #[error("Kapso sent an unexpected response: {0}")]
    UnexpectedResponse(String),
}

impl Error {
    /// Whether a request that was to create something may still have done so.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::NotFound | Self::KeyRejected(_) | Self::RateLimited { .. } | Self::Unprocessable | Self::Moved(_) => {
                false
            }
            Self::Unavailable(Unavailable::Transport(error)) => !error.is_connect(),
            Self::Unavailable(_) | Self::UnexpectedResponse(_) => true,
        }
    }
}

/// In what way Kapso was unavailable.
#[derive(Debug, Error)]
pub enum Unavailable {
    /// It answered with a 5xx status.
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    /// The connection failed, or one attempt timed out.
    #[error("the request failed")]
    Transport(#[source] reqwest::Error),
    /// All attempts together timed out.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}
