//! Slack's side of the Web API: the methods that an app with a bot token uses. As strict as Slack about tokens, scopes,
//! channels, trigger ids, messages and views.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Path, RawQuery, State as AxumState};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::channel::Channel;
use super::forms::Person;
use super::views::OpenedView;
use super::{rules, views};

/// How long a trigger id works.
const TRIGGER_LIFETIME: SignedDuration = SignedDuration::from_secs(3);
/// Trigger ids in memory, at most.
const TRIGGERS_MAX: usize = 1_000;
/// Updates per minute that Slack's tier 3 allows.
const UPDATES_PER_MINUTE: usize = 50;
/// Longest text of a message that is updated; a longer one is cut when it is posted.
const TEXT_MAX: usize = 4_000;
/// The largest view, in bytes.
const VIEW_MAX: usize = 250_000;
/// The app's own user.
const BOT_USER: &str = "U0000000B0";
/// Arguments of the methods for messages. Slack ignores others, so that they are mistakes.
const MESSAGE_ARGUMENTS: [&str; 8] = [
    "channel",
    "ts",
    "text",
    "blocks",
    "metadata",
    "thread_ts",
    "unfurl_links",
    "unfurl_media",
];

/// Whether a token works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenState {
    #[default]
    Valid,
    /// `token_revoked`
    Revoked,
    /// `account_inactive`: the app was removed, or its workspace is gone.
    Inactive,
    /// `token_expired`
    Expired,
}

/// How a call deviates from a normal one.
#[derive(Clone, Debug)]
pub enum WebFault {
    /// None: for a call between others that fail.
    None,
    /// Status 429 with `Retry-After` in seconds.
    RateLimited(u64),
    /// `{"ok": false}` with this error.
    Error(&'static str),
    Status(StatusCode),
    /// Slack does what it was asked for, and answers with this status and nothing else.
    DoneWithStatus(StatusCode),
    /// This body with status 200.
    Body(String),
}

/// A call of a method.
#[derive(Clone, Debug, Serialize)]
pub struct WebCall {
    /// Such as `chat.postMessage`.
    pub method: String,
    pub arguments: Value,
    /// The `error` of the answer; `ok` if there was none.
    pub result: String,
}

/// Slack's side of the Web API.
pub struct FakeWebApi {
    channel: Arc<Channel>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By token.
    tokens: BTreeMap<String, Token>,
    /// The organisation that its workspace belongs to.
    enterprise: Option<String>,
    people: BTreeSet<String>,
    bots: BTreeSet<String>,
    channels: BTreeSet<String>,
    /// The channels that the app is a member of.
    joined: BTreeSet<String>,
    /// Whether the Messages tab of the app is closed.
    is_tab_closed: bool,
    /// The app's direct messages, by person.
    direct: BTreeMap<String, String>,
    /// Which token posted each message, by channel and `ts`. The text is kept by the channel.
    posted: HashMap<(String, String), String>,
    updated_at: VecDeque<Timestamp>,
    /// When each trigger id was issued; `None` once it was used.
    triggers: BTreeMap<String, Option<Timestamp>>,
    views: Vec<OpenedView>,
    /// By method.
    faults: HashMap<String, VecDeque<WebFault>>,
    /// The fault of every call that has none in `faults`.
    standing_fault: Option<WebFault>,
    calls: Vec<WebCall>,
    violations: Vec<String>,
}

#[derive(Clone)]
struct Token {
    scopes: Vec<String>,
    state: TokenState,
}

/// An answer before it is an HTTP response.
struct Answer {
    body: Value,
    retry_after: Option<u64>,
    scopes: Option<String>,
}

impl Answer {
    fn ok(body: Value) -> Self {
        let mut body = body;
        body["ok"] = true.into();
        Self {
            body,
            retry_after: None,
            scopes: None,
        }
    }

    fn error(code: &str) -> Self {
        Self {
            body: json!({"ok": false, "error": code}),
            retry_after: None,
            scopes: None,
        }
    }

    fn rate_limited(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::error("ratelimited")
        }
    }
}

impl FakeWebApi {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        let person = Person::default();
        let api = Self {
            channel,
            state: Mutex::default(),
        };
        api.add_person(&person.user);
        api.add_channel(&person.channel);
        api
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Installs the app: this bot token has these scopes. Installing it again replaces the scopes and what was done to
    /// the token.
    pub fn install(&self, token: &str, scopes: &[&str]) {
        let token_state = Token {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            state: TokenState::Valid,
        };
        self.state().tokens.insert(token.to_owned(), token_state);
    }

    /// Whether a bot token was installed.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        !self.state().tokens.is_empty()
    }

    /// Does this to an installed token.
    pub fn set_token_state(&self, token: &str, state: TokenState) {
        if let Some(token) = self.state().tokens.get_mut(token) {
            token.state = state;
        }
    }

    /// The workspace belongs to this organisation.
    pub fn join_organisation(&self, enterprise: &str) {
        self.state().enterprise = Some(enterprise.to_owned());
    }

    /// Closes the Messages tab of the app, or opens it.
    pub fn close_messages_tab(&self, closed: bool) {
        self.state().is_tab_closed = closed;
    }

    /// Makes the app a member of a channel.
    pub fn join(&self, channel: &str) {
        let mut state = self.state();
        state.channels.insert(channel.to_owned());
        state.joined.insert(channel.to_owned());
    }

    /// Removes the app from a channel.
    pub fn leave(&self, channel: &str) {
        self.state().joined.remove(channel);
    }

    /// A user who is a bot: nobody can send it a direct message.
    pub fn add_bot(&self, user: &str) {
        self.state().bots.insert(user.to_owned());
    }

    pub(super) fn add_person(&self, user: &str) {
        self.state().people.insert(user.to_owned());
    }

    pub(super) fn add_channel(&self, channel: &str) {
        if channel.starts_with(['C', 'G']) {
            self.state().channels.insert(channel.to_owned());
        }
    }

    /// Removes a person from the workspace.
    pub fn remove_person(&self, user: &str) {
        self.state().people.remove(user);
    }

    /// How the next call of a method fails. Faults of a method are used up in this order.
    pub fn fail_next(&self, method: &str, fault: WebFault) {
        self.state()
            .faults
            .entry(method.to_owned())
            .or_default()
            .push_back(fault);
    }

    /// How every call fails that has no fault of its own, until this is set to `None`.
    pub fn fail_all(&self, fault: Option<WebFault>) {
        self.state().standing_fault = fault;
    }

    /// Every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<WebCall> {
        self.state().calls.clone()
    }

    /// The calls of one method so far.
    #[must_use]
    pub fn calls_of(&self, method: &str) -> Vec<WebCall> {
        let mut calls = self.calls();
        calls.retain(|call| call.method == method);
        calls
    }

    /// Waits until a method was called so often.
    pub async fn wait_for_calls(&self, method: &str, count: usize) -> Vec<WebCall> {
        let mut changed = self.channel.changed.subscribe();
        loop {
            let calls = self.calls_of(method);
            if calls.len() >= count {
                return calls;
            }
            // Cannot fail: `self` owns the sender.
            drop(changed.changed().await);
        }
    }

    /// Every view that was opened.
    #[must_use]
    pub fn opened_views(&self) -> Vec<OpenedView> {
        self.state().views.clone()
    }

    /// Changes an opened view.
    pub(super) fn update_view(&self, id: &str, update: impl FnOnce(&mut OpenedView)) {
        if let Some(opened) = self.state().views.iter_mut().find(|opened| opened.id == id) {
            update(opened);
        }
        self.channel.notify();
    }

    /// The channel of the app's direct messages with a person, once there is one.
    #[must_use]
    pub fn direct_channel(&self, user: &str) -> Option<String> {
        self.state().direct.get(user).cloned()
    }

    /// A new trigger id, issued now.
    #[must_use]
    pub fn issue_trigger_id(&self) -> String {
        let id = format!("1334522460933.738474920.{:032x}", fastrand::u128(..));
        let mut state = self.state();
        if state.triggers.len() >= TRIGGERS_MAX {
            state.triggers.clear();
        }
        state.triggers.insert(id.clone(), Some(self.channel.clock.now()));
        id
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    fn record_violations(&self, broken: &[String], of: &Value) {
        let broken = broken.iter().map(|rule| format!("{rule}: {of}"));
        self.state().violations.extend(broken);
    }

    /// The fault of a call of this method.
    fn next_fault(&self, method: &str) -> Option<WebFault> {
        let mut state = self.state();
        let next = state.faults.get_mut(method).and_then(VecDeque::pop_front);
        next.or_else(|| state.standing_fault.clone())
    }

    async fn answer(&self, method: &str, token: Option<&str>, arguments: &Value) -> Answer {
        let scopes = match self.authorize(method, token) {
            Ok(scopes) => scopes.join(","),
            Err(answer) => return answer,
        };
        let token = token.unwrap_or_default();
        let answer = match method {
            "auth.test" => {
                let mut body = json!({
                    "url": "https://example.slack.com/", "team": "Example", "team_id": Person::default().team,
                    "user": "kapso", "user_id": BOT_USER, "bot_id": "B0000000B0",
                });
                if let Some(enterprise) = &self.state().enterprise {
                    body["enterprise_id"] = enterprise.as_str().into();
                }
                Answer::ok(body)
            }
            "chat.postMessage" => self.post_message(token, arguments).await,
            "chat.update" => self.update_message(token, arguments).await,
            "views.open" => self.open_view(arguments),
            _ => Answer::error("unknown_method"),
        };
        Answer {
            scopes: Some(scopes),
            ..answer
        }
    }

    /// The scopes of the token, if it works and suffices for this method.
    fn authorize(&self, method: &str, token: Option<&str>) -> Result<Vec<String>, Answer> {
        let token = token.ok_or_else(|| Answer::error("not_authed"))?;
        let state = self.state();
        let Token { scopes, state } = state.tokens.get(token).ok_or_else(|| Answer::error("invalid_auth"))?;
        match state {
            TokenState::Valid => {}
            TokenState::Revoked => return Err(Answer::error("token_revoked")),
            TokenState::Inactive => return Err(Answer::error("account_inactive")),
            TokenState::Expired => return Err(Answer::error("token_expired")),
        }
        let needed = match method {
            "chat.postMessage" | "chat.update" => Some("chat:write"),
            _ => None,
        };
        match needed {
            Some(needed) if !scopes.iter().any(|scope| scope == needed) => Err(Answer {
                body: json!({
                    "ok": false, "error": "missing_scope", "needed": needed, "provided": scopes.join(","),
                }),
                retry_after: None,
                scopes: Some(scopes.join(",")),
            }),
            _ => Ok(scopes.clone()),
        }
    }

    async fn post_message(&self, token: &str, arguments: &Value) -> Answer {
        let channel = match self.place(arguments["channel"].as_str().unwrap_or_default()) {
            Ok(channel) => channel,
            Err(code) => return Answer::error(code),
        };
        if let Err(code) = self.check_message(arguments).await {
            return Answer::error(code);
        }
        let now = self.channel.clock.now();
        if !self.channel.state().admit_message(&channel, now) {
            return Answer::rate_limited(1);
        }
        let message = content(arguments);
        let ts = self.channel.post(&channel, message.clone());
        let key = (channel.clone(), ts.clone());
        self.state().posted.insert(key, token.to_owned());
        Answer::ok(json!({"channel": channel, "ts": ts, "message": message}))
    }

    async fn update_message(&self, token: &str, arguments: &Value) -> Answer {
        let text = |name: &str| arguments[name].as_str().unwrap_or_default();
        let (channel, ts) = (text("channel"), text("ts"));
        if rules::length(&arguments["text"]) > TEXT_MAX {
            return Answer::error("msg_too_long");
        }
        let posted_by = self.state().posted.get(&(channel.to_owned(), ts.to_owned())).cloned();
        match posted_by {
            None if channel.starts_with('U') => return Answer::error("channel_not_found"),
            None => return Answer::error("message_not_found"),
            Some(posted_by) if posted_by != token => return Answer::error("cant_update_message"),
            Some(_) => {}
        }
        if let Err(code) = self.check_message(arguments).await {
            return Answer::error(code);
        }
        if !self.admit_update() {
            return Answer::rate_limited(10);
        }
        let message = content(arguments);
        if !self.channel.update(channel, ts, message) {
            return Answer::error("message_not_found");
        }
        Answer::ok(json!({"channel": channel, "ts": ts, "text": arguments["text"]}))
    }

    /// Whether an update is within Slack's limit, where channels are limited.
    fn admit_update(&self) -> bool {
        let now = self.channel.clock.now();
        let is_limited = self.channel.state().limits_channels;
        let mut state = self.state();
        let is_old = |at: &Timestamp| now.duration_since(*at) >= SignedDuration::from_mins(1);
        while state.updated_at.front().is_some_and(is_old) {
            state.updated_at.pop_front();
        }
        if is_limited && state.updated_at.len() >= UPDATES_PER_MINUTE {
            return false;
        }
        state.updated_at.push_back(now);
        true
    }

    /// The channel that a message to this id is posted in.
    fn place(&self, id: &str) -> Result<String, &'static str> {
        let mut state = self.state();
        if id == BOT_USER || state.bots.contains(id) {
            return Err("cannot_dm_bot");
        }
        if state.people.contains(id) {
            if state.is_tab_closed {
                return Err("messages_tab_disabled");
            }
            let count = state.direct.len();
            let channel = state.direct.entry(id.to_owned());
            return Ok(channel.or_insert_with(|| format!("D{count:09}")).clone());
        }
        if state.joined.contains(id) || state.direct.values().any(|direct| direct == id) {
            return Ok(id.to_owned());
        }
        // Slack does not reveal a private channel.
        if state.channels.contains(id) && id.starts_with('C') {
            return Err("not_in_channel");
        }
        Err("channel_not_found")
    }

    /// Checks text and blocks, and fetches pictures, as Slack does.
    async fn check_message(&self, arguments: &Value) -> Result<(), &'static str> {
        let unknown = arguments
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .filter(|key| !MESSAGE_ARGUMENTS.contains(&key.as_str()));
        let mut broken: Vec<String> = unknown.map(|key| format!("Slack's method has no {key}")).collect();
        if rules::length(&arguments["text"]) == 0 && arguments["blocks"].is_null() {
            return Err("no_text");
        }
        broken.extend(rules::content_violations(arguments));
        if !broken.is_empty() {
            self.record_violations(&broken, arguments);
            return Err("invalid_blocks");
        }
        if self.channel.pictures.fetch(arguments).await {
            Ok(())
        } else {
            Err("invalid_blocks")
        }
    }

    fn open_view(&self, arguments: &Value) -> Answer {
        let now = self.channel.clock.now();
        let trigger = arguments["trigger_id"].as_str().unwrap_or_default();
        match self.state().triggers.get_mut(trigger).map(Option::take) {
            None => return Answer::error("invalid_trigger_id"),
            Some(None) => return Answer::error("exchanged_trigger_id"),
            Some(Some(issued_at)) if now.duration_since(issued_at) > TRIGGER_LIFETIME => {
                return Answer::error("expired_trigger_id");
            }
            Some(Some(_)) => {}
        }
        let view = &arguments["view"];
        let mut broken = views::violations(view);
        if view.to_string().len() > VIEW_MAX {
            broken.push("a view has at most 250 KB".to_owned());
        }
        if !broken.is_empty() {
            self.record_violations(&broken, view);
            let mut answer = Answer::error("invalid_arguments");
            answer.body["response_metadata"] = json!({"messages": broken});
            return answer;
        }
        let mut state = self.state();
        let id = format!("V{:010}", state.views.len() + 1);
        state.views.push(OpenedView {
            id: id.clone(),
            view: view.clone(),
            is_open: true,
            errors: Value::Null,
        });
        drop(state);
        self.channel.notify();
        let mut opened = view.clone();
        opened["id"] = id.into();
        opened["hash"] = "156772938.1827394".into();
        Answer::ok(json!({ "view": opened }))
    }
}

/// Text and blocks of a message, without where it is posted.
fn content(arguments: &Value) -> Value {
    let mut message = arguments.clone();
    if let Some(fields) = message.as_object_mut() {
        fields.remove("channel");
        fields.remove("ts");
    }
    message
}

pub(super) fn routes(api: Arc<FakeWebApi>) -> Router {
    Router::new().route("/api/{method}", post(call)).with_state(api)
}

/// Axum handler for every method but those with a route of their own.
async fn call(
    AxumState(api): AxumState<Arc<FakeWebApi>>,
    Path(method): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let arguments = arguments(&headers, query.as_deref(), &body);
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let fault = api.next_fault(&method);
    let mut answer = match &fault {
        Some(WebFault::RateLimited(seconds)) => Answer::rate_limited(*seconds),
        Some(WebFault::Error(code)) => Answer::error(code),
        Some(WebFault::Status(_) | WebFault::Body(_)) => Answer::error("a planned fault"),
        _ => match &arguments {
            Some(arguments) => api.answer(&method, token, arguments).await,
            None => Answer::error("invalid_json"),
        },
    };
    let result = answer.body["error"].as_str().unwrap_or("ok").to_owned();
    let is_direct = |arguments: &Value| {
        arguments["channel"]
            .as_str()
            .is_some_and(|id| id.starts_with(['U', 'W']))
    };
    if method == "chat.postMessage"
        && !["ok", "ratelimited"].contains(&result.as_str())
        && arguments.as_ref().is_some_and(is_direct)
    {
        api.channel.state().has_refused_direct = true;
    }
    api.state().calls.push(WebCall {
        method: method.clone(),
        arguments: arguments.unwrap_or_default(),
        result: result.clone(),
    });
    api.channel.notify();
    if result == "ok" && method.starts_with("chat.") || ["auth.test", "views.open"].contains(&method.as_str()) {
        // `wait_for` cannot fail: `api` owns the sender.
        drop(
            api.channel
                .responses_stalled
                .subscribe()
                .wait_for(|stalled| !stalled)
                .await,
        );
    }
    match fault {
        Some(WebFault::Status(status) | WebFault::DoneWithStatus(status)) => return status.into_response(),
        Some(WebFault::Body(body)) => return body.into_response(),
        _ => {}
    }
    let status = match answer.retry_after {
        Some(_) => StatusCode::TOO_MANY_REQUESTS,
        None => StatusCode::OK,
    };
    let body = answer.body.take().to_string();
    let mut response = (
        status,
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        body,
    )
        .into_response();
    if let Some(seconds) = answer.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    let scopes = answer.scopes.and_then(|scopes| HeaderValue::from_str(&scopes).ok());
    if let Some(scopes) = scopes {
        response.headers_mut().insert("x-oauth-scopes", scopes);
    }
    response
}

/// The arguments of a call: JSON, or a form in the body or the query, whose values may be JSON themselves.
fn arguments(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Option<Value> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !body.is_empty() && content_type.is_some_and(|kind| kind.starts_with("application/json")) {
        return serde_json::from_slice(body).ok().filter(Value::is_object);
    }
    let pairs = form_urlencoded::parse(body).chain(form_urlencoded::parse(query.unwrap_or_default().as_bytes()));
    let fields = pairs.map(|(name, value)| {
        let value = match name.as_ref() {
            "blocks" | "view" => serde_json::from_str(&value).unwrap_or_default(),
            _ => Value::from(value.into_owned()),
        };
        (name.into_owned(), value)
    });
    Some(Value::Object(fields.collect()))
}
