//! The real program is killed after a form was submitted and before Kapso has answered: no second session is created, and
//! the person is told.

use http::StatusCode;
use kapso_slack::demo::{Fault, plain};

use crate::support::BOT_TOKEN;
use crate::support::databases::Database;
use crate::support::program::{Fakes, Program};

fn service(fakes: &Fakes, database: &Database) -> Program {
    fakes
        .service_that_waits_for_the_store()
        .with("DATABASE_URL", &database.address)
        .with("SLACK_API_URL", &fakes.slack.api_url())
        .with("SLACK_BOT_TOKEN", BOT_TOKEN)
        .with("CREATE_USERS", "*")
}

#[tokio::test]
async fn a_form_whose_process_is_killed_creates_no_second_session() {
    let database = Database::sqlite();
    let fakes = Fakes::start().await;
    fakes.slack.web_api().install(BOT_TOKEN, &["commands", "chat:write"]);
    let mut first = service(&fakes, &database).start();
    let app = first.wait_until_serving().await;
    let opened = fakes.send_command(&app, "/sandbox new").await;
    let form = fakes.slack.web_api().opened_views().remove(0);
    let values = [("phone", "+12025550123"), ("agent", "agent-123abc")];
    let values = values.map(|(id, value)| (id.to_owned(), value.to_owned()));
    fakes.kapso.fail_next_request(Fault::Stall);
    let sent = fakes.slack.submit_form(&app, &fakes.person, &form.id, &values).await;
    assert_eq!(sent.unwrap().status, Some(StatusCode::OK));
    fakes.kapso.wait_for_requests(1).await;
    first.send_signal("KILL").await;
    first.wait_for_exit().await;
    fakes.kapso.release_stalled_requests();

    let mut second = service(&fakes, &database).start();
    let app = second.wait_until_serving().await;
    let reply = fakes.slack.wait_for_reply(opened.exchange).await;
    let text = plain::text(&reply.message);
    assert!(text.contains("may or may not have been created"), "{text}");
    // The person submits it again.
    let sent = fakes.slack.submit_form(&app, &fakes.person, &form.id, &values).await;
    assert_eq!(sent.unwrap().status, Some(StatusCode::OK));
    let reply = fakes.slack.next_message(&reply).await;
    let text = plain::text(&reply.message);
    assert!(text.contains("may or may not have been created"), "{text}");
    assert!(fakes.kapso.create_requests().len() <= 1, "no second session");
    second.send_signal("TERM").await;
    assert_eq!(second.wait_for_exit().await.code, Some(0));
    assert!(database.payloads("TRUE").await.is_empty(), "no job is left");
}
