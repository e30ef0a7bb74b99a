//! FakeKapso's inside: the sessions it holds, and how it answers for them over HTTP.

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

/// The path of the API, as in Kapso's own address.
pub(super) const BASE: &str = "/api/v1";
/// The smallest plan's requests a minute.
const LIMIT: u32 = 100;

pub(super) struct Sandbox {
    pub(super) key: String,
    pub(super) clock: Clock,
    world: Mutex<World>,
    /// Changes whenever something happens.
    pub(super) happened: watch::Sender<u64>,
    /// Counts how often held requests were let go.
    released: watch::Sender<u64>,
}

pub(super) struct World {
    pub(super) sessions: BTreeMap<String, Value>,
    /// Sessions that lists leave out.
    pub(super) unlisted: BTreeSet<String>,
    /// For the next requests, one each.
    pub(super) next_faults: VecDeque<Fault>,
    /// For every request that has none of its own.
    pub(super) standing_fault: Option<Fault>,
    pub(super) limit: u32,
    pub(super) requests: Vec<Asked>,
    /// What was to be created, as it was sent.
    pub(super) posted: Vec<Value>,
    pub(super) unexpected: Vec<String>,
}

/// A request that came, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// As `GET /sandbox_sessions/…`.
    pub line: String,
    /// The answer's status; none while there is no answer, and for ever if the connection ended without one.
    pub status: Option<u16>,
    /// How long the answer took.
    pub took_ms: Option<u64>,
    #[serde(skip)]
    pub(super) began: Instant,
}

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// Kapso's published sample, made at `now`.
pub(super) fn sample(id: &str, now: Timestamp) -> Value {
    let agent_made = now - SignedDuration::from_hours(24 * 30);
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
            "created_at": agent_made.to_string(),
            "updated_at": agent_made.to_string(),
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
    let service = service_fn(|request| sandbox.answer(request));
    // A fault ends the connection with an error, as it is meant to.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Sandbox {
    pub(super) fn new(key: &str, clock: Clock) -> Self {
        Self {
            key: key.to_owned(),
            clock,
            world: Mutex::new(World {
                sessions: BTreeMap::new(),
                unlisted: BTreeSet::new(),
                next_faults: VecDeque::new(),
                standing_fault: None,
                limit: LIMIT,
                requests: Vec::new(),
                posted: Vec::new(),
                unexpected: Vec::new(),
            }),
            happened: watch::Sender::new(0),
            released: watch::Sender::new(0),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self) {
        self.happened.send_modify(|count| *count += 1);
    }

    pub(super) fn release(&self) {
        self.released.send_modify(|round| *round += 1);
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let line = format!("{} {}", request.method(), request.uri());
        let now = self.clock.now().as_millisecond();
        let began = Instant::now();
        let released = self.released.subscribe();
        let (place, fault, used, limit) = {
            let mut world = self.world();
            let place = world.requests.len();
            world.requests.push(Asked {
                at_ms: now,
                line: line.replacen(BASE, "", 1),
                status: None,
                took_ms: None,
                began,
            });
            let latest = world.requests.iter().rev();
            let used = latest.take_while(|asked| asked.at_ms + 60_000 > now).count();
            let fault = world.next_faults.pop_front().or_else(|| world.standing_fault.clone());
            (place, fault, u32::try_from(used).unwrap_or(u32::MAX), world.limit)
        };
        self.tell();
        let answer = self.answer_with(fault, request, released, used, limit).await?;
        if let Some(asked) = self.world().requests.get_mut(place) {
            asked.status = Some(answer.status().as_u16());
            asked.took_ms = Some(milliseconds(began.elapsed()));
        }
        self.tell();
        Ok(answer)
    }

    async fn answer_with(
        &self,
        fault: Option<Fault>,
        request: Request<Incoming>,
        mut released: watch::Receiver<u64>,
        used: u32,
        limit: u32,
    ) -> io::Result<Response<Body>> {
        let mut answer = match fault {
            Some(Fault::HangUp) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Fault::BreakOff) => return Ok(broken_off()),
            Some(Fault::Answer { status, headers, body }) => {
                let mut answer = response(status, body);
                for (name, value) in headers {
                    answer
                        .headers_mut()
                        .insert(name, value.parse().map_err(io::Error::other)?);
                }
                return Ok(answer);
            }
            Some(Fault::Slow(span)) => {
                tokio::time::sleep(span).await;
                endpoints::handle(self, request, used, limit).await
            }
            Some(Fault::Hold) => {
                let held_since = *released.borrow();
                let _ = released.wait_for(|round| *round > held_since).await;
                endpoints::handle(self, request, used, limit).await
            }
            None => endpoints::handle(self, request, used, limit).await,
        };
        let headers = answer.headers_mut();
        headers.insert("x-ratelimit-limit", limit.into());
        headers.insert("x-ratelimit-remaining", limit.saturating_sub(used).into());
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            answer.headers_mut().insert(header::RETRY_AFTER, 60.into());
        }
        Ok(answer)
    }
}

pub(super) fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
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

/// Half a session, and then the end of the connection.
fn broken_off() -> Response<Body> {
    let half = Frame::data(Bytes::from_static(br#"{"data":{"id":"#));
    let end = Err(io::ErrorKind::ConnectionAborted.into());
    Response::new(StreamBody::new(stream::iter([Ok(half), end])).boxed())
}
