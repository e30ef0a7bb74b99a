//! FakeSlack: a workspace with one channel, over real HTTP. It signs what is typed and pressed, takes what comes
//! back, and holds the app to Slack's rules.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::rules;
use crate::clock::Clock;
use crate::http::{COMMANDS, INTERACTIONS};
use crate::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

/// How long Slack waits for an answer.
const DEADLINE: Duration = Duration::from_secs(3);
/// How often a `response_url` may be posted to, and how long it lives.
const USES: u32 = 5;
const LIFETIME: SignedDuration = SignedDuration::from_mins(30);

/// Who types and presses in [`FakeSlack`], and where. What is empty, Slack does not say.
#[derive(Clone, Debug)]
pub struct Person {
    /// `T…`
    pub team: String,
    /// `T…`, the workspace the person belongs to, where it is another company's.
    pub home_team: Option<String>,
    /// `E…`, where the workspace belongs to an organisation.
    pub enterprise: Option<String>,
    /// `C…`
    pub channel: String,
    /// `U…`
    pub user: String,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            team: "T0001ABCD".to_owned(),
            home_team: None,
            enterprise: None,
            channel: "C2147483705".to_owned(),
            user: "U2147483697".to_owned(),
        }
    }
}

/// A message in the conversation.
#[derive(Clone, Debug, Serialize)]
pub struct Posted {
    /// Its place in the conversation.
    pub id: u64,
    /// The command or press that it answers, see [`Sent::exchange`].
    pub exchange: u64,
    /// Whether everybody in the channel sees it.
    pub in_channel: bool,
    /// What the app sent, as it stands.
    pub message: Value,
}

/// What happens in the conversation, for those who look on.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message appears.
    Posted(Posted),
    /// A message takes another's place.
    Replaced(Posted),
    /// A message disappears.
    Deleted {
        /// Which.
        id: u64,
    },
    /// Slack tells the person that the app failed.
    Failed {
        /// The command or press that failed.
        exchange: u64,
        /// What Slack calls it.
        error: &'static str,
    },
}

/// What Slack saw of the app's direct answer to one command or press.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its number; what comes later bears it too.
    pub exchange: u64,
    /// The answer's status; none if there was no answer within three seconds.
    pub status: Option<StatusCode>,
    /// The message in the answer, if there was one.
    pub message: Option<Posted>,
    /// How long the answer took.
    pub took: Duration,
}

/// A workspace.
pub struct FakeSlack {
    workspace: Arc<Workspace>,
    http: Client,
    secret: SecretString,
    clock: Clock,
    own_url: Url,
    _serving: AbortOnDropHandle<()>,
}

struct Workspace {
    clock: Clock,
    state: Mutex<Affairs>,
    events: broadcast::Sender<Event>,
    /// Changes whenever something happens.
    happened: watch::Sender<u64>,
}

/// A status, and the seconds of its `Retry-After`.
type Refused = (StatusCode, Option<u64>);

#[derive(Default)]
struct Affairs {
    exchanges: u64,
    letterboxes: HashMap<String, Letterbox>,
    conversation: BTreeMap<u64, Posted>,
    /// How many messages answered an exchange.
    answers: HashMap<u64, u32>,
    /// What `response_url`s answer next instead of taking the message.
    next_faults: VecDeque<Refused>,
    posts: Vec<u64>,
    broken_rules: Vec<String>,
}

struct Letterbox {
    exchange: u64,
    opened_at: Timestamp,
    uses: u32,
    /// The message that was pressed.
    pressed: Option<u64>,
}

impl FakeSlack {
    /// Serves `response_url`s on `listener`, and signs with `secret` by `clock`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, http: Client, secret: SecretString, clock: Clock) -> io::Result<Self> {
        let own_url = Url::parse(&format!("http://{}", listener.local_addr()?)).map_err(io::Error::other)?;
        let workspace = Arc::new(Workspace {
            clock: clock.clone(),
            state: Mutex::default(),
            events: broadcast::Sender::new(256),
            happened: watch::Sender::new(0),
        });
        let routes = Router::new()
            .route("/response/{token}", post(receive))
            .with_state(Arc::clone(&workspace));
        let serving = tokio::spawn(super::serve(listener, routes));
        Ok(Self {
            workspace,
            http,
            secret,
            clock,
            own_url,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// The origin of every `response_url`, to give as `SLACK_RESPONSE_HOSTS`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.own_url.origin().ascii_serialization()
    }

    /// Looks on: everything that happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.workspace.events.subscribe()
    }

    /// Types `command` (`/sandbox …`) into the channel, and waits for the app's direct answer.
    pub async fn types(&self, app: &Url, person: &Person, command: &str) -> Sent {
        let (name, text) = command.split_once(' ').unwrap_or((command, ""));
        let (exchange, response_url) = self.open_letterbox(None);
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", "gIkuvaNzQIHg97ATvDxqgjtO")
            .append_pair("team_id", &person.team)
            .append_pair("team_domain", "example")
            .extend_pairs(person.enterprise.iter().map(|id| ("enterprise_id", id)))
            .append_pair("channel_id", &person.channel)
            .append_pair("channel_name", "test")
            .append_pair("user_id", &person.user)
            .append_pair("user_name", "steve")
            .append_pair("command", name)
            .append_pair("text", text)
            .append_pair("api_app_id", "A0123456789")
            .append_pair("is_enterprise_install", "false")
            .append_pair("response_url", &response_url)
            .append_pair("trigger_id", "1334522460933.738474920.8088930838d88f008e0")
            .finish();
        let (status, body, took) = self.send(app, COMMANDS, form).await;
        let message = match status {
            None => self.failed(exchange, "operation_timeout"),
            Some(StatusCode::OK) if body.is_empty() => None,
            Some(StatusCode::OK) => match serde_json::from_slice(&body) {
                Ok(message) => self.workspace.take(exchange, None, message),
                Err(_) => self
                    .workspace
                    .broke("a command was answered with something that is no JSON"),
            },
            Some(status) if status.is_client_error() => self.failed(exchange, "http_client_error"),
            Some(_) => self.failed(exchange, "http_service_error"),
        };
        Sent {
            exchange,
            status,
            message,
            took,
        }
    }

    /// Presses the button with this action id on a message.
    pub async fn presses(&self, app: &Url, person: &Person, on: &Posted, action_id: &str) -> Sent {
        let button = rules::buttons(&on.message).find(|button| button["action_id"] == action_id);
        let value = button.map_or(Value::Null, |button| button["value"].clone());
        self.presses_with(app, person, on, action_id, value).await
    }

    /// Presses a button whose value is not what the message says.
    pub async fn presses_with(&self, app: &Url, person: &Person, on: &Posted, action_id: &str, value: Value) -> Sent {
        let (exchange, response_url) = self.open_letterbox(Some(on.id));
        let said = |id: &str, named: Value| if id.is_empty() { Value::Null } else { named };
        let home_team = person.home_team.as_ref().unwrap_or(&person.team);
        let user = json!({"id": person.user, "username": "steve", "name": "steve", "team_id": home_team});
        let mut payload = json!({
            "type": "block_actions",
            "user": said(&person.user, user),
            "api_app_id": "A0123456789",
            "token": "gIkuvaNzQIHg97ATvDxqgjtO",
            "container": {
                "type": "message", "message_ts": "1606455372.001200", "channel_id": person.channel,
                "is_ephemeral": !on.in_channel,
            },
            "trigger_id": "1334522460933.738474920.8088930838d88f008e0",
            "team": said(&person.team, json!({"id": person.team, "domain": "example"})),
            "enterprise": person.enterprise.as_ref().map(|id| json!({"id": id, "name": "Globular"})),
            "is_enterprise_install": false,
            "channel": said(&person.channel, json!({"id": person.channel, "name": "test"})),
            "state": {"values": {}},
            "response_url": response_url,
            "actions": [{
                "action_id": action_id, "block_id": "b1", "type": "button", "value": value,
                "text": {"type": "plain_text", "text": "…", "emoji": true}, "action_ts": "1606455407.603639",
            }],
        });
        if on.in_channel {
            payload["message"] = on.message.clone();
        }
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        let (status, body, took) = self.send(app, INTERACTIONS, form).await;
        if status != Some(StatusCode::OK) {
            self.failed(exchange, "warning triangle");
        } else if !body.is_empty() {
            self.workspace.broke("a press was acknowledged with a body");
        }
        Sent {
            exchange,
            status,
            message: None,
            took,
        }
    }

    /// Waits for the message that answers an exchange later on.
    pub async fn later(&self, exchange: u64) -> Posted {
        let mut happened = self.workspace.happened.subscribe();
        loop {
            let answer = {
                let state = self.workspace.state();
                state
                    .conversation
                    .values()
                    .rev()
                    .find(|posted| posted.exchange == exchange)
                    .cloned()
            };
            match answer {
                Some(posted) => return posted,
                // The sender lives as long as the workspace.
                None => drop(happened.changed().await),
            }
        }
    }

    /// Waits until `response_url`s have been posted to `count` times in all, taken or not.
    pub async fn has_been_posted_to(&self, count: usize) {
        let mut happened = self.workspace.happened.subscribe();
        while self.workspace.state().posts.len() < count {
            drop(happened.changed().await);
        }
    }

    /// Puts a message into the conversation as if the app had shared it earlier.
    #[must_use]
    pub fn shared_earlier(&self, message: Value) -> Posted {
        self.workspace.state().post(0, true, message)
    }

    /// The conversation as it stands.
    #[must_use]
    pub fn conversation(&self) -> Vec<Posted> {
        self.workspace.state().conversation.values().cloned().collect()
    }

    /// The next post to a `response_url` is answered with `status`, and `Retry-After` seconds where given.
    pub fn refuse_next(&self, status: StatusCode, retry_after: Option<u64>) {
        self.workspace.state().next_faults.push_back((status, retry_after));
    }

    /// What the app did that Slack would not have let pass.
    #[must_use]
    pub fn broken_rules(&self) -> Vec<String> {
        self.workspace.state().broken_rules.clone()
    }

    fn open_letterbox(&self, pressed: Option<u64>) -> (u64, String) {
        let mut state = self.workspace.state();
        state.exchanges += 1;
        let exchange = state.exchanges;
        let token = format!("T0001ABCD-{exchange}-{:016x}", fastrand::u64(..));
        let url = format!("{}/response/{token}", self.origin());
        state.letterboxes.insert(
            token,
            Letterbox {
                exchange,
                opened_at: self.clock.now(),
                uses: 0,
                pressed,
            },
        );
        (exchange, url)
    }

    async fn send(&self, app: &Url, path: &str, form: String) -> (Option<StatusCode>, Bytes, Duration) {
        let stamp = self.clock.now().as_second().to_string();
        let signature = sign(&self.secret, &stamp, form.as_bytes());
        let mut url = app.clone();
        url.set_path(path);
        let began = Instant::now();
        let sending = async {
            let answer = self
                .http
                .post(url)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(TIMESTAMP_HEADER, stamp)
                .header(SIGNATURE_HEADER, signature)
                .body(form)
                .send()
                .await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        match tokio::time::timeout(DEADLINE, sending).await {
            Ok(Ok((status, body))) => (Some(status), body, began.elapsed()),
            _ => (None, Bytes::new(), began.elapsed()),
        }
    }

    fn failed(&self, exchange: u64, error: &'static str) -> Option<Posted> {
        self.workspace.tell(Event::Failed { exchange, error });
        None
    }
}

impl Workspace {
    fn state(&self) -> MutexGuard<'_, Affairs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: Event) {
        // Nobody has to look on.
        let _ = self.events.send(event);
        self.happened.send_modify(|count| *count += 1);
    }

    fn broke(&self, rule: &str) -> Option<Posted> {
        self.state().broken_rules.push(rule.to_owned());
        None
    }

    /// Takes a message of the app into the conversation, as Slack would.
    fn take(&self, exchange: u64, pressed: Option<u64>, message: Value) -> Option<Posted> {
        let event = {
            let mut state = self.state();
            for broken in rules::broken(&message) {
                state.broken_rules.push(format!("{broken}: {message}"));
            }
            let answers = state.answers.entry(exchange).or_default();
            *answers += 1;
            if *answers > 1 {
                state
                    .broken_rules
                    .push(format!("exchange {exchange} was answered twice"));
            }
            match pressed {
                Some(id) if message["delete_original"] == true => {
                    state.conversation.remove(&id);
                    Event::Deleted { id }
                }
                Some(id) if message["replace_original"] == true && state.conversation.contains_key(&id) => {
                    let in_channel = state.conversation.get(&id).is_some_and(|posted| posted.in_channel);
                    let posted = Posted {
                        id,
                        exchange,
                        in_channel,
                        message,
                    };
                    state.conversation.insert(id, posted.clone());
                    Event::Replaced(posted)
                }
                // A command's response_url replaces nothing, whatever the message asks for.
                _ => {
                    let in_channel = message["response_type"] == "in_channel";
                    Event::Posted(state.post(exchange, in_channel, message))
                }
            }
        };
        let posted = match &event {
            Event::Posted(posted) | Event::Replaced(posted) => Some(posted.clone()),
            _ => None,
        };
        self.tell(event);
        posted
    }
}

impl Affairs {
    /// Uses a `response_url` once: the exchange it answers and the message that was pressed, or what Slack answers
    /// instead of taking the message.
    fn open(&mut self, token: &str, now: Timestamp) -> Result<(u64, Option<u64>), Refused> {
        let Some(letterbox) = self.letterboxes.get_mut(token) else {
            self.broken_rules
                .push("an unknown response_url was posted to".to_owned());
            return Err((StatusCode::NOT_FOUND, None));
        };
        self.posts.push(letterbox.exchange);
        letterbox.uses += 1;
        if letterbox.uses > USES {
            self.broken_rules
                .push("a response_url was posted to more than 5 times".to_owned());
            return Err((StatusCode::NOT_FOUND, None));
        }
        if now.duration_since(letterbox.opened_at) > LIFETIME {
            self.broken_rules
                .push("a response_url was posted to after 30 minutes".to_owned());
            return Err((StatusCode::NOT_FOUND, None));
        }
        match self.next_faults.pop_front() {
            Some(refused) => Err(refused),
            None => Ok((letterbox.exchange, letterbox.pressed)),
        }
    }

    fn post(&mut self, exchange: u64, in_channel: bool, message: Value) -> Posted {
        let id = self.conversation.keys().next_back().map_or(1, |last| last + 1);
        let posted = Posted {
            id,
            exchange,
            in_channel,
            message,
        };
        self.conversation.insert(id, posted.clone());
        posted
    }
}

/// A `response_url` is posted to.
async fn receive(State(workspace): State<Arc<Workspace>>, Path(token): Path<String>, body: Bytes) -> Response {
    let opened = workspace.state().open(&token, workspace.clock.now());
    match opened {
        Ok((exchange, pressed)) => {
            let Ok(message) = serde_json::from_slice(&body) else {
                workspace.broke("a response_url was posted something that is no JSON");
                return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
            };
            workspace.take(exchange, pressed, message);
            "ok".into_response()
        }
        Err((status, retry_after)) => {
            workspace.happened.send_modify(|count| *count += 1);
            let mut answer = status.into_response();
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            answer
        }
    }
}
