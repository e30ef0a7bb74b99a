//! A TCP proxy in front of a database server, for outages.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::databases::Database;
use crate::support::port;

/// A TCP proxy to the server that can be cut: it then closes its connections and refuses new ones.
pub struct Proxy {
    from: SocketAddr,
    to: SocketAddr,
    forwarding: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to the server of this database.
    pub async fn to(database: &Database) -> Self {
        let (_, server) = database.address.rsplit_once('@').unwrap();
        let to = server.split('/').next().unwrap().parse().unwrap();
        let listener = port().await;
        Self {
            from: listener.local_addr().unwrap(),
            to,
            forwarding: tokio::spawn(forward(listener, to)),
        }
    }

    /// The value of `DATABASE_URL` that leads through this proxy.
    pub fn address(&self, database: &Database) -> String {
        database.address.replace(&self.to.to_string(), &self.from.to_string())
    }

    /// Closes all connections, and refuses new ones.
    pub async fn cut(&mut self) {
        self.forwarding.abort();
        let _ = (&mut self.forwarding).await;
    }

    /// Forwards again.
    pub async fn restore(&mut self) {
        let listener = TcpListener::bind(self.from).await.unwrap();
        self.forwarding = tokio::spawn(forward(listener, self.to));
    }
}

async fn forward(listener: TcpListener, to: SocketAddr) {
    let mut connections = JoinSet::new();
    while let Ok((mut connection, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(to).await {
                // It does not matter how the connection ends.
                drop(copy_bidirectional(&mut connection, &mut server).await);
            }
        });
    }
}
