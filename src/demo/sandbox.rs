//! The server of `FakeKapso`: its state, its connections and its faults.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::endpoints;
use super::exchange::milliseconds;
use super::kapso::Fault;
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
            "id": "agent-123abc",
            "name": "Customer Support Agent",
            "description": "Handles initial customer support queries",
            "project_id": "project-456def",
            "created_at": agent_created_at.to_string(),
            "updated_at": agent_created_at.to_string(),
        },
    })
}

pub(super) async fn serve(listener: TcpListener, sandbox: Arc<Sandbox>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&sandbox)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, sandbox: Arc<Sandbox>) {
    let service = service_fn(|request| sandbox.handle(request));
    // Some faults close the connection with an error on purpose.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Sandbox {
    pub(super) fn new(key: &str, clock: Clock) -> Self {
        Self {
            key: key.to_owned(),
            clock,
            state: Mutex::new(State {
                sessions: BTreeMap::new(),
                unlisted: BTreeSet::new(),
                next_faults: VecDeque::new(),
                standing_fault: None,
                rate_limit: DEFAULT_RATE_LIMIT,
                requests: Vec::new(),
                posted: Vec::new(),
                unexpected: Vec::new(),
            }),
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

    pub(super) fn release(&self) {
        self.released.send_modify(|releases| *releases += 1);
    }

    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let line = format!("{} {}", request.method(), request.uri());
        let now = self.clock.now().as_millisecond();
        let began = Instant::now();
        let released = self.released.subscribe();
        let (index, fault, used, limit) = {
            let mut state = self.state();
            let index = state.requests.len();
            state.requests.push(KapsoRequest {
                at_ms: now,
                line: line.replacen(BASE_PATH, "", 1),
                status: None,
                took_ms: None,
                began,
            });
            let latest_first = state.requests.iter().rev();
            let used = latest_first.take_while(|request| request.at_ms + 60_000 > now).count();
            let fault = state.next_faults.pop_front().or_else(|| state.standing_fault.clone());
            (index, fault, u32::try_from(used).unwrap_or(u32::MAX), state.rate_limit)
        };
        self.notify();
        let response = self.respond(fault, request, released, used, limit).await?;
        if let Some(request) = self.state().requests.get_mut(index) {
            request.status = Some(response.status().as_u16());
            request.took_ms = Some(milliseconds(began.elapsed()));
        }
        self.notify();
        Ok(response)
    }

    async fn respond(
        &self,
        fault: Option<Fault>,
        request: Request<Incoming>,
        mut released: watch::Receiver<u64>,
        used: u32,
        limit: u32,
    ) -> io::Result<Response<Body>> {
        let mut response = match fault {
            Some(Fault::CloseConnection) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Fault::TruncateBody) => return Ok(truncated()),
            Some(Fault::Answer { status, headers, body }) => {
                let mut response = json_response(status, body);
                for (name, value) in headers {
                    response
                        .headers_mut()
                        .insert(name, value.parse().map_err(io::Error::other)?);
                }
                return Ok(response);
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                endpoints::handle(self, request, used, limit).await
            }
            Some(Fault::Stall) => {
                let releases_before = *released.borrow();
                let _ = released.wait_for(|releases| *releases > releases_before).await;
                endpoints::handle(self, request, used, limit).await
            }
            None => endpoints::handle(self, request, used, limit).await,
        };
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-limit", limit.into());
        headers.insert("x-ratelimit-remaining", limit.saturating_sub(used).into());
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, 60.into());
        }
        Ok(response)
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

/// The first bytes of a session, followed by an error that closes the connection.
fn truncated() -> Response<Body> {
    let start = Frame::data(Bytes::from_static(br#"{"data":{"id":"#));
    let end = Err(io::ErrorKind::ConnectionAborted.into());
    Response::new(StreamBody::new(stream::iter([Ok(start), end])).boxed())
}
