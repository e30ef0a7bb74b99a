//! The settings from the environment: all problems are reported at once, each with its variable.

use std::time::Duration;

use insta::assert_snapshot;
use kapso_slack::config::Creators;

use crate::support::settings::{UNSET, problem, settings};

#[test]
fn only_the_two_secrets_are_required() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.kapso_base_url.as_str(), "https://app.kapso.ai/api/v1");
    assert_eq!(settings.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.command, "/sandbox");
    assert_eq!(settings.reply_budget, Duration::from_secs(2));
    assert_eq!(settings.response_hosts.len(), 2);
    assert_eq!(settings.metrics_addr, None);
    let everyone = [
        settings.access_lists.teams,
        settings.access_lists.channels,
        settings.access_lists.users,
    ];
    assert_eq!(everyone, [None, None, None]);
}

/// A variable, its problem, and values with that problem.
type Row = (&'static str, &'static str, &'static [&'static str]);

const BAD_VALUES: &[Row] = &[
    (
        "SLACK_SIGNING_SECRET",
        "is missing (set it, or set SLACK_SIGNING_SECRET_FILE to the path of a file that contains it; or set SLACK_APP_TOKEN instead, for Socket Mode)",
        &["", " \n"],
    ),
    (
        "SLACK_SIGNING_SECRET",
        "holds more than two secrets",
        &["a1b2,c3d4,e5f6", ",,", "a1b2,c3d4,"],
    ),
    (
        "SLACK_SIGNING_SECRET",
        "has nothing on one side of its comma",
        &["a1b2c3d4,", ",a1b2c3d4", ","],
    ),
    (
        "SLACK_SIGNING_SECRET",
        "holds characters that no signing secret has",
        &["a1b2 c3d4", "a1b2c3d4é", "a1b2\nc3d4", "a1b2,c3\u{0}d4"],
    ),
    (
        "KAPSO_API_KEY",
        "is missing (set it, or set KAPSO_API_KEY_FILE to the path of a file that contains it)",
        &["", "\t"],
    ),
    (
        "KAPSO_API_KEY",
        "holds characters that no API key has",
        &["a1b2\nc3d4", "a1b2 c3d4", "a1b2\u{0}", "a1b2é"],
    ),
    (
        "KAPSO_BASE_URL",
        "is not an address such as https://app.kapso.ai/api/v1",
        &["zebra", "app.kapso.ai/api/v1", "/api/v1", "https://"],
    ),
    (
        "KAPSO_BASE_URL",
        "must be an http or https address without user, query and fragment",
        &[
            "ftp://app.kapso.ai",
            "mailto:a@kapso.ai",
            "https://key@app.kapso.ai",
            "https://:key@app.kapso.ai",
            "https://app.kapso.ai?key=1",
            "https://app.kapso.ai#v1",
        ],
    ),
    (
        "KAPSO_BASE_URL",
        "must be https, because over http the key could be read in transit; http is allowed only on loopback",
        &[
            "http://app.kapso.ai/api/v1",
            "http://10.0.0.1",
            "http://localhost.kapso.ai",
            "http://[2001:db8::1]",
        ],
    ),
    (
        "HOST",
        "is not an IP address such as 0.0.0.0",
        &["zebra", "0.0.0.0:80", "256.0.0.1", "[::]"],
    ),
    (
        "PORT",
        "is not a port, 0 to 65535",
        &["zebra", "65536", "-1", "80 80", "8080/tcp"],
    ),
    (
        "PUBLIC_URL",
        "is not an address such as https://sandbox.example.com",
        &["zebra", "sandbox.example.com"],
    ),
    (
        "PUBLIC_URL",
        "must be an https address without user, query and fragment: Slack reaches no other",
        &[
            "http://sandbox.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "http://me@127.0.0.1",
            "https://sandbox.example.com?x",
            "https://me@sandbox.example.com",
        ],
    ),
    (
        "SLACK_COMMAND",
        "must be a slash and up to 31 lower-case letters, digits, - and _, such as /wa-sandbox",
        &[
            "sandbox",
            "/",
            "/Sandbox",
            "/sand box",
            "//sandbox",
            "/sändbox",
            "/a23456789012345678901234567890123",
        ],
    ),
    (
        "REPLY_BUDGET_MS",
        "is not a number of milliseconds from 100 to 2800; Slack waits for 3000",
        &["99", "2801", "2s", "-5", "2000.0", "99999999999999999999"],
    ),
    (
        "SLACK_RESPONSE_HOSTS",
        "lists no hosts; unset it to use Slack's own",
        &[",", ", ,"],
    ),
    (
        "ALLOWED_TEAMS",
        "lists no IDs; unset it to allow everyone",
        &[",", " , "],
    ),
    (
        "METRICS_ADDR",
        "is not an address with a port such as 127.0.0.1:9090",
        &["9090", ":9090", "localhost:9090"],
    ),
    ("LOG_FORMAT", "is neither text nor json", &["pretty", "JSON"]),
];

#[test]
fn a_bad_value_is_reported_with_what_it_should_be() {
    for (name, says, values) in BAD_VALUES {
        for value in *values {
            assert_eq!(problem(&[(name, value)]), format!("{name}: {says}"), "{name}={value:?}");
        }
    }
}

#[test]
fn a_bad_entry_of_a_list_is_quoted() {
    let host = "is neither a host such as hooks.slack.com nor an origin such as http://127.0.0.1:4000";
    for (name, says, entries) in [
        (
            "SLACK_RESPONSE_HOSTS",
            host,
            &[
                "https://hooks.slack.com/x",
                "hooks.slack.com:443",
                "127.0.0.1",
                "*.slack.com",
                ".slack.com",
                "ftp://hooks.slack.com",
                "http://a:b@127.0.0.1",
                "http://127.0.0.1?x",
            ][..],
        ),
        (
            "ALLOWED_TEAMS",
            "is not a Slack ID such as T012AB3CD",
            &["t012ab3cd", "C012AB3CD", "acme.slack.com", "T"],
        ),
        (
            "ALLOWED_CHANNELS",
            "is not a Slack ID such as C012AB3CD",
            &["#general", "C012ab3cd", "C012AB3CD general", "U012AB3CD"],
        ),
        (
            "ALLOWED_USERS",
            "is not a Slack ID such as U012AB3CD",
            &["@steve", "*", "u012ab3cd", "<@U012AB3CD>"],
        ),
        (
            "CREATE_USERS",
            "is not a Slack ID such as U012AB3CD",
            &["@steve", "**", "everyone", "<@U012AB3CD>"],
        ),
    ] {
        for entry in entries {
            let good = if name == "SLACK_RESPONSE_HOSTS" {
                "hooks.slack.com"
            } else {
                ""
            };
            let list = format!("{good},{entry}");
            let problems = settings(&[(name, &list)]).unwrap_err();
            assert!(
                problems.contains(&format!("\n  {name}: `{entry}` {says}")),
                "{name}={list}: {problems}"
            );
        }
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = settings(&[
        ("SLACK_SIGNING_SECRET", "a1b2c3d4,,e5f6a7b8"),
        ("KAPSO_API_KEY", UNSET),
        ("KAPSO_BASE_URL", "http://kapso.example"),
        ("HOST", "everywhere"),
        ("PORT", "http"),
        ("PUBLIC_URL", "http://sandbox.example.com"),
        ("SLACK_COMMAND", "sandbox"),
        ("REPLY_BUDGET_MS", "3000"),
        ("SLACK_RESPONSE_HOSTS", "hooks.slack.com,:"),
        ("ALLOWED_TEAMS", "acme,T012AB3CD,initech"),
        ("ALLOWED_CHANNELS", "general"),
        ("ALLOWED_USERS", "steve"),
        ("CREATE_USERS", "*,steve"),
        ("METRICS_ADDR", "9090"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "kapso_slack=loud"),
    ])
    .unwrap_err();
    assert_snapshot!("all_problems_are_reported_at_once", problems);
}

#[test]
fn a_blank_variable_is_unset_and_values_are_trimmed() {
    let blank = [
        "KAPSO_BASE_URL",
        "HOST",
        "PORT",
        "PUBLIC_URL",
        "SLACK_COMMAND",
        "REPLY_BUDGET_MS",
        "SLACK_RESPONSE_HOSTS",
        "ALLOWED_TEAMS",
        "ALLOWED_CHANNELS",
        "ALLOWED_USERS",
        "CREATE_USERS",
        "METRICS_ADDR",
        "LOG_FORMAT",
        "RUST_LOG",
        "SLACK_SIGNING_SECRET_FILE",
        "KAPSO_API_KEY_FILE",
    ]
    .map(|name| (name, " \t"));
    let unset = format!("{:?}", settings(&[]).unwrap());
    assert_eq!(format!("{:?}", settings(&blank).unwrap()), unset);

    let settings = settings(&[
        ("HOST", " 127.0.0.1 "),
        ("PORT", "\t9000\n"),
        ("ALLOWED_TEAMS", " T012AB3CD , E012AB3CD,, "),
        ("ALLOWED_CHANNELS", "C012AB3CD,G012AB3CD,D012AB3CD"),
        ("ALLOWED_USERS", "U012AB3CD,W012AB3CD"),
        ("CREATE_USERS", " * "),
        (
            "SLACK_RESPONSE_HOSTS",
            "hooks.slack.com, http://127.0.0.1:4000 ,http://127.0.0.1:4001/",
        ),
        ("METRICS_ADDR", "[::1]:9090"),
        ("REPLY_BUDGET_MS", "2800"),
        ("SLACK_COMMAND", "/wa-sandbox_2"),
    ])
    .unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(settings.access_lists.teams.unwrap(), ["T012AB3CD", "E012AB3CD"]);
    assert_eq!(
        settings.access_lists.channels.unwrap(),
        ["C012AB3CD", "G012AB3CD", "D012AB3CD"]
    );
    assert_eq!(settings.access_lists.users.unwrap(), ["U012AB3CD", "W012AB3CD"]);
    assert_eq!(settings.projects[0].creators, Creators::Everyone);
    assert_eq!(settings.response_hosts.len(), 3);
    assert_eq!(settings.metrics_addr.unwrap().to_string(), "[::1]:9090");
    assert_eq!(
        settings.reply_budget,
        Duration::from_millis(2_400),
        "the longest that leaves time to store the reply"
    );
    assert_eq!(settings.command, "/wa-sandbox_2");
}

#[test]
fn http_is_allowed_only_on_loopback() {
    for url in [
        "http://127.0.0.1:4000/api/v1",
        "http://localhost:4000",
        "http://[::1]:4000",
        "http://127.1.2.3",
    ] {
        for name in ["KAPSO_BASE_URL", "PUBLIC_URL"] {
            assert!(settings(&[(name, url)]).is_ok(), "{name}={url}");
        }
    }
}
