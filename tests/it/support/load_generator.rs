//! Sends many commands as Slack does, and counts the replies. `FakeSlack` checks each message, and keeps them all; this
//! only counts, so that it can go on for hours.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use http::StatusCode;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::routes::{COMMANDS, INTERACTIONS};
use kapso_slack::server::{self, Bounds};
use kapso_slack::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use url::Url;

use crate::support::{SECRET, port};

/// How long Slack waits for a response. How many took longer is reported, and fails nothing: on a machine that is busy with
/// other work, a response takes as long as the process waits for a processor.
pub const SLACK_WAITS: Duration = Duration::from_secs(3);
/// A response that takes longer will never come.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the connections of the service's posts may be idle.
const KEPT_OPEN: Duration = Duration::from_secs(30);
/// What a channel takes at once, and then one post per second.
const BURST: f64 = 3.0;

/// A command or press that was sent.
pub struct Sent {
    pub number: u64,
    /// The card in the response; `None` if the response was empty.
    pub card: Option<Value>,
    /// Time until the response.
    pub took: Duration,
}

/// The replies so far.
#[derive(Default)]
struct Counts {
    /// Accepted posts for each command that waits for one, by its number.
    posts: HashMap<u64, u32>,
    /// Posts that were refused with 429, because their channel was full.
    refused: u64,
    /// How many posts each channel takes now.
    channels: HashMap<String, Channel>,
    /// The status of the next posts, instead of accepting them.
    faults: Vec<StatusCode>,
}

struct Channel {
    tokens: f64,
    at: Instant,
}

/// Sends commands to a service.
pub struct LoadGenerator {
    app: Url,
    origin: String,
    http: Client,
    next: AtomicU64,
    received: Arc<Received>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Received {
    counts: Mutex<Counts>,
    changed: Notify,
}

/// The part that has an address before the service is started.
pub struct ResponseUrls {
    pub origin: String,
    received: Arc<Received>,
    serving: AbortOnDropHandle<()>,
}

impl ResponseUrls {
    /// Serves the `response_url`s.
    pub async fn start() -> Self {
        let listener = port().await;
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Received::default());
        let routes = Router::new()
            .route("/response/{channel}/{number}", post(receive))
            .with_state(Arc::clone(&received));
        let bounds = Bounds {
            head_deadline: KEPT_OPEN,
            keep_alive: KEPT_OPEN,
            connections: 10_000,
            draining: CancellationToken::new(),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let serving = tokio::spawn(server::serve(listener, routes, bounds));
        Self {
            origin,
            received,
            serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Sends to the service at `app`.
    pub fn load(self, app: Url) -> LoadGenerator {
        LoadGenerator {
            app,
            origin: self.origin,
            http: client_builder().build().unwrap(),
            next: AtomicU64::new(0),
            received: self.received,
            _serving: self.serving,
        }
    }
}

/// Counts a post, unless a fault or the channel's limit refuses it.
async fn receive(
    State(received): State<Arc<Received>>,
    Path((channel, number)): Path<(String, u64)>,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let mut counts = received.counts.lock().unwrap();
    let answer = |status| (status, [("retry-after", "1")]);
    if let Some(status) = counts.faults.pop() {
        return answer(status);
    }
    let now = Instant::now();
    let limit = counts
        .channels
        .entry(channel)
        .or_insert(Channel { tokens: BURST, at: now });
    limit.tokens = (limit.tokens + (now - limit.at).as_secs_f64()).min(BURST);
    limit.at = now;
    if limit.tokens < 1.0 {
        counts.refused += 1;
        return answer(StatusCode::TOO_MANY_REQUESTS);
    }
    limit.tokens -= 1.0;
    *counts.posts.entry(number).or_default() += 1;
    drop(counts);
    received.changed.notify_waiters();
    answer(StatusCode::OK)
}

impl LoadGenerator {
    /// Somebody types `/sandbox text`, in a channel of their own.
    pub async fn command(&self, text: &str) -> Sent {
        let channel = format!("C{:010}", self.next.load(Ordering::Relaxed));
        self.command_in(&channel, text).await
    }

    /// Somebody types `/sandbox text` in this channel.
    pub async fn command_in(&self, channel: &str, text: &str) -> Sent {
        let (number, response_url) = self.start(channel);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("team_id", "T0001ABCD")
            .append_pair("channel_id", channel)
            .append_pair("user_id", &format!("U{number:010}"))
            .append_pair("command", "/sandbox")
            .append_pair("text", text)
            .append_pair("response_url", &response_url)
            .append_pair("trigger_id", &format!("{number}.{:032x}", fastrand::u128(..)))
            .finish();
        self.post(number, COMMANDS, form).await
    }

    /// Somebody presses *Refresh* on this card. The reply is a post.
    pub async fn refresh(&self, card: &Value) -> Sent {
        let channel = format!("C{:010}", self.next.load(Ordering::Relaxed));
        let (number, response_url) = self.start(&channel);
        let value = refresh_value(card).expect("a card has the button");
        let payload = json!({
            "type": "block_actions",
            "user": {"id": "U2147483697", "team_id": "T0001ABCD"},
            "team": {"id": "T0001ABCD"},
            "channel": {"id": channel},
            "container": {"type": "message", "is_ephemeral": true},
            "response_url": response_url,
            "actions": [{"type": "button", "action_id": "refresh", "value": value}],
        });
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        self.post(number, INTERACTIONS, form).await
    }

    fn start(&self, channel: &str) -> (u64, String) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, format!("{}/response/{channel}/{number}", self.origin))
    }

    async fn post(&self, number: u64, path: &str, form: String) -> Sent {
        let stamp = Clock::system().now().as_second().to_string();
        let signature = sign(&SECRET.into(), &stamp, form.as_bytes());
        let began = Instant::now();
        let sending = async {
            let response = self
                .http
                .post(self.app.join(path).unwrap())
                .header("content-type", "application/x-www-form-urlencoded")
                .header(TIMESTAMP_HEADER, stamp)
                .header(SIGNATURE_HEADER, signature)
                .body(form)
                .send()
                .await?
                .error_for_status()?;
            response.bytes().await
        };
        let response = timeout(TIMEOUT, sending).await;
        let took = began.elapsed();
        let body = response
            .unwrap_or_else(|_| panic!("command {number} was not answered in {TIMEOUT:?}"))
            .unwrap_or_else(|error| panic!("command {number}: {error:?}"));
        let card = (!body.is_empty()).then(|| serde_json::from_slice(&body).expect("a message"));
        Sent { number, card, took }
    }

    /// The service's metrics, or another page of it.
    pub async fn page(&self, url: Url) -> String {
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Refuses this many posts with this status.
    pub fn refuse_posts(&self, count: usize, status: StatusCode) {
        let mut counts = self.received.counts.lock().unwrap();
        counts.faults.extend(std::iter::repeat_n(status, count));
    }

    /// Refuses no more posts.
    pub fn accept_posts(&self) {
        self.received.counts.lock().unwrap().faults.clear();
    }

    /// How many posts the channels' limits have refused.
    pub fn refused(&self) -> u64 {
        self.received.counts.lock().unwrap().refused
    }

    /// How many posts there are for what nobody has waited for: commands that were answered in the response.
    pub fn unexpected_posts(&self) -> usize {
        self.received.counts.lock().unwrap().posts.len()
    }

    /// Waits until these commands have had one post each, and forgets them. The number of surplus posts.
    ///
    /// # Panics
    /// If that takes longer than `deadline`.
    pub async fn wait_for_posts(&self, numbers: &[u64], deadline: Duration) -> u32 {
        let waiting = async {
            loop {
                let changed = self.received.changed.notified();
                let missing = {
                    let counts = self.received.counts.lock().unwrap();
                    numbers.iter().any(|number| !counts.posts.contains_key(number))
                };
                if !missing {
                    return;
                }
                // Not at every post: the check is as long as the list.
                changed.await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let in_time = timeout(deadline, waiting).await;
        let mut counts = self.received.counts.lock().unwrap();
        let lost: Vec<_> = numbers
            .iter()
            .filter(|number| !counts.posts.contains_key(number))
            .collect();
        assert!(
            in_time.is_ok(),
            "{} of {} replies are lost: {lost:?}",
            lost.len(),
            numbers.len()
        );
        numbers
            .iter()
            .map(|number| counts.posts.remove(number).unwrap_or_default() - 1)
            .sum()
    }
}

/// How many of these Slack would have given up.
pub fn too_late(sent: &[Sent]) -> usize {
    sent.iter().filter(|sent| sent.took > SLACK_WAITS).count()
}

/// The value of the button *Refresh*.
fn refresh_value(card: &Value) -> Option<&Value> {
    let blocks = card["blocks"].as_array()?;
    let mut buttons = blocks.iter().filter_map(|block| block["elements"].as_array()).flatten();
    Some(&buttons.find(|button| button["action_id"] == "refresh")?["value"])
}

/// The process of a service, as Linux shows it.
pub struct ProcessFigures(u32);

impl ProcessFigures {
    pub fn of(process: u32) -> Self {
        Self(process)
    }

    /// Memory in use, in kilobytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.0)).unwrap().count()
    }
}
