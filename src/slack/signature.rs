//! Slack's request signature, version 0.
//!
//! Source: <https://docs.slack.dev/authentication/verifying-requests-from-slack>.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use thiserror::Error;

/// Contains the Unix seconds at which Slack signed the request.
pub const TIMESTAMP_HEADER: HeaderName = HeaderName::from_static("x-slack-request-timestamp");
/// Contains `v0=` and the signature in lower-case hex.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-slack-signature");
/// Largest difference between the timestamp and our clock, in seconds, in either direction.
pub const MAX_SKEW_SECONDS: i64 = 300;

/// Why the signature of a request was rejected. Never contains the expected signature.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// One of the two headers is missing or repeated.
    #[error("a signature header is missing or repeated")]
    Headers,
    /// A header does not have Slack's form.
    #[error("a signature header is malformed")]
    Malformed,
    /// The timestamp is too old or too far in the future.
    #[error("the timestamp is {skew} s away from this machine's clock")]
    Stale {
        /// Our clock minus the timestamp, in seconds.
        skew: i64,
    },
    /// Signed with another secret, or changed after it was signed.
    #[error("the signature does not match any of our secrets")]
    Mismatch,
}

/// Verifies signatures with one signing secret, or two while one replaces the other.
pub struct SignatureVerifier {
    /// A request clones this state instead of hashing the key again.
    keys: Keys,
}

/// A state for each signing secret, the first of which signs. They can be replaced while the service runs.
struct Keys(RwLock<Vec<Hmac<Sha256>>>);

impl Keys {
    fn replace(&self, keys: Vec<Hmac<Sha256>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn first(&self) -> Option<Hmac<Sha256>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Whether one of the keys matches. Every key is tried, so that the time taken does not reveal which one did.
    fn any(&self, mut matches: impl FnMut(Hmac<Sha256>) -> bool) -> bool {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().fold(false, |matched, key| matches(key.clone()) | matched)
    }
}

/// Keys for another purpose, which a label names, derived from the signing secrets. `Debug` shows none.
pub struct DerivedKeys {
    label: &'static [u8],
    keys: Keys,
}

impl DerivedKeys {
    #[must_use]
    pub fn new(secrets: &[SecretString], label: &'static [u8]) -> Self {
        Self {
            label,
            keys: Keys(RwLock::new(derive(secrets, label))),
        }
    }

    /// Replaces the keys by those that are derived from these secrets.
    pub fn set_secrets(&self, secrets: &[SecretString]) {
        self.keys.replace(derive(secrets, self.label));
    }

    /// The key that signs.
    #[must_use]
    pub fn first(&self) -> Option<Hmac<Sha256>> {
        self.keys.first()
    }

    /// Whether one of the keys matches. Every key is tried, so that the time taken does not reveal which one did.
    #[must_use]
    pub fn any(&self, matches: impl FnMut(Hmac<Sha256>) -> bool) -> bool {
        self.keys.any(matches)
    }
}

impl fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DerivedKeys").finish_non_exhaustive()
    }
}

fn derive(secrets: &[SecretString], label: &[u8]) -> Vec<Hmac<Sha256>> {
    let key = |secret| keyed_with(&keyed(secret).chain_update(label).finalize().into_bytes());
    secrets.iter().map(key).collect()
}

impl SignatureVerifier {
    /// The characters of a secret are the key; it is not decoded from hex.
    #[must_use]
    pub fn new(secrets: &[SecretString]) -> Self {
        Self {
            keys: Keys(RwLock::new(secrets.iter().map(keyed).collect())),
        }
    }

    /// Replaces the secrets.
    pub fn set_secrets(&self, secrets: &[SecretString]) {
        self.keys.replace(secrets.iter().map(keyed).collect());
    }

    /// Whether any signature can be valid.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.keys.first().is_some()
    }

    /// Verifies that `body` was signed by Slack with one of the secrets, within [`MAX_SKEW_SECONDS`] of `now`. Returns
    /// when it was signed, by Slack's clock.
    ///
    /// # Errors
    /// Returns the [`SignatureError`] that applies first: headers, form, timestamp, signature.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Timestamp, SignatureError> {
        let (timestamp, signed_at, signature) = read_headers(headers, now)?;
        let matches = self
            .keys
            .any(|mac| update(mac, timestamp.as_bytes(), body).verify_slice(&signature).is_ok());
        if !matches {
            return Err(SignatureError::Mismatch);
        }
        // Cannot fail: the timestamp is near `now`.
        Timestamp::from_second(signed_at).map_err(|_| SignatureError::Malformed)
    }
}

/// Whether the headers could be those of a request that Slack has signed, whatever its body is.
///
/// # Errors
/// See [`SignatureVerifier::verify`].
pub fn check_headers(headers: &HeaderMap, now: Timestamp) -> Result<(), SignatureError> {
    read_headers(headers, now).map(drop)
}

/// The timestamp as it was signed and as a number, and the signature.
fn read_headers(headers: &HeaderMap, now: Timestamp) -> Result<(&HeaderValue, i64, [u8; 32]), SignatureError> {
    let timestamp = only(headers, &TIMESTAMP_HEADER)?;
    let signed_at = seconds(timestamp)?;
    let signature = digest(only(headers, &SIGNATURE_HEADER)?)?;
    let skew = now.as_second() - signed_at;
    if skew.abs() > MAX_SKEW_SECONDS {
        return Err(SignatureError::Stale { skew });
    }
    Ok((timestamp, signed_at, signature))
}

/// Signs as Slack does: the value of [`SIGNATURE_HEADER`] for `body` sent at `timestamp` (Unix seconds).
#[must_use]
pub fn sign(secret: &SecretString, timestamp: &str, body: &[u8]) -> String {
    let mac = update(keyed(secret), timestamp.as_bytes(), body);
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

fn keyed(secret: &SecretString) -> Hmac<Sha256> {
    keyed_with(secret.expose_secret().as_bytes())
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed_with(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn update(mut mac: Hmac<Sha256>, timestamp: &[u8], body: &[u8]) -> Hmac<Sha256> {
    mac.update(b"v0:");
    mac.update(timestamp);
    mac.update(b":");
    mac.update(body);
    mac
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h HeaderValue, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(SignatureError::Headers),
    }
}

fn seconds(timestamp: &HeaderValue) -> Result<i64, SignatureError> {
    let digits = timestamp.as_bytes();
    let plain = (1..=12).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if !plain {
        return Err(SignatureError::Malformed);
    }
    Ok(digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
}

fn digest(signature: &HeaderValue) -> Result<[u8; 32], SignatureError> {
    let hex = signature
        .as_bytes()
        .strip_prefix(b"v0=")
        .filter(|hex| !hex.iter().any(u8::is_ascii_uppercase))
        .ok_or(SignatureError::Malformed)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(hex, &mut digest).map_err(|_| SignatureError::Malformed)?;
    Ok(digest)
}
