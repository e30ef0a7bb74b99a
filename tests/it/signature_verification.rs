//! Slack's signature: the published example, the allowed age of a request, and rotation of the signing secret.

use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use kapso_slack::slack::signature::{SIGNATURE_HEADER, SignatureError, SignatureVerifier, TIMESTAMP_HEADER, sign};
use proptest::prelude::*;
use secrecy::SecretString;

use crate::support::forgery::{SECOND, expect_refused};
use crate::support::raw_request::{COMMANDS, INTERACTIONS, RawRequest, command_form, press_form};
use crate::support::{SECRET, test_app, with_app};

const STAMP: &str = "1531420618";
/// The example in Slack's documentation.
const PUBLISHED: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
    &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
/// A command as Slack sends it to this app.
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
        "a command to this app",
        OWN,
        "v0=22c6264375b62742d2671002f12fba382e45d4430e2e584782a42e1ebf8eab7f",
    ),
];

#[test]
fn known_signatures_are_created_and_accepted() {
    for (name, body, signature) in VECTORS {
        assert_eq!(sign(&SECRET.into(), STAMP, body.as_bytes()), signature, "{name}");
        assert_eq!(verified(body, signature, 0), Ok(()), "{name}");
    }
}

#[test]
fn the_published_signature_does_not_match_without_the_empty_text_field() {
    let (_, body, signature) = VECTORS[0];
    assert_eq!(
        verified(&body.replace("&text=", ""), signature, 0),
        Err(SignatureError::Mismatch)
    );
}

#[test]
fn an_error_names_the_problem_and_not_the_expected_signature() {
    let (_, body, signature) = VECTORS[0];
    let errors = [
        (
            verified(body, signature, 301),
            "the timestamp is 301 s away from this machine's clock",
        ),
        (
            verified(body, signature, -301),
            "the timestamp is -301 s away from this machine's clock",
        ),
        (
            verified("", signature, 0),
            "the signature does not match any of our secrets",
        ),
        (verified(body, "v0=", 0), "a signature header is malformed"),
    ];
    for (result, message) in errors {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
}

#[test]
fn a_body_of_any_bytes_is_verified_unchanged() {
    proptest!(|(body: Vec<u8>, other: Vec<u8>, secret in "[!-~]{1,64}", stamp in 0_u32..)| {
        let secret = SecretString::from(secret);
        let signature = sign(&secret, &stamp.to_string(), &body);
        let verifier = SignatureVerifier::new(&[secret]);
        let headers = headers(&stamp.to_string(), &signature);
        let now = Timestamp::from_second(stamp.into()).unwrap();
        prop_assert_eq!(verifier.verify(&headers, &body, now).map(drop), Ok(()));
        prop_assert_eq!(verifier.verify(&headers, &other, now).is_ok(), other == body);
    });
}

#[tokio::test]
async fn a_timestamp_may_differ_by_five_minutes_in_either_direction() {
    with_app(async |app| {
        let now = app.now().as_second();
        for (route, body) in [(COMMANDS, command_form()), (INTERACTIONS, press_form())] {
            for skew in [301, -301, 3_600, -3_600, 86_400 * 365 * 30] {
                let request = RawRequest::unsigned(route, body.clone()).signed(SECRET, now - skew);
                expect_refused(app, &request, &format!("{skew} s old")).await;
            }
        }
        for route in [COMMANDS, INTERACTIONS] {
            for skew in [300, -300, 299, 0] {
                let body = if route == COMMANDS {
                    "command=%2Fsandbox"
                } else {
                    "payload=%7B%7D"
                };
                let request = RawRequest::unsigned(route, body).signed(SECRET, now - skew);
                assert_eq!(app.send_raw(&request).await.status, 200, "{skew} s old, at {route}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_replayed_request_is_rejected_after_five_minutes() {
    with_app(async |app| {
        let request = app.signed_request(COMMANDS, command_form());
        app.advance_clock(SignedDuration::from_secs(301));
        expect_refused(app, &request, "a replay").await;
    })
    .await;
}

#[tokio::test]
async fn during_rotation_both_secrets_are_accepted_and_no_other() {
    let rotating = test_app().with("SLACK_SIGNING_SECRET", format!("{SECRET}, {SECOND}"));
    rotating
        .run(async |app| {
            let now = app.now().as_second();
            let request = RawRequest::unsigned(COMMANDS, "command=%2Fsandbox&text=help");
            for secret in [SECRET, SECOND] {
                let reply = app.send_raw(&request.clone().signed(secret, now)).await;
                assert_eq!(reply.status, 200, "{}", reply.head);
            }
            let third = request.signed("00000000000000000000000000000000", now);
            assert_eq!(app.send_raw(&third).await.status, 401);
        })
        .await;
}

/// Verifies a request with the timestamp [`STAMP`] while our clock is `late` seconds ahead of it.
fn verified(body: &str, signature: &str, late: i64) -> Result<(), SignatureError> {
    let now = STAMP.parse::<i64>().unwrap() + late;
    let verifier = SignatureVerifier::new(&[SECRET.into()]);
    let now = Timestamp::from_second(now).unwrap();
    verifier
        .verify(&headers(STAMP, signature), body.as_bytes(), now)
        .map(|signed_at| assert_eq!(signed_at.as_second().to_string(), STAMP))
}

fn headers(stamp: &str, signature: &str) -> HeaderMap {
    HeaderMap::from_iter([
        (TIMESTAMP_HEADER, HeaderValue::from_str(stamp).unwrap()),
        (SIGNATURE_HEADER, HeaderValue::from_str(signature).unwrap()),
    ])
}
