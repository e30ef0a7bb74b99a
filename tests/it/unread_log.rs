//! A log that nobody reads, and a log that strangers write to.

use kapso_slack::demo::Person;
use serde_json::Value;
use tokio::time::{Duration, timeout};
use url::Url;

use crate::support::program::{Fakes, Running};
use crate::support::test_app;

/// Far longer than a command takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends commands with log lines of 20 kB each, more in all than the pipe and the buffer take.
async fn flood(fakes: &Fakes, app: &Url) {
    let talkative = Person {
        user: "U".repeat(20_000),
        ..Person::default()
    };
    for _ in 0..100 {
        let sent = fakes.slack.send_command(app, &talkative, "/sandbox help");
        let sent = timeout(PATIENCE, sent).await.expect("the service is not frozen");
        assert!(sent.message.is_some(), "{sent:?}");
    }
}

async fn dropped_lines(metrics: &Url) -> u64 {
    let page = reqwest::get(metrics.clone()).await.unwrap().text().await.unwrap();
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("kapso_slack_log_lines_dropped_total "));
    line.expect("the metric is there").parse().unwrap()
}

async fn flooded(fakes: &Fakes, before: &[&str]) -> (Running, Url) {
    let program = fakes.service_with_prefix(before).with("METRICS_ADDR", "127.0.0.1:0");
    let mut service = program.start();
    let (app, metrics) = service.wait_for_addresses().await;
    assert_eq!(dropped_lines(&metrics).await, 0);
    flood(fakes, &app).await;
    let health = timeout(PATIENCE, reqwest::get(app.join("/healthz").unwrap())).await;
    assert_eq!(health.expect("the service is not frozen").unwrap().status(), 200);
    assert!(dropped_lines(&metrics).await > 0);
    (service, metrics)
}

#[tokio::test]
async fn a_log_that_nobody_reads_freezes_nothing_and_the_end_reports_dropped_lines() {
    let fakes = Fakes::start().await;
    let (mut service, _) = flooded(&fakes, &[]).await;
    service.send_signal("TERM").await;
    let (code, stderr) = timeout(PATIENCE, service.wait_for_exit_unread()).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(
        stderr.contains("log lines were dropped because nobody read them"),
        "{stderr}"
    );
}

#[tokio::test]
async fn standard_error_in_the_same_unread_pipe_does_not_keep_the_process_from_ending() {
    let fakes = Fakes::start().await;
    let same_pipe = ["/bin/sh", "-c", "exec \"$@\" 2>&1", "sh"];
    let (mut service, _) = flooded(&fakes, &same_pipe).await;
    service.send_signal("TERM").await;
    let (code, _) = timeout(PATIENCE, service.wait_for_exit_unread()).await.unwrap();
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn once_the_log_is_read_again_it_says_how_many_lines_are_missing_and_no_line_is_cut() {
    let fakes = Fakes::start().await;
    let (mut service, metrics) = flooded(&fakes, &[]).await;
    let dropped = dropped_lines(&metrics).await;
    let line = service.wait_for_line("log lines were dropped").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["dropped"], dropped);
    service.send_signal("TERM").await;
    let ended = service.wait_for_exit().await;
    assert_eq!(ended.code, Some(0));
    let lines = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a whole line"));
    let commands = lines.filter(|line| line["message"] == "command").count();
    assert_eq!(u64::try_from(commands).unwrap() + dropped, 100);
}

#[tokio::test]
async fn a_closed_log_does_not_end_the_service() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service().start();
    let app = service.wait_until_listening().await;
    service.close_stdout();
    flood(&fakes, &app).await;
    service.send_signal("TERM").await;
    let (code, stderr) = timeout(PATIENCE, service.wait_for_exit_unread()).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(stderr.contains("log lines were dropped"), "{stderr}");
}

#[tokio::test]
async fn strangers_cannot_fill_the_log_and_do_not_hide_other_refusals() {
    test_app()
        .run(async |app| {
            let post = async |path: &str, kind: &str| {
                let request = app.http.post(app.app_url.join(path).unwrap());
                request
                    .header("content-type", kind)
                    .body("x=1")
                    .send()
                    .await
                    .unwrap()
                    .status()
                    .as_u16()
            };
            let form = "application/x-www-form-urlencoded";
            for n in 0..200 {
                assert_eq!(post("/slack/commands", form).await, 401);
                assert_eq!(post(&format!("/admin/{n}.php"), form).await, 404);
                assert_eq!(app.get(&format!("/qr/{n}.png?forged")).await.0, 403);
            }
            assert_eq!(post("/slack/commands", "text/plain").await, 415);
            let refusals = |status: u16| {
                let lines = app.log_lines();
                lines
                    .into_iter()
                    .filter(|line| line["status"] == status)
                    .collect::<Vec<_>>()
            };
            for status in [401, 404, 403] {
                assert_eq!(refusals(status).len(), 20, "{status}");
            }
            assert_eq!(refusals(415).len(), 1);
            app.advance_clock(jiff::SignedDuration::from_secs(60));
            assert_eq!(post("/slack/commands", form).await, 401);
            let last = refusals(401).pop().unwrap();
            assert_eq!(last["suppressed"], 180);
            let page = app.metrics().await;
            for line in [
                "kapso_slack_log_lines_suppressed_total 540",
                "kapso_slack_refused_requests_total{status=\"401\"} 201",
                "kapso_slack_refused_requests_total{status=\"404\"} 200",
            ] {
                assert!(page.contains(line), "{line}: {page}");
            }
        })
        .await;
}
