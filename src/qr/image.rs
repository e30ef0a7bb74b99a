//! Loads the image at a signed address: verifies the address, looks the session up, encodes its activation link.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::address::{AddressError, Addresses};
use super::png;
use crate::clock::Clock;
use crate::kapso::{self, ActivationLink, Client, Session, SessionId, Status};
use crate::projects::Projects;

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
    /// Kapso has not answered by the deadline.
    #[error("The QR code is not available now: Kapso takes too long. Try again in a moment.\n")]
    TimedOut,
    /// As many look-ups as are allowed are running.
    #[error("The QR code is not available now: too many are requested. Try again in a moment.\n")]
    TooMany,
}

impl ImageError {
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Address(AddressError::Invalid) => StatusCode::FORBIDDEN,
            Self::Address(AddressError::Expired) => StatusCode::GONE,
            Self::NothingToActivate => StatusCode::NOT_FOUND,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::TooMany => StatusCode::SERVICE_UNAVAILABLE,
            Self::Kapso(error) => match &**error {
                kapso::Error::RateLimited { .. } => StatusCode::SERVICE_UNAVAILABLE,
                kapso::Error::Unavailable(_) => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::BAD_GATEWAY,
            },
        }
    }
}

/// The link in the QR code of a session; `None` if there is nothing to activate at `now` or the link is too long.
#[must_use]
pub fn activation_link(session: &Session, now: Timestamp) -> Option<&ActivationLink> {
    match (session.status_at(now), &session.activation_link) {
        (Status::Pending, Some(Ok(link))) if link.url().as_str().len() <= LINK_MAX => Some(link),
        _ => None,
    }
}

/// Loads the images of QR codes.
pub struct Images {
    /// `None` if the app has no public URL, so that no address can be valid.
    addresses: Option<Arc<Addresses>>,
    projects: Arc<Projects>,
    clock: Clock,
    deadline: Duration,
    /// One for each look-up, and so for each connection that waits for one.
    slots: Arc<Semaphore>,
    /// Every look-up is a task on it.
    tasks: TaskTracker,
}

impl Images {
    /// A look-up continues after `deadline` as a task on `tasks`. At most `slots` run at once.
    #[must_use]
    pub fn new(
        addresses: Option<Arc<Addresses>>,
        projects: Arc<Projects>,
        clock: Clock,
        deadline: Duration,
        slots: usize,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            addresses,
            projects,
            clock,
            deadline,
            slots: Arc::new(Semaphore::new(slots)),
            tasks,
        }
    }

    /// Loads the image for a request with this path and query, both as they arrived. Kapso is requested only for a valid
    /// address.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub async fn load(&self, path: &str, query: &str) -> Result<Image, ImageError> {
        let file = path.rsplit('/').next().unwrap_or_default();
        let addresses = self.addresses.as_ref().ok_or(AddressError::Invalid)?;
        let address = addresses.verify(file, query, self.clock.now())?;
        // It was taken out of the configuration after the address was made.
        let project = self.projects.find(address.project.as_ref());
        let project = project.ok_or(ImageError::NothingToActivate)?;
        let link = match self.look_up(Arc::clone(&project.kapso), address.id).await {
            Ok(session) => activation_link(&session, self.clock.now()).cloned(),
            // The session was deleted, so trying again would not help.
            Err(ImageError::Kapso(error)) if matches!(*error, kapso::Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let png = link.and_then(|link| png::encode(link.url().as_str()));
        Ok(Image {
            png: png.ok_or(ImageError::NothingToActivate)?,
            valid_for: address.valid_for,
        })
    }

    /// In a task of its own: a client that hangs up must not make the next one repeat the request to Kapso.
    async fn look_up(&self, kapso: Arc<Client>, id: SessionId) -> Result<Arc<Session>, ImageError> {
        if let Some(session) = kapso.cached(&id).await {
            return Ok(session);
        }
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| ImageError::TooMany)?;
        let look_up = async move {
            let session = kapso.session_for_image(&id).await;
            drop(slot);
            session
        };
        match timeout(self.deadline, self.tasks.spawn(look_up)).await {
            Ok(Ok(session)) => Ok(session?),
            _ => Err(ImageError::TimedOut),
        }
    }
}
