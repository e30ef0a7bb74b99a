//! Slack's signature: its published vector, the stamps it is good for, and two secrets while one replaces the other.

use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use kapso_slack::slack::signature::{Refusal, SIGNATURE_HEADER, SigningSecrets, TIMESTAMP_HEADER, sign};
use proptest::prelude::*;
use secrecy::SecretString;

use crate::support::forgery::{SECOND, is_refused};
use crate::support::{SECRET, with_app, plan};
use crate::support::raw_request::{COMMANDS, INTERACTIONS, RawRequest, pressed, typed};

const STAMP: &str = "1531420618";
/// The body of Slack's documentation.
const PUBLISHED: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
    &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
/// A body as this app gets it.
const OWN: &str = "token=gIkuvaNzQIHg97ATvDxqgjtO&team_id=T0001ABCD&team_domain=example&channel_id=C2147483705\
    &channel_name=test&user_id=U2147483697&user_name=steve&command=%2Fsandbox\
    &text=7b1e9c52-2f7e-4f5c-9f0f-3a5f6d1c2b3a&api_app_id=A0123456789&is_enterprise_install=false\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT0001ABCD%2F1234567890123%2FabcDEFghiJKLmnoPQRstuVWX\
    &trigger_id=1334522460933.738474920.8088930838d88f008e0";
const VECTORS: [(&str, &str, &str); 3] = [
    (
        "Slack's published vector",
        PUBLISHED,
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    ),
    (
        "an empty body",
        "",
        "v0=55f41ec73231010289b54e669149ea021fccab11b5524355523533ce930cb739",
    ),
    (
        "a command of ours",
        OWN,
        "v0=22c6264375b62742d2671002f12fba382e45d4430e2e584782a42e1ebf8eab7f",
    ),
];

#[test]
fn known_signatures_are_made_and_taken() {
    for (name, body, signature) in VECTORS {
        assert_eq!(sign(&SECRET.into(), STAMP, body.as_bytes()), signature, "{name}");
        assert_eq!(verified(body, signature, 0), Ok(()), "{name}");
    }
}

#[test]
fn the_published_signature_is_worth_nothing_once_the_empty_text_is_lost() {
    let (_, body, signature) = VECTORS[0];
    assert_eq!(verified(&body.replace("&text=", ""), signature, 0), Err(Refusal::Wrong));
}

#[test]
fn a_refusal_says_what_is_wrong_and_never_what_would_be_right() {
    let (_, body, signature) = VECTORS[0];
    let refusals = [
        (
            verified(body, signature, 301),
            "the stamp is 301 s away from this machine's clock",
        ),
        (
            verified(body, signature, -301),
            "the stamp is -301 s away from this machine's clock",
        ),
        (
            verified("", signature, 0),
            "the signature does not match any of our secrets",
        ),
        (verified(body, "v0=", 0), "a signature header is malformed"),
    ];
    for (refusal, words) in refusals {
        assert_eq!(refusal.unwrap_err().to_string(), words);
    }
}

#[test]
fn a_body_of_bytes_that_are_no_text_is_verified_as_it_stands() {
    proptest!(|(body: Vec<u8>, other: Vec<u8>, secret in "[!-~]{1,64}", stamp in 0_u32..)| {
        let secret = SecretString::from(secret);
        let signature = sign(&secret, &stamp.to_string(), &body);
        let secrets = SigningSecrets::new(&[secret]);
        let headers = headers(&stamp.to_string(), &signature);
        let now = Timestamp::from_second(stamp.into()).unwrap();
        prop_assert_eq!(secrets.verify(&headers, &body, now).map(drop), Ok(()));
        prop_assert_eq!(secrets.verify(&headers, &other, now).is_ok(), other == body);
    });
}

#[tokio::test]
async fn a_stamp_is_good_for_five_minutes_on_either_side() {
    with_app(async |app| {
        let now = app.now().as_second();
        for (door, body) in [(COMMANDS, typed()), (INTERACTIONS, pressed())] {
            for skew in [301, -301, 3_600, -3_600, 86_400 * 365 * 30] {
                let knock = RawRequest::unsigned(door, body.clone()).signed(SECRET, now - skew);
                is_refused(app, &knock, &format!("{skew} s old")).await;
            }
        }
        for door in [COMMANDS, INTERACTIONS] {
            for skew in [300, -300, 299, 0] {
                let body = if door == COMMANDS {
                    "command=%2Fsandbox"
                } else {
                    "payload=%7B%7D"
                };
                let knock = RawRequest::unsigned(door, body).signed(SECRET, now - skew);
                assert_eq!(app.answers(&knock).await.status, 200, "{skew} s old, at {door}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_recorded_once_is_refused_when_played_again_later() {
    with_app(async |app| {
        let knock = app.slack_sends(COMMANDS, typed());
        app.passes(SignedDuration::from_secs(301));
        is_refused(app, &knock, "a replay").await;
    })
    .await;
}

#[tokio::test]
async fn while_secrets_rotate_both_are_good_and_no_third_is() {
    let rotating = plan().with("SLACK_SIGNING_SECRET", format!("{SECRET}, {SECOND}"));
    rotating
        .run(async |app| {
            let now = app.now().as_second();
            let knock = RawRequest::unsigned(COMMANDS, "command=%2Fsandbox&text=help");
            for secret in [SECRET, SECOND] {
                let reply = app.answers(&knock.clone().signed(secret, now)).await;
                assert_eq!(reply.status, 200, "{}", reply.head);
            }
            let third = knock.signed("00000000000000000000000000000000", now);
            assert_eq!(app.answers(&third).await.status, 401);
        })
        .await;
}

/// What comes of a request stamped [`STAMP`] when our clock is `late` seconds ahead of it.
fn verified(body: &str, signature: &str, late: i64) -> Result<(), Refusal> {
    let now = STAMP.parse::<i64>().unwrap() + late;
    let secrets = SigningSecrets::new(&[SECRET.into()]);
    let now = Timestamp::from_second(now).unwrap();
    secrets
        .verify(&headers(STAMP, signature), body.as_bytes(), now)
        .map(|signed_at| assert_eq!(signed_at.as_second().to_string(), STAMP))
}

fn headers(stamp: &str, signature: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (TIMESTAMP_HEADER, HeaderValue::from_str(stamp).unwrap()),
        (SIGNATURE_HEADER, HeaderValue::from_str(signature).unwrap()),
    ])
}
