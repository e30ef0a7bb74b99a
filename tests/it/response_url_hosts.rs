//! A `response_url` that leads anywhere but to Slack is never posted to, and whoever asked is answered all the same.

use futures_util::future::join_all;
use jiff::Timestamp;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::config::Environment;
use kapso_slack::demo::{Fault, plain};
use kapso_slack::dispatch::Outgoing;
use kapso_slack::slack::response_url::ResponseUrlClient;
use serde_json::{Value, json};

use crate::support::raw_request::Reply;
use crate::support::wire::ScriptedServer;
use crate::support::{ID, KEY, SECRET, test_app, with_app};

/// A client with the hosts of this `SLACK_RESPONSE_HOSTS`.
fn client(hosts: &str) -> ResponseUrlClient {
    let variables = [
        ("SLACK_SIGNING_SECRET", SECRET),
        ("KAPSO_API_KEY", KEY),
        ("SLACK_RESPONSE_HOSTS", hosts),
    ];
    let environment = Environment::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let settings = environment.settings().unwrap();
    let http = client_builder().build().unwrap();
    ResponseUrlClient::new(
        http,
        settings.response_hosts,
        Clock::system(),
        settings.timing.response_url,
    )
}

/// Addresses that lead elsewhere than to Slack's hosts, or could be made to.
const HOSTILE: [&str; 58] = [
    "",
    " ",
    "zebra",
    "/commands/T1/2/x",
    "//hooks.slack.com/commands/T1/2/x",
    "hooks.slack.com",
    "hooks.slack.com/commands/T1/2/x",
    "https://",
    "https:///",
    "https://?",
    "https://.",
    "https://:443/",
    "https://evil.example/commands/T1/2/x",
    "https://evil.example/hooks.slack.com",
    "https://evil.example/https://hooks.slack.com/",
    "https://evil.example?hooks.slack.com",
    "https://evil.example#hooks.slack.com",
    "https://evil.example\\hooks.slack.com",
    "https://evil.example\\@hooks.slack.com/",
    "https:\\\\evil.example\\hooks.slack.com",
    "https://evil.example/@hooks.slack.com",
    "https://slack.com/commands/T1/2/x",
    "https://api.slack.com/commands/T1/2/x",
    "https://x.hooks.slack.com/commands/T1/2/x",
    "https://hooks.slack.com.evil.example/commands/T1/2/x",
    "https://hooks-slack.com/commands/T1/2/x",
    "https://xhooks.slack.com/commands/T1/2/x",
    "https://hooks.slack.comx/commands/T1/2/x",
    "https://hooks.slack.co/commands/T1/2/x",
    "https://hooks.slack.com./commands/T1/2/x",
    "https://.hooks.slack.com/commands/T1/2/x",
    "https://hooks%2eslack.com.evil.example/",
    "https://hooks.slack.com%2eevil.example/",
    "https://hooks.slack.com%00.evil.example/",
    "https://hooks.slack.com%2f.evil.example/",
    "https://hооks.slack.com/commands/T1/2/x",
    "http://hooks.slack.com/commands/T1/2/x",
    "http://hooks.slack.com:443/commands/T1/2/x",
    "HTTP://HOOKS.SLACK.COM/commands/T1/2/x",
    "ftp://hooks.slack.com/commands/T1/2/x",
    "ws://hooks.slack.com/commands/T1/2/x",
    "wss://hooks.slack.com/commands/T1/2/x",
    "file://hooks.slack.com/etc/passwd",
    "file:///etc/passwd",
    "data:text/plain,hooks.slack.com",
    "javascript://hooks.slack.com/%0aalert(1)",
    "https://hooks.slack.com:8443/commands/T1/2/x",
    "https://hooks.slack.com:80/commands/T1/2/x",
    "https://hooks.slack.com:99999/commands/T1/2/x",
    "https://user@hooks.slack.com/commands/T1/2/x",
    "https://user:word@hooks.slack.com/commands/T1/2/x",
    "https://:word@hooks.slack.com/commands/T1/2/x",
    "https://hooks.slack.com@evil.example/commands/T1/2/x",
    "https://hooks.slack.com:x@evil.example/commands/T1/2/x",
    "https://127.0.0.1/commands/T1/2/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/commands/T1/2/x",
    "https://2130706433/commands/T1/2/x",
];

#[tokio::test]
async fn only_slacks_own_hosts_are_allowed() {
    let client = client("");
    for address in [
        "https://hooks.slack.com/commands/T1/2/x",
        "https://hooks.slack-gov.com/commands/T1/2/x",
        "HTTPS://HOOKS.SLACK.COM/commands/T1/2/x",
        "https://hooks.slack.com/actions/T1/2/x",
        "https://hooks.slack.com",
    ] {
        assert!(client.allows(&address.into()), "{address:?} is Slack's");
    }
    for address in HOSTILE {
        assert!(!client.allows(&address.into()), "{address:?} is not Slack's");
    }
}

#[tokio::test]
async fn an_origin_allows_only_itself() {
    let client = client("http://127.0.0.1:4000");
    for (address, allowed) in [
        ("http://127.0.0.1:4000/response/1", true),
        ("http://127.0.0.1:4001/response/1", false),
        ("http://127.0.0.1/response/1", false),
        ("https://127.0.0.1:4000/response/1", false),
        ("http://localhost:4000/response/1", false),
        ("http://user@127.0.0.1:4000/response/1", false),
        ("http://127.0.0.1:4000@evil.example/response/1", false),
        ("http://127.0.0.1:4000.evil.example/response/1", false),
        ("https://hooks.slack.com/commands/T1/2/x", false),
    ] {
        assert_eq!(client.allows(&address.into()), allowed, "{address}");
    }
}

#[test]
fn debug_output_hides_the_response_url() {
    let address = "https://hooks.slack.com/commands/T1/2/zebra";
    let shown = format!("{:?}", Outgoing::new(address.into(), Timestamp::now(), "C1"));
    assert!(shown.starts_with("Outgoing"), "{shown}");
    assert!(!shown.contains("zebra") && !shown.contains("hooks"), "{shown}");
}

#[tokio::test]
async fn without_an_allowed_response_url_the_end_of_the_budget_is_an_error() {
    let trap = ScriptedServer::start().await;
    test_app()
        .with_short_budget()
        .run(async |app| {
            let trapped = trap.url.authority();
            let slack = app.slack.origin().replace("http://", "");
            let traps = [
                format!("http://{trapped}/"),
                format!("http://{slack}@{trapped}/"),
                format!("http://user:{slack}@{trapped}/"),
                format!("http://{trapped}\\@{slack}/"),
                format!("http:\\\\{trapped}\\{slack}"),
                format!("http://{trapped}/http://{slack}/"),
                format!("http://{trapped}#@{slack}/"),
                format!("http://{trapped}?@{slack}/"),
                format!("http://user@{slack}/response/1"),
                format!("https://{slack}/response/1"),
                format!("http://localhost:{}/", trap.url.port().unwrap()),
            ];
            app.kapso.set_fault(Some(Fault::Stall));
            let addresses = HOSTILE.into_iter().chain(traps.iter().map(String::as_str)).map(Some);
            let answers = join_all(addresses.chain([None]).map(async |address| {
                let Reply { status, body, .. } = app.send_raw(&app.command_request(ID, address)).await;
                assert_eq!(status, 200, "{address:?}");
                let message: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{address:?}: {body:?}"));
                let text = plain::text(&message);
                assert!(text.starts_with("Kapso did not answer. "), "{address:?}: {text}");
                assert_eq!(message["response_type"], "ephemeral", "{address:?}");
            }))
            .await;

            let lines = app.wait_for_commands(answers.len()).await;
            assert_eq!(lines.len(), HOSTILE.len() + traps.len() + 1);
            for line in lines {
                assert_eq!(
                    (&line["outcome"], &line["answer"]),
                    (&json!("no_answer"), &json!("in_time"))
                );
            }
            app.kapso.release_stalled_requests();
            app.shut_down().await;
            assert_eq!(trap.requests(), Vec::<String>::new());
            assert_eq!(app.slack.post_count(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_reply_in_time_needs_no_response_url() {
    with_app(async |app| {
        let Reply { status, body, .. } = app.send_raw(&app.command_request(ID, None)).await;
        assert_eq!(status, 200);
        assert!(
            plain::text(&serde_json::from_str(&body).unwrap()).contains("Waiting for activation"),
            "{body}"
        );
        assert_eq!(app.wait_for_commands(1).await[0]["answer"], "in_time");
    })
    .await;
}
