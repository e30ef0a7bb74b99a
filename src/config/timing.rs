//! Durations that no variable changes; tests shorten them.

use std::time::Duration;

use jiff::SignedDuration;

/// Every deadline, delay and interval of the service that is not a variable.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Deadline for the head of a request: of the first one counted from the connection's beginning, of a later one
    /// from its first byte.
    pub request_head: Duration,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Duration,
    /// Deadline for the body of a request.
    pub request_body: Duration,
    /// Deadline for the image of a QR code.
    pub image: Duration,
    /// Deadline for connecting to Kapso or Slack.
    pub connect: Duration,
    /// Requests to Kapso.
    pub kapso: KapsoTiming,
    /// Posts to a `response_url`.
    pub response_url: ResponseUrlTiming,
    /// The socket to Slack.
    pub socket: SocketTiming,
    /// Longest time between two polls for watches that are due.
    pub max_poll_interval: Duration,
    /// Longest time between two claims of jobs that are due.
    pub max_claim_interval: Duration,
    /// The time between two messages to one channel, after a burst of three.
    pub channel_interval: SignedDuration,
    /// How far this machine's clock may be from the database server's before it claims no more jobs; `None` to trust
    /// the clock, which tests move.
    pub max_clock_skew: Option<SignedDuration>,
    /// How long an acknowledgement waits for its job to be stored.
    pub enqueue: Duration,
    /// Graceful shutdown.
    pub shutdown: ShutdownTiming,
}

/// Timing of requests to Kapso.
#[derive(Clone, Debug)]
pub struct KapsoTiming {
    /// Deadline for one attempt, response body included.
    pub attempt: Duration,
    /// How long a connection that was used before may be silent during an attempt.
    pub silence: Duration,
    /// How long an unused connection is kept.
    pub pool_idle: Duration,
    /// A connection is used when it was not used for so long, so that it stays open; `None` to let it be closed.
    pub keep_ready: Option<Duration>,
    /// Deadline for all attempts together.
    pub total: Duration,
    /// Shortest delay before the second attempt; doubles for each further attempt, with jitter.
    pub min_retry_delay: Duration,
    /// Longest time a person waits for the rate limit to reset; a longer wait is reported as an error instead.
    pub max_rate_limit_wait: Duration,
    /// How long a session is served from the cache.
    pub cache_ttl: SignedDuration,
}

/// Timing of posts to a `response_url`.
#[derive(Clone, Debug)]
pub struct ResponseUrlTiming {
    /// Deadline for one post.
    pub attempt: Duration,
    /// Shortest delay before the second attempt; doubles for each further attempt, with jitter.
    pub min_retry_delay: Duration,
}

/// Timing of the socket to Slack.
#[derive(Clone, Debug)]
pub struct SocketTiming {
    /// Deadline for the request that asks Slack for the address of a connection, and again for connecting to it up to
    /// Slack's `hello`.
    pub open: Duration,
    /// The pause between two pings.
    pub ping: Duration,
    /// A connection without any frame from Slack for this long is dead.
    pub silence: Duration,
    /// Deadline for writing one frame.
    pub write: Duration,
    /// How long a connection that is being replaced may wait for replies before they are made late ones.
    pub drain: Duration,
    /// How long a connection that is being replaced may take in all, the close handshake included.
    pub close: Duration,
    /// Longest pause before the second attempt to connect; doubles with each further attempt. Each pause is a random part
    /// of this.
    pub min_retry_delay: Duration,
    /// Longest pause before any attempt, unless Slack asks for more.
    pub max_retry_delay: Duration,
    /// A connection that lasted for less counts as a failed attempt.
    pub stable: Duration,
}

/// Timing of a graceful shutdown.
#[derive(Clone, Debug)]
pub struct ShutdownTiming {
    /// How long after the signal commands may wait for Kapso.
    pub kapso: Duration,
    /// How long after the signal replies are delivered.
    pub delivery: Duration,
    /// Shortest time after the signal during which requests are still answered, so that load balancers see `/readyz`
    /// turn to 503 before connections are refused.
    pub linger: Duration,
    /// How long connections then have to send their last response.
    pub connections: Duration,
    /// How long after the signal the database may still take to close.
    pub database: Duration,
}

impl Timing {
    /// The timing in production. A person waits for the rate limit no longer than `reply_budget`.
    #[must_use]
    pub fn standard(reply_budget: Duration) -> Self {
        Self {
            request_head: Duration::from_secs(10),
            // Longer than any proxy's, so that the proxy closes idle connections: a request never meets one that the
            // service is just closing. Google's load balancers keep them for 600 s, which cannot be changed.
            keep_alive: Duration::from_secs(630),
            request_body: Duration::from_secs(5),
            image: Duration::from_secs(2),
            connect: Duration::from_secs(3),
            kapso: KapsoTiming {
                attempt: Duration::from_secs(8),
                silence: Duration::from_secs(3),
                pool_idle: Duration::from_secs(90),
                // Shorter than the 60 s after which common load balancers close a connection.
                keep_ready: Some(Duration::from_secs(45)),
                total: Duration::from_secs(25),
                min_retry_delay: Duration::from_millis(200),
                max_rate_limit_wait: reply_budget,
                cache_ttl: SignedDuration::from_secs(5),
            },
            response_url: ResponseUrlTiming {
                attempt: Duration::from_secs(5),
                min_retry_delay: Duration::from_millis(500),
            },
            socket: SocketTiming {
                open: Duration::from_secs(10),
                ping: Duration::from_secs(10),
                silence: Duration::from_secs(30),
                write: Duration::from_secs(5),
                drain: Duration::from_millis(400),
                close: Duration::from_secs(1),
                min_retry_delay: Duration::from_secs(1),
                max_retry_delay: Duration::from_secs(30),
                stable: Duration::from_secs(30),
            },
            max_poll_interval: Duration::from_secs(1),
            max_claim_interval: Duration::from_secs(2),
            channel_interval: SignedDuration::from_secs(1),
            max_clock_skew: Some(SignedDuration::from_secs(30)),
            enqueue: Duration::from_millis(300),
            shutdown: ShutdownTiming {
                kapso: Duration::from_millis(4_500),
                delivery: Duration::from_millis(6_500),
                linger: Duration::from_secs(1),
                connections: Duration::from_millis(500),
                database: Duration::from_millis(7_300),
            },
        }
    }
}
