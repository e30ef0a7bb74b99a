//! `FakeSlack`: a workspace with one channel. It sends commands, button presses and message shortcuts, signed over HTTP or
//! through Socket Mode, accepts the app's replies, and checks them against Slack's rules.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::{StatusCode, header};
use reqwest::Client;
use secrecy::SecretString;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::channel::{self, ButtonRef, Channel, FailureNotice, PostedMessage, State, Target};
use super::exchange::{DeliveryPath, Exchange, SlackRequest, UserAction};
use super::forms::{self, Person, RequestIds};
use super::pictures::Pictures;
use super::rules;
use super::socket::{self, FakeSocket};
use super::views;
use super::web_api::{self, FakeWebApi};
use crate::clock::Clock;
use crate::routes::{COMMANDS, INTERACTIONS};
use crate::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

/// How long Slack waits for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The app's HTTP response to a command or press, as Slack saw it.
#[derive(Clone, Debug)]
pub struct DirectResponse {
    /// Number of the command or press; its late messages have the same one.
    pub exchange: u64,
    /// Status of the response; `None` if there was none within three seconds.
    pub status: Option<StatusCode>,
    /// The message in the response, if there was one.
    pub message: Option<PostedMessage>,
    /// Time until the response.
    pub took: Duration,
}

/// The app's response to a form, as Slack saw it.
#[derive(Clone, Debug)]
pub struct FormResponse {
    /// Number of the submission. The reply belongs to the command that opened the form.
    pub exchange: u64,
    /// Status of the response; `None` if there was none within three seconds.
    pub status: Option<StatusCode>,
    /// The errors by the ids of their fields; null if the form was closed.
    pub errors: Value,
}

/// A fake Slack workspace.
pub struct FakeSlack {
    channel: Arc<Channel>,
    http: Client,
    secret: SecretString,
    own_url: Url,
    socket: Arc<FakeSocket>,
    web_api: Arc<FakeWebApi>,
    _serving: [AbortOnDropHandle<()>; 2],
}

impl FakeSlack {
    /// Serves `response_url`s on `listener`. Signs requests with `secret`, and uses `clock`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, http: Client, secret: SecretString, clock: Clock) -> io::Result<Self> {
        let own_url = Url::parse(&format!("http://{}", listener.local_addr()?)).map_err(io::Error::other)?;
        let channel = Arc::new(Channel::new(clock, Pictures::new(http.clone())));
        let (socket, serving_socket) = FakeSocket::start()?;
        let web_api = Arc::new(FakeWebApi::new(Arc::clone(&channel)));
        let routes = Router::new()
            .route("/response/{token}", post(channel::receive_post))
            .with_state(Arc::clone(&channel))
            .merge(
                Router::new()
                    .route("/api/apps.connections.open", post(socket::open))
                    .with_state(Arc::clone(&socket)),
            )
            .merge(web_api::routes(Arc::clone(&web_api)));
        let serving = tokio::spawn(super::serve(listener, routes));
        Ok(Self {
            channel,
            http,
            secret,
            own_url,
            socket,
            web_api,
            _serving: [AbortOnDropHandle::new(serving), serving_socket],
        })
    }

    /// Origin of every `response_url`: the value for `SLACK_RESPONSE_HOSTS`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.own_url.origin().ascii_serialization()
    }

    /// The value for `SLACK_API_URL`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.origin())
    }

    /// Turns Socket Mode on: commands and presses go through the sockets that an app with this token opens.
    pub fn turn_on_socket_mode(&self, token: &str) {
        self.socket.turn_on(token);
    }

    /// Slack's side of the sockets.
    #[must_use]
    pub fn socket(&self) -> &FakeSocket {
        &self.socket
    }

    /// The Web API, for an app with a bot token.
    #[must_use]
    pub fn web_api(&self) -> &FakeWebApi {
        &self.web_api
    }

    /// Changes with every change of the workspace's state.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.channel.changed.subscribe()
    }

    /// Sends `command` (`/sandbox …`) to the app, and returns its response.
    pub async fn send_command(&self, app: &Url, person: &Person, command: &str) -> DirectResponse {
        let (name, text) = command.split_once(' ').unwrap_or((command, ""));
        let (exchange, ids) = self.start_exchange(UserAction::Typed(command.to_owned()), person, Target::default());
        let form = forms::command(person, name, text, &ids.as_ref());
        if self.socket.is_on() {
            return self.deliver_command(exchange, name, &form, true).await;
        }
        let response = self.post_form(app, COMMANDS, exchange, form).await;
        let show_failure = |reason: &str| self.channel.show_failure(exchange, format!("{name} failed {reason}"));
        let mut message = None;
        match response.status {
            None if response.unreachable => show_failure("with the error \"dispatch_failed\""),
            None => show_failure("because the app did not respond."),
            Some(StatusCode::OK) if response.body.is_empty() => {}
            Some(StatusCode::OK) => match serde_json::from_slice(&response.body) {
                Ok(body) => {
                    message = self
                        .channel
                        .accept(exchange, DeliveryPath::Response, Target::default(), body);
                }
                Err(_) => self.channel.record_violation("the response to a command is not JSON"),
            },
            Some(status) if status.is_client_error() => show_failure("with the error \"http_client_error\""),
            Some(_) => show_failure("with the error \"http_service_error\""),
        }
        DirectResponse {
            exchange,
            status: response.status,
            message,
            took: response.took,
        }
    }

    /// Sends `command` through the socket in an envelope whose acknowledgement may contain no message.
    pub async fn send_command_accepting_no_message(&self, person: &Person, command: &str) -> DirectResponse {
        let (name, text) = command.split_once(' ').unwrap_or((command, ""));
        let (exchange, ids) = self.start_exchange(UserAction::Typed(command.to_owned()), person, Target::default());
        let form = forms::command(person, name, text, &ids.as_ref());
        self.deliver_command(exchange, name, &form, false).await
    }

    /// Presses the first button with this action id on a message.
    pub async fn press_button(
        &self,
        app: &Url,
        person: &Person,
        on: &PostedMessage,
        action_id: &str,
    ) -> DirectResponse {
        self.press_button_with_payload(app, person, on, action_id, |_| {}).await
    }

    /// Presses a button like [`press_button`](Self::press_button), with a payload that is changed before it is signed.
    pub async fn press_button_with_payload(
        &self,
        app: &Url,
        person: &Person,
        on: &PostedMessage,
        action_id: &str,
        change: impl FnOnce(&mut Value),
    ) -> DirectResponse {
        let button = rules::indexed_buttons(&on.message).find(|(_, button)| button["action_id"] == action_id);
        let (block, value) = button.map_or((0, Value::Null), |(block, button)| (block, button["value"].clone()));
        self.send_press(app, person, on, button_ref(block, action_id), value, change)
            .await
    }

    /// Presses a button, but sends `value` instead of the button's own value.
    pub async fn press_button_with_value(
        &self,
        app: &Url,
        person: &Person,
        on: &PostedMessage,
        action_id: &str,
        value: Value,
    ) -> DirectResponse {
        self.send_press(app, person, on, button_ref(0, action_id), value, |_| {})
            .await
    }

    /// Presses exactly this button of a message. `None` if there is no such message or button.
    pub async fn press_button_at(
        &self,
        app: &Url,
        person: &Person,
        message: u64,
        button: ButtonRef,
    ) -> Option<DirectResponse> {
        let on = self.channel.state().conversation.get(&message)?.clone();
        let value = rules::indexed_buttons(&on.message)
            .find(|(block, found)| *block == button.block && found["action_id"] == button.action_id.as_str())
            .map(|(_, found)| found["value"].clone())?;
        Some(self.send_press(app, person, &on, button, value, |_| {}).await)
    }

    async fn send_press(
        &self,
        app: &Url,
        person: &Person,
        on: &PostedMessage,
        button: ButtonRef,
        value: Value,
        change: impl FnOnce(&mut Value),
    ) -> DirectResponse {
        let person = &Person {
            channel: if on.channel.starts_with('D') {
                &on.channel
            } else {
                &person.channel
            }
            .clone(),
            ..person.clone()
        };
        let act = UserAction::Pressed(button.action_id.clone());
        let target = Target {
            pressed: Some(on.id),
            thread: on.thread,
        };
        let (exchange, ids) = self.start_exchange(act, person, target);
        let form = forms::press(person, on, &button, &value, &ids.as_ref(), change);
        let sent = self.send_interaction(app, exchange, form).await;
        if sent.status != Some(StatusCode::OK) {
            self.channel.mark_unacknowledged(on.id, button);
        }
        sent
    }

    /// Chooses a shortcut of the app in the menu of a message.
    pub async fn choose_shortcut(
        &self,
        app: &Url,
        person: &Person,
        on: &PostedMessage,
        callback_id: &str,
    ) -> DirectResponse {
        self.choose_shortcut_with_payload(app, person, on, callback_id, |_| {})
            .await
    }

    /// Chooses a shortcut, with a payload that is changed before it is signed.
    pub async fn choose_shortcut_with_payload(
        &self,
        app: &Url,
        person: &Person,
        on: &PostedMessage,
        callback_id: &str,
        change: impl FnOnce(&mut Value),
    ) -> DirectResponse {
        if on.is_ephemeral() {
            self.channel
                .record_violation("a message that only one person sees has no shortcuts");
        }
        let target = Target {
            pressed: None,
            thread: on.thread,
        };
        let act = UserAction::Chosen(callback_id.to_owned());
        let (exchange, ids) = self.start_exchange(act, person, target);
        let form = forms::shortcut(person, on, callback_id, &ids.as_ref(), change);
        let sent = self.send_interaction(app, exchange, form).await;
        if sent.status != Some(StatusCode::OK) {
            let failure = "The shortcut failed because the app did not respond.";
            self.channel.show_failure(exchange, failure.to_owned());
        }
        sent
    }

    /// Sends an interaction, whose acknowledgement must be empty.
    async fn send_interaction(&self, app: &Url, exchange: u64, form: String) -> DirectResponse {
        if self.socket.is_on() {
            let (status, took) = self.deliver_interaction(exchange, &form).await;
            return DirectResponse {
                exchange,
                status,
                message: None,
                took,
            };
        }
        let response = self.post_form(app, INTERACTIONS, exchange, form).await;
        if response.status == Some(StatusCode::OK) && !response.body.is_empty() {
            self.channel
                .record_violation("the response to an interaction has a body");
        }
        DirectResponse {
            exchange,
            status: response.status,
            message: None,
            took: response.took,
        }
    }

    /// Submits a form with these values of its fields, by their ids. `None` if no such form was opened, or a required field
    /// is empty, which Slack does not send.
    pub async fn submit_form(
        &self,
        app: &Url,
        person: &Person,
        view: &str,
        values: &[(String, String)],
    ) -> Option<FormResponse> {
        self.submit_form_with_payload(app, person, view, values, |_| {}).await
    }

    /// Submits a form, with a payload that is changed before it is signed.
    pub async fn submit_form_with_payload(
        &self,
        app: &Url,
        person: &Person,
        view: &str,
        values: &[(String, String)],
        change: impl FnOnce(&mut Value),
    ) -> Option<FormResponse> {
        let opened = self
            .web_api
            .opened_views()
            .into_iter()
            .find(|opened| opened.id == view)?;
        let is_filled = |id: &str| values.iter().any(|(field, value)| field == id && !value.is_empty());
        let mut fields = opened.view["blocks"]
            .as_array()?
            .iter()
            .filter(|block| block["type"] == "input");
        if !fields.all(|field| field["optional"] == true || is_filled(field["block_id"].as_str().unwrap_or_default())) {
            return None;
        }
        let callback_id = opened.view["callback_id"].as_str().unwrap_or_default();
        let act = UserAction::Submitted(callback_id.to_owned());
        let (exchange, ids) = self.start_exchange(act, person, Target::default());
        let form = forms::submission(person, &opened, values, &ids.as_ref(), change);
        let (status, body) = if self.socket.is_on() {
            let payload = form_urlencoded::parse(form.as_bytes()).next();
            let payload = payload.and_then(|(_, payload)| serde_json::from_str(&payload).ok());
            let (answer, _) = self
                .deliver(exchange, "interactive", payload.unwrap_or_default(), true)
                .await;
            let body = answer.as_ref().and_then(|payloads| payloads.first()).cloned();
            (answer.map(|_| StatusCode::OK), body.unwrap_or_default())
        } else {
            let response = self.post_form(app, INTERACTIONS, exchange, form).await;
            let body = match &response.body {
                body if body.is_empty() => Value::Null,
                body => serde_json::from_slice(body).unwrap_or_else(|_| "not JSON".into()),
            };
            (response.status, body)
        };
        for rule in views::response_violations(&body, &opened.view) {
            self.channel.record_violation(&rule);
        }
        if status == Some(StatusCode::OK) {
            self.web_api.update_view(view, |opened| {
                opened.is_open = !body.is_null();
                opened.errors = body["errors"].clone();
            });
        }
        Some(FormResponse {
            exchange,
            status,
            errors: body["errors"].clone(),
        })
    }

    /// Closes a form without submitting it. The app is not told.
    pub fn close_form(&self, view: &str) {
        self.web_api.update_view(view, |opened| opened.is_open = false);
    }

    /// Adds a message that a person writes: in the channel, or in the thread of another message.
    #[must_use]
    pub fn write_message(&self, person: &Person, text: &str, thread: Option<u64>) -> PostedMessage {
        self.channel.add_written(forms::written(person, text), thread)
    }

    /// Adds a message to the channel, as if the app had shared it earlier.
    #[must_use]
    pub fn add_shared_message(&self, message: Value) -> PostedMessage {
        self.channel.add_shared(message)
    }

    /// Adds the picture at this address, as if it had been fetched.
    pub(super) fn add_picture(&self, address: &str, png: Bytes) {
        self.channel.pictures.add(address, png);
    }

    /// Addresses of those pictures of a message that have been fetched.
    #[must_use]
    pub fn fetched_pictures<'m>(&self, message: &'m Value) -> Vec<&'m str> {
        rules::pictures(message)
            .filter(|address| self.picture(address).is_some())
            .collect()
    }

    /// The fetched PNG of the picture at this address.
    #[must_use]
    pub fn picture(&self, address: &str) -> Option<Bytes> {
        self.channel.pictures.copy(address)
    }

    /// Rejects the next post to a `response_url` with `status` and, where given, `Retry-After` in seconds.
    pub fn reject_next_post(&self, status: StatusCode, retry_after: Option<u64>) {
        let rejection = Some((status, retry_after));
        self.channel.state().next_faults.push_back(rejection);
    }

    /// Accepts the next post to a `response_url`, whatever faults are set for those after it.
    pub fn accept_next_post(&self) {
        self.channel.state().next_faults.push_back(None);
    }

    /// Accepts only about one post per second and channel from now on, as Slack does: 3 at once, then 429 with
    /// `Retry-After: 1`.
    pub fn limit_channels(&self) {
        self.channel.state().limits_channels = true;
    }

    /// Forgets how many messages channels have got lately, as after the clock was set back.
    pub(super) fn clear_channel_limits(&self) {
        self.channel.state().paid_off_at.clear();
    }

    /// While `stalled`, posts to `response_url`s are accepted but get no response.
    pub fn stall_responses(&self, stalled: bool) {
        self.channel.responses_stalled.send_replace(stalled);
    }

    /// Waits for a message that replies to this command or press, and returns the latest one.
    pub async fn wait_for_reply(&self, exchange: u64) -> PostedMessage {
        self.wait_until(|state| {
            let mut latest_first = state.conversation.values().rev();
            latest_first.find(|posted| posted.exchange == exchange).cloned()
        })
        .await
    }

    /// Waits for the message after this one for the same command or press, such as the notification of a watch.
    pub async fn next_message(&self, posted: &PostedMessage) -> PostedMessage {
        self.wait_until(|state| {
            let mut later = state.conversation.range(posted.id + 1..).map(|(_, later)| later);
            later.find(|later| later.exchange == posted.exchange).cloned()
        })
        .await
    }

    /// Waits until another exchange has replaced this message, and returns the new one.
    pub async fn wait_for_replacement(&self, posted: &PostedMessage) -> PostedMessage {
        self.wait_until(|state| {
            let current = state.conversation.get(&posted.id)?;
            (current.exchange != posted.exchange).then(|| current.clone())
        })
        .await
    }

    /// Waits for `count` posts to `response_url`s in all, accepted or not.
    pub async fn wait_for_posts(&self, count: usize) {
        self.wait_until(|state| (state.posts.len() >= count).then_some(()))
            .await;
    }

    async fn wait_until<T>(&self, find: impl Fn(&State) -> Option<T>) -> T {
        let mut changed = self.subscribe();
        loop {
            let found = find(&self.channel.state());
            match found {
                Some(found) => return found,
                // Cannot fail: `self` owns the sender.
                None => drop(changed.changed().await),
            }
        }
    }

    /// Number of posts to `response_url`s, accepted or not.
    #[must_use]
    pub fn post_count(&self) -> usize {
        self.channel.state().posts.len()
    }

    /// All messages that are in the conversation now.
    #[must_use]
    pub fn conversation(&self) -> Vec<PostedMessage> {
        self.channel.state().conversation.values().cloned().collect()
    }

    /// Forgets all messages, but not how many each command or press got.
    pub fn forget_conversation(&self) {
        self.channel.state().conversation.clear();
    }

    /// Slack's error messages about failed commands.
    #[must_use]
    pub fn failures(&self) -> Vec<FailureNotice> {
        self.channel.state().failures.clone()
    }

    /// The button of this message whose last press was not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self, message: u64) -> Option<ButtonRef> {
        self.channel.state().unacknowledged.get(&message).cloned()
    }

    /// The command or press with this number, if it is still in memory.
    #[must_use]
    pub fn exchange(&self, number: u64) -> Option<Exchange> {
        self.channel.state().exchanges.get(&number).cloned()
    }

    /// The number of the latest exchange, or of the latest message that a person wrote.
    pub(super) fn last_number(&self) -> u64 {
        self.channel.state().last_exchange
    }

    /// The latest command or press.
    #[must_use]
    pub fn last_exchange(&self) -> Option<Exchange> {
        self.channel.state().exchanges.values().next_back().cloned()
    }

    /// Everything the app did that violates Slack's rules.
    #[must_use]
    pub fn rule_violations(&self) -> Vec<String> {
        let mut violations = self.channel.state().rule_violations.clone();
        violations.extend(self.socket.violations());
        violations.extend(self.web_api.violations());
        violations
    }

    /// The messages that the app has posted to a person.
    #[must_use]
    pub fn direct_messages(&self, user: &str) -> Vec<PostedMessage> {
        let channel = self.web_api.direct_channel(user);
        let mut messages = self.conversation();
        messages.retain(|posted| Some(&posted.channel) == channel.as_ref());
        messages
    }

    /// Waits until the app has posted so many messages to a person, and returns them.
    pub async fn wait_for_direct_messages(&self, user: &str, count: usize) -> Vec<PostedMessage> {
        let mut changed = self.subscribe();
        loop {
            let messages = self.direct_messages(user);
            if messages.len() >= count {
                return messages;
            }
            // Cannot fail: `self` owns the sender.
            drop(changed.changed().await);
        }
    }

    fn start_exchange(&self, act: UserAction, person: &Person, target: Target) -> (u64, Ids) {
        let (exchange, token) = self.channel.start_exchange(act, &person.channel, target);
        let ids = Ids {
            response_url: format!("{}/response/{token}", self.origin()),
            trigger_id: self.web_api.issue_trigger_id(),
        };
        self.web_api.add_person(&person.user);
        self.web_api.add_channel(&person.channel);
        (exchange, ids)
    }

    /// Sends a command through the socket.
    async fn deliver_command(&self, exchange: u64, name: &str, form: &str, accepts_message: bool) -> DirectResponse {
        let fields = form_urlencoded::parse(form.as_bytes()).map(|(name, value)| (name.into_owned(), value.into()));
        let payload = Value::Object(fields.collect());
        let (answer, took) = self.deliver(exchange, "slash_commands", payload, accepts_message).await;
        let mut message = None;
        match &answer {
            Some(payloads) => {
                for payload in payloads {
                    message = self
                        .channel
                        .accept(exchange, DeliveryPath::Response, Target::default(), payload.clone());
                }
            }
            None => self
                .channel
                .show_failure(exchange, format!("{name} failed because the app did not respond.")),
        }
        DirectResponse {
            exchange,
            status: answer.map(|_| StatusCode::OK),
            message,
            took,
        }
    }

    /// Delivers a command that went through the socket again, under another envelope id. Returns the messages in the
    /// acknowledgement; `None` if there was none in time.
    pub async fn redeliver_command(&self, exchange: u64) -> Option<Vec<Value>> {
        let request = self.exchange(exchange)?.request?;
        let payloads = self.socket.deliver(request.path, &request.fields, true).await?;
        for payload in &payloads {
            self.channel
                .accept(exchange, DeliveryPath::Response, Target::default(), payload.clone());
        }
        Some(payloads)
    }

    /// Sends an interaction through the socket. The status is `None` if it was not acknowledged.
    async fn deliver_interaction(&self, exchange: u64, form: &str) -> (Option<StatusCode>, Duration) {
        let payload = form_urlencoded::parse(form.as_bytes()).next();
        let payload = payload.and_then(|(_, payload)| serde_json::from_str(&payload).ok());
        let (answer, took) = self
            .deliver(exchange, "interactive", payload.unwrap_or_default(), false)
            .await;
        (answer.map(|_| StatusCode::OK), took)
    }

    async fn deliver(
        &self,
        exchange: u64,
        kind: &'static str,
        payload: Value,
        accepts_payload: bool,
    ) -> (Option<Vec<Value>>, Duration) {
        let began = tokio::time::Instant::now();
        let request = SlackRequest::of_envelope(kind, payload.clone());
        self.channel
            .update_exchange(exchange, |exchange| exchange.request = Some(request));
        let answer = self.socket.deliver(kind, &payload, accepts_payload).await;
        let status = answer.as_ref().map(|_| StatusCode::OK);
        let payload = answer.as_ref().and_then(|payloads| payloads.first());
        let body = payload.map(ToString::to_string).unwrap_or_default();
        self.channel.update_exchange(exchange, |exchange| {
            exchange.record_reply(DeliveryPath::Response, status, body.as_bytes());
        });
        (answer, began.elapsed())
    }

    /// Signs a form and posts it to the app.
    async fn post_form(&self, app: &Url, path: &'static str, exchange: u64, form: String) -> RawResponse {
        let timestamp = self.channel.clock.now().as_second().to_string();
        let signature = sign(&self.secret, &timestamp, form.as_bytes());
        let request = SlackRequest::new(path, &timestamp, &signature, &form);
        self.channel
            .update_exchange(exchange, |exchange| exchange.request = Some(request));
        let mut url = app.clone();
        url.set_path(path);
        let began = tokio::time::Instant::now();
        let sending = async {
            let response = self
                .http
                .post(url)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(TIMESTAMP_HEADER, timestamp)
                .header(SIGNATURE_HEADER, signature)
                .body(form)
                .send()
                .await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        };
        let result = tokio::time::timeout(RESPONSE_TIMEOUT, sending).await;
        let unreachable = matches!(&result, Ok(Err(error)) if error.is_connect());
        let (status, body) = match result {
            Ok(Ok((status, body))) => (Some(status), body),
            _ => (None, Bytes::new()),
        };
        self.channel.update_exchange(exchange, |exchange| {
            exchange.record_reply(DeliveryPath::Response, status, &body);
        });
        RawResponse {
            status,
            unreachable,
            body,
            took: began.elapsed(),
        }
    }
}

/// What Slack gives a request.
struct Ids {
    response_url: String,
    trigger_id: String,
}

impl Ids {
    fn as_ref(&self) -> RequestIds<'_> {
        RequestIds {
            response_url: &self.response_url,
            trigger_id: &self.trigger_id,
        }
    }
}

struct RawResponse {
    /// `None` on a timeout or a connection error.
    status: Option<StatusCode>,
    /// Whether the connection could not be made.
    unreachable: bool,
    body: Bytes,
    took: Duration,
}

fn button_ref(block: usize, action_id: &str) -> ButtonRef {
    ButtonRef {
        block,
        action_id: action_id.to_owned(),
    }
}
