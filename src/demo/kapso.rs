//! FakeKapso: Kapso's sandbox API over real HTTP, strict and stateful.
//!
//! It refuses what the real API would refuse and notes what no client of ours should send. Sessions are changed as
//! testers and other projects would change them, and faults are switched on to see what people read then.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::clock::Clock;

/// The path of the API, as in Kapso's own address.
const BASE: &str = "/api/v1";
/// The smallest plan's requests a minute.
const LIMIT: u32 = 100;

/// What goes wrong with a request, or does not.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers after a while.
    Slow(Duration),
    /// Waits until [`FakeKapso::release`], then answers.
    Hold,
    /// Answers with this instead.
    Answer {
        /// The status.
        status: StatusCode,
        /// Headers besides the usual ones.
        headers: Vec<(HeaderName, String)>,
        /// The body, as it stands.
        body: Bytes,
    },
    /// Closes the connection instead of answering.
    HangUp,
    /// Closes the connection in the middle of the answer's body.
    BreakOff,
}

impl Fault {
    /// An answer with this status and body.
    pub fn answer(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same answer with another header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// Kapso's sandbox, as far as one project and one key go.
pub struct FakeKapso {
    base_url: Url,
    sandbox: Arc<Sandbox>,
    _serving: AbortOnDropHandle<()>,
}

struct Sandbox {
    key: String,
    clock: Clock,
    world: Mutex<World>,
    released: watch::Sender<u64>,
}

struct World {
    sessions: BTreeMap<String, Value>,
    /// For the next requests, one each.
    next_faults: VecDeque<Fault>,
    /// For every request that has none of its own.
    standing_fault: Option<Fault>,
    limit: u32,
    /// When requests came, in Unix milliseconds.
    requests: Vec<(i64, String)>,
    unexpected: Vec<String>,
}

type Body = BoxBody<Bytes, io::Error>;

impl FakeKapso {
    /// Serves on `listener`, taking `key`, by `clock`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, key: &str, clock: Clock) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let base_url = Url::parse(&format!("http://{address}{BASE}")).map_err(io::Error::other)?;
        let sandbox = Arc::new(Sandbox {
            key: key.to_owned(),
            clock,
            world: Mutex::new(World {
                sessions: BTreeMap::new(),
                next_faults: VecDeque::new(),
                standing_fault: None,
                limit: LIMIT,
                requests: Vec::new(),
                unexpected: Vec::new(),
            }),
            released: watch::Sender::new(0),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&sandbox)));
        Ok(Self {
            base_url,
            sandbox,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// The address to give as `KAPSO_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Adds a pending session, made now, that Kapso's published sample would be today.
    pub fn add(&self, id: &str) {
        let now = self.sandbox.clock.now();
        self.put(id, sample(id, now));
    }

    /// Adds a session as it stands.
    pub fn put(&self, id: &str, session: Value) {
        self.world().sessions.insert(id.to_owned(), session);
    }

    /// Sets one field of a session.
    pub fn set(&self, id: &str, field: &str, value: Value) {
        if let Some(session) = self.world().sessions.get_mut(id) {
            session[field] = value;
        }
    }

    /// The tester's code arrives.
    pub fn activate(&self, id: &str) {
        let now = self.sandbox.clock.now().to_string();
        self.set(id, "status", "active".into());
        self.set(id, "activated_at", now.into());
    }

    /// The session's time is over.
    pub fn expire(&self, id: &str) {
        self.set(id, "status", "expired".into());
    }

    /// Another project claims the phone.
    pub fn supersede(&self, id: &str) {
        self.set(id, "status", "superseded".into());
    }

    /// The session is gone.
    pub fn delete(&self, id: &str) {
        self.world().sessions.remove(id);
    }

    /// Every session, by id.
    #[must_use]
    pub fn sessions(&self) -> BTreeMap<String, Value> {
        self.world().sessions.clone()
    }

    /// The next request meets `fault`; called again, the one after it.
    pub fn fail_next(&self, fault: Fault) {
        self.world().next_faults.push_back(fault);
    }

    /// Every request meets `fault`, or none does.
    pub fn fail(&self, fault: Option<Fault>) {
        self.world().standing_fault = fault;
    }

    /// Lets go of every request that is held now.
    pub fn release(&self) {
        self.sandbox.released.send_modify(|round| *round += 1);
    }

    /// The plan's requests a minute.
    pub fn set_limit(&self, limit: u32) {
        self.world().limit = limit;
    }

    /// What was asked so far, as `GET /sandbox_sessions/…`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let world = self.world();
        world.requests.iter().map(|(_, line)| line.clone()).collect()
    }

    /// Waits until `count` requests have come.
    pub async fn has_been_asked(&self, count: usize) {
        let mut released = self.sandbox.released.subscribe();
        while self.world().requests.len() < count {
            // Every request that comes marks the channel as changed.
            if released.changed().await.is_err() {
                return;
            }
        }
    }

    /// What came that no client of ours should send.
    #[must_use]
    pub fn unexpected(&self) -> Vec<String> {
        self.world().unexpected.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.sandbox.world()
    }
}

/// Kapso's published sample, made at `now`.
fn sample(id: &str, now: Timestamp) -> Value {
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

async fn serve(listener: TcpListener, sandbox: Arc<Sandbox>) {
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
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let line = format!("{} {}", request.method(), request.uri());
        let now = self.clock.now().as_millisecond();
        let mut released = self.released.subscribe();
        let (fault, used, limit) = {
            let mut world = self.world();
            world.requests.push((now, line.replacen(BASE, "", 1)));
            let used = world
                .requests
                .iter()
                .rev()
                .take_while(|(at, _)| at + 60_000 > now)
                .count();
            let fault = world.next_faults.pop_front().or_else(|| world.standing_fault.clone());
            (fault, u32::try_from(used).unwrap_or(u32::MAX), world.limit)
        };
        self.released.send_modify(|_| {});
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
                self.handle(request, used, limit).await
            }
            Some(Fault::Hold) => {
                let held_since = *released.borrow();
                let _ = released.wait_for(|round| *round > held_since).await;
                self.handle(request, used, limit).await
            }
            None => self.handle(request, used, limit).await,
        };
        let headers = answer.headers_mut();
        headers.insert("x-ratelimit-limit", limit.into());
        headers.insert("x-ratelimit-remaining", limit.saturating_sub(used).into());
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            answer.headers_mut().insert(header::RETRY_AFTER, 60.into());
        }
        Ok(answer)
    }

    async fn handle(&self, request: Request<Incoming>, used: u32, limit: u32) -> Response<Body> {
        let (head, body) = request.into_parts();
        let line = format!("{} {}", head.method, head.uri);
        let unexpected = |why: &str| self.world().unexpected.push(format!("{line}: {why}"));
        if body.collect().await.is_ok_and(|body| !body.to_bytes().is_empty()) {
            unexpected("a GET with a body");
        }
        let keys: Vec<_> = head.headers.get_all("x-api-key").iter().collect();
        if keys.as_slice() != [self.key.as_str()] {
            return complaint(StatusCode::UNAUTHORIZED, "Invalid API key");
        }
        if used > limit {
            unexpected("over the rate limit");
            return complaint(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded");
        }
        let id = head
            .uri
            .path()
            .strip_prefix(BASE)
            .and_then(|path| path.strip_prefix("/sandbox_sessions/"))
            .filter(|id| !id.is_empty() && !id.contains('/') && head.uri.query().is_none());
        let (Method::GET, Some(id)) = (head.method, id) else {
            unexpected("no such endpoint");
            return response(StatusCode::NOT_FOUND, "<!DOCTYPE html><title>404</title>");
        };
        match self.world().sessions.get(id) {
            Some(session) => response(StatusCode::OK, json!({ "data": session }).to_string()),
            None => complaint(StatusCode::NOT_FOUND, "Sandbox session not found"),
        }
    }
}

fn complaint(status: StatusCode, error: &str) -> Response<Body> {
    response(status, json!({ "error": error }).to_string())
}

fn response(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
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
