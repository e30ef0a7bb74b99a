//! The real program as a service: it rejects a bad configuration, serves, and shuts down on a signal.

use std::time::Duration;

use futures_util::future::join_all;
use kapso_slack::demo::{Fault, plain};
use serde_json::Value;

use crate::support::program::{Fakes, program};
use crate::support::wire::{ClosedPort, ScriptedResponse, ScriptedServer};
use crate::support::{ID, KEY, SECRET, port};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

#[tokio::test]
async fn it_does_not_start_without_secrets() {
    for arguments in [&[][..], &["serve"]] {
        let ended = program(arguments).wait_for_exit().await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stdout, "");
        insta::allow_duplicates! {
            insta::assert_snapshot!("it_does_not_start_without_secrets", ended.stderr);
        }
    }
}

#[tokio::test]
async fn all_problems_are_printed_without_secrets() {
    let ended = program(&[])
        .with("SLACK_SIGNING_SECRET", "zebra zebra")
        .with("KAPSO_API_KEY", "your-zebra")
        .with("PORT", "eighty")
        .with("RUST_LOG", "kapso_slack=loud")
        .with("LOG_FORMAT", "xml")
        .wait_for_exit()
        .await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout, "");
    for name in [
        "SLACK_SIGNING_SECRET",
        "KAPSO_API_KEY",
        "PORT",
        "RUST_LOG",
        "LOG_FORMAT",
    ] {
        assert!(
            ended.stderr.contains(&format!("\n  {name}: ")),
            "{name}: {}",
            ended.stderr
        );
    }
    assert!(!ended.stderr.contains("zebra"), "{}", ended.stderr);
}

#[tokio::test]
async fn it_answers_a_signed_command() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service().with("RUST_LOG", "trace").start();
    let app = service.wait_until_listening().await;
    let card = fakes.command_text(&app, SHOW).await;
    assert!(card.contains("🟡 Waiting for activation"), "{card}");
    assert!(
        card.contains("[ Activate in WhatsApp → https://wa.me/12345678901?text=ABC123 ]"),
        "{card}"
    );
    assert!(card.ends_with(&format!("Session {ID}")), "{card}");

    service.send_signal("TERM").await;
    let ended = service.wait_for_exit().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(
        // Shutdown waits up to 6.5 s where replies are pending.
        ended.took < Duration::from_secs(6),
        "nothing was pending: {:?}",
        ended.took
    );
    let log: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        log.iter().filter(|line| line["message"] == "command").count(),
        1,
        "{log:?}"
    );
    for line in &log {
        let target = line["target"].as_str().unwrap();
        assert!(target.starts_with("kapso_slack"), "a library's line: {line}");
    }
    for secret in [SECRET, KEY, "/response/", "ABC123", "12345678901", "wa.me"] {
        assert!(
            !ended.stdout.contains(secret),
            "{secret} is in the log: {}",
            ended.stdout
        );
    }
}

#[tokio::test]
async fn the_log_can_be_text() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service().with("LOG_FORMAT", "text").start();
    let line = service.wait_for_line("listening").await;
    assert!(line.contains(" INFO "), "{line}");
    assert!(line.contains("address=127.0.0.1:"), "{line}");
    assert!(!line.contains('{') && !line.contains('\u{1b}'), "{line}");
    service.send_signal("INT").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}

#[tokio::test]
async fn dot_env_is_read_and_the_environment_takes_precedence() {
    let fakes = Fakes::start().await;
    let file = format!(
        "# Secrets for development\nSLACK_SIGNING_SECRET={SECRET}\nexport KAPSO_API_KEY=\"{KEY}\"\n\
         PORT=1\nSLACK_COMMAND=/from-the-file\nREPLY_BUDGET_MS=never\n"
    );
    let mut service = fakes
        .service_without_secrets()
        .file(".env", &file)
        .with("SLACK_COMMAND", "/from-the-environment")
        .with("REPLY_BUDGET_MS", "")
        .start();
    let app = service.wait_until_listening().await;
    let help = fakes.command_text(&app, "/sandbox help").await;
    assert!(help.contains("/from-the-environment <session id>"), "{help}");
    assert!(fakes.command_text(&app, SHOW).await.contains("Waiting for activation"));
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}

#[tokio::test]
async fn an_unreadable_dot_env_is_reported_and_not_quoted() {
    let ended = program(&[])
        .file(".env", "SLACK_SIGNING_SECRET='zebra\n")
        .wait_for_exit()
        .await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("\n  .env: line 1 cannot be read and was skipped\n"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("zebra"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let taken = port().await;
    let address = taken.local_addr().unwrap();
    let fakes = Fakes::start().await;
    let on_port = fakes
        .service()
        .with("PORT", &address.port().to_string())
        .wait_for_exit()
        .await;
    let with_metrics = fakes
        .service()
        .with("METRICS_ADDR", &address.to_string())
        .wait_for_exit()
        .await;
    for (ended, says) in [
        (on_port, format!("HOST, PORT: cannot listen on {address}: ")),
        (with_metrics, format!("METRICS_ADDR: cannot listen on {address}: ")),
    ] {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.starts_with(&format!("kapso-slack: {says}")), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

#[tokio::test]
async fn on_a_signal_it_delivers_pending_replies_and_exits() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service().with("REPLY_BUDGET_MS", "500").start();
    let app = service.wait_until_listening().await;
    fakes.kapso.set_fault(Some(Fault::Stall));
    let pending = join_all((0..50).map(async |n| {
        let id = format!("session-{n}");
        fakes.kapso.add_session(&id);
        let sent = fakes.send_command(&app, &format!("/sandbox {id}")).await;
        assert!(
            sent.status.is_some_and(|status| status == 200) && sent.message.is_none(),
            "{sent:?}"
        );
        sent.exchange
    }))
    .await;
    service.send_signal("TERM").await;
    service.wait_for_line("\"shutting down\"").await;
    let text = fakes.command_text(&app, SHOW).await;
    assert!(text.starts_with("The app is restarting."), "{text}");
    fakes.kapso.release_stalled_requests();
    for exchange in pending {
        let card = fakes.slack.wait_for_reply(exchange).await;
        assert!(
            plain::text(&card.message).contains("Waiting for activation"),
            "{card:?}"
        );
    }
    let ended = service.wait_for_exit().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(
        ended
            .stdout
            .ends_with("\"stopped; all replies were delivered\",\"target\":\"kapso_slack::app\"}"),
        "{}",
        ended.stdout
    );
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn on_a_signal_it_exits_within_8_s_whatever_kapso_does() {
    let fakes = Fakes::start().await;
    let mut service = fakes
        .service()
        .with("REPLY_BUDGET_MS", "100")
        // With a database in memory, no other process could deliver pending replies.
        .with("DATABASE_URL", "sqlite::memory:")
        .start();
    let app = service.wait_until_listening().await;
    fakes.kapso.set_fault(Some(Fault::Stall));
    let pending = join_all((0..10).map(async |n| {
        fakes
            .send_command(&app, &format!("/sandbox session-{n}"))
            .await
            .exchange
    }))
    .await;
    service.send_signal("TERM").await;
    let ended = service.wait_for_exit().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
    for exchange in pending {
        let text = plain::text(&fakes.slack.wait_for_reply(exchange).await.message);
        assert!(
            text.starts_with("Kapso did not answer. Nothing was changed; try again in a moment."),
            "{text}"
        );
    }
    assert_eq!(fakes.slack.conversation().len(), 10);
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_start_checks_the_network_and_the_clock_in_the_background() {
    let fakes = Fakes::start().await;
    let slack = ScriptedServer::start().await;
    let answer = ScriptedResponse::answer("404 Not Found\ndate: Mon, 23 Nov 2020 10:00:00 GMT", "");
    slack.respond(answer);
    let closed = ClosedPort::bind().unwrap();
    let mut service = fakes
        .service()
        .with("SLACK_RESPONSE_HOSTS", &slack.origin())
        .with("KAPSO_BASE_URL", &format!("http://{}/api/v1", closed.address))
        .start();
    let app = service.wait_until_listening().await;
    let mut found = Vec::new();
    for _ in 0..2 {
        let line = service.wait_for_line("a check at the start found a problem").await;
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["level"], "WARN");
        assert!(line["problem"].is_string() && line["fix"].is_string(), "{line}");
        found.push(line["finding"].as_str().unwrap().to_owned());
    }
    assert_eq!(found, ["no_connection", "clock_wrong"]);
    assert!(fakes.command_text(&app, "/sandbox help").await.contains("/sandbox"));
}

/// A host that does not answer delays neither the first command nor the shutdown.
#[tokio::test]
async fn the_checks_of_a_start_delay_nothing() {
    let fakes = Fakes::start().await;
    let slack = ScriptedServer::start().await;
    slack.respond(ScriptedResponse::bytes("").then_hang());
    let mut service = fakes.service().with("SLACK_RESPONSE_HOSTS", &slack.origin()).start();
    let app = service.wait_until_serving().await;
    slack.wait_for_requests(1).await;
    assert!(fakes.command_text(&app, "/sandbox help").await.contains("/sandbox"));
    assert_eq!(fakes.kapso.requests(), Vec::<String>::new(), "no request with the key");
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}
