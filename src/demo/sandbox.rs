//! The state of `FakeKapso`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::faults::Fault;
use crate::clock::Clock;

/// Base path of the API, as at `app.kapso.ai`.
pub(super) const BASE_PATH: &str = "/api/v1";
/// Requests per minute in Kapso's smallest plan.
const DEFAULT_RATE_LIMIT: u32 = 100;

pub(super) struct Sandbox {
    pub(super) key: String,
    pub(super) clock: Clock,
    state: Mutex<State>,
    /// Changes with every change of the state.
    pub(super) changed: watch::Sender<u64>,
    /// Counts the releases of stalled requests.
    released: watch::Sender<u64>,
}

/// Every project at one address. The first one answers requests with an unknown key.
#[derive(Clone)]
pub(super) struct Sandboxes {
    first: Arc<Sandbox>,
    others: Arc<Mutex<Vec<Arc<Sandbox>>>>,
}

impl Sandboxes {
    pub(super) fn new(first: Arc<Sandbox>) -> Self {
        Self {
            first,
            others: Arc::default(),
        }
    }

    pub(super) fn add(&self, sandbox: Arc<Sandbox>) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(sandbox);
    }

    /// The project of a request.
    pub(super) fn of<B>(&self, request: &Request<B>) -> Arc<Sandbox> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let key = request.headers().get("x-api-key");
        let has_key = |sandbox: &&Arc<Sandbox>| key.is_some_and(|key| key == sandbox.key.as_str());
        Arc::clone(others.iter().find(has_key).unwrap_or(&self.first))
    }
}

pub(super) struct State {
    pub(super) sessions: BTreeMap<String, Value>,
    /// Ids of sessions that lists omit.
    pub(super) unlisted: BTreeSet<String>,
    /// Faults of the next requests, one each.
    pub(super) next_faults: VecDeque<Fault>,
    /// Fault of every request that has none in `next_faults`.
    pub(super) standing_fault: Option<Fault>,
    /// Requests per minute.
    pub(super) rate_limit: u32,
    pub(super) requests: Vec<KapsoRequest>,
    /// Bodies of `POST` requests.
    pub(super) posted: Vec<Value>,
    pub(super) unexpected: Vec<String>,
    /// Whether sessions are created without an agent, against Kapso's document.
    pub(super) accepts_missing_agent: bool,
    /// Whether sessions may have values that Kapso's document does not allow.
    pub(super) allows_undocumented: bool,
}

impl State {
    /// Records a session that Kapso's document does not allow, unless that is allowed.
    pub(super) fn check(&mut self, session: &Value) {
        if !self.allows_undocumented
            && let Some(field) = undocumented_field(session)
        {
            let value = &session[field];
            self.unexpected.push(format!(
                "a session with an undocumented {field}, {value}: allow it first"
            ));
        }
    }
}

/// The statuses in Kapso's `OpenAPI` document.
const STATUSES: [&str; 2] = ["pending_activation", "active"];
/// The fields that may be null in it.
const NULLABLE: [&str; 2] = ["activated_at", "expires_at"];
const TEXTS: [&str; 7] = [
    "id",
    "phone_number",
    "activation_code",
    "activation_message",
    "activation_link",
    "created_at",
    "updated_at",
];

/// The first field that is not as in Kapso's document.
fn undocumented_field(session: &Value) -> Option<&'static str> {
    if !session["status"]
        .as_str()
        .is_some_and(|status| STATUSES.contains(&status))
    {
        return Some("status");
    }
    if !session["agent"].is_object() {
        return Some("agent");
    }
    let nullable = NULLABLE
        .into_iter()
        .find(|field| !session[field].is_string() && !session[field].is_null());
    nullable.or_else(|| TEXTS.into_iter().find(|field| !session[field].is_string()))
}

/// A request to `FakeKapso`, with its result.
#[derive(Clone, Debug, Serialize)]
pub struct KapsoRequest {
    /// Time of arrival in Unix milliseconds.
    pub at_ms: i64,
    /// Method and path, such as `GET /sandbox_sessions/…`.
    pub line: String,
    /// Status of the response; `None` before it, and if the connection was closed without one.
    pub status: Option<u16>,
    /// Milliseconds until the response.
    pub took_ms: Option<u64>,
    #[serde(skip)]
    pub(super) began: Instant,
}

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// The id of the agent in the sample session. Every project has this agent.
pub(super) const SAMPLE_AGENT: &str = "agent-123abc";
/// The WhatsApp number that all sandboxes share.
const SANDBOX_NUMBER: &str = "12345678901";

/// The sample session of Kapso's documentation, created at `now`.
pub(super) fn sample(id: &str, now: Timestamp) -> Value {
    let agent_created_at = now - SignedDuration::from_hours(24 * 30);
    json!({
        "id": id,
        "phone_number": "+12345678901",
        "status": "pending_activation",
        "activation_code": "ABC123",
        "activation_message": "Your WhatsApp Sandbox activation code is: ABC123",
        "activation_link": "https://wa.me/12345678901?text=ABC123",
        "activated_at": null,
        "expires_at": (now + SignedDuration::from_hours(24)).to_string(),
        "created_at": now.to_string(),
        "updated_at": now.to_string(),
        "agent": {
            "id": SAMPLE_AGENT,
            "name": "Customer Support Agent",
            "description": "Handles initial customer support queries",
            "project_id": "project-456def",
            "created_at": agent_created_at.to_string(),
            "updated_at": agent_created_at.to_string(),
        },
    })
}

/// Gives a session this activation code.
pub(super) fn set_code(session: &mut Value, code: &str) {
    session["activation_link"] = format!("https://wa.me/{SANDBOX_NUMBER}?text={code}").into();
    session["activation_message"] = format!("Your WhatsApp Sandbox activation code is: {code}").into();
    session["activation_code"] = code.into();
}

/// When a session expires, if it has a readable time for that.
pub(super) fn expires_at(session: &Value) -> Option<Timestamp> {
    session["expires_at"].as_str()?.parse().ok()
}

impl Default for State {
    fn default() -> Self {
        Self {
            sessions: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            next_faults: VecDeque::new(),
            standing_fault: None,
            rate_limit: DEFAULT_RATE_LIMIT,
            requests: Vec::new(),
            posted: Vec::new(),
            unexpected: Vec::new(),
            accepts_missing_agent: false,
            allows_undocumented: false,
        }
    }
}

impl KapsoRequest {
    /// When it was answered; `None` if it was not, or not yet.
    pub(super) fn ended(&self) -> Option<Instant> {
        Some(self.began + Duration::from_millis(self.took_ms? + 1))
    }
}

impl Sandbox {
    pub(super) fn new(key: &str, clock: Clock) -> Self {
        Self {
            key: key.to_owned(),
            clock,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            released: watch::Sender::new(0),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Lets stalled requests continue.
    pub(super) fn release(&self) {
        self.released.send_modify(|releases| *releases += 1);
    }

    pub(super) fn subscribe_releases(&self) -> watch::Receiver<u64> {
        self.released.subscribe()
    }
}

pub(super) fn json_response(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(
        Full::new(body.into())
            .map_err(|never: Infallible| match never {})
            .boxed(),
    );
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
