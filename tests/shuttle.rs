//! The Shuttle entry point as a process, against a stub of Shuttle's local API and both fakes.
#![cfg(all(feature = "shuttle", feature = "demo"))]

use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeKapso, FakeSlack, Fault, Person, plain};
use kapso_slack::server::{self, Bounds};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use url::Url;

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const KEY: &str = "kapso-key-planted-7d1f";
const ID: &str = "123e4567-e89b-12d3-a456-426614174000";
/// Far longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A stub of Shuttle's local API that serves one project's secrets.
struct Api {
    url: String,
    _serving: AbortOnDropHandle<()>,
}

impl Api {
    async fn with(secrets: Value) -> Self {
        let answer = json!({"type": "secrets", "state": "ready", "config": null, "output": secrets});
        let json = [("content-type", "application/json")];
        let routes = Router::new().route(
            "/projects/proj_TEST/resources/secrets",
            get(async move || (json, answer.to_string())),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bounds = Bounds {
            head_deadline: TIMEOUT,
            keep_alive: TIMEOUT,
            connections: 10,
            draining: CancellationToken::new(),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let serving = tokio::spawn(server::serve(listener, routes, bounds));
        Self {
            url,
            _serving: AbortOnDropHandle::new(serving),
        }
    }
}

/// The process of the Shuttle entry point. Killed when it is dropped, so that a failed test leaves nothing behind.
struct ShuttleProcess {
    process: Child,
    log: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl ShuttleProcess {
    fn open(api: &Api) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_shuttle"))
            .env_clear()
            .env("SHUTTLE_ENV", "local")
            .env("SHUTTLE_PROJECT_ID", "proj_TEST")
            .env("SHUTTLE_PROJECT_NAME", "kapso-slack")
            .env("SHUTTLE_RUNTIME_IP", "127.0.0.1")
            .env("SHUTTLE_RUNTIME_PORT", "0")
            .env("SHUTTLE_API", &api.url)
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            process,
            log,
            said: String::new(),
        }
    }

    /// Reads the log on until a line holds `words`.
    async fn says(&mut self, words: &str) -> String {
        loop {
            let line = tokio::time::timeout(TIMEOUT, self.log.next_line())
                .await
                .unwrap()
                .unwrap();
            let line = line.unwrap_or_else(|| panic!("never said {words}: {}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits for the end of the process.
    async fn code(&mut self) -> Option<i32> {
        let code = tokio::time::timeout(TIMEOUT, self.process.wait())
            .await
            .unwrap()
            .unwrap()
            .code();
        while let Some(line) = self.log.next_line().await.unwrap() {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        code
    }
}

#[tokio::test]
async fn a_signed_command_is_answered_and_the_shutdown_delivers_pending_replies() {
    let clock = Clock::system();
    let kapso = FakeKapso::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), KEY, clock.clone()).unwrap();
    kapso.add_session(ID);
    let http = client_builder().build().unwrap();
    let slack = FakeSlack::start(
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        http,
        SECRET.into(),
        clock,
    )
    .unwrap();
    let api = Api::with(json!({
        "SLACK_SIGNING_SECRET": SECRET,
        "KAPSO_API_KEY": KEY,
        "KAPSO_BASE_URL": kapso.base_url().as_str(),
        "SLACK_RESPONSE_HOSTS": slack.origin(),
        "REPLY_BUDGET_MS": "100",
        "DATABASE_URL": "sqlite::memory:",
        "LOG_FORMAT": "json",
    }))
    .await;
    let mut service = ShuttleProcess::open(&api);
    let line: Value = serde_json::from_str(&service.says("listening").await).unwrap();
    let app: Url = format!("http://{}", line["address"].as_str().unwrap()).parse().unwrap();

    let command = format!("/sandbox {ID}");
    let sent = slack.send_command(&app, &Person::default(), &command).await;
    let answer = match sent.message {
        Some(posted) => posted,
        // On a slow machine the reply may be late.
        None => slack.wait_for_reply(sent.exchange).await,
    };
    assert!(plain::text(&answer.message).contains("Waiting for activation"));

    kapso.fail_next_request(Fault::Stall);
    let sent = slack
        .send_command(&app, &Person::default(), "/sandbox another-session")
        .await;
    assert!(sent.message.is_none(), "Kapso does not answer, so the reply is late");
    let id = service.process.id().unwrap().to_string();
    let kill = Command::new("sh").args(["-c", "kill -TERM $0", &id]).status().await;
    assert!(kill.unwrap().success());
    service.says("shutting down").await;
    kapso.release_stalled_requests();
    let answer = slack.wait_for_reply(sent.exchange).await;
    assert!(plain::text(&answer.message).contains("There is no session another-session in this"));
    assert_eq!(service.code().await, Some(10), "Shuttle's own code for a signal");
    assert!(service.said.contains("all replies were delivered"), "{}", service.said);
    assert!(
        !service.said.contains(SECRET) && !service.said.contains(KEY),
        "{}",
        service.said
    );
    assert_eq!(slack.rule_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_configuration_names_every_problem_at_once() {
    let api = Api::with(json!({"SLACK_SIGNING_SECRET": "changeme"})).await;
    let mut service = ShuttleProcess::open(&api);
    assert_eq!(service.code().await, Some(151), "Shuttle's own code for a failed start");
}
