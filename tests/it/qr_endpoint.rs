//! `GET /qr/{id}.png`: the image of a QR code, only at an address that this app signed at most ten minutes ago.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use kapso_slack::demo::Fault;
use kapso_slack::kapso::SessionId;
use kapso_slack::qr::Addresses;
use reqwest::{Method, Response, StatusCode};
use url::Url;

use crate::support::forgery::SECOND;
use crate::support::qr::{image_url, reachable_app, show_qr_code};
use crate::support::qr_scanner::Picture;
use crate::support::raw_request::RawRequest;
use crate::support::{ID, SECRET, TestApp, test_app};

const INVALID: &str = "There is no QR code here: its address was not created by this app, or was changed.\n";
const EXPIRED: &str = "There is no QR code here: its address was valid for 10 minutes and has expired.\n";

/// The address of a session's image, as the app with this secret signs it now.
fn address(app: &TestApp, secret: &str, id: &str) -> Url {
    let addresses = Addresses::new(app.app_url.clone(), &[secret.into()]);
    addresses
        .address(None, &SessionId::parse(id).unwrap(), app.now())
        .unwrap()
}

async fn fetched(app: &TestApp, address: Url) -> Response {
    app.http.get(address).send().await.unwrap()
}

/// Requests a path and query unchanged; a URL library would normalize them.
async fn answered(app: &TestApp, path: &str) -> (u16, String) {
    let mut request = RawRequest::unsigned(path, "");
    request.method = "GET";
    let reply = app.send_raw(&request).await;
    (reply.status, reply.body)
}

/// A change to the path and query of a genuine address.
type Forgery = (&'static str, fn(&str) -> String);

const FORGERIES: &[Forgery] = &[
    ("no query", |it| it.split('?').next().unwrap().to_owned()),
    ("an empty query", |it| format!("{}?", it.split('?').next().unwrap())),
    ("no signature", |it| it.split("&signature").next().unwrap().to_owned()),
    ("an empty signature", |it| {
        format!("{}=", it.rsplit_once('=').unwrap().0)
    }),
    ("no time", |it| it.replacen("until=", "", 1)),
    ("an empty time", |it| with_time(it, "")),
    ("another id", |it| it.replacen(ID, "other", 1)),
    ("an id in capitals", |it| it.replacen(ID, &ID.to_uppercase(), 1)),
    ("no id", |it| it.replacen(ID, "", 1)),
    ("no .png", |it| it.replacen(".png", "", 1)),
    ("another .png", |it| it.replacen(".png", ".PNG", 1)),
    ("twice .png", |it| it.replacen(".png", ".png.png", 1)),
    ("a dot, encoded", |it| it.replacen(".png", "%2epng", 1)),
    ("a letter, encoded", |it| it.replacen("/qr/1", "/qr/%31", 1)),
    ("a path in the id", |it| it.replacen(ID, &format!("..%2f{ID}"), 1)),
    ("a path behind the id", |it| it.replacen(".png", "%2f..png", 1)),
    ("a NUL in the id", |it| it.replacen(".png", "%00.png", 1)),
    ("no UTF-8 in the id", |it| it.replacen(".png", "%ff.png", 1)),
    ("a second later", |it| with_time(it, &later(it, 1))),
    ("a second earlier", |it| with_time(it, &later(it, -1))),
    ("a zero before the time", |it| it.replacen("until=", "until=0", 1)),
    ("a plus before the time", |it| it.replacen("until=", "until=+", 1)),
    ("a space before the time", |it| it.replacen("until=", "until=%20", 1)),
    ("a negative time", |it| it.replacen("until=", "until=-", 1)),
    ("a time in the past", |it| with_time(it, "0")),
    ("an enormous time", |it| with_time(it, "99999999999999999999999999")),
    ("the last time of all", |it| with_time(it, "9223372036854775807")),
    ("a time of words", |it| with_time(it, "tomorrow")),
    ("a signature cut by one", |it| it[..it.len() - 1].to_owned()),
    ("a signature cut by half", |it| it[..it.len() - 32].to_owned()),
    ("a signature longer by one", |it| format!("{it}0")),
    ("a signature longer by two", |it| format!("{it}00")),
    ("a signature of zeros", |it| {
        format!("{}={}", it.rsplit_once('=').unwrap().0, "0".repeat(64))
    }),
    ("a signature that is no hex", |it| {
        format!("{}={}", it.rsplit_once('=').unwrap().0, "z".repeat(64))
    }),
    ("a signature in capitals", |it| {
        let (before, signature) = it.rsplit_once('=').unwrap();
        format!("{before}={}", signature.to_uppercase())
    }),
    ("Slack's own prefix", |it| it.replacen("signature=", "signature=v0=", 1)),
    ("the time twice", |it| it.replacen("until=", "until=1&until=", 1)),
    ("the time twice, at the end", |it| format!("{it}&until=9999999999")),
    ("the signature twice", |it| format!("{it}&signature=00")),
    ("the other way round", |it| {
        let (file, query) = it.split_once('?').unwrap();
        let (until, signature) = query.split_once('&').unwrap();
        format!("{file}?{signature}&{until}")
    }),
    ("a parameter more", |it| format!("{it}&id=other")),
    ("a parameter before", |it| it.replacen('?', "?id=other&", 1)),
    ("names in capitals", |it| it.replacen("until=", "UNTIL=", 1)),
    ("an ampersand, escaped", |it| it.replacen('&', "&amp;", 1)),
];

fn with_time(address: &str, time: &str) -> String {
    let (before, rest) = address.split_once("until=").unwrap();
    let (_, after) = rest.split_once('&').unwrap();
    format!("{before}until={time}&{after}")
}

fn later(address: &str, seconds: i64) -> String {
    let (_, rest) = address.split_once("until=").unwrap();
    let (time, _) = rest.split_once('&').unwrap();
    (time.parse::<i64>().unwrap() + seconds).to_string()
}

#[tokio::test]
async fn every_forged_address_gets_the_same_response() {
    reachable_app()
        .run(async |app| {
            app.kapso.add_session("other");
            let genuine = address(app, SECRET, ID);
            let genuine = format!("{}?{}", genuine.path(), genuine.query().unwrap());
            for (what, forge) in FORGERIES {
                let forged = forge(&genuine);
                assert_ne!(forged, genuine, "{what}: nothing was forged");
                assert_eq!(
                    answered(app, &forged).await,
                    (403, INVALID.to_owned()),
                    "{what}: {forged}"
                );
            }
            let other_secret = address(app, SECOND, ID);
            let answer = fetched(app, other_secret).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "another secret");
            assert!(app.kapso.requests().is_empty(), "Kapso was requested");
            let metrics = app.metrics().await;
            let refused = FORGERIES.len() + 1;
            let line = format!("kapso_slack_refused_requests_total{{status=\"403\"}} {refused}\n");
            assert!(metrics.contains(&line), "{metrics}");
            let png = app.http.get(app.app_url.join(&genuine).unwrap()).send().await.unwrap();
            assert_eq!(png.status(), StatusCode::OK, "the genuine one is valid");
        })
        .await;
}

#[tokio::test]
async fn without_a_public_url_no_address_is_valid() {
    test_app()
        .run(async |app| {
            let answer = fetched(app, address(app, SECRET, ID)).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
            assert!(app.kapso.requests().is_empty());
        })
        .await;
}

#[tokio::test]
async fn an_address_is_valid_for_ten_minutes() {
    reachable_app()
        .run(async |app| {
            let address = address(app, SECRET, ID);
            for (passes, left) in [(0, 600), (1, 599), (598, 1)] {
                app.advance_clock(SignedDuration::from_secs(passes));
                let answer = fetched(app, address.clone()).await;
                assert_eq!(answer.status(), StatusCode::OK, "{left} s before the end");
                assert_eq!(answer.headers()["cache-control"], format!("private, max-age={left}"));
            }
            let requests = app.kapso.requests();
            for passes in [1, 1, 86_400] {
                app.advance_clock(SignedDuration::from_secs(passes));
                let answer = fetched(app, address.clone()).await;
                assert_eq!(answer.status(), StatusCode::GONE);
                assert_eq!(answer.headers()["cache-control"], "no-store");
                assert_eq!(answer.text().await.unwrap(), EXPIRED);
            }
            assert_eq!(
                app.kapso.requests(),
                requests,
                "no request to Kapso for an expired address"
            );
            // After the clock was set back, it is still valid for ten minutes at most.
            app.advance_clock(SignedDuration::from_hours(-48));
            let answer = fetched(app, address).await;
            assert_eq!(answer.headers()["cache-control"], "private, max-age=600");
        })
        .await;
}

#[tokio::test]
async fn during_rotation_addresses_signed_with_either_secret_are_valid() {
    for (secrets, old, new) in [
        (format!("{SECRET},{SECOND}"), StatusCode::OK, StatusCode::OK),
        (SECRET.to_owned(), StatusCode::OK, StatusCode::FORBIDDEN),
    ] {
        reachable_app()
            .with("SLACK_SIGNING_SECRET", secrets.as_str())
            .run(async |app| {
                for (secret, status) in [(SECRET, old), (SECOND, new)] {
                    let answer = fetched(app, address(app, secret, ID)).await;
                    assert_eq!(answer.status(), status, "{secret} under {secrets}");
                }
                let made = image_url(&show_qr_code(app).await.message).unwrap();
                assert_eq!(made, address(app, SECRET, ID), "the first signs");
            })
            .await;
    }
}

#[tokio::test]
async fn the_image_is_a_png_with_the_right_headers() {
    reachable_app()
        .run(async |app| {
            let address = address(app, SECRET, ID);
            let answer = fetched(app, address.clone()).await;
            let head = answer.headers().clone();
            assert_eq!(head["content-type"], "image/png");
            assert_eq!(head["x-content-type-options"], "nosniff");
            let png = answer.bytes().await.unwrap();
            let picture = Picture::of(&png);
            assert_eq!(picture.scan(), ["https://wa.me/12345678901?text=ABC123"]);
            assert!(png.len() < 1_000, "{} bytes", png.len());

            let answer = app.http.head(address.clone()).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["content-length"], png.len().to_string());
            assert_eq!(answer.headers()["content-type"], "image/png");
            assert_eq!(answer.bytes().await.unwrap().len(), 0);
            for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                let answer = app.http.request(method.clone(), address.clone()).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_session_that_cannot_be_activated_has_no_image() {
    reachable_app()
        .run(async |app| {
            app.kapso.allow_undocumented();
            let long = format!("https://wa.me/{}", "1".repeat(487));
            for (field, value) in [
                ("status", "active".into()),
                ("status", "expired".into()),
                ("status", "superseded".into()),
                ("status", "paused_by_operator".into()),
                ("activation_link", serde_json::Value::Null),
                ("activation_link", "https://evil.example/".into()),
                ("activation_link", long.into()),
            ] {
                app.kapso.add_session(ID);
                app.kapso.set_field(ID, field, value.clone());
                let answer = fetched(app, address(app, SECRET, ID)).await;
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{field} {value}");
                let words = answer.text().await.unwrap();
                assert!(
                    words.contains("is not waiting for activation, or has no link"),
                    "{words}"
                );
            }
        })
        .await;
}

#[tokio::test]
async fn a_deleted_session_has_no_image() {
    reachable_app()
        .run(async |app| {
            app.kapso.delete(ID);
            let answer = fetched(app, address(app, SECRET, ID)).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND);
            let words = answer.text().await.unwrap();
            assert!(words.contains("is not waiting for activation"), "{words}");
        })
        .await;
}

#[tokio::test]
async fn images_do_not_use_the_part_of_the_rate_limit_reserved_for_people() {
    test_app()
        .with_public_url()
        .run(async |app| {
            app.kapso.set_rate_limit(100);
            for number in 0..80 {
                app.kapso.add_session(&format!("session-{number}"));
                app.command(&format!("/sandbox session-{number}")).await;
            }
            let answer = fetched(app, address(app, SECRET, ID)).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(card.contains("Waiting for activation"), "{card}");
            let answer = fetched(app, address(app, SECRET, ID)).await;
            assert_eq!(answer.status(), StatusCode::OK, "a cached session costs no request");
        })
        .await;
}

#[tokio::test]
async fn an_error_of_kapso_becomes_a_status_without_kapsos_text() {
    let builder = reachable_app().set(|settings| settings.timing.kapso.total = Duration::from_secs(5));
    builder
        .run(async |app| {
            for (fault, status) in [
                ("404 zebra", 502),
                ("401 zebra", 502),
                ("200 zebra", 502),
                ("302 zebra", 502),
                ("500 zebra", 504),
                ("429 zebra", 503),
            ] {
                let (code, body) = fault.split_once(' ').unwrap();
                let code = StatusCode::from_u16(code.parse().unwrap()).unwrap();
                app.kapso.set_fault(Some(Fault::answer(code, body)));
                let answer = fetched(app, address(app, SECRET, ID)).await;
                assert_eq!(answer.status().as_u16(), status, "{fault}");
                assert_eq!(answer.headers()["cache-control"], "no-store", "{fault}");
                let words = answer.text().await.unwrap();
                assert!(words.contains("the session could not be looked up"), "{fault}: {words}");
                assert!(!words.contains("zebra"), "{fault}: {words}");
                let lines = app.log_lines();
                let line = lines.iter().rfind(|line| line["message"] == "could not show a QR code");
                assert_eq!(line.unwrap()["status"], status, "{fault}");
            }
        })
        .await;
}

#[tokio::test]
async fn images_use_the_cache_and_share_requests() {
    test_app()
        .with_public_url()
        .run(async |app| {
            let answer = show_qr_code(app).await;
            let address = image_url(&answer.message).unwrap();
            assert_eq!(fetched(app, address.clone()).await.status(), StatusCode::OK);
            assert_eq!(app.kapso.requests().len(), 1, "the look-up is cached");
            app.advance_clock(SignedDuration::from_secs(6));
            app.kapso.fail_next_request(Fault::Stall);
            let fetching = join_all((0..50).map(|_| fetched(app, address.clone())));
            let released = async {
                app.kapso.wait_for_requests(2).await;
                app.kapso.release_stalled_requests();
            };
            let (answers, ()) = tokio::join!(fetching, released);
            assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
            assert_eq!(app.kapso.requests().len(), 2, "concurrent fetches share a request");
        })
        .await;
}
