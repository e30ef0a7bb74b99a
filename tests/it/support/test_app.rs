//! The test harness: runs a test with the service between FakeKapso and FakeSlack, and checks afterwards that there are no
//! unread messages, no violations reported by the fakes, and no errors or secrets in the log.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kapso_slack::app::{App, Reloader, client_builder};
use kapso_slack::clock::Clock;
use kapso_slack::commands::Shortcut;
use kapso_slack::config::{Environment, Settings};
use kapso_slack::demo::{
    DirectResponse, FakeKapso, FakeSlack, Fault, FormResponse, OpenFault, OpenedView, Person, PostedMessage, plain,
};
use kapso_slack::slack::socket_mode::CONNECTIONS;
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

use super::databases::Folder;

/// The session that Kapso documents.
pub const ID: &str = "123e4567-e89b-12d3-a456-426614174000";
/// Slack's published signing secret.
pub const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const KEY: &str = "kapso-key-planted-7d1f";
/// An app-level token.
pub const APP_TOKEN: &str = "xapp-1-A0123456789-planted-5c3e";
/// A bot token.
pub const BOT_TOKEN: &str = "xoxb-1-planted-9b2d";
/// Set to `socket`, this variable makes every test use Socket Mode.
const WAY_IN: &str = "WAY_IN";
/// Set to `installed`, this variable gives the app of every test a bot token.
const BOT: &str = "BOT";
/// What must never be in a log line or a metric: secrets, parts of response URLs, trigger ids, codes, phones, links.
const PLANTED: [&str; 11] = [
    SECRET,
    KEY,
    APP_TOKEN,
    BOT_TOKEN,
    "ticket",
    "/response/",
    "1334522460933.738474920",
    "gIkuvaNzQIHg97ATvDxqgjtO",
    "ABC123",
    "12345678901",
    "wa.me",
];
/// In the log line about each connection of the socket.
pub const SOCKET_OPEN: &str = "a socket connection to Slack is open";
/// Limit for one test, far longer than any takes.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The service between both fakes.
pub struct TestApp {
    pub kapso: FakeKapso,
    /// The projects after the first one, which is `kapso`, if there are several.
    pub other_projects: Vec<FakeKapso>,
    pub slack: FakeSlack,
    pub clock: Clock,
    pub app_url: Url,
    pub metrics_url: Option<Url>,
    pub http: Client,
    pub person: Person,
    log: Log,
    shutdown: CancellationToken,
    serving: Vec<JoinHandle<()>>,
    /// For another replica.
    settings: Settings,
    reloader: Reloader,
    read: Mutex<HashSet<u64>>,
    /// Parts of the complaints and errors that the test expects.
    expected: Mutex<Vec<&'static str>>,
}

/// Configures a [`TestApp`].
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct TestAppBuilder {
    variables: Vec<(String, String)>,
    /// Alias and further keys of each project.
    projects: Vec<(String, String)>,
    settings: Vec<Change>,
    reachable: bool,
    clock: Clock,
    waits_for_store: bool,
    over_socket: bool,
    has_bot_token: bool,
    waits_for_socket: bool,
    patient_slack: bool,
    failing_opens: Vec<OpenFault>,
    timeout: Duration,
}

type Change = Box<dyn FnOnce(&mut Settings) + Send>;

/// The time at which the clock of a test app stands: 2026-11-23T10:00:00Z.
pub const START: Timestamp = Timestamp::constant(1_795_428_000, 0);

/// A test app with the documented defaults, a stopped clock and quick retries.
pub fn test_app() -> TestAppBuilder {
    let over_socket = std::env::var(WAY_IN).is_ok_and(|way| way == "socket");
    TestAppBuilder {
        variables: Vec::new(),
        projects: Vec::new(),
        settings: Vec::new(),
        reachable: false,
        clock: Clock::stopped(START),
        waits_for_store: false,
        over_socket,
        has_bot_token: std::env::var(BOT).is_ok_and(|bot| bot == "installed"),
        waits_for_socket: true,
        // The same tests run over HTTP at the same time, so that the machine is busy.
        patient_slack: over_socket,
        failing_opens: Vec::new(),
        timeout: TIMEOUT,
    }
}

/// Runs `test` with the default app.
pub async fn with_app(test: impl AsyncFnOnce(&mut TestApp)) {
    test_app().run(test).await;
}

impl TestAppBuilder {
    /// Sets an environment variable.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Configures these projects in a file: the alias and further keys of each. The first one is `app.kapso`.
    pub fn with_projects<'p>(self, projects: impl IntoIterator<Item = (&'p str, &'p str)>) -> Self {
        let projects = projects.into_iter();
        Self {
            projects: projects
                .map(|(alias, keys)| (alias.to_owned(), keys.to_owned()))
                .collect(),
            ..self
        }
    }

    /// Changes a setting that has no environment variable.
    pub fn set(mut self, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        self.settings.push(Box::new(change));
        self
    }

    /// Allows everybody to create sessions, with the agent that Kapso's document requires, and waits for the database,
    /// which creating needs.
    pub fn with_creation(self) -> Self {
        Self {
            waits_for_store: true,
            ..self.with("CREATE_USERS", "*").with("DEFAULT_AGENT", "agent-123abc")
        }
    }

    /// Makes the budget so short that every reply that waits for Kapso comes later.
    pub fn with_short_budget(self) -> Self {
        self.set(|settings| settings.reply_budget = Duration::from_millis(50))
    }

    /// Turns the cache off: every lookup makes a request, although the clock is stopped.
    pub fn without_cache(self) -> Self {
        self.set(|settings| settings.timing.kapso.cache_ttl = SignedDuration::from_secs(-1))
    }

    /// Sets `PUBLIC_URL` to the address of the service.
    pub fn with_public_url(self) -> Self {
        Self {
            reachable: true,
            ..self
        }
    }

    /// Sends commands and presses through Socket Mode, with quick attempts to connect.
    pub fn over_socket(self) -> Self {
        Self {
            over_socket: true,
            ..self
        }
    }

    /// Gives the app a bot token with the scopes `commands` and `chat:write`.
    pub fn with_bot_token(self) -> Self {
        Self {
            has_bot_token: true,
            ..self
        }
    }

    /// Gives the app no bot token, whatever the environment says.
    pub fn without_bot_token(self) -> Self {
        Self {
            has_bot_token: false,
            ..self
        }
    }

    /// Slack waits for acknowledgements on the socket for as long as they take.
    pub fn with_patient_slack(self) -> Self {
        Self {
            patient_slack: true,
            ..self
        }
    }

    /// The first requests to open a connection of the socket fail in these ways.
    pub fn failing_opens(self, faults: impl IntoIterator<Item = OpenFault>) -> Self {
        Self {
            failing_opens: faults.into_iter().collect(),
            ..self
        }
    }

    /// Allows the test to take longer.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Does not wait until the socket is open.
    pub fn without_waiting_for_socket(self) -> Self {
        Self {
            waits_for_socket: false,
            ..self.over_socket()
        }
    }

    /// Uses the system's clock instead of a stopped one.
    pub fn with_system_clock(self) -> Self {
        Self {
            clock: Clock::system(),
            ..self
        }
    }

    /// Runs `test` with this app.
    pub async fn run(self, test: impl AsyncFnOnce(&mut TestApp)) {
        let log = Log::default();
        let everything = Targets::new().with_default(tracing::Level::TRACE);
        let _log = tracing::subscriber::set_default(telemetry::subscriber(LogFormat::Json, &everything, log.clone()));
        let waits_for_store = self.waits_for_store;
        let timeout = self.timeout;
        let waits_for_socket = self.over_socket && self.waits_for_socket;
        let mut app = self.open(log.clone()).await;
        if waits_for_store {
            app.wait_for_store().await;
        }
        if waits_for_socket {
            app.wait_for_log_lines(SOCKET_OPEN, CONNECTIONS).await;
        }
        tokio::time::timeout(timeout, test(&mut app))
            .await
            .unwrap_or_else(|_| panic!("the test does not end in time; the log: {}", log.text()));
        tokio::time::timeout(TIMEOUT, app.close())
            .await
            .expect("the app closes in time");
    }

    async fn open(self, log: Log) -> TestApp {
        let clock = self.clock;
        let kapso = FakeKapso::start(port().await, KEY, clock.clone()).unwrap();
        kapso.add_session(ID);
        let http = client_builder().build().unwrap();
        let slack = FakeSlack::start(port().await, http.clone(), SECRET.into(), clock.clone()).unwrap();
        let mut variables = vec![
            ("SLACK_SIGNING_SECRET".to_owned(), SECRET.to_owned()),
            ("KAPSO_BASE_URL".to_owned(), kapso.base_url().to_string()),
            ("SLACK_RESPONSE_HOSTS".to_owned(), slack.origin()),
            ("DATABASE_URL".to_owned(), "sqlite::memory:".to_owned()),
            ("METRICS_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
            ("SLACK_API_URL".to_owned(), slack.api_url()),
        ];
        if self.has_bot_token {
            slack.web_api().install(BOT_TOKEN, &["commands", "chat:write"]);
            variables.push(("SLACK_BOT_TOKEN".to_owned(), BOT_TOKEN.to_owned()));
        }
        if self.over_socket {
            slack.turn_on_socket_mode(APP_TOKEN);
            if self.patient_slack {
                slack.socket().wait_patiently();
            }
            for fault in self.failing_opens {
                slack.socket().fail_next_open(fault);
            }
            variables.push(("SLACK_APP_TOKEN".to_owned(), APP_TOKEN.to_owned()));
            variables.push(("SLACK_SOCKET_HOSTS".to_owned(), slack.socket().origin().to_owned()));
        }
        let listener = port().await;
        let app_url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        if self.reachable {
            variables.push(("PUBLIC_URL".to_owned(), app_url.to_string()));
        }
        let mut other_projects = Vec::new();
        let folder = Folder::new();
        if self.projects.is_empty() {
            variables.push(("KAPSO_API_KEY".to_owned(), KEY.to_owned()));
        } else {
            for (alias, _) in &self.projects[1..] {
                other_projects.push(kapso.add_project(&key_of(alias)));
            }
            let (text, keys) = config_file(&self.projects);
            let path = folder.join("config.toml");
            std::fs::write(&path, text).unwrap();
            variables.extend(keys);
            variables.push(("CONFIG_FILE".to_owned(), path.to_str().unwrap().to_owned()));
        }
        variables.extend(self.variables);
        let mut settings = Environment::of(variables).settings().unwrap();
        settings.timing.kapso.min_retry_delay = Duration::from_millis(1);
        // Tests count the requests and connections of a scripted server.
        settings.timing.kapso.keep_ready = None;
        settings.timing.response_url.min_retry_delay = Duration::from_millis(1);
        settings.timing.shutdown.linger = Duration::ZERO;
        settings.timing.socket.min_retry_delay = Duration::from_millis(1);
        settings.timing.socket.max_retry_delay = Duration::from_millis(20);
        // The poller must notice when a test advances the clock.
        settings.timing.max_poll_interval = Duration::from_millis(2);
        settings.timing.max_clock_skew = None;
        // With a stopped clock, the fourth message to a channel would wait for ever.
        settings.timing.channel_interval = SignedDuration::ZERO;
        for change in self.settings {
            change(&mut settings);
        }
        let app = App::build(settings.clone(), clock.clone()).await.unwrap();
        let metrics_url = app
            .metrics_addr()
            .map(|address| format!("http://{address}/metrics").parse().unwrap());
        let shutdown = CancellationToken::new();
        let reloader = app.reloader();
        let serving = tokio::spawn(app.serve(listener, shutdown.clone().cancelled_owned()));
        TestApp {
            kapso,
            other_projects,
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
            reloader,
            read: Mutex::default(),
            expected: Mutex::default(),
        }
    }
}

impl TestApp {
    /// Sends a command and returns the message in the response.
    pub async fn command(&self, command: &str) -> PostedMessage {
        let sent = self.send(command).await;
        assert_eq!(sent.status, Some(StatusCode::OK), "typed {command}");
        sent.message.unwrap_or_else(|| panic!("no direct answer to {command}"))
    }

    /// Sends a command and returns the plain text of the message in the response.
    pub async fn command_text(&self, command: &str) -> String {
        plain::text(&self.command(command).await.message)
    }

    /// Sends a command and returns whatever the response is.
    pub async fn send(&self, command: &str) -> DirectResponse {
        self.send_as(&self.person, command).await
    }

    /// The same for another person, or in another channel.
    pub async fn send_as(&self, person: &Person, command: &str) -> DirectResponse {
        let sent = self.slack.send_command(&self.app_url, person, command).await;
        self.record_read(sent.message.as_ref());
        sent
    }

    /// Sends a command that is acknowledged with an empty response, and returns its exchange number for
    /// [`late_reply`](Self::late_reply).
    pub async fn expect_ack_only(&self, command: &str) -> u64 {
        let sent = self.send(command).await;
        assert_eq!(sent.status, Some(StatusCode::OK), "typed {command}");
        assert!(sent.message.is_none(), "{command} was answered at once");
        sent.exchange
    }

    /// Waits for the message that answers an exchange later.
    pub async fn late_reply(&self, exchange: u64) -> PostedMessage {
        let posted = self.slack.wait_for_reply(exchange).await;
        self.record_read(Some(&posted));
        posted
    }

    /// Presses a button of a message, and waits for the message that answers.
    pub async fn press(&self, on: &PostedMessage, action_id: &str) -> PostedMessage {
        let before = self.unknown_actions().len();
        let sent = self
            .slack
            .press_button(&self.app_url, &self.person, on, action_id)
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK), "pressed {action_id}");
        // There is no reply to such a press, so waiting for it would time out.
        assert_eq!(
            self.unknown_actions().len(),
            before,
            "{action_id} is missing in cards::Action or in commands::press"
        );
        self.late_reply(sent.exchange).await
    }

    /// Presses a button of a message with a changed payload, and waits for the message that answers.
    pub async fn press_with_payload(
        &self,
        on: &PostedMessage,
        action_id: &str,
        change: impl FnOnce(&mut Value),
    ) -> PostedMessage {
        let sent = self
            .slack
            .press_button_with_payload(&self.app_url, &self.person, on, action_id, change)
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK), "pressed {action_id}");
        self.late_reply(sent.exchange).await
    }

    /// Presses a button of a message with another value, and waits for the message that answers.
    pub async fn press_with_value(&self, on: &PostedMessage, action_id: &str, value: &str) -> PostedMessage {
        let sent = self
            .slack
            .press_button_with_value(&self.app_url, &self.person, on, action_id, value.into())
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK), "pressed {action_id}");
        self.late_reply(sent.exchange).await
    }

    /// Sends a command that opens a form, which is the reply. Returns the number of its exchange, and the form.
    pub async fn opened_form(&self, command: &str) -> (u64, OpenedView) {
        let before = self.slack.web_api().opened_views().len();
        let exchange = self.expect_ack_only(command).await;
        let mut opened = self.slack.web_api().opened_views();
        assert_eq!(opened.len(), before + 1, "{command} opens a form");
        (exchange, opened.remove(before))
    }

    /// Submits a form with these values of its fields, and returns the response.
    pub async fn submit(&self, form: &OpenedView, values: &[(&str, &str)]) -> FormResponse {
        self.submit_with_payload(form, values, |_| {}).await
    }

    /// The same with a changed payload.
    pub async fn submit_with_payload(
        &self,
        form: &OpenedView,
        values: &[(&str, &str)],
        change: impl FnOnce(&mut Value),
    ) -> FormResponse {
        let values: Vec<_> = values
            .iter()
            .map(|(id, value)| ((*id).to_owned(), (*value).to_owned()))
            .collect();
        let sent = self
            .slack
            .submit_form_with_payload(&self.app_url, &self.person, &form.id, &values, change)
            .await
            .expect("Slack sends the form");
        assert_eq!(sent.status, Some(StatusCode::OK), "submitted a form");
        sent
    }

    /// Somebody else writes a message in the channel.
    pub fn written(&self, text: &str) -> PostedMessage {
        self.written_in(text, None)
    }

    /// The same, in the thread of another message.
    pub fn written_in(&self, text: &str, thread: Option<u64>) -> PostedMessage {
        let colleague = Person {
            user: "U0COLLEAGUE".to_owned(),
            ..self.person.clone()
        };
        self.slack.write_message(&colleague, text, thread)
    }

    /// Chooses *Look up sandbox session* in the menu of a message, and waits for the message that answers.
    pub async fn look_up(&self, on: &PostedMessage) -> PostedMessage {
        self.choose_shortcut(on, Shortcut::LookUpSession.callback_id(), |_| {})
            .await
    }

    /// Chooses a shortcut in the menu of a message with a changed payload, and waits for the message that answers.
    pub async fn choose_shortcut(
        &self,
        on: &PostedMessage,
        callback_id: &str,
        change: impl FnOnce(&mut Value),
    ) -> PostedMessage {
        let sent = self
            .slack
            .choose_shortcut_with_payload(&self.app_url, &self.person, on, callback_id, change)
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK), "chose {callback_id}");
        self.late_reply(sent.exchange).await
    }

    /// The message that comes after this one for the same command or press.
    pub async fn next_message(&self, posted: &PostedMessage) -> PostedMessage {
        self.slack.next_message(posted).await
    }

    /// Presses a button without waiting for a message.
    pub async fn press_expecting_nothing(&self, on: &PostedMessage, action_id: &str) {
        let sent = self
            .slack
            .press_button(&self.app_url, &self.person, on, action_id)
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK), "pressed {action_id}");
    }

    /// The messages that the app has posted to the person, as plain text.
    pub fn direct_texts(&self) -> Vec<String> {
        let messages = self.slack.direct_messages(&self.person.user);
        messages.iter().map(|posted| plain::text(&posted.message)).collect()
    }

    /// Waits until the app has posted so many messages to the person, and returns the last of them.
    pub async fn direct_message(&self, count: usize) -> PostedMessage {
        let mut messages = self.slack.wait_for_direct_messages(&self.person.user, count).await;
        messages.remove(count - 1)
    }

    /// Reads a configuration with other projects, as after SIGHUP. The first of them has the key of the first one before.
    pub fn reload_projects(&self, projects: &[(&str, &str)]) {
        let projects: Vec<_> = projects
            .iter()
            .map(|(alias, keys)| ((*alias).to_owned(), (*keys).to_owned()))
            .collect();
        let folder = Folder::new();
        let path = folder.join("config.toml");
        let (text, keys) = config_file(&projects);
        std::fs::write(&path, text).unwrap();
        let more = [
            ("SLACK_SIGNING_SECRET", SECRET),
            ("CONFIG_FILE", path.to_str().unwrap()),
        ];
        let more = more.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Environment::of(keys.into_iter().chain(more)).settings().unwrap();
        self.reloader.replace(settings);
    }

    /// Moves the clock forward.
    pub fn advance_clock(&self, span: SignedDuration) {
        self.clock.advance(span);
    }

    /// The time by the app's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sets Kapso's response to the next request. That is one request: after a 5xx the client retries, and the retry gets
    /// the ordinary response.
    pub fn next_kapso_response(&self, status: u16, body: impl Into<Vec<u8>>) {
        let status = StatusCode::from_u16(status).unwrap();
        self.kapso.fail_next_request(Fault::answer(status, body.into()));
    }

    /// The log lines about commands so far.
    pub fn command_log_lines(&self) -> Vec<Value> {
        self.log_lines()
            .into_iter()
            .filter(|line| line["message"] == "command")
            .collect()
    }

    /// The log lines about commands and notifications so far.
    pub fn all_command_lines(&self) -> Vec<Value> {
        let mut lines = self.log_lines();
        lines.retain(|line| line["message"] == "command" || line["message"] == "notice");
        lines
    }

    /// Waits for `count` log lines about commands, and returns all there are.
    pub async fn wait_for_commands(&self, count: usize) -> Vec<Value> {
        self.wait_for_log_lines("\"message\":\"command\"", count).await
    }

    /// Waits for `count` log lines that contain `words`, and returns all there are.
    pub async fn wait_for_log_lines(&self, words: &str, count: usize) -> Vec<Value> {
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

    /// Waits for a log line with this message, and returns the first.
    pub async fn wait_for_log(&self, message: &str) -> Value {
        self.wait_for_log_lines(&format!("\"message\":\"{message}\""), 1)
            .await
            .remove(0)
    }

    /// Waits until the store is open. It is opened in the background.
    pub async fn wait_for_store(&self) {
        self.wait_for_log("the store works").await;
    }

    /// The status in `/readyz`, and the first reason.
    pub async fn readiness(&self) -> (String, String) {
        let (_, body) = self.get("/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let words = |word: &Value| word.as_str().unwrap_or_default().to_owned();
        (words(&body["status"]), words(&body["why"][0]))
    }

    /// Waits until `/readyz` says "ready". Every change of the state is logged.
    pub async fn wait_until_ready(&self) {
        let mut written = self.log.written.subscribe();
        while self.readiness().await.0 != "ready" {
            written.changed().await.unwrap();
        }
    }

    /// Starts a second replica between the same fakes with the same settings, and returns its address once its store is
    /// open.
    pub async fn start_replica(&mut self) -> Url {
        self.start_replica_with_clock(self.clock.clone()).await
    }

    /// The same, by another clock.
    pub async fn start_replica_with_clock(&mut self, clock: Clock) -> Url {
        let app = App::build(self.settings.clone(), clock).await.unwrap();
        let listener = port().await;
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let shutdown = self.shutdown.clone().cancelled_owned();
        self.serving.push(tokio::spawn(app.serve(listener, shutdown)));
        self.wait_for_log_lines("\"message\":\"the store works\"", self.serving.len())
            .await;
        if self.settings.app_token.is_some() {
            self.wait_for_log_lines(SOCKET_OPEN, CONNECTIONS * self.serving.len())
                .await;
        }
        url
    }

    /// Every log line but those about the store and the socket, which come at any time because both are opened in the
    /// background.
    pub fn log_lines(&self) -> Vec<Value> {
        let mut lines = self.all_log_lines();
        lines.retain(|line| line["message"] != "the store works" && !line.to_string().contains(SOCKET_OPEN));
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

    /// GETs a path of the service.
    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let url = self.app_url.join(path).unwrap();
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Begins a graceful shutdown, as SIGTERM does.
    pub fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Shuts every replica down and waits for its end.
    pub async fn shut_down(&mut self) {
        self.begin_shutdown();
        for serving in self.serving.drain(..) {
            serving.await.expect("the service ends without a panic");
        }
    }

    /// Expects a complaint of a fake, or an error in the log, that contains `words`.
    pub fn expect_complaint(&self, words: &'static str) {
        self.expected.lock().unwrap().push(words);
    }

    fn record_read(&self, posted: Option<&PostedMessage>) {
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
        self.shut_down().await;
        let lost: Vec<Value> = self
            .log_lines()
            .into_iter()
            .filter(|line| line["level"] == "ERROR")
            .filter(|line| !self.is_expected(&line.to_string()))
            .collect();
        assert!(lost.is_empty(), "tasks panicked or were left behind: {lost:?}");
        let read = self.read.lock().unwrap().clone();
        for posted in self.slack.conversation() {
            if posted.author.is_some() {
                continue;
            }
            assert!(
                posted.exchange == 0 || read.contains(&posted.exchange),
                "nobody read {posted:?}"
            );
            if posted.channel.is_empty() {
                validate(&posted.message);
            }
        }
        let complaints: Vec<String> = self
            .slack
            .rule_violations()
            .into_iter()
            .chain(self.kapso.unexpected_requests())
            .chain(self.other_projects.iter().flat_map(FakeKapso::unexpected_requests))
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

/// The key of the project with this alias, unless it is the first one, whose key is [`KEY`].
pub fn key_of(alias: &str) -> String {
    format!("{KEY}-{alias}")
}

/// A configuration with these projects, and the variables that hold their keys.
fn config_file(projects: &[(String, String)]) -> (String, Vec<(String, String)>) {
    let mut text = String::new();
    let mut variables = Vec::new();
    for (at, (alias, keys)) in projects.iter().enumerate() {
        let variable = format!("KEY_{at}");
        let table = [
            "[projects.",
            alias,
            "]\napi_key_env = \"",
            &variable,
            "\"\n",
            keys,
            "\n",
        ];
        text.extend(table);
        let key = if at == 0 { KEY.to_owned() } else { key_of(alias) };
        variables.push((variable, key));
    }
    (text, variables)
}

/// Checks a message with a third-party Block Kit validator.
pub fn validate(message: &Value) {
    let response: slackblocks::MessageResponse =
        serde_json::from_value(message.clone()).unwrap_or_else(|error| panic!("{error}: {message}"));
    drop(response);
}

/// A listener on a free port on loopback.
pub async fn port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// The log of the service in this test.
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
