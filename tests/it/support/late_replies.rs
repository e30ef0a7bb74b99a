//! Commands whose replies come later, in a message of their own.

use kapso_slack::demo::Fault;

use crate::support::{ID, TestApp};

/// Types a command that Kapso does not answer until it is released, and returns its exchange number.
pub async fn start_late_reply(app: &TestApp) -> u64 {
    let requests_before = app.kapso.requests().len();
    app.kapso.fail_next_request(Fault::Stall);
    let exchange = app.expect_ack_only(&format!("/sandbox {ID}")).await;
    app.kapso.wait_for_requests(requests_before + 1).await;
    exchange
}
