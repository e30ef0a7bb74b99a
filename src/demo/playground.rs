//! HTTP handlers of the playground: a page to type commands, press buttons, choose shortcuts and inject faults into
//! Kapso.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::demo_server::CHANNELS;
use super::exchange::milliseconds;
use super::{ButtonRef, DemoServer, Exchange, PostedMessage, faults, gallery, rules, security_headers};
use crate::commands::{CommandWord, Shortcut};

/// Embedded files: path, content type, content.
const FILES: [(&str, &str, &str); 13] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/gallery", HTML, include_str!("page/gallery.html")),
    (
        "/page/style.css",
        "text/css; charset=utf-8",
        include_str!("page/style.css"),
    ),
    ("/page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/page/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/page/page.js", SCRIPT, include_str!("page/page.js")),
    ("/page/conversation.js", SCRIPT, include_str!("page/conversation.js")),
    ("/page/form.js", SCRIPT, include_str!("page/form.js")),
    ("/page/menu.js", SCRIPT, include_str!("page/menu.js")),
    ("/page/panel.js", SCRIPT, include_str!("page/panel.js")),
    ("/page/blocks.js", SCRIPT, include_str!("page/blocks.js")),
    ("/page/mrkdwn.js", SCRIPT, include_str!("page/mrkdwn.js")),
    ("/page/gallery.js", SCRIPT, include_str!("page/gallery.js")),
];
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const NOT_A_COMMAND: &str = "a command begins with a slash, such as /sandbox help";
/// What Slack says, in other words.
const NOT_IN_THREADS: &str = "slash commands do not work in threads; type it in the channel";
/// Longest message that a person writes, in characters.
const WRITTEN_MAX: usize = 4_000;
/// Largest clock step, in minutes.
const MINUTES_MAX: i64 = 366 * 24 * 60;
/// Number of requests to Kapso that the page shows, at most.
const REQUESTS_SHOWN: usize = 12;

pub(super) fn routes(server: Arc<DemoServer>) -> Router {
    let mut router = Router::new()
        .route("/state", get(state))
        .route("/events", get(events))
        .route("/gallery/views", get(views))
        .route("/picture", get(picture))
        .route("/type", post(send_command))
        .route("/press", post(press_button))
        .route("/shortcut", post(choose_shortcut))
        .route("/form/submit", post(submit_form))
        .route("/form/close", post(close_form))
        .route("/kapso/sessions/{id}/{change}", post(change_session))
        .route("/kapso/fault", post(set_fault))
        .route("/channel", post(show_channel))
        .route("/clock", post(advance_clock))
        .route("/reset", post(reset));
    for (path, content_type, content) in FILES {
        router = router.route(
            path,
            get(async move || ([(header::CONTENT_TYPE, content_type)], content)),
        );
    }
    router
        .layer(middleware::from_fn(security_headers::apply))
        .with_state(server)
}

/// The state that the page shows, as JSON.
async fn state(State(server): State<Arc<DemoServer>>) -> Response {
    json_response(StatusCode::OK, &snapshot(&server))
}

fn snapshot(server: &DemoServer) -> Value {
    let exchange = server.slack.last_exchange();
    let exchange = exchange.filter(|exchange| server.is_current(exchange.number));
    let mut requests = server.project().last_requests(REQUESTS_SHOWN);
    requests.retain(|request| {
        exchange
            .as_ref()
            .is_some_and(|exchange| request.began >= exchange.began)
    });
    let mut lines: Vec<(u64, Value)> = Vec::new();
    for posted in server.slack.conversation() {
        if !server.is_shown(&posted) {
            continue;
        }
        let exchange = server.slack.exchange(posted.exchange);
        let mut line = json!(posted);
        line["from_memory"] = json!(
            exchange
                .as_ref()
                .is_some_and(|exchange| is_from_memory(server, exchange, &posted))
        );
        line["act"] = json!(exchange.map(|exchange| exchange.act));
        line["pictures"] = json!(server.slack.fetched_pictures(&posted.message));
        line["unacknowledged"] = json!(server.slack.unacknowledged(posted.id));
        lines.push((posted.id, line));
    }
    lines.extend(
        server
            .slack
            .failures()
            .into_iter()
            .filter(|failure| server.is_current(failure.exchange))
            .map(|failure| (failure.id, json!(failure))),
    );
    lines.sort_by_key(|(id, _)| *id);
    let shortcut = |shortcut: &Shortcut| json!({"callback_id": shortcut.callback_id(), "name": shortcut.name()});
    let shortcuts: Vec<Value> = Shortcut::ALL.iter().map(shortcut).collect();
    json!({
        "command": {"name": DemoServer::COMMAND, "hint": CommandWord::hint()},
        "shortcuts": shortcuts,
        "form": open_form(server),
        "socket": server.slack.socket().is_on(),
        "bot": server.has_bot,
        "now_ms": server.clock.now().as_millisecond(),
        "conversation": lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>(),
        "fault": server.fault_name(),
        "faults": faults::ALL.map(|fault| json!({"name": fault.name, "label": fault.label, "effect": fault.effect})),
        "channel": server.channel().name,
        "channels": CHANNELS.map(|channel| json!({"name": channel.name, "label": format!("#{}", channel.name), "effect": channel.effect})),
        "sessions": server.project().sessions().into_values().collect::<Vec<_>>(),
        "requests": requests,
        "exchange": exchange,
    })
}

/// The form that is open, without what only the app may read.
fn open_form(server: &DemoServer) -> Value {
    let mut views = server.slack.web_api().opened_views().into_iter();
    let Some(opened) = views.rfind(|opened| opened.is_open) else {
        return Value::Null;
    };
    let mut view = opened.view;
    if let Some(fields) = view.as_object_mut() {
        fields.remove("private_metadata");
    }
    json!({"id": opened.id, "view": view})
}

/// Whether the message shows a session that the service remembered: Kapso was not asked in the time until it came.
fn is_from_memory(server: &DemoServer, exchange: &Exchange, posted: &PostedMessage) -> bool {
    let arrived = exchange.began + Duration::from_millis(posted.after_ms + 1);
    rules::shows_session(&posted.message) && {
        let projects = [&server.kapso, &server.staging];
        !projects
            .iter()
            .any(|project| project.was_asked(exchange.began, arrived))
    }
}

/// Server-sent events: the whole state, now and after every change. A slow page may skip intermediate states, never the
/// latest one.
async fn events(State(server): State<Arc<DemoServer>>) -> Response {
    let stream = Body::from_stream(states(server));
    ([(header::CONTENT_TYPE, "text/event-stream")], stream).into_response()
}

fn states(server: Arc<DemoServer>) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let receivers = (
        server.slack.subscribe(),
        server.kapso.subscribe(),
        server.staging.subscribe(),
        server.changed.subscribe(),
    );
    stream::unfold((server, receivers, true), async |(server, mut receivers, first)| {
        if !first {
            let (slack, kapso, staging, other) = &mut receivers;
            let result = tokio::select! {
                result = slack.changed() => result,
                result = kapso.changed() => result,
                result = staging.changed() => result,
                result = other.changed() => result,
            };
            result.ok()?;
        }
        let event = format!("data: {}\n\n", snapshot(&server));
        Some((Ok(Bytes::from(event)), (server, receivers, false)))
    })
}

/// The views of the gallery, as JSON.
async fn views(State(server): State<Arc<DemoServer>>) -> Response {
    let now = server.clock.now();
    let mut groups = gallery::groups(now, &server.qr);
    let picture = gallery::picture(now).map(Bytes::from).unwrap_or_default();
    for view in groups.iter_mut().flat_map(|group| &mut group.views) {
        for address in rules::pictures(&view.message) {
            server.slack.add_picture(address, picture.clone());
        }
        view.pictures = json!(server.slack.fetched_pictures(&view.message));
    }
    json_response(
        StatusCode::OK,
        &json!({"now_ms": now.as_millisecond(), "groups": groups}),
    )
}

/// FakeSlack's copy of a picture in a message. The query parameter `of` is the picture's address.
async fn picture(State(server): State<Arc<DemoServer>>, RawQuery(address): RawQuery) -> Response {
    let address = form_urlencoded::parse(address.unwrap_or_default().as_bytes())
        .find_map(|(name, value)| (name == "of").then(|| value.into_owned()));
    match address.and_then(|address| server.slack.picture(&address)) {
        Some(picture) => ([(header::CONTENT_TYPE, "image/png")], picture).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Typed {
    text: String,
    /// The message in whose thread it is typed.
    thread: Option<u64>,
}

/// Sends a command, or writes a message. The page posts JSON and sees the reply through `/events`; `demo --type` posts
/// plain text, which must be a command, and gets the reply in the response.
async fn send_command(
    State(server): State<Arc<DemoServer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, BadRequest> {
    let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if !headers.get(header::CONTENT_TYPE).is_some_and(is_json) {
        let command = String::from_utf8_lossy(&body);
        return Ok(if command.starts_with('/') {
            server.run_command(&command).await.into_response()
        } else {
            (StatusCode::BAD_REQUEST, NOT_A_COMMAND).into_response()
        });
    }
    let Typed { text, thread } = parse(&body)?;
    let command = text.trim();
    match command.split_whitespace().next() {
        Some(name) if name.starts_with('/') && thread.is_some() => {
            return Err(BadRequest(NOT_IN_THREADS.to_owned()));
        }
        Some(DemoServer::COMMAND) => {}
        Some(name) if name.starts_with('/') => {
            return Err(BadRequest(format!(
                "{name} is not a valid command here; try {} help",
                DemoServer::COMMAND
            )));
        }
        Some(_) if command.chars().count() <= WRITTEN_MAX => {
            return if server.write_message(command, thread) {
                Ok(empty_object())
            } else {
                Err(BadRequest("this message no longer exists".to_owned()))
            };
        }
        Some(_) => return Err(BadRequest("a message has at most 4,000 characters".to_owned())),
        None => return Err(BadRequest("there is nothing to send".to_owned())),
    }
    let forms = server.slack.web_api().opened_views().len();
    let sent = server
        .slack
        .send_command(&server.app_url, &server.person(), command)
        .await;
    let opened_form = server.slack.web_api().opened_views().len() > forms;
    Ok(json_response(
        StatusCode::OK,
        &json!({
            "exchange": sent.exchange,
            "acknowledged": sent.status == Some(StatusCode::OK),
            "replied": sent.message.is_some(),
            "opened_form": opened_form,
            "took_ms": milliseconds(sent.took),
        }),
    ))
}

#[derive(Deserialize)]
struct ButtonPress {
    message: u64,
    block: usize,
    action_id: String,
}

async fn press_button(State(server): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, BadRequest> {
    let press: ButtonPress = parse(&body)?;
    let button = ButtonRef {
        block: press.block,
        action_id: press.action_id,
    };
    let sent = server
        .slack
        .press_button_at(&server.app_url, &server.person_at(press.message), press.message, button)
        .await
        .ok_or_else(|| BadRequest("this button no longer exists".to_owned()))?;
    Ok(json_response(
        StatusCode::OK,
        &json!({"exchange": sent.exchange, "acknowledged": sent.status == Some(StatusCode::OK)}),
    ))
}

#[derive(Deserialize)]
struct ShortcutChoice {
    message: u64,
    callback_id: String,
}

/// Chooses a shortcut in the menu of a message.
async fn choose_shortcut(State(server): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, BadRequest> {
    let ShortcutChoice { message, callback_id } = parse(&body)?;
    let mut conversation = server.slack.conversation().into_iter();
    let Some(on) = conversation.find(|posted| posted.id == message && posted.in_channel) else {
        return Err(BadRequest("this message no longer exists".to_owned()));
    };
    let sent = server
        .slack
        .choose_shortcut(&server.app_url, &server.person(), &on, &callback_id)
        .await;
    Ok(json_response(
        StatusCode::OK,
        &json!({"exchange": sent.exchange, "acknowledged": sent.status == Some(StatusCode::OK)}),
    ))
}

#[derive(Deserialize)]
struct FilledForm {
    view: String,
    values: BTreeMap<String, String>,
}

/// Submits a form. The response has the app's errors at its fields.
async fn submit_form(State(server): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, BadRequest> {
    let FilledForm { view, values } = parse(&body)?;
    let values: Vec<_> = values.into_iter().collect();
    let sent = server
        .slack
        .submit_form(&server.app_url, &server.person(), &view, &values)
        .await
        .ok_or_else(|| BadRequest("this form is not complete, or no longer exists".to_owned()))?;
    Ok(json_response(
        StatusCode::OK,
        &json!({"acknowledged": sent.status == Some(StatusCode::OK), "errors": sent.errors}),
    ))
}

#[derive(Deserialize)]
struct ClosedForm {
    view: String,
}

/// Closes a form without submitting it.
async fn close_form(State(server): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, BadRequest> {
    let ClosedForm { view } = parse(&body)?;
    server.slack.close_form(&view);
    Ok(empty_object())
}

/// Changes a session as a tester, its expiry or another project would.
async fn change_session(
    State(server): State<Arc<DemoServer>>,
    Path((id, change)): Path<(String, String)>,
) -> Result<Response, BadRequest> {
    let kapso = server.project();
    if !kapso.sessions().contains_key(&id) {
        return Err(BadRequest("this session no longer exists".to_owned()));
    }
    match change.as_str() {
        "activate" => {
            kapso.renew(&id);
            kapso.activate(&id);
        }
        "expire" => {
            kapso.end(&id);
            kapso.expire(&id);
        }
        "supersede" => kapso.supersede(&id),
        "delete" => kapso.delete(&id),
        _ => {
            let changes = "a session can be activated, expired, superseded or deleted";
            return Err(BadRequest(changes.to_owned()));
        }
    }
    Ok(empty_object())
}

#[derive(Deserialize)]
struct FaultChoice {
    fault: String,
}

/// Sets or clears Kapso's fault, and releases stalled requests.
#[derive(Deserialize)]
struct ChannelChoice {
    channel: String,
}

async fn show_channel(State(server): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, BadRequest> {
    let ChannelChoice { channel } = parse(&body)?;
    if server.show_channel(&channel) {
        Ok(empty_object())
    } else {
        Err(BadRequest("unknown channel".to_owned()))
    }
}

async fn set_fault(State(server): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, BadRequest> {
    let FaultChoice { fault } = parse(&body)?;
    if server.set_fault(&fault) {
        Ok(empty_object())
    } else {
        Err(BadRequest("unknown fault".to_owned()))
    }
}

#[derive(Deserialize)]
struct ClockStep {
    minutes: i64,
}

/// Advances the clock of Slack, Kapso and the service.
async fn advance_clock(State(server): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, BadRequest> {
    let ClockStep { minutes } = parse(&body)?;
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(BadRequest("the clock goes forward, by at most a year".to_owned()));
    }
    server.advance_clock(SignedDuration::from_mins(minutes));
    Ok(empty_object())
}

/// Sets everything back to the start.
async fn reset(State(server): State<Arc<DemoServer>>) -> Response {
    server.reset().await;
    empty_object()
}

/// Status 400 with `{"error": reason}`.
struct BadRequest(String);

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        json_response(StatusCode::BAD_REQUEST, &json!({ "error": self.0 }))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadRequest> {
    serde_json::from_slice(body)
        .map_err(|_| BadRequest("the request body is not valid JSON for this endpoint".to_owned()))
}

fn empty_object() -> Response {
    json_response(StatusCode::OK, &json!({}))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, body.to_string()).into_response()
}
