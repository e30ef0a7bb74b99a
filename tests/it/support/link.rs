//! A link to a server with a round trip of a known time, which can be cut.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::port;

/// Forwards connections. Connecting takes one round trip, and so does a request with its response.
pub struct Link {
    pub address: SocketAddr,
    /// How many connections were made, and how many times bytes came back over one.
    counts: watch::Sender<Counts>,
    cut: watch::Sender<CancellationToken>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub connections: usize,
    pub responses: usize,
}

impl Link {
    pub async fn start(server: SocketAddr, round_trip: Duration) -> Self {
        let listener = port().await;
        let address = listener.local_addr().unwrap();
        let counts = watch::Sender::new(Counts::default());
        let cut = watch::Sender::new(CancellationToken::new());
        let serving = {
            let (counts, cut) = (counts.clone(), cut.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    counts.send_modify(|counts| counts.connections += 1);
                    let (counts, cut) = (counts.clone(), cut.borrow().clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = forward(stream, server, round_trip, counts) => {}
                            () = cut.cancelled() => {}
                        }
                    });
                }
            })
        };
        Self {
            address,
            counts,
            cut,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// A link to the server of this address.
    pub async fn to(server: &Url, round_trip: Duration) -> Self {
        Self::start(server.socket_addrs(|| None).unwrap()[0], round_trip).await
    }

    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits for so many connections, over the last of which bytes came back.
    pub async fn wait_for_connections(&self, count: usize) {
        let mut counts = self.counts.subscribe();
        let arrived = counts.wait_for(|counts| counts.connections >= count && counts.responses >= count);
        arrived.await.unwrap();
    }

    /// Closes the connections that are open now.
    pub fn close_connections(&self) {
        self.cut.send_replace(CancellationToken::new()).cancel();
    }
}

async fn forward(
    client: TcpStream,
    server: SocketAddr,
    round_trip: Duration,
    counts: watch::Sender<Counts>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    sleep(round_trip).await;
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let counts = Arc::new(counts);
    let back = move || counts.send_modify(|counts| counts.responses += 1);
    tokio::try_join!(
        delay(from_client, to_server, round_trip / 2, || {}),
        delay(from_server, to_client, round_trip / 2, back),
    )?;
    Ok(())
}

/// Writes what is read after `time`, however much is on its way.
async fn delay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, time: Duration, written: impl Fn()) -> io::Result<()> {
    let (sender, mut on_the_way) = mpsc::unbounded_channel();
    let reading = async move {
        loop {
            let mut bytes = Vec::with_capacity(16 * 1024);
            if from.read_buf(&mut bytes).await? == 0 || sender.send((Instant::now() + time, bytes)).is_err() {
                return Ok::<_, io::Error>(());
            }
        }
    };
    let writing = async move {
        while let Some((at, bytes)) = on_the_way.recv().await {
            sleep_until(at).await;
            to.write_all(&bytes).await?;
            written();
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}
