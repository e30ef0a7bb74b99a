//! The files in `deploy/` agree with the service. `scripts/test-kit` checks them with the tools that read them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kapso_slack::config::VARIABLES;
use kapso_slack::routes::{HEALTHZ, READYZ};
use serde_json::Value;

use crate::support::{TestApp, with_app};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The queries of the dashboard, and those that fill its variables.
fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/kapso-slack.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut queries: Vec<String> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    queries.extend(variables.iter().filter_map(|variable| {
        let query = &variable["query"]["query"];
        query.as_str().map(str::to_owned)
    }));
    queries
}

/// The alert rules, without their comments.
fn alert_rules() -> String {
    let text = read("deploy/prometheus/alerts.yaml");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().starts_with('#')).collect();
    lines.join("\n")
}

/// A selector in a query: the metric, and the labels with one fixed value or several alternatives.
type Selector = (String, Vec<(String, Vec<String>)>);

/// Every selector of one of this service's metrics.
fn selectors(query: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("kapso_slack_") {
        let rest = &query[at..];
        let length = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, rest) = rest.split_at(length);
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let labels = matchers.map_or_else(Vec::new, |(matchers, _)| {
            matchers
                .split(',')
                .map(|matcher| {
                    let (label, value) = matcher.split_once('=').unwrap();
                    let value = value.trim_start_matches('~').trim_matches('"');
                    (label.to_owned(), value.split('|').map(str::to_owned).collect())
                })
                .collect()
        });
        found.push((name.to_owned(), labels));
    }
    found
}

/// The series of a new service: a metric's name, and its labels as written.
async fn series(app: &TestApp) -> BTreeSet<(String, String)> {
    let page = app.metrics().await;
    let series = page.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        (name.to_owned(), labels.trim_end_matches('}').to_owned())
    });
    series.collect()
}

#[tokio::test]
async fn every_query_of_the_dashboard_and_the_alerts_names_series_that_exist() {
    with_app(async |app| {
        let series = series(app).await;
        let rules = alert_rules();
        let queries = dashboard_queries();
        assert!(queries.len() > 10, "{queries:?}");
        let mut used = BTreeSet::new();
        for query in queries.iter().chain([&rules]) {
            for (name, labels) in selectors(query) {
                assert!(
                    series.iter().any(|(there, _)| *there == name),
                    "no metric {name}: {query}"
                );
                // Prometheus adds this label.
                for (label, values) in labels.iter().filter(|(label, _)| label != "instance") {
                    for value in values {
                        let wanted = format!("{label}=\"{value}\"");
                        assert!(
                            series
                                .iter()
                                .any(|(there, labels)| *there == name && labels.split(',').any(|l| l == wanted)),
                            "no series {name}{{{wanted}}}"
                        );
                    }
                }
                used.insert(name);
            }
        }
        // A metric that nobody looks at is left out by mistake.
        let base = |name: &str| name.trim_end_matches("_bucket").trim_end_matches("_total").to_owned();
        let there: BTreeSet<_> = series
            .iter()
            .filter(|(name, _)| !name.ends_with("_sum") && !name.ends_with("_count"))
            .map(|(name, _)| base(name))
            .collect();
        let shown: BTreeSet<_> = used.iter().map(|name| base(name)).collect();
        assert_eq!(shown, there);
    })
    .await;
}

#[tokio::test]
async fn labels_that_queries_group_by_exist() {
    with_app(async |app| {
        let series = series(app).await;
        let queries = dashboard_queries();
        let mut checked = 0;
        for query in &queries {
            let Some((_, rest)) = query.split_once(" by (") else {
                continue;
            };
            let (labels, rest) = rest.split_once(')').unwrap();
            let [(name, _)] = &selectors(rest)[..] else {
                panic!("one metric: {query}");
            };
            for label in labels.split(", ") {
                let start = format!("{label}=");
                assert!(
                    series
                        .iter()
                        .any(|(there, labels)| there == name && labels.split(',').any(|l| l.starts_with(&start))),
                    "{name} has no label {label}: {query}"
                );
                checked += 1;
            }
        }
        assert!(checked > 8, "{checked}");
    })
    .await;
}

#[test]
fn the_units_and_manifests_set_variables_that_exist() {
    let known: BTreeSet<String> = VARIABLES
        .iter()
        .flat_map(|variable| [variable.name.to_owned(), format!("{}_FILE", variable.name)])
        .collect();
    let unit = read("deploy/systemd/kapso-slack.service");
    let unit = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment="))
        .flat_map(|line| line.split(' '))
        .map(|pair| pair.split_once('=').unwrap().0.to_owned());
    let manifests = read("deploy/kubernetes/kapso-slack.yaml");
    let env = manifests
        .split_once("env:\n")
        .unwrap()
        .1
        .split_once("ports:")
        .unwrap()
        .0;
    let manifests = env
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("- name: ")?.to_owned()));
    let set: Vec<String> = unit.chain(manifests).collect();
    assert!(set.len() > 10, "{set:?}");
    for name in set {
        assert!(known.contains(&name), "{name} is no variable of the service");
    }
}

#[test]
fn the_manifests_probe_the_health_routes() {
    let manifests = read("deploy/kubernetes/kapso-slack.yaml");
    for (probe, route) in [("readinessProbe", READYZ), ("livenessProbe", HEALTHZ)] {
        let (_, after) = manifests.split_once(&format!("{probe}:\n")).unwrap();
        let path = after.lines().nth(1).unwrap().trim();
        assert_eq!(path, format!("path: {route}"), "{probe}");
    }
}
