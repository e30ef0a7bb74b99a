//! Serves a router on a listener, with deadlines for request heads and idle connections, a limit on connections, and a
//! graceful shutdown.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::clock::Clock;
use crate::telemetry::LogLimit;

/// Most connections at the same time, if the limit on file descriptors allows it.
const CONNECTIONS_MAX: u64 = 4_096;
/// File descriptors reserved for everything other than incoming connections.
const RESERVED_DESCRIPTORS: u64 = 64;
/// Fewer connections than this are worth a warning.
const CONNECTIONS_FEW: u64 = 500;
/// File descriptors that are in use without any connection: files, the database, listeners.
const BASE_DESCRIPTORS: u64 = 24;
/// Largest head of a request, in bytes. Slack's are under 1 KiB.
const HEAD_MAX: usize = 16 * 1024;
/// How long an idle connection is not evicted: a request may be under way on it, which would be lost.
const FRESH: Duration = Duration::from_millis(500);
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// The delay after an error of the system in `accept`, such as no free descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Raises the soft limit on file descriptors and returns how many connections it allows. Logs a warning if these are few.
#[must_use]
pub fn connections_allowed() -> usize {
    let wanted = CONNECTIONS_MAX + RESERVED_DESCRIPTORS;
    let descriptors = rlimit::increase_nofile_limit(wanted).unwrap_or(wanted);
    // With few descriptors, as many are left for connections to Kapso and Slack.
    let half = descriptors.saturating_sub(BASE_DESCRIPTORS) / 2;
    let connections = descriptors
        .saturating_sub(RESERVED_DESCRIPTORS)
        .max(half)
        .clamp(1, CONNECTIONS_MAX);
    if connections < CONNECTIONS_FEW {
        tracing::warn!(
            descriptors,
            connections,
            "the limit on file descriptors (ulimit -n) allows few connections; 1024 are enough"
        );
    }
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// The limits on connections, and the two steps of the shutdown.
#[derive(Clone)]
pub struct Bounds {
    /// Deadline for a request's head: of the first one counted from the connection's beginning, of a later one from its
    /// first byte.
    pub head_deadline: Duration,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Duration,
    /// Most connections at the same time.
    pub connections: usize,
    /// First step of the shutdown: each connection closes after its next response.
    pub draining: CancellationToken,
    /// Second step: no more connections are accepted, and idle ones are closed.
    pub closed: CancellationToken,
    /// Tracks one task per connection.
    pub tasks: TaskTracker,
}

/// Serves `router` on `listener` until [`Bounds::closed`]. Connections may still be open then: see [`Bounds::tasks`].
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds) {
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let idle = Arc::new(IdleConnections::default());
    let accept_errors = LogLimit::default();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    if let Some(suppressed) = accept_errors.admit("accept", Clock::system().now()) {
                        tracing::warn!(%error, suppressed, "could not accept a connection");
                    }
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    continue;
                }
            },
            () = bounds.closed.cancelled() => return,
        };
        let permit = tokio::select! {
            permit = acquire(&permits, &idle) => permit,
            () = bounds.closed.cancelled() => return,
        };
        idle.clear_full();
        let slot = ConnectionSlot::new(Arc::clone(&idle), Instant::now() + bounds.head_deadline);
        let (router, bounds) = (router.clone(), bounds.clone());
        bounds.tasks.clone().spawn(async move {
            serve_connection(stream, router, bounds, slot).await;
            drop(permit);
        });
    }
}

/// Waits for room for a connection. At capacity, makes room by closing the one that has been idle longest.
async fn acquire(
    permits: &Arc<Semaphore>,
    idle: &IdleConnections,
) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
    let mut permit = pin!(Arc::clone(permits).acquire_owned());
    if permits.available_permits() == 0 {
        while let Some(fresh_until) = idle.evict_oldest() {
            tokio::select! {
                permit = permit.as_mut() => return permit,
                () = sleep_until(fresh_until) => {}
            }
        }
    }
    permit.await
}

async fn serve_connection(stream: TcpStream, router: Router, bounds: Bounds, slot: Arc<ConnectionSlot>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        slot.was_used.store(true, Ordering::Release);
        slot.set_phase(Phase::Request);
        let body_slot = Arc::clone(&slot);
        let response = router
            .clone()
            .call(request.map(|body| Body::new(TrackedBody::new(body, body_slot))));
        let (slot, bounds) = (&slot, &bounds);
        async move {
            let mut response: Response = response.await?;
            let full = slot.set_idle();
            slot.set_phase(Phase::Idle(Instant::now() + bounds.keep_alive));
            // Announced in the response: closed without notice, a connection could lose a request that the client is
            // just sending.
            if full || bounds.draining.is_cancelled() {
                response.headers_mut().insert(header::CONNECTION, CLOSE);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = WatchedStream {
        stream: TokioIo::new(stream),
        slot: Arc::clone(&slot),
        head_deadline: bounds.head_deadline,
    };
    let mut connection = pin!(
        http1::Builder::new()
            // Its deadline for heads would count the time that a connection is idle.
            .header_read_timeout(None)
            .max_buf_size(HEAD_MAX)
            .serve_connection(stream, service)
    );
    let mut timer = pin!(sleep_until(Instant::now() + bounds.head_deadline));
    let mut closed = false;
    loop {
        tokio::select! {
            // An error here is caused by the client, and cannot be reported to it.
            () = poll_fn(|context| poll_in_time(connection.as_mut(), timer.as_mut(), &slot, context)) => return,
            () = slot.evicted.cancelled() => return,
            () = bounds.closed.cancelled(), if !closed => {
                closed = true;
                if !slot.was_used.load(Ordering::Acquire) {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Polls the connection until it ends, or until the deadline of its phase.
fn poll_in_time<T>(
    connection: Pin<&mut impl Future<Output = T>>,
    mut timer: Pin<&mut Sleep>,
    slot: &ConnectionSlot,
    context: &mut Context<'_>,
) -> Poll<()> {
    if connection.poll(context).is_ready() {
        return Poll::Ready(());
    }
    // After the connection, because only polling it changes the phase.
    let Some(deadline) = slot.phase().deadline() else {
        return Poll::Pending;
    };
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.poll(context)
}

/// What a connection is waiting for, and until when.
#[derive(Clone, Copy)]
enum Phase {
    /// The rest of a request's head.
    Head(Instant),
    /// The response to a request, whose head has arrived.
    Request,
    /// Another request. A part of it may have arrived together with the request before; such a connection can do no more
    /// than one that is silent.
    Idle(Instant),
}

impl Phase {
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Head(deadline) | Self::Idle(deadline) => Some(deadline),
            Self::Request => None,
        }
    }
}

/// A stream that notices the first byte of a request on an idle connection.
struct WatchedStream {
    stream: TokioIo<TcpStream>,
    slot: Arc<ConnectionSlot>,
    head_deadline: Duration,
}

impl Read for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() && matches!(self.slot.phase(), Phase::Idle(_)) {
            // At the end of the stream, too: hyper closes the connection then.
            self.slot.set_phase(Phase::Head(Instant::now() + self.head_deadline));
        }
        read
    }
}

impl Write for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

/// The body of a request. Its connection counts as idle until the whole body has arrived, so that a slow sender can be
/// evicted.
struct TrackedBody {
    body: Incoming,
    slot: Arc<ConnectionSlot>,
}

impl TrackedBody {
    fn new(body: Incoming, slot: Arc<ConnectionSlot>) -> Self {
        let tracked = Self { body, slot };
        tracked.set_busy_if_complete();
        tracked
    }

    fn set_busy_if_complete(&self) {
        if self.body.is_end_stream() {
            self.slot.set_busy();
        }
    }
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.set_busy_if_complete();
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connections without a complete request. At capacity, the one that has been idle longest is evicted.
#[derive(Default)]
struct IdleConnections {
    state: Mutex<IdleState>,
}

#[derive(Default)]
struct IdleState {
    next_number: u64,
    /// Since when a connection is idle, and what closes it, by its number: the lowest has been idle longest.
    connections: BTreeMap<u64, (Instant, CancellationToken)>,
    /// At capacity, and nothing can be evicted now: the next connection that becomes idle must close.
    full: bool,
}

/// The state of one connection.
struct ConnectionSlot {
    idle: Arc<IdleConnections>,
    evicted: CancellationToken,
    /// Whether it has sent a request.
    was_used: AtomicBool,
    /// Its number in [`IdleState::connections`] while it is idle.
    number: Mutex<Option<u64>>,
    phase: Mutex<Phase>,
}

impl IdleConnections {
    /// Closes the connection that has been idle longest, unless that is [fresh](FRESH): then returns until when.
    fn evict_oldest(&self) -> Option<Instant> {
        let mut state = lock(&self.state);
        let Some(oldest) = state.connections.first_entry() else {
            state.full = true;
            return None;
        };
        let fresh_until = oldest.get().0 + FRESH;
        if fresh_until > Instant::now() {
            state.full = true;
            return Some(fresh_until);
        }
        let (_, evicted) = oldest.remove();
        evicted.cancel();
        None
    }

    fn clear_full(&self) {
        lock(&self.state).full = false;
    }
}

impl ConnectionSlot {
    /// A new connection, whose first head must have arrived by `deadline`.
    fn new(idle: Arc<IdleConnections>, deadline: Instant) -> Arc<Self> {
        let slot = Self {
            idle,
            evicted: CancellationToken::new(),
            was_used: AtomicBool::new(false),
            number: Mutex::new(None),
            phase: Mutex::new(Phase::Head(deadline)),
        };
        slot.set_idle();
        Arc::new(slot)
    }

    fn phase(&self) -> Phase {
        *lock(&self.phase)
    }

    fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }

    /// Marks the connection as idle. Returns whether it must close instead, to make room for another one.
    fn set_idle(&self) -> bool {
        self.set_busy();
        let mut state = lock(&self.idle.state);
        let number = state.next_number;
        state.next_number += 1;
        state.connections.insert(number, (Instant::now(), self.evicted.clone()));
        *lock(&self.number) = Some(number);
        state.full
    }

    fn set_busy(&self) {
        if let Some(number) = lock(&self.number).take() {
            lock(&self.idle.state).connections.remove(&number);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.set_busy();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
