//! An HTTP proxy that connects to servers by `CONNECT`, as companies have one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::support::port;

/// A running proxy.
pub struct ConnectProxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl ConnectProxy {
    /// Connects to the address that is listed for a host and port such as `kapso.example:443`, and refuses all others.
    pub async fn start(targets: &[(&str, SocketAddr)]) -> Self {
        let targets: HashMap<String, SocketAddr> = targets
            .iter()
            .map(|(name, address)| ((*name).to_owned(), *address))
            .collect();
        Self::serve(targets, "403 Forbidden").await
    }

    /// Answers every request with this status.
    pub async fn refusing(status: &'static str) -> Self {
        Self::serve(HashMap::new(), status).await
    }

    async fn serve(targets: HashMap<String, SocketAddr>, refusal: &'static str) -> Self {
        let listener = port().await;
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let serving = tokio::spawn({
            let heads = Arc::clone(&heads);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(tunnel(stream, targets.clone(), refusal, Arc::clone(&heads)));
                }
            }
        });
        Self {
            address,
            heads,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn tunnel(
    mut stream: TcpStream,
    targets: HashMap<String, SocketAddr>,
    refusal: &str,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    heads.lock().unwrap().push(head.clone());
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some(address) = target.and_then(|target| targets.get(target)) else {
        // zebra: text that nobody may see.
        let answer = format!("HTTP/1.1 {refusal}\r\ncontent-length: 5\r\n\r\nzebra");
        let _ = stream.write_all(answer.as_bytes()).await;
        return;
    };
    let mut server = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
}
