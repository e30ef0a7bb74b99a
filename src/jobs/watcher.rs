//! Looks at the sessions that are watched: one request a step, spread over the minute.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::budget::{AHEAD, List, PER_PAGE, Plan, plan};
use super::watch::{GOODBYE, Next, Seen, decide};
use super::{Kind, LeasedJob, Payload, Wanted, Watch};
use crate::dispatch::Bot;
use crate::kapso::{Error, Session, SessionId};

/// Between two looks at the line while there is nothing to do.
const IDLE: SignedDuration = SignedDuration::from_secs(1);
/// The longest that a Kapso which does not answer is left alone.
const LEFT_ALONE_MAX: SignedDuration = SignedDuration::from_secs(15);
/// How long over its time a watch says goodbye unseen. It is due at its goodbye, so usually it was looked at once more.
const UNSEEN: SignedDuration = SignedDuration::from_secs(20);
/// Watches taken up at a time: as many as there may be.
const CLAIMED_MAX: u32 = super::watch::CAPS.all;
/// The part of the limit that may be spent at once when a process starts: one request in so many.
const CATCHING_UP: u32 = 10;

/// Where looking has got to.
#[derive(Debug, Default)]
pub struct Watcher {
    /// Since when it rests, and for how long.
    resting: Option<(Timestamp, SignedDuration)>,
    list: List,
    /// How many requests were made.
    turn: u64,
    /// How many of the last ones had no answer.
    failures: u32,
    /// Whether all watches were looked at since the start, or as many as could be at once.
    caught_up: bool,
}

/// What came of a look.
enum PollOutcome {
    /// Kapso said something.
    Seen,
    /// Kapso said nothing that helps.
    Failed,
    /// Nothing was asked: there was nothing to ask for, or no request to spare.
    Not,
}

impl Watcher {
    /// Makes at most one request for the watches that are due at `now`, and has those that end say so. Returns how long
    /// nothing more will be done.
    pub async fn step(&mut self, bot: &Arc<Bot>, now: Timestamp) -> SignedDuration {
        if let Some((since, span)) = self.resting {
            let rested = now.duration_since(since);
            // A clock that was set back must not put it to sleep.
            if rested >= SignedDuration::ZERO && rested < span {
                return span - rested;
            }
        }
        say_goodbye(bot, now).await;
        let Some(line) = bot.ledger.watches(now).await else {
            return self.rest(now, IDLE);
        };
        bot.metrics.set_watches(line.count);
        let budget = bot.kapso.budget();
        let look = match plan(line.due, &self.list, budget, self.turn, now) {
            Plan::Nothing => PollOutcome::Not,
            Plan::Ask => ask(bot, now, now).await,
            Plan::ReadPage => self.read_page(bot, now).await,
            Plan::AskUnlisted { overdue } => match ask(bot, now, now - overdue).await {
                PollOutcome::Not => self.read_page(bot, now).await,
                look => look,
            },
        };
        let pause = match look {
            PollOutcome::Not => {
                self.caught_up = true;
                IDLE
            }
            PollOutcome::Seen => {
                self.failures = 0;
                self.turn += 1;
                self.pace(budget.limit, budget.pace())
            }
            PollOutcome::Failed => {
                self.failures += 1;
                self.turn += 1;
                let pause = IDLE * 2_i32.saturating_pow(self.failures);
                pause.min(LEFT_ALONE_MAX)
            }
        };
        self.rest(now, pause)
    }

    /// The pause after a request: none while a process that has just started catches up.
    fn pace(&mut self, limit: u32, pace: Duration) -> SignedDuration {
        self.caught_up |= self.list.is_read_through() || self.turn >= u64::from(limit / CATCHING_UP);
        if self.caught_up {
            SignedDuration::try_from(pace).unwrap_or(IDLE)
        } else {
            SignedDuration::ZERO
        }
    }

    fn rest(&mut self, now: Timestamp, span: SignedDuration) -> SignedDuration {
        self.resting = Some((now, span));
        span
    }

    /// Looks at all the watches whose sessions are on the next page of the list.
    async fn read_page(&mut self, bot: &Arc<Bot>, now: Timestamp) -> PollOutcome {
        let page = self.list.next();
        let read = tokio::select! {
            read = bot.kapso.page_if_spare(page, PER_PAGE) => read,
            () = bot.stopping.cancelled() => return PollOutcome::Not,
        };
        let shown = match read {
            Ok(shown) => shown,
            Err(Error::RateLimited { .. }) => return PollOutcome::Not,
            Err(_) => {
                // A list that cannot be read must not keep sessions from being asked for one by one.
                self.list.is_of_no_use(now);
                return PollOutcome::Failed;
            }
        };
        let has_next = shown.has_next(page, PER_PAGE);
        let pages = shown.total_pages.unwrap_or(page + u32::from(has_next));
        let ids: Vec<SessionId> = shown.sessions.iter().map(|session| session.id.clone()).collect();
        let any_watched = look_at(bot, &ids, now, |id| {
            let session = shown.sessions.iter().find(|session| session.id == *id)?;
            Some((Seen::Status(session.status.clone()), Some(Arc::clone(session))))
        })
        .await;
        self.list.was_read(page, pages, any_watched, now);
        PollOutcome::Seen
    }
}

/// Looks at the session of the watch that has been due for the longest, since `due_by` at least.
async fn ask(bot: &Arc<Bot>, now: Timestamp, due_by: Timestamp) -> PollOutcome {
    let first = claim(bot, &Wanted::due(Kind::Watch, due_by, 1), now).await;
    let Some((held, watch)) = first.into_iter().next() else {
        return PollOutcome::Not;
    };
    let asked = tokio::select! {
        asked = bot.kapso.session_if_spare(&watch.session) => asked,
        () = bot.stopping.cancelled() => Err(Error::RateLimited { retry_after: Duration::ZERO }),
    };
    let (look, seen, session) = match asked {
        Ok(session) => (PollOutcome::Seen, Seen::Status(session.status.clone()), Some(session)),
        Err(Error::NotFound) => (PollOutcome::Seen, Seen::NotFound, None),
        // Kapso is there; what is wrong is wrong with this session.
        Err(Error::UnexpectedResponse(_)) => (PollOutcome::Seen, Seen::Unknown, None),
        Err(Error::RateLimited { .. }) => {
            bot.ledger.release(&held).await;
            return PollOutcome::Not;
        }
        Err(_) => (PollOutcome::Failed, Seen::Unknown, None),
    };
    // The others first: as long as the one at hand is leased, it is not taken for one of them.
    if !matches!(look, PollOutcome::Failed) {
        let id = &watch.session;
        look_at(bot, std::slice::from_ref(id), now, |other| {
            (other == id).then(|| (seen.clone(), session.clone()))
        })
        .await;
    }
    go_on(bot, held, &watch, &seen, session.as_ref(), now).await;
    look
}

/// Has everybody who watches one of these sessions, and is due soon, go on with what was seen of it. False if nobody.
async fn look_at(
    bot: &Arc<Bot>,
    sessions: &[SessionId],
    now: Timestamp,
    seen: impl Fn(&SessionId) -> Option<(Seen, Option<Arc<Session>>)>,
) -> bool {
    let mut anybody = false;
    let wanted = Wanted {
        sessions: Some(sessions),
        ..Wanted::due(Kind::Watch, now + AHEAD, CLAIMED_MAX)
    };
    for (held, watch) in claim(bot, &wanted, now).await {
        match seen(&watch.session) {
            Some((seen, session)) => {
                anybody = true;
                go_on(bot, held, &watch, &seen, session.as_ref(), now).await;
            }
            // An id that only looks alike.
            None => bot.ledger.release(&held).await,
        }
    }
    anybody
}

/// Has watches say goodbye whose time is over, and that nobody could look at.
async fn say_goodbye(bot: &Arc<Bot>, now: Timestamp) {
    let wanted = Wanted {
        created_by: now - GOODBYE - UNSEEN,
        ..Wanted::due(Kind::Watch, Timestamp::MAX, CLAIMED_MAX)
    };
    for (held, watch) in claim(bot, &wanted, now).await {
        go_on(bot, held, &watch, &Seen::Unknown, None, now).await;
    }
}

async fn go_on(
    bot: &Arc<Bot>,
    held: LeasedJob,
    watch: &Watch,
    seen: &Seen,
    session: Option<&Arc<Session>>,
    now: Timestamp,
) {
    match decide(watch, seen, now) {
        Next::Wait { until, watch } => bot.ledger.rearm(&held.lease, *watch, until).await,
        Next::Notify(news) => bot.tell(held, Some(news), session.cloned()),
        Next::SayGoodbye => bot.tell(held, None, session.cloned()),
        Next::Lapsed => bot.has_lost_watch(&held.lease, watch).await,
    }
}

async fn claim(bot: &Arc<Bot>, wanted: &Wanted<'_>, now: Timestamp) -> Vec<(LeasedJob, Watch)> {
    let claimed = bot.ledger.claim_watches(wanted, now).await;
    for lease in claimed.unreadable {
        bot.has_lost_unreadable(lease).await;
    }
    let watches = claimed.jobs.into_iter().filter_map(|held| match &held.job.payload {
        Payload::Watch(watch) => {
            let watch = watch.clone();
            Some((held, watch))
        }
        Payload::Late(_) => None,
    });
    watches.collect()
}
