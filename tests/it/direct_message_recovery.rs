//! The real program is killed twice while a session is watched, and the clock moves by a day: the direct message arrives
//! once. And a token that is rotated is used without a restart.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::demo::{TokenState, WebFault, plain};

use crate::support::databases::{Database, Folder};
use crate::support::program::{Fakes, HOURS_AHEAD, Program};
use crate::support::{BOT_TOKEN, ID};

const POST: &str = "chat.postMessage";
const TIMEOUT: Duration = Duration::from_mins(2);

async fn fakes() -> Fakes {
    let fakes = Fakes::start().await;
    fakes.slack.web_api().install(BOT_TOKEN, &["commands", "chat:write"]);
    let expiry = fakes.clock.now() + SignedDuration::from_hours(24 * 30);
    fakes.kapso.set_field(ID, "expires_at", expiry.to_string().into());
    fakes
}

fn service(fakes: &Fakes, database: &Database, hours_ahead: &str) -> Program {
    fakes
        .service_that_waits_for_the_store()
        .with("DATABASE_URL", &database.address)
        .with("SLACK_API_URL", &fakes.slack.api_url())
        .with("SLACK_BOT_TOKEN", BOT_TOKEN)
        .with(HOURS_AHEAD, hours_ahead)
}

#[tokio::test]
async fn a_direct_message_arrives_once_after_two_kills_and_a_day_on_sqlite() {
    arrives_once(Database::sqlite()).await;
}

#[tokio::test]
async fn a_direct_message_arrives_once_after_two_kills_and_a_day_on_postgresql() {
    arrives_once(Database::postgres().await).await;
}

async fn arrives_once(database: Database) {
    let test = async {
        let fakes = fakes().await;
        let mut first = service(&fakes, &database, "0").start();
        let app = first.wait_until_serving().await;
        let text = fakes.command_text(&app, &format!("/sandbox watch {ID}")).await;
        assert!(text.contains("I'll send you a direct message"), "{text}");
        first.send_signal("KILL").await;
        first.wait_for_exit().await;

        fakes.clock.advance(SignedDuration::from_hours(24));
        fakes.kapso.activate(ID);
        // Slack takes nothing while the second process lives.
        let web_api = fakes.slack.web_api();
        web_api.fail_all(Some(WebFault::RateLimited(1)));
        let mut second = service(&fakes, &database, "24").start();
        second.wait_until_serving().await;
        web_api.wait_for_calls(POST, 1).await;
        second.send_signal("KILL").await;
        second.wait_for_exit().await;
        web_api.fail_all(None);

        let mut third = service(&fakes, &database, "24").start();
        let app = third.wait_until_serving().await;
        let told = fakes.slack.wait_for_direct_messages(&fakes.person.user, 1).await;
        assert!(plain::text(&told[0].message).contains("is active now"), "{told:?}");
        let list = fakes.command_text(&app, "/sandbox watching").await;
        assert!(list.contains("You are watching 1 session."), "{list}");
        third.send_signal("TERM").await;
        assert_eq!(third.wait_for_exit().await.code, Some(0));
        assert_eq!(database.payloads("kind <> 'watch'").await.len(), 0, "no job is left");
        assert_eq!(fakes.slack.direct_messages(&fakes.person.user).len(), 1);
        assert_eq!(fakes.slack.post_count(), 0);
    };
    tokio::time::timeout(TIMEOUT, test).await.expect("it ends in time");
    database.drop().await;
}

#[tokio::test]
async fn two_replicas_tell_the_news_once() {
    let database = Database::postgres().await;
    let fakes = fakes().await;
    let (mut one, mut other) = (
        service(&fakes, &database, "0").start(),
        service(&fakes, &database, "0").start(),
    );
    let apps = [one.wait_until_serving().await, other.wait_until_serving().await];
    for app in &apps {
        let text = fakes.command_text(app, &format!("/sandbox watch {ID}")).await;
        assert!(text.contains("I'll send you a direct message"), "{text}");
    }
    fakes.kapso.activate(ID);
    fakes.slack.wait_for_direct_messages(&fakes.person.user, 1).await;
    for service in [one, other] {
        service.send_signal("TERM").await;
        assert_eq!(service.wait_for_exit().await.code, Some(0));
    }
    assert_eq!(fakes.slack.direct_messages(&fakes.person.user).len(), 1);
    assert_eq!(database.payloads("kind <> 'watch'").await.len(), 0, "no job is left");
    database.drop().await;
}

#[tokio::test]
async fn people_who_may_no_longer_use_the_app_are_told_nothing() {
    let database = Database::sqlite();
    let fakes = fakes().await;
    let mut first = service(&fakes, &database, "0").start();
    let app = first.wait_until_serving().await;
    let text = fakes.command_text(&app, &format!("/sandbox watch {ID}")).await;
    assert!(text.contains("I'll send you a direct message"), "{text}");
    first.send_signal("TERM").await;
    assert_eq!(first.wait_for_exit().await.code, Some(0));

    fakes.kapso.activate(ID);
    let mut second = service(&fakes, &database, "0")
        .with("ALLOWED_USERS", "U0SOMEBODYELSE")
        .start();
    second.wait_until_serving().await;
    let line = second.wait_for_line("notice").await;
    assert!(line.contains("the person may no longer use this app"), "{line}");
    second.send_signal("TERM").await;
    assert_eq!(second.wait_for_exit().await.code, Some(0));
    assert_eq!(fakes.slack.direct_messages(&fakes.person.user).len(), 0);
    assert_eq!(fakes.slack.post_count(), 0);
    assert_eq!(database.payloads("TRUE").await.len(), 0, "the watch has ended");
    database.drop().await;
}

#[tokio::test]
async fn a_rotated_token_is_used_after_sighup() {
    const ROTATED: &str = "xoxb-rotated";
    let fakes = fakes().await;
    let folder = Folder::new();
    let file = folder.join("token");
    std::fs::write(&file, BOT_TOKEN).unwrap();
    let mut running = fakes
        .service()
        .with("SLACK_API_URL", &fakes.slack.api_url())
        .with("SLACK_BOT_TOKEN_FILE", file.to_str().unwrap())
        .start();
    let app = running.wait_until_serving().await;
    let web_api = fakes.slack.web_api();
    let watch = async || fakes.command_text(&app, &format!("/sandbox watch {ID}")).await;
    assert!(watch().await.contains("I'll send you a direct message"));

    web_api.set_token_state(BOT_TOKEN, TokenState::Revoked);
    web_api.install(ROTATED, &["commands", "chat:write"]);
    std::fs::write(&file, ROTATED).unwrap();
    running.send_signal("HUP").await;
    running.wait_for_line("the configuration was read again").await;
    assert!(watch().await.contains("I'll send you a direct message"));
    fakes.kapso.activate(ID);
    let told = fakes.slack.wait_for_direct_messages(&fakes.person.user, 1).await;
    assert!(plain::text(&told[0].message).contains("is active now"), "{told:?}");
    running.send_signal("TERM").await;
    assert_eq!(running.wait_for_exit().await.code, Some(0));
}
