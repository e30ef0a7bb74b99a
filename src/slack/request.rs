//! The door for what Slack sends: a handler that asks for [`Signed`] cannot be reached unsigned.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::signature::{Refusal, SigningSecrets};
use crate::clock::Clock;

/// The largest body taken, in bytes. Slack's own stay far below.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// What the door needs to tell Slack from others.
pub struct SlackVerifier {
    /// One or two signing secrets.
    pub secrets: SigningSecrets,
    /// Judges the stamps.
    pub clock: Clock,
    /// How long a body may take to arrive.
    pub body_deadline: Duration,
}

/// A form that Slack sends.
pub trait Form: Sized {
    /// Reads the form out of a verified body.
    ///
    /// # Errors
    /// [`Rejection::Unreadable`] if it is not this form.
    fn parse(body: &[u8]) -> Result<Self, Rejection>;
}

/// A request that Slack signed, within the last five minutes, with one of our secrets.
pub struct Signed<T> {
    /// What it says.
    pub form: T,
    /// When it began to be read: the clock of the three seconds.
    pub received: Instant,
    /// When Slack sent it, by Slack's stamp, though not later than now: its `response_url` lives from then on.
    pub sent_at: Timestamp,
}

/// Why a request was turned away, as the HTTP status that says so. The reply's body is empty: the person at the
/// other end is not one of ours.
#[derive(Debug, Error)]
pub enum Rejection {
    /// Slack checks our certificate: an empty 200, and no command is ever reached from here.
    #[error("ssl_check")]
    SslCheck,
    /// Not Slack's.
    #[error(transparent)]
    Unsigned(#[from] Refusal),
    /// Over [`MAX_BODY_BYTES`].
    #[error("the body is over 64 KiB")]
    TooLarge,
    /// Not a form.
    #[error("the content type is not application/x-www-form-urlencoded")]
    NotForm,
    /// The body did not arrive within its deadline.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The sender broke off, or signed something that is not this form.
    #[error("the body is not what this address takes")]
    Unreadable,
}

impl Rejection {
    /// The status this rejection is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SslCheck => StatusCode::OK,
            Self::Unsigned(_) => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Unreadable => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        self.status().into_response()
    }
}

impl<S, T> FromRequest<S> for Signed<T>
where
    S: Send + Sync,
    T: Form,
    Arc<SlackVerifier>: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let received = Instant::now();
        let door = Arc::<SlackVerifier>::from_ref(state);
        let (head, body) = request.into_parts();
        if !is_form(head.headers.get(header::CONTENT_TYPE)) {
            return Err(Rejection::NotForm);
        }
        let body = read(body, door.body_deadline).await?;
        // Slack does not promise to sign its certificate check. Signed or not, it ends here: what else is in its form
        // reaches no command.
        if is_ssl_check(&body) {
            return Err(Rejection::SslCheck);
        }
        let now = door.clock.now();
        let signed_at = door.secrets.verify(&head.headers, &body, now)?;
        T::parse(&body).map(|form| Self {
            form,
            received,
            sent_at: signed_at.min(now),
        })
    }
}

async fn read(body: axum::body::Body, deadline: Duration) -> Result<Vec<u8>, Rejection> {
    let reading = async {
        let mut body = Limited::new(body, MAX_BODY_BYTES);
        // Into one buffer: a body that comes byte by byte would cost a multiple of its size as a list of frames.
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => read.extend(frame.into_data().unwrap_or_default()),
                Err(error) if error.is::<LengthLimitError>() => return Err(Rejection::TooLarge),
                Err(_) => return Err(Rejection::Unreadable),
            }
        }
        Ok(read)
    };
    timeout(deadline, reading).await.unwrap_or(Err(Rejection::TooSlow))
}

fn is_form(content_type: Option<&http::HeaderValue>) -> bool {
    let essence = content_type
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether one of the form's fields makes it Slack's certificate check. The words inside another field's value do not.
fn is_ssl_check(body: &[u8]) -> bool {
    form_urlencoded::parse(body).any(|(name, value)| name == "ssl_check" && value == "1")
}
