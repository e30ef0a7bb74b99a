//! The endpoints of `FakeKapso`: show, list and create sandbox sessions.

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sandbox::{self, BASE_PATH, Body, Sandbox, json_response};

// Kapso's default and maximum page size.
const PER_PAGE: u32 = 20;
const PER_PAGE_MAX: u32 = 100;

/// Answers a request. `used` counts the requests of the last minute, this one included; `limit` is how many are allowed.
pub(super) async fn handle(sandbox: &Sandbox, request: Request<Incoming>, used: u32, limit: u32) -> Response<Body> {
    let (head, body) = request.into_parts();
    let record_unexpected = |reason: &str| {
        let description = format!("{} {}: {reason}", head.method, head.uri);
        sandbox.state().unexpected.push(description);
    };
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    if head.method == Method::GET && !body.is_empty() {
        record_unexpected("a GET with a body");
    }
    let keys: Vec<_> = head.headers.get_all("x-api-key").iter().collect();
    if keys.as_slice() != [sandbox.key.as_str()] {
        return error_response(StatusCode::UNAUTHORIZED, "Invalid API key");
    }
    if used > limit {
        record_unexpected("over the rate limit");
        return error_response(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
    }
    let path = head
        .uri
        .path()
        .strip_prefix(BASE_PATH)
        .and_then(|path| path.strip_prefix("/sandbox_sessions"));
    let response = match (&head.method, path) {
        (&Method::GET, Some("")) => list(sandbox, &head),
        (&Method::POST, Some("")) => create(sandbox, &head, &body),
        (&Method::GET, Some(path)) => show(sandbox, &head, path),
        _ => None,
    };
    response.unwrap_or_else(|| {
        record_unexpected("no such endpoint");
        json_response(StatusCode::NOT_FOUND, "<!DOCTYPE html><title>404</title>")
    })
}

fn show(sandbox: &Sandbox, head: &Parts, path: &str) -> Option<Response<Body>> {
    let id = path.strip_prefix('/')?;
    if id.is_empty() || id.contains('/') || head.uri.query().is_some() {
        return None;
    }
    Some(match sandbox.state().sessions.get(id) {
        Some(session) => json_response(StatusCode::OK, json!({ "data": session }).to_string()),
        None => error_response(StatusCode::NOT_FOUND, "Sandbox session not found"),
    })
}

fn list(sandbox: &Sandbox, head: &Parts) -> Option<Response<Body>> {
    let (mut page, mut per_page) = (1, PER_PAGE);
    for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
        let number = value.parse().ok().filter(|number| *number >= 1);
        match (&*name, number) {
            ("page", Some(number)) => page = number,
            ("per_page", Some(number)) if number <= PER_PAGE_MAX => per_page = number,
            ("page" | "per_page", _) => return Some(error_response(StatusCode::BAD_REQUEST, "Invalid pagination")),
            _ => return None,
        }
    }
    let state = sandbox.state();
    let listed = state.sessions.iter().filter(|(id, _)| !state.unlisted.contains(*id));
    let mut sessions: Vec<&Value> = listed.map(|(_, session)| session).collect();
    let created_at = |session: &Value| {
        session["created_at"]
            .as_str()
            .and_then(|at| at.parse::<Timestamp>().ok())
    };
    sessions.sort_by_key(|session| std::cmp::Reverse(created_at(session)));
    let (first, size) = ((page - 1).saturating_mul(per_page) as usize, per_page as usize);
    let shown: Vec<_> = sessions.iter().skip(first).take(size).collect();
    let meta = json!({
        "page": page, "per_page": per_page,
        "total_pages": sessions.len().div_ceil(size), "total_count": sessions.len(),
    });
    Some(json_response(
        StatusCode::OK,
        json!({"data": shown, "meta": meta}).to_string(),
    ))
}

fn create(sandbox: &Sandbox, head: &Parts, body: &[u8]) -> Option<Response<Body>> {
    if head.uri.query().is_some() {
        return None;
    }
    let posted = serde_json::from_slice(body).unwrap_or_default();
    sandbox.state().posted.push(posted);
    let Ok(CreateBody {
        whatsapp_sandbox_session: new_session,
    }) = serde_json::from_slice(body)
    else {
        return Some(error_response(StatusCode::BAD_REQUEST, "Bad request"));
    };
    let digits = new_session.phone_number.strip_prefix('+').unwrap_or_default();
    let is_phone = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_phone || digits.starts_with('0') {
        return Some(error_response(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Phone number is invalid",
        ));
    }
    let id = random_id();
    let mut session = sandbox::sample(&id, sandbox.clock.now());
    let mut state = sandbox.state();
    match new_session.agent_id {
        Some(agent_id) => {
            let agents = state.sessions.values().map(|session| &session["agent"]);
            let agent = agents
                .chain([&session["agent"]])
                .find(|agent| agent["id"] == agent_id.as_str())
                .cloned();
            let Some(agent) = agent else {
                return Some(error_response(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "Agent is not in this project",
                ));
            };
            session["agent"] = agent;
        }
        None if state.accepts_missing_agent => {}
        None => {
            return Some(error_response(StatusCode::UNPROCESSABLE_ENTITY, "Agent is required"));
        }
    }
    session["phone_number"] = new_session.phone_number.into();
    sandbox::set_code(&mut session, &random_code());
    let response = json_response(StatusCode::CREATED, json!({ "data": session }).to_string());
    state.sessions.insert(id, session);
    drop(state);
    sandbox.notify();
    Some(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    whatsapp_sandbox_session: NewSession,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSession {
    phone_number: String,
    agent_id: Option<String>,
}

/// A version 4 UUID.
fn random_id() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (4 << 76) | (2 << 62);
    let digits = format!("{bits:032x}");
    let (a, b) = (&digits[..8], &digits[8..12]);
    format!("{a}-{b}-{}-{}-{}", &digits[12..16], &digits[16..20], &digits[20..])
}

/// Codes are case-sensitive.
fn random_code() -> String {
    (0..6).map(|_| fastrand::alphanumeric()).collect()
}

fn error_response(status: StatusCode, error: &str) -> Response<Body> {
    json_response(status, json!({ "error": error }).to_string())
}
