//! Measures a built service: start, memory, and the CPU time of 10,000 commands. Sends to loopback alone and ends.
//!
//! `cargo bench --bench measure -- path/to/kapso-slack`
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement that cannot be taken ends, and prints what it found"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo::FakeKapso;
use kapso_slack::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use reqwest::{Client, StatusCode};
use tokio::net::TcpListener;

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const KEY: &str = "kapso-key-for-the-measurement";
const COMMANDS: usize = 10_000;
const AT_ONCE: usize = 8;
const STARTS: usize = 11;
/// Clock ticks a second, as Linux shows them in /proc.
const TICKS: f64 = 100.0;

struct Service {
    process: Child,
    address: String,
    started_in: Duration,
}

impl Service {
    fn start(binary: &str, kapso: &FakeKapso) -> Self {
        let began = Instant::now();
        let mut process = Command::new(binary)
            .env_clear()
            .envs([
                ("SLACK_SIGNING_SECRET", SECRET),
                ("KAPSO_API_KEY", KEY),
                ("KAPSO_BASE_URL", kapso.base_url().as_str()),
                ("HOST", "127.0.0.1"),
                ("PORT", "0"),
                ("LOG_FORMAT", "json"),
                ("DATABASE_URL", "sqlite::memory:"),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut log = BufReader::new(process.stdout.take().expect("its log is piped"));
        let mut line = String::new();
        log.read_line(&mut line).expect("it says where it listens");
        let started_in = began.elapsed();
        let line: serde_json::Value = serde_json::from_str(&line).expect("its log is JSON");
        let address = line["address"].as_str().expect("it says where it listens").to_owned();
        // Read on, so that the log does not stop the service.
        std::thread::spawn(move || log.lines().for_each(drop));
        Self {
            process,
            address,
            started_in,
        }
    }

    /// Seconds of CPU time that the process has used.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("this is Linux");
        let (_, fields) = stat.rsplit_once(')').expect("/proc/pid/stat");
        let ticks = |field: usize| -> f64 {
            fields
                .split_whitespace()
                .nth(field)
                .expect("a field")
                .parse()
                .expect("a number")
        };
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Kilobytes of memory that the process holds.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("this is Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace()
            .nth(1)
            .expect("a number")
            .parse()
            .expect("a number")
    }

    async fn asked(&self, http: &Client, text: &str) {
        let body = format!(
            "token=gIkuvaNzQIHg97ATvDxqgjtO&team_id=T0001ABCD&team_domain=example&channel_id=C2147483705\
             &channel_name=test&user_id=U2147483697&user_name=steve&command=%2Fsandbox&text={text}\
             &api_app_id=A0123456789&is_enterprise_install=false\
             &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT0001ABCD%2F1234567890123%2FabcDEF\
             &trigger_id=1334522460933.738474920.8088930838d88f008e0"
        );
        let stamp = Clock::system().now().as_second().to_string();
        let signature = sign(&SECRET.into(), &stamp, body.as_bytes());
        let answer = http
            .post(format!("http://{}/slack/commands", self.address))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(TIMESTAMP_HEADER, stamp)
            .header(SIGNATURE_HEADER, signature)
            .body(body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let card = answer.text().await.expect("a card");
        assert!(card.contains("Activate in WhatsApp"), "{card}");
    }

    /// Asks for each of these ids, some at a time, and returns the CPU seconds that took.
    async fn answers(&self, http: &Client, ids: &[String]) -> f64 {
        let before = self.cpu();
        let lanes = (0..AT_ONCE).map(|lane| async move {
            for id in ids.iter().skip(lane).step_by(AT_ONCE) {
                self.asked(http, id).await;
            }
        });
        futures_util::future::join_all(lanes).await;
        self.cpu() - before
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() {
    let binary = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_kapso-slack").to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(&binary));
}

async fn measure(binary: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let kapso = FakeKapso::start(listener, KEY, Clock::system()).expect("a fake Kapso");
    kapso.set_rate_limit(1_000_000);
    let http = client_builder().build().expect("a client");

    let mut starts: Vec<Duration> = (0..STARTS).map(|_| Service::start(binary, &kapso).started_in).collect();
    starts.sort();
    println!(
        "start to listening: {:.1} ms (median of {STARTS})",
        starts[STARTS / 2].as_secs_f64() * 1_000.0
    );

    let service = Service::start(binary, &kapso);
    let health = format!("http://{}/healthz", service.address);
    assert_eq!(
        http.get(health).send().await.expect("an answer").status(),
        StatusCode::OK
    );
    println!("idle: {:.1} MB of memory", service.memory() as f64 / 1_024.0);

    let fresh: Vec<String> = (0..COMMANDS).map(|n| format!("session-{n}")).collect();
    for id in &fresh {
        kapso.add_session(id);
    }
    kapso.add_session("warm");
    let warm = vec!["warm".to_owned(); 200];
    service.answers(&http, &warm).await;
    // The first answer says what the limit is, and until it has come only 100 are allowed.
    let seconds = service.answers(&http, &fresh).await;
    println!("{COMMANDS} commands, each for another id: {seconds:.2} CPU seconds");
    let again: Vec<String> = (0..COMMANDS).map(|n| format!("session-{}", n % 20)).collect();
    let seconds = service.answers(&http, &again).await;
    println!("{COMMANDS} commands over 20 ids: {seconds:.2} CPU seconds");
    println!("after that: {:.1} MB of memory", service.memory() as f64 / 1_024.0);
}
