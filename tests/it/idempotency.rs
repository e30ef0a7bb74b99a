//! One command creates one session: whether it comes again, to another copy of the service, or after a crash.

use futures_util::future::join_all;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use kapso_slack::demo::{Fault, plain};
use kapso_slack::dispatch::{LateReply, Trigger};
use kapso_slack::idempotency::{Confirmation, KeyRows, fingerprint};
use kapso_slack::queue::{Job, JobRows};
use serde_json::{Value, json};

use crate::support::creation::{NEW, created, posts};
use crate::support::databases::{Database, USER, late, who};
use crate::support::{TestApp, plan};
use crate::support::raw_request::{RawRequest, answers_at};
use crate::support::program::{Folder, Program, World};

const UNSURE: &str = "the session may or may not have been created. Check /sandbox list before you try again.";

/// What the service answers to a request at once.
async fn reads(app: &TestApp, slip: &RawRequest) -> String {
    plain::text(&serde_json::from_str(&app.answers(slip).await.body).unwrap())
}

#[tokio::test]
async fn the_same_request_twice_creates_one_session_and_shows_it_twice() {
    plan()
        .creating()
        .run(async |app| {
            let slip = app.slip("new +12345678901", None);
            let first = reads(app, &slip).await;
            assert!(first.contains(&created(app)), "{first}");
            assert_eq!(reads(app, &slip).await, first);
            app.passes(SignedDuration::from_mins(5));
            app.kapso.activate(&created(app));
            let later = reads(app, &slip).await;
            assert!(later.contains("🟢 Active"), "as it is by then: {later}");
            assert_eq!(posts(app), 1);
        })
        .await;
}

#[tokio::test]
async fn the_same_request_many_times_at_once_creates_one_session() {
    plan()
        .creating()
        .run(async |app| {
            app.kapso.fail_next(Fault::Hold);
            let slip = app.slip("new +12345678901", None);
            let asking = join_all((0..8).map(|_| reads(app, &slip)));
            let released = async {
                app.kapso.has_been_asked(1).await;
                app.gets("/healthz").await;
                app.kapso.release();
            };
            let (cards, ()) = tokio::join!(asking, released);
            for card in &cards {
                assert_eq!(
                    card, &cards[0],
                    "those who come second wait for what comes of the first"
                );
            }
            assert!(cards[0].contains(&created(app)), "{}", cards[0]);
            assert_eq!(posts(app), 1);
        })
        .await;
}

#[tokio::test]
async fn a_request_that_came_to_nothing_or_to_nobody_knows_what_is_not_repeated() {
    let nothing = "This request was already processed; nothing was created.";
    plan()
        .creating()
        .run(async |app| {
            for (fault, says) in [
                (Fault::answer(StatusCode::UNAUTHORIZED, "{}"), nothing),
                (Fault::answer(StatusCode::UNPROCESSABLE_ENTITY, "{}"), nothing),
                (Fault::answer(StatusCode::BAD_GATEWAY, ""), UNSURE),
                (Fault::HangUp, UNSURE),
                (Fault::answer(StatusCode::CREATED, "zebra"), UNSURE),
            ] {
                app.passes(SignedDuration::from_secs(61));
                let before = posts(app);
                let slip = app.slip("new +12345678901", None);
                app.kapso.fail_next(fault.clone());
                reads(app, &slip).await;
                for _ in 0..2 {
                    let again = reads(app, &slip).await;
                    assert!(again.contains(says), "{fault:?}: {again}");
                }
                assert_eq!(posts(app), before + 1, "{fault:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_request_that_was_answered_with_a_question_creates_nothing_however_late_it_comes_again() {
    plan()
        .creating()
        .run(async |app| {
            app.types(NEW).await;
            let slip = app.slip("new +12345678901", None);
            let question = reads(app, &slip).await;
            assert!(question.contains("Do you want another one?"), "{question}");
            assert_eq!(reads(app, &slip).await, question);
            app.passes(SignedDuration::from_secs(200));
            let again = reads(app, &slip).await;
            assert!(again.contains("nothing was created"), "{again}");
            assert_eq!(posts(app), 1);
        })
        .await;
}

#[tokio::test]
async fn copies_of_the_service_create_one_session_between_them() {
    let database = Database::postgres().await;
    let url = database.url.clone();
    plan()
        .creating()
        .set(move |settings| settings.database = url)
        .run(async |app| {
            let other = app.is_joined().await;
            let before = posts(app);
            let slip = app.slip("new +12345678901", None);
            let bytes = slip.to_bytes();
            let asking = join_all((0..8).map(async |n| {
                let app = if n % 2 == 0 { &app.app_url } else { &other };
                let message: Value = serde_json::from_str(&answers_at(app, &bytes).await.body).unwrap();
                plain::text(&message)
            }));
            let cards = asking.await;
            for card in &cards {
                assert_eq!(card, &cards[0]);
            }
            assert!(cards[0].contains("Waiting for activation"), "{}", cards[0]);
            assert_eq!(posts(app), before + 1);

            // And another command for the same phone, at the other: it is asked about.
            let second = app.slip("new +12345678901", None);
            let answer = answers_at(&other, &second.to_bytes()).await.body;
            assert!(answer.contains("Do you want another one?"), "{answer}");
            assert_eq!(posts(app), before + 1);
        })
        .await;
}

/// A service that acknowledges soon, with its store in that folder.
fn service(world: &World, folder: &Folder) -> Program {
    world
        .service()
        .with("CREATE_USERS", "*")
        .with("REPLY_BUDGET_MS", "100")
        .with("DATABASE_URL", &format!("sqlite:{}/jobs.db", folder.path()))
}

/// How often Kapso was asked to create something.
fn asked(world: &World) -> usize {
    let requests = world.kapso.requests();
    requests.iter().filter(|line| line.starts_with("POST")).count()
}

#[tokio::test]
async fn a_process_that_is_killed_while_kapso_creates_is_followed_by_none_that_asks_again() {
    let world = World::start().await;
    let folder = Folder::new();
    world.kapso.fail(Some(Fault::Hold));
    let mut killed = service(&world, &folder).starts();
    let app = killed.serves().await;
    let sent = world.types(&app, NEW).await;
    assert!(sent.message.is_none(), "it is acknowledged without a word");
    world.kapso.has_been_asked(1).await;
    killed.is_sent("KILL").await;
    killed.ends().await;
    world.kapso.fail(None);
    world.kapso.release();

    let mut restarted = service(&world, &folder).starts();
    let app = restarted.listens().await;
    let answer = world.slack.later(sent.exchange).await;
    let read = plain::text(&answer.message);
    assert!(read.contains(UNSURE), "{read}");
    assert_eq!(asked(&world), 1);
    let list = world.reads(&app, "/sandbox list").await;
    assert!(list.contains("WHATSAPP SANDBOX SESSIONS"), "{list}");
    restarted.is_sent("TERM").await;
    let ended = restarted.ends().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        !ended.stdout.contains("12345678901"),
        "no phone number is logged: {}",
        ended.stdout
    );
    assert_eq!(world.slack.broken_rules(), Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_is_killed_with_the_session_in_its_hands_is_followed_by_one_that_shows_it() {
    let world = World::start().await;
    let folder = Folder::new();
    world.kapso.fail_next(Fault::Hold);
    let mut killed = service(&world, &folder).starts();
    let app = killed.serves().await;
    let sent = world.types(&app, NEW).await;
    assert!(sent.message.is_none(), "it is acknowledged without a word");
    world.slack.refuse_next(StatusCode::TOO_MANY_REQUESTS, Some(60));
    world.kapso.release();
    world.slack.has_been_posted_to(1).await;
    killed.is_sent("KILL").await;
    killed.ends().await;

    let restarted = service(&world, &folder).starts();
    let answer = world.slack.later(sent.exchange).await;
    let read = plain::text(&answer.message);
    assert!(read.contains("Waiting for activation"), "{read}");
    assert_eq!(asked(&world), 1);
    restarted.is_sent("TERM").await;
    assert_eq!(restarted.ends().await.code, Some(0));
}

/// A `new` that was stored so long ago, as a process leaves it that is killed.
fn left(ago: SignedDuration) -> (Job<LateReply>, String) {
    let mut late = late(0).payload;
    let key = fingerprint(&["left"]);
    late.trigger = Trigger::Typed("new +12345678901".to_owned());
    late.idempotency_key = Some(key.clone());
    let received_at = "2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap() - ago;
    late.outgoing.received_at = received_at;
    (Job::new(late, received_at, received_at), key)
}

/// What was begun is forgotten after a day, so that the answer that is owed for it must not be gone on with.
#[tokio::test]
async fn what_nobody_can_be_told_of_any_more_is_not_created() {
    for (ago, was_begun) in [
        (SignedDuration::from_mins(29), false),
        (SignedDuration::from_hours(5), false),
        (SignedDuration::from_hours(25), false),
        (SignedDuration::from_hours(25), true),
    ] {
        let database = Database::sqlite();
        let opened = database.open().await;
        let (job, key) = left(ago);
        if was_begun {
            let subject = fingerprint(&[&who(USER).team, USER, "+12345678901"]);
            let consent = Confirmation::NeededSince(job.created_at);
            let keys = KeyRows::new(opened.clone());
            keys.begin(&key, &subject, job.created_at, consent).await.unwrap();
        }
        JobRows::new(opened.clone()).insert(&job, None).await.unwrap();
        opened.close().await;
        let url = database.url.clone();
        plan()
            .creating()
            .set(move |settings| {
                settings.database = url;
                settings.response_hosts = vec!["hooks.slack.com".parse().unwrap()];
            })
            .run(async |app| {
                let line = app.logs("command").await;
                assert_eq!(
                    (&line["verb"], &line["answer"]),
                    (&json!("new"), &json!("lost")),
                    "{ago}"
                );
                assert_eq!(posts(app), 0, "{ago} ago, begun: {was_begun}");
                app.expects_complaint("answers in the store were too old");
            })
            .await;
    }
}
