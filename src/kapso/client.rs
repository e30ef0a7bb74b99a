//! Asks Kapso for sessions: requests for one session are joined, and its answer is remembered for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use serde::Serialize;
use url::Url;

use super::api::{Api, Observer, Timing};
use super::page::Page;
use super::{Budget, Error, Session, SessionId};
use crate::clock::Clock;

/// Sessions remembered at most.
const CACHE_MAX: u64 = 1_000;

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// A few seconds are fine.
    Recent,
    /// Asked for after the request, or just being asked for.
    Fresh,
}

/// A client for one key, that is one project.
pub struct Client {
    api: Api,
    clock: Clock,
    remember: SignedDuration,
    cache: Cache<SessionId, Answer>,
    /// Numbers the requests, so that an answer can be told from one that was asked for earlier.
    asked: AtomicU64,
}

#[derive(Clone)]
struct Answer {
    number: u64,
    at: Timestamp,
    result: Result<Arc<Session>, Arc<Error>>,
}

impl Client {
    /// A client that asks at `base` with `key`. `http` must follow no redirects: they would carry the key away.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        base: &Url,
        key: HeaderValue,
        clock: Clock,
        timing: Timing,
        observer: Observer,
    ) -> Self {
        let remember = timing.remember;
        Self {
            api: Api::new(http, base, key, clock.clone(), timing, observer),
            clock,
            remember,
            cache: Cache::builder()
                .max_capacity(CACHE_MAX)
                .time_to_live(Duration::from_mins(1))
                .build(),
            asked: AtomicU64::new(0),
        }
    }

    /// The session with this id. Those who ask for one id at the same time share one request, and its failure.
    ///
    /// # Errors
    /// Every way in which there is no session to show, see [`Error`].
    pub async fn session(&self, id: &SessionId, age: Age) -> Result<Arc<Session>, Arc<Error>> {
        let now = self.clock.now();
        let asked = self.asked.load(Ordering::Acquire);
        let unusable = |answer: &Answer| match age {
            Age::Fresh => answer.number <= asked,
            Age::Recent => answer.result.is_err() || !self.is_recent(answer, now),
        };
        loop {
            // Boxed only when it is needed: asking is a large future, and a remembered answer should not carry it along.
            let asking = async { Box::pin(self.answer(id)).await };
            let entry = self.cache.entry_by_ref(id).or_insert_with_if(asking, unusable).await;
            let answer = entry.into_value();
            // Who comes upon a request under way shares its answer. It may be older than a wish for a fresh one.
            if age == Age::Recent || answer.number > asked {
                return answer.result;
            }
        }
    }

    /// The sessions of a page, counted from 1, newest first as Kapso has them.
    ///
    /// # Errors
    /// Every way in which there is no page to show, see [`Error`].
    pub async fn page(&self, page: u32, per_page: u32) -> Result<Page, Error> {
        let number = self.number();
        let page = self.api.get(self.page_address(page, per_page), Page::parse).await;
        self.learn_page(page, number).await
    }

    /// Like [`Client::page`], for background work: one request, if it can be spared.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Limited`] while only people may ask.
    pub async fn page_if_spare(&self, page: u32, per_page: u32) -> Result<Page, Error> {
        let number = self.number();
        let page = self
            .api
            .get_if_spare(self.page_address(page, per_page), Page::parse)
            .await;
        self.learn_page(page, number).await
    }

    /// Like [`Client::session`], for background work: what somebody has just learnt, or one request, if it can be
    /// spared. No person shares its failure.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Limited`] while only people may ask.
    pub async fn session_if_spare(&self, id: &SessionId) -> Result<Arc<Session>, Error> {
        if let Some(session) = self.remembered(id).await {
            return Ok(session);
        }
        let number = self.number();
        let session = self
            .api
            .get_if_spare(self.address(id), |body| Session::parse(body, id))
            .await?;
        let session = Arc::new(session);
        self.learn(Arc::clone(&session), number).await;
        Ok(session)
    }

    /// Creates a session for this phone, a number in E.164, and this agent, or the project's default one. Sent once.
    ///
    /// # Errors
    /// See [`Error`]; after one that [leaves it open](Error::leaves_open) there may be a session all the same.
    pub async fn create(&self, phone: &str, agent: Option<&str>) -> Result<Arc<Session>, Error> {
        let wanted = Wanted {
            whatsapp_sandbox_session: WantedSession {
                phone_number: phone,
                agent_id: agent,
            },
        };
        // Of strings alone, so it cannot fail.
        let body = serde_json::to_vec(&wanted).unwrap_or_default();
        let number = self.number();
        let session = self.api.post(self.api.sessions(), body, Session::parse_any).await?;
        let session = Arc::new(session);
        self.learn(Arc::clone(&session), number).await;
        Ok(session)
    }

    /// The session as it was learnt a moment ago, if it was: what costs no request.
    pub async fn remembered(&self, id: &SessionId) -> Option<Arc<Session>> {
        let answer = self.cache.get(id).await?;
        let recent = self.is_recent(&answer, self.clock.now());
        answer.result.ok().filter(|_| recent)
    }

    /// What is left of Kapso's rate limit now.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.api.budget()
    }

    async fn answer(&self, id: &SessionId) -> Answer {
        let number = self.number();
        let result = self.api.get(self.address(id), |body| Session::parse(body, id)).await;
        Answer {
            number,
            at: self.clock.now(),
            result: result.map(Arc::new).map_err(Arc::new),
        }
    }

    async fn learn_page(&self, page: Result<Page, Error>, number: u64) -> Result<Page, Error> {
        let page = page.map_err(|error| match error {
            // There is always a list, if an empty one.
            Error::NotFound => Error::Unintelligible("a 404 for the list of sessions".to_owned()),
            error => error,
        })?;
        for session in &page.sessions {
            self.learn(Arc::clone(session), number).await;
        }
        Ok(page)
    }

    /// Remembers what was learnt of a session by request `number`, unless something newer is known.
    async fn learn(&self, session: Arc<Session>, number: u64) {
        let known = self.cache.get(&session.id).await;
        if known.is_some_and(|known| known.number > number) {
            return;
        }
        let answer = Answer {
            number,
            at: self.clock.now(),
            result: Ok(Arc::clone(&session)),
        };
        self.cache.insert(session.id.clone(), answer).await;
    }

    fn number(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn is_recent(&self, answer: &Answer, now: Timestamp) -> bool {
        now.duration_since(answer.at).abs() <= self.remember
    }

    fn address(&self, id: &SessionId) -> Url {
        let mut address = self.api.sessions();
        if let Ok(mut path) = address.path_segments_mut() {
            path.push(id.as_str());
        }
        address
    }

    fn page_address(&self, page: u32, per_page: u32) -> Url {
        let mut address = self.api.sessions();
        address
            .query_pairs_mut()
            .append_pair("page", &page.to_string())
            .append_pair("per_page", &per_page.to_string());
        address
    }
}

#[derive(Serialize)]
struct Wanted<'a> {
    whatsapp_sandbox_session: WantedSession<'a>,
}

#[derive(Serialize)]
struct WantedSession<'a> {
    phone_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
}
