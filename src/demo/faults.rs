//! The faults of `FakeKapso`, and those that the playground offers.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};

/// How a request deviates from a normal answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers normally, after this delay.
    Delay(Duration),
    /// Waits until [`super::FakeKapso::release_stalled_requests`], then answers.
    Stall,
    /// Answers with this response instead.
    Answer {
        status: StatusCode,
        /// Headers besides the usual ones.
        headers: Vec<(HeaderName, String)>,
        body: Bytes,
    },
    /// Closes the connection instead of answering.
    CloseConnection,
    /// Closes the connection in the middle of the response body.
    TruncateBody,
}

impl Fault {
    /// A response with this status and body.
    pub fn answer(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Adds a header to an [`Fault::Answer`].
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A fault in the playground's list.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultChoice {
    /// Identifies it in requests to `/kapso/fault`.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// What Kapso does while this fault is active.
    pub(super) effect: &'static str,
}

pub(super) const HEALTHY: &str = "healthy";

/// Every choice; the first one is no fault.
pub(super) const ALL: [FaultChoice; 9] = [
    choice(HEALTHY, "Healthy", "Kapso answers at once."),
    choice(
        "slow-1s",
        "Slow, 1 s",
        "Kapso takes a second: the reply still comes in the HTTP response.",
    ),
    choice(
        "slow-4s",
        "Slow, 4 s",
        "Kapso takes longer than Slack waits: the reply comes as a separate message.",
    ),
    choice(
        "hang",
        "Hang",
        "Kapso accepts requests and never answers. The app gives up after about 25 s; choose another option to release the requests.",
    ),
    choice("401", "401", "Kapso rejects the app's API key."),
    choice("404", "404", "Kapso finds no session."),
    choice(
        "429",
        "429",
        "The rate limit is used up for a minute: the app sends no request until then. You can advance the clock.",
    ),
    choice("500", "500", "Kapso has an error. The app tries up to three times."),
    choice("garbage", "Garbage", "Kapso sends a web page instead of JSON."),
];

const fn choice(name: &'static str, label: &'static str, effect: &'static str) -> FaultChoice {
    FaultChoice { name, label, effect }
}

/// The fault with this name; `None` for [`HEALTHY`] and for unknown names.
pub(super) fn fault(name: &str) -> Option<Fault> {
    let error_response = |status: StatusCode, error: &str| Fault::answer(status, format!(r#"{{"error":"{error}"}}"#));
    Some(match name {
        "slow-1s" => Fault::Delay(Duration::from_secs(1)),
        "slow-4s" => Fault::Delay(Duration::from_secs(4)),
        "hang" => Fault::Stall,
        "401" => error_response(StatusCode::UNAUTHORIZED, "Invalid API key"),
        "404" => error_response(StatusCode::NOT_FOUND, "Sandbox session not found"),
        "429" => {
            error_response(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded").with_header(header::RETRY_AFTER, "60")
        }
        "500" => error_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
        "garbage" => Fault::answer(StatusCode::OK, "<!DOCTYPE html><title>Welcome</title>"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_but_the_first_is_a_fault() {
        for choice in ALL {
            assert_eq!(fault(choice.name).is_none(), choice.name == HEALTHY, "{}", choice.name);
        }
    }
}
