//! Sessions created by `/sandbox new`.

use kapso_slack::demo::{PostedMessage, plain};

use crate::support::{ID, TestApp};

pub const NEW: &str = "/sandbox new +1 (234) 567-8901";

/// The id of the one session that was created, beside the documented one.
pub fn created_session(app: &TestApp) -> String {
    let mut ids: Vec<_> = app.kapso.sessions().into_keys().filter(|id| id != ID).collect();
    assert_eq!(ids.len(), 1, "one was created: {ids:?}");
    ids.remove(0)
}

/// The number of POST requests to Kapso.
pub fn create_requests(app: &TestApp) -> usize {
    let requests = app.kapso.requests();
    requests.iter().filter(|line| line.starts_with("POST")).count()
}

/// The plain text of a message, without its request id.
pub fn text_without_request_id(posted: &PostedMessage) -> String {
    let read = plain::text(&posted.message);
    let (words, request) = read.rsplit_once("\nRequest ").unwrap();
    assert_eq!(request.len(), 8, "{read}");
    words.to_owned()
}
