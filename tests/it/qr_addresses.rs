//! Signed addresses of QR codes, and the images themselves.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use kapso_slack::kapso::SessionId;
use kapso_slack::qr::{AddressError, Addresses, LIFETIME, LINK_MAX, VerifiedAddress, encode};
use proptest::prelude::*;
use sha2::Sha256;
use url::Url;

use crate::support::qr_scanner::Picture;
use crate::support::{ID, SECRET};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn addresses(base: &str) -> Addresses {
    Addresses::new(base.parse().unwrap(), &[SECRET.into()])
}

/// The last part of an address's path, and its query.
fn parts(address: &Url) -> (&str, &str) {
    let file = address.path().rsplit('/').next().unwrap();
    (file, address.query().unwrap())
}

/// Computed independently here, so that an error in the service's own code is found.
#[test]
fn an_address_is_signed_with_a_derived_key() {
    let hmac = |key: &[u8], message: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(message.as_bytes());
        mac.finalize().into_bytes()
    };
    let key = hmac(SECRET.as_bytes(), "kapso-slack QR address v1");
    let signature = hex::encode(hmac(&key, &format!("{ID}.png?until=1795428600")));
    let made =
        addresses("https://sandbox.example.com").address(None, &SessionId::parse(ID).unwrap(), at(1_795_428_000));
    let expected = format!("https://sandbox.example.com/qr/{ID}.png?until=1795428600&signature={signature}");
    assert_eq!(made.unwrap().as_str(), expected);
}

#[test]
fn an_address_is_below_the_public_url() {
    for (base, path) in [
        ("https://sandbox.example.com", "/qr/x.png"),
        ("https://sandbox.example.com/", "/qr/x.png"),
        ("https://sandbox.example.com/behind", "/behind/qr/x.png"),
        ("https://sandbox.example.com/behind/a/path/", "/behind/a/path/qr/x.png"),
    ] {
        let address = addresses(base)
            .address(None, &SessionId::parse("x").unwrap(), at(0))
            .unwrap();
        assert_eq!(address.path(), path, "{base}");
    }
}

proptest! {
    #[test]
    fn an_address_is_valid_for_ten_minutes(
        id in "[A-Za-z0-9_-]{1,64}",
        made in 0_i64..200_000_000_000,
        passes in -1_000_i64..1_000,
    ) {
        let id = SessionId::parse(&id).unwrap();
        let addresses = addresses("https://sandbox.example.com/behind");
        let address = addresses.address(None, &id, at(made)).unwrap();
        let (file, query) = parts(&address);
        let result = addresses.verify(file, query, at(made) + SignedDuration::from_secs(passes));
        let left = LIFETIME.as_secs() - passes;
        if left > 0 {
            let VerifiedAddress {
                project,
                id: verified,
                valid_for,
            } = result.unwrap();
            assert_eq!(project, None);
            prop_assert_eq!(verified, id);
            prop_assert_eq!(i64::try_from(valid_for.as_secs()).unwrap(), left.min(LIFETIME.as_secs()));
        } else {
            prop_assert_eq!(result, Err(AddressError::Expired));
        }
    }

    #[test]
    fn an_address_with_one_changed_character_is_invalid(
        position: prop::sample::Index,
        other in "[ -~]",
        cut: bool,
    ) {
        let addresses = addresses("https://sandbox.example.com");
        let address = addresses.address(None, &SessionId::parse(ID).unwrap(), at(1_000)).unwrap();
        let (file, query) = parts(&address);
        let whole = format!("{file}?{query}");
        let position = position.index(whole.len());
        let mut changed = whole.clone();
        changed.replace_range(position..=position, if cut { "" } else { &other });
        prop_assume!(changed != whole);
        let (file, query) = changed.split_once('?').unwrap_or((&changed, ""));
        prop_assert_eq!(addresses.verify(file, query, at(1_000)), Err(AddressError::Invalid));
    }

    #[test]
    fn a_made_up_address_is_invalid(
        file in ".{0,80}",
        query in prop_oneof![
            ".{0,200}",
            "until=[0-9]{0,30}&signature=[0-9a-fA-F]{0,70}",
            "until=[0-9]{1,12}&signature=[0-9a-f]{64}",
        ],
        now in 0_i64..200_000_000_000,
    ) {
        let addresses = addresses("https://sandbox.example.com");
        prop_assert_eq!(addresses.verify(&file, &query, at(now)), Err(AddressError::Invalid));
        let named = format!("{ID}.png");
        prop_assert_eq!(addresses.verify(&named, &query, at(now)), Err(AddressError::Invalid));
    }
}

/// A phone needs modules of at least 8 pixels, and a white margin of four modules.
#[test]
fn links_of_every_length_can_be_scanned() {
    for length in [20, 37, 60, 120, 250, LINK_MAX] {
        let link = format!("https://wa.me/1?text=%20{}", "aB3%C3%A9-".repeat(60));
        let link = &link[..length];
        let picture = Picture::of(&encode(link).unwrap());
        assert_eq!(picture.scan(), [link], "{length} characters");
        assert_eq!(picture.width, picture.height);
        let dark = |at: usize| picture.dots[at] == 0;
        let margin = 4 * 8;
        let first = (0..picture.dots.len()).find(|at| dark(*at)).unwrap();
        assert_eq!(
            (first / picture.width, first % picture.width),
            (margin, margin),
            "the margin"
        );
        // The corner of every code begins with a line of seven dark modules.
        assert!(
            (first..first + 7 * 8).all(dark) && !dark(first + 7 * 8),
            "{length} characters"
        );
    }
    assert_eq!(encode(&"a".repeat(3_000)), None);
}
