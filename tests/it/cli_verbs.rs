//! The program's other verbs: `healthcheck`, `manifest`, `doctor`, `demo`.

use kapso_slack::app::client_builder;
use serde_json::Value;
use url::Url;

use crate::support::program::{Fakes, Program, program};
use crate::support::wire::{ClosedPort, ScriptedResponse, ScriptedServer};
use crate::support::{ID, KEY, port};

#[tokio::test]
async fn healthcheck_says_whether_the_service_is_alive() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service().start();
    let app = service.wait_until_listening().await;
    let port = app.port().unwrap().to_string();
    for host in ["127.0.0.1", "0.0.0.0", "localhost", ""] {
        let ended = program(&["healthcheck"])
            .with("PORT", &port)
            .with("HOST", host)
            .wait_for_exit()
            .await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{host}");
    }
    service.send_signal("TERM").await;
    service.wait_for_exit().await;
    let ended = program(&["healthcheck"]).with("PORT", &port).wait_for_exit().await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains(&format!("127.0.0.1:{port} does not answer: ")),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn healthcheck_fails_for_other_programs_on_the_port() {
    let wire = ScriptedServer::start().await;
    for script in [
        ScriptedResponse::answer("404 Not Found", ""),
        ScriptedResponse::answer("503 Service Unavailable", ""),
        ScriptedResponse::answer("200 OK", "").before_any_request(),
        ScriptedResponse::bytes("SSH-2.0-OpenSSH_9.9\r\n"),
        ScriptedResponse::bytes("").then_reset(),
        ScriptedResponse::bytes("").then_hang(),
    ] {
        let healthy = format!("{script:?}").contains("immediate: true");
        wire.respond(script.clone());
        let port = wire.url.port().unwrap().to_string();
        let ended = program(&["healthcheck"]).with("PORT", &port).wait_for_exit().await;
        assert_eq!(ended.code, Some(i32::from(!healthy)), "{script:?}: {ended:?}");
        assert_eq!(ended.stdout, "");
    }
    let closed = ClosedPort::bind().unwrap();
    let ended = program(&["healthcheck"])
        .with("PORT", &closed.address.port().to_string())
        .wait_for_exit()
        .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ended = program(&["healthcheck"]).with("PORT", "eighty").wait_for_exit().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("PORT: is not a port"), "{}", ended.stderr);
}

/// The manifest on standard output, and the one in the link on standard error.
async fn manifests(program: Program) -> (Value, Value) {
    let ended = program.wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let link = ended
        .stderr
        .lines()
        .find(|line| line.starts_with("https://"))
        .expect("a link");
    let link: Url = link.parse().unwrap();
    assert!(
        link.as_str()
            .starts_with("https://api.slack.com/apps?new_app=1&manifest_json="),
        "{link}"
    );
    let (_, linked) = link.query_pairs().find(|(name, _)| name == "manifest_json").unwrap();
    (
        serde_json::from_str(&ended.stdout).unwrap(),
        serde_json::from_str(&linked).unwrap(),
    )
}

#[tokio::test]
async fn manifest_prints_the_manifest_and_the_link_that_creates_the_app() {
    let (printed, linked) = manifests(program(&["manifest", "--url", "https://sandbox.acme.example"])).await;
    assert_eq!(printed, linked);
    let command = &printed["features"]["slash_commands"][0];
    assert_eq!(command["command"], "/sandbox");
    assert_eq!(command["url"], "https://sandbox.acme.example/slack/commands");
    let interactivity = &printed["settings"]["interactivity"];
    assert_eq!(
        interactivity["request_url"],
        "https://sandbox.acme.example/slack/interactions"
    );
    assert_eq!(
        printed["oauth_config"]["scopes"],
        serde_json::json!({"bot": ["commands"]})
    );
}

#[tokio::test]
async fn manifest_for_an_app_with_direct_messages() {
    for arguments in [
        &["manifest", "--socket", "--bot"][..],
        &["manifest", "--url", "https://sandbox.acme.example", "--bot"],
    ] {
        let (printed, linked) = manifests(program(arguments)).await;
        assert_eq!(printed, linked);
        assert_eq!(
            printed["oauth_config"]["scopes"],
            serde_json::json!({"bot": ["commands", "chat:write"]})
        );
        let tab = serde_json::json!({"messages_tab_enabled": true, "messages_tab_read_only_enabled": true});
        assert_eq!(printed["features"]["app_home"], tab);
    }
}

#[tokio::test]
async fn manifest_reads_its_defaults_from_the_environment() {
    let configured = || {
        program(&["manifest"])
            .with("PUBLIC_URL", "https://sandbox.acme.example/behind/")
            .with("SLACK_COMMAND", "/wa-sandbox")
    };
    let (printed, _) = manifests(configured()).await;
    let command = &printed["features"]["slash_commands"][0];
    assert_eq!(command["command"], "/wa-sandbox");
    assert_eq!(command["url"], "https://sandbox.acme.example/behind/slack/commands");

    let arguments = ["manifest", "--url", "https://other.example"];
    let (printed, _) = manifests(program(&arguments).with("PUBLIC_URL", "https://sandbox.acme.example")).await;
    assert_eq!(
        printed["features"]["slash_commands"][0]["url"],
        "https://other.example/slack/commands"
    );
}

#[tokio::test]
async fn manifest_for_socket_mode_needs_no_address() {
    let arguments = ["manifest", "--socket"];
    let program = program(&arguments)
        .with("PUBLIC_URL", "https://sandbox.acme.example")
        .with("SLACK_COMMAND", "/wa-sandbox");
    let (printed, linked) = manifests(program).await;
    assert_eq!(printed, linked);
    assert_eq!(printed["settings"]["socket_mode_enabled"], true);
    assert_eq!(printed["features"]["slash_commands"][0]["command"], "/wa-sandbox");
    assert!(!printed.to_string().contains("https://"), "{printed}");
}

#[tokio::test]
async fn both_manifests_have_a_bot_user_and_ask_for_one_scope() {
    for arguments in [
        &["manifest", "--socket"][..],
        &["manifest", "--url", "https://sandbox.acme.example"],
    ] {
        let (printed, _) = manifests(program(arguments)).await;
        assert_eq!(printed["features"]["bot_user"]["display_name"], "whatsapp-sandbox");
        assert_eq!(
            printed["oauth_config"]["scopes"],
            serde_json::json!({"bot": ["commands"]})
        );
    }
}

#[tokio::test]
async fn a_manifest_is_for_one_way_in() {
    let arguments = ["manifest", "--socket", "--url", "https://sandbox.acme.example"];
    let ended = program(&arguments).wait_for_exit().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("--socket"), "{}", ended.stderr);
}

const NOT_PUBLIC: &str =
    "kapso-slack: a manifest needs an address that Slack can reach, not one of this machine or a private network\n";

#[tokio::test]
async fn manifest_requires_an_https_address() {
    for (arguments, says) in [
        (
            &["manifest"][..],
            "kapso-slack: the address at which Slack reaches the service is missing: add --url https://… (or set PUBLIC_URL), or --socket for Socket Mode, which needs none\n",
        ),
        (
            &["manifest", "--url", "zebra"],
            "kapso-slack: --url is not an address such as https://sandbox.example.com\n",
        ),
        (
            &["manifest", "--url", "http://sandbox.example.com"],
            "kapso-slack: --url must be an https address without user, query and fragment: Slack reaches no other\n",
        ),
        (
            &["manifest", "--url", "http://127.0.0.1:8080"],
            "kapso-slack: a manifest needs an https address: Slack reaches no other\n",
        ),
        (&["manifest", "--url", "https://localhost"], NOT_PUBLIC),
        (&["manifest", "--url", "https://sandbox.localhost.:8443"], NOT_PUBLIC),
        (&["manifest", "--url", "https://127.0.0.1"], NOT_PUBLIC),
        (&["manifest", "--url", "https://[::1]"], NOT_PUBLIC),
        (&["manifest", "--url", "https://192.168.1.5"], NOT_PUBLIC),
        (&["manifest", "--url", "https://[fd00::1]"], NOT_PUBLIC),
        (&["manifest", "--url", "https://0.0.0.0"], NOT_PUBLIC),
    ] {
        let ended = program(arguments).wait_for_exit().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(ended.stderr, says, "{arguments:?}");
    }
}

/// `doctor` for a set-up between fakes; Slack's API does not know its methods, so that nothing of it is checked.
fn doctor(fakes: &Fakes, arguments: &[&str]) -> Program {
    program(arguments)
        .with("SLACK_SIGNING_SECRET", "8f742231b10e8888abcd99aaabbb85a5")
        .with("KAPSO_API_KEY", KEY)
        .with("KAPSO_BASE_URL", fakes.kapso.base_url().as_str())
        .with("SLACK_RESPONSE_HOSTS", &fakes.slack.origin())
        .with("SLACK_API_URL", &fakes.slack.origin())
}

#[tokio::test]
async fn doctor_says_what_is_wrong_and_how_to_mend_it() {
    let fakes = Fakes::start().await;
    let ended = doctor(&fakes, &["doctor"]).wait_for_exit().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(
        ended
            .stdout
            .starts_with("ok       configuration: all settings are valid\n"),
        "{ended:?}"
    );
    assert!(ended.stdout.ends_with("\n0 problems, 0 warnings"), "{ended:?}");

    let ended = doctor(&fakes, &["doctor"])
        .with("KAPSO_API_KEY", "another-key")
        .with("DATABASE_URL", "sqlite::memory:")
        .wait_for_exit()
        .await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    let finding = "problem  kapso: Kapso refuses the API key (status 401)\n         Why: No session can be looked up.\n         \
                   Fix: Copy the key from the project's settings in Kapso to KAPSO_API_KEY, and restart.";
    assert!(ended.stdout.contains(finding), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("\n1 problem, 1 warning"), "{}", ended.stdout);
}

#[tokio::test]
async fn doctor_reports_to_programs_as_json() {
    let fakes = Fakes::start().await;
    let ended = doctor(&fakes, &["doctor", "--json"])
        .with("PORT", "none")
        .with("HOST", "none")
        .wait_for_exit()
        .await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["healthy"], false);
    let check = &report["checks"][0];
    assert_eq!(
        (&check["check"], &check["result"]),
        (&"configuration".into(), &"problem".into())
    );
    let findings = check["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2, "{report}");
    for finding in findings {
        assert_eq!(finding["finding"], "configuration_invalid");
        assert_eq!(finding["severity"], "problem");
        for part in ["what", "why", "fix"] {
            assert!(!finding[part].as_str().unwrap().is_empty(), "{finding}");
        }
    }
    let ended = doctor(&fakes, &["doctor", "--json"]).wait_for_exit().await;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &report["healthy"]), (Some(0), &true.into()), "{report}");
}

#[tokio::test]
async fn an_unknown_verb_gets_a_suggestion() {
    let ended = program(&["serv"]).wait_for_exit().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("'serve'"), "{}", ended.stderr);
    let ended = program(&["--help"]).wait_for_exit().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for verb in ["serve", "demo", "manifest", "doctor", "healthcheck"] {
        assert!(
            ended.stdout.contains(&format!("\n  {verb} ")),
            "{verb}: {}",
            ended.stdout
        );
    }
}

/// The demo in an environment with invalid variables, which it must ignore.
fn demo(arguments: &[&str]) -> Program {
    [
        ("SLACK_SIGNING_SECRET", "changeme"),
        ("SLACK_SIGNING_SECRET_FILE", "/nowhere"),
        ("KAPSO_API_KEY", ""),
        ("KAPSO_BASE_URL", "http://kapso.invalid/api/v1"),
        ("SLACK_RESPONSE_HOSTS", "hooks.slack.invalid"),
        ("SLACK_COMMAND", "zebra"),
        ("ALLOWED_USERS", "nobody"),
        ("REPLY_BUDGET_MS", "never"),
        ("DATABASE_URL", "zebra:"),
        ("HOST", "nowhere"),
        ("PORT", "none"),
        ("METRICS_ADDR", "zebra"),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("https_proxy", "http://127.0.0.1:1"),
        ("NO_PROXY", "zebra"),
    ]
    .into_iter()
    .fold(program(arguments), |program, (name, value)| program.with(name, value))
    .file(".env", "KAPSO_API_KEY='zebra\nSLACK_COMMAND=zebra\n")
}

#[tokio::test]
async fn the_demo_needs_no_configuration_and_accepts_commands_from_another_process() {
    let mut demo_process = demo(&["demo", "--port", "0"]).start();
    let typing = demo_process.wait_for_line(" --type ").await;
    let port = typing
        .split_once("--port ")
        .and_then(|(_, rest)| rest.split_once(' '))
        .expect("a port")
        .0;
    demo_process.wait_for_line("Press Ctrl-C to stop.").await;
    demo_process.wait_for_line(&format!("> /sandbox {ID}")).await;
    demo_process.wait_for_line("    WHATSAPP SANDBOX SESSION").await;
    demo_process.wait_for_line("    🟡 Waiting for activation").await;
    demo_process
        .wait_for_line("[ Activate in WhatsApp → https://wa.me/")
        .await;
    demo_process
        .wait_for_line("    There is no session no-such-session in this app's Kapso project.")
        .await;
    demo_process.wait_for_line("    🟢 Active").await;
    demo_process.wait_for_line("Try more in the playground").await;
    let state = client_builder().build().unwrap();
    let state = state
        .get(format!("http://127.0.0.1:{port}/state"))
        .send()
        .await
        .unwrap();
    let state: Value = serde_json::from_str(&state.text().await.unwrap()).unwrap();
    let conversation = state["conversation"].as_array().unwrap();
    assert_eq!(conversation.len(), 1, "the page opens on one card: {conversation:?}");
    assert_eq!(conversation[0]["act"]["typed"], format!("/sandbox {ID}"));

    for (command, reads) in [
        ("/sandbox expired", "⚫ Expired"),
        ("/sandbox superseded", "🔵 Superseded"),
        ("/sandbox in-a-new-state", "⚪ Status: paused_by_operator"),
        ("/sandbox pending-for-an-hour", "created an hour ago"),
        ("/sandbox shwo", "Did you mean /sandbox show?"),
        ("/sandbox", "/sandbox show <session id>"),
    ] {
        let ended = demo(&["demo", "--port", port, "--type", command]).wait_for_exit().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{command}");
        assert!(ended.stdout.contains(reads), "{command}: {}", ended.stdout);
    }
    let ended = demo(&["demo", "--port", port, "--type", "sandbox help"])
        .wait_for_exit()
        .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("a command begins with a slash"),
        "{}",
        ended.stderr
    );

    demo_process.send_signal("INT").await;
    let ended = demo_process.wait_for_exit().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let taken = port().await;
    let taken = taken.local_addr().unwrap().port().to_string();
    let ended = program(&["demo", "--port", &taken]).wait_for_exit().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended
            .stderr
            .starts_with(&format!("kapso-slack: cannot listen on 127.0.0.1:{taken} (")),
        "{ended:?}"
    );
    assert!(ended.stderr.ends_with("; try another one with --port\n"), "{ended:?}");
}

#[tokio::test]
async fn typing_without_a_running_demo_is_a_clear_error() {
    let closed = ClosedPort::bind().unwrap();
    let port = closed.address.port().to_string();
    let ended = program(&["demo", "--port", &port, "--type", "/sandbox help"])
        .wait_for_exit()
        .await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        ended.stderr,
        format!("kapso-slack: no demo is running on port {port}; start one with `kapso-slack demo`\n")
    );
}

#[tokio::test]
async fn the_demo_runs_over_the_socket() {
    let mut demo_process = demo(&["demo", "--socket", "--port", "0"]).start();
    demo_process
        .wait_for_line("Commands and button presses come through Socket Mode.")
        .await;
    demo_process.wait_for_line("    🟡 Waiting for activation").await;
    demo_process.wait_for_line("    🟢 Active").await;
    demo_process.send_signal("INT").await;
    let ended = demo_process.wait_for_exit().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}
