//! The addresses of QR codes, and the codes themselves, whatever is signed, forged or drawn.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use kapso_slack::kapso::SessionId;
use kapso_slack::qr::{Addresses, Admitted, LIFETIME, LINK_MAX, Refusal, picture};
use proptest::prelude::*;
use sha2::Sha256;
use url::Url;

use crate::support::{ID, SECRET};
use crate::support::qr_scanner::Picture;

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

/// Made here a second time, so that a fault in the service's own does not hide itself.
#[test]
fn an_address_is_signed_with_a_key_of_its_own() {
    let hmac = |key: &[u8], message: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(message.as_bytes());
        mac.finalize().into_bytes()
    };
    let key = hmac(SECRET.as_bytes(), "kapso-slack QR address v1");
    let signature = hex::encode(hmac(&key, &format!("{ID}.png?until=1795428600")));
    let made = addresses("https://sandbox.example.com").address(&SessionId::parse(ID).unwrap(), at(1_795_428_000));
    let expected = format!("https://sandbox.example.com/qr/{ID}.png?until=1795428600&signature={signature}");
    assert_eq!(made.unwrap().as_str(), expected);
}

#[test]
fn an_address_stands_below_the_public_one() {
    for (base, path) in [
        ("https://sandbox.example.com", "/qr/x.png"),
        ("https://sandbox.example.com/", "/qr/x.png"),
        ("https://sandbox.example.com/behind", "/behind/qr/x.png"),
        ("https://sandbox.example.com/behind/a/path/", "/behind/a/path/qr/x.png"),
    ] {
        let address = addresses(base).address(&SessionId::parse("x").unwrap(), at(0)).unwrap();
        assert_eq!(address.path(), path, "{base}");
    }
}

proptest! {
    #[test]
    fn an_address_is_good_from_the_moment_it_is_made_for_ten_minutes(
        id in "[A-Za-z0-9_-]{1,64}",
        made in 0_i64..200_000_000_000,
        passes in -1_000_i64..1_000,
    ) {
        let id = SessionId::parse(&id).unwrap();
        let addresses = addresses("https://sandbox.example.com/behind");
        let address = addresses.address(&id, at(made)).unwrap();
        let (file, query) = parts(&address);
        let checked = addresses.check(file, query, at(made) + SignedDuration::from_secs(passes));
        let left = LIFETIME.as_secs() - passes;
        if left > 0 {
            let Admitted { id: admitted, left: kept } = checked.unwrap();
            prop_assert_eq!(admitted, id);
            prop_assert_eq!(i64::try_from(kept.as_secs()).unwrap(), left.min(LIFETIME.as_secs()));
        } else {
            prop_assert_eq!(checked, Err(Refusal::Over));
        }
    }

    #[test]
    fn an_address_with_one_character_changed_is_not_ours(
        place: prop::sample::Index,
        other in "[ -~]",
        cut: bool,
    ) {
        let addresses = addresses("https://sandbox.example.com");
        let address = addresses.address(&SessionId::parse(ID).unwrap(), at(1_000)).unwrap();
        let (file, query) = parts(&address);
        let whole = format!("{file}?{query}");
        let place = place.index(whole.len());
        let mut changed = whole.clone();
        changed.replace_range(place..=place, if cut { "" } else { &other });
        prop_assume!(changed != whole);
        let (file, query) = changed.split_once('?').unwrap_or((&changed, ""));
        prop_assert_eq!(addresses.check(file, query, at(1_000)), Err(Refusal::NotOurs));
    }

    #[test]
    fn nothing_that_somebody_made_up_is_ours(
        file in ".{0,80}",
        query in prop_oneof![
            ".{0,200}",
            "until=[0-9]{0,30}&signature=[0-9a-fA-F]{0,70}",
            "until=[0-9]{1,12}&signature=[0-9a-f]{64}",
        ],
        now in 0_i64..200_000_000_000,
    ) {
        let addresses = addresses("https://sandbox.example.com");
        prop_assert_eq!(addresses.check(&file, &query, at(now)), Err(Refusal::NotOurs));
        let named = format!("{ID}.png");
        prop_assert_eq!(addresses.check(&named, &query, at(now)), Err(Refusal::NotOurs));
    }
}

/// What a phone needs: dots of 8 pixels at least, and four of them of white all around.
#[test]
fn links_of_every_length_can_be_scanned() {
    for length in [20, 37, 60, 120, 250, LINK_MAX] {
        let link = format!("https://wa.me/1?text=%20{}", "aB3%C3%A9-".repeat(60));
        let link = &link[..length];
        let picture = Picture::of(&picture(link).unwrap());
        assert_eq!(picture.scan(), [link], "{length} characters");
        assert_eq!(picture.width, picture.height);
        let dark = |at: usize| picture.dots[at] == 0;
        let edge = 4 * 8;
        let first = (0..picture.dots.len()).find(|at| dark(*at)).unwrap();
        assert_eq!(
            (first / picture.width, first % picture.width),
            (edge, edge),
            "the quiet zone"
        );
        // The corner of every code begins with a line of seven dark modules.
        assert!(
            (first..first + 7 * 8).all(dark) && !dark(first + 7 * 8),
            "{length} characters"
        );
    }
    assert_eq!(picture(&"a".repeat(3_000)), None);
}
