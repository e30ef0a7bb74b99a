//! Serves a router on a listener: header deadline, a cap on connections, and an end that cuts nobody off.

use std::collections::BTreeMap;
use std::convert::Infallible;
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
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// Connections served at once, where the descriptors allow it.
const CONNECTIONS_MAX: u64 = 4_096;
/// Descriptors left for everything that is not a connection to us.
const DESCRIPTORS_KEPT: u64 = 64;
/// The largest head of a request, in bytes. Slack's have under 1 KiB.
const HEAD_MAX: usize = 16 * 1024;
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// The pause after the system refused us a connection.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Raises the soft limit on descriptors and says how many connections it allows.
#[must_use]
pub fn connections_allowed() -> usize {
    let descriptors =
        rlimit::increase_nofile_limit(CONNECTIONS_MAX + DESCRIPTORS_KEPT).unwrap_or(CONNECTIONS_MAX + DESCRIPTORS_KEPT);
    let allowed = descriptors.saturating_sub(DESCRIPTORS_KEPT).clamp(1, CONNECTIONS_MAX);
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

/// How connections are bounded, and the two steps of their end.
#[derive(Clone)]
pub struct Bounds {
    /// How long a request's head may take, the wait on an idle connection included.
    pub head_deadline: Duration,
    /// Connections served at once.
    pub connections: usize,
    /// Connections end with their next answer.
    pub draining: CancellationToken,
    /// No connection is taken any more, and those that wait for a request end.
    pub closed: CancellationToken,
    /// Each connection is a task on it.
    pub tasks: TaskTracker,
}

/// Serves `router` on `listener` until [`Bounds::closed`]. Connections may outlive it: see [`Bounds::tasks`].
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let lobby = Arc::new(IdleConnections::default());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not take a connection");
                    tokio::time::sleep(REFUSED_PAUSE).await;
                    continue;
                }
            },
            () = bounds.closed.cancelled() => return,
        };
        if places.available_permits() == 0 {
            lobby.make_room();
        }
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = bounds.closed.cancelled() => return,
        };
        lobby.has_room();
        let guest = ConnectionSlot::new(Arc::clone(&lobby));
        let (router, bounds) = (router.clone(), bounds.clone());
        bounds.tasks.clone().spawn(async move {
            connection(stream, router, bounds, guest).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, router: Router, bounds: Bounds, guest: Arc<ConnectionSlot>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        guest.was_served.store(true, Ordering::Release);
        let guest_reads = Arc::clone(&guest);
        let answer = router
            .clone()
            .call(request.map(|body| Body::new(TrackedBody::new(body, guest_reads))));
        let (guest, draining) = (&guest, &bounds.draining);
        async move {
            let mut answer: Response = answer.await?;
            let crowded = guest.waits();
            // Ended without a word, a connection could lose the request that is already on its way.
            if crowded || draining.is_cancelled() {
                answer.headers_mut().insert(header::CONNECTION, CLOSE);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head_deadline)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut closed = false;
    loop {
        tokio::select! {
            // What ends a connection early is the other side's doing.
            _ = connection.as_mut() => return,
            () = guest.evicted.cancelled() => return,
            () = bounds.closed.cancelled(), if !closed => {
                closed = true;
                if !guest.was_served.load(Ordering::Acquire) {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The body of a request. As long as it has not all arrived, its connection counts as waiting: whoever sends slowly
/// has shown nothing yet that would give it a right to its place.
struct TrackedBody {
    body: Incoming,
    guest: Arc<ConnectionSlot>,
}

impl TrackedBody {
    fn new(body: Incoming, guest: Arc<ConnectionSlot>) -> Self {
        let arriving = Self { body, guest };
        arriving.look();
        arriving
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.guest.leaves();
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
        self.look();
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connections that have not sent a complete request, oldest first: those who make room at the cap.
#[derive(Default)]
struct IdleConnections {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    guests: BTreeMap<u64, CancellationToken>,
    /// Somebody is at the door, and nobody could be asked to leave.
    crowded: bool,
}

/// One connection, as the lobby knows it.
struct ConnectionSlot {
    lobby: Arc<IdleConnections>,
    evicted: CancellationToken,
    was_served: AtomicBool,
    number: Mutex<Option<u64>>,
}

impl IdleConnections {
    fn make_room(&self) {
        let mut waiting = lock(&self.waiting);
        match waiting.guests.pop_first() {
            Some((_, evicted)) => evicted.cancel(),
            None => waiting.crowded = true,
        }
    }

    fn has_room(&self) {
        lock(&self.waiting).crowded = false;
    }
}

impl ConnectionSlot {
    fn new(lobby: Arc<IdleConnections>) -> Arc<Self> {
        let guest = Self {
            lobby,
            evicted: CancellationToken::new(),
            was_served: AtomicBool::new(false),
            number: Mutex::new(None),
        };
        guest.waits();
        Arc::new(guest)
    }

    /// Waits for a request; says whether it should not, since its place is needed.
    fn waits(&self) -> bool {
        self.leaves();
        let mut waiting = lock(&self.lobby.waiting);
        let number = waiting.next;
        waiting.next += 1;
        waiting.guests.insert(number, self.evicted.clone());
        *lock(&self.number) = Some(number);
        waiting.crowded
    }

    fn leaves(&self) {
        if let Some(number) = lock(&self.number).take() {
            lock(&self.lobby.waiting).guests.remove(&number);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.leaves();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
