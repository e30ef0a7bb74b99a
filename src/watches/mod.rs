//! Watches: notifications when a session changes, and updates of cards that were shared.
//!
//! [`policy::decide`] decides what a watch does after a poll, [`plan::plan`] which request to make next, and
//! [`poller`] makes it. A watch is a job of the queue. When it ends with a notification, the poller passes the
//! job to a callback, which renders the notification; for a shared card, to one that updates it.

pub mod plan;
pub mod policy;
pub mod poller;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::config::Alias;
use crate::db::DatabaseError;
use crate::idempotency::fingerprint;
use crate::kapso::{Session, SessionId};
use crate::queue::{Job, JobKeys, JobStore, Payload, Quota, Upserted};
use crate::slack::Who;
use crate::slack::button_value::Origin;
use crate::slack::web_api::Posted;

/// How many watches there may be: of one person, and of one project. A person's fit into one message, with a button
/// each; a project's keep within Kapso's limit however long they last (see [`plan`]).
pub const QUOTA: Quota = Quota {
    per_owner: 20,
    total: 1_000,
};
/// Posts of its `response_url` that are reserved for the notification; the others are for the reply to the command.
pub const RESERVED_POSTS: u32 = 2;

/// A person's wish to be notified when a session changes, or a shared card that is updated then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    /// The session.
    pub session: SessionId,
    /// When the session was created, if Kapso said so.
    pub session_created_at: Option<Timestamp>,
    /// Who watches, or who shared the card.
    pub who: Who,
    /// Where the command comes from, and with it who shared the card on which the button was pressed, if it was shared.
    pub origin: Origin,
    /// Finds the command in the log.
    pub request_id: String,
    /// Address for the notification; empty for a shared card, and when it does not work any more.
    #[serde(with = "crate::queue::secret")]
    pub response_url: SecretString,
    /// When the `response_url` was received: its 29 minutes count from here.
    pub arrived_at: Timestamp,
    /// How many posts the `response_url` still accepts.
    pub posts_left: u32,
    /// How often in a row Kapso had no session with this id.
    pub not_found: u32,
    /// The card whose button started the watch, while the `response_url` can replace it. `None` for a typed command, whose
    /// `response_url` replaces nothing.
    #[serde(default)]
    pub card: Option<PressedCard>,
    /// For a watch with direct messages; `None` if its only notification goes to the `response_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<DirectWatch>,
    /// For the watch of a shared card, which notifies nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedCard>,
}

/// A card that was shared with the bot token, which can therefore be updated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedCard {
    /// Where it is.
    pub posted: Posted,
    /// When updates end at the latest.
    pub until: Timestamp,
    /// What it shows.
    pub shown: Shown,
    /// What it has to show, by the last poll.
    pub current: Shown,
    /// The next update comes no earlier.
    pub not_before: Timestamp,
    /// Whether that was chosen to keep to Slack's limit.
    pub is_paced: bool,
}

impl SharedCard {
    /// Records that the card shows since `now` what it has to show.
    pub fn record_update(&mut self, now: Timestamp) {
        self.shown = self.current.clone();
        self.not_before = now + policy::UPDATE_PAUSE;
    }
}

/// A session as a card shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub created_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// A hash of the other things that a card shows.
    pub hash: String,
}

impl Shown {
    /// This session at `now`.
    #[must_use]
    pub fn new(session: &Session, now: Timestamp) -> Self {
        let link = match &session.activation_link {
            Some(Ok(link)) => link.url().as_str(),
            Some(Err(_)) => "not WhatsApp",
            None => "",
        };
        // Their debug format tells what is missing from what is empty. A phone number does not change, and is guessed
        // from a hash.
        let rest = (
            (&session.status, session.status_at(now)),
            (&session.agent, &session.activation_code, session.phone.is_some()),
        );
        Self {
            created_at: session.created_at,
            expires_at: session.expires_at,
            hash: fingerprint(&[link, &format!("{rest:?}")]),
        }
    }
}

/// The state of a watch with direct messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectWatch {
    /// When it ends at the latest.
    pub until: Timestamp,
    /// When the session expires, by the last poll.
    pub expires_at: Option<Timestamp>,
    /// Whether the person knows that the session is active.
    pub knows_active: bool,
    /// The expiry that needs no reminder, because the person was reminded of it or has just seen it.
    pub reminded_of: Option<Timestamp>,
    /// Whether Slack refuses them, so that the news goes to the `response_url` and the watch ends with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

impl DirectWatch {
    /// For a watch that begins now, of a session that the person sees now.
    #[must_use]
    pub fn new(is_active: bool, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        let is_soon = |at: &Timestamp| *at <= now + policy::REMIND_BEFORE;
        Self {
            until: now + policy::DIRECT_DURATION,
            expires_at,
            knows_active: is_active,
            reminded_of: expires_at.filter(is_soon),
            refused: false,
        }
    }
}

/// How long a person watches a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedUntil {
    pub at: Timestamp,
    /// Whether its news comes as direct messages.
    pub directly: bool,
}

/// A card on which "Tell me when it is active" was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PressedCard {
    /// Only the presser sees it.
    Own,
    /// A direct message of the app.
    Direct,
    /// The whole channel sees it.
    Shared,
}

impl Watch {
    /// Until when the person watches.
    #[must_use]
    pub fn until(&self) -> WatchedUntil {
        WatchedUntil {
            at: self
                .direct
                .as_ref()
                .map_or(self.arrived_at + policy::WATCH_DURATION, |direct| direct.until),
            directly: self.is_direct(),
        }
    }

    /// Whether its news comes as direct messages.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.direct.as_ref().is_some_and(|direct| !direct.refused)
    }

    /// What is left of the watch when Slack has refused its direct messages: it ends with its `response_url`. `None` if that
    /// no longer works, or accepts no post.
    #[must_use]
    pub fn without_direct_messages(mut self, now: Timestamp) -> Option<Self> {
        let direct = self.direct.as_mut()?;
        direct.refused = true;
        direct.until = direct.until.min(self.arrived_at + policy::WATCH_DURATION);
        let is_usable = self.posts_left > 0 && now < self.arrived_at + policy::LAST_POST;
        is_usable.then_some(self)
    }

    /// Drops the `response_url` of a watch with direct messages, and the card that it replaces, if it does not work at
    /// `time` any more.
    pub fn drop_response_url(&mut self, time: Timestamp) {
        if self.direct.is_some() && time.duration_since(self.arrived_at) >= policy::LAST_POST {
            self.response_url = SecretString::default();
            self.posts_left = 0;
            self.card = None;
        }
    }
}

impl Payload for Watch {
    const KIND: &'static str = "watch";
    /// 2: the origin names the project. 3: direct messages, and shared cards.
    const VERSION: i64 = 3;
    /// The longest pause between two polls.
    const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

    fn ends_at(&self) -> Option<Timestamp> {
        let direct = self.direct.as_ref().map(|direct| direct.until);
        direct.or(self.shared.as_ref().map(|card| card.until))
    }
}

/// Identifies a person.
fn owner(who: &Who) -> String {
    format!("{}/{}", who.home(), who.user)
}

/// The keys of a watch: a person has at most one for a session of a project.
#[must_use]
pub fn keys(who: &Who, project: Option<&Alias>, session: &SessionId) -> JobKeys {
    let owner = owner(who);
    JobKeys {
        unique: match project {
            Some(alias) => format!("{owner}/{alias}/{session}"),
            None => format!("{owner}/{session}"),
        },
        owner: Some(owner),
        topic: session.to_string(),
        project: project.map(Alias::to_string).unwrap_or_default(),
    }
}

/// The unique key of a watch's pending news: later news replace earlier ones, so that nobody is told that a session is
/// active after they were told that it has ended.
#[must_use]
pub fn news_key(watch: &Watch) -> String {
    let keys = keys(&watch.who, watch.origin.project.as_ref(), &watch.session);
    format!("news/{}", keys.unique)
}

/// The stored watches.
#[derive(Clone)]
pub struct Watches {
    store: Arc<JobStore>,
    clock: Clock,
}

impl Watches {
    /// The watches in this store.
    #[must_use]
    pub fn new(store: Arc<JobStore>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Stores a watch. A person's second watch of the same session continues with the newer `response_url`.
    ///
    /// # Errors
    /// The database does not work, and the watch must not be confirmed.
    pub async fn add(&self, watch: &Watch) -> Result<Upserted, DatabaseError> {
        let due_at = policy::first_poll(watch, self.clock.now());
        let job = Job::new(watch.clone(), watch.arrived_at, due_at);
        let keys = keys(&watch.who, watch.origin.project.as_ref(), &watch.session);
        self.store.upsert(&job, &keys, QUOTA).await
    }

    /// Stores the watch of a shared card. The oldest one of the project ends if there are too many watches.
    ///
    /// # Errors
    /// The database does not work, and the card is not updated.
    pub async fn add_card(&self, watch: &Watch, posted: &Posted) -> Result<Upserted, DatabaseError> {
        let due_at = policy::first_poll(watch, self.clock.now());
        let job = Job::new(watch.clone(), watch.arrived_at, due_at);
        let keys = JobKeys {
            unique: format!("{}/{}", posted.channel, posted.ts),
            owner: None,
            ..keys(&watch.who, watch.origin.project.as_ref(), &watch.session)
        };
        self.store.upsert(&job, &keys, QUOTA).await
    }

    /// A person's watch of a session, if there is one.
    ///
    /// # Errors
    /// The database does not work.
    pub async fn find(
        &self,
        who: &Who,
        project: Option<&Alias>,
        session: &SessionId,
    ) -> Result<Option<Watch>, DatabaseError> {
        let mut watches = self.of_person(who).await?.into_iter();
        Ok(watches.find(|watch| watch.session == *session && watch.origin.project.as_ref() == project))
    }

    /// Makes a watch whose direct messages Slack has refused one that ends with its `response_url`, or ends it now. Returns
    /// whether it goes on.
    ///
    /// # Errors
    /// The database does not work, and the watch is as it was.
    pub async fn refuse_direct_messages(
        &self,
        who: &Who,
        project: Option<&Alias>,
        session: &SessionId,
    ) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        let Some(watch) = self.find(who, project, session).await? else {
            return Ok(false);
        };
        let Some(watch) = watch.without_direct_messages(now) else {
            self.remove(who, project, session).await?;
            return Ok(false);
        };
        let job = Job::new(watch.clone(), watch.arrived_at, policy::first_poll(&watch, now));
        self.store.replace(&job, &keys(who, project, session)).await
    }

    /// Ends a watch; false if there was none.
    ///
    /// # Errors
    /// The database does not work, and the watch may still be stored.
    pub async fn remove(&self, who: &Who, project: Option<&Alias>, session: &SessionId) -> Result<bool, DatabaseError> {
        self.store.delete_by_key(&keys(who, project, session).unique).await
    }

    /// Until when a person watches a session, if they do and the database works.
    pub async fn watched_until(&self, who: &Who, project: Option<&Alias>, session: &SessionId) -> Option<WatchedUntil> {
        let lifetime = self.store.lifetime(&keys(who, project, session).unique).await;
        let (began, ends_at) = lifetime.ok()??;
        Some(WatchedUntil {
            at: ends_at.unwrap_or(began + policy::WATCH_DURATION),
            // A watch whose direct messages were refused ends with its response_url.
            directly: ends_at.is_some_and(|at| at > began + policy::WATCH_DURATION),
        })
    }

    /// What a person watches, the oldest watch first.
    ///
    /// # Errors
    /// The database does not work.
    pub async fn of_person(&self, who: &Who) -> Result<Vec<Watch>, DatabaseError> {
        self.store.of_owner(&owner(who)).await
    }
}
