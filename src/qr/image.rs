//! Loads the image at a signed address: verifies the address, looks the session up, encodes its activation link.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use thiserror::Error;

use super::address::{AddressError, Addresses};
use super::png;
use crate::kapso::{self, ActivationLink, Age, Client, Session, SessionId, Status};

/// The longest link that is drawn, in characters: with a longer one, the modules are too small for a phone's camera.
pub const LINK_MAX: usize = 500;

/// The image of a QR code.
#[derive(Debug)]
pub struct Image {
    pub png: Vec<u8>,
    /// For how long its address is still valid.
    pub valid_for: Duration,
}

/// Why there is no image. Displayed to the person who opens the address.
#[derive(Debug, Error)]
pub enum ImageError {
    #[error("There is no QR code here: {0}.\n")]
    Address(#[from] AddressError),
    /// The session is not pending or does not exist, or its link cannot be drawn.
    #[error("There is no QR code here: the session is not waiting for activation, or has no link.\n")]
    NothingToActivate,
    #[error("The QR code is not available now: the session could not be looked up. Try again in a moment.\n")]
    Kapso(#[from] Arc<kapso::Error>),
}

impl ImageError {
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Address(AddressError::Invalid) => StatusCode::FORBIDDEN,
            Self::Address(AddressError::Expired) => StatusCode::GONE,
            Self::NothingToActivate => StatusCode::NOT_FOUND,
            Self::Kapso(error) => match &**error {
                kapso::Error::RateLimited { .. } => StatusCode::SERVICE_UNAVAILABLE,
                kapso::Error::Unavailable(_) => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::BAD_GATEWAY,
            },
        }
    }
}

/// The link in the QR code of a session; `None` if there is nothing to activate or the link is too long.
#[must_use]
pub fn activation_link(session: &Session) -> Option<&ActivationLink> {
    match (&session.status, &session.activation_link) {
        (Status::Pending, Some(Ok(link))) if link.url().as_str().len() <= LINK_MAX => Some(link),
        _ => None,
    }
}

/// Loads the image for a request with this path and query, both as they arrived. `addresses` is `None` if the app has no
/// public URL, so that no address can be valid. Kapso is requested only for a valid address.
///
/// # Errors
/// See [`ImageError`].
pub async fn load(
    addresses: Option<&Addresses>,
    kapso: &Client,
    path: &str,
    query: &str,
    now: Timestamp,
) -> Result<Image, ImageError> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let address = addresses.ok_or(AddressError::Invalid)?.verify(file, query, now)?;
    let link = match look_up(kapso, &address.id).await {
        // The session was deleted, so trying again would not help.
        Err(error) if matches!(*error, kapso::Error::NotFound) => None,
        link => link?,
    };
    let png = link.and_then(|link| png::encode(link.url().as_str()));
    Ok(Image {
        png: png.ok_or(ImageError::NothingToActivate)?,
        valid_for: address.valid_for,
    })
}

/// Does not use the part of the rate limit that is reserved for people: an address can be requested many times.
async fn look_up(kapso: &Client, id: &SessionId) -> Result<Option<ActivationLink>, Arc<kapso::Error>> {
    if kapso.budget().spare() == 0 && kapso.cached(id).await.is_none() {
        let retry_after = Duration::from_secs(1);
        return Err(Arc::new(kapso::Error::RateLimited { retry_after }));
    }
    let session = kapso.session(id, Age::Recent).await?;
    Ok(activation_link(&session).cloned())
}
