//! The activation link as a QR code: a picture for the tester's phone, at an address that is signed and soon over.
//!
//! Slack loads pictures from an address, so whoever has the address has the picture. It therefore holds no code, names
//! a time after which it is worthless, and is signed: nobody can make one, or change one, but this app.

mod picture;

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use thiserror::Error;
use url::Url;

pub use picture::picture;

use crate::kapso::{ActivationLink, Session, SessionId, Status};

/// How long an address shows its picture.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// The longest link that is drawn: beyond it, the dots are too small for a phone's camera.
pub const LINK_MAX: usize = 500;
/// Keeps these keys apart from the signing secrets, and from any other key that is ever made of them.
const LABEL: &[u8] = b"kapso-slack QR address v1";
/// Digits of an end time, at most: enough for ages, too few to overflow.
const STAMP_MAX: usize = 12;

/// The link that a session's QR code holds; none where there is nothing to activate, or nothing to open.
#[must_use]
pub fn link(session: &Session) -> Option<&ActivationLink> {
    match (&session.status, &session.activation_link) {
        (Status::Pending, Some(Ok(link))) if link.url().as_str().len() <= LINK_MAX => Some(link),
        _ => None,
    }
}

/// Makes the addresses of pictures, and knows them again. Printed, it shows no key.
#[derive(Debug)]
pub struct Addresses {
    public_url: Url,
    /// One for each signing secret. The first signs, each verifies.
    keys: Vec<Hmac<Sha256>>,
}

/// A picture that may be shown, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Whose link it holds.
    pub id: SessionId,
    /// Until the address is over.
    pub left: Duration,
}

/// Why an address shows no picture.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody here made it, or it was changed. The same for every way of being wrong.
    #[error("its address was not made by this app, or was changed")]
    NotOurs,
    /// Its time is over.
    #[error("its address was good for 10 minutes, and they are over")]
    Over,
}

impl Addresses {
    /// Addresses under `public_url`, with a key for each of the signing secrets.
    #[must_use]
    pub fn new(public_url: Url, secrets: &[SecretString]) -> Self {
        Self {
            public_url,
            keys: secrets.iter().map(key).collect(),
        }
    }

    /// The address at which the session's code is shown from now on, for [`LIFETIME`].
    #[must_use]
    pub fn address(&self, id: &SessionId, now: Timestamp) -> Option<Url> {
        let file = format!("{id}.png");
        let until = now.as_second().saturating_add(LIFETIME.as_secs()).to_string();
        let mac = absorb(self.keys.first()?.clone(), &file, &until);
        let signature = hex::encode(mac.finalize().into_bytes());
        let mut address = self.public_url.clone();
        address.path_segments_mut().ok()?.pop_if_empty().extend(["qr", &file]);
        address.set_query(Some(&format!("until={until}&signature={signature}")));
        Some(address)
    }

    /// Checks the last part of an address's path and its query, both as they came, against what was signed.
    ///
    /// # Errors
    /// Returns the [`Refusal`]. That an address is over is said of our own ones alone.
    pub fn check(&self, file: &str, query: &str, now: Timestamp) -> Result<Admitted, Refusal> {
        let (until, signature) = signed(query).ok_or(Refusal::NotOurs)?;
        // Each key is tried, so that the time taken does not tell which one matched.
        let ours = self.keys.iter().fold(false, |matched, key| {
            absorb(key.clone(), file, until).verify_slice(&signature).is_ok() | matched
        });
        let id = file.strip_suffix(".png").and_then(SessionId::parse);
        let (true, Some(id), Ok(until)) = (ours, id, until.parse::<i64>()) else {
            return Err(Refusal::NotOurs);
        };
        match u64::try_from(until.saturating_sub(now.as_second())) {
            Err(_) | Ok(0) => Err(Refusal::Over),
            Ok(left) => Ok(Admitted {
                id,
                // More only where a clock went back.
                left: Duration::from_secs(left).min(LIFETIME.unsigned_abs()),
            }),
        }
    }
}

/// The end time and the signature in a query, which must be exactly as we write it.
fn signed(query: &str) -> Option<(&str, [u8; 32])> {
    let (until, hex) = query.strip_prefix("until=")?.split_once("&signature=")?;
    let plain = (1..=STAMP_MAX).contains(&until.len()) && until.bytes().all(|b| b.is_ascii_digit());
    if !plain || hex.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(hex, &mut signature).ok()?;
    Some((until, signature))
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn key(secret: &SecretString) -> Hmac<Sha256> {
    let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    let mut derived = keyed(secret.expose_secret().as_bytes());
    derived.update(LABEL);
    keyed(&derived.finalize().into_bytes())
}

/// No file name that holds an id has a `?`, so that no two addresses are signed alike.
fn absorb(mut mac: Hmac<Sha256>, file: &str, until: &str) -> Hmac<Sha256> {
    mac.update(file.as_bytes());
    mac.update(b"?until=");
    mac.update(until.as_bytes());
    mac
}
