//! The store as the log, `/readyz` and the metrics show it: broken, or working again.

use std::collections::HashSet;

use kapso_slack::demo::plain;

use crate::support::TestApp;
use crate::support::late_replies::start_late_reply;

/// Message of the log line when the store fails.
pub const BROKEN: &str = "the store does not work";

/// Message of the log line when the store works.
pub const WORKS: &str = "the store works";

/// Waits until the store has failed for the reason that has these words. The log gives each reason once, `/readyz` and
/// the metrics show it, and commands are still answered, in the response or later.
pub async fn expect_broken_store(app: &TestApp, why: &str) {
    app.wait_for_log_lines(why, 1).await;
    let (status, reason) = app.readiness().await;
    assert_eq!(status, "degraded");
    assert!(reason.contains(why), "{reason}");
    assert!(app.command_text("/sandbox help").await.contains("/sandbox"));
    let exchange = start_late_reply(app).await;
    app.kapso.release_stalled_requests();
    let card = app.late_reply(exchange).await;
    assert!(plain::text(&card.message).contains("Waiting for activation"));
    let failures = app.metrics().await;
    assert!(failures.contains("kapso_slack_store_failures_total"));
    assert!(!failures.contains("kapso_slack_store_failures_total 0"), "{failures}");
    let lines = app.wait_for_log_lines(BROKEN, 1).await;
    let reasons: HashSet<_> = lines.iter().map(|line| line["error"].to_string()).collect();
    assert_eq!(reasons.len(), lines.len(), "the log says each reason once: {lines:?}");
}

/// Waits until the store works for the `times`th time.
pub async fn expect_working_store(app: &TestApp, times: usize) {
    app.wait_for_log_lines(WORKS, times).await;
    assert_eq!(app.readiness().await, ("ready".to_owned(), String::new()));
}
