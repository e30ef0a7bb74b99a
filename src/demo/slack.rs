//! FakeSlack: a workspace with one channel, over real HTTP. It signs what is typed and pressed, takes what comes
//! back, and holds the app to Slack's rules.

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

use super::channel::{ButtonRef, Channel, Posted};
use super::exchange::{Act, Request, Way};
use super::forms::{self, Person};
use super::pictures::Pictures;
use super::response_urls;
use super::rules;
use crate::clock::Clock;
use crate::routes::{COMMANDS, INTERACTIONS};
use crate::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};

/// How long Slack waits for an answer.
const DEADLINE: Duration = Duration::from_secs(3);

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
    pub(super) channel: Arc<Channel>,
    http: Client,
    secret: SecretString,
    own_url: Url,
    _serving: AbortOnDropHandle<()>,
}

impl FakeSlack {
    /// Serves `response_url`s on `listener`, and signs with `secret` by `clock`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, http: Client, secret: SecretString, clock: Clock) -> io::Result<Self> {
        let own_url = Url::parse(&format!("http://{}", listener.local_addr()?)).map_err(io::Error::other)?;
        let channel = Arc::new(Channel::new(clock, Pictures::new(http.clone())));
        let routes = Router::new()
            .route("/response/{token}", post(response_urls::receive))
            .with_state(Arc::clone(&channel));
        let serving = tokio::spawn(super::serve(listener, routes));
        Ok(Self {
            channel,
            http,
            secret,
            own_url,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// The origin of every `response_url`, to give as `SLACK_RESPONSE_HOSTS`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.own_url.origin().ascii_serialization()
    }

    /// Changes whenever something happens in the channel.
    #[must_use]
    pub fn happenings(&self) -> watch::Receiver<u64> {
        self.channel.happened.subscribe()
    }

    /// Types `command` (`/sandbox …`) into the channel, and waits for the app's direct answer.
    pub async fn types(&self, app: &Url, person: &Person, command: &str) -> Sent {
        let (name, text) = command.split_once(' ').unwrap_or((command, ""));
        let (exchange, response_url) = self.open_letterbox(Act::Typed(command.to_owned()), None);
        let form = forms::command(person, name, text, &response_url);
        let answer = self.send(app, COMMANDS, exchange, form).await;
        let failed = |error| {
            self.channel
                .failed(exchange, format!("{name} failed with the error \"{error}\""))
        };
        let message = match answer.status {
            None if answer.unreachable => failed("dispatch_failed"),
            None => self
                .channel
                .failed(exchange, format!("{name} failed because the app did not respond.")),
            Some(StatusCode::OK) if answer.body.is_empty() => None,
            Some(StatusCode::OK) => match serde_json::from_slice(&answer.body) {
                Ok(message) => self.channel.take(exchange, Way::Response, None, message),
                Err(_) => self
                    .channel
                    .broke("a command was answered with something that is no JSON"),
            },
            Some(status) if status.is_client_error() => failed("http_client_error"),
            Some(_) => failed("http_service_error"),
        };
        Sent {
            exchange,
            status: answer.status,
            message,
            took: answer.took,
        }
    }

    /// Presses the first button with this action id on a message.
    pub async fn presses(&self, app: &Url, person: &Person, on: &Posted, action_id: &str) -> Sent {
        let button = rules::placed_buttons(&on.message).find(|(_, button)| button["action_id"] == action_id);
        let (block, value) = button.map_or((0, Value::Null), |(block, button)| (block, button["value"].clone()));
        self.press(app, person, on, place(block, action_id), value).await
    }

    /// Presses a button whose value is not what the message says.
    pub async fn presses_with(&self, app: &Url, person: &Person, on: &Posted, action_id: &str, value: Value) -> Sent {
        self.press(app, person, on, place(0, action_id), value).await
    }

    /// Presses just this button of a message. `None` if the message is not there, or has no such button.
    pub async fn presses_at(&self, app: &Url, person: &Person, message: u64, button: ButtonRef) -> Option<Sent> {
        let on = self.channel.state().conversation.get(&message)?.clone();
        let value = rules::placed_buttons(&on.message)
            .find(|(block, found)| *block == button.block && found["action_id"] == button.action_id.as_str())
            .map(|(_, found)| found["value"].clone())?;
        Some(self.press(app, person, &on, button, value).await)
    }

    async fn press(&self, app: &Url, person: &Person, on: &Posted, button: ButtonRef, value: Value) -> Sent {
        let act = Act::Pressed(button.action_id.clone());
        let (exchange, response_url) = self.open_letterbox(act, Some(on.id));
        let form = forms::press(person, on, &button, &value, &response_url);
        let answer = self.send(app, INTERACTIONS, exchange, form).await;
        if answer.status != Some(StatusCode::OK) {
            self.channel.warn(on.id, button);
        } else if !answer.body.is_empty() {
            self.channel.broke("a press was acknowledged with a body");
        }
        Sent {
            exchange,
            status: answer.status,
            message: None,
            took: answer.took,
        }
    }

    /// Puts a message into the conversation as if the app had shared it earlier.
    #[must_use]
    pub fn shared_earlier(&self, message: Value) -> Posted {
        self.channel.shared_earlier(message)
    }

    /// Fetches the pictures of a message, as for one that it takes. False if one cannot be had.
    pub async fn fetches(&self, message: &Value) -> bool {
        self.channel.pictures.fetch(message).await
    }

    /// The addresses of those pictures of a message of which it has a copy.
    #[must_use]
    pub fn pictures<'m>(&self, message: &'m Value) -> Vec<&'m str> {
        rules::pictures(message)
            .filter(|address| self.picture(address).is_some())
            .collect()
    }

    /// The copy of the picture at this address, if it has one.
    #[must_use]
    pub fn picture(&self, address: &str) -> Option<Bytes> {
        self.channel.pictures.copy(address)
    }

    /// The next post to a `response_url` is answered with `status`, and `Retry-After` seconds where given.
    pub fn refuse_next(&self, status: StatusCode, retry_after: Option<u64>) {
        let refused = Some((status, retry_after));
        self.channel.state().next_faults.push_back(refused);
    }

    /// The next post to a `response_url` is taken, whatever those after it meet.
    pub fn take_next(&self) {
        self.channel.state().next_faults.push_back(None);
    }

    /// From now on messages to `response_url`s are taken, but as long as Slack `waits`, no post is answered.
    pub fn keeps_waiting(&self, waits: bool) {
        self.channel.keeps_waiting.send_replace(waits);
    }

    fn open_letterbox(&self, act: Act, pressed: Option<u64>) -> (u64, String) {
        let (exchange, token) = self.channel.begin(act, pressed);
        (exchange, format!("{}/response/{token}", self.origin()))
    }

    async fn send(&self, app: &Url, path: &'static str, exchange: u64, form: String) -> Direct {
        let stamp = self.channel.clock.now().as_second().to_string();
        let signature = sign(&self.secret, &stamp, form.as_bytes());
        let request = Request::new(path, &stamp, &signature, &form);
        self.channel.note(exchange, |exchange| exchange.request = Some(request));
        let mut url = app.clone();
        url.set_path(path);
        let began = tokio::time::Instant::now();
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
        let answer = tokio::time::timeout(DEADLINE, sending).await;
        let unreachable = matches!(&answer, Ok(Err(error)) if error.is_connect());
        let (status, body) = match answer {
            Ok(Ok((status, body))) => (Some(status), body),
            _ => (None, Bytes::new()),
        };
        self.channel
            .note(exchange, |exchange| exchange.answer(Way::Response, status, &body));
        Direct {
            status,
            unreachable,
            body,
            took: began.elapsed(),
        }
    }
}

/// The app's direct answer.
struct Direct {
    status: Option<StatusCode>,
    /// Whether there was nobody to answer.
    unreachable: bool,
    body: Bytes,
    took: Duration,
}

fn place(block: usize, action_id: &str) -> ButtonRef {
    ButtonRef {
        block,
        action_id: action_id.to_owned(),
    }
}
