//! Raw connections and a scripted server: for bytes that no HTTP library would send.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::port;

/// The response of a [`ScriptedServer`] to a request.
#[derive(Clone, Debug)]
pub struct ScriptedResponse {
    bytes: Vec<u8>,
    end: End,
    immediate: bool,
}

/// How the connection ends after the response.
#[derive(Clone, Copy, Debug)]
enum End {
    Close,
    Reset,
    Never,
    Ignore,
}

impl ScriptedResponse {
    /// These bytes; then the connection is closed.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            end: End::Close,
            immediate: false,
        }
    }

    /// A complete response with a length. `head` is the status and, on further lines, headers.
    pub fn answer(head: &str, body: &str) -> Self {
        Self::bytes(format!(
            "HTTP/1.1 {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            head.replace('\n', "\r\n"),
            body.len()
        ))
    }

    /// The same bytes, sent before any request has arrived.
    pub fn before_any_request(self) -> Self {
        Self {
            immediate: true,
            ..self
        }
    }

    /// The same bytes; then the connection is reset.
    pub fn then_reset(self) -> Self {
        Self {
            end: End::Reset,
            ..self
        }
    }

    /// The same bytes; then the connection stays open.
    pub fn then_hang(self) -> Self {
        Self {
            end: End::Never,
            ..self
        }
    }

    /// The same bytes, and then no answer to further requests on the open connection, which [`ScriptedServer::ignored`]
    /// counts. So does a connection that a firewall has forgotten.
    pub fn then_ignore(self) -> Self {
        Self {
            end: End::Ignore,
            ..self
        }
    }
}

/// A server that sends prepared responses to any request.
pub struct ScriptedServer {
    pub url: Url,
    state: Arc<Mutex<Scripts>>,
    requests: watch::Sender<Vec<String>>,
    ignored: Arc<AtomicUsize>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Scripts {
    next: VecDeque<ScriptedResponse>,
    standing: Option<ScriptedResponse>,
}

impl ScriptedServer {
    /// A server without prepared responses.
    pub async fn start() -> Self {
        let listener = port().await;
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let state = Arc::<Mutex<Scripts>>::default();
        let requests = watch::Sender::new(Vec::new());
        let ignored = Arc::<AtomicUsize>::default();
        let serving = {
            let (state, requests, ignored) = (Arc::clone(&state), requests.clone(), Arc::clone(&ignored));
            tokio::spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(
                        stream,
                        Arc::clone(&state),
                        requests.clone(),
                        Arc::clone(&ignored),
                    ));
                }
            })
        };
        Self {
            url,
            state,
            requests,
            ignored,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Sets the response to every request that has none of its own.
    pub fn respond(&self, script: ScriptedResponse) {
        self.state.lock().unwrap().standing = Some(script);
    }

    /// Sets the response to the next request; called again, to the one after it.
    pub fn respond_next(&self, script: ScriptedResponse) {
        self.state.lock().unwrap().next.push_back(script);
    }

    /// The requests so far: heads and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// How many requests came on connections that answer no more.
    pub fn ignored(&self) -> usize {
        self.ignored.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests have arrived.
    pub async fn wait_for_requests(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        requests.wait_for(|requests| requests.len() >= count).await.unwrap();
    }

    /// The origin, as `SLACK_RESPONSE_HOSTS` takes it.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

async fn serve(
    stream: TcpStream,
    state: Arc<Mutex<Scripts>>,
    requests: watch::Sender<Vec<String>>,
    ignored: Arc<AtomicUsize>,
) {
    let mut connection = RawConnection::over(stream);
    let script = {
        let mut state = state.lock().unwrap();
        state.next.pop_front().or_else(|| state.standing.clone())
    };
    if !script.as_ref().is_some_and(|script| script.immediate) {
        let Some((head, body)) = connection.message().await else {
            return;
        };
        requests.send_modify(|requests| requests.push(head + body.as_str()));
    }
    let Some(script) = script else {
        return;
    };
    // The other side may have closed the connection.
    let _ = connection.stream.write_all(&script.bytes).await;
    match script.end {
        End::Close => {
            let _ = connection.stream.shutdown().await;
            connection.read_to_end().await;
        }
        End::Reset => connection.stream.set_zero_linger().unwrap(),
        End::Never => std::future::pending().await,
        End::Ignore => {
            while connection.message().await.is_some() {
                ignored.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// One end of a connection.
pub struct RawConnection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl RawConnection {
    /// Connects to the host of `url`.
    pub async fn connect(url: &Url) -> Self {
        let address = url.socket_addrs(|| None).unwrap()[0];
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Closes the sending side.
    pub async fn finish_sending(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The status and body of the next response.
    pub async fn read_response(&mut self) -> (u16, String) {
        let (head, body) = self.message().await.expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body)
    }

    /// Waits until the other side closes the connection, and returns what it sent before.
    pub async fn read_to_end(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&self.read).into_owned()
    }

    /// The head and body of the next message; `None` if the other side closes the connection first.
    async fn message(&mut self) -> Option<(String, String)> {
        const HEAD_END: &[u8] = b"\r\n\r\n";
        let head_end = loop {
            if let Some(at) = self.read.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
                break at + HEAD_END.len();
            }
            if !self.more().await {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&self.read[..head_end]).into_owned();
        let length = head
            .lines()
            .filter_map(|header| header.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.trim().parse().unwrap());
        while self.read.len() < head_end + length {
            if !self.more().await {
                return None;
            }
        }
        let rest = self.read.split_off(head_end + length);
        let body = String::from_utf8_lossy(&self.read[head_end..]).into_owned();
        self.read = rest;
        Some((head, body))
    }

    /// Reads more; false at the end of the connection, or after a reset.
    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.read).await, Ok(1..))
    }
}

/// A port without a listener, reserved until this is dropped.
pub struct ClosedPort {
    _socket: TcpSocket,
    pub address: std::net::SocketAddr,
}

impl ClosedPort {
    /// Binds a port without listening on it.
    pub fn bind() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self {
            address: socket.local_addr()?,
            _socket: socket,
        })
    }
}
