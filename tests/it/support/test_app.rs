//! The harness: lends a test the service between FakeKapso and FakeSlack, takes it back, and looks for what the
//! test left behind.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kapso_slack::app::{App, client_builder};
use kapso_slack::clock::Clock;
use kapso_slack::config::{Environment, Settings};
use kapso_slack::demo::{FakeKapso, FakeSlack, Fault, Person, Posted, Sent, plain};
use kapso_slack::telemetry::{self, LogFormat};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use url::Url;

/// The session that Kapso documents.
pub const ID: &str = "123e4567-e89b-12d3-a456-426614174000";
/// Slack's published signing secret.
pub const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const KEY: &str = "kapso-key-planted-7d1f";
/// Whatever else must never be in a log line or a metric: parts of response URLs, trigger ids, codes, phones, links.
const PLANTED: [&str; 8] = [
    SECRET,
    KEY,
    "/response/",
    "1334522460933.738474920",
    "gIkuvaNzQIHg97ATvDxqgjtO",
    "ABC123",
    "12345678901",
    "wa.me",
];
/// How long a test may take: far longer than any does.
const PATIENCE: Duration = Duration::from_mins(1);

/// The service in its world.
pub struct TestApp {
    pub kapso: FakeKapso,
    pub slack: FakeSlack,
    pub clock: Clock,
    pub app_url: Url,
    pub metrics_url: Option<Url>,
    pub http: Client,
    pub person: Person,
    log: Log,
    shutdown: CancellationToken,
    serving: Vec<JoinHandle<()>>,
    /// For another app like this one.
    settings: Settings,
    read: Mutex<HashSet<u64>>,
    /// What the test expects FakeSlack or FakeKapso to complain about.
    expected: Mutex<Vec<&'static str>>,
}

/// How a app differs from the usual one.
pub struct Plan {
    variables: Vec<(String, String)>,
    settings: Vec<Change>,
    reachable: bool,
    clock: Clock,
    with_its_store_open: bool,
}

type Change = Box<dyn FnOnce(&mut Settings) + Send>;

/// The usual app: documented defaults, a stopped clock, quick retries.
pub fn plan() -> Plan {
    Plan {
        variables: Vec::new(),
        settings: Vec::new(),
        reachable: false,
        clock: Clock::stopped("2026-11-23T10:00:00Z".parse().unwrap()),
        with_its_store_open: false,
    }
}

/// Lends the usual app to `test`.
pub async fn with_app(test: impl AsyncFnOnce(&mut TestApp)) {
    plan().run(test).await;
}

impl Plan {
    /// With a variable of the environment set.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// With a setting that no variable changes.
    pub fn set(mut self, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        self.settings.push(Box::new(change));
        self
    }

    /// With everybody creating sessions, and the store ready for it.
    pub fn creating(self) -> Self {
        Self {
            with_its_store_open: true,
            ..self.with("CREATE_USERS", "*")
        }
    }

    /// With a budget so short that an answer that waits for anything is late.
    pub fn late(self) -> Self {
        self.set(|settings| settings.reply_budget = Duration::from_millis(50))
    }

    /// With every look-up asking Kapso, though no time passes between them.
    pub fn forgetful(self) -> Self {
        self.set(|settings| settings.timing.kapso.cache_ttl = SignedDuration::from_secs(-1))
    }

    /// With `PUBLIC_URL` set to where the service answers.
    pub fn reachable(self) -> Self {
        Self {
            reachable: true,
            ..self
        }
    }

    /// With a clock that runs, where somebody has to wait for it.
    pub fn in_real_time(self) -> Self {
        Self {
            clock: Clock::system(),
            ..self
        }
    }

    /// Lends such a app to `test`.
    pub async fn run(self, test: impl AsyncFnOnce(&mut TestApp)) {
        let log = Log::default();
        let everything = Targets::new().with_default(tracing::Level::TRACE);
        let _log = tracing::subscriber::set_default(telemetry::subscriber(LogFormat::Json, &everything, log.clone()));
        let with_its_store_open = self.with_its_store_open;
        let mut app = self.open(log.clone()).await;
        if with_its_store_open {
            app.has_a_store().await;
        }
        tokio::time::timeout(PATIENCE, test(&mut app))
            .await
            .unwrap_or_else(|_| panic!("the test does not end in time; the log: {}", log.text()));
        tokio::time::timeout(PATIENCE, app.close())
            .await
            .expect("the app closes in time");
    }

    async fn open(self, log: Log) -> TestApp {
        let clock = self.clock;
        let kapso = FakeKapso::start(port().await, KEY, clock.clone()).unwrap();
        kapso.add(ID);
        let http = client_builder().build().unwrap();
        let slack = FakeSlack::start(port().await, http.clone(), SECRET.into(), clock.clone()).unwrap();
        let mut variables = vec![
            ("SLACK_SIGNING_SECRET".to_owned(), SECRET.to_owned()),
            ("KAPSO_API_KEY".to_owned(), KEY.to_owned()),
            ("KAPSO_BASE_URL".to_owned(), kapso.base_url().to_string()),
            ("SLACK_RESPONSE_HOSTS".to_owned(), slack.origin()),
            ("DATABASE_URL".to_owned(), "sqlite::memory:".to_owned()),
            ("METRICS_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
        ];
        let listener = port().await;
        let app_url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        if self.reachable {
            variables.push(("PUBLIC_URL".to_owned(), app_url.to_string()));
        }
        variables.extend(self.variables);
        let mut settings = Environment::of(variables).settings().unwrap();
        settings.timing.kapso.min_retry_delay = Duration::from_millis(1);
        settings.timing.response_url.min_retry_delay = Duration::from_millis(1);
        settings.timing.shutdown.linger = Duration::ZERO;
        // The clock may be moved any time.
        settings.timing.max_poll_interval = Duration::from_millis(2);
        for change in self.settings {
            change(&mut settings);
        }
        let app = App::build(settings.clone(), clock.clone()).await.unwrap();
        let metrics_url = app
            .metrics_addr()
            .map(|address| format!("http://{address}/metrics").parse().unwrap());
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(app.serve(listener, shutdown.clone().cancelled_owned()));
        TestApp {
            kapso,
            slack,
            clock,
            app_url,
            metrics_url,
            http,
            person: Person::default(),
            log,
            shutdown,
            serving: vec![serving],
            settings,
            read: Mutex::default(),
            expected: Mutex::default(),
        }
    }
}

impl TestApp {
    /// Types a command, whose answer comes at once.
    pub async fn types(&self, command: &str) -> Posted {
        let sent = self.sends(command).await;
        assert_eq!(sent.status, Some(StatusCode::OK), "typed {command}");
        sent.message.unwrap_or_else(|| panic!("no direct answer to {command}"))
    }

    /// Types a command, and reads the plain text of the answer that comes at once.
    pub async fn reads(&self, command: &str) -> String {
        plain::text(&self.types(command).await.message)
    }

    /// Types a command, whatever comes of it.
    pub async fn sends(&self, command: &str) -> Sent {
        let sent = self.slack.types(&self.app_url, &self.person, command).await;
        self.has_read(sent.message.as_ref());
        sent
    }

    /// Types a command that is acknowledged without a word, and returns the number by which its answer comes later.
    pub async fn types_in_vain(&self, command: &str) -> u64 {
        let sent = self.sends(command).await;
        assert_eq!(sent.status, Some(StatusCode::OK), "typed {command}");
        assert!(sent.message.is_none(), "{command} was answered at once");
        sent.exchange
    }

    /// The message that answers later.
    pub async fn later(&self, exchange: u64) -> Posted {
        let posted = self.slack.later(exchange).await;
        self.has_read(Some(&posted));
        posted
    }

    /// Presses a button of a message, and waits for what comes of it.
    pub async fn presses(&self, on: &Posted, action_id: &str) -> Posted {
        let before = self.unknown_actions().len();
        let sent = self.slack.presses(&self.app_url, &self.person, on, action_id).await;
        assert_eq!(sent.status, Some(StatusCode::OK), "pressed {action_id}");
        // Nothing comes of such a press, so waiting for it would take a minute.
        assert_eq!(
            self.unknown_actions().len(),
            before,
            "{action_id} is missing in cards::Action or in commands::press"
        );
        self.later(sent.exchange).await
    }

    /// The message that comes after this one for the same command or press.
    pub async fn hears_after(&self, posted: &Posted) -> Posted {
        self.slack.next(posted).await
    }

    /// Presses a button whose press leads to nothing.
    pub async fn presses_in_vain(&self, on: &Posted, action_id: &str) {
        let sent = self.slack.presses(&self.app_url, &self.person, on, action_id).await;
        assert_eq!(sent.status, Some(StatusCode::OK), "pressed {action_id}");
    }

    /// Time passes.
    pub fn passes(&self, span: SignedDuration) {
        self.clock.advance(span);
    }

    /// The time in this app.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The next request meets an answer of Kapso's with this status and body.
    pub fn kapso_answers(&self, status: u16, body: impl Into<Vec<u8>>) {
        let status = StatusCode::from_u16(status).unwrap();
        self.kapso.fail_next(Fault::answer(status, body.into()));
    }

    /// The log lines about commands, as JSON.
    pub fn command_lines(&self) -> Vec<Value> {
        self.log_lines()
            .into_iter()
            .filter(|line| line["message"] == "command")
            .collect()
    }

    /// Waits until the log has a line about each of `count` commands, and returns these lines.
    pub async fn has_noted(&self, count: usize) -> Vec<Value> {
        self.has_logged("\"message\":\"command\"", count).await
    }

    /// Waits until the log has `count` lines with these words, and returns them.
    pub async fn has_logged(&self, words: &str, count: usize) -> Vec<Value> {
        let mut written = self.log.written.subscribe();
        loop {
            let text = self.log.text();
            let lines: Vec<_> = text.lines().filter(|line| line.contains(words)).collect();
            if lines.len() >= count {
                return lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            }
            written.changed().await.unwrap();
        }
    }

    /// Waits for a log line with this message.
    pub async fn logs(&self, message: &str) -> Value {
        self.has_logged(&format!("\"message\":\"{message}\""), 1)
            .await
            .remove(0)
    }

    /// Waits until the store is open, which it is in the background.
    pub async fn has_a_store(&self) {
        self.logs("the store works").await;
    }

    /// What `/readyz` says: its status, and why.
    pub async fn readiness(&self) -> (String, String) {
        let (_, body) = self.gets("/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let words = |word: &Value| word.as_str().unwrap_or_default().to_owned();
        (words(&body["status"]), words(&body["why"][0]))
    }

    /// Starts another app beside this one, between the same fakes and with the same settings, and returns its address
    /// once its store is open.
    pub async fn is_joined(&mut self) -> Url {
        let app = App::build(self.settings.clone(), self.clock.clone()).await.unwrap();
        let listener = port().await;
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let shutdown = self.shutdown.clone().cancelled_owned();
        self.serving.push(tokio::spawn(app.serve(listener, shutdown)));
        self.has_logged("\"message\":\"the store works\"", self.serving.len())
            .await;
        url
    }

    /// Every log line, as JSON, but the one that comes whenever the store has opened in the background.
    pub fn log_lines(&self) -> Vec<Value> {
        let mut lines = self.all_log_lines();
        lines.retain(|line| line["message"] != "the store works");
        lines
    }

    fn all_log_lines(&self) -> Vec<Value> {
        let text = self.log.text();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The log lines about presses with an action id that the app does not know.
    fn unknown_actions(&self) -> Vec<String> {
        let text = self.log.text();
        text.lines()
            .filter(|line| line.contains("a button with an action id that this version does not know"))
            .map(str::to_owned)
            .collect()
    }

    /// The metrics page.
    pub async fn metrics(&self) -> String {
        let url = self.metrics_url.clone().expect("METRICS_ADDR is set");
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Asks one of the service's own addresses.
    pub async fn gets(&self, path: &str) -> (StatusCode, String) {
        let url = self.app_url.join(path).unwrap();
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// SIGTERM arrives.
    pub fn is_asked_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Waits until the service has ended.
    pub async fn has_stopped(&mut self) {
        self.is_asked_to_stop();
        for serving in self.serving.drain(..) {
            serving.await.expect("the service ends without a panic");
        }
    }

    /// The test knows that a fake will complain with these words.
    pub fn expects_complaint(&self, words: &'static str) {
        self.expected.lock().unwrap().push(words);
    }

    fn has_read(&self, posted: Option<&Posted>) {
        if let Some(posted) = posted {
            self.read.lock().unwrap().insert(posted.exchange);
        }
    }

    async fn close(mut self) {
        let metrics = if self.metrics_url.is_some() && !self.shutdown.is_cancelled() {
            self.metrics().await
        } else {
            String::new()
        };
        self.has_stopped().await;
        let lost: Vec<Value> = self
            .log_lines()
            .into_iter()
            .filter(|line| line["level"] == "ERROR")
            .filter(|line| !self.is_expected(&line.to_string()))
            .collect();
        assert!(lost.is_empty(), "tasks panicked or were left behind: {lost:?}");
        let read = self.read.lock().unwrap().clone();
        for posted in self.slack.conversation() {
            assert!(
                posted.exchange == 0 || read.contains(&posted.exchange),
                "nobody read {posted:?}"
            );
            validate(&posted.message);
        }
        let complaints: Vec<String> = self
            .slack
            .broken_rules()
            .into_iter()
            .chain(self.kapso.unexpected())
            .chain(self.unknown_actions())
            .filter(|complaint| !self.is_expected(complaint))
            .collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        let log = self.log.text();
        for secret in PLANTED {
            assert!(!log.contains(secret), "{secret} is in the log: {log}");
            assert!(!metrics.contains(secret), "{secret} is in the metrics: {metrics}");
        }
    }

    fn is_expected(&self, complaint: &str) -> bool {
        self.expected
            .lock()
            .unwrap()
            .iter()
            .any(|words| complaint.contains(words))
    }
}

/// Holds a message to a Block Kit validator that nobody here wrote.
pub fn validate(message: &Value) {
    let response: slackblocks::MessageResponse =
        serde_json::from_value(message.clone()).unwrap_or_else(|error| panic!("{error}: {message}"));
    drop(response);
}

/// A free port on loopback.
pub async fn port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// What the service logs in this test.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    written: watch::Sender<()>,
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.text.lock().unwrap().extend_from_slice(line);
        self.written.send_replace(());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}
