//! The metrics: what is counted, and how an answer reached the asker.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::kapso::{FIRST_LIMIT, Observation};

/// How an answer reached the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the HTTP response.
    InTime,
    /// At the `response_url`.
    Late,
    /// By whoever comes next: it is still owed.
    HandedOver,
    /// Not at all.
    Lost,
}

impl Delivery {
    /// The word for log and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InTime => "in_time",
            Self::Late => "late",
            Self::HandedOver => "handed_over",
            Self::Lost => "lost",
        }
    }
}

/// The metrics of one app, as `/metrics` shows them.
pub struct Metrics {
    registry: Registry,
    commands: Family<ByOutcome, Counter>,
    answers: Family<ByAnswer, Counter>,
    answer_time: Histogram,
    refused: Family<ByStatus, Counter>,
    kapso_requests: Family<ByStatus, Counter>,
    kapso_time: Histogram,
    kapso_left: Gauge<u64, AtomicU64>,
    store_failures: Counter,
    notices: Family<ByNews, Counter>,
    watches: Gauge<u64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByNews {
    news: &'static str,
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    status: Status,
}

/// An HTTP status, or `none`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Status(Option<u16>);

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.0 {
            Some(status) => EncodeLabelValue::encode(&status, encoder),
            None => "none".encode(encoder),
        }
    }
}

impl Metrics {
    /// Metrics that stand at nought, with the whole rate limit left.
    #[must_use]
    pub fn new() -> Self {
        let seconds = || Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0]);
        let mut metrics = Self {
            registry: Registry::with_prefix("kapso_slack"),
            commands: Family::default(),
            answers: Family::default(),
            answer_time: seconds(),
            refused: Family::default(),
            kapso_requests: Family::default(),
            kapso_time: seconds(),
            kapso_left: Gauge::default(),
            store_failures: Counter::default(),
            notices: Family::default(),
            watches: Gauge::default(),
        };
        metrics.kapso_left.set(u64::from(FIRST_LIMIT));
        let registry = &mut metrics.registry;
        registry.register(
            "commands",
            "Commands and presses by what came of them",
            metrics.commands.clone(),
        );
        registry.register(
            "answers",
            "Answers by how they reached the asker",
            metrics.answers.clone(),
        );
        registry.register_with_unit(
            "answer",
            "From the request's arrival until its answer was handed over",
            Unit::Seconds,
            metrics.answer_time.clone(),
        );
        registry.register(
            "refused_requests",
            "Requests turned away unanswered because they were not Slack's",
            metrics.refused.clone(),
        );
        registry.register(
            "kapso_requests",
            "Requests to Kapso by status",
            metrics.kapso_requests.clone(),
        );
        registry.register_with_unit(
            "kapso_request",
            "Time that Kapso took for one request",
            Unit::Seconds,
            metrics.kapso_time.clone(),
        );
        registry.register(
            "store_failures",
            "Times that the store did not do what it was asked to",
            metrics.store_failures.clone(),
        );
        registry.register(
            "notices",
            "Ends of watches by what was told and how it reached the watcher",
            metrics.notices.clone(),
        );
        registry.register(
            "watches",
            "Watches in the store at the last look",
            metrics.watches.clone(),
        );
        registry.register(
            "kapso_rate_limit_left",
            "Requests that Kapso's rate limit allowed after the last one",
            metrics.kapso_left.clone(),
        );
        metrics
    }

    /// Counts an answered command.
    pub fn answered(&self, outcome: &'static str, delivery: Delivery, took: Duration) {
        self.commands.get_or_create(&ByOutcome { outcome }).inc();
        self.answers
            .get_or_create(&ByAnswer {
                answer: delivery.name(),
            })
            .inc();
        self.answer_time.observe(took.as_secs_f64());
    }

    /// Counts a request that was turned away.
    pub fn refused(&self, status: http::StatusCode) {
        let status = Status(Some(status.as_u16()));
        self.refused.get_or_create(&ByStatus { status }).inc();
    }

    /// Counts answers that were found to be lost.
    pub fn lost(&self, count: u64) {
        let answer = Delivery::Lost.name();
        self.answers.get_or_create(&ByAnswer { answer }).inc_by(count);
    }

    /// Counts the end of a watch.
    pub fn told(&self, news: &'static str, delivery: Delivery) {
        let answer = delivery.name();
        self.notices.get_or_create(&ByNews { news, answer }).inc();
    }

    /// Notes how many watches there are.
    pub fn watches(&self, count: u64) {
        self.watches.set(count);
    }

    /// Counts a failure of the store.
    pub fn store_failed(&self) {
        self.store_failures.inc();
    }

    /// Counts a request to Kapso.
    pub fn asked_kapso(&self, seen: Observation) {
        let status = Status(seen.status.map(|status| status.as_u16()));
        self.kapso_requests.get_or_create(&ByStatus { status }).inc();
        self.kapso_time.observe(seen.took.as_secs_f64());
        self.kapso_left.set(u64::from(seen.left));
    }

    /// The metrics in OpenMetrics' text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut page, &self.registry);
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
