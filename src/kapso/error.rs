//! What can go wrong between Kapso and us, as far as somebody acts on it.

use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

/// Why there is no session to show. Written for operators; nothing of Kapso's own words is in it.
#[derive(Debug, Error)]
pub enum Error {
    /// Kapso says that this project has no session with this id.
    #[error("Kapso has no session with this id")]
    NotFound,
    /// Kapso does not take our key.
    #[error("Kapso refused the key with status {}", .0.as_u16())]
    KeyRefused(StatusCode),
    /// The key's limit is used up: by Kapso's word, or by our own count, so that it is not burnt.
    #[error("Kapso's rate limit is used up for another {} s", .retry_after.as_secs())]
    Limited {
        /// How long until it is worth asking again.
        retry_after: Duration,
    },
    /// Kapso does not create what was asked for.
    #[error("Kapso refused what was to be created with status 422")]
    Unprocessable,
    /// Kapso did not answer, in none of the tries.
    #[error("Kapso did not answer")]
    NoAnswer(#[from] NoAnswer),
    /// Kapso answered in a way this client does not know.
    #[error("Kapso answered in an unknown way: {0}")]
    Unintelligible(String),
}

impl Error {
    /// Whether a request that was to create something may have done so all the same.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        match self {
            Self::NotFound | Self::KeyRefused(_) | Self::Limited { .. } | Self::Unprocessable => false,
            Self::NoAnswer(NoAnswer::Transport(error)) => !error.is_connect(),
            Self::NoAnswer(_) | Self::Unintelligible(_) => true,
        }
    }
}

/// In what way Kapso did not answer.
#[derive(Debug, Error)]
pub enum NoAnswer {
    /// It answered with a fault of its own.
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    /// The connection failed, or a try ran out of time.
    #[error("the request failed")]
    Transport(#[source] reqwest::Error),
    /// All tries together ran out of time.
    #[error("no answer within {} s", .0.as_secs())]
    OutOfTime(Duration),
}
