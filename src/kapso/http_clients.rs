//! The HTTP clients for one host, of which one reuses connections while that is safe.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::time::Instant;

/// One client that reuses connections, and one that uses a new connection for each request.
///
/// A firewall that has forgotten a connection drops everything that is sent over it, and nobody says so. After one such
/// connection all requests use new ones, until the pool has closed every connection that it had by then.
#[derive(Debug)]
pub struct HttpClients {
    pooled: Client,
    unpooled: Client,
    /// How long the pool keeps an unused connection.
    pool_idle: Duration,
    /// Until when the pool is not used.
    suspended_until: Mutex<Option<Instant>>,
}

impl HttpClients {
    /// `pooled` must give up on a silent connection, and must close connections that are unused for `pool_idle`.
    #[must_use]
    pub fn new(pooled: Client, unpooled: Client, pool_idle: Duration) -> Self {
        Self {
            pooled,
            unpooled,
            pool_idle,
            suspended_until: Mutex::new(None),
        }
    }

    /// The client for a request that may be repeated.
    pub(super) fn pooled(&self) -> &Client {
        let suspended_until = *self.suspended_until.lock().unwrap_or_else(PoisonError::into_inner);
        match suspended_until {
            Some(until) if Instant::now() < until => &self.unpooled,
            _ => &self.pooled,
        }
    }

    /// The client for a request that must not meet a connection that is silent or just being closed.
    pub(super) fn unpooled(&self) -> &Client {
        &self.unpooled
    }

    /// Stops the use of the pool: a connection was silent, so that others may be.
    pub(super) fn suspend_pool(&self) {
        let until = Instant::now() + self.pool_idle;
        *self.suspended_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}
