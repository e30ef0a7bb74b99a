//! What is owed survives the process that owes it: the real program, killed and started again on the same store.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use jiff::Timestamp;
use kapso_slack::demo::{Fault, plain};
use kapso_slack::db::Database;
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::JobRows;
use serde_json::Value;

use crate::support::plan;
use crate::support::late_replies::is_owed;
use crate::support::program::{Folder, Program, World};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";
/// Within this, owed work is resumed after a kill: 15 s of a lease, and a little.
const RESUMED: Duration = Duration::from_secs(20);

/// A service that acknowledges soon, with its store in that folder.
fn service(world: &World, folder: &Folder) -> Program {
    world
        .service()
        .with("REPLY_BUDGET_MS", "100")
        .with("DATABASE_URL", &format!("sqlite:{}/jobs.db", folder.path()))
}

#[tokio::test]
async fn a_killed_process_forgets_no_answer() {
    let world = World::start().await;
    let folder = Folder::new();
    world.kapso.fail(Some(Fault::Hold));
    let mut killed = service(&world, &folder).starts();
    let app = killed.serves().await;
    let owed = join_all((0..20).map(|_| world.types(&app, SHOW))).await;
    for sent in &owed {
        assert!(sent.message.is_none(), "it is acknowledged without a word");
    }
    killed.is_sent("KILL").await;
    let began = Instant::now();
    killed.ends().await;
    world.kapso.fail(None);
    world.kapso.release();

    let restarted = service(&world, &folder).starts();
    for sent in owed {
        let answer = world.slack.later(sent.exchange).await;
        assert!(plain::text(&answer.message).contains("Waiting for activation"));
    }
    assert!(began.elapsed() < RESUMED, "{:?}", began.elapsed());
    restarted.is_sent("TERM").await;
    let ended = restarted.ends().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(world.slack.conversation().len(), 20, "one answer each");
    assert_eq!(world.slack.broken_rules(), Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_is_asked_to_stop_hands_over_what_kapso_has_not_answered() {
    let world = World::start().await;
    let folder = Folder::new();
    world.kapso.fail(Some(Fault::Hold));
    let mut stopped = service(&world, &folder).starts();
    let app = stopped.serves().await;
    let sent = world.types(&app, SHOW).await;
    stopped.is_sent("TERM").await;
    let ended = stopped.ends().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
    assert_eq!(
        world.slack.conversation().len(),
        0,
        "no card says that Kapso did not answer"
    );
    let line = ended.stdout.lines().find(|line| line.contains("\"command\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["answer"], "handed_over");

    world.kapso.fail(None);
    world.kapso.release();
    let began = Instant::now();
    let next = service(&world, &folder).starts();
    let answer = world.slack.later(sent.exchange).await;
    assert!(plain::text(&answer.message).contains("Waiting for activation"));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "at once: {:?}",
        began.elapsed()
    );
    drop(next);
}

/// What a channel sees cannot be taken back. The word to its sharer is a courtesy that nobody owes.
#[tokio::test]
async fn a_killed_process_shares_a_card_once() {
    let (kapso_waits, slack_waits) = (killed_while_it_shares(true), killed_while_it_shares(false));
    tokio::join!(kapso_waits, slack_waits);
}

/// Before Kapso has said what there is to share, or when the card is there and Slack wants the second message later.
async fn killed_while_it_shares(kapso_waits: bool) {
    let world = World::start().await;
    let folder = Folder::new();
    let mut killed = service(&world, &folder).starts();
    let app = killed.serves().await;
    let card = world.looks_up(&app).await;
    if kapso_waits {
        world.kapso.fail_next(Fault::Hold);
    } else {
        world.slack.take_next();
        world.slack.refuse_next(StatusCode::TOO_MANY_REQUESTS, Some(60));
    }
    let sent = world.presses(&app, &card, "share").await;
    assert_eq!(sent.status, Some(StatusCode::OK));
    if kapso_waits {
        world.kapso.has_been_asked(2).await;
    } else {
        world.slack.has_been_posted_to(2).await;
    }
    killed.is_sent("KILL").await;
    killed.ends().await;
    world.kapso.release();

    if kapso_waits {
        let _restarted = service(&world, &folder).starts();
        assert!(world.slack.later(sent.exchange).await.in_channel);
        let own = world.slack.replaced(&card).await;
        assert!(plain::text(&own.message).contains("Shared with everybody"));
    } else {
        let url = format!("sqlite:{}/jobs.db", folder.path()).parse().unwrap();
        let jobs = JobRows::new(Database::open(&url).await.unwrap());
        let pending = jobs.stats::<LateReply>(Timestamp::MAX).await.unwrap();
        assert_eq!(pending.count, 0, "nobody does it again");
    }
    let shared = world
        .slack
        .conversation()
        .into_iter()
        .filter(|posted| posted.in_channel);
    assert_eq!(shared.count(), 1);
    assert_eq!(world.slack.broken_rules(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_of_an_answer_stays_in_the_store() {
    let world = World::start().await;
    let folder = Folder::new();
    world.kapso.fail_next(Fault::Hold);
    let mut service = service(&world, &folder).starts();
    let app = service.serves().await;
    let sent = world.types(&app, SHOW).await;
    assert!(folder.holds("/response/"), "it is stored before it is acknowledged");
    world.kapso.release();
    world.slack.later(sent.exchange).await;
    service.is_sent("TERM").await;
    assert_eq!(service.ends().await.code, Some(0));
    assert!(!folder.holds("/response/"), "the response_url is gone");
    assert!(!folder.holds("U2147483697"), "and so is who asked");
}

#[tokio::test]
async fn without_a_store_look_ups_and_late_answers_go_on() {
    plan()
        .late()
        .with("DATABASE_URL", "sqlite:/proc/no-folder-for-this/jobs.db")
        .run(async |app| {
            let exchange = is_owed(app).await;
            app.kapso.release();
            app.later(exchange).await;
            app.types("/sandbox help").await;
            let (status, body) = app.gets("/readyz").await;
            assert_eq!(status, 200);
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["status"], "degraded");
            assert!(body["why"][0].as_str().unwrap().contains("database file"), "{body}");
            assert!(app.metrics().await.contains("kapso_slack_store_failures_total"));
            let told = app
                .log_lines()
                .into_iter()
                .filter(|line| line["message"].as_str().unwrap().contains("the store does not work"))
                .count();
            assert_eq!(told, 1, "the log says it once");
        })
        .await;
}

/// The wait that Slack asks for may be longer than a lease, which is then renewed meanwhile.
#[tokio::test]
async fn slack_may_ask_for_more_patience_than_a_lease_has() {
    const PATIENCE: u64 = 19;
    let world = World::start().await;
    let folder = Folder::new();
    world.kapso.fail_next(Fault::Hold);
    let mut service = service(&world, &folder).starts();
    let app = service.serves().await;
    let sent = world.types(&app, SHOW).await;
    world.slack.refuse_next(StatusCode::TOO_MANY_REQUESTS, Some(PATIENCE));
    let began = Instant::now();
    world.kapso.release();
    world.slack.later(sent.exchange).await;
    assert!(
        began.elapsed() >= Duration::from_secs(PATIENCE),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(world.slack.posts(), 2);
    service.is_sent("TERM").await;
    assert_eq!(service.ends().await.code, Some(0));
}
