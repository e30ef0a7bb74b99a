//! The playground: the demo's own address, with a page to type and press on and to break Kapso from.

use std::sync::Arc;

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

use super::exchange::milliseconds;
use super::{ButtonRef, DemoServer, Person, faults, gallery, security_headers};
use crate::commands::CommandWord;

/// The files of the page: address, type, content.
const FILES: [(&str, &str, &str); 11] = [
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
    ("/page/panel.js", SCRIPT, include_str!("page/panel.js")),
    ("/page/blocks.js", SCRIPT, include_str!("page/blocks.js")),
    ("/page/mrkdwn.js", SCRIPT, include_str!("page/mrkdwn.js")),
    ("/page/gallery.js", SCRIPT, include_str!("page/gallery.js")),
];
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const NOT_A_COMMAND: &str = "a command begins with a slash, such as /sandbox help";
/// How far the clock is moved at once, at most.
const MINUTES_MAX: i64 = 366 * 24 * 60;
/// How many requests to Kapso are shown, at most.
const REQUESTS_SHOWN: usize = 12;

/// What the playground answers at.
pub(super) fn routes(house: Arc<DemoServer>) -> Router {
    let mut router = Router::new()
        .route("/state", get(state))
        .route("/events", get(events))
        .route("/gallery/views", get(views))
        .route("/picture", get(picture))
        .route("/type", post(typed))
        .route("/press", post(pressed))
        .route("/kapso/sessions/{id}/{change}", post(session_changes))
        .route("/kapso/fault", post(fault))
        .route("/clock", post(clock));
    for (address, kind, text) in FILES {
        router = router.route(address, get(async move || ([(header::CONTENT_TYPE, kind)], text)));
    }
    router
        .layer(middleware::from_fn(security_headers::guard))
        .with_state(house)
}

/// Everything that the page shows.
async fn state(State(house): State<Arc<DemoServer>>) -> Response {
    json_answer(StatusCode::OK, &snapshot(&house))
}

fn snapshot(house: &DemoServer) -> Value {
    let exchange = house.slack.last_exchange();
    let mut requests = house.kapso.last_requests(REQUESTS_SHOWN);
    requests.retain(|asked| exchange.as_ref().is_some_and(|exchange| asked.began >= exchange.began));
    let mut lines: Vec<(u64, Value)> = Vec::new();
    for posted in house.slack.conversation() {
        let exchange = house.slack.exchange(posted.exchange);
        let mut line = json!(posted);
        line["act"] = json!(exchange.map(|exchange| exchange.act));
        line["pictures"] = json!(house.slack.pictures(&posted.message));
        line["unacknowledged"] = json!(house.slack.unacknowledged(posted.id));
        lines.push((posted.id, line));
    }
    lines.extend(
        house
            .slack
            .failures()
            .into_iter()
            .map(|failed| (failed.id, json!(failed))),
    );
    lines.sort_by_key(|(id, _)| *id);
    json!({
        "command": {"name": DemoServer::COMMAND, "hint": CommandWord::hint()},
        "now_ms": house.clock.now().as_millisecond(),
        "conversation": lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>(),
        "fault": house.fault(),
        "faults": faults::ALL.map(|fault| json!({"name": fault.name, "label": fault.label, "what": fault.what})),
        "sessions": house.kapso.sessions().into_values().collect::<Vec<_>>(),
        "requests": requests,
        "exchange": exchange,
    })
}

/// Server-sent events: the whole state, now and whenever something has changed. A page that falls behind misses
/// nothing but what was replaced meanwhile.
async fn events(State(house): State<Arc<DemoServer>>) -> Response {
    let stream = Body::from_stream(states(house));
    ([(header::CONTENT_TYPE, "text/event-stream")], stream).into_response()
}

fn states(house: Arc<DemoServer>) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let watched = (
        house.slack.happenings(),
        house.kapso.happenings(),
        house.touched.subscribe(),
    );
    stream::unfold((house, watched, true), async |(house, mut watched, first)| {
        if !first {
            let (slack, kapso, touched) = &mut watched;
            let changed = tokio::select! {
                changed = slack.changed() => changed,
                changed = kapso.changed() => changed,
                changed = touched.changed() => changed,
            };
            changed.ok()?;
        }
        let event = format!("data: {}\n\n", snapshot(&house));
        Some((Ok(Bytes::from(event)), (house, watched, false)))
    })
}

/// Every view in every state.
async fn views(State(house): State<Arc<DemoServer>>) -> Response {
    let now = house.clock.now();
    let mut groups = gallery::groups(now, &house.qr);
    for view in groups.iter_mut().flat_map(|group| &mut group.views) {
        // Without its picture it is shown all the same.
        let _ = house.slack.fetches(&view.message).await;
        view.pictures = json!(house.slack.pictures(&view.message));
    }
    json_answer(
        StatusCode::OK,
        &json!({"now_ms": now.as_millisecond(), "groups": groups}),
    )
}

/// Slack's copy of a picture in a message; the query is the picture's own address.
async fn picture(State(house): State<Arc<DemoServer>>, RawQuery(address): RawQuery) -> Response {
    let address = form_urlencoded::parse(address.unwrap_or_default().as_bytes())
        .find_map(|(name, value)| (name == "of").then(|| value.into_owned()));
    match address.and_then(|address| house.slack.picture(&address)) {
        Some(picture) => ([(header::CONTENT_TYPE, "image/png")], picture).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Deserialize)]
struct Typed {
    text: String,
}

/// A command is typed: on the page as JSON, or as plain text by `demo --type`, which waits for the answer.
async fn typed(State(house): State<Arc<DemoServer>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refused> {
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    if !headers.get(header::CONTENT_TYPE).is_some_and(is_json) {
        let command = String::from_utf8_lossy(&body);
        return Ok(if command.starts_with('/') {
            house.ask(&command).await.into_response()
        } else {
            (StatusCode::BAD_REQUEST, NOT_A_COMMAND).into_response()
        });
    }
    let Typed { text } = parsed(&body)?;
    let command = text.trim();
    match command.split_whitespace().next() {
        Some(DemoServer::COMMAND) => {}
        Some(name) if name.starts_with('/') => {
            return Err(Refused(format!(
                "{name} is not a valid command here; try {} help",
                DemoServer::COMMAND
            )));
        }
        _ => return Err(Refused(NOT_A_COMMAND.to_owned())),
    }
    let person = Person::default();
    let sent = house.slack.types(&house.app_url, &person, command).await;
    Ok(json_answer(
        StatusCode::OK,
        &json!({
            "exchange": sent.exchange,
            "acknowledged": sent.status == Some(StatusCode::OK),
            "answered": sent.message.is_some(),
            "took_ms": milliseconds(sent.took),
        }),
    ))
}

#[derive(Deserialize)]
struct Pressed {
    message: u64,
    block: usize,
    action_id: String,
}

/// A button is pressed.
async fn pressed(State(house): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, Refused> {
    let pressed: Pressed = parsed(&body)?;
    let button = ButtonRef {
        block: pressed.block,
        action_id: pressed.action_id,
    };
    let person = Person::default();
    let sent = house
        .slack
        .presses_at(&house.app_url, &person, pressed.message, button)
        .await
        .ok_or_else(|| Refused("there is no such button any more".to_owned()))?;
    Ok(json_answer(
        StatusCode::OK,
        &json!({"exchange": sent.exchange, "acknowledged": sent.status == Some(StatusCode::OK)}),
    ))
}

/// A session is changed as its tester, its time or another project would change it.
async fn session_changes(
    State(house): State<Arc<DemoServer>>,
    Path((id, change)): Path<(String, String)>,
) -> Result<Response, Refused> {
    if !house.kapso.sessions().contains_key(&id) {
        return Err(Refused("there is no such session any more".to_owned()));
    }
    match change.as_str() {
        "activate" => house.kapso.activate(&id),
        "expire" => house.kapso.expire(&id),
        "supersede" => house.kapso.supersede(&id),
        "delete" => house.kapso.delete(&id),
        _ => {
            let changes = "a session can be activated, expired, superseded or deleted";
            return Err(Refused(changes.to_owned()));
        }
    }
    Ok(done())
}

#[derive(Deserialize)]
struct Broken {
    fault: String,
}

/// Kapso is broken, or mended. Whatever it held back before is let go.
async fn fault(State(house): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, Refused> {
    let Broken { fault } = parsed(&body)?;
    if house.break_kapso(&fault) {
        Ok(done())
    } else {
        Err(Refused("there is no such fault".to_owned()))
    }
}

#[derive(Deserialize)]
struct Passing {
    minutes: i64,
}

/// Time passes, for Slack, Kapso and the app alike.
async fn clock(State(house): State<Arc<DemoServer>>, body: Bytes) -> Result<Response, Refused> {
    let Passing { minutes } = parsed(&body)?;
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(Refused("the clock goes forward, by at most a year".to_owned()));
    }
    house.passes(SignedDuration::from_mins(minutes));
    Ok(done())
}

/// What was asked for cannot be done, and why.
struct Refused(String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        json_answer(StatusCode::BAD_REQUEST, &json!({ "error": self.0 }))
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|_| Refused("that is not the JSON this address takes".to_owned()))
}

fn done() -> Response {
    json_answer(StatusCode::OK, &json!({}))
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}
