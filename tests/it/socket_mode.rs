//! Socket Mode: commands and presses come through `WebSocket`s that the service opens to Slack.

use std::sync::Arc;
use std::time::Duration;

use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::config::{Proxy, SocketHost, Timing};
use kapso_slack::demo::{FakeSlack, FakeSocket, Fault, OpenFault, SocketFault, plain};
use kapso_slack::slack::socket_mode::{Environment, Reason, SocketMode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::cards::SHOW;
use crate::support::raw_request::{COMMANDS, RawRequest};
use crate::support::sockets::{quick_socket_app, reconnects, value};
use crate::support::{APP_TOKEN, ID, SECRET, SOCKET_OPEN, TestApp, TestAppBuilder, port, test_app};

/// The service with the app-level token and no signing secret.
fn socket_app() -> TestAppBuilder {
    test_app().over_socket().with("SLACK_SIGNING_SECRET", "")
}

#[tokio::test]
async fn a_command_is_answered_in_its_acknowledgement() {
    socket_app()
        .run(async |app| {
            let text = app.command_text(SHOW).await;
            assert!(text.contains("🟡 Waiting for activation"), "{text}");
            assert_eq!(app.slack.post_count(), 0);
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!(line["answer"], "in_time");
        })
        .await;
}

#[tokio::test]
async fn a_slow_reply_comes_to_the_response_url() {
    socket_app()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(SHOW).await;
            app.kapso.wait_for_requests(1).await;
            app.kapso.release_stalled_requests();
            let card = app.late_reply(exchange).await;
            assert!(plain::text(&card.message).contains("Waiting for activation"));
        })
        .await;
}

#[tokio::test]
async fn a_press_is_acknowledged_and_answered() {
    socket_app()
        .without_cache()
        .run(async |app| {
            let card = app.command(SHOW).await;
            let refreshed = app.press(&card, "refresh").await;
            assert!(plain::text(&refreshed.message).contains("Waiting for activation"));
        })
        .await;
}

#[tokio::test]
async fn without_a_signing_secret_nothing_comes_in_over_http() {
    socket_app()
        .run(async |app| {
            for secret in [SECRET, ""] {
                let request = RawRequest::unsigned(COMMANDS, "command=/sandbox&text=help");
                let reply = app.send_raw(&request.signed(secret, app.now().as_second())).await;
                assert_eq!(reply.status, 404);
            }
        })
        .await;
}

#[tokio::test]
async fn both_ways_in_are_open_with_both_secrets() {
    test_app()
        .over_socket()
        .run(async |app| {
            assert!(app.command_text(SHOW).await.contains("Waiting for activation"));
            let reply = app.send_raw(&app.command_request("help", None)).await;
            assert_eq!(reply.status, 200);
            assert!(reply.body.contains("blocks"), "{}", reply.body);
        })
        .await;
}

#[tokio::test]
async fn two_connections_are_open_and_ready_is_not_said_before_hello() {
    quick_socket_app()
        .without_waiting_for_socket()
        .failing_opens([OpenFault::NoHello, OpenFault::NoHello])
        .run(async |app| {
            let socket = app.slack.socket();
            socket.wait_for_open_requests(2).await;
            let (status, why) = app.readiness().await;
            assert_eq!(
                (status.as_str(), why.as_str()),
                ("disconnected", "the socket to Slack is not open yet")
            );
            let (code, _) = app.get("/readyz").await;
            assert_eq!(code, 503);
            // Both are given up, and others opened.
            socket.wait_for_connections(2).await;
            app.wait_for_log_lines("a socket connection to Slack is open", 2).await;
            app.wait_for_store().await;
            assert_eq!(app.readiness().await.0, "ready");
            assert_eq!(value(&app.metrics().await, "kapso_slack_socket_connections "), 2);
        })
        .await;
}

#[tokio::test]
async fn without_any_connection_the_service_is_not_ready_and_with_one_it_is() {
    quick_socket_app()
        .run(async |app| {
            app.wait_for_store().await;
            let socket = app.slack.socket();
            let connections = socket.connections();
            for _ in 0..500 {
                socket.fail_next_open(OpenFault::Status(http::StatusCode::BAD_GATEWAY));
            }
            socket.fault(connections[0], SocketFault::Drop);
            app.wait_for_log("a socket connection to Slack could not be opened")
                .await;
            assert_eq!(app.readiness().await.0, "ready");
            socket.fault(connections[1], SocketFault::Drop);
            app.wait_for_log_lines("\"reason\":\"closed\"", 2).await;
            let (status, why) = app.readiness().await;
            assert_eq!(status, "disconnected");
            assert_eq!(
                why,
                "the socket to Slack is not open; the last attempt: Slack answered with status 502 Bad Gateway"
            );
        })
        .await;
}

#[tokio::test]
async fn a_connection_is_replaced_before_it_is_closed() {
    quick_socket_app()
        .run(async |app| {
            let socket = app.slack.socket();
            let before = socket.connections();
            socket.fault(before[0], SocketFault::Disconnect("warning"));
            // Three connections at once: the old one is still there when the new one is ready.
            let during = socket.wait_for_connections(3).await;
            assert!(during.contains(&before[0]), "{during:?}");
            let after = socket.wait_for_connections(2).await;
            assert!(!after.contains(&before[0]), "{after:?}");
            assert_eq!(reconnects(&app.metrics().await, "warning"), 1);
        })
        .await;
}

#[tokio::test]
async fn the_old_connection_stays_until_its_replacement_is_ready() {
    quick_socket_app()
        .run(async |app| {
            let socket = app.slack.socket();
            let before = socket.connections();
            socket.fail_next_open(OpenFault::DropAtOnce);
            socket.fail_next_open(OpenFault::RefuseHandshake(503));
            socket.fail_next_open(OpenFault::Error("internal_error"));
            socket.fault(before[0], SocketFault::Disconnect("refresh_requested"));
            socket.wait_for_open_requests(5).await;
            assert!(socket.connections().contains(&before[0]));
            socket.wait_for_connections(3).await;
            socket.wait_for_connections(2).await;
        })
        .await;
}

#[tokio::test]
async fn when_socket_mode_is_turned_off_it_stops() {
    quick_socket_app()
        .run(async |app| {
            app.expect_complaint("the socket to Slack stays closed");
            let socket = app.slack.socket();
            socket.fault(socket.connections()[0], SocketFault::Disconnect("link_disabled"));
            let line = app
                .wait_for_log("the socket to Slack stays closed; restart the service when this is mended")
                .await;
            let sentence = "Socket Mode is turned off in the app's settings (link_disabled)";
            assert_eq!(line["error"], sentence);
            socket.wait_for_connections(0).await;
            let (status, why) = app.readiness().await;
            assert_eq!(status, "disconnected");
            assert_eq!(why, format!("the socket to Slack is closed: {sentence}"));
            assert_eq!(socket.open_requests().len(), 2, "no further attempts");
        })
        .await;
}

#[tokio::test]
async fn errors_that_no_further_attempt_would_mend_end_it_with_a_sentence() {
    for (error, sentence) in [
        (
            "invalid_auth",
            "Slack does not accept SLACK_APP_TOKEN; make a new app-level token under Basic Information (invalid_auth)",
        ),
        (
            "not_authed",
            "Slack does not accept SLACK_APP_TOKEN; make a new app-level token under Basic Information (not_authed)",
        ),
        (
            "account_inactive",
            "the app, its owner or its workspace has been deactivated (account_inactive)",
        ),
        (
            "user_removed_from_team",
            "the app, its owner or its workspace has been deactivated (user_removed_from_team)",
        ),
        (
            "team_disabled",
            "the app, its owner or its workspace has been deactivated (team_disabled)",
        ),
        (
            "missing_scope",
            "SLACK_APP_TOKEN is not an app-level token with the scope connections:write (missing_scope)",
        ),
    ] {
        quick_socket_app()
            .without_waiting_for_socket()
            .failing_opens([OpenFault::Error(error), OpenFault::Error(error)])
            .run(async |app| {
                app.expect_complaint("the socket to Slack stays closed");
                let line = app
                    .wait_for_log("the socket to Slack stays closed; restart the service when this is mended")
                    .await;
                assert_eq!(line["error"], sentence);
                let (status, why) = app.readiness().await;
                assert_eq!(
                    (status, why),
                    (
                        "disconnected".to_owned(),
                        format!("the socket to Slack is closed: {sentence}")
                    )
                );
                app.slack.socket().wait_for_open_requests(2).await;
                app.shut_down().await;
                assert_eq!(app.slack.socket().open_requests().len(), 2, "one for each connection");
            })
            .await;
    }
}

#[tokio::test]
async fn a_token_that_slack_does_not_know_is_refused() {
    quick_socket_app()
        .without_waiting_for_socket()
        .set(|settings| settings.app_token = Some("xapp-1-another".into()))
        .run(async |app| {
            app.expect_complaint("the socket to Slack stays closed");
            app.wait_for_log("the socket to Slack stays closed; restart the service when this is mended")
                .await;
        })
        .await;
}

#[tokio::test]
async fn retry_after_is_honoured_by_both_connections() {
    quick_socket_app()
        .without_waiting_for_socket()
        .failing_opens([OpenFault::RateLimited(1)])
        .run(async |app| {
            app.slack.socket().wait_for_connections(2).await;
            let requests = app.slack.socket().open_requests();
            assert_eq!(requests.len(), 3);
            assert!(requests[1] - requests[0] >= Duration::from_secs(1), "{requests:?}");
        })
        .await;
}

#[tokio::test]
async fn it_pings_and_a_connection_without_any_frame_is_replaced() {
    quick_socket_app()
        .run(async |app| {
            let socket = app.slack.socket();
            socket.wait_until(|socket| (socket.pings() >= 4).then_some(())).await;
            let silent = socket.connections()[0];
            socket.fault(silent, SocketFault::HalfOpen);
            socket.wait_for_opened(3).await;
            // The close handshake is not waited for longer than a second.
            let is_gone = |socket: &FakeSocket| !socket.connections().contains(&silent);
            socket.wait_until(|socket| is_gone(socket).then_some(())).await;
            assert_eq!(reconnects(&app.metrics().await, "silent"), 1);
            assert!(app.command_text(SHOW).await.contains("Waiting for activation"));
        })
        .await;
}

#[tokio::test]
async fn every_envelope_is_acknowledged_whatever_is_in_it() {
    quick_socket_app()
        .run(async |app| {
            let socket = app.slack.socket();
            let deep = (0..120).fold(json!(1), |inner, _| json!([inner]));
            for (kind, payload) in [
                ("slash_commands", json!(null)),
                ("slash_commands", json!({})),
                ("slash_commands", json!([1, 2])),
                ("slash_commands", json!("text")),
                ("interactive", json!(null)),
                ("interactive", json!({"type": "view_submission"})),
                ("interactive", json!({"type": 7})),
                ("events_api", json!({"event": {"type": "message"}})),
                ("hello", json!({})),
                ("disconnect", json!({})),
                ("", json!({})),
                ("zebra\nzebra", deep),
            ] {
                let acknowledged = socket.deliver(kind, &payload, true).await;
                assert_eq!(acknowledged, Some(Vec::new()), "{kind}: {payload}");
            }
            let metrics = app.metrics().await;
            for (kind, count) in [("slash_commands", 4), ("interactive", 3), ("other", 5)] {
                let series = format!("kapso_slack_socket_envelopes_total{{type=\"{kind}\"}} ");
                assert_eq!(value(&metrics, &series), count, "{kind}: {metrics}");
            }
        })
        .await;
}

#[tokio::test]
async fn fields_of_a_command_may_be_absent_or_null() {
    quick_socket_app()
        .run(async |app| {
            let payload =
                json!({"command": "/sandbox", "text": "help", "enterprise_id": null, "is_enterprise_install": false});
            let answers = app
                .slack
                .socket()
                .deliver("slash_commands", &payload, true)
                .await
                .unwrap();
            assert!(plain::text(&answers[0]).contains("/sandbox"), "{answers:?}");
        })
        .await;
}

#[tokio::test]
async fn a_message_is_not_put_where_slack_accepts_none() {
    quick_socket_app()
        .run(async |app| {
            let sent = app.slack.send_command_accepting_no_message(&app.person, SHOW).await;
            assert!(sent.message.is_none());
            let card = app.late_reply(sent.exchange).await;
            assert!(plain::text(&card.message).contains("Waiting for activation"));
        })
        .await;
}

/// The frame of an acknowledgement may take 19 KiB: Slack closes the connection for one over 20,480 bytes.
#[tokio::test]
async fn a_message_too_long_for_a_frame_comes_to_the_response_url() {
    const FRAME_MAX: usize = 19 * 1024;
    /// More than fit on a page, so that there is a button for the next one.
    const SESSIONS: usize = 12;
    /// Longest name that is shown.
    const NAME_MAX: usize = 80;
    quick_socket_app()
        .without_cache()
        .run(async |app| {
            app.kapso.allow_undocumented();
            app.kapso.delete(ID);
            for number in 0..SESSIONS {
                let id = format!("session-{number:02}-{}", "x".repeat(53));
                app.kapso.add_session(&id);
                app.kapso.set_field(
                    &id,
                    "status",
                    format!("{}{}", "\u{1f642}".repeat(60), "&".repeat(20)).into(),
                );
            }
            let socket = app.slack.socket();
            // The message of a list with so many long characters in its names, its length, and whether it came at once.
            let list = async |app: &TestApp, long: usize| {
                for (number, id) in app.kapso.sessions().into_keys().enumerate() {
                    let here = (long + number) / SESSIONS;
                    let name = format!("{}{}", "\u{1f642}".repeat(here), "a".repeat(NAME_MAX - here));
                    app.kapso
                        .set_field(&id, "agent", json!({"id": "agent-1", "name": name}));
                }
                let sent = app.send("/sandbox list").await;
                let is_direct = sent.message.is_some();
                let message = match sent.message {
                    Some(message) => message,
                    None => app.late_reply(sent.exchange).await,
                };
                (message.message.to_string().len(), is_direct)
            };
            // The longest message that comes at once, and the shortest one that does not.
            let (mut fits, mut exceeds) = (0, SESSIONS * NAME_MAX);
            let (certainly_too_long, is_direct) = list(app, exceeds).await;
            assert!(certainly_too_long > FRAME_MAX && !is_direct, "{certainly_too_long}");
            let (mut longest, is_direct) = list(app, fits).await;
            assert!(longest < FRAME_MAX && is_direct, "{longest}");
            let mut shortest = certainly_too_long;
            while exceeds - fits > 1 {
                let middle = fits.midpoint(exceeds);
                let (length, is_direct) = list(app, middle).await;
                if is_direct {
                    (fits, longest) = (middle, length);
                } else {
                    (exceeds, shortest) = (middle, length);
                }
            }
            let longest_frame = socket.longest_frame();
            let around = longest_frame - longest;
            assert!(
                longest_frame <= FRAME_MAX && FRAME_MAX < shortest + around,
                "{longest} bytes came at once, in a frame of {longest_frame}, and {shortest} did not"
            );
            assert_eq!(socket.oversized_frames(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_command_that_comes_again_after_its_reply_is_acknowledged_only() {
    quick_socket_app()
        .run(async |app| {
            let card = app.command(SHOW).await;
            // Slack has read the acknowledgement once it has answered the ping behind it; so it has the next one's.
            app.command("/sandbox help").await;
            let pings = app.slack.socket().pings();
            app.slack
                .socket()
                .wait_until(|socket| (socket.pings() >= pings + 4).then_some(()))
                .await;
            assert_eq!(app.slack.redeliver_command(card.exchange).await, Some(Vec::new()));
            assert_eq!(value(&app.metrics().await, "kapso_slack_socket_redeliveries_total "), 1);
            app.wait_for_log("the same request came again; only the first is answered")
                .await;
        })
        .await;
}

/// Slack may deliver a command again with nothing but its trigger, its `response_url` or its envelope in common.
#[tokio::test]
async fn a_command_is_recognized_by_each_of_its_ids() {
    quick_socket_app()
        .run(async |app| {
            let socket = app.slack.socket();
            let connection = socket.connections()[0];
            let command = |trigger: &str, response_url: &str| {
                json!({"command": "/sandbox", "text": "help", "trigger_id": trigger, "response_url": response_url})
            };
            let deliver = async |envelope: &str, trigger: &str, response_url: &str| {
                let payload = command(trigger, response_url);
                let answer = socket.deliver_as(envelope, connection, "slash_commands", &payload).await;
                // Slack has read the acknowledgement once it has answered a ping behind it.
                let pings = socket.pings();
                socket.wait_until(|socket| (socket.pings() >= pings + 4).then_some(())).await;
                !answer.unwrap().is_null()
            };
            assert!(deliver("envelope-1", "trigger-1", "").await);
            assert!(!deliver("envelope-2", "trigger-1", "").await, "the same trigger");
            assert!(!deliver("envelope-1", "trigger-2", "").await, "the same envelope");
            assert!(deliver("envelope-3", "", "https://hooks.slack.com/commands/1").await);
            assert!(
                !deliver("envelope-4", "", "https://hooks.slack.com/commands/1").await,
                "the same response_url"
            );
            assert!(deliver("envelope-5", "trigger-5", "https://hooks.slack.com/commands/5").await);
            assert_eq!(value(&app.metrics().await, "kapso_slack_socket_redeliveries_total "), 3);
        })
        .await;
}

/// The acknowledgement was written to a connection that Slack did not read.
#[tokio::test]
async fn a_command_whose_reply_was_lost_is_answered_when_it_comes_again() {
    quick_socket_app()
        .run(async |app| {
            app.slack.socket().fault_all(&SocketFault::Deaf);
            let sending = app.command(SHOW);
            let meanwhile = async {
                app.wait_for_commands(1).await;
                app.slack.socket().fault_all(&SocketFault::Drop);
            };
            let (card, ()) = tokio::join!(sending, meanwhile);
            assert!(plain::text(&card.message).contains("Waiting for activation"));
            app.wait_for_log("the same request came again, since Slack has not received its reply")
                .await;
            assert_eq!(app.slack.post_count(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_late_reply_is_not_sent_again_when_its_command_comes_again() {
    quick_socket_app()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(SHOW).await;
            assert_eq!(app.slack.redeliver_command(exchange).await, Some(Vec::new()));
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
            assert_eq!(app.slack.redeliver_command(exchange).await, Some(Vec::new()));
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 1);
        })
        .await;
}

#[tokio::test]
async fn connections_of_another_process_are_warned_of_once() {
    let warnings = |app: &TestApp| {
        let is_warning = |line: &Value| line["message"].as_str().unwrap().starts_with("other processes");
        app.log_lines().iter().filter(|line| is_warning(line)).count()
    };
    quick_socket_app()
        .without_waiting_for_socket()
        .failing_opens([OpenFault::Connections(9), OpenFault::Connections(9)])
        .run(async |app| {
            let line = app
                .wait_for_log("other processes have sockets of this app: each command goes to one of them")
                .await;
            assert!(line["others"].as_u64().unwrap() >= 7, "{line}");
            app.wait_for_log_lines(SOCKET_OPEN, 2).await;
            app.command(SHOW).await;
            app.shut_down().await;
            assert_eq!(warnings(app), 1);
        })
        .await;
    quick_socket_app()
        .run(async |app| {
            for round in 1..=3 {
                // Slack still counts the two that have just ended.
                for _ in 0..2 {
                    app.slack.socket().fail_next_open(OpenFault::Connections(3));
                }
                app.slack.socket().fault_all(&SocketFault::Drop);
                app.slack.socket().wait_for_opened(2 + 2 * round).await;
            }
            app.shut_down().await;
            assert_eq!(warnings(app), 0);
        })
        .await;
}

#[tokio::test]
async fn replicas_share_the_commands() {
    quick_socket_app()
        .with("DATABASE_URL", "sqlite::memory:")
        .run(async |app| {
            app.start_replica().await;
            app.slack.socket().wait_for_connections(4).await;
            for _ in 0..20 {
                app.command(SHOW).await;
            }
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), 20);
        })
        .await;
}

/// Commands in progress are answered, and the connections closed.
#[tokio::test]
async fn a_shutdown_answers_what_has_come() {
    quick_socket_app()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let sending = app.send(SHOW);
            let meanwhile = async {
                app.kapso.wait_for_requests(1).await;
                app.begin_shutdown();
                app.wait_for_log("shutting down").await;
                app.kapso.release_stalled_requests();
            };
            let (sent, ()) = tokio::join!(sending, meanwhile);
            assert!(sent.message.is_some(), "{sent:?}");
            app.shut_down().await;
            assert!(app.slack.socket().connections().is_empty());
        })
        .await;
}

#[tokio::test]
async fn only_slacks_hosts_are_dialed() {
    let forbidden = [
        "wss://slack.com.example.com/link",
        "wss://notslack.com/link",
        "ws://wss.slack.com/link",
        "https://wss.slack.com/link",
        "wss://me@wss.slack.com/link",
        "wss://wss.slack.com:8443/link",
        "wss://127.0.0.1/link",
        "zebra",
    ];
    let fault = |address: &str| OpenFault::Body(json!({"ok": true, "url": format!("{address}?ticket=1")}).to_string());
    quick_socket_app()
        .without_waiting_for_socket()
        .failing_opens(forbidden.map(fault))
        .run(async |app| {
            app.slack.socket().wait_for_connections(2).await;
            let lines = app.wait_for_log_lines("could not be opened", forbidden.len()).await;
            let allowed = |line: &Value| {
                !matches!(
                    line["error"].as_str().unwrap(),
                    "Slack named an address that SLACK_SOCKET_HOSTS does not allow" | "Slack's response cannot be read"
                )
            };
            assert!(!lines.iter().any(allowed), "{lines:?}");
        })
        .await;
}

#[tokio::test]
async fn a_socket_that_has_panicked_is_not_ready() {
    let http = client_builder().build().unwrap();
    let slack = FakeSlack::start(port().await, http.clone(), SECRET.into(), Clock::system()).unwrap();
    slack.turn_on_socket_mode(APP_TOKEN);
    slack.socket().wait_patiently();
    let socket = SocketMode::new(Environment {
        http,
        api: format!("{}/", slack.api_url()).parse().unwrap(),
        token: APP_TOKEN.into(),
        hosts: vec![slack.socket().origin().parse().unwrap()],
        proxy: Proxy::default(),
        clock: Clock::system(),
        timing: Timing::standard(Duration::from_secs(2)).socket,
        handle: Box::new(|_| Box::pin(async { panic!("planted") })),
        observe: Box::new(|_| {}),
        admit_line: Box::new(|_| None),
    });
    let socket = Arc::new(socket.unwrap());
    let running = tokio::spawn({
        let socket = Arc::clone(&socket);
        async move { socket.run(&CancellationToken::new()).await }
    });
    slack.socket().wait_for_connections(2).await;
    let payload = json!({"command": "/sandbox"});
    let ended = tokio::select! {
        ended = running => ended,
        acknowledged = slack.socket().deliver("slash_commands", &payload, true) => panic!("{acknowledged:?}"),
    };
    assert!(ended.unwrap_err().is_panic());
    assert_eq!(
        socket.problem().as_deref(),
        Some("the socket to Slack is closed: it has failed; restart the service")
    );
}

#[test]
fn an_entry_of_slack_socket_hosts_allows_a_domain_over_wss_or_an_origin() {
    let allows = |entry: &str, url: &str| entry.parse::<SocketHost>().unwrap().allows(&url.parse().unwrap());
    assert!(allows("slack.com", "wss://slack.com/link"));
    assert!(allows("slack.com", "wss://wss-primary.slack.com/link/?ticket=1"));
    assert!(allows("slack.com", "wss://wss-primary.slack.com:443/link"));
    assert!(!allows("slack.com", "ws://wss.slack.com/link"));
    assert!(!allows("slack.com", "wss://xslack.com/link"));
    assert!(!allows("slack.com", "wss://slack.com.evil.com/link"));
    assert!(!allows("slack.com", "wss://user@slack.com/link"));
    assert!(!allows("slack.com", "wss://slack.com./link"));
    assert!(allows("ws://127.0.0.1:4000", "ws://127.0.0.1:4000/link"));
    assert!(!allows("ws://127.0.0.1:4000", "ws://127.0.0.1:4001/link"));
    assert!(!allows("ws://127.0.0.1:4000", "ws://127.0.0.1.example.com:4000/link"));
    for entry in [
        "com",
        "*.slack.com",
        ".slack.com",
        "slack.com.",
        "http://slack.com",
        "ws://a/b",
        "127.0.0.1",
        "",
    ] {
        assert!(entry.parse::<SocketHost>().is_err(), "{entry}");
    }
}

#[tokio::test]
async fn every_series_of_the_socket_is_at_zero_from_the_start() {
    crate::support::with_app(async |app: &mut TestApp| {
        let metrics = app.metrics().await;
        for reason in Reason::COUNTED {
            assert_eq!(reconnects(&metrics, reason.name()), 0);
        }
        assert_eq!(value(&metrics, "kapso_slack_socket_connections "), 0);
        assert_eq!(value(&metrics, "kapso_slack_socket_redeliveries_total "), 0);
    })
    .await;
}

/// The reply that was lost went into the acknowledgement of the second delivery, and Slack has received that one.
#[tokio::test]
async fn a_lost_reply_is_sent_once_more_and_not_again() {
    quick_socket_app()
        .run(async |app| {
            app.slack.socket().fault_all(&SocketFault::Deaf);
            let sending = app.command(SHOW);
            let meanwhile = async {
                app.wait_for_commands(1).await;
                app.slack.socket().fault_all(&SocketFault::Drop);
            };
            let (card, ()) = tokio::join!(sending, meanwhile);
            let pings = app.slack.socket().pings();
            app.slack
                .socket()
                .wait_until(|socket| (socket.pings() >= pings + 6).then_some(()))
                .await;
            assert_eq!(app.slack.redeliver_command(card.exchange).await, Some(Vec::new()));
        })
        .await;
}

/// Why an attempt failed is not said any more once a later one has succeeded.
#[tokio::test]
async fn an_old_failure_is_not_given_as_the_reason() {
    let bad_gateway = || OpenFault::Status(http::StatusCode::BAD_GATEWAY);
    quick_socket_app()
        .without_waiting_for_socket()
        .failing_opens([bad_gateway(), bad_gateway()])
        .run(async |app| {
            app.wait_for_log_lines("a socket connection to Slack is open", 2).await;
            let socket = app.slack.socket();
            for _ in 0..100 {
                socket.fail_next_open(OpenFault::NoHello);
            }
            socket.fault_all(&SocketFault::Drop);
            app.wait_for_log_lines("\"reason\":\"closed\"", 2).await;
            let (status, why) = app.readiness().await;
            assert_eq!(
                (status.as_str(), why.as_str()),
                ("disconnected", "the socket to Slack is not open yet")
            );
        })
        .await;
}

/// Slack sends an envelope before it reads the ping of a connection that has been replaced.
#[tokio::test]
async fn what_slack_has_sent_to_a_replaced_connection_is_handled() {
    quick_socket_app()
        .set(|settings| settings.timing.socket.close = Duration::from_secs(10))
        .run(async |app| {
            let socket = app.slack.socket();
            let old = socket.connections()[0];
            socket.fault(old, SocketFault::Deaf);
            socket.fault(old, SocketFault::Disconnect("warning"));
            app.wait_for_log_lines("a socket connection to Slack is open", 3).await;
            let envelope = json!({
                "envelope_id": "envelope-1", "type": "slash_commands", "accepts_response_payload": true,
                "payload": {"command": "/sandbox", "text": "help"},
            });
            socket.send_text(old, envelope.to_string());
            app.wait_for_commands(1).await;
            socket.fault(old, SocketFault::Drop);
            socket.wait_for_connections(2).await;
        })
        .await;
}

#[tokio::test]
async fn every_reason_is_given_why_the_service_is_not_ready() {
    quick_socket_app()
        .without_waiting_for_socket()
        .with("DATABASE_URL", "sqlite:///nowhere/jobs.db")
        .failing_opens([OpenFault::NoHello, OpenFault::NoHello])
        .run(async |app| {
            app.wait_for_log("the store does not work; replies are stored in memory only")
                .await;
            let (code, body) = app.get("/readyz").await;
            assert_eq!(code, 503);
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["status"], "disconnected");
            let why = |index: usize| body["why"][index].as_str().unwrap_or_default();
            assert!(why(0).starts_with("the socket to Slack is not open"), "{body}");
            assert!(why(1).starts_with("the database file cannot be opened"), "{body}");
            app.slack.socket().wait_for_connections(2).await;
        })
        .await;
}

#[tokio::test]
async fn a_flood_of_what_the_app_does_not_handle_does_not_fill_the_log() {
    quick_socket_app()
        .run(async |app| {
            let socket = app.slack.socket();
            for connection in socket.connections() {
                for _ in 0..50 {
                    socket.send_text(connection, "zebra");
                }
            }
            for _ in 0..50 {
                for (kind, payload) in [
                    ("slash_commands", json!(null)),
                    ("events_api", json!({})),
                    ("interactive", json!({"type": "view_submission"})),
                ] {
                    assert_eq!(socket.deliver(kind, &payload, true).await, Some(Vec::new()));
                }
            }
            app.shut_down().await;
            for message in [
                "Slack sent a frame on the socket that this app does not know",
                "Slack sent a command on the socket that this app cannot read",
                "Slack sent an envelope that this app does not handle",
                "Slack sent an interaction that this app does not handle",
            ] {
                let count = app.log_lines().iter().filter(|line| line["message"] == message).count();
                assert_eq!(count, 20, "{message}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_connection_that_is_left_works_when_no_new_ones_are_opened() {
    quick_socket_app()
        .run(async |app| {
            app.expect_complaint("no new socket connections to Slack are opened");
            app.expect_complaint("the socket to Slack stays closed");
            app.wait_for_store().await;
            let socket = app.slack.socket();
            let connections = socket.connections();
            socket.fail_next_open(OpenFault::Error("invalid_auth"));
            socket.fault(connections[0], SocketFault::Drop);
            let line = app
                .wait_for_log("no new socket connections to Slack are opened; restart the service when this is mended")
                .await;
            assert_eq!(line["open"], 1);
            assert_eq!(app.readiness().await.0, "ready");
            app.command(SHOW).await;
            socket.fail_next_open(OpenFault::Error("invalid_auth"));
            socket.fault(connections[1], SocketFault::Drop);
            app.wait_for_log("the socket to Slack stays closed; restart the service when this is mended")
                .await;
            assert_eq!(app.readiness().await.0, "disconnected");
        })
        .await;
}
