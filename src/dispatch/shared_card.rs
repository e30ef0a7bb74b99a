//! Cards that were shared with the bot token: posted by `chat.postMessage`, and updated by `chat.update` for as long as
//! their session lives.
//!
//! The watch of a card is also the job that updates it: it knows what the card shows and what it has to show, so that an
//! update that was lost is found again by the next poll, in whichever process, and the last state wins.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::Dispatcher;
use super::delivery::{Outgoing, StoredMessage};
use super::direct::REFUSED_PAUSE;
use super::late_reply::LateReply;
use crate::cards::session::card_for_channel;
use crate::cards::{Replaces, View};
use crate::kapso::{Session, SessionId};
use crate::queue::{LeasedJob, Payload, Upserted};
use crate::slack::UserId;
use crate::slack::channel_pace::ChannelPace;
use crate::slack::response_url::PostOutcome;
use crate::slack::web_api::{ChatMessage, Posted, Refusal, WebApiError};
use crate::watches::policy::{SHARED_DURATION, UPDATE_PAUSE};
use crate::watches::{SharedCard, Shown, Watch};

/// Slack's limit on updates is one for the whole workspace; it is kept like the limit of a channel with this name.
const UPDATES: &str = "chat.update";

/// The pace of updates: 50 a minute where a channel takes 60 messages.
/// Source: <https://docs.slack.dev/apis/web-api/rate-limits>, tier 3.
#[must_use]
pub fn update_pace(channel_interval: SignedDuration) -> ChannelPace {
    ChannelPace::new(channel_interval * 6 / 5)
}

impl Dispatcher {
    /// Posts a message to its channel with the bot token. `None` if Slack has not taken it and will not: then it is posted
    /// to the `response_url`.
    pub(super) async fn post_with_token(
        &self,
        outgoing: &mut Outgoing,
        message: &StoredMessage,
        request_id: &str,
    ) -> Option<PostOutcome> {
        let api = &self.commands.web_api;
        match api.post_message(&outgoing.channel, &message.as_chat()).await {
            Ok(posted) => {
                outgoing.posted = Some(posted);
                Some(PostOutcome::Accepted)
            }
            Err(WebApiError::RateLimited(pause)) => Some(PostOutcome::RateLimited(pause)),
            Err(WebApiError::Unclear(_)) => Some(PostOutcome::Unknown),
            // In a channel without the app, this is how it is.
            Err(WebApiError::NoToken | WebApiError::Refused(Refusal::NotInChannel | Refusal::ChannelNotFound)) => None,
            Err(error @ (WebApiError::NotSent(_) | WebApiError::Refused(_))) => {
                if let Some(suppressed) = self.admit_line("shared card") {
                    tracing::warn!(
                        request_id,
                        problem = error.to_string(),
                        fix = error.fix(),
                        suppressed,
                        "a shared card could not be posted with SLACK_BOT_TOKEN; it is not updated"
                    );
                }
                None
            }
        }
    }

    /// Updates a card from now on that was posted with the bot token.
    pub(super) async fn keep_true(&self, reply: &LateReply, id: &SessionId, posted: Posted, shown: Shown) {
        let Some(shared_by) = UserId::parse(&reply.who.user) else {
            return;
        };
        let now = self.clock.now();
        let watch = Watch {
            session: id.clone(),
            session_created_at: shown.created_at,
            who: reply.who.clone(),
            origin: reply.origin.shared_by(&shared_by),
            request_id: reply.request_id.clone(),
            response_url: SecretString::default(),
            arrived_at: reply.outgoing.received_at,
            posts_left: 0,
            not_found: 0,
            card: None,
            direct: None,
            shared: Some(SharedCard {
                posted: posted.clone(),
                until: reply.outgoing.received_at + SHARED_DURATION,
                current: shown.clone(),
                shown,
                not_before: now,
                is_paced: false,
            }),
        };
        match self.commands.watches.add_card(&watch, &posted).await {
            Ok(Upserted::Inserted | Upserted::Replaced | Upserted::Older) => {}
            Ok(Upserted::OwnerQuotaReached | Upserted::TotalQuotaReached) | Err(_) => {
                tracing::warn!(
                    request_id = watch.request_id,
                    "a shared card will not be updated: its watch was not stored"
                );
            }
        }
    }

    /// Updates a card in a task of its own: the poller does not wait for Slack. `until` is when the session is polled next;
    /// `None` if this is the last update.
    pub fn update_card(
        self: &Arc<Self>,
        job: LeasedJob<Watch>,
        (watch, until): (Box<Watch>, Option<Timestamp>),
        session: Arc<Session>,
    ) {
        let dispatcher = Arc::clone(self);
        self.tasks
            .spawn(async move { dispatcher.attempt_update(job, *watch, until, &session).await });
    }

    async fn attempt_update(
        &self,
        job: LeasedJob<Watch>,
        mut watch: Watch,
        until: Option<Timestamp>,
        session: &Session,
    ) {
        if !self.is_authorized(&watch) {
            tracing::info!(
                request_id = watch.request_id,
                "a shared card is no longer updated: its project may not be used there"
            );
            return self.queue.complete(job).await;
        }
        let message = self.render_shared(&watch, session);
        let Some(card) = &mut watch.shared else {
            return;
        };
        let now = self.clock.now();
        if !card.is_paced {
            let allowed_at = self.update_pace.reserve(UPDATES, now);
            if allowed_at > now {
                card.is_paced = true;
                return self.retry_update(job, watch, allowed_at).await;
            }
        }
        card.is_paced = false;
        let sent = self.commands.web_api.update_message(&card.posted, &message).await;
        let now = self.clock.now();
        match sent {
            Ok(()) => {
                card.record_update(now);
                tracing::info!(
                    request_id = watch.request_id,
                    channel = card.posted.channel,
                    session_id = watch.session.as_str(),
                    "a shared card was updated"
                );
                match until {
                    Some(until) => drop(self.queue.reschedule(job, watch, until).await),
                    None => self.queue.complete(job).await,
                }
            }
            Err(WebApiError::RateLimited(pause)) => {
                self.update_pace.pause(UPDATES, now, pause);
                // Other processes wait for the same limit.
                let jitter = Duration::from_millis(fastrand::u64(..250));
                let pause = SignedDuration::try_from(pause + jitter).unwrap_or(REFUSED_PAUSE);
                self.retry_update(job, watch, now + pause).await;
            }
            Err(WebApiError::NotSent(_) | WebApiError::Unclear(_)) => {
                self.retry_update(job, watch, until.unwrap_or(now + UPDATE_PAUSE)).await;
            }
            Err(WebApiError::Refused(refusal)) if refusal.is_configuration_fault() => {
                self.log_update_refused(&watch, &WebApiError::Refused(refusal));
                self.retry_update(job, watch, now + REFUSED_PAUSE).await;
            }
            Err(error @ (WebApiError::Refused(_) | WebApiError::NoToken)) => {
                self.log_update_refused(&watch, &error);
                self.queue.complete(job).await;
            }
        }
    }

    /// Polls the session again before the next attempt, so that the card then shows the last state.
    async fn retry_update(&self, job: LeasedJob<Watch>, mut watch: Watch, at: Timestamp) {
        if let Some(card) = &mut watch.shared {
            card.not_before = at;
        }
        let at = at.min(self.clock.now() + Watch::LONGEST_WAIT);
        let _ = self.queue.reschedule(job, watch, at).await;
    }

    /// The card as it would be shared now.
    fn render_shared(&self, watch: &Watch, session: &Session) -> ChatMessage {
        let context = self
            .commands
            .notification_context(&watch.who, &watch.request_id, &watch.origin);
        let card = card_for_channel(session, &context);
        (&View::new(card, Replaces::Nothing).into_message(&context)).into()
    }

    fn log_update_refused(&self, watch: &Watch, error: &WebApiError) {
        if let Some(suppressed) = self.admit_line("shared card") {
            tracing::warn!(
                request_id = watch.request_id,
                problem = error.to_string(),
                fix = error.fix(),
                suppressed,
                "Slack did not update a shared card"
            );
        }
    }
}
