//! Measures a built service: start, memory, and the CPU time of 10,000 commands, in turns with a [bare handler](bare).
//! Sends to loopback alone and ends.
//!
//! `cargo bench --bench measure -- path/to/kapso-slack`
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that cannot be taken ends, and prints what it found"
)]

mod bare;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kapso_slack::clock::Clock;
use kapso_slack::demo::FakeKapso;
use kapso_slack::slack::signature::sign;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const KEY: &str = "kapso-key-for-the-measurement";
const COMMANDS: usize = 10_000;
/// Connections that send commands at the same time.
const CONNECTIONS: usize = 64;
/// Different ids of the commands that ask again.
const FEW_IDS: usize = 20;
const STARTS: usize = 11;
const ROUNDS: usize = 7;
/// How long a program may take to exit. The service promises 8 s.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Clock ticks a second, as Linux shows them in /proc.
const TICKS: f64 = 100.0;
/// The argument with which this program is the bare handler.
const BARE: &str = "--bare";

/// A program that answers commands, in a process of its own.
struct Program {
    name: &'static str,
    process: Child,
    address: SocketAddr,
    /// CPU seconds for all commands, and for those that ask again, one of each round.
    new: Vec<f64>,
    again: Vec<f64>,
}

impl Program {
    async fn start(name: &'static str, mut command: Command, base_url: &Url) -> Self {
        let address = free_port();
        let process = spawn(&mut command, address, base_url);
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self {
            name,
            process,
            address,
            new: Vec::new(),
            again: Vec::new(),
        }
    }

    /// Seconds of CPU time that the process has used.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("this is Linux");
        let (_, fields) = stat.rsplit_once(')').expect("/proc/pid/stat");
        let ticks = |field: usize| -> f64 {
            let field = fields.split_whitespace().nth(field).expect("a field");
            field.parse().expect("a number")
        };
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Megabytes of memory that the process holds.
    fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("this is Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kilobytes: f64 = line
            .split_whitespace()
            .nth(1)
            .expect("a number")
            .parse()
            .expect("a number");
        kilobytes / 1_024.0
    }

    /// Asks for each of these ids, some at a time, and returns the CPU seconds that took.
    async fn answers(&self, ids: &[String]) -> f64 {
        let before = self.cpu();
        let connections = (0..CONNECTIONS).map(|first| async move {
            let mut stream = TcpStream::connect(self.address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let mut response = Vec::new();
            for id in ids.iter().skip(first).step_by(CONNECTIONS) {
                stream.write_all(&request(id)).await.expect("it is sent");
                read_response(&mut stream, &mut response).await;
                let response = String::from_utf8_lossy(&response);
                assert!(response.starts_with("HTTP/1.1 200 "), "{}: {response}", self.name);
                assert!(response.contains("Activate in WhatsApp"), "{}: {response}", self.name);
            }
        });
        futures_util::future::join_all(connections).await;
        self.cpu() - before
    }
}

impl Drop for Program {
    /// Stops it gracefully: an instrumented program writes its profile when it exits.
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let began = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if began.elapsed() > EXIT_TIMEOUT {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A signed command that has not been sent before, for this id.
fn request(id: &str) -> Vec<u8> {
    let number = fastrand::u64(..);
    let body = format!(
        "token=gIkuvaNzQIHg97ATvDxqgjtO&team_id=T0001ABCD&team_domain=example&channel_id=C2147483705\
         &channel_name=test&user_id=U2147483697&user_name=steve&command=%2Fsandbox&text={id}\
         &api_app_id=A0123456789&is_enterprise_install=false\
         &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT0001ABCD%2F1234567890123%2F{number:016x}\
         &trigger_id=1334522460933.738474920.{number:032x}"
    );
    let stamp = Clock::system().now().as_second().to_string();
    let signature = sign(&SECRET.into(), &stamp, body.as_bytes());
    format!(
        "POST /slack/commands HTTP/1.1\r\nHost: slack.example.com\r\nUser-Agent: Slackbot 1.0 (+https://api.slack.com/robots)\r\n\
         Accept-Encoding: gzip,deflate\r\nAccept: application/json,*/*\r\nX-Slack-Signature: {signature}\r\n\
         X-Slack-Request-Timestamp: {stamp}\r\nContent-Length: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads one response, which must have a `Content-Length`.
async fn read_response(stream: &mut TcpStream, response: &mut Vec<u8>) {
    response.clear();
    let end = loop {
        assert_ne!(stream.read_buf(response).await.expect("a response"), 0, "it was closed");
        let Some(head) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        let lines = String::from_utf8_lossy(&response[..head]).to_ascii_lowercase();
        let length = lines.lines().find_map(|line| line.strip_prefix("content-length: "));
        break head + 4 + length.map_or(0, |length| length.parse().expect("a number"));
    };
    while response.len() < end {
        assert_ne!(stream.read_buf(response).await.expect("a response"), 0, "it was closed");
    }
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("a port")
}

/// Starts a program that serves at `address`, without its log.
fn spawn(command: &mut Command, address: SocketAddr, base_url: &Url) -> Child {
    command
        .env_clear()
        .envs([
            ("SLACK_SIGNING_SECRET", SECRET),
            ("KAPSO_API_KEY", KEY),
            ("KAPSO_BASE_URL", base_url.as_str()),
            ("HOST", "127.0.0.1"),
            ("LOG_FORMAT", "json"),
            ("DATABASE_URL", "sqlite::memory:"),
        ])
        .env("PORT", address.port().to_string())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// The median time from the start of the service to its first response. Its log would not do: lines are held back for up
/// to 10 ms.
fn start_time(binary: &str, base_url: &Url) -> Duration {
    let start = || {
        let address = free_port();
        let began = Instant::now();
        let mut process = spawn(&mut Command::new(binary), address, base_url);
        let mut stream = loop {
            assert_eq!(process.try_wait().expect("a process"), None, "it has ended");
            match std::net::TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_micros(100)),
            }
        };
        stream.set_read_timeout(Some(EXIT_TIMEOUT)).expect("a socket");
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .expect("it is sent");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("a response");
        let took = began.elapsed();
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        let _ = process.kill();
        let _ = process.wait();
        took
    };
    let mut starts: Vec<Duration> = (0..STARTS).map(|_| start()).collect();
    starts.sort();
    starts[STARTS / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(BARE) {
        let mut next = || arguments.next().expect("an argument");
        let (base_url, threads) = (next(), next().parse().expect("a number"));
        let port = std::env::var("PORT").expect("a port");
        let address = format!("127.0.0.1:{port}").parse().expect("an address");
        return bare::serve(address, SECRET, KEY, &base_url, threads);
    }
    let binary = first.filter(|argument| !argument.starts_with("--"));
    let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_kapso-slack").to_owned());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    // Kapso is played by a thread of its own.
    let kapso_runtime = runtime();
    let kapso = kapso_runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        FakeKapso::start(listener, KEY, Clock::system()).expect("a fake Kapso")
    });
    std::thread::spawn(move || kapso_runtime.block_on(std::future::pending::<()>()));
    runtime().block_on(measure(&binary, &kapso));
}

async fn measure(binary: &str, kapso: &FakeKapso) {
    let base_url = kapso.base_url();
    let milliseconds = start_time(binary, base_url).as_secs_f64() * 1_000.0;
    println!("start to the first response: {milliseconds:.1} ms (median of {STARTS})");

    let bare = |threads: &str| {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args([BARE, base_url.as_str(), threads]);
        command
    };
    let mut programs = [
        Program::start("this service", Command::new(binary), base_url).await,
        Program::start("bare handler, 2 threads", bare("2"), base_url).await,
        Program::start("bare handler, 1 thread", bare("1"), base_url).await,
    ];
    println!("idle: {:.1} MB of memory", programs[0].memory());

    let id = |round: usize, number: usize| format!("{round:08x}-4f04-4c48-8d6e-{number:012x}");
    // The first answer says what the limit is, and until it has come only 100 requests are allowed.
    fill(kapso, [id(0, 0)]);
    for program in &programs {
        program.answers(&vec![id(0, 0); CONNECTIONS]).await;
    }
    println!("\nCPU seconds of {COMMANDS} commands over {CONNECTIONS} connections, in turns:");
    for round in 1..=ROUNDS {
        let new: Vec<String> = (0..COMMANDS).map(|number| id(round, number)).collect();
        let again: Vec<String> = (0..COMMANDS).map(|number| id(round, number % FEW_IDS)).collect();
        for program in &mut programs {
            fill(kapso, new.clone());
            let cost = program.answers(&new).await;
            program.new.push(cost);
            let cost = program.answers(&again).await;
            program.again.push(cost);
        }
    }
    for kind in ["each for another id", "for 20 ids, asked again"] {
        let of = |program: &Program| {
            if kind.starts_with("each") {
                program.new.clone()
            } else {
                program.again.clone()
            }
        };
        println!("{kind}:");
        let ours = of(&programs[0]);
        for program in &programs {
            let theirs = of(program);
            let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
            println!(
                "  {:<24} {:.3} (median of {ROUNDS}; {:.2} to {:.2}); this service / it: {:.2}",
                program.name,
                median(theirs.clone()),
                theirs.iter().copied().fold(f64::INFINITY, f64::min),
                theirs.iter().copied().fold(0.0, f64::max),
                median(ratios),
            );
        }
    }
    println!("after that: {:.1} MB of memory", programs[0].memory());
}

/// Gives Kapso these sessions and no others, and makes it forget earlier requests, which it would count each time.
fn fill(kapso: &FakeKapso, ids: impl IntoIterator<Item = String>) {
    kapso.reset(BTreeMap::new());
    kapso.set_rate_limit(10_000_000);
    ids.into_iter().for_each(|id| kapso.add_session(&id));
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
