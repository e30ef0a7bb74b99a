//! What a watch says at its end, to whoever waits for it.

use std::sync::Arc;

use super::Bot;
use crate::cards::{Notification, RenderContext, ReplyTarget, notification};
use crate::jobs::watch::News;
use crate::jobs::{Lease, LeasedJob, Payload, Persistence, Watch};
use crate::kapso::Session;
use crate::slack::response_url::DeliveryError;
use crate::telemetry::Delivery;

/// The word for the end of a watch that has no news to tell.
const GOODBYE: &str = "goodbye";

impl Bot {
    /// Tells a watcher the news, or that there was none, and ends the watch. Goes on as a task.
    pub(crate) fn tell(self: &Arc<Self>, held: LeasedJob, news: Option<News>, session: Option<Arc<Session>>) {
        let Payload::Watch(watch) = held.job.payload else {
            return;
        };
        let bot = Arc::clone(self);
        let kept = Persistence::Stored(held.lease);
        self.tasks
            .spawn(async move { bot.end(watch, kept, news, session).await });
    }

    /// Counts a watch as lost whose `response_url` takes nothing any more.
    pub(crate) async fn has_lost_watch(&self, lease: &Lease, watch: &Watch) {
        self.note_notice(watch, None, Err(DeliveryError::UsedUp));
        self.ledger.settle(&Persistence::Stored(lease.clone())).await;
    }

    async fn end(&self, watch: Watch, kept: Persistence, news: Option<News>, session: Option<Arc<Session>>) {
        let look = RenderContext {
            now: self.clock.now(),
            command: &self.command_name,
            request_id: &watch.request_id,
            // Beside whatever is there.
            target: ReplyTarget::Command,
            shared_by: watch.sharer.as_ref(),
            qr_addresses: self.qr.as_deref(),
        };
        let notification = Notification {
            news,
            id: &watch.session,
            session: session.as_deref(),
            created_at: watch.session_created_at,
        };
        let message = notification::render(&notification, &look);
        let letterbox = self.postman.letterbox(&watch.response_url, watch.arrived_at);
        let delivery = match letterbox {
            Some(letterbox) => {
                let mut letterbox = letterbox.with_uses_left(watch.uses_left);
                let payload = |uses_left| {
                    Payload::Watch(Watch {
                        uses_left,
                        ..watch.clone()
                    })
                };
                // In a line: a thousand may hear the same news at once.
                let line = Some(&self.notices);
                let delivering = self.deliver(&watch.request_id, &mut letterbox, line, &kept, &message, payload);
                self.while_it_holds(&kept, delivering).await
            }
            None => Err(DeliveryError::Forbidden),
        };
        let delivery = delivery.map(|()| Delivery::Late);
        self.note_notice(&watch, news, delivery);
        if delivery != Err(DeliveryError::HandedOver) {
            self.ledger.settle(&kept).await;
        }
    }

    /// The one line that the log has about a notice.
    fn note_notice(&self, watch: &Watch, news: Option<News>, delivery: Result<Delivery, DeliveryError>) {
        let word = news.map_or(GOODBYE, News::name);
        let delivered = match delivery {
            Ok(delivered) => delivered,
            Err(DeliveryError::HandedOver) => Delivery::HandedOver,
            Err(_) => Delivery::Lost,
        };
        self.metrics.told(word, delivered);
        tracing::info!(
            request_id = watch.request_id,
            team = watch.who.team,
            channel = watch.who.channel,
            user = watch.who.user,
            session_id = watch.session.as_str(),
            news = word,
            answer = delivered.name(),
            lost = delivery
                .err()
                .filter(|lost| *lost != DeliveryError::HandedOver)
                .map(|lost| lost.to_string()),
            "notice"
        );
    }
}
