//! The Socket Mode client of Slack's Python SDK as the app, against `FakeSlack`: run by `scripts/test-socket-oracle`.

use std::process::Stdio;
use std::time::Duration;

use http::StatusCode;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeSlack, Person, SocketFault};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{APP_TOKEN, SECRET, port};

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
