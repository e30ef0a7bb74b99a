//! What answers a request of Slack's at once, and how far it has come.

use std::fmt;

use bytes::Bytes;
use tokio::sync::oneshot;

/// Called when Slack has certainly received a message.
pub type OnReceived = Box<dyn FnOnce() + Send>;

/// The acknowledgement of a request. Dropped before [`mark_written`](Self::mark_written), its message counts as not sent.
#[derive(Default)]
pub struct Acknowledgement {
    /// The message in it; `None` if there is none, or if it comes to the `response_url` later.
    message: Option<Bytes>,
    written: Option<oneshot::Sender<()>>,
    on_received: Option<OnReceived>,
}

impl Acknowledgement {
    /// Without a message.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// With a message. `written` learns that it was sent, or is dropped if it cannot be.
    #[must_use]
    pub fn with_message(message: Bytes, written: Option<oneshot::Sender<()>>) -> Self {
        Self {
            message: Some(message),
            written,
            on_received: None,
        }
    }

    /// The same, with something to call when Slack has certainly received it.
    #[must_use]
    pub fn when_received(self, on_received: impl FnOnce() + Send + 'static) -> Self {
        Self {
            on_received: Some(Box::new(on_received)),
            ..self
        }
    }

    #[must_use]
    pub fn message(&self) -> Option<&Bytes> {
        self.message.as_ref()
    }

    /// It was sent. Returns what to call when Slack has certainly received it.
    pub fn mark_written(self) -> Option<OnReceived> {
        if let Some(written) = self.written {
            // Nobody waits for it after a panic.
            let _ = written.send(());
        }
        self.on_received
    }

    /// The message, for an HTTP response: whether Slack receives that cannot be learnt.
    #[must_use]
    pub fn into_message(mut self) -> Option<Bytes> {
        let message = self.message.take();
        drop(self.mark_written());
        message
    }
}

impl fmt::Debug for Acknowledgement {
    /// Without the message, which may contain an activation code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledgement")
            .field("has_message", &self.message.is_some())
            .finish_non_exhaustive()
    }
}
