//! A shared card is true again after its process was killed, and is updated by one of several processes.

use jiff::SignedDuration;
use kapso_slack::demo::{PostedMessage, plain};

use crate::support::cards::{SHOW, advance_until, channel_messages};
use crate::support::databases::Database;
use crate::support::program::{Fakes, Program, Running};
use crate::support::{BOT_TOKEN, ID, test_app};

const CHANNEL: &str = "C2147483705";
const POST: &str = "chat.postMessage";
const UPDATE: &str = "chat.update";
/// So that every job is due and nobody's.
const DUE: &str = "UPDATE kapso_slack_jobs SET due_at = due_at - 60000, leased_until = 0";

/// The program, with a bot token, in the channel of the default person.
fn service(fakes: &Fakes, database: &Database) -> Program {
    fakes
        .service_that_waits_for_the_store()
        .with("DATABASE_URL", &database.address)
        .with("SLACK_BOT_TOKEN", BOT_TOKEN)
        .with("SLACK_API_URL", &fakes.slack.api_url())
}

async fn kill(killed: Running) {
    killed.send_signal("KILL").await;
    killed.wait_for_exit().await;
}

fn cards(fakes: &Fakes) -> Vec<PostedMessage> {
    let mut messages = fakes.slack.conversation();
    messages.retain(|posted| posted.channel == CHANNEL);
    messages
}

async fn a_killed_process_leaves_a_true_card(database: Database) {
    let fakes = Fakes::start().await;
    let api = fakes.slack.web_api();
    api.install(BOT_TOKEN, &["commands", "chat:write"]);
    api.join(CHANNEL);
    let mut first = service(&fakes, &database).start();
    let app = first.wait_until_serving().await;
    let card = fakes.show_session(&app).await;

    // Slack has taken the card, and its `ts` is lost.
    fakes.slack.stall_responses(true);
    fakes.press(&app, &card, "share").await;
    api.wait_for_calls(POST, 1).await;
    kill(first).await;
    fakes.slack.stall_responses(false);
    database.run(DUE).await;
    let mut second = service(&fakes, &database).start();
    second.wait_until_serving().await;
    api.wait_for_calls(POST, 2).await;
    fakes.slack.wait_for_replacement(&card).await;
    let shared = cards(&fakes);
    assert_eq!(shared.len(), 2, "the post in flight was repeated");

    kill(second).await;

    // Slack has taken an update, and the process does not learn of it.
    fakes.slack.stall_responses(true);
    fakes.kapso.activate(ID);
    database.run(DUE).await;
    let mut third = service(&fakes, &database).start();
    third.wait_until_serving().await;
    api.wait_for_calls(UPDATE, 1).await;
    kill(third).await;
    fakes.slack.stall_responses(false);
    fakes.kapso.supersede(ID);
    database.run(DUE).await;
    let mut last = service(&fakes, &database).start();
    last.wait_for_line("a shared card was updated").await;
    let text = plain::text(&cards(&fakes)[1].message);
    assert!(text.contains("🔵 Superseded"), "{text}");
    last.send_signal("TERM").await;
    assert_eq!(last.wait_for_exit().await.code, Some(0));
    assert_eq!(api.calls_of(UPDATE).len(), 2);
    assert!(database.payloads("1 = 1").await.is_empty(), "nothing is left");
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
    database.drop().await;
}

#[tokio::test]
async fn a_killed_process_leaves_a_true_card_on_sqlite() {
    a_killed_process_leaves_a_true_card(Database::sqlite()).await;
}

#[tokio::test]
async fn a_killed_process_leaves_a_true_card_on_postgresql() {
    a_killed_process_leaves_a_true_card(Database::postgres().await).await;
}

#[tokio::test]
async fn two_replicas_update_a_card_once() {
    let database = Database::postgres().await;
    test_app()
        .with("DATABASE_URL", &database.address)
        .with_bot_token()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            app.start_replica().await;
            app.slack.web_api().join(CHANNEL);
            let card = app.command(SHOW).await;
            app.press(&card, "share").await;
            app.kapso.activate(ID);
            app.advance_clock(SignedDuration::from_secs(61));
            app.wait_for_log("a shared card was updated").await;
            // A clock that runs ahead now would end the lease of the process that updates it.
            let released = "SELECT count(*) FROM kapso_slack_jobs WHERE leased_until = 0";
            while database.number(released).await == 0 {}
            // Both go on polling it.
            let requests = app.kapso.requests().len();
            advance_until(app, || app.kapso.requests().len() >= requests + 5).await;
            app.shut_down().await;
            assert_eq!(app.slack.web_api().calls_of(UPDATE).len(), 1);
            let text = plain::text(&channel_messages(app)[0].message);
            assert!(text.contains("🟢 Active"), "{text}");
        })
        .await;
    database.drop().await;
}
