//! Slack's request signature, version 0.
//!
//! Source: <https://docs.slack.dev/authentication/verifying-requests-from-slack>.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use thiserror::Error;

/// Carries the Unix seconds at which Slack signed.
pub const TIMESTAMP_HEADER: HeaderName = HeaderName::from_static("x-slack-request-timestamp");
/// Carries `v0=` and the signature in lower-case hex.
pub const SIGNATURE_HEADER: HeaderName = HeaderName::from_static("x-slack-signature");
/// How far a stamp may lie from our clock, in seconds, on either side.
pub const MAX_SKEW_SECONDS: i64 = 300;

/// Why a request is not taken for Slack's. Holds nothing that helps a forger: never the expected signature.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// One of the two headers is absent or there twice.
    #[error("a signature header is missing or repeated")]
    Headers,
    /// A header is there, but not in Slack's form.
    #[error("a signature header is malformed")]
    Malformed,
    /// The stamp is too old or too far ahead; `skew` is our clock less the stamp, in seconds.
    #[error("the stamp is {skew} s away from this machine's clock")]
    Stale {
        /// Our clock less the stamp, in seconds.
        skew: i64,
    },
    /// Signed with another secret, or not what was signed.
    #[error("the signature does not match any of our secrets")]
    Wrong,
}

/// The signing secrets: one, or two while one replaces the other.
#[derive(Clone)]
pub struct SigningSecrets {
    /// Keyed once; a request clones the state instead of hashing the key again.
    keyed: Vec<Hmac<Sha256>>,
}

impl SigningSecrets {
    /// Keys one verifier per secret. A secret's characters are the key as they stand (not its hex meaning).
    #[must_use]
    pub fn new(secrets: &[SecretString]) -> Self {
        Self {
            keyed: secrets.iter().map(keyed).collect(),
        }
    }

    /// Checks that `body` was signed by Slack with one of our secrets, within [`MAX_SKEW_SECONDS`] of `now`. Returns
    /// when it was signed, by Slack's clock: the same for whoever sends it again.
    ///
    /// # Errors
    /// Returns the [`Refusal`] that applies first: headers, form, stamp, signature.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Timestamp, Refusal> {
        let stamp = only(headers, &TIMESTAMP_HEADER)?;
        let signed_at = seconds(stamp)?;
        let signature = digest(only(headers, &SIGNATURE_HEADER)?)?;

        let skew = now.as_second() - signed_at;
        if skew.abs() > MAX_SKEW_SECONDS {
            return Err(Refusal::Stale { skew });
        }
        // Each secret is tried, so that the time taken does not tell which one matched.
        let matches = self.keyed.iter().fold(false, |matched, mac| {
            let mac = absorb(mac.clone(), stamp.as_bytes(), body);
            mac.verify_slice(&signature).is_ok() | matched
        });
        if !matches {
            return Err(Refusal::Wrong);
        }
        // Its twelve digits reach further than time does, but its skew does not.
        Timestamp::from_second(signed_at).map_err(|_| Refusal::Malformed)
    }
}

/// Signs as Slack does: the value of [`SIGNATURE_HEADER`] for `body` sent at `stamp` (Unix seconds).
#[must_use]
pub fn sign(secret: &SecretString, stamp: &str, body: &[u8]) -> String {
    let mac = absorb(keyed(secret), stamp.as_bytes(), body);
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed(secret: &SecretString) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes a key of any length")
}

fn absorb(mut mac: Hmac<Sha256>, stamp: &[u8], body: &[u8]) -> Hmac<Sha256> {
    mac.update(b"v0:");
    mac.update(stamp);
    mac.update(b":");
    mac.update(body);
    mac
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h HeaderValue, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(Refusal::Headers),
    }
}

fn seconds(stamp: &HeaderValue) -> Result<i64, Refusal> {
    let stamp = stamp.as_bytes();
    let plain = (1..=12).contains(&stamp.len()) && stamp.iter().all(u8::is_ascii_digit);
    if !plain {
        return Err(Refusal::Malformed);
    }
    Ok(stamp.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
}

fn digest(signature: &HeaderValue) -> Result<[u8; 32], Refusal> {
    let hex = signature
        .as_bytes()
        .strip_prefix(b"v0=")
        .filter(|hex| !hex.iter().any(u8::is_ascii_uppercase))
        .ok_or(Refusal::Malformed)?;
    let mut digest = [0; 32];
    hex::decode_to_slice(hex, &mut digest).map_err(|_| Refusal::Malformed)?;
    Ok(digest)
}
