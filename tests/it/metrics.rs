//! The metrics and their separate listener.

use http::StatusCode;
use std::time::Duration;

use insta::assert_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::Fault;

use crate::support::late_replies::start_late_reply;
use crate::support::{ID, TestApp, test_app, with_app};

/// The counters and gauges of the page, sorted, without durations and without labelled series at zero.
async fn counts(app: &TestApp) -> String {
    let page = app.metrics().await;
    let mut lines: Vec<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket") && !line.contains("_sum"))
        .filter(|line| !line.ends_with("} 0"))
        .collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[tokio::test]
async fn all_counters_start_at_zero() {
    with_app(async |app| {
        assert_snapshot!(counts(app).await, @"
        kapso_slack_answer_seconds_count 0
        kapso_slack_kapso_moved_total 0
        kapso_slack_kapso_rate_limit_left 100
        kapso_slack_kapso_request_seconds_count 0
        kapso_slack_log_lines_dropped_total 0
        kapso_slack_log_lines_suppressed_total 0
        kapso_slack_socket_connections 0
        kapso_slack_socket_redeliveries_total 0
        kapso_slack_store_failures_total 0
        kapso_slack_watches 0
        ");
    })
    .await;
}

#[tokio::test]
async fn commands_replies_and_requests_to_kapso_are_counted() {
    test_app()
        .set(|settings| settings.reply_budget = Duration::from_millis(500))
        .run(async |app| {
            let exchange = start_late_reply(app).await;
            app.kapso.release_stalled_requests();
            let card = app.late_reply(exchange).await;
            app.press(&card, "refresh").await;
            app.command("/sandbox help").await;
            app.command("/sandbox unknown-id").await;
            app.next_kapso_response(500, "");
            app.command("/sandbox unknown-id").await;
            app.kapso.fail_next_request(Fault::CloseConnection);
            app.command("/sandbox unknown-id").await;
            app.next_kapso_response(401, "");
            app.command("/sandbox unknown-id").await;
            app.wait_for_commands(7).await;
            assert_snapshot!(counts(app).await, @r#"
            kapso_slack_answer_seconds_count 7
            kapso_slack_answers_total{answer="in_time"} 5
            kapso_slack_answers_total{answer="late"} 2
            kapso_slack_commands_total{outcome="help"} 1
            kapso_slack_commands_total{outcome="key_refused"} 1
            kapso_slack_commands_total{outcome="not_found"} 3
            kapso_slack_commands_total{outcome="shown"} 2
            kapso_slack_kapso_moved_total 0
            kapso_slack_kapso_rate_limit_left 92
            kapso_slack_kapso_request_seconds_count 8
            kapso_slack_kapso_requests_total{status="200"} 2
            kapso_slack_kapso_requests_total{status="401"} 1
            kapso_slack_kapso_requests_total{status="404"} 3
            kapso_slack_kapso_requests_total{status="500"} 1
            kapso_slack_kapso_requests_total{status="none"} 1
            kapso_slack_log_lines_dropped_total 0
            kapso_slack_log_lines_suppressed_total 0
            kapso_slack_socket_connections 0
            kapso_slack_socket_redeliveries_total 0
            kapso_slack_store_failures_total 0
            kapso_slack_watches 0
            "#);
        })
        .await;
}

#[tokio::test]
async fn undelivered_replies_are_counted() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            start_late_reply(app).await;
            app.slack.reject_next_post(StatusCode::NOT_FOUND, None);
            app.kapso.release_stalled_requests();
            app.wait_for_commands(1).await;
            let counts = counts(app).await;
            assert!(
                counts.contains("kapso_slack_answers_total{answer=\"lost\"} 1"),
                "{counts}"
            );
        })
        .await;
}

#[tokio::test]
async fn every_metric_has_a_description() {
    with_app(async |app| {
        app.command(&format!("/sandbox {ID}")).await;
        let url = app.app_url.join("/slack/commands").unwrap();
        assert_eq!(app.http.post(url).send().await.unwrap().status(), 415);
        let page = app.metrics().await;
        let about: Vec<&str> = page.lines().filter(|line| line.starts_with("# HELP")).collect();
        assert_snapshot!("every_metric_has_a_description", about.join("\n"));
        assert_eq!(page.matches("# TYPE").count(), about.len());
        assert!(page.ends_with("# EOF\n"), "{page}");
        let answer = app.http.get(app.metrics_url.clone().unwrap()).send().await.unwrap();
        let kind = &answer.headers()["content-type"];
        assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    })
    .await;
}

#[tokio::test]
async fn rejected_requests_are_counted_by_status_and_logged() {
    const FORM: &str = "application/x-www-form-urlencoded";
    with_app(async |app| {
        let post = async |kind: &str, body: String| {
            let url = app.app_url.join("/slack/commands").unwrap();
            let answer = app.http.post(url).header("content-type", kind).body(body).send().await;
            answer.unwrap().status().as_u16()
        };
        assert_eq!(post(FORM, "command=%2Fsandbox".to_owned()).await, 401);
        assert_eq!(post("application/json", "{}".to_owned()).await, 415);
        assert_eq!(post(FORM, "x".repeat(65 * 1024)).await, 413);
        let request = app.command_request(ID, None);
        app.advance_clock(SignedDuration::from_secs(301));
        assert_eq!(app.send_raw(&request).await.status, 401);
        // Slack's check of the certificate is not rejected.
        assert_eq!(post(FORM, "ssl_check=1".to_owned()).await, 200);

        assert_snapshot!(counts(app).await, @r#"
        kapso_slack_answer_seconds_count 0
        kapso_slack_kapso_moved_total 0
        kapso_slack_kapso_rate_limit_left 100
        kapso_slack_kapso_request_seconds_count 0
        kapso_slack_log_lines_dropped_total 0
        kapso_slack_log_lines_suppressed_total 0
        kapso_slack_refused_requests_total{status="401"} 2
        kapso_slack_refused_requests_total{status="413"} 1
        kapso_slack_refused_requests_total{status="415"} 1
        kapso_slack_socket_connections 0
        kapso_slack_socket_redeliveries_total 0
        kapso_slack_store_failures_total 0
        kapso_slack_watches 0
        "#);
        let reasons: Vec<String> = app
            .log_lines()
            .iter()
            .filter(|line| line["level"] == "WARN")
            .map(|line| format!("{} {} {}", line["level"], line["status"], line["reason"]))
            .collect();
        assert_snapshot!(reasons.join("\n"), @r#"
        "WARN" 401 "a signature header is missing or repeated"
        "WARN" 415 "the content type is not application/x-www-form-urlencoded"
        "WARN" 413 "the body is too large"
        "WARN" 401 "the timestamp is 301 s away from this machine's clock"
        "#);
    })
    .await;
}

#[tokio::test]
async fn metrics_are_only_on_their_own_listener() {
    with_app(async |app| {
        assert_eq!(app.get("/metrics").await.0, 404);
        assert_eq!(app.get("/metrics/").await.0, 404);
        let metrics = app.metrics_url.clone().unwrap();
        for path in ["/", "/healthz", "/readyz", "/slack/commands", "/metrics/"] {
            let answer = app.http.get(metrics.join(path).unwrap()).send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}");
        }
    })
    .await;
    test_app()
        .with("METRICS_ADDR", "")
        .run(async |app| {
            assert_eq!(app.metrics_url, None);
            assert_eq!(app.get("/metrics").await.0, 404);
        })
        .await;
}
