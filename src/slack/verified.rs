//! A request that Slack has certainly sent.

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A request of Slack's: with a valid signature, or from the socket that we opened to Slack.
pub struct Verified<T> {
    pub form: T,
    /// When its head, or its envelope, had arrived: the start of Slack's three seconds.
    pub received: Instant,
    /// When Slack sent it, but not later than now. Its `response_url` expires 30 minutes after this.
    pub sent_at: Timestamp,
    pub way: Way,
}

/// How a request came.
#[derive(Clone, Debug)]
pub enum Way {
    Http,
    Socket(SocketDelivery),
}

/// One delivery of a request through the socket.
#[derive(Clone, Debug)]
pub struct SocketDelivery {
    /// Slack gives each delivery an id of its own, also when it delivers the same request again.
    pub envelope_id: String,
    /// Longest message in the acknowledgement, in bytes; 0 if there can be none.
    pub max_message_bytes: usize,
    /// Cancelled when the acknowledgement is needed at once, because its connection is about to be closed.
    pub hurry: CancellationToken,
}
