//! Polls watched sessions: for each key of Kapso's one request per step, evenly spread over time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{self, BoxFuture};
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::plan::{AHEAD, List, PER_PAGE, Plan, candidates, plan};
use super::policy::{Decision, News, PollResult, WATCH_DURATION, decide};
use super::{QUOTA, Shown, Watch};
use crate::clock::Clock;
use crate::config::Alias;
use crate::kapso::{Client, Error, Session};
use crate::projects::Projects;
use crate::queue::{ClaimFilter, JobStore, LeasedJob, ProjectFilter};

/// The pause while there is nothing to poll.
const IDLE: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause after requests that Kapso did not answer.
const FAILURE_PAUSE_MAX: SignedDuration = SignedDuration::from_secs(15);
/// How long after its end a watch is ended without another poll. A poll is due at the end, so there usually was one.
const UNPOLLED_END: SignedDuration = SignedDuration::from_secs(20);
/// Watches claimed at a time: as many as there may be.
const CLAIM_LIMIT: u32 = QUOTA.total;
/// When a process starts, it may use one tenth of the limit without pauses.
const CATCH_UP_SHARE: u32 = 10;

/// The pause between two searches for watches whose project is not configured.
const UNCONFIGURED_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
/// How long such a watch must be due: no other process, with another configuration, polls it.
const UNCONFIGURED_DUE: SignedDuration = SignedDuration::from_mins(1);

/// Ends a watch: sends its notification, or counts it as lost if there is no [`News`]. The session is the result of the
/// poll, if there was one.
pub type EndWatch =
    Box<dyn Fn(LeasedJob<Watch>, Option<News>, Option<Arc<Session>>) -> BoxFuture<'static, ()> + Send + Sync>;

/// Sends a notification of a watch that goes on: as it is now, and until its next poll.
pub type NotifyAndContinue = Box<
    dyn Fn(LeasedJob<Watch>, News, (Box<Watch>, Timestamp), Option<Arc<Session>>) -> BoxFuture<'static, ()>
        + Send
        + Sync,
>;

/// Updates a shared card as the session is now, whose watch is then polled at this time; `None` after the last update.
/// Returns before Slack has answered.
pub type UpdateCard = Box<dyn Fn(LeasedJob<Watch>, (Box<Watch>, Option<Timestamp>), Arc<Session>) + Send + Sync>;

/// Called with a number of watches, and the alias of their project.
pub type OnCount = Box<dyn Fn(Option<&Alias>, u64) + Send + Sync>;

/// The dependencies of the poller.
pub struct Environment {
    /// Their clients make the requests.
    pub projects: Arc<Projects>,
    /// Stores the watches.
    pub store: Arc<JobStore>,
    /// The clock for due times.
    pub clock: Clock,
    /// Ends watches.
    pub end_watch: EndWatch,
    /// Sends notifications of watches that go on.
    pub notify_and_continue: NotifyAndContinue,
    /// Updates shared cards.
    pub update_card: UpdateCard,
    /// Called with the number of watches of the projects that share a key, and the alias of the first of them.
    pub on_count: OnCount,
    /// Called with the number of stored watches that could not be parsed.
    pub on_lost: Box<dyn Fn(u64) + Send + Sync>,
    /// Cancelled when no new work is started.
    pub stopping: CancellationToken,
}

/// Polls the watched sessions of all projects until the service stops. `max_interval` is the longest pause between two
/// steps for one key.
pub async fn run(environment: Environment, max_interval: Duration) {
    let environment = Arc::new(environment);
    // Concurrently: while one waits for the database, the others must go on, or it would wait for a lock that one of them
    // holds.
    future::join(
        poll_all(&environment, max_interval),
        end_unconfigured(&environment, max_interval),
    )
    .await;
}

/// Keeps one poller for each key.
async fn poll_all(environment: &Arc<Environment>, max_interval: Duration) {
    let mut replaced = environment.projects.subscribe();
    let mut pollers = FuturesUnordered::new();
    let mut polled: Vec<Arc<Client>> = Vec::new();
    while !environment.stopping.is_cancelled() {
        for project in environment.projects.all().iter() {
            if !polled.iter().any(|client| Arc::ptr_eq(client, &project.kapso)) {
                polled.push(Arc::clone(&project.kapso));
                pollers.push(Poller::new(Arc::clone(environment), Arc::clone(&project.kapso)).run(max_interval));
            }
        }
        tokio::select! {
            Some(client) = pollers.next() => polled.retain(|polled| !Arc::ptr_eq(polled, &client)),
            _ = replaced.changed() => {}
            () = environment.stopping.cancelled() => {}
        }
    }
    // Each ends after its step.
    while pollers.next().await.is_some() {}
}

/// Ends the watches of projects that are not configured any more.
async fn end_unconfigured(environment: &Environment, max_interval: Duration) {
    let mut searched_at = None::<Timestamp>;
    while !environment.stopping.is_cancelled() {
        let now = environment.clock.now();
        if searched_at.is_none_or(|at| now.duration_since(at).abs() >= UNCONFIGURED_INTERVAL) {
            environment.end_unconfigured(now).await;
            searched_at = Some(now);
        }
        tokio::select! {
            () = sleep_until(Instant::now() + max_interval) => {}
            () = environment.stopping.cancelled() => {}
        }
    }
}

/// Polls the watched sessions of the projects that share a key.
struct Poller {
    environment: Arc<Environment>,
    kapso: Arc<Client>,
    /// Since when it pauses, and for how long.
    pause: Option<(Timestamp, SignedDuration)>,
    list: List,
    /// How many requests were made.
    turn: u64,
    /// How many of them were for one session.
    singles: u64,
    /// How many of the last requests had no answer.
    failures: u32,
    /// Whether all watches were polled since the start, or as many as could be at once.
    caught_up: bool,
}

/// The outcome of one request.
enum PollOutcome {
    /// Kapso answered.
    Answered,
    /// Kapso gave no usable answer.
    Failed,
    /// No request was made: there was nothing to poll, or no request to spare.
    NotMade,
}

/// The projects that share a key.
struct Scope {
    /// The alias of the first of them.
    first: Option<Alias>,
    /// As in the table of jobs.
    projects: Vec<String>,
}

impl Scope {
    fn names(&self) -> Vec<&str> {
        self.projects.iter().map(String::as_str).collect()
    }
}

impl Poller {
    /// A poller that has polled nothing yet.
    fn new(environment: Arc<Environment>, kapso: Arc<Client>) -> Self {
        Self {
            environment,
            kapso,
            pause: None,
            list: List::default(),
            turn: 0,
            singles: 0,
            failures: 0,
            caught_up: false,
        }
    }

    /// Polls until the service stops, or no project has this key any more. Returns the client.
    async fn run(mut self, max_interval: Duration) -> Arc<Client> {
        let stopping = self.environment.stopping.clone();
        while !stopping.is_cancelled() {
            let Some(scope) = self.environment.scope(&self.kapso) else {
                break;
            };
            // The pause counts from the start of a step, so that a slow Kapso does not make polls rarer.
            let began = Instant::now();
            let pause = self.step(&scope, self.environment.clock.now()).await;
            tokio::select! {
                () = sleep_until(began + max_interval.min(pause.unsigned_abs())) => {}
                () = stopping.cancelled() => {}
            }
        }
        self.kapso
    }

    /// Makes at most one request for the watches that are due at `now`, and ends those whose time is up. Returns the pause
    /// until the next step.
    async fn step(&mut self, scope: &Scope, now: Timestamp) -> SignedDuration {
        if let Some((since, pause)) = self.pause {
            let passed = now.duration_since(since);
            // A clock that was set back must not stop the poller.
            if passed >= SignedDuration::ZERO && passed < pause {
                return pause - passed;
            }
        }
        let names = &scope.names()[..];
        let Ok(stats) = self.environment.store.stats::<Watch>(Some(names), now).await else {
            return self.pause_for(now, IDLE);
        };
        (self.environment.on_count)(scope.first.as_ref(), stats.count);
        if stats.count > 0 {
            self.environment.end_overdue(names, now).await;
        }
        let budget = self.kapso.budget();
        let outcome = match plan(stats.due, &self.list, budget, self.turn, now) {
            Plan::Nothing => PollOutcome::NotMade,
            Plan::RequestOne => self.request_one(names, SignedDuration::ZERO, now).await,
            Plan::ReadPage => self.read_page(names, now).await,
            Plan::RequestUnlisted { overdue } => match self.request_one(names, overdue, now).await {
                PollOutcome::NotMade => self.read_page(names, now).await,
                outcome => outcome,
            },
        };
        let pause = match outcome {
            PollOutcome::NotMade => {
                self.caught_up = true;
                IDLE
            }
            PollOutcome::Answered => {
                self.failures = 0;
                self.turn += 1;
                self.pause_after_answer(budget.limit, budget.pace())
            }
            PollOutcome::Failed => {
                self.failures += 1;
                self.turn += 1;
                let pause = IDLE * 2_i32.saturating_pow(self.failures);
                pause.min(FAILURE_PAUSE_MAX)
            }
        };
        self.pause_for(now, pause)
    }

    /// No pause while a process that has just started catches up.
    fn pause_after_answer(&mut self, limit: u32, pace: Duration) -> SignedDuration {
        self.caught_up |= self.list.is_read_through() || self.turn >= u64::from(limit / CATCH_UP_SHARE);
        if self.caught_up {
            SignedDuration::try_from(pace).unwrap_or(IDLE)
        } else {
            SignedDuration::ZERO
        }
    }

    fn pause_for(&mut self, now: Timestamp, pause: SignedDuration) -> SignedDuration {
        self.pause = Some((now, pause));
        pause
    }

    /// Polls all watches whose sessions are on the next page of the list.
    async fn read_page(&mut self, projects: &[&str], now: Timestamp) -> PollOutcome {
        let environment = &self.environment;
        let number = self.list.next();
        let read = tokio::select! {
            read = self.kapso.page_if_spare(number, PER_PAGE) => read,
            () = environment.stopping.cancelled() => return PollOutcome::NotMade,
        };
        let page = match read {
            Ok(page) => page,
            Err(Error::RateLimited { .. }) => return PollOutcome::NotMade,
            Err(_) => {
                // A list that cannot be read must not keep sessions from being requested one by one.
                self.list.disable(now);
                return PollOutcome::Failed;
            }
        };
        let has_next = page.has_next(number, PER_PAGE);
        let pages = page.total_pages.unwrap_or(number + u32::from(has_next));
        let mut has_watched = false;
        let ids: Vec<&str> = page.sessions.iter().map(|session| session.id.as_str()).collect();
        for job in environment.claim_by_sessions(projects, &ids, now).await {
            let watched = |session: &&Arc<Session>| session.id == job.payload.session;
            if let Some(session) = page.sessions.iter().find(watched) {
                has_watched = true;
                let result = PollResult::Status(session.status_at(now).clone());
                environment.apply(job, &result, Some(session), now).await;
            }
        }
        self.list.record_page(number, pages, has_watched, now);
        PollOutcome::Answered
    }

    /// Claims the watch to poll next, of those that have been due for as long as `overdue`.
    async fn claim_next(&self, projects: &[&str], overdue: SignedDuration, now: Timestamp) -> Option<LeasedJob<Watch>> {
        for candidates in candidates(self.singles, overdue, now) {
            let filter = ClaimFilter {
                projects: ProjectFilter::In(projects),
                created_after: candidates.began_after,
                ..ClaimFilter::due(candidates.due_by, 1)
            };
            if let Some(job) = self.environment.claim(&filter, now).await.pop() {
                return Some(job);
            }
        }
        None
    }

    /// Polls the session of one watch, of those that have been due for as long as `overdue`.
    async fn request_one(&mut self, projects: &[&str], overdue: SignedDuration, now: Timestamp) -> PollOutcome {
        let Some(job) = self.claim_next(projects, overdue, now).await else {
            return PollOutcome::NotMade;
        };
        let environment = &self.environment;
        let id = job.payload.session.clone();
        let response = tokio::select! {
            response = self.kapso.session_if_spare(&id) => response,
            () = environment.stopping.cancelled() => Err(Error::RateLimited { retry_after: Duration::ZERO }),
        };
        let (outcome, result, session) = match response {
            Ok(session) => (
                PollOutcome::Answered,
                PollResult::Status(session.status_at(now).clone()),
                Some(session),
            ),
            Err(Error::NotFound) => (PollOutcome::Answered, PollResult::NotFound, None),
            // Kapso answered; only this session cannot be parsed.
            Err(Error::UnexpectedResponse(_)) => (PollOutcome::Answered, PollResult::Unknown, None),
            Err(Error::RateLimited { .. }) => {
                environment.store.release(job).await;
                return PollOutcome::NotMade;
            }
            Err(_) => (PollOutcome::Failed, PollResult::Unknown, None),
        };
        self.singles += 1;
        // The other watches first: while this one is leased, it is not claimed with them.
        if !matches!(outcome, PollOutcome::Failed) {
            for other in environment.claim_by_sessions(projects, &[id.as_str()], now).await {
                environment.apply(other, &result, session.as_ref(), now).await;
            }
        }
        environment.apply(job, &result, session.as_ref(), now).await;
        outcome
    }
}

impl Environment {
    /// Ends watches whose time is up and that were not polled at their end.
    async fn end_overdue(&self, projects: &[&str], now: Timestamp) {
        let filter = ClaimFilter {
            projects: ProjectFilter::In(projects),
            created_until: now - WATCH_DURATION - UNPOLLED_END,
            ended_until: now - UNPOLLED_END,
            ..ClaimFilter::due(Timestamp::MAX, CLAIM_LIMIT)
        };
        for job in self.claim(&filter, now).await {
            self.apply(job, &PollResult::Unknown, None, now).await;
        }
    }

    /// Ends watches of projects that are not configured any more.
    async fn end_unconfigured(&self, now: Timestamp) {
        let all = self.projects.all();
        let mut names: Vec<&str> = all
            .iter()
            .map(|project| project.alias().map_or("", Alias::as_str))
            .collect();
        if all.len() == 1 {
            // A watch without an alias is one of the only project.
            names.push("");
        }
        let filter = ClaimFilter {
            projects: ProjectFilter::NotIn(&names),
            ..ClaimFilter::due(now - UNCONFIGURED_DUE, CLAIM_LIMIT)
        };
        for job in self.claim(&filter, now).await {
            if job.payload.shared.is_some() {
                self.store.complete(job).await;
            } else {
                (self.end_watch)(job, Some(News::ProjectUnavailable), None).await;
            }
        }
    }

    /// The projects that have this client; `None` if none has.
    fn scope(&self, kapso: &Arc<Client>) -> Option<Scope> {
        let all = self.projects.all();
        let of_client: Vec<_> = all
            .iter()
            .filter(|project| Arc::ptr_eq(&project.kapso, kapso))
            .collect();
        let first = of_client.first()?.alias().cloned();
        let mut projects: Vec<String> = of_client
            .iter()
            .map(|project| project.alias().map(Alias::to_string).unwrap_or_default())
            .collect();
        if all.len() == 1 {
            // A watch without an alias is one of the only project.
            projects.push(String::new());
        }
        Some(Scope { first, projects })
    }

    /// Claims the watches of these sessions that are due soon.
    async fn claim_by_sessions(&self, projects: &[&str], ids: &[&str], now: Timestamp) -> Vec<LeasedJob<Watch>> {
        let filter = ClaimFilter {
            projects: ProjectFilter::In(projects),
            topics: Some(ids),
            ..ClaimFilter::due(now + AHEAD, CLAIM_LIMIT)
        };
        self.claim(&filter, now).await
    }

    async fn claim(&self, filter: &ClaimFilter<'_>, now: Timestamp) -> Vec<LeasedJob<Watch>> {
        let (jobs, unreadable) = self.store.claim_from_database(filter, now).await;
        (self.on_lost)(unreadable);
        jobs
    }

    async fn apply(
        &self,
        mut job: LeasedJob<Watch>,
        result: &PollResult,
        session: Option<&Arc<Session>>,
        now: Timestamp,
    ) {
        if let (Some(direct), Some(session)) = (&mut job.payload.direct, session) {
            direct.expires_at = session.expires_at;
        }
        if let (Some(card), Some(session)) = (&mut job.payload.shared, session) {
            card.current = Shown::new(session, now);
        }
        match decide(&job.payload, result, now) {
            Decision::Wait { until, watch } => drop(self.store.reschedule(job, *watch, until).await),
            Decision::NotifyAndContinue { news, until, watch } => {
                (self.notify_and_continue)(job, news, (watch, until), session.cloned()).await;
            }
            Decision::NotifyAndEnd(ending) => (self.end_watch)(job, Some(ending), session.cloned()).await,
            Decision::Expire => (self.end_watch)(job, None, session.cloned()).await,
            Decision::Update { until, watch } => match session {
                Some(session) => (self.update_card)(job, (watch, until), Arc::clone(session)),
                None => self.store.release(job).await,
            },
            Decision::End => self.store.complete(job).await,
        }
    }
}
