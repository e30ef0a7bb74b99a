//! Slack's side of Socket Mode, over real `WebSocket`s: connections, envelopes, and the faults of a network.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State as AxumState;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::task::AbortOnDropHandle;
use tokio_websockets::{CloseCode, Limits, Message, ServerBuilder, WebSocketStream};

use super::frame_headers::Watched;

/// Longest frame that Slack takes, in bytes.
const FRAME_MAX: usize = 20_480;
/// Connections of one app that Slack allows.
const CONNECTIONS_MAX: usize = 10;
/// The pause between two pings of Slack's.
const PING: Duration = Duration::from_secs(5);
/// How long Slack waits for an acknowledgement before the person sees an error.
const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// What Slack, or the network, does to a connection.
#[derive(Clone, Debug)]
pub enum SocketFault {
    /// Slack says `disconnect` with this reason, and closes the connection only when the app does.
    Disconnect(&'static str),
    /// Slack sends a close frame with this code.
    Close(u16),
    /// The TCP connection ends.
    Drop,
    /// The TCP connection is reset.
    Reset,
    /// No byte passes in either direction any more.
    HalfOpen,
    /// Slack reads nothing any more, but still sends.
    Deaf,
    /// Slack reads the next acknowledgement, and the TCP connection ends at once.
    DropAfterAcknowledgement,
    /// Slack sends this text frame.
    Text(String),
    /// Slack sends a binary frame of so many bytes.
    Binary(usize),
    /// Bytes come that are no frame.
    Garbage(Vec<u8>),
}

/// How a request to open a connection fails.
#[derive(Clone, Debug)]
pub enum OpenFault {
    /// Status 429 with `Retry-After` in seconds.
    RateLimited(u64),
    /// `{"ok": false}` with this error.
    Error(&'static str),
    Status(StatusCode),
    /// This body with status 200.
    Body(String),
    /// The WebSocket handshake is refused with this status.
    RefuseHandshake(u16),
    /// The `Sec-WebSocket-Accept` of the WebSocket handshake has so many characters.
    Accept(usize),
    /// The WebSocket handshake succeeds, and nothing follows.
    NoHello,
    /// Slack says `disconnect` with this reason instead of hello.
    DisconnectAtOnce(&'static str),
    /// The TCP connection ends after the WebSocket handshake.
    DropAtOnce,
    /// Hello comes with this number of connections.
    Connections(u64),
}

/// Slack's side of the sockets of one app.
pub struct FakeSocket {
    origin: String,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// The app-level token; `None` while Socket Mode is off.
    token: Option<String>,
    /// Where connections are made to instead of the fake's own address.
    front: Option<String>,
    /// Handed out and not used yet.
    tickets: HashSet<String>,
    connections: BTreeMap<u64, Handle>,
    last_connection: u64,
    last_envelope: u64,
    /// Deliveries that wait for their acknowledgement, by envelope id.
    pending: HashMap<String, Pending>,
    open_faults: VecDeque<OpenFault>,
    /// Faults of the handshakes whose tickets were handed out, by ticket.
    handshake_faults: HashMap<String, OpenFault>,
    /// Whether each envelope is delivered twice at once.
    duplicates: bool,
    /// Whether Slack waits for acknowledgements for as long as they take.
    is_patient: bool,
    pings: u64,
    opened: u64,
    open_requests: u64,
    open_requested_at: Vec<Instant>,
    oversized: u64,
    longest_frame: usize,
    acknowledged: u64,
    violations: Vec<String>,
}

struct Handle {
    tasks: mpsc::UnboundedSender<Task>,
    is_ready: bool,
}

struct Pending {
    connection: u64,
    accepts_payload: bool,
    acknowledged: oneshot::Sender<Value>,
}

enum Task {
    Send(String),
    Fault(SocketFault),
}

impl FakeSocket {
    /// Serves on a free port of loopback until the handle is dropped.
    pub(super) fn start() -> io::Result<(Arc<Self>, AbortOnDropHandle<()>)> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let socket = Arc::new(Self {
            origin: format!("ws://{}", listener.local_addr()?),
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let serving = tokio::spawn(accept(listener, Arc::clone(&socket)));
        Ok((socket, AbortOnDropHandle::new(serving)))
    }

    /// The value for `SLACK_SOCKET_HOSTS`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn turn_on(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    /// Names the origin of a server in front of this one, such as `wss://slack.example`, in the addresses of connections.
    pub fn stand_behind(&self, origin: &str) {
        self.state().front = Some(origin.to_owned());
    }

    /// Whether the app uses Socket Mode.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.state().token.is_some()
    }

    /// How the next request to open a connection fails. Faults are used up in this order.
    pub fn fail_next_open(&self, fault: OpenFault) {
        self.state().open_faults.push_back(fault);
    }

    /// Does this to every connection.
    pub fn fault_all(&self, fault: &SocketFault) {
        for connection in self.connections() {
            self.fault(connection, fault.clone());
        }
    }

    /// Does this to one connection.
    pub fn fault(&self, connection: u64, fault: SocketFault) {
        if let Some(handle) = self.state().connections.get(&connection) {
            let _ = handle.tasks.send(Task::Fault(fault));
        }
    }

    /// Delivers each envelope on two connections at once, under two ids.
    pub fn deliver_twice(&self, twice: bool) {
        self.state().duplicates = twice;
    }

    /// Waits for acknowledgements for as long as they take, not only 3 s.
    pub fn wait_patiently(&self) {
        self.state().is_patient = true;
    }

    /// The connections on which Slack has said hello.
    #[must_use]
    pub fn connections(&self) -> Vec<u64> {
        let state = self.state();
        let ready = state.connections.iter().filter(|(_, handle)| handle.is_ready);
        ready.map(|(number, _)| *number).collect()
    }

    /// Connections so far on which Slack has said hello.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.state().opened
    }

    /// When connections were asked for.
    #[must_use]
    pub fn open_requests(&self) -> Vec<Instant> {
        self.state().open_requested_at.clone()
    }

    /// Frames that were too long for Slack.
    #[must_use]
    pub fn oversized_frames(&self) -> u64 {
        self.state().oversized
    }

    /// The length of the longest text frame that Slack has taken, in bytes.
    #[must_use]
    pub fn longest_frame(&self) -> usize {
        self.state().longest_frame
    }

    /// Pings that Slack has received.
    #[must_use]
    pub fn pings(&self) -> u64 {
        self.state().pings
    }

    /// Acknowledgements that Slack has received.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.state().acknowledged
    }

    /// Waits until so many connections are ready.
    pub async fn wait_for_connections(&self, count: usize) -> Vec<u64> {
        self.wait_until(|socket| {
            let connections = socket.connections();
            (connections.len() == count).then_some(connections)
        })
        .await
    }

    /// Waits until Slack has said hello on so many connections in all.
    pub async fn wait_for_opened(&self, count: u64) {
        self.wait_until(|socket| (socket.opened() >= count).then_some(())).await;
    }

    /// Waits until connections were asked for so often.
    pub async fn wait_for_open_requests(&self, count: u64) {
        self.wait_until(|socket| (socket.state().open_requests >= count).then_some(()))
            .await;
    }

    /// Waits until `find` finds something.
    pub async fn wait_until<T>(&self, find: impl Fn(&Self) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = find(self) {
                return found;
            }
            // Cannot fail: `self` owns the sender.
            let _ = changed.changed().await;
        }
    }

    /// How many deliveries wait for their acknowledgement.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.state().pending.len()
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Sends a frame on one connection, such as an envelope that nobody waits for.
    pub fn send_text(&self, connection: u64, text: impl Into<String>) {
        if let Some(handle) = self.state().connections.get(&connection) {
            let _ = handle.tasks.send(Task::Send(text.into()));
        }
    }

    /// Delivers an envelope until it is acknowledged. Returns the messages in the acknowledgements of all deliveries, at
    /// most one if the app makes no mistake; `None` if a connection did not acknowledge it in time.
    pub async fn deliver(&self, kind: &str, payload: &Value, accepts_payload: bool) -> Option<Vec<Value>> {
        let copies = if self.state().duplicates { 2 } else { 1 };
        let answers = join_all((0..copies).map(|_| self.deliver_once(kind, payload, accepts_payload))).await;
        let answers: Option<Vec<Value>> = answers.into_iter().collect();
        Some(answers?.into_iter().filter(|payload| !payload.is_null()).collect())
    }

    async fn deliver_once(&self, kind: &str, payload: &Value, accepts_payload: bool) -> Option<Value> {
        loop {
            let delivering = async {
                let connection = self
                    .wait_until(|socket| {
                        let connections = socket.connections();
                        let index = fastrand::usize(..connections.len().max(1));
                        connections.get(index).copied()
                    })
                    .await;
                self.send_envelope(connection, kind, payload, accepts_payload).await
            };
            let result = if self.state().is_patient {
                delivering.await
            } else {
                timeout(ACKNOWLEDGEMENT_TIMEOUT, delivering).await.ok()?
            };
            // An error: the connection has ended, and the envelope is delivered again, under another id.
            if let Ok(payload) = result {
                return Some(payload);
            }
        }
    }

    fn send_envelope(
        &self,
        connection: u64,
        kind: &str,
        payload: &Value,
        accepts_payload: bool,
    ) -> oneshot::Receiver<Value> {
        let number = {
            let mut state = self.state();
            state.last_envelope += 1;
            state.last_envelope
        };
        let id = format!("{:08x}-11-222-{number}", fastrand::u32(..));
        self.send_envelope_as(id, connection, kind, payload, accepts_payload)
    }

    /// Delivers an envelope with this id on one connection, once. `None` if the connection ended before it was
    /// acknowledged, else the message in the acknowledgement, which may be null.
    pub async fn deliver_as(&self, id: &str, connection: u64, kind: &str, payload: &Value) -> Option<Value> {
        self.send_envelope_as(id.to_owned(), connection, kind, payload, true)
            .await
            .ok()
    }

    fn send_envelope_as(
        &self,
        id: String,
        connection: u64,
        kind: &str,
        payload: &Value,
        accepts_payload: bool,
    ) -> oneshot::Receiver<Value> {
        let (acknowledged, receiver) = oneshot::channel();
        let mut state = self.state();
        let envelope = json!({
            "envelope_id": id, "type": kind, "accepts_response_payload": accepts_payload, "payload": payload,
        });
        if let Some(handle) = state.connections.get(&connection) {
            let _ = handle.tasks.send(Task::Send(envelope.to_string()));
            let pending = Pending {
                connection,
                accepts_payload,
                acknowledged,
            };
            state.pending.insert(id, pending);
        }
        drop(state);
        self.notify();
        receiver
    }

    /// Takes an acknowledgement.
    fn acknowledge(&self, text: &str) {
        let mut state = self.state();
        state.longest_frame = state.longest_frame.max(text.len());
        let acknowledgement: Value = serde_json::from_str(text).unwrap_or_default();
        let id = acknowledgement["envelope_id"].as_str().unwrap_or_default();
        let payload = acknowledgement["payload"].clone();
        match state.pending.remove(id) {
            Some(pending) => {
                if !payload.is_null() && !pending.accepts_payload {
                    state
                        .violations
                        .push("an acknowledgement has a payload that Slack does not accept".to_owned());
                }
                state.acknowledged += 1;
                let _ = pending.acknowledged.send(payload);
            }
            None => state.violations.push(format!(
                "the app acknowledged what waits for no acknowledgement: {text}"
            )),
        }
        drop(state);
        self.notify();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn admit(&self, tasks: mpsc::UnboundedSender<Task>) -> u64 {
        let mut state = self.state();
        state.last_connection += 1;
        let number = state.last_connection;
        state.connections.insert(number, Handle { tasks, is_ready: false });
        number
    }

    fn say_hello(&self, number: u64) {
        let mut state = self.state();
        state.opened += 1;
        if let Some(handle) = state.connections.get_mut(&number) {
            handle.is_ready = true;
        }
        drop(state);
        self.notify();
    }

    /// Everything that was delivered on it and not acknowledged is delivered again.
    fn end(&self, number: u64) {
        let mut state = self.state();
        state.connections.remove(&number);
        state.pending.retain(|_, pending| pending.connection != number);
        drop(state);
        self.notify();
    }
}

/// Axum handler of `apps.connections.open`.
pub(super) async fn open(AxumState(socket): AxumState<Arc<FakeSocket>>, headers: HeaderMap) -> Response {
    let response = {
        let mut state = socket.state();
        state.open_requests += 1;
        state.open_requested_at.push(Instant::now());
        let expected = state.token.as_ref().map(|token| format!("Bearer {token}"));
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let refuse = |error: &str| json_response(StatusCode::OK, &json!({"ok": false, "error": error}));
        match state.open_faults.pop_front() {
            Some(OpenFault::RateLimited(seconds)) => {
                let headers = [(header::RETRY_AFTER, seconds.to_string())];
                (StatusCode::TOO_MANY_REQUESTS, headers).into_response()
            }
            Some(OpenFault::Error(error)) => refuse(error),
            Some(OpenFault::Status(status)) => status.into_response(),
            Some(OpenFault::Body(body)) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            _ if sent.is_none() => refuse("not_authed"),
            _ if sent != expected.as_deref() => refuse("invalid_auth"),
            fault => {
                let ticket = format!("zebra-{:032x}", fastrand::u128(..));
                let origin = state.front.as_ref().unwrap_or(&socket.origin);
                let url = format!("{origin}/link/?ticket={ticket}&app_id=A0123456789");
                if let Some(fault) = fault {
                    state.handshake_faults.insert(ticket.clone(), fault);
                }
                state.tickets.insert(ticket);
                json_response(StatusCode::OK, &json!({"ok": true, "url": url}))
            }
        }
    };
    socket.notify();
    response
}

async fn accept(listener: TcpListener, socket: Arc<FakeSocket>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let (tasks, queue) = mpsc::unbounded_channel();
                    let socket = Arc::clone(&socket);
                    connections.spawn(async move {
                        let number = socket.admit(tasks);
                        // A broken connection is what some faults are for.
                        let _ = serve(&socket, number, stream, queue).await;
                        socket.end(number);
                    });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection until it ends.
async fn serve(
    socket: &FakeSocket,
    number: u64,
    mut stream: TcpStream,
    mut tasks: mpsc::UnboundedReceiver<Task>,
) -> Result<(), tokio_websockets::Error> {
    stream.set_nodelay(true)?;
    let mut head = [0; 1024];
    let length = stream.peek(&mut head).await?;
    // The app shuts down, and has asked for nothing.
    if length == 0 {
        return Ok(());
    }
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let ticket = head.split_once("ticket=").map_or("", |(_, rest)| rest);
    let ticket = ticket.split(['&', ' ']).next().unwrap_or_default();
    let (is_valid, fault, connections) = {
        let mut state = socket.state();
        let connections = u64::try_from(state.connections.len()).unwrap_or(u64::MAX);
        (
            state.tickets.remove(ticket),
            state.handshake_faults.remove(ticket),
            connections,
        )
    };
    if !is_valid {
        socket
            .state()
            .violations
            .push("a ticket was not Slack's, or was used twice".to_owned());
        return Ok(stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await?);
    }
    if let Some(OpenFault::RefuseHandshake(status)) = fault {
        let refusal = format!("HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n");
        return Ok(stream.write_all(refusal.as_bytes()).await?);
    }
    if let Some(OpenFault::Accept(length)) = fault {
        let accept = "A".repeat(length);
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        return Ok(stream.write_all(response.as_bytes()).await?);
    }
    let limits = Limits::default().max_payload_len(Some(FRAME_MAX));
    let (_, mut frames) = ServerBuilder::new().limits(limits).accept(Watched::new(stream)).await?;
    let Some(greeting) = greeting(fault.as_ref(), connections) else {
        return Ok(());
    };
    if !greeting.is_null() {
        frames.send(Message::text(greeting.to_string())).await?;
    }
    if greeting["type"] == "hello" {
        socket.say_hello(number);
    }
    let mut pings = interval_at(Instant::now() + PING, PING);
    let (mut is_deaf, mut ends_after_one) = (false, false);
    loop {
        tokio::select! {
            frame = frames.next(), if !is_deaf => {
                let frame = match frame {
                    Some(Ok(frame)) => frame,
                    Some(Err(tokio_websockets::Error::PayloadTooLong { .. })) => {
                        socket.state().oversized += 1;
                        // The close frame with 1009 is queued.
                        return frames.flush().await;
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                };
                if frames.get_ref().has_fragments() {
                    let violation = "the app sent a fragmented message, which Slack does not assemble".to_owned();
                    socket.state().violations.push(violation);
                }
                if frame.is_ping() {
                    socket.state().pings += 1;
                    socket.notify();
                }
                if let Some(text) = frame.as_text() {
                    socket.acknowledge(text);
                    if ends_after_one {
                        return Ok(());
                    }
                }
            }
            Some(task) = tasks.recv() => match task {
                Task::Send(text) | Task::Fault(SocketFault::Text(text)) => frames.send(Message::text(text)).await?,
                Task::Fault(SocketFault::Disconnect(reason)) => {
                    frames.send(Message::text(disconnect(reason).to_string())).await?;
                }
                Task::Fault(SocketFault::Close(code)) => {
                    let code = CloseCode::try_from(code).unwrap_or(CloseCode::NORMAL_CLOSURE);
                    frames.send(Message::close(Some(code), "")).await?;
                }
                Task::Fault(SocketFault::Drop) => return Ok(()),
                Task::Fault(SocketFault::Reset) => return reset(&frames),
                Task::Fault(SocketFault::HalfOpen) => return half_open(frames).await,
                Task::Fault(SocketFault::Deaf) => is_deaf = true,
                Task::Fault(SocketFault::DropAfterAcknowledgement) => ends_after_one = true,
                Task::Fault(SocketFault::Binary(bytes)) => frames.send(Message::binary(vec![0; bytes])).await?,
                Task::Fault(SocketFault::Garbage(bytes)) => frames.get_mut().write_all(&bytes).await?,
            },
            _ = pings.tick() => frames.send(Message::ping("Ping from applink-1")).await?,
        }
    }
}

/// The first frame of a connection, null for none; `None` if the connection ends at once.
fn greeting(fault: Option<&OpenFault>, connections: u64) -> Option<Value> {
    let hello = |connections: u64| {
        json!({
            "type": "hello", "num_connections": connections, "connection_info": {"app_id": "A0123456789"},
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18_060},
        })
    };
    match fault {
        Some(OpenFault::NoHello) => Some(Value::Null),
        Some(OpenFault::DropAtOnce) => None,
        Some(OpenFault::DisconnectAtOnce(reason)) => Some(disconnect(reason)),
        Some(OpenFault::Connections(connections)) => Some(hello(*connections)),
        _ if usize::try_from(connections).is_ok_and(|connections| connections > CONNECTIONS_MAX) => {
            Some(disconnect("too_many_websockets"))
        }
        _ => Some(hello(connections)),
    }
}

fn disconnect(reason: &str) -> Value {
    json!({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})
}

/// Closing then sends a reset.
fn reset(frames: &WebSocketStream<Watched<TcpStream>>) -> Result<(), tokio_websockets::Error> {
    frames.get_ref().stream.set_zero_linger()?;
    Ok(())
}

/// Passes nothing on until the app gives up.
async fn half_open(frames: WebSocketStream<Watched<TcpStream>>) -> Result<(), tokio_websockets::Error> {
    let mut stream = frames.into_inner().stream;
    let mut lost = [0; 1024];
    while stream.read(&mut lost).await? > 0 {}
    Ok(())
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, body.to_string()).into_response()
}
