//! The HTTP clients for one host, of which one reuses connections while that is safe.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::time::{Instant, sleep_until};
use url::Url;

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
    pool: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    last_used: Option<Instant>,
    /// Until when the pool is not used.
    suspended_until: Option<Instant>,
}

impl HttpClients {
    /// `pooled` must give up on a silent connection, and must close connections that are unused for `pool_idle`.
    #[must_use]
    pub fn new(pooled: Client, unpooled: Client, pool_idle: Duration) -> Self {
        Self {
            pooled,
            unpooled,
            pool_idle,
            pool: Mutex::default(),
        }
    }

    /// The client for a request that may be repeated.
    pub(super) fn pooled(&self) -> &Client {
        let now = Instant::now();
        let mut pool = self.pool();
        pool.last_used = Some(now);
        if pool.is_suspended(now) {
            &self.unpooled
        } else {
            &self.pooled
        }
    }

    /// The client for a request that must not meet a connection that is silent or just being closed.
    pub(super) fn unpooled(&self) -> &Client {
        &self.unpooled
    }

    /// Stops the use of the pool: a connection was silent, so that others may be.
    pub(super) fn suspend_pool(&self) {
        self.pool().suspended_until = Some(Instant::now() + self.pool_idle);
    }

    /// Keeps a connection to the host of `base` ready, so that an occasional command does not wait until it is connected
    /// and TLS is negotiated: opens one, and uses it when it was not used for `interval`.
    ///
    /// The requests are for the root of the host and have no key, so they are none of the API and use up no rate limit.
    pub async fn keep_ready(&self, base: &Url, interval: Duration) -> Infallible {
        let mut root = base.clone();
        root.set_path("/");
        root.set_query(None);
        loop {
            let now = Instant::now();
            let next = self.pool().next_use(now, interval);
            if now < next {
                sleep_until(next).await;
                continue;
            }
            self.pool().last_used = Some(now);
            let request = self.pooled.head(root.clone()).send().await;
            // Any response will do. An error that matters is reported by the next command.
            if request.is_err_and(|error| error.is_timeout()) {
                self.suspend_pool();
            }
        }
    }

    fn pool(&self) -> MutexGuard<'_, PoolState> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PoolState {
    fn is_suspended(&self, now: Instant) -> bool {
        self.suspended_until.is_some_and(|until| now < until)
    }

    /// When a connection must be used so that it was not unused for longer than `interval`.
    fn next_use(&self, now: Instant, interval: Duration) -> Instant {
        let unused_too_long = self.last_used.map_or(now, |used| used + interval);
        self.suspended_until
            .map_or(unused_too_long, |until| until.max(unused_too_long))
    }
}
