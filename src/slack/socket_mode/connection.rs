//! One connection: reads envelopes, has them handled, and is the only writer of its socket.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_websockets::Message;

use super::dial::Socket;
use super::envelope::{self, Envelope, Frame};
use super::{EnvelopeKind, Event, Reason, Request, Shared};
use crate::slack::acknowledgement::Acknowledgement;
use crate::slack::command::SlashCommand;
use crate::slack::interaction::Interaction;
use crate::slack::verified::{SocketDelivery, Verified, Way};

/// Envelopes that one connection handles at the same time. While there are more, it reads no further.
const ENVELOPES_MAX: usize = 512;
/// Longest frame that is sent, in bytes. Slack closes the connection for one over 20,480 bytes, and then delivers the
/// same command after each reconnect.
const FRAME_MAX: usize = 19 * 1024;

/// What a connection tells whoever replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Slack said hello. With the number of connections of the app, if Slack says so.
    Ready { connections: Option<u64> },
    /// It has ended or will end. Sent once.
    Replace(Reason),
}

/// A connection, from the WebSocket handshake to its end.
pub(super) struct Connection<'s> {
    pub(super) shared: &'s Shared,
    pub(super) socket: Socket,
    pub(super) signals: UnboundedSender<Signal>,
    /// Cancelled when there is a replacement, or the service stops.
    pub(super) drain: CancellationToken,
}

/// An envelope whose acknowledgement is ready.
struct Handled {
    id: String,
    acknowledgement: Acknowledgement,
}

/// Acknowledgements that were written, but which Slack may not have received.
#[derive(Default)]
struct Unconfirmed {
    pings: u64,
    /// With the number of the ping after each.
    waiting: Vec<(u64, Box<dyn FnOnce() + Send>)>,
}

impl Connection<'_> {
    /// Serves the connection to its end.
    pub(super) async fn serve(mut self) {
        let timing = &self.shared.timing;
        let mut handling = FuturesUnordered::new();
        let mut unconfirmed = Unconfirmed::default();
        let mut pings = interval_at(Instant::now() + timing.ping, timing.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_frame = Instant::now();
        // Ends the wait for replies of a connection that is being replaced: they become late ones.
        let hurry = CancellationToken::new();
        let mut draining_since = None::<Instant>;
        let mut ready = None;
        let reason = loop {
            if draining_since.is_some() && handling.is_empty() && unconfirmed.waiting.is_empty() {
                break Reason::Replaced;
            }
            let has_room = handling.len() < ENVELOPES_MAX;
            let drain_deadline = |span: Duration| draining_since.map_or_else(Instant::now, |since| since + span);
            tokio::select! {
                frame = self.socket.next(), if has_room => {
                    last_frame = Instant::now();
                    let frame = match frame {
                        Some(Ok(frame)) => frame,
                        Some(Err(error)) => {
                            tracing::debug!(%error, "a socket connection to Slack broke");
                            break Reason::Broken;
                        }
                        None => break Reason::Closed,
                    };
                    if frame.is_pong() {
                        unconfirmed.confirm(frame.as_payload());
                    } else if frame.is_ping() {
                        // The pong is queued already.
                        if !self.write(None).await {
                            break Reason::Broken;
                        }
                    } else if let Some(text) = frame.as_text() {
                        match Frame::parse(text) {
                            Frame::Hello { connections } => {
                                ready.get_or_insert_with(|| self.shared.ready());
                                let _ = self.signals.send(Signal::Ready { connections });
                            }
                            Frame::Disconnect(reason) => {
                                let _ = self.signals.send(Signal::Replace(Reason::of_disconnect(&reason)));
                            }
                            Frame::Envelope(envelope) => handling.push(self.handle(envelope, last_frame, &hurry)),
                            Frame::Unknown => tracing::warn!("Slack sent a frame on the socket that this app does not know"),
                        }
                    }
                }
                Some(handled) = handling.next() => {
                    if !has_room {
                        last_frame = Instant::now();
                    }
                    if !self.acknowledge(handled, &mut unconfirmed).await {
                        break Reason::Broken;
                    }
                }
                _ = pings.tick() => {
                    if !self.write(Some(unconfirmed.next_ping())).await {
                        break Reason::Broken;
                    }
                }
                () = sleep_until(last_frame + timing.silence), if has_room => break Reason::Silent,
                () = self.drain.cancelled(), if draining_since.is_none() => {
                    draining_since = Some(Instant::now());
                    // Its replacement is counted.
                    ready = None;
                }
                () = sleep_until(drain_deadline(timing.drain)), if draining_since.is_some() && !hurry.is_cancelled() => {
                    hurry.cancel();
                }
                () = sleep_until(drain_deadline(timing.close)), if draining_since.is_some() => break Reason::Replaced,
            }
        };
        drop(ready);
        let _ = self.signals.send(Signal::Replace(reason));
        // Replies that are under way are not sent here any more: they become late ones.
        drop(handling);
        let deadline = draining_since.unwrap_or_else(Instant::now) + timing.close;
        // Slack answers the close frame, but may leave the TCP connection open.
        let _ = timeout_at(deadline, self.socket.close()).await;
    }

    fn handle(
        &self,
        envelope: Envelope<'_>,
        received: Instant,
        hurry: &CancellationToken,
    ) -> BoxFuture<'static, Handled> {
        let (kind, request) = self.request(&envelope, received, hurry);
        (self.shared.observe)(Event::Envelope(kind));
        let id = envelope.id;
        match request {
            Some(request) => {
                let acknowledged = (self.shared.handle)(request);
                Box::pin(async move {
                    Handled {
                        id,
                        acknowledgement: acknowledged.await,
                    }
                })
            }
            // Acknowledged nevertheless: Slack would deliver it again and again.
            None => Box::pin(async move {
                Handled {
                    id,
                    acknowledgement: Acknowledgement::empty(),
                }
            }),
        }
    }

    /// The request in an envelope; `None` if this app does not handle it.
    fn request(
        &self,
        envelope: &Envelope<'_>,
        received: Instant,
        hurry: &CancellationToken,
    ) -> (EnvelopeKind, Option<Request>) {
        let delivery = SocketDelivery {
            envelope_id: envelope.id.clone(),
            max_message_bytes: if envelope.accepts_message {
                FRAME_MAX.saturating_sub(envelope::acknowledgement(&envelope.id, Some(b"")).len())
            } else {
                0
            },
            hurry: hurry.clone(),
        };
        let sent_at = self.shared.clock.now();
        match envelope.kind.as_str() {
            "slash_commands" => {
                let form = SlashCommand::from_json(envelope.payload);
                if form.is_none() {
                    tracing::warn!("Slack sent a command on the socket that this app cannot read");
                }
                let request = form.map(|form| {
                    Request::Command(Verified {
                        form,
                        received,
                        sent_at,
                        way: Way::Socket(delivery),
                    })
                });
                (EnvelopeKind::SlashCommand, request)
            }
            "interactive" => {
                let form = Interaction::from_json(envelope.payload);
                let request = Request::Interaction(Verified {
                    form,
                    received,
                    sent_at,
                    way: Way::Socket(delivery),
                });
                (EnvelopeKind::Interaction, Some(request))
            }
            kind => {
                let kind = envelope::word(kind);
                tracing::warn!(kind, "Slack sent an envelope that this app does not handle");
                (EnvelopeKind::Other, None)
            }
        }
    }

    /// Writes an acknowledgement; false if it could not be written.
    async fn acknowledge(&mut self, handled: Handled, unconfirmed: &mut Unconfirmed) -> bool {
        let message = handled.acknowledgement.message();
        let has_message = message.is_some();
        let frame = envelope::acknowledgement(&handled.id, message.map(AsRef::as_ref));
        if !self.write(Some(Message::text(frame))).await {
            return false;
        }
        if let Some(on_received) = handled.acknowledgement.mark_written()
            && has_message
        {
            // Slack reads frames in their order: its pong says that it has read the acknowledgement.
            let ping = unconfirmed.next_ping();
            unconfirmed.waiting.push((unconfirmed.pings, on_received));
            return self.write(Some(ping)).await;
        }
        true
    }

    /// Writes a frame and all that is queued; false if it could not be written in time.
    async fn write(&mut self, frame: Option<Message>) -> bool {
        let writing = async {
            match frame {
                Some(frame) => self.socket.send(frame).await,
                None => self.socket.flush().await,
            }
        };
        let written = timeout(self.shared.timing.write, writing).await;
        matches!(written, Ok(Ok(())))
    }
}

impl Unconfirmed {
    fn next_ping(&mut self) -> Message {
        self.pings += 1;
        Message::ping(self.pings.to_be_bytes().to_vec())
    }

    /// Slack has read everything before the ping with this payload.
    fn confirm(&mut self, payload: &[u8]) {
        let Ok(ping) = payload.try_into().map(u64::from_be_bytes) else {
            return;
        };
        let (received, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|(number, _)| *number <= ping);
        self.waiting = waiting;
        for (_, on_received) in received {
            on_received();
        }
    }
}
