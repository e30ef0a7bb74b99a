//! One request to Kapso's API: counted against the rate limit, retried where that helps, its response classified.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use reqwest::{RequestBuilder, Response};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};
use url::Url;

use super::http_clients::HttpClients;
use super::rate_limit::{RateBudget, RateLimit};
use super::waiting::Waiting;
use super::{Error, Unavailable};
use crate::clock::Clock;
use crate::config::KapsoTiming;

pub(super) const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// The largest response body that is read, in bytes; a session takes about 1 KiB.
const BODY_MAX: usize = 256 * 1024;
/// Attempts after the first one.
const RETRIES: usize = 2;

/// What the metrics record of one request to Kapso.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// `None` if there was no response.
    pub status: Option<StatusCode>,
    /// From sending the request until its response was read.
    pub took: Duration,
    /// How many requests the rate limit allows after it.
    pub rate_limit_left: u32,
    /// Whether the response says that there is no API at this address.
    pub is_moved: bool,
}

/// Called after every request.
pub(super) type Observer = Box<dyn Fn(Observation) + Send + Sync>;

/// Kapso's API with one key.
pub(super) struct Api {
    http: Arc<HttpClients>,
    /// `…/sandbox_sessions`.
    sessions: Url,
    key: HeaderValue,
    clock: Clock,
    timing: KapsoTiming,
    observer: Observer,
    limit: Mutex<RateLimit>,
}

impl Api {
    pub(super) fn new(
        http: Arc<HttpClients>,
        base: &Url,
        mut key: HeaderValue,
        clock: Clock,
        timing: KapsoTiming,
        observer: Observer,
    ) -> Self {
        key.set_sensitive(true);
        Self {
            http,
            sessions: sessions(base),
            key,
            clock,
            timing,
            observer,
            limit: Mutex::new(RateLimit::new()),
        }
    }

    /// `…/sandbox_sessions`.
    pub(super) fn sessions(&self) -> Url {
        self.sessions.clone()
    }

    pub(super) fn budget(&self) -> RateBudget {
        self.limit().budget(self.clock.now())
    }

    /// Ends the wait after a 429.
    #[cfg(feature = "demo")]
    pub(super) fn unblock(&self) {
        self.limit().unblock();
    }

    /// Requests `address` for a person, with retries over new connections, and parses the response with `read`.
    pub(super) async fn get<T>(&self, address: Url, read: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, Error> {
        let delays = ExponentialBuilder::default()
            .with_min_delay(self.timing.min_retry_delay)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(RETRIES);
        let is_retry = AtomicBool::new(false);
        let attempt = async || {
            let permit = self.permit(RateLimit::acquire)?;
            let http = if is_retry.swap(true, Ordering::Relaxed) {
                self.http.unpooled()
            } else {
                self.http.pooled()
            };
            // Boxed to keep the futures that contain it small: they are moved several times.
            Box::pin(self.send(permit, http.get(address.clone()), StatusCode::OK, &read)).await
        };
        let attempts = attempt.retry(delays).adjust(|error, delay| match error {
            Error::Unavailable(_) => delay,
            Error::RateLimited { retry_after } if *retry_after <= self.timing.max_rate_limit_wait => {
                delay.map(|_| *retry_after)
            }
            _ => None,
        });
        match timeout(self.timing.total, attempts).await {
            Ok(result) => result,
            Err(_) => Err(Unavailable::TimedOut(self.timing.total).into()),
        }
    }

    /// Requests `address` for background work: one attempt, and none while the rest of the limit is reserved for
    /// people.
    pub(super) async fn get_if_spare<T>(
        &self,
        address: Url,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let permit = self.permit(RateLimit::acquire_spare)?;
        let request = self.http.pooled().get(address);
        self.send(permit, request, StatusCode::OK, &read).await
    }

    /// Requests `address` for the image of a QR code: one attempt, within the share of the limit that images have.
    pub(super) async fn get_for_image<T>(
        &self,
        address: Url,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let permit = self.permit(RateLimit::acquire_image)?;
        let request = self.http.pooled().get(address);
        self.send(permit, request, StatusCode::OK, &read).await
    }

    /// Posts `body` to `address`. One attempt, since a repeated POST could create something twice, and over a new
    /// connection, the least likely to fail.
    pub(super) async fn post<T>(
        &self,
        address: Url,
        body: Vec<u8>,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let permit = self.permit(RateLimit::acquire)?;
        let request = self
            .http
            .unpooled()
            .post(address)
            .header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        self.send(permit, request, StatusCode::CREATED, &read).await
    }

    fn permit(
        &self,
        acquire: impl FnOnce(&mut RateLimit, Timestamp) -> Result<(), Duration>,
    ) -> Result<RatePermit<'_>, Error> {
        match acquire(&mut self.limit(), self.clock.now()) {
            Ok(()) => Ok(RatePermit(self)),
            Err(retry_after) => Err(Error::RateLimited { retry_after }),
        }
    }

    async fn send<T>(
        &self,
        permit: RatePermit<'_>,
        request: RequestBuilder,
        success: StatusCode,
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        let waiting = Waiting::start();
        let sent = request
            .header(KEY_HEADER, self.key.clone())
            .timeout(self.timing.attempt)
            .send()
            .await;
        let status = sent.as_ref().ok().map(Response::status);
        let result = match sent {
            Ok(response) => self.classify(response, success).await,
            Err(error) => Err(transport(error)),
        };
        if let Err(Error::Unavailable(Unavailable::Transport(error))) = &result
            && error.is_timeout()
        {
            self.http.suspend_pool();
        }
        drop((waiting, permit));
        (self.observer)(Observation {
            status,
            took: started.elapsed(),
            rate_limit_left: self.budget().left,
            is_moved: matches!(result, Err(Error::Moved(_))),
        });
        read(&result?).map_err(Error::UnexpectedResponse)
    }

    /// The body of a response with the status `success`, or the error that another response means.
    async fn classify(&self, response: Response, success: StatusCode) -> Result<Vec<u8>, Error> {
        let now = self.clock.now();
        {
            let mut limit = self.limit();
            limit.update_limit(response.headers());
            // A 429 says itself how long to wait; its count of remaining requests adds nothing.
            if response.status() != StatusCode::TOO_MANY_REQUESTS {
                limit.update_use(response.headers(), now);
            }
        }
        match response.status() {
            status if status == success => body(response).await,
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(Error::KeyRejected(status)),
            // The list always exists, even if it is empty.
            StatusCode::NOT_FOUND if response.url().path() == self.sessions.path() => {
                Err(Error::Moved(StatusCode::NOT_FOUND))
            }
            StatusCode::NOT_FOUND => {
                let body = body(response).await?;
                // Any web server or proxy can answer 404; only Kapso answers in this form.
                match serde_json::from_slice::<BTreeMap<String, &RawValue>>(&body) {
                    Ok(object) if object.contains_key("error") => Err(Error::NotFound),
                    _ => Err(Error::Moved(StatusCode::NOT_FOUND)),
                }
            }
            StatusCode::GONE => Err(Error::Moved(StatusCode::GONE)),
            StatusCode::TOO_MANY_REQUESTS => {
                let retry_after = self.limit().block(response.headers(), now);
                Err(Error::RateLimited { retry_after })
            }
            StatusCode::UNPROCESSABLE_ENTITY if success == StatusCode::CREATED => Err(Error::Unprocessable),
            status if status.is_server_error() => Err(Unavailable::Status(status).into()),
            status => Err(Error::UnexpectedResponse(format!("status {}", status.as_u16()))),
        }
    }

    fn limit(&self) -> MutexGuard<'_, RateLimit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one request against the rate limit; dropped when the request was answered or abandoned.
struct RatePermit<'a>(&'a Api);

impl Drop for RatePermit<'_> {
    fn drop(&mut self) {
        self.0.limit().release(self.0.clock.now());
    }
}

/// `…/sandbox_sessions`, for the API at `base`.
pub(super) fn sessions(base: &Url) -> Url {
    let mut sessions = base.clone();
    if let Ok(mut path) = sessions.path_segments_mut() {
        path.pop_if_empty().push("sandbox_sessions");
    }
    sessions
}

/// The body of a response, if it is not too long.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(Error::UnexpectedResponse("it is over 256 KiB".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn transport(error: reqwest::Error) -> Error {
    Unavailable::Transport(error.without_url()).into()
}
