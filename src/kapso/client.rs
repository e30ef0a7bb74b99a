//! Asks Kapso for sessions: joined, remembered for a moment, within the limit, and tried again where that helps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use reqwest::Response;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use url::Url;

use super::limit::Limit;
use super::{Error, NoAnswer, Session, SessionId};
use crate::clock::Clock;

const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// The most of an answer that is read; a session takes about 1 KiB.
const BODY_MAX: usize = 256 * 1024;
/// Sessions remembered at most.
const CACHE_MAX: u64 = 1_000;
/// How often a request is tried again.
const RETRIES: usize = 2;

/// How requests are timed; tests shorten it.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How long one try may take, answer included.
    pub attempt: Duration,
    /// How long all tries may take together.
    pub total: Duration,
    /// The shortest pause before a second try; doubles, with jitter.
    pub pause: Duration,
    /// How long a person waits for the limit to open before reading how long it takes.
    pub patience: Duration,
    /// How long an answer is good enough for the next who asks.
    pub remember: SignedDuration,
}

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// A few seconds are fine.
    Recent,
    /// Asked for after the request, or just being asked for.
    Fresh,
}

/// One request to Kapso, for those who count.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// What it was answered with; `None` if there was no answer.
    pub status: Option<StatusCode>,
    /// How long it took.
    pub took: Duration,
    /// How many requests the limit allows after it.
    pub left: u32,
}

/// Told of every request.
type Observer = Box<dyn Fn(Observation) + Send + Sync>;

/// A client for one key, that is one project.
pub struct Client {
    http: reqwest::Client,
    sessions: Url,
    key: HeaderValue,
    clock: Clock,
    timing: Timing,
    observer: Observer,
    cache: Cache<SessionId, Answer>,
    /// Numbers the requests, so that an answer can be told from one that was asked for earlier.
    asked: AtomicU64,
    limit: Mutex<Limit>,
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
        mut key: HeaderValue,
        clock: Clock,
        timing: Timing,
        observer: Observer,
    ) -> Self {
        key.set_sensitive(true);
        let mut sessions = base.clone();
        if let Ok(mut path) = sessions.path_segments_mut() {
            path.pop_if_empty().push("sandbox_sessions");
        }
        Self {
            http,
            sessions,
            key,
            clock,
            timing,
            observer,
            cache: Cache::builder()
                .max_capacity(CACHE_MAX)
                .time_to_live(Duration::from_mins(1))
                .build(),
            asked: AtomicU64::new(0),
            limit: Mutex::new(Limit::new()),
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
            Age::Recent => answer.result.is_err() || now.duration_since(answer.at).abs() > self.timing.remember,
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

    async fn answer(&self, id: &SessionId) -> Answer {
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let result = self.ask(id).await;
        Answer {
            number,
            at: self.clock.now(),
            result: result.map(Arc::new).map_err(Arc::new),
        }
    }

    async fn ask(&self, id: &SessionId) -> Result<Session, Error> {
        let mut address = self.sessions.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.push(id.as_str());
        }
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.timing.pause)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(RETRIES);
        let tries = (|| self.attempt(&address, id))
            .retry(pauses)
            .adjust(|error, pause| match error {
                Error::NoAnswer(_) => pause,
                Error::Limited { retry_after } if *retry_after <= self.timing.patience => pause.map(|_| *retry_after),
                _ => None,
            });
        match timeout(self.timing.total, tries).await {
            Ok(result) => result,
            Err(_) => Err(NoAnswer::OutOfTime(self.timing.total).into()),
        }
    }

    async fn attempt(&self, address: &Url, id: &SessionId) -> Result<Session, Error> {
        self.limit()
            .take(self.clock.now())
            .map_err(|retry_after| Error::Limited { retry_after })?;
        let began = Instant::now();
        let sent = self
            .http
            .get(address.clone())
            .header(KEY_HEADER, self.key.clone())
            .timeout(self.timing.attempt)
            .send()
            .await;
        let status = sent.as_ref().ok().map(Response::status);
        let result = match sent {
            Ok(answer) => self.understand(answer, id).await,
            Err(error) => Err(transport(error)),
        };
        let left = self.limit().left(self.clock.now());
        (self.observer)(Observation {
            status,
            took: began.elapsed(),
            left,
        });
        result
    }

    async fn understand(&self, answer: Response, id: &SessionId) -> Result<Session, Error> {
        let now = self.clock.now();
        {
            let mut limit = self.limit();
            limit.learn_limit(answer.headers());
            // A 429 says itself when to come back; that nothing remains until then is no news.
            if answer.status() != StatusCode::TOO_MANY_REQUESTS {
                limit.learn_use(answer.headers(), now);
            }
        }
        match answer.status() {
            StatusCode::OK => {
                let body = read(answer).await?;
                Session::parse(&body, id).map_err(Error::Unintelligible)
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Error::KeyRefused(status)),
            StatusCode::NOT_FOUND => {
                let body = read(answer).await?;
                // Any web server can say 404; only Kapso says it in this form.
                match serde_json::from_slice::<BTreeMap<String, &RawValue>>(&body) {
                    Ok(complaint) if complaint.contains_key("error") => Err(Error::NotFound),
                    _ => Err(Error::Unintelligible("a 404 that is not Kapso's".to_owned())),
                }
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let retry_after = self.limit().close(answer.headers(), now);
                Err(Error::Limited { retry_after })
            }
            status if status.is_server_error() => Err(NoAnswer::Status(status).into()),
            status => Err(Error::Unintelligible(format!("status {}", status.as_u16()))),
        }
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(Error::Unintelligible("it is over 256 KiB".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn transport(error: reqwest::Error) -> Error {
    NoAnswer::Transport(error.without_url()).into()
}
