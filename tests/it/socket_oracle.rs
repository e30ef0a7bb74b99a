//! The Socket Mode client and the Web API client of Slack's Python SDK as the app, against `FakeSlack`: run by
//! `scripts/test-socket-oracle`.

use std::process::Stdio;
use std::time::Duration;

use http::StatusCode;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeSlack, Person, SocketFault, WebFault};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{APP_TOKEN, BOT_TOKEN, SECRET, port};

const TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
#[ignore = "needs Slack's Python SDK; run by scripts/test-socket-oracle"]
async fn slacks_own_client_works_with_the_fake() {
    let python = std::env::var("ORACLE_PYTHON").expect("ORACLE_PYTHON is set");
    let http = client_builder().build().unwrap();
    let slack = FakeSlack::start(port().await, http, SECRET.into(), Clock::system()).unwrap();
    slack.turn_on_socket_mode(APP_TOKEN);
    let mut client = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/socket_client.py"))
        .args([&slack.api_url(), APP_TOKEN])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let socket = slack.socket();
    let app = "http://127.0.0.1:9".parse().unwrap();
    let person = Person::default();
    let echo = async |text: &str| {
        let sent = slack.send_command(&app, &person, &format!("/sandbox {text}")).await;
        assert_eq!(sent.status, Some(StatusCode::OK), "{text}");
        sent.message.unwrap_or_else(|| panic!("no message for {text}")).message
    };
    let steps = async {
        socket.wait_for_opened(1).await;
        let expected = |text: &str| json!({"response_type": "ephemeral", "text": format!("echo {text}")});
        assert_eq!(echo("first").await, expected("first"));

        // It replaces a connection that Slack wants to end, and one that has ended.
        for (opened, fault) in [
            (2, SocketFault::Disconnect("refresh_requested")),
            (3, SocketFault::Disconnect("warning")),
            (4, SocketFault::Close(1000)),
        ] {
            socket.fault_all(&fault);
            socket.wait_for_opened(opened).await;
            socket.wait_for_connections(1).await;
            let text = format!("after {fault:?}");
            assert_eq!(echo(&text).await, expected(&text));
        }

        let press = json!({"type": "block_actions", "actions": []});
        assert_eq!(
            socket.deliver("interactive", &press, false).await,
            Some(Vec::<Value>::new())
        );

        // Slack refuses a frame that is too long, and delivers the command again.
        let too_long = slack.send_command(&app, &person, "/sandbox too long");
        let again = socket.wait_until(|socket| (socket.oversized_frames() >= 2).then_some(()));
        tokio::select! {
            () = again => {}
            sent = too_long => assert!(socket.oversized_frames() >= 1, "{sent:?}"),
        }
    };
    timeout(TIMEOUT, steps).await.expect("the client does all this in time");
    drop(client.stdin.take());
    let mut said = Vec::new();
    while let Ok(Ok(Some(line))) = timeout(TIMEOUT, lines.next_line()).await {
        said.push(line);
    }
    assert_eq!(said[0], "command first", "{said:?}");
    assert!(said.contains(&"interactive".to_owned()), "{said:?}");
    let only_about_the_message =
        |violation: &String| !violation.contains("acknowledg") && !violation.contains("ticket");
    let violations = slack.rule_violations();
    assert!(violations.iter().all(only_about_the_message), "{violations:?}");
}

#[tokio::test]
#[ignore = "needs Slack's Python SDK; run by scripts/test-socket-oracle"]
async fn slacks_own_web_client_works_with_the_fake() {
    let python = std::env::var("ORACLE_PYTHON").expect("ORACLE_PYTHON is set");
    let http = client_builder().build().unwrap();
    let slack = FakeSlack::start(port().await, http, SECRET.into(), Clock::system()).unwrap();
    let web_api = slack.web_api();
    web_api.install(BOT_TOKEN, &["commands", "chat:write"]);
    for fault in [
        // The first message and one to a channel; the wrong token does not come so far.
        WebFault::None,
        WebFault::None,
        WebFault::None,
        WebFault::RateLimited(7),
        WebFault::RateLimited(1),
    ] {
        web_api.fail_next("chat.postMessage", fault);
    }
    let person = Person::default();
    let trigger_id = web_api.issue_trigger_id();
    let run = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/web_client.py"))
        .args([&slack.api_url(), BOT_TOKEN, &person.user, &person.channel, &trigger_id])
        .kill_on_drop(true)
        .output();
    let output = timeout(TIMEOUT, run).await.expect("it ends in time").unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<&str> = said.lines().map(str::trim_end).collect();
    assert_eq!(
        said,
        [
            "auth.test ok",
            "chat.postMessage ok",
            "chat.update ok",
            "chat.update message_not_found",
            "chat.postMessage not_in_channel",
            "chat.postMessage invalid_auth",
            "views.open ok",
            "views.open exchanged_trigger_id",
            "chat.postMessage ratelimited 7",
            "chat.postMessage ok",
        ],
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = slack.direct_messages(&person.user);
    let texts: Vec<&Value> = messages.iter().map(|posted| &posted.message["text"]).collect();
    assert_eq!(texts, ["changed", "repeated"]);
    assert_eq!(web_api.opened_views().len(), 1);
    assert_eq!(slack.rule_violations(), Vec::<String>::new());
}
