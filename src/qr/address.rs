//! Signed addresses of QR code images.

use std::time::Duration;

use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use sha2::Sha256;
use thiserror::Error;
use url::Url;

use crate::kapso::SessionId;
use crate::slack::signature::derived_key;

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
    /// One for each signing secret. The first one signs, all of them verify.
    keys: Vec<Hmac<Sha256>>,
}

/// A valid address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAddress {
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
            keys: secrets.iter().map(|secret| derived_key(secret, LABEL)).collect(),
        }
    }

    /// The address of the session's QR code, valid for [`LIFETIME`] from `now`.
    #[must_use]
    pub fn address(&self, id: &SessionId, now: Timestamp) -> Option<Url> {
        let file = format!("{id}.png");
        let until = now.as_second().saturating_add(LIFETIME.as_secs()).to_string();
        let mac = update(self.keys.first()?.clone(), &file, &until);
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
        // Every key is tried, so that the time taken does not reveal which one matched.
        let is_signed = self.keys.iter().fold(false, |matched, key| {
            update(key.clone(), file, until).verify_slice(&signature).is_ok() | matched
        });
        let id = file.strip_suffix(".png").and_then(SessionId::parse);
        let (true, Some(id), Ok(until)) = (is_signed, id, until.parse::<i64>()) else {
            return Err(AddressError::Invalid);
        };
        match u64::try_from(until.saturating_sub(now.as_second())) {
            Err(_) | Ok(0) => Err(AddressError::Expired),
            Ok(left) => Ok(VerifiedAddress {
                id,
                // It can be longer only if the clock was set back.
                valid_for: Duration::from_secs(left).min(LIFETIME.unsigned_abs()),
            }),
        }
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
