//! Pending replies survive their process: the real program is killed and started again on the same database.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use jiff::Timestamp;
use kapso_slack::db::Database;
use kapso_slack::demo::{Fault, plain};
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::JobRows;
use serde_json::Value;

use crate::support::late_replies::start_late_reply;
use crate::support::program::{Fakes, Folder, Program};
use crate::support::test_app;

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";
/// Upper bound for the time after a kill until jobs are resumed: a lease of 15 s, and a margin.
const RESUMED: Duration = Duration::from_secs(20);

/// A service with a short budget and its database in this folder.
fn service(fakes: &Fakes, folder: &Folder) -> Program {
    fakes
        .service()
        .with("REPLY_BUDGET_MS", "100")
        .with("DATABASE_URL", &format!("sqlite:{}/jobs.db", folder.path()))
}

#[tokio::test]
async fn pending_replies_are_delivered_after_a_kill() {
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    fakes.kapso.set_fault(Some(Fault::Stall));
    let mut killed = service(&fakes, &folder).start();
    let app = killed.wait_until_serving().await;
    let pending = join_all((0..20).map(|_| fakes.send_command(&app, SHOW))).await;
    for sent in &pending {
        assert!(sent.message.is_none(), "it is acknowledged with an empty response");
    }
    killed.send_signal("KILL").await;
    let began = Instant::now();
    killed.wait_for_exit().await;
    fakes.kapso.set_fault(None);
    fakes.kapso.release_stalled_requests();

    let restarted = service(&fakes, &folder).start();
    for sent in pending {
        let answer = fakes.slack.wait_for_reply(sent.exchange).await;
        assert!(plain::text(&answer.message).contains("Waiting for activation"));
    }
    assert!(began.elapsed() < RESUMED, "{:?}", began.elapsed());
    restarted.send_signal("TERM").await;
    let ended = restarted.wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fakes.slack.conversation().len(), 20, "one reply each");
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn on_sigterm_unfinished_commands_are_left_to_the_next_process() {
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    fakes.kapso.set_fault(Some(Fault::Stall));
    let mut stopped = service(&fakes, &folder).start();
    let app = stopped.wait_until_serving().await;
    let sent = fakes.send_command(&app, SHOW).await;
    stopped.send_signal("TERM").await;
    let ended = stopped.wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
    assert_eq!(
        fakes.slack.conversation().len(),
        0,
        "no reply says that Kapso did not answer"
    );
    let line = ended.stdout.lines().find(|line| line.contains("\"command\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["answer"], "handed_over");

    fakes.kapso.set_fault(None);
    fakes.kapso.release_stalled_requests();
    let began = Instant::now();
    let next = service(&fakes, &folder).start();
    let answer = fakes.slack.wait_for_reply(sent.exchange).await;
    assert!(plain::text(&answer.message).contains("Waiting for activation"));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "at once: {:?}",
        began.elapsed()
    );
    drop(next);
}

/// A card in the channel cannot be taken back. The follow-up to the presser is not repeated after a crash.
#[tokio::test]
async fn a_card_is_shared_once_despite_a_kill() {
    let (kapso_waits, slack_waits) = (kill_while_sharing(true), kill_while_sharing(false));
    tokio::join!(kapso_waits, slack_waits);
}

/// Kills the process before Kapso answers, or after the card was posted and Slack answered 429 to the follow-up.
async fn kill_while_sharing(kapso_waits: bool) {
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    let mut killed = service(&fakes, &folder).start();
    let app = killed.wait_until_serving().await;
    let card = fakes.show_session(&app).await;
    if kapso_waits {
        fakes.kapso.fail_next_request(Fault::Stall);
    } else {
        fakes.slack.accept_next_post();
        fakes.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(60));
    }
    let sent = fakes.press(&app, &card, "share").await;
    assert_eq!(sent.status, Some(StatusCode::OK));
    if kapso_waits {
        fakes.kapso.wait_for_requests(2).await;
    } else {
        fakes.slack.wait_for_posts(2).await;
    }
    killed.send_signal("KILL").await;
    killed.wait_for_exit().await;
    fakes.kapso.release_stalled_requests();

    if kapso_waits {
        let _restarted = service(&fakes, &folder).start();
        assert!(fakes.slack.wait_for_reply(sent.exchange).await.in_channel);
        let own = fakes.slack.wait_for_replacement(&card).await;
        assert!(plain::text(&own.message).contains("Shared with everybody"));
    } else {
        let url = format!("sqlite:{}/jobs.db", folder.path()).parse().unwrap();
        let jobs = JobRows::new(Database::open(&url).await.unwrap());
        let pending = jobs.stats::<LateReply>(None, Timestamp::MAX).await.unwrap();
        assert_eq!(pending.count, 0, "it is not repeated");
    }
    let shared = fakes
        .slack
        .conversation()
        .into_iter()
        .filter(|posted| posted.in_channel);
    assert_eq!(shared.count(), 1);
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_delivered_reply_leaves_nothing_in_the_database() {
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    fakes.kapso.fail_next_request(Fault::Stall);
    let mut service = service(&fakes, &folder).start();
    let app = service.wait_until_serving().await;
    let sent = fakes.send_command(&app, SHOW).await;
    assert!(folder.holds("/response/"), "it is stored before it is acknowledged");
    fakes.kapso.release_stalled_requests();
    fakes.slack.wait_for_reply(sent.exchange).await;
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
    assert!(!folder.holds("/response/"), "the response_url is gone");
    assert!(!folder.holds("U2147483697"), "and so is the user id");
}

#[tokio::test]
async fn lookups_and_late_replies_work_without_a_database() {
    test_app()
        .with_short_budget()
        .with("DATABASE_URL", "sqlite:/proc/no-folder-for-this/jobs.db")
        .run(async |app| {
            let exchange = start_late_reply(app).await;
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
            app.command("/sandbox help").await;
            let (status, body) = app.get("/readyz").await;
            assert_eq!(status, 200);
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["status"], "degraded");
            assert!(body["why"][0].as_str().unwrap().contains("database file"), "{body}");
            assert!(app.metrics().await.contains("kapso_slack_store_failures_total"));
            let warnings = app
                .log_lines()
                .into_iter()
                .filter(|line| line["message"].as_str().unwrap().contains("the store does not work"))
                .count();
            assert_eq!(warnings, 1, "the log says it once");
        })
        .await;
}

/// A wait for `Retry-After` may be longer than a lease.
#[tokio::test]
async fn a_retry_after_longer_than_a_lease_is_followed() {
    const RETRY_AFTER: u64 = 19;
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    fakes.kapso.fail_next_request(Fault::Stall);
    let mut service = service(&fakes, &folder).start();
    let app = service.wait_until_serving().await;
    let sent = fakes.send_command(&app, SHOW).await;
    fakes
        .slack
        .reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(RETRY_AFTER));
    let began = Instant::now();
    fakes.kapso.release_stalled_requests();
    fakes.slack.wait_for_reply(sent.exchange).await;
    assert!(
        began.elapsed() >= Duration::from_secs(RETRY_AFTER),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(fakes.slack.post_count(), 2);
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}
