//! Counters, gauges and histograms, in the `OpenMetrics` format.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// How a reply reached the person who sent the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the HTTP response.
    InTime,
    /// At the `response_url`.
    Late,
    /// Not yet: its job was released for another worker.
    HandedOver,
    /// Not at all, and it never will.
    Lost,
}

impl Delivery {
    /// The value of the label in log and metrics.
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

/// The metrics of one app.
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
        let registry = &mut metrics.registry;
        registry.register(
            "commands",
            "Commands and button presses by outcome",
            metrics.commands.clone(),
        );
        registry.register("answers", "Replies by how they were delivered", metrics.answers.clone());
        registry.register_with_unit(
            "answer",
            "Time from the arrival of a request until its reply was delivered",
            Unit::Seconds,
            metrics.answer_time.clone(),
        );
        registry.register(
            "refused_requests",
            "Rejected requests: not signed by Slack, or not usable",
            metrics.refused.clone(),
        );
        registry.register(
            "kapso_requests",
            "Requests to Kapso by status",
            metrics.kapso_requests.clone(),
        );
        registry.register_with_unit(
            "kapso_request",
            "Duration of one request to Kapso",
            Unit::Seconds,
            metrics.kapso_time.clone(),
        );
        registry.register(
            "store_failures",
            "Failed operations on the database",
            metrics.store_failures.clone(),
        );
        registry.register(
            "notices",
            "Ended watches by notification and how it was delivered",
            metrics.notices.clone(),
        );
        registry.register(
            "watches",
            "Watches in the database at the last poll",
            metrics.watches.clone(),
        );
        registry.register(
            "kapso_rate_limit_left",
            "Requests left in Kapso's rate limit after the last request",
            metrics.kapso_left.clone(),
        );
        metrics
    }

    /// Counts a command whose reply was delivered, `took` after its request arrived.
    pub fn count_reply(&self, outcome: &'static str, delivery: Delivery, took: Duration) {
        self.commands.get_or_create(&ByOutcome { outcome }).inc();
        self.answers
            .get_or_create(&ByAnswer {
                answer: delivery.name(),
            })
            .inc();
        self.answer_time.observe(took.as_secs_f64());
    }

    /// Counts an HTTP request that was rejected with this status.
    pub fn count_rejected_request(&self, status: http::StatusCode) {
        let status = Status(Some(status.as_u16()));
        self.refused.get_or_create(&ByStatus { status }).inc();
    }

    /// Counts replies that were never delivered.
    pub fn count_lost_replies(&self, count: u64) {
        let answer = Delivery::Lost.name();
        self.answers.get_or_create(&ByAnswer { answer }).inc_by(count);
    }

    /// Counts the end of a watch.
    pub fn count_notification(&self, news: &'static str, delivery: Delivery) {
        let answer = delivery.name();
        self.notices.get_or_create(&ByNews { news, answer }).inc();
    }

    /// Sets the number of watches in the database.
    pub fn set_watches(&self, count: u64) {
        self.watches.set(count);
    }

    /// Counts a failed operation on the database.
    pub fn count_store_failure(&self) {
        self.store_failures.inc();
    }

    /// Counts a request to Kapso that was answered with `status`, or not at all, `took` after it was sent.
    pub fn count_kapso_request(&self, status: Option<u16>, took: Duration) {
        let status = Status(status);
        self.kapso_requests.get_or_create(&ByStatus { status }).inc();
        self.kapso_time.observe(took.as_secs_f64());
    }

    /// Sets how many requests Kapso's rate limit allows now.
    pub fn set_kapso_rate_limit_left(&self, requests: u32) {
        self.kapso_left.set(u64::from(requests));
    }

    /// The metrics in the `OpenMetrics` text format.
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
