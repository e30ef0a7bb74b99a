//! The faults that Kapso can be given on the page.

use std::time::Duration;

use http::{StatusCode, header};

use super::Fault;

/// A fault as people pick it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// In requests.
    pub(super) name: &'static str,
    /// On the page.
    pub(super) label: &'static str,
    /// What Kapso does then.
    pub(super) what: &'static str,
}

pub(super) const HEALTHY: &str = "healthy";

/// Every fault there is to pick, beginning with none.
pub(super) const ALL: [Choice; 9] = [
    choice(HEALTHY, "Healthy", "Kapso answers at once."),
    choice(
        "slow-1s",
        "Slow, 1 s",
        "Kapso takes a second: the answer still comes in the response.",
    ),
    choice(
        "slow-4s",
        "Slow, 4 s",
        "Kapso takes longer than Slack waits: the answer comes as a message of its own.",
    ),
    choice(
        "hang",
        "Hang",
        "Kapso takes requests and never answers. The app gives up after some 25 s; pick another one to let go.",
    ),
    choice("401", "401", "Kapso refuses the app's key."),
    choice("404", "404", "Kapso knows no session at all."),
    choice(
        "429",
        "429",
        "The rate limit is used up for a minute: the app asks nothing until then. The clock helps.",
    ),
    choice("500", "500", "Kapso fails. The app tries up to three times."),
    choice("garbage", "Garbage", "Kapso answers with a web page."),
];

const fn choice(name: &'static str, label: &'static str, what: &'static str) -> Choice {
    Choice { name, label, what }
}

/// What the fake does under a name of [`ALL`]: nothing for [`HEALTHY`].
pub(super) fn fault(name: &str) -> Option<Fault> {
    let refusal = |status: StatusCode, error: &str| Fault::answer(status, format!(r#"{{"error":"{error}"}}"#));
    Some(match name {
        "slow-1s" => Fault::Slow(Duration::from_secs(1)),
        "slow-4s" => Fault::Slow(Duration::from_secs(4)),
        "hang" => Fault::Hold,
        "401" => refusal(StatusCode::UNAUTHORIZED, "Invalid API key"),
        "404" => refusal(StatusCode::NOT_FOUND, "Sandbox session not found"),
        "429" => refusal(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded").with_header(header::RETRY_AFTER, "60"),
        "500" => refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
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
