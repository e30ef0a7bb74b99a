//! Kapso's rate limit is never exceeded, and people read how long to wait.

use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderName, StatusCode, header};
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, plain};

use crate::support::{ID, TestApp, TestAppBuilder, test_app, with_app};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// A 429 with this `Retry-After`.
fn limited(retry_after: Option<&str>) -> Fault {
    let fault = Fault::answer(StatusCode::TOO_MANY_REQUESTS, r#"{"error":"Rate limit exceeded"}"#);
    match retry_after {
        Some(value) => fault.with_header(header::RETRY_AFTER, value),
        None => fault,
    }
}

/// An app in which nobody waits for the limit to reset, since its clock does not advance.
fn without_waiting() -> TestAppBuilder {
    test_app().set(|settings| settings.timing.kapso.max_rate_limit_wait = Duration::ZERO)
}

/// Types the id; returns the wait in seconds that the reply names, or `None` if it is a card.
async fn must_wait(app: &TestApp, id: &str) -> Option<u64> {
    seconds(&app.command_text(&format!("/sandbox {id}")).await)
}

/// The wait in seconds that a reply names; `None` if it is a card.
fn seconds(text: &str) -> Option<u64> {
    if text.starts_with("WHATSAPP SANDBOX SESSION") {
        return None;
    }
    let seconds = text
        .strip_prefix("Kapso is limiting this app's requests. Try again in ")
        .and_then(|rest| rest.split_once(" s.\nRequest "))
        .and_then(|(seconds, _)| seconds.parse().ok());
    Some(seconds.unwrap_or_else(|| panic!("{text}")))
}

/// Types one new id for each number; each shows a card.
async fn shows(app: &TestApp, ids: std::ops::Range<usize>) {
    for n in ids {
        let id = format!("session-{n}");
        app.kapso.add_session(&id);
        assert_eq!(must_wait(app, &id).await, None, "{id}");
    }
}

#[tokio::test]
async fn after_a_429_no_request_is_sent_until_retry_after_has_passed() {
    for (retry_after, seconds) in [
        (None, 60),
        (Some(""), 60),
        (Some("   "), 60),
        (Some("0"), 1),
        (Some("1"), 1),
        (Some("7"), 7),
        (Some("60"), 60),
        (Some("599"), 599),
        (Some("601"), 600),
        (Some("86400"), 600),
        (Some("18446744073709551615"), 600),
        (Some("99999999999999999999999999"), 60),
        (Some("-1"), 60),
        (Some("-99999999999999999999999999"), 60),
        (Some("1.5"), 60),
        (Some("1e99"), 60),
        (Some("NaN"), 60),
        (Some("0x10"), 60),
        (Some("5, 7"), 60),
        (Some("soon"), 60),
        (Some("Wed, 21 Oct 2015 07:28:00 GMT"), 60),
        (Some("Mon, 23 Nov 2099 10:00:00 GMT"), 60),
    ] {
        without_waiting()
            .run(async |app| {
                let requests = || app.kapso.requests().len();
                app.kapso.fail_next_request(limited(retry_after));
                assert_eq!(must_wait(app, ID).await, Some(seconds), "{retry_after:?}");
                assert_eq!(must_wait(app, ID).await, Some(seconds), "{retry_after:?}, at once");
                app.advance_clock(SignedDuration::from_millis(i64::try_from(seconds).unwrap() * 1_000 - 1));
                assert_eq!(must_wait(app, ID).await, Some(1), "{retry_after:?}, just before");
                assert_eq!(requests(), 1, "{retry_after:?}: requested too early");
                app.advance_clock(SignedDuration::from_millis(1));
                assert_eq!(must_wait(app, ID).await, None, "{retry_after:?}, after it");
                assert_eq!(requests(), 2, "{retry_after:?}: not requested after the wait");
            })
            .await;
    }
}

#[tokio::test]
async fn a_429_has_its_own_outcome_in_the_log() {
    with_app(async |app| {
        app.kapso.fail_next_request(limited(Some("42")));
        assert_eq!(must_wait(app, ID).await, Some(42));
        let line = app.command_log_lines().pop().unwrap();
        assert_eq!(line["outcome"], "limited");
        assert_eq!(line["error"], "Kapso's rate limit is used up for another 42 s");
    })
    .await;
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() {
    test_app()
        .with_system_clock()
        .run(async |app| {
            app.kapso.fail_next_request(limited(Some("1")));
            assert_eq!(must_wait(app, ID).await, None);
            assert_eq!(app.kapso.requests().len(), 2);
        })
        .await;
}

#[tokio::test]
async fn a_long_retry_after_is_not_waited_for() {
    test_app()
        .set(|settings| settings.timing.kapso.max_rate_limit_wait = Duration::from_millis(1_999))
        .run(async |app| {
            app.kapso.fail_next_request(limited(Some("2")));
            assert_eq!(must_wait(app, ID).await, Some(2));
            assert_eq!(app.kapso.requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn a_clock_set_back_does_not_prolong_the_wait() {
    with_app(async |app| {
        app.kapso.fail_next_request(limited(Some("30")));
        assert_eq!(must_wait(app, ID).await, Some(30));
        app.advance_clock(-SignedDuration::from_hours(1));
        assert_eq!(must_wait(app, ID).await, Some(30));
        app.advance_clock(SignedDuration::from_secs(30));
        assert_eq!(must_wait(app, ID).await, None);
    })
    .await;
}

#[tokio::test]
async fn the_hundred_and_first_request_in_a_minute_is_not_sent() {
    without_waiting()
        .run(async |app| {
            shows(app, 0..60).await;
            app.advance_clock(SignedDuration::from_secs(25));
            shows(app, 60..100).await;
            assert_eq!(must_wait(app, ID).await, Some(35));
            assert_eq!(must_wait(app, ID).await, Some(35));
            assert_eq!(app.kapso.requests().len(), 100, "the limit is not exceeded");

            app.advance_clock(SignedDuration::from_millis(34_999));
            assert_eq!(must_wait(app, ID).await, Some(1));
            app.advance_clock(SignedDuration::from_millis(1));
            shows(app, 100..160).await;
            assert_eq!(must_wait(app, ID).await, Some(25));
            assert_eq!(app.kapso.requests().len(), 160);
        })
        .await;
}

/// FakeKapso reports every request over the limit, and the test fails on such a report.
#[tokio::test]
async fn kapso_never_has_to_reject_a_request_whatever_the_pace() {
    without_waiting()
        .run(async |app| {
            app.kapso.set_rate_limit(20);
            let mut pauses = fastrand::Rng::with_seed(60);
            let mut sent_requests = 0;
            let mut refused = 0;
            for n in 0..600 {
                let id = format!("session-{n}");
                app.kapso.add_session(&id);
                match must_wait(app, &id).await {
                    None => sent_requests += 1,
                    Some(1..=60) => refused += 1,
                    Some(seconds) => panic!("{seconds} s in a window of 60"),
                }
                // Bursts, trickles and pauses.
                app.advance_clock(SignedDuration::from_millis(
                    pauses.choice([0, 0, 0, 40, 900, 7_000]).unwrap(),
                ));
            }
            assert_eq!(app.kapso.requests().len(), sent_requests);
            assert!(
                sent_requests > 100 && refused > 100,
                "{sent_requests} asked, {refused} refused"
            );
        })
        .await;
}

#[tokio::test]
async fn a_larger_limit_is_followed() {
    with_app(async |app| {
        app.kapso.set_rate_limit(250);
        shows(app, 0..250).await;
        assert_eq!(must_wait(app, ID).await, Some(60));
        assert_eq!(app.kapso.requests().len(), 250);
    })
    .await;
}

#[tokio::test]
async fn a_smaller_limit_is_followed() {
    with_app(async |app| {
        app.kapso.set_rate_limit(10);
        shows(app, 0..10).await;
        assert_eq!(must_wait(app, ID).await, Some(60));
        assert_eq!(app.kapso.requests().len(), 10);
    })
    .await;
}

#[tokio::test]
async fn requests_of_others_with_the_same_key_count() {
    without_waiting()
        .run(async |app| {
            let others = Fault::answer(StatusCode::NOT_FOUND, r#"{"error":"no"}"#)
                .with_header(LIMIT, "100")
                .with_header(REMAINING, "4");
            app.kapso.fail_next_request(others);
            assert!(
                app.command_text(&format!("/sandbox {ID}"))
                    .await
                    .contains("There is no session")
            );
            app.advance_clock(SignedDuration::from_secs(10));
            shows(app, 0..4).await;
            assert_eq!(must_wait(app, ID).await, Some(50));
            assert_eq!(app.kapso.requests().len(), 5);
            app.advance_clock(SignedDuration::from_secs(50));
            assert_eq!(must_wait(app, ID).await, None);
        })
        .await;
}

#[tokio::test]
async fn malformed_limit_headers_are_ignored() {
    for (limit, remaining) in [
        ("", ""),
        ("zebra", "zebra"),
        ("-1", "-1"),
        ("0", "10"),
        ("1e9", "1e9"),
        ("99999999999999", "99999999999999"),
        ("100.5", "99.5"),
        ("100, 100;w=60", "99;w=60"),
    ] {
        with_app(async |app| {
            let says = |limit, remaining| {
                Fault::answer(StatusCode::NOT_FOUND, r#"{"error":"no"}"#)
                    .with_header(LIMIT, limit)
                    .with_header(REMAINING, remaining)
            };
            app.kapso.fail_next_request(says("10", "9"));
            app.kapso.set_fault(Some(says(limit, remaining)));
            for n in 0..10 {
                let text = app.command_text(&format!("/sandbox session-{n}")).await;
                assert!(text.contains("There is no session"), "{limit} {remaining}, {n}: {text}");
            }
            assert_eq!(must_wait(app, ID).await, Some(60), "{limit} {remaining}");
        })
        .await;
    }
}

#[tokio::test]
async fn concurrent_requests_do_not_exceed_the_limit() {
    test_app()
        .set(|settings| settings.reply_budget = Duration::from_mins(1))
        .run(async |app| {
            let waits = join_all((0..200).map(async |n| {
                let id = format!("session-{n}");
                app.kapso.add_session(&id);
                let answer = app.send_raw(&app.command_request(&id, None)).await;
                seconds(&plain::text(&serde_json::from_str(&answer.body).unwrap()))
            }))
            .await;
            assert_eq!(waits.iter().filter(|wait| wait.is_none()).count(), 100);
            assert_eq!(waits.iter().filter(|wait| **wait == Some(60)).count(), 100);
            assert_eq!(app.kapso.requests().len(), 100);
        })
        .await;
}

/// A 429 says by itself how long to wait; `x-ratelimit-remaining: 0` must not prolong that.
#[tokio::test]
async fn remaining_zero_on_a_429_does_not_prolong_the_wait() {
    with_app(async |app| {
        let fault = limited(Some("5")).with_header(HeaderName::from_static("x-ratelimit-remaining"), "0");
        app.kapso.fail_next_request(fault);
        assert_eq!(must_wait(app, ID).await, Some(5));
        app.advance_clock(SignedDuration::from_secs(5));
        assert_eq!(must_wait(app, ID).await, None);
    })
    .await;
}
