//! One request to Kapso's API: within the limit, tried again where that helps, and its answer told apart from faults.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use reqwest::{RequestBuilder, Response};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use url::Url;

use super::limit::Limit;
use super::{Budget, Error, NoAnswer};
use crate::clock::Clock;

const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// The most of an answer that is read; a session takes about 1 KiB.
const BODY_MAX: usize = 256 * 1024;
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
pub(super) type Observer = Box<dyn Fn(Observation) + Send + Sync>;

/// Kapso's API under one key.
pub(super) struct Api {
    http: reqwest::Client,
    /// `…/sandbox_sessions`.
    sessions: Url,
    key: HeaderValue,
    clock: Clock,
    timing: Timing,
    observer: Observer,
    limit: Mutex<Limit>,
}

impl Api {
    pub(super) fn new(
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
            limit: Mutex::new(Limit::new()),
        }
    }

    /// The address of all sessions.
    pub(super) fn sessions(&self) -> Url {
        self.sessions.clone()
    }

    /// What is left of the limit now.
    pub(super) fn budget(&self) -> Budget {
        self.limit().budget(self.clock.now())
    }

    /// Reads what is at `address` for a person, with as many tries as help.
    pub(super) async fn get<T>(&self, address: Url, read: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, Error> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.timing.pause)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(RETRIES);
        let attempt = async || {
            let place = self.place(Limit::take)?;
            self.send(place, self.http.get(address.clone()), StatusCode::OK, &read)
                .await
        };
        let tries = attempt.retry(pauses).adjust(|error, pause| match error {
            Error::NoAnswer(_) => pause,
            Error::Limited { retry_after } if *retry_after <= self.timing.patience => pause.map(|_| *retry_after),
            _ => None,
        });
        match timeout(self.timing.total, tries).await {
            Ok(result) => result,
            Err(_) => Err(NoAnswer::OutOfTime(self.timing.total).into()),
        }
    }

    /// Reads what is at `address` for background work: with one try, and none at all while only people may ask.
    pub(super) async fn get_if_spare<T>(
        &self,
        address: Url,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let place = self.place(Limit::take_spare)?;
        self.send(place, self.http.get(address), StatusCode::OK, &read).await
    }

    /// Has Kapso create something. Sent once, whatever happens.
    pub(super) async fn post<T>(
        &self,
        address: Url,
        body: Vec<u8>,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let place = self.place(Limit::take)?;
        let request = self
            .http
            .post(address)
            .header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        self.send(place, request, StatusCode::CREATED, &read).await
    }

    fn place(&self, take: impl FnOnce(&mut Limit, Timestamp) -> Result<(), Duration>) -> Result<RatePermit<'_>, Error> {
        match take(&mut self.limit(), self.clock.now()) {
            Ok(()) => Ok(RatePermit(self)),
            Err(retry_after) => Err(Error::Limited { retry_after }),
        }
    }

    async fn send<T>(
        &self,
        place: RatePermit<'_>,
        request: RequestBuilder,
        success: StatusCode,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let sent = request
            .header(KEY_HEADER, self.key.clone())
            .timeout(self.timing.attempt)
            .send()
            .await;
        let status = sent.as_ref().ok().map(Response::status);
        let result = match sent {
            Ok(answer) => self.understand(answer, success).await,
            Err(error) => Err(transport(error)),
        };
        drop(place);
        (self.observer)(Observation {
            status,
            took: began.elapsed(),
            left: self.budget().left,
        });
        read(&result?).map_err(Error::Unintelligible)
    }

    /// The body of an answer with that status, or what another answer means.
    async fn understand(&self, answer: Response, success: StatusCode) -> Result<Vec<u8>, Error> {
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
            status if status == success => body(answer).await,
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Error::KeyRefused(status)),
            StatusCode::NOT_FOUND => {
                let body = body(answer).await?;
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
            StatusCode::UNPROCESSABLE_ENTITY if success == StatusCode::CREATED => Err(Error::Unprocessable),
            status if status.is_server_error() => Err(NoAnswer::Status(status).into()),
            status => Err(Error::Unintelligible(format!("status {}", status.as_u16()))),
        }
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the limit for one request, until that is answered or given up.
struct RatePermit<'a>(&'a Api);

impl Drop for RatePermit<'_> {
    fn drop(&mut self) {
        self.0.limit().answered(self.0.clock.now());
    }
}

async fn body(mut answer: Response) -> Result<Vec<u8>, Error> {
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
