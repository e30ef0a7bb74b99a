//! Axum extractor for signed Slack requests: a handler that takes [`Verified`] is never called without a valid signature.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::form_fields::{Field, form_fields};
use super::signature::{SignatureError, SignatureVerifier, check_headers};
use super::verified::{Verified, Way};
use crate::clock::Clock;

/// Largest body that every connection may send at the same time, in bytes. Commands and presses are far smaller.
const USUAL_BODY_BYTES: usize = 64 * 1024;
/// How many larger bodies are read at the same time, so that strangers cannot fill the memory. Others wait.
const LARGE_BODIES_MAX: usize = 8;

/// The body of a signed request by which `doctor` learns whether signatures reach the service. A proxy that decodes and
/// encodes it again changes it: `+` and `%20`, the case of `%c3`, and the empty value rarely survive. It has none of the
/// fields of Slack's forms, and does nothing.
pub const PROBE_BODY: &str = "kapso_slack_probe=a+b%20%c3%a9&empty=";
/// The same, but unchanged by decoding and encoding.
pub const PLAIN_PROBE_BODY: &str = "kapso_slack_probe=1";

/// What the extractor needs to verify a request.
pub struct SlackVerifier {
    pub signatures: SignatureVerifier,
    /// The clock that timestamps are compared with.
    pub clock: Clock,
    /// Deadline for reading a body.
    pub body_deadline: Duration,
    /// A permit for each body over 64 KiB that is read.
    large_bodies: Semaphore,
}

impl SlackVerifier {
    #[must_use]
    pub fn new(signatures: SignatureVerifier, clock: Clock, body_deadline: Duration) -> Self {
        Self {
            signatures,
            clock,
            body_deadline,
            large_bodies: Semaphore::new(LARGE_BODIES_MAX),
        }
    }
}

/// A form that Slack sends.
pub trait Form: Sized {
    /// Largest body accepted, in bytes.
    const MAX_BODY_BYTES: usize = USUAL_BODY_BYTES;

    /// Reads the form from the fields of a verified body.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] if it is not this form.
    fn parse<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> Result<Self, Rejection>;
}

/// Why a request was rejected. The response has an empty body, since its sender is not a user of this app.
#[derive(Debug, Error)]
pub enum Rejection {
    /// Slack's check of our TLS certificate. Answered with 200; never treated as a command.
    #[error("ssl_check")]
    SslCheck,
    /// A request of `doctor` with [`PROBE_BODY`] or [`PLAIN_PROBE_BODY`] and a valid signature. Answered with 204; never treated as a command.
    #[error("doctor's probe")]
    Probe,
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Over [`Form::MAX_BODY_BYTES`].
    #[error("the body is too large")]
    TooLarge,
    #[error("the content type is not application/x-www-form-urlencoded")]
    NotForm,
    #[error("the body did not arrive in time")]
    Timeout,
    /// The connection broke, or the body is not the form that this route expects.
    #[error("the body is malformed")]
    Malformed,
}

impl Rejection {
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SslCheck => StatusCode::OK,
            Self::Probe => StatusCode::NO_CONTENT,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.status().into_response()
    }
}

impl<S, T> FromRequest<S> for Verified<T>
where
    S: Send + Sync,
    T: Form,
    Arc<SlackVerifier>: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let received = Instant::now();
        let verifier = Arc::<SlackVerifier>::from_ref(state);
        let (head, body) = request.into_parts();
        if !is_form(head.headers.get(header::CONTENT_TYPE)) {
            return Err(Rejection::NotForm);
        }
        let body = read(body, T::MAX_BODY_BYTES, &head.headers, &verifier).await?;
        let now = verifier.clock.now();
        let signed_at = match verifier.signatures.verify(&head.headers, &body, now) {
            Ok(signed_at) => signed_at,
            // Slack does not promise to sign its certificate check.
            Err(_) if form_fields(&body).any(|field| is_ssl_check(&field)) => return Err(Rejection::SslCheck),
            Err(error) => return Err(error.into()),
        };
        if [PROBE_BODY, PLAIN_PROBE_BODY]
            .iter()
            .any(|probe| body == probe.as_bytes())
        {
            return Err(Rejection::Probe);
        }
        let fields: Vec<Field<'_>> = form_fields(&body).collect();
        // A certificate check with a valid signature is not a command either.
        if fields.iter().any(is_ssl_check) {
            return Err(Rejection::SslCheck);
        }
        T::parse(fields).map(|form| Self {
            form,
            received,
            sent_at: signed_at.min(now),
            way: Way::Http,
        })
    }
}

async fn read(
    body: axum::body::Body,
    max: usize,
    headers: &HeaderMap,
    verifier: &SlackVerifier,
) -> Result<Vec<u8>, Rejection> {
    let reading = async {
        let mut body = Limited::new(body, max);
        // One buffer: a body that arrives byte by byte would take a multiple of its size as a list of frames.
        let mut read = Vec::new();
        let mut permit = None;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(error) if error.is::<LengthLimitError>() => return Err(Rejection::TooLarge),
                Err(_) => return Err(Rejection::Malformed),
            }
            if read.len() > USUAL_BODY_BYTES && permit.is_none() {
                check_headers(headers, verifier.clock.now())?;
                permit = verifier.large_bodies.acquire().await.ok();
            }
        }
        Ok(read)
    };
    timeout(verifier.body_deadline, reading)
        .await
        .unwrap_or(Err(Rejection::Timeout))
}

fn is_form(content_type: Option<&http::HeaderValue>) -> bool {
    let essence = content_type
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether this field marks the form as Slack's certificate check. The same text inside the value of another field does not.
fn is_ssl_check((name, value): &Field<'_>) -> bool {
    name == "ssl_check" && value.decode() == "1"
}
