//! Counters, gauges and histograms, in the `OpenMetrics` format.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::dropped_log_lines;

/// How a reply reached the person who sent the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the HTTP response.
    InTime,
    /// At the `response_url`, or in the channel with the bot token.
    Late,
    /// As a direct message.
    Direct,
    /// Not yet: its job was released for another worker.
    HandedOver,
    /// Not at all, and it never will.
    Lost,
}

impl Delivery {
    /// Every way.
    pub const ALL: [Self; 5] = [Self::InTime, Self::Late, Self::Direct, Self::HandedOver, Self::Lost];

    /// The value of the label in log and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InTime => "in_time",
            Self::Late => "late",
            Self::Direct => "direct",
            Self::HandedOver => "handed_over",
            Self::Lost => "lost",
        }
    }
}

/// The statuses of rejected requests.
const REJECTED: [u16; 8] = [400, 401, 403, 404, 408, 410, 413, 415];
/// What Kapso documents, and what servers in front of it answer. Others may come.
const KAPSO_STATUSES: [Option<u16>; 14] = [
    None,
    Some(200),
    Some(201),
    Some(400),
    Some(401),
    Some(403),
    Some(404),
    Some(410),
    Some(422),
    Some(429),
    Some(500),
    Some(502),
    Some(503),
    Some(504),
];

/// The metrics of one app.
pub struct Metrics {
    registry: Registry,
    commands: Family<ByOutcome, Counter>,
    answers: Family<ByAnswer, Counter>,
    answer_time: Histogram,
    refused: Family<ByStatus, Counter>,
    kapso_requests: Family<ByStatus, Counter>,
    kapso_time: Histogram,
    kapso_left: Family<OfProject, Gauge<u64, AtomicU64>>,
    kapso_moved: Counter,
    store_failures: Counter,
    notices: Family<ByNews, Counter>,
    direct_messages_refused: Family<ByReason, Counter>,
    watches: Family<OfProject, Gauge<u64, AtomicU64>>,
    socket_connections: Gauge<u64, AtomicU64>,
    socket_reconnects: Family<ByReason, Counter>,
    socket_envelopes: Family<ByType, Counter>,
    socket_redeliveries: Counter,
    log_lines_dropped: Counter,
    log_lines_suppressed: Counter,
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

/// The label `project`, if the project has an alias.
type OfProject = Vec<(&'static str, String)>;

fn of_project(alias: Option<&str>) -> OfProject {
    alias.map(|alias| ("project", alias.to_owned())).into_iter().collect()
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStatus {
    status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByType {
    r#type: &'static str,
}

/// The values of labels that the modules above define.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Outcomes of commands.
    pub outcomes: Vec<&'static str>,
    /// Endings of watches.
    pub news: Vec<&'static str>,
    /// Why connections of the socket are replaced.
    pub reconnect_reasons: Vec<&'static str>,
    /// Codes with which Slack refuses direct messages.
    pub refusals: Vec<&'static str>,
    /// Types of envelopes.
    pub envelope_types: Vec<&'static str>,
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
    /// Metrics at zero. Every series is there from the start, so that an alert sees the first event.
    #[must_use]
    pub fn new(labels: &Labels) -> Self {
        let metrics = Self::without_series();
        for outcome in &labels.outcomes {
            drop(metrics.commands.get_or_create(&ByOutcome { outcome }));
        }
        let answers = Delivery::ALL.map(Delivery::name);
        for answer in answers {
            drop(metrics.answers.get_or_create(&ByAnswer { answer }));
        }
        for news in &labels.news {
            for answer in answers {
                drop(metrics.notices.get_or_create(&ByNews { news, answer }));
            }
        }
        for reason in &labels.reconnect_reasons {
            drop(metrics.socket_reconnects.get_or_create(&ByReason { reason }));
        }
        for reason in &labels.refusals {
            drop(metrics.direct_messages_refused.get_or_create(&ByReason { reason }));
        }
        for r#type in &labels.envelope_types {
            drop(metrics.socket_envelopes.get_or_create(&ByType { r#type }));
        }
        for status in REJECTED {
            let status = Status(Some(status));
            drop(metrics.refused.get_or_create(&ByStatus { status }));
        }
        for status in KAPSO_STATUSES {
            let status = Status(status);
            drop(metrics.kapso_requests.get_or_create(&ByStatus { status }));
        }
        metrics
    }

    fn without_series() -> Self {
        let seconds = || Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0]);
        let mut metrics = Self {
            registry: Registry::with_prefix("kapso_slack"),
            commands: Family::default(),
            answers: Family::default(),
            answer_time: seconds(),
            refused: Family::default(),
            kapso_requests: Family::default(),
            kapso_time: seconds(),
            kapso_left: Family::default(),
            kapso_moved: Counter::default(),
            store_failures: Counter::default(),
            notices: Family::default(),
            direct_messages_refused: Family::default(),
            watches: Family::default(),
            socket_connections: Gauge::default(),
            socket_reconnects: Family::default(),
            socket_envelopes: Family::default(),
            socket_redeliveries: Counter::default(),
            log_lines_dropped: Counter::default(),
            log_lines_suppressed: Counter::default(),
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
            "Rejected requests: not signed by Slack, not usable, or at a path that is not served",
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
            "Notifications of watches by news and how they were delivered",
            metrics.notices.clone(),
        );
        registry.register(
            "direct_messages_refused",
            "Direct messages that Slack refused",
            metrics.direct_messages_refused.clone(),
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
        metrics.register_socket();
        let registry = &mut metrics.registry;
        registry.register(
            "kapso_moved",
            "Responses of Kapso that say that its API is not at this address",
            metrics.kapso_moved.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines that were not written, because nobody read them",
            metrics.log_lines_dropped.clone(),
        );
        registry.register(
            "log_lines_suppressed",
            "Log lines that were not written, because too many of their kind came within a minute",
            metrics.log_lines_suppressed.clone(),
        );
        metrics
    }

    fn register_socket(&mut self) {
        self.registry.register(
            "socket_connections",
            "Connections to Slack's Socket Mode that are ready",
            self.socket_connections.clone(),
        );
        self.registry.register(
            "socket_reconnects",
            "Connections to Slack's Socket Mode that were replaced or could not be opened, by reason",
            self.socket_reconnects.clone(),
        );
        self.registry.register(
            "socket_envelopes",
            "Envelopes from Slack's Socket Mode by type",
            self.socket_envelopes.clone(),
        );
        self.registry.register(
            "socket_redeliveries",
            "Requests that Slack delivered through the socket again",
            self.socket_redeliveries.clone(),
        );
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

    /// Sets the number of watches in the database, of the projects that share the key of this one.
    pub fn set_watches(&self, project: Option<&str>, count: u64) {
        self.watches.get_or_create(&of_project(project)).set(count);
    }

    /// Sets the number of connections of the socket that are ready.
    pub fn set_socket_connections(&self, count: u64) {
        self.socket_connections.set(count);
    }

    /// Counts a connection of the socket that is replaced, or could not be opened.
    pub fn count_socket_reconnect(&self, reason: &'static str) {
        self.socket_reconnects.get_or_create(&ByReason { reason }).inc();
    }

    /// Counts an envelope from the socket.
    pub fn count_socket_envelope(&self, r#type: &'static str) {
        self.socket_envelopes.get_or_create(&ByType { r#type }).inc();
    }

    /// Counts a request that came through the socket before.
    pub fn count_redelivery(&self) {
        self.socket_redeliveries.inc();
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

    /// Counts a response that says that Kapso's API is not at its address.
    pub fn count_kapso_moved(&self) {
        self.kapso_moved.inc();
    }

    /// Sets how many requests Kapso's rate limit allows now with the key of this project.
    pub fn set_kapso_rate_limit_left(&self, project: Option<&str>, requests: u32) {
        let left = self.kapso_left.get_or_create(&of_project(project));
        left.set(u64::from(requests));
    }

    /// Counts a direct message that Slack refused.
    pub fn count_direct_message_refused(&self, reason: &'static str) {
        self.direct_messages_refused.get_or_create(&ByReason { reason }).inc();
    }

    /// Counts a log line that was left out by a [`LogLimit`](super::LogLimit).
    pub fn count_suppressed_log_line(&self) {
        self.log_lines_suppressed.inc();
    }

    /// The metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Counted for the whole process.
        let dropped = dropped_log_lines();
        self.log_lines_dropped.inner().store(dropped, Ordering::Relaxed);
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut page, &self.registry);
        // A series of a project without an alias has no labels. Label values contain no braces.
        page.replace("{} ", " ")
    }

    /// The metrics in Prometheus' text format, version 0.0.4. It differs where we use it: a counter is described under
    /// its full name, and there are no units and no end mark.
    #[must_use]
    pub fn to_prometheus_text(&self) -> String {
        let open_metrics = self.to_text();
        let counters: HashSet<&str> = open_metrics
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
            .collect();
        let mut page = String::with_capacity(open_metrics.len());
        for line in open_metrics.lines() {
            if line == "# EOF" || line.starts_with("# UNIT ") {
                continue;
            }
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some("#"), Some(keyword), Some(name), Some(rest)) if counters.contains(name) => {
                    // Writing to a string cannot fail.
                    let _ = writeln!(page, "# {keyword} {name}_total {rest}");
                }
                _ => {
                    page.push_str(line);
                    page.push('\n');
                }
            }
        }
        page
    }
}
