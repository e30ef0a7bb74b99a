//! Notifications: rendered at the end of a watch, stored instead of the watch, and delivered like a late reply.
//!
//! After one that was delivered, the card on which the watch was started is updated with what is left of the posts: its
//! job becomes a follow-up.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Dispatcher;
use super::delivery::{Attempt, Deliverable, Outgoing, Recipient, StoredMessage};
use super::follow_up::FollowUpJob;
use crate::cards::session::{Watched, card};
use crate::cards::{self, RenderContext, Replaces, ReplyTarget, View};
use crate::config::Alias;
use crate::kapso::{Session, SessionId};
use crate::queue::{LeasedJob, Payload};
use crate::slack::Who;
use crate::slack::message::Message;
use crate::slack::response_url::DeliveryError;
use crate::telemetry::Delivery;
use crate::watches::policy::{Change, LAST_POST, News};
use crate::watches::{PressedCard, Watch, WatchedUntil, news_key};

/// How long a direct message is attempted: long enough for an operator to renew a token.
const DIRECT_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// How long after it was rendered a card may replace the one in Slack: later, that one may be newer.
const UPDATE_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// A notification that is rendered and not delivered yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingNotification {
    /// Who is notified.
    who: Who,
    /// The watched session.
    session: SessionId,
    /// Its project, for the log: only if there are several, and if the project may be used there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Alias>,
    /// Finds the command that started the watch in the log.
    request_id: String,
    /// What the person is told.
    #[serde(alias = "ending")]
    news: News,
    /// The delivery.
    outgoing: Outgoing,
    /// The card on which the watch was started, as the session is now.
    #[serde(default)]
    card: Option<CardUpdate>,
    /// The watch, if it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goes_on: Option<WatchRef>,
}

/// Identifies a watch, together with its person and its session.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WatchRef {
    project: Option<Alias>,
}

/// A message that replaces a card.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct CardUpdate {
    message: StoredMessage,
    not_after: Timestamp,
}

impl Payload for PendingNotification {
    const KIND: &'static str = "notification";
    /// 2: the project, and the news without one. 3: direct messages.
    const VERSION: i64 = 3;
    /// The lifetime of a `response_url`, and the longest pause after a 429.
    const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(1);

    fn ends_at(&self) -> Option<Timestamp> {
        self.outgoing.to.as_ref().map(|to| to.not_after)
    }
}

impl PendingNotification {
    /// Drops what cannot be used at `time` any more.
    fn drop_unusable(&mut self, time: Timestamp) {
        let outgoing = &mut self.outgoing;
        if outgoing.to.is_some() && time.duration_since(outgoing.received_at) >= LAST_POST {
            outgoing.response_url = SecretString::default();
            outgoing.posts_left = 0;
        }
        if outgoing.posts_left == 0 || self.card.as_ref().is_some_and(|card| time > card.not_after) {
            self.card = None;
        }
    }
}

impl Deliverable for PendingNotification {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The watch of the notification then ends with its `response_url`.
    async fn direct_message_refused(&self, dispatcher: &Dispatcher) -> Option<bool> {
        let watch = self.goes_on.as_ref()?;
        let watches = &dispatcher.commands.watches;
        let refused = watches.refuse_direct_messages(&self.who, watch.project.as_ref(), &self.session);
        // If the database does not work, the next refusal tries again.
        refused.await.ok()
    }
}

impl CardUpdate {
    /// `until` is when the watch ends, if it goes on.
    fn render(
        pressed: PressedCard,
        session: &Session,
        until: Option<WatchedUntil>,
        context: &RenderContext<'_>,
    ) -> Self {
        let (target, watched) = match pressed {
            PressedCard::Own => (ReplyTarget::OwnCard, Watched::until(until)),
            PressedCard::Direct => (ReplyTarget::DirectMessage, Watched::until(until)),
            // Others see this card; who watches is private.
            PressedCard::Shared => (ReplyTarget::SharedCard, Watched::No),
        };
        let context = RenderContext { target, ..*context };
        let view = View::new(card(session, watched, &context), Replaces::AnyCard);
        Self {
            message: (&view.into_message(&context)).into(),
            not_after: context.now + UPDATE_WITHIN,
        }
    }

    /// Replaces the person's own card of a session that no longer exists by the notification. A shared card stays: others
    /// did not watch.
    fn gone(pressed: PressedCard, notification: &Message, now: Timestamp) -> Option<Self> {
        match pressed {
            PressedCard::Own => Some(Self {
                message: (&notification.clone().replacing(true)).into(),
                not_after: now + UPDATE_WITHIN,
            }),
            PressedCard::Direct | PressedCard::Shared => None,
        }
    }

    /// The follow-up of a notification that was delivered.
    fn into_follow_up(self, notification: &PendingNotification) -> FollowUpJob {
        let delivered = &notification.outgoing;
        let outgoing = Outgoing::new(
            delivered.response_url.clone(),
            delivered.received_at,
            &delivered.channel,
        )
        .with_posts_left(delivered.posts_left)
        .with_message(self.message);
        FollowUpJob {
            request_id: notification.request_id.clone(),
            not_after: Some(self.not_after),
            outgoing,
        }
    }
}

impl Dispatcher {
    /// Ends a watch: its job becomes the notification, which is due at once. Without an [`News`], the watch's
    /// `response_url` no longer works, and the notification is lost.
    pub async fn end_watch(
        self: Arc<Self>,
        mut job: LeasedJob<Watch>,
        news: Option<News>,
        session: Option<Arc<Session>>,
    ) {
        job.payload.drop_response_url(self.clock.now());
        let watch = &job.payload;
        if !self.commands.admits(&watch.who) {
            self.log_notification(
                &self.pending_notification(watch, news.unwrap_or(News::TimeUp)),
                Err(DeliveryError::NotAllowed),
            );
            return self.queue.complete(job).await;
        }
        let (news, session) = if self.is_authorized(watch) {
            (news, session)
        } else {
            (news.and(Some(News::ProjectUnavailable)), None)
        };
        let Some(news) = news else {
            self.log_notification(
                &self.pending_notification(watch, News::TimeUp),
                Err(DeliveryError::UsedUp),
            );
            return self.queue.complete(job).await;
        };
        let notification = self.render_notification(watch, news, None, session.as_deref());
        let lost = notification.clone();
        let key = news_key(watch);
        if !self
            .queue
            .reschedule_as(job, notification, self.clock.now(), &key)
            .await
        {
            self.log_notification(&lost, Err(DeliveryError::NotStored));
        }
    }

    /// Sends a notification of a watch that goes on, as `watch`, until its next poll at `until`.
    pub async fn notify_and_continue(
        self: Arc<Self>,
        mut job: LeasedJob<Watch>,
        news: News,
        (watch, until): (Box<Watch>, Timestamp),
        session: Option<Arc<Session>>,
    ) {
        job.payload.drop_response_url(self.clock.now());
        if !self.commands.admits(&watch.who) || !self.is_authorized(&watch) {
            return self.end_watch(job, Some(News::ProjectUnavailable), None).await;
        }
        let notification = self.render_notification(&job.payload, news, Some(&watch), session.as_deref());
        // If it is not stored, the next poll finds the same news.
        self.queue
            .reschedule_and_enqueue(job, &watch, until, (notification, &news_key(&watch)))
            .await;
    }

    pub(super) fn is_authorized(&self, watch: &Watch) -> bool {
        let project = watch.origin.project.as_ref();
        self.commands.projects.authorize(project, &watch.who).is_ok()
    }

    /// A notification without its message.
    fn pending_notification(&self, watch: &Watch, news: News) -> PendingNotification {
        let latest = self.clock.now() + DIRECT_WITHIN;
        let direct = watch.direct.as_ref().filter(|direct| !direct.refused);
        let recipient = direct.map(|direct| Recipient {
            user: watch.who.user.clone(),
            not_after: match (news, direct.expires_at) {
                (News::ExpiresSoon, Some(expires_at)) => latest.min(expires_at),
                _ => latest,
            },
        });
        PendingNotification {
            who: watch.who.clone(),
            session: watch.session.clone(),
            project: self.commands.shown_project(&watch.origin, &watch.who).cloned(),
            request_id: watch.request_id.clone(),
            news,
            outgoing: Outgoing::new(watch.response_url.clone(), watch.arrived_at, &watch.who.channel)
                .with_posts_left(watch.posts_left)
                .to(recipient),
            card: None,
            goes_on: None,
        }
    }

    /// The notification of a watch that goes on as `next`, if it does.
    fn render_notification(
        &self,
        watch: &Watch,
        news: News,
        next: Option<&Watch>,
        session: Option<&Session>,
    ) -> PendingNotification {
        let mut notification = self.pending_notification(watch, news);
        if let Some(next) = next {
            // The others are for what comes later.
            notification.outgoing.posts_left = watch.posts_left.saturating_sub(next.posts_left);
            notification.goes_on = Some(WatchRef {
                project: watch.origin.project.clone(),
            });
        }
        let commands = &self.commands;
        let context = commands.notification_context(&watch.who, &watch.request_id, &watch.origin);
        let origin = if watch.is_direct() {
            watch.origin.in_direct_message(&watch.who)
        } else {
            watch.origin.clone()
        };
        let message_context = RenderContext {
            origin: &origin,
            ..context
        };
        let message = cards::notification::render(
            &cards::Notification {
                news,
                id: &watch.session,
                session,
                created_at: watch.session_created_at,
                expires_at: watch.direct.as_ref().and_then(|direct| direct.expires_at),
                is_direct: watch.is_direct(),
                goes_on: next.is_some(),
            },
            &message_context,
        );
        PendingNotification {
            outgoing: notification.outgoing.with_message((&message).into()),
            card: watch.card.and_then(|pressed| match session {
                Some(session) => Some(CardUpdate::render(pressed, session, next.map(Watch::until), &context)),
                None if news == News::Changed(Change::Gone) => CardUpdate::gone(pressed, &message, context.now),
                None => None,
            }),
            ..notification
        }
    }

    /// Makes the next attempt to deliver a notification.
    pub(super) async fn deliver_notification(&self, mut job: LeasedJob<PendingNotification>) {
        // It may have waited for hours.
        if job.payload.outgoing.to.is_some() && !self.commands.admits(&job.payload.who) {
            self.log_notification(&job.payload, Err(DeliveryError::NotAllowed));
            return self.queue.complete(job).await;
        }
        job.payload.drop_unusable(self.clock.now());
        let result = match self.attempt(&mut job).await {
            Attempt::Delivered => {
                let outgoing = &job.payload.outgoing;
                let by = outgoing.to.as_ref().map_or(Delivery::Late, |_| Delivery::Direct);
                self.log_notification(&job.payload, Ok(by));
                let time_left = self.response_urls.time_left(job.payload.outgoing.received_at);
                return match job.payload.card.take() {
                    Some(update) if job.payload.outgoing.posts_left > 0 && time_left > SignedDuration::ZERO => {
                        let follow_up = update.into_follow_up(&job.payload);
                        self.store_follow_up(job, follow_up, self.clock.now()).await;
                    }
                    Some(_) | None => self.queue.complete(job).await,
                };
            }
            Attempt::LeaseLost => return self.log_notification(&job.payload, Ok(Delivery::HandedOver)),
            Attempt::Dead(error) => Err(error),
            Attempt::RetryAt(due_at) => {
                let mut payload = job.payload.clone();
                payload.drop_unusable(due_at);
                let lost = payload.clone();
                if !self.queue.reschedule(job, payload, due_at).await {
                    self.log_notification(&lost, Err(DeliveryError::NotStored));
                }
                return;
            }
        };
        self.log_notification(&job.payload, result);
        self.queue.complete(job).await;
    }

    /// The one log line about a notification.
    fn log_notification(&self, notification: &PendingNotification, result: Result<Delivery, DeliveryError>) {
        let delivery = result.unwrap_or(Delivery::Lost);
        self.metrics.count_notification(notification.news.name(), delivery);
        tracing::info!(
            request_id = notification.request_id,
            team = notification.who.team,
            channel = notification.who.channel,
            user = notification.who.user,
            project = notification.project.as_ref().map(Alias::as_str),
            session_id = (notification.news != News::ProjectUnavailable).then(|| notification.session.as_str()),
            news = notification.news.name(),
            answer = delivery.name(),
            lost = result.err().map(|error| error.to_string()),
            "notice"
        );
    }
}
