//! The metrics as scrapers ask for them, and every series from the start.

use std::collections::HashSet;

use kapso_slack::commands::Outcome;

use crate::support::{ID, TestApp, with_app};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The type and text of the page for a scraper with this `Accept`.
async fn scrape(app: &TestApp, accept: &str) -> (String, String) {
    let request = app.http.get(app.metrics_url.clone().unwrap()).header("accept", accept);
    let answer = request.send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, answer.text().await.unwrap())
}

#[tokio::test]
async fn a_scraper_gets_the_format_that_it_asks_for() {
    with_app(async |app| {
        for (accept, kind) in [
            ("text/plain; version=0.0.4", PROMETHEUS),
            ("text/plain", PROMETHEUS),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", PROMETHEUS),
            ("TEXT/PLAIN", PROMETHEUS),
            ("text/*", PROMETHEUS),
            ("*/*", OPEN_METRICS),
            ("application/openmetrics-text", OPEN_METRICS),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
                OPEN_METRICS,
            ),
        ] {
            assert_eq!(scrape(app, accept).await.0, kind, "{accept}");
        }
    })
    .await;
}

#[tokio::test]
async fn in_plain_text_every_series_has_the_type_of_its_own_name() {
    with_app(async |app| {
        app.command(&format!("/sandbox {ID}")).await;
        let (_, page) = scrape(app, "text/plain").await;
        assert!(!page.contains("# EOF") && !page.contains("# UNIT"), "{page}");
        assert!(page.ends_with('\n'));
        let typed: HashSet<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .is_some_and(|name| typed.contains(name));
            assert!(typed.contains(name) || of_histogram, "{line}");
        }
        for line in [
            "# TYPE kapso_slack_commands_total counter",
            "# HELP kapso_slack_store_failures_total Failed operations on the database.",
            "# TYPE kapso_slack_watches gauge",
            "# TYPE kapso_slack_answer_seconds histogram",
            "kapso_slack_commands_total{outcome=\"shown\"} 1",
        ] {
            assert!(page.lines().any(|known| known == line), "{line}: {page}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_series_of_a_closed_set_is_at_zero_from_the_start() {
    with_app(async |app| {
        let page = app.metrics().await;
        let mut series: Vec<String> = Outcome::ALL
            .iter()
            .map(|outcome| format!("commands_total{{outcome=\"{}\"}}", outcome.word()))
            .collect();
        for answer in ["in_time", "late", "handed_over", "lost"] {
            series.push(format!("answers_total{{answer=\"{answer}\"}}"));
            for news in ["activated", "expired", "superseded", "gone", "time_up"] {
                series.push(format!("notices_total{{news=\"{news}\",answer=\"{answer}\"}}"));
            }
        }
        for status in [400, 401, 403, 404, 408, 410, 413, 415] {
            series.push(format!("refused_requests_total{{status=\"{status}\"}}"));
        }
        for status in ["none", "200", "201", "401", "403", "404", "422", "429", "500", "503"] {
            series.push(format!("kapso_requests_total{{status=\"{status}\"}}"));
        }
        for name in [
            "store_failures_total",
            "log_lines_dropped_total",
            "log_lines_suppressed_total",
        ] {
            series.push(name.to_owned());
        }
        for series in series {
            let line = format!("kapso_slack_{series} 0");
            assert!(page.lines().any(|known| known == line), "{line}: {page}");
        }
    })
    .await;
}
