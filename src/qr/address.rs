//! Signed addresses of QR code images.

use std::time::Duration;

use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use sha2::Sha256;
use thiserror::Error;
use url::Url;

use crate::config::Alias;
use crate::kapso::SessionId;
use crate::slack::signature::DerivedKeys;

/// How long an address is valid.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Separates these keys from the signing secrets, and from any other key derived from them.
const LABEL: &[u8] = b"kapso-slack QR address v1";
/// Most digits of an expiry time, too few to overflow an `i64`.
const EXPIRY_DIGITS_MAX: usize = 12;

/// Creates and verifies the addresses of images. `Debug` shows no key.
#[derive(Debug)]
pub struct Addresses {
    public_url: Url,
    keys: DerivedKeys,
}

/// A valid address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAddress {
    /// The project of the session; `None` if it has no alias.
    pub project: Option<Alias>,
    pub id: SessionId,
    /// Until it expires.
    pub valid_for: Duration,
}

/// Why an address is rejected.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Malformed, or not signed by this app.
    #[error("its address was not created by this app, or was changed")]
    Invalid,
    /// Signed by this app, but [`LIFETIME`] has passed.
    #[error("its address was valid for 10 minutes and has expired")]
    Expired,
}

impl Addresses {
    /// Addresses under `public_url`, with a key for each of the signing secrets.
    #[must_use]
    pub fn new(public_url: Url, secrets: &[SecretString]) -> Self {
        Self {
            public_url,
            keys: DerivedKeys::new(secrets, LABEL),
        }
    }

    /// Replaces the signing secrets.
    pub fn set_secrets(&self, secrets: &[SecretString]) {
        self.keys.set_secrets(secrets);
    }

    /// The address of the QR code of a session of this project, valid for [`LIFETIME`] from `now`.
    #[must_use]
    pub fn address(&self, project: Option<&Alias>, id: &SessionId, now: Timestamp) -> Option<Url> {
        let file = match project {
            // Neither an alias nor an id has a dot.
            Some(alias) => format!("{alias}.{id}.png"),
            None => format!("{id}.png"),
        };
        let until = now.as_second().saturating_add(LIFETIME.as_secs()).to_string();
        let mac = update(self.keys.first()?, &file, &until);
        let signature = hex::encode(mac.finalize().into_bytes());
        let mut address = self.public_url.clone();
        address.path_segments_mut().ok()?.pop_if_empty().extend(["qr", &file]);
        address.set_query(Some(&format!("until={until}&signature={signature}")));
        Some(address)
    }

    /// Verifies the last segment of an address's path and its query, both as they arrived.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn verify(&self, file: &str, query: &str, now: Timestamp) -> Result<VerifiedAddress, AddressError> {
        let (until, signature) = parse(query).ok_or(AddressError::Invalid)?;
        let is_signed = self
            .keys
            .any(|key| update(key, file, until).verify_slice(&signature).is_ok());
        let (true, Some((project, id)), Ok(until)) = (is_signed, parse_file(file), until.parse::<i64>()) else {
            return Err(AddressError::Invalid);
        };
        match u64::try_from(until.saturating_sub(now.as_second())) {
            Err(_) | Ok(0) => Err(AddressError::Expired),
            Ok(left) => Ok(VerifiedAddress {
                project,
                id,
                // It can be longer only if the clock was set back.
                valid_for: Duration::from_secs(left).min(LIFETIME.unsigned_abs()),
            }),
        }
    }
}

/// The project and the session in the name of an image.
fn parse_file(file: &str) -> Option<(Option<Alias>, SessionId)> {
    let name = file.strip_suffix(".png")?;
    match name.split_once('.') {
        Some((alias, id)) => Some((Some(Alias::parse(alias)?), SessionId::parse(id)?)),
        None => Some((None, SessionId::parse(name)?)),
    }
}

/// The expiry time and the signature in a query, which must have exactly the form of [`Addresses::address`].
fn parse(query: &str) -> Option<(&str, [u8; 32])> {
    let (until, hex) = query.strip_prefix("until=")?.split_once("&signature=")?;
    let plain = (1..=EXPIRY_DIGITS_MAX).contains(&until.len()) && until.bytes().all(|b| b.is_ascii_digit());
    if !plain || hex.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(hex, &mut signature).ok()?;
    Some((until, signature))
}

/// A file name that holds an id has no `?`, so no two addresses have the same signed text.
fn update(mut mac: Hmac<Sha256>, file: &str, until: &str) -> Hmac<Sha256> {
    mac.update(file.as_bytes());
    mac.update(b"?until=");
    mac.update(until.as_bytes());
    mac
}
