//! One command creates one session, even if it is repeated, reaches another replica, or is resumed after a crash.

use futures_util::future::join_all;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use kapso_slack::demo::{Fault, plain};
use kapso_slack::dispatch::{LateReply, Trigger};
use kapso_slack::idempotency::{Confirmation, KeyRows, fingerprint};
use kapso_slack::queue::{Job, JobRows};
use serde_json::{Value, json};

use crate::support::creation::{NEW, create_requests, created_session};
use crate::support::databases::{Database, USER, late, who};
use crate::support::program::{Fakes, Folder, Program};
use crate::support::raw_request::{RawRequest, send_bytes_to};
use crate::support::{TestApp, test_app};

const UNSURE: &str = "the session may or may not have been created. Check /sandbox list before you try again.";

/// The plain text of the reply in the response to a request.
async fn reply_to(app: &TestApp, request: &RawRequest) -> String {
    plain::text(&serde_json::from_str(&app.send_raw(request).await.body).unwrap())
}

#[tokio::test]
async fn a_repeated_request_shows_the_session_it_created() {
    test_app()
        .with_creation()
        .run(async |app| {
            let request = app.command_request("new +12345678901", None);
            let first = reply_to(app, &request).await;
            assert!(first.contains(&created_session(app)), "{first}");
            assert_eq!(reply_to(app, &request).await, first);
            app.advance_clock(SignedDuration::from_mins(5));
            app.kapso.activate(&created_session(app));
            let later = reply_to(app, &request).await;
            assert!(later.contains("🟢 Active"), "in its current status: {later}");
            assert!(first.contains("Session created."), "{first}");
            assert!(later.contains("This session was already created."), "{later}");
            assert_eq!(create_requests(app), 1);
        })
        .await;
}

#[tokio::test]
async fn concurrent_copies_of_a_request_create_one_session() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let request = app.command_request("new +12345678901", None);
            let sending = join_all((0..8).map(|_| reply_to(app, &request)));
            let released = async {
                app.kapso.wait_for_requests(1).await;
                app.get("/healthz").await;
                app.kapso.release_stalled_requests();
            };
            let (cards, ()) = tokio::join!(sending, released);
            for card in &cards {
                assert_eq!(card, &cards[0], "copies wait for the outcome of the first");
            }
            assert!(cards[0].contains(&created_session(app)), "{}", cards[0]);
            assert_eq!(create_requests(app), 1);
        })
        .await;
}

#[tokio::test]
async fn a_failed_or_unclear_request_is_not_repeated() {
    let nothing = "This request was already processed; nothing was created.";
    test_app()
        .with_creation()
        .run(async |app| {
            for (fault, says) in [
                (Fault::answer(StatusCode::UNAUTHORIZED, "{}"), nothing),
                (Fault::answer(StatusCode::UNPROCESSABLE_ENTITY, "{}"), nothing),
                (Fault::answer(StatusCode::BAD_GATEWAY, ""), UNSURE),
                (Fault::CloseConnection, UNSURE),
                (Fault::answer(StatusCode::CREATED, "zebra"), UNSURE),
            ] {
                app.advance_clock(SignedDuration::from_secs(61));
                let before = create_requests(app);
                let request = app.command_request("new +12345678901", None);
                app.kapso.fail_next_request(fault.clone());
                reply_to(app, &request).await;
                for _ in 0..2 {
                    let again = reply_to(app, &request).await;
                    assert!(again.contains(says), "{fault:?}: {again}");
                }
                assert_eq!(create_requests(app), before + 1, "{fault:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_repeated_request_that_needs_a_confirmation_creates_nothing() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.command(NEW).await;
            let request = app.command_request("new +12345678901", None);
            let question = reply_to(app, &request).await;
            assert!(question.contains("Do you want another one?"), "{question}");
            assert_eq!(reply_to(app, &request).await, question);
            app.advance_clock(SignedDuration::from_secs(200));
            let again = reply_to(app, &request).await;
            assert!(again.contains("nothing was created"), "{again}");
            assert_eq!(create_requests(app), 1);
        })
        .await;
}

#[tokio::test]
async fn replicas_create_one_session_for_one_request() {
    let database = Database::postgres().await;
    let url = database.url.clone();
    test_app()
        .with_creation()
        .set(move |settings| settings.database = url)
        .run(async |app| {
            let other = app.start_replica().await;
            let before = create_requests(app);
            let request = app.command_request("new +12345678901", None);
            let bytes = request.to_bytes();
            let sending = join_all((0..8).map(async |n| {
                let app = if n % 2 == 0 { &app.app_url } else { &other };
                let message: Value = serde_json::from_str(&send_bytes_to(app, &bytes).await.body).unwrap();
                plain::text(&message)
            }));
            let cards = sending.await;
            for card in &cards {
                assert_eq!(card, &cards[0]);
            }
            assert!(cards[0].contains("Waiting for activation"), "{}", cards[0]);
            assert_eq!(create_requests(app), before + 1);

            // Another command for the same phone, at the other replica, needs a confirmation.
            let second = app.command_request("new +12345678901", None);
            let answer = send_bytes_to(&other, &second.to_bytes()).await.body;
            assert!(answer.contains("Do you want another one?"), "{answer}");
            assert_eq!(create_requests(app), before + 1);
        })
        .await;
}

/// A service with a short budget and its database in this folder.
fn service(fakes: &Fakes, folder: &Folder) -> Program {
    fakes
        .service()
        .with("CREATE_USERS", "*")
        .with("DEFAULT_AGENT", "agent-123abc")
        .with("REPLY_BUDGET_MS", "100")
        .with("DATABASE_URL", &format!("sqlite:{}/jobs.db", folder.path()))
}

/// The number of POST requests to Kapso.
fn creation_count(fakes: &Fakes) -> usize {
    let requests = fakes.kapso.requests();
    requests.iter().filter(|line| line.starts_with("POST")).count()
}

#[tokio::test]
async fn after_a_kill_during_creation_kapso_is_not_asked_again() {
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    fakes.kapso.set_fault(Some(Fault::Stall));
    let mut killed = service(&fakes, &folder).start();
    let app = killed.wait_until_serving().await;
    let sent = fakes.send_command(&app, NEW).await;
    assert!(sent.message.is_none(), "it is acknowledged with an empty response");
    fakes.kapso.wait_for_requests(1).await;
    killed.send_signal("KILL").await;
    killed.wait_for_exit().await;
    fakes.kapso.set_fault(None);
    fakes.kapso.release_stalled_requests();

    let mut restarted = service(&fakes, &folder).start();
    let app = restarted.wait_until_listening().await;
    let answer = fakes.slack.wait_for_reply(sent.exchange).await;
    let read = plain::text(&answer.message);
    assert!(read.contains(UNSURE), "{read}");
    assert_eq!(creation_count(&fakes), 1);
    let list = fakes.command_text(&app, "/sandbox list").await;
    assert!(list.contains("WHATSAPP SANDBOX SESSIONS"), "{list}");
    restarted.send_signal("TERM").await;
    let ended = restarted.wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        !ended.stdout.contains("12345678901"),
        "no phone number is logged: {}",
        ended.stdout
    );
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn after_a_kill_a_created_session_is_shown() {
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    fakes.kapso.fail_next_request(Fault::Stall);
    let mut killed = service(&fakes, &folder).start();
    let app = killed.wait_until_serving().await;
    let sent = fakes.send_command(&app, NEW).await;
    assert!(sent.message.is_none(), "it is acknowledged with an empty response");
    fakes.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(60));
    fakes.kapso.release_stalled_requests();
    fakes.slack.wait_for_posts(1).await;
    killed.send_signal("KILL").await;
    killed.wait_for_exit().await;

    let restarted = service(&fakes, &folder).start();
    let answer = fakes.slack.wait_for_reply(sent.exchange).await;
    let read = plain::text(&answer.message);
    assert!(read.contains("Waiting for activation"), "{read}");
    assert_eq!(creation_count(&fakes), 1);
    restarted.send_signal("TERM").await;
    assert_eq!(restarted.wait_for_exit().await.code, Some(0));
}

/// A pending `new` that was stored `ago` before now, as a killed process leaves it, and its idempotency key.
fn stored_creation(ago: SignedDuration) -> (Job<LateReply>, String) {
    let mut late = late(0).payload;
    let key = fingerprint(&["left"]);
    late.trigger = Trigger::Typed("new +12345678901".to_owned());
    late.idempotency_key = Some(key.clone());
    let received_at = "2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap() - ago;
    late.outgoing.received_at = received_at;
    (Job::new(late, received_at, received_at), key)
}

/// Idempotency keys are deleted after a day, so an older job must not be resumed.
#[tokio::test]
async fn nothing_is_created_when_the_reply_can_no_longer_be_delivered() {
    for (ago, has_begun) in [
        (SignedDuration::from_mins(29), false),
        (SignedDuration::from_hours(5), false),
        (SignedDuration::from_hours(25), false),
        (SignedDuration::from_hours(25), true),
    ] {
        let database = Database::sqlite();
        let opened = database.open().await;
        let (job, key) = stored_creation(ago);
        if has_begun {
            let subject = fingerprint(&[&who(USER).team, USER, "+12345678901"]);
            let confirmation = Confirmation::NeededSince(job.created_at);
            let keys = KeyRows::new(opened.clone());
            keys.begin(&key, &subject, job.created_at, confirmation).await.unwrap();
        }
        JobRows::new(opened.clone()).insert(&job, None).await.unwrap();
        opened.close().await;
        let url = database.url.clone();
        test_app()
            .with_creation()
            .set(move |settings| {
                settings.database = url;
                settings.response_hosts = vec!["hooks.slack.com".parse().unwrap()];
            })
            .run(async |app| {
                let line = app.wait_for_log("command").await;
                assert_eq!(
                    (&line["verb"], &line["answer"]),
                    (&json!("new"), &json!("lost")),
                    "{ago}"
                );
                assert_eq!(create_requests(app), 0, "{ago} ago, begun: {has_begun}");
                app.expect_complaint("pending jobs were too old to be delivered");
            })
            .await;
    }
}
