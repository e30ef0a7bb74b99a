//! Data that this app gives to Slack and gets back, which neither a client nor anybody else may read or change.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use sha2::Sha256;

use super::signature::DerivedKeys;

/// Separates these keys from the signing secrets, and from any other key derived from them.
const LABEL: &[u8] = b"kapso-slack sealed data v1";
/// From the derived key, a key of its own for the cipher.
const CIPHER: &[u8] = b"ChaCha20-Poly1305";

/// Encrypts and authenticates data. `Debug` shows no key.
#[derive(Debug)]
pub struct Sealer {
    keys: DerivedKeys,
}

impl Sealer {
    /// With a key for each of the signing secrets.
    #[must_use]
    pub fn new(secrets: &[SecretString]) -> Self {
        Self {
            keys: DerivedKeys::new(secrets, LABEL),
        }
    }

    /// Replaces the signing secrets.
    pub fn set_secrets(&self, secrets: &[SecretString]) {
        self.keys.set_secrets(secrets);
    }

    /// The data, encrypted with the first key: base64 of a random nonce and the ciphertext with its tag. `None` without a
    /// key or randomness.
    #[must_use]
    pub fn seal(&self, data: &[u8]) -> Option<String> {
        let key = cipher(self.keys.first()?)?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = data.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, Aad::empty(), &mut sealed).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([&nonce, sealed.as_slice()].concat()))
    }

    /// The data; `None` unless it was sealed with one of the keys.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut data = None;
        let is_ours = self.keys.any(|key| {
            let mut opened = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let result =
                cipher(key).and_then(|key| Some(key.open_in_place(nonce, Aad::empty(), &mut opened).ok()?.len()));
            let Some(length) = result else {
                return false;
            };
            opened.truncate(length);
            data = Some(opened);
            true
        });
        data.filter(|_| is_ours)
    }
}

fn cipher(key: Hmac<Sha256>) -> Option<LessSafeKey> {
    let key = key.chain_update(CIPHER).finalize().into_bytes();
    UnboundKey::new(&CHACHA20_POLY1305, &key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_with_any_of_the_secrets_and_nothing_else_is() {
        let secret = |name: &str| SecretString::from(name.to_owned());
        let keyed = Sealer::new(&[secret("one")]);
        let data = b"https://hooks.slack.com/commands/T1/2/3";
        let sealed = keyed.seal(data).unwrap_or_default();
        assert_eq!(keyed.open(&sealed).as_deref(), Some(&data[..]));
        assert_ne!(keyed.seal(data).as_ref(), Some(&sealed), "each has a nonce of its own");
        let open_with = |secrets: &[SecretString]| Sealer::new(secrets).open(&sealed);
        assert_eq!(open_with(&[secret("two"), secret("one")]).as_deref(), Some(&data[..]));
        assert_eq!(open_with(&[secret("two")]), None);
        assert_eq!(open_with(&[]), None);
        assert_eq!(Sealer::new(&[]).seal(data), None);
        for at in 0..sealed.len() {
            let other = if sealed.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &sealed[..at], &sealed[at + 1..]);
            // The unused bits of the last character.
            assert!(keyed.open(&changed).is_none_or(|opened| opened == data), "{at}");
        }
        for wrong in ["", "A", "AAAA", "=", "…", &sealed[1..], &sealed[..sealed.len() - 2]] {
            assert_eq!(keyed.open(wrong), None, "{wrong}");
        }
    }
}
