//! Client for Kapso's sandbox sessions: concurrent requests for one session are joined, and the result is cached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use super::api::{Api, Observer};
use super::page::Page;
use super::rate_limit::RateBudget;
use super::{Error, HttpClients, Session, SessionId, waiting};
use crate::clock::Clock;
use crate::config::KapsoTiming;

/// Most sessions in the cache.
const CACHE_MAX: u64 = 1_000;

/// How old a result may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// A cached result of the last few seconds will do.
    Recent,
    /// The request to Kapso must start after this call, or be in flight during it.
    Fresh,
}

/// A client with one API key, that is for one project.
pub struct Client {
    api: Api,
    clock: Clock,
    cache_ttl: SignedDuration,
    cache: Cache<SessionId, Cached>,
    /// Results of the requests for images, errors included, so that a failure is not repeated at once.
    images: Cache<SessionId, Cached>,
    /// Number of the last request, to distinguish a result from one that was requested earlier.
    last_request: AtomicU64,
}

#[derive(Clone)]
struct Cached {
    /// The request that brought it.
    sent: Sent,
    /// How long it took Kapso.
    took: Duration,
    result: Result<Arc<Session>, Arc<Error>>,
}

/// When a request was sent. What it brings is as old: Kapso may have read it at any time from then on.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    at: Timestamp,
}

impl Client {
    /// A client for the API at `base`. `http` must follow no redirects: they would send the key to another host.
    #[must_use]
    pub fn new(
        http: Arc<HttpClients>,
        base: &Url,
        key: HeaderValue,
        clock: Clock,
        timing: KapsoTiming,
        observer: Observer,
    ) -> Self {
        let cache_ttl = timing.cache_ttl;
        let cache = || {
            Cache::builder()
                .max_capacity(CACHE_MAX)
                .time_to_live(Duration::from_mins(1))
                .build()
        };
        Self {
            api: Api::new(http, base, key, clock.clone(), timing, observer),
            clock,
            cache_ttl,
            cache: cache(),
            images: cache(),
            last_request: AtomicU64::new(0),
        }
    }

    /// The session with this id. Concurrent calls for one id share one request and its error.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn session(&self, id: &SessionId, age: Age) -> Result<Arc<Session>, Arc<Error>> {
        // The cheapest way, and the usual one for a session that many ask for.
        if age == Age::Recent
            && let Some(session) = self.cached(id).await
        {
            return Ok(session);
        }
        let began = Instant::now();
        let now = self.clock.now();
        let last_request = self.last_request.load(Ordering::Acquire);
        let is_stale = |cached: &Cached| match age {
            Age::Fresh => cached.sent.number <= last_request,
            Age::Recent => cached.result.is_err() || !self.is_recent(cached, now),
        };
        loop {
            // Boxed only when it is polled: the request is a large future, which a cache hit need not allocate.
            let request = async { Box::pin(self.request(id)).await };
            let entry = self.cache.entry_by_ref(id).or_insert_with_if(request, is_stale).await;
            let cached = entry.into_value();
            // A shared request may have started before this call, which is too early for a fresh result.
            if age == Age::Recent || cached.sent.number > last_request {
                // A call that joined a request waited for a part of it, and one that found a cached result for nothing.
                waiting::add(cached.took.min(began.elapsed()));
                return cached.result;
            }
        }
    }

    /// A page of sessions, newest first. Pages are counted from 1.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn page(&self, page: u32, per_page: u32) -> Result<Page, Error> {
        let sent = self.next_request();
        let page = self.api.get(self.page_address(page, per_page), Page::parse).await;
        self.cache_page(page, sent).await
    }

    /// Like [`Client::page`], for background work: one request, unless the rest of the limit is reserved for people.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::RateLimited`] while the rest of the limit is reserved for people.
    pub async fn page_if_spare(&self, page: u32, per_page: u32) -> Result<Page, Error> {
        let sent = self.next_request();
        let page = self
            .api
            .get_if_spare(self.page_address(page, per_page), Page::parse)
            .await;
        self.cache_page(page, sent).await
    }

    /// Like [`Client::session`], for background work: the cached session, or one request, unless the rest of the limit
    /// is reserved for people. Its error is not shared.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::RateLimited`] while the rest of the limit is reserved for people.
    pub async fn session_if_spare(&self, id: &SessionId) -> Result<Arc<Session>, Error> {
        if let Some(session) = self.cached(id).await {
            return Ok(session);
        }
        let sent = self.next_request();
        let session = self
            .api
            .get_if_spare(self.address(id), |body| Session::parse(body, id))
            .await?;
        let session = Arc::new(session);
        self.store(Arc::clone(&session), sent).await;
        Ok(session)
    }

    /// Like [`Client::session`], for the image of a QR code: the cached session, or one request within the share of the
    /// limit that images have. Concurrent calls share one request, and later ones its error for a few seconds.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::RateLimited`] while the share is used up, or the rest of the limit is reserved for
    /// people.
    pub async fn session_for_image(&self, id: &SessionId) -> Result<Arc<Session>, Arc<Error>> {
        if let Some(session) = self.cached(id).await {
            return Ok(session);
        }
        let now = self.clock.now();
        let request = async {
            let sent = self.next_request();
            let result = self
                .api
                .get_for_image(self.address(id), |body| Session::parse(body, id))
                .await;
            let result = result.map(Arc::new).map_err(Arc::new);
            if let Ok(session) = &result {
                self.store(Arc::clone(session), sent).await;
            }
            Cached {
                sent,
                took: Duration::ZERO,
                result,
            }
        };
        let is_stale = |cached: &Cached| !self.is_recent(cached, now);
        let entry = self
            .images
            .entry_by_ref(id)
            .or_insert_with_if(Box::pin(request), is_stale)
            .await;
        entry.into_value().result
    }

    /// Creates a session for this phone (E.164) and this agent, or the project's default agent. Not retried.
    ///
    /// # Errors
    /// See [`Error`]; after an [ambiguous](Error::is_ambiguous) one, the session may still exist.
    pub async fn create(&self, phone: &str, agent: Option<&str>) -> Result<Arc<Session>, Error> {
        let request = CreateSessionRequest {
            whatsapp_sandbox_session: SessionFields {
                phone_number: phone,
                agent_id: agent,
            },
        };
        // Cannot fail: it contains strings only.
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let sent = self.next_request();
        let session = self.api.post(self.api.sessions(), body, Session::parse_any).await?;
        let session = Arc::new(session);
        self.store(Arc::clone(&session), sent).await;
        Ok(session)
    }

    /// The session if it is in the cache. Costs no request.
    pub async fn cached(&self, id: &SessionId) -> Option<Arc<Session>> {
        let cached = self.cache.get(id).await?;
        let recent = self.is_recent(&cached, self.clock.now());
        cached.result.ok().filter(|_| recent)
    }

    /// The state of Kapso's rate limit.
    #[must_use]
    pub fn budget(&self) -> RateBudget {
        self.api.budget()
    }

    /// Forgets all results and the wait after a 429, as if Kapso had been replaced. For the demo, where it can be.
    #[cfg(feature = "demo")]
    pub fn forget(&self) {
        self.cache.invalidate_all();
        self.images.invalidate_all();
        self.api.unblock();
    }

    async fn request(&self, id: &SessionId) -> Cached {
        let sent = self.next_request();
        let request = self.api.get(self.address(id), |body| Session::parse(body, id));
        let (result, took) = waiting::measure(request).await;
        Cached {
            sent,
            took,
            result: result.map(Arc::new).map_err(Arc::new),
        }
    }

    async fn cache_page(&self, page: Result<Page, Error>, sent: Sent) -> Result<Page, Error> {
        let page = page?;
        for session in &page.sessions {
            self.store(Arc::clone(session), sent).await;
        }
        Ok(page)
    }

    /// Caches a session that a request brought, unless the cache has a newer one.
    async fn store(&self, session: Arc<Session>, sent: Sent) {
        let cached = self.cache.get(&session.id).await;
        if cached.is_some_and(|cached| cached.sent.number > sent.number) {
            return;
        }
        let entry = Cached {
            sent,
            took: Duration::ZERO,
            result: Ok(Arc::clone(&session)),
        };
        self.cache.insert(session.id.clone(), entry).await;
    }

    fn next_request(&self) -> Sent {
        Sent {
            number: self.last_request.fetch_add(1, Ordering::AcqRel) + 1,
            at: self.clock.now(),
        }
    }

    fn is_recent(&self, cached: &Cached, now: Timestamp) -> bool {
        now.duration_since(cached.sent.at).abs() <= self.cache_ttl
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
struct CreateSessionRequest<'a> {
    whatsapp_sandbox_session: SessionFields<'a>,
}

#[derive(Serialize)]
struct SessionFields<'a> {
    phone_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
}
