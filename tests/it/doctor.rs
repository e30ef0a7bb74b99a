//! `doctor` names each fault that is planted into a set-up, and says how to mend it. Every finding has its fault here.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use kapso_slack::clock::Clock;
use kapso_slack::config::Environment;
use kapso_slack::db;
use kapso_slack::demo::{Fault, OpenFault};
use kapso_slack::doctor::{KINDS, Limits, Report, Severity, examine};

use crate::support::connect_proxy::ConnectProxy;
use crate::support::databases::{Database, Folder, postgres_url};
use crate::support::reverse_proxy::ReverseProxy;
use crate::support::slack_api::SlackApi;
use crate::support::tls_server::{EXPIRED, TlsServer, VALID};
use crate::support::wire::{ClosedPort, ScriptedResponse, ScriptedServer};
use crate::support::{APP_TOKEN, KEY, TestApp, test_app};

/// A signing secret in Slack's form.
const SIGNING_SECRET: &str = "8f742231b10e8888abcd99aaabbb85a5";
const BOT_TOKEN: &str = "xoxb-planted-bot-token";
/// Part of everything that a server says which nobody should read.
const FOREIGN: &str = "zebra";
/// Part of every secret of a proxy or database server here.
const PASSWORD: &str = "planted-password";

/// A set-up in which the service runs and everything works, until a test changes it.
struct Setup<'a> {
    app: &'a TestApp,
    slack_api: SlackApi,
    variables: BTreeMap<String, String>,
    clock: Clock,
    limits: Limits,
    folder: Folder,
    /// Servers that run until the end of the test.
    running: Vec<Box<dyn Any>>,
}

impl Setup<'_> {
    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    fn keep<T: 'static>(&mut self, server: T) {
        self.running.push(Box::new(server));
    }

    /// A server that answers every request so.
    async fn server(&mut self, response: ScriptedResponse) -> String {
        let server = ScriptedServer::start().await;
        server.respond(response);
        let address = server.url.as_str().trim_end_matches('/').to_owned();
        self.keep(server);
        address
    }

    async fn examine(&self) -> Report {
        let environment = Environment::of(self.variables.clone());
        Box::pin(examine(&environment, &self.clock, &self.limits))
            .await
            .unwrap()
    }

    /// The codes of everything that is found. Fails if the report shows a secret or foreign text.
    async fn findings(&self) -> Vec<&'static str> {
        let report = self.examine().await;
        let (text, json) = (report.to_text(), report.to_json().to_string());
        for secret in [SIGNING_SECRET, KEY, APP_TOKEN, BOT_TOKEN, PASSWORD, FOREIGN] {
            assert!(!text.contains(secret) && !json.contains(secret), "{secret}: {text}");
        }
        for finding in report.findings() {
            let kind = finding.kind;
            for part in [&finding.what(), kind.why, kind.fix] {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(json.contains(kind.code), "{}: {json}", kind.code);
        }
        report.findings().map(|finding| finding.kind.code).collect()
    }
}

/// Runs `test` with a set-up in which everything works.
async fn with_setup(test: impl AsyncFnOnce(&mut Setup<'_>)) {
    test_app()
        .with_system_clock()
        .with_public_url()
        .with("SLACK_SIGNING_SECRET", SIGNING_SECRET)
        .run(async |app| {
            let slack_api = SlackApi::start().await;
            let folder = Folder::new();
            let port = app.app_url.port().unwrap().to_string();
            let variables = [
                ("SLACK_SIGNING_SECRET", SIGNING_SECRET),
                ("SLACK_BOT_TOKEN", BOT_TOKEN),
                ("SLACK_API_URL", slack_api.url.as_str()),
                ("SLACK_RESPONSE_HOSTS", &app.slack.origin()),
                ("KAPSO_API_KEY", KEY),
                ("KAPSO_BASE_URL", app.kapso.base_url().as_str()),
                ("DATABASE_URL", &format!("sqlite:{}", folder.join("jobs.db").display())),
                ("PUBLIC_URL", app.app_url.as_str()),
                ("HOST", "127.0.0.1"),
                ("PORT", &port),
            ];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let mut setup = Setup {
                app,
                slack_api,
                variables: variables.into(),
                clock: Clock::system(),
                limits: Limits::default(),
                folder,
                running: Vec::new(),
            };
            test(&mut setup).await;
        })
        .await;
}

#[tokio::test]
async fn the_key_of_every_project_is_checked() {
    with_setup(async |setup| {
        let _staging = setup.app.kapso.add_project("kapso-key-of-staging");
        let config = setup.folder.join("config.toml");
        let project = |alias| format!("[projects.{alias}]\napi_key_env = \"KEY_{alias}\"\n");
        fs::write(&config, project("support") + &project("staging")).unwrap();
        setup.variables.remove("KAPSO_API_KEY");
        setup.set("CONFIG_FILE", config.to_str().unwrap());
        setup.set("KEY_support", KEY);
        setup.set("KEY_staging", "kapso-key-of-staging");
        assert_eq!(setup.findings().await, Vec::<&str>::new());
        let text = setup.examine().await.to_text();
        assert!(text.contains("the keys of 2 projects work"), "{text}");

        setup.set("KEY_staging", "kapso-key-of-nobody");
        assert_eq!(setup.findings().await, ["kapso_key_refused"]);
        let text = setup.examine().await.to_text();
        assert!(text.contains("project staging: "), "{text}");
    })
    .await;
}

/// Plants a fault, and expects exactly this finding.
async fn expect_finding(code: &str, plant: impl AsyncFnOnce(&mut Setup<'_>)) {
    with_setup(async |setup| {
        plant(setup).await;
        assert_eq!(setup.findings().await, [code]);
    })
    .await;
}

/// Declares a test for each planted fault, named after its finding, and the list of all of them.
macro_rules! planted {
    ($($name:ident: $plant:expr;)+) => {
        /// The findings that are planted below.
        const PLANTED: &[&str] = &[$(stringify!($name)),+];

        $(
            #[tokio::test]
            async fn $name() {
                expect_finding(stringify!($name), $plant).await;
            }
        )+
    };
}

planted! {
    configuration_invalid: async |setup: &mut Setup<'_>| setup.set("REPLY_BUDGET_MS", "zebra");
    configuration_suspicious: async |setup: &mut Setup<'_>| {
        setup.set("SLACK_SIGNING_SECRET", format!("{SIGNING_SECRET},zebra-is-no-signing-secret"));
    };

    // A name that is too long for DNS, so that no server is asked.
    host_not_found: async |setup: &mut Setup<'_>| {
        setup.set("KAPSO_BASE_URL", format!("https://{}.example/api/v1", "x".repeat(64)));
    };
    no_connection: async |setup: &mut Setup<'_>| {
        let closed = ClosedPort::bind().unwrap();
        setup.set("KAPSO_BASE_URL", format!("http://{}/api/v1", closed.address));
        setup.keep(closed);
    };
    no_answer: async |setup: &mut Setup<'_>| {
        setup.limits.deadline = Duration::from_secs(3);
        let address = setup.server(ScriptedResponse::bytes("").then_hang()).await;
        setup.set("KAPSO_BASE_URL", address);
    };
    tls_failed: async |setup: &mut Setup<'_>| {
        let untrusted = TlsServer::start(setup.app.kapso.base_url(), VALID).await;
        setup.set("KAPSO_BASE_URL", format!("https://{}/api/v1", untrusted.address));
        setup.keep(untrusted);
    };
    proxy_not_reached: async |setup: &mut Setup<'_>| {
        let closed = ClosedPort::bind().unwrap();
        setup.set("HTTPS_PROXY", format!("http://me:{PASSWORD}@{}", closed.address));
        setup.set("KAPSO_BASE_URL", "https://kapso.example/api/v1");
        setup.keep(closed);
    };
    proxy_login: async |setup: &mut Setup<'_>| {
        let proxy = ConnectProxy::refusing("407 Proxy Authentication Required").await;
        setup.set("HTTPS_PROXY", format!("http://me:{PASSWORD}@{}", proxy.address));
        setup.set("KAPSO_BASE_URL", "https://kapso.example/api/v1");
        setup.keep(proxy);
    };
    proxy_refused: async |setup: &mut Setup<'_>| {
        let proxy = ConnectProxy::refusing("403 Forbidden").await;
        setup.set("HTTPS_PROXY", format!("http://me:{PASSWORD}@{}", proxy.address));
        setup.set("KAPSO_BASE_URL", "https://kapso.example/api/v1");
        setup.keep(proxy);
    };

    clock_wrong: async |setup: &mut Setup<'_>| {
        setup.clock = Clock::stopped(Timestamp::now() - SignedDuration::from_secs(200));
    };

    kapso_key_refused: async |setup: &mut Setup<'_>| kapso_answers(setup, 401, r#"{"error":"zebra"}"#);
    kapso_moved: async |setup: &mut Setup<'_>| kapso_answers(setup, 404, r#"{"error":"zebra"}"#);
    kapso_limited: async |setup: &mut Setup<'_>| kapso_answers(setup, 429, r#"{"error":"zebra"}"#);
    kapso_error: async |setup: &mut Setup<'_>| kapso_answers(setup, 503, "<h1>zebra</h1>");
    kapso_unexpected: async |setup: &mut Setup<'_>| kapso_answers(setup, 200, "<h1>zebra</h1>");

    database_in_memory: async |setup: &mut Setup<'_>| setup.set("DATABASE_URL", "sqlite::memory:");
    database_in_use: async |setup: &mut Setup<'_>| {
        let file = setup.folder.join("jobs.db");
        let url = format!("sqlite:{}", file.display()).parse().unwrap();
        let other = db::Database::open(&url).await.unwrap();
        setup.keep(other);
        // No service runs here that could be the other process.
        let closed = ClosedPort::bind().unwrap();
        setup.set("PORT", closed.address.port().to_string());
        setup.keep(closed);
    };
    database_not_writable: async |setup: &mut Setup<'_>| {
        let missing = setup.folder.join("zebra/jobs.db");
        setup.set("DATABASE_URL", format!("sqlite:{}", missing.display()));
    };
    database_full: async |setup: &mut Setup<'_>| setup.limits.free_bytes = u64::MAX;
    database_damaged: async |setup: &mut Setup<'_>| {
        fs::write(setup.folder.join("jobs.db"), "zebra ".repeat(1_000)).unwrap();
    };
    database_newer: async |setup: &mut Setup<'_>| {
        let database = Database::sqlite();
        database.open().await.close().await;
        database.run("UPDATE kapso_slack_migrations SET version = version + 97 WHERE version > 1").await;
        setup.set("DATABASE_URL", database.address.clone());
        setup.keep(database);
    };
    database_failed: async |setup: &mut Setup<'_>| {
        let database = Database::sqlite();
        fs::write(database.address.strip_prefix("sqlite:").unwrap(), "").unwrap();
        database.run("CREATE TABLE kapso_slack_jobs (other INTEGER)").await;
        setup.set("DATABASE_URL", database.address.clone());
        setup.keep(database);
    };
    database_unreachable: async |setup: &mut Setup<'_>| {
        let closed = ClosedPort::bind().unwrap();
        setup.set("DATABASE_URL", format!("postgres://me:{PASSWORD}@{}/zebra", closed.address));
        setup.keep(closed);
    };
    database_refused: async |setup: &mut Setup<'_>| {
        let server = postgres_url();
        let (_, server) = server.rsplit_once('@').unwrap();
        setup.set("DATABASE_URL", format!("postgres://kapso:{PASSWORD}@{server}"));
    };
    database_clock: async |setup: &mut Setup<'_>| {
        let database = Database::postgres().await;
        database
            .run(
                "CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql
                 AS $$ SELECT pg_catalog.clock_timestamp() + interval '5 minutes' $$",
            )
            .await;
        // The function of the schema before that of the system.
        let (before, after) = database.address.split_once("&application_name").unwrap();
        setup.set("DATABASE_URL", format!("{before}%2Cpg_catalog&application_name{after}"));
        setup.keep(database);
    };

    public_no_service: async |setup: &mut Setup<'_>| {
        let proxy = setup.server(ScriptedResponse::answer("502 Bad Gateway", "zebra")).await;
        setup.set("PUBLIC_URL", proxy);
    };
    public_not_this_service: async |setup: &mut Setup<'_>| {
        let other = setup.server(ScriptedResponse::answer("200 OK", "zebra")).await;
        setup.set("PUBLIC_URL", other);
    };
    signature_headers_lost: async |setup: &mut Setup<'_>| {
        behind_proxy(setup, |headers, _| {
            headers.remove("x-slack-signature");
        })
        .await;
    };
    body_changed: async |setup: &mut Setup<'_>| {
        behind_proxy(setup, |_, body| {
            let pairs: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
            *body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into();
        })
        .await;
    };
    signature_rejected: async |setup: &mut Setup<'_>| {
        setup.set("SLACK_SIGNING_SECRET", "0123456789abcdef0123456789abcdef");
    };

    app_token_refused: async |setup: &mut Setup<'_>| over_socket(setup, OpenFault::Error("invalid_auth"));
    app_token_scope: async |setup: &mut Setup<'_>| over_socket(setup, OpenFault::Error("missing_scope"));
    socket_mode_off: async |setup: &mut Setup<'_>| over_socket(setup, OpenFault::DisconnectAtOnce("link_disabled"));
    socket_failed: async |setup: &mut Setup<'_>| over_socket(setup, OpenFault::DropAtOnce);

    bot_token_refused: async |setup: &mut Setup<'_>| {
        setup.slack_api.answer_auth_test(StatusCode::OK, r#"{"ok":false,"error":"token_revoked"}"#);
    };
    bot_token_scope: async |setup: &mut Setup<'_>| setup.slack_api.grant_scopes("commands");
    card_refused: async |setup: &mut Setup<'_>| {
        let body = r#"{"ok":false,"error":"invalid_blocks","errors":[{"code":"too_long","message":"zebra"},{"code":"Zebra zebra"}]}"#;
        setup.slack_api.answer_blocks_validate(StatusCode::OK, body);
    };
    slack_unexpected: async |setup: &mut Setup<'_>| {
        setup.slack_api.answer_auth_test(StatusCode::OK, "<h1>zebra</h1>");
    };
}

/// Sets the app-level token. The first attempt to open a connection fails.
fn over_socket(setup: &mut Setup<'_>, fault: OpenFault) {
    use_socket(setup);
    setup.app.slack.socket().fail_next_open(fault);
}

/// Sets the app-level token, and Slack's API to the one that knows it.
fn use_socket(setup: &mut Setup<'_>) {
    let slack = &setup.app.slack;
    slack.turn_on_socket_mode(APP_TOKEN);
    setup.set("SLACK_APP_TOKEN", APP_TOKEN);
    setup.set("SLACK_API_URL", slack.api_url());
    setup.set("SLACK_SOCKET_HOSTS", slack.socket().origin());
    setup.variables.remove("SLACK_BOT_TOKEN");
}

/// Kapso's response to the next request.
fn kapso_answers(setup: &Setup<'_>, status: u16, body: &'static str) {
    let status = StatusCode::from_u16(status).unwrap();
    setup.app.kapso.fail_next_request(Fault::answer(status, body));
}

/// Puts a reverse proxy in front of the service.
async fn behind_proxy(setup: &mut Setup<'_>, change: fn(&mut HeaderMap, &mut Vec<u8>)) {
    let proxy = ReverseProxy::start(&setup.app.app_url, change).await;
    setup.set("PUBLIC_URL", proxy.url.as_str());
    setup.keep(proxy);
}

#[test]
fn every_finding_has_a_planted_fault() {
    let planted: BTreeSet<&str> = PLANTED.iter().copied().collect();
    let kinds: BTreeSet<&str> = KINDS.iter().map(|kind| kind.code).collect();
    assert_eq!(kinds, planted);
    assert!(planted.len() >= 20 && planted.len() == KINDS.len(), "{}", planted.len());
}

#[tokio::test]
async fn a_set_up_that_works_has_no_findings() {
    with_setup(async |setup| {
        let report = setup.examine().await;
        let text = report.to_text();
        assert!(report.is_healthy() && report.findings().next().is_none(), "{text}");
        for check in [
            "configuration",
            "clock",
            "kapso",
            "slack",
            "database",
            "public address",
            "bot token",
            "cards",
        ] {
            assert!(text.contains(&format!("ok       {check}: ")), "{check}: {text}");
        }
        assert!(text.ends_with("\n0 problems, 0 warnings\n"), "{text}");
    })
    .await;
}

/// Whoever runs `doctor` on a service in use must not disturb it.
#[tokio::test]
async fn nothing_is_created_or_changed() {
    with_setup(async |setup| {
        let sessions = setup.app.kapso.sessions();
        setup.examine().await;
        assert_eq!(fs::read_dir(&*setup.folder).unwrap().count(), 0, "no file is left");
        let database = Database::sqlite();
        database.open().await.close().await;
        let file = database.address.strip_prefix("sqlite:").unwrap().to_owned();
        let before = fs::read(&file).unwrap();
        setup.set("DATABASE_URL", database.address.clone());
        assert_eq!(setup.findings().await, Vec::<&str>::new());
        assert!(fs::read(&file).unwrap() == before, "the database file is the same");
        assert_eq!(
            setup.app.kapso.requests(),
            vec!["GET /sandbox_sessions?page=1&per_page=1"; 2]
        );
        assert_eq!(setup.app.kapso.sessions(), sessions);
        assert_eq!(setup.app.command_log_lines(), Vec::<serde_json::Value>::new());
        assert_eq!(setup.app.slack.conversation().len(), 0);
        let log = setup.app.log_lines();
        assert!(!log.iter().any(|line| line["level"] == "WARN"), "{log:?}");
    })
    .await;
}

#[tokio::test]
async fn a_new_database_on_a_server_is_not_set_up() {
    with_setup(async |setup| {
        let database = Database::postgres().await;
        setup.set("DATABASE_URL", database.address.clone());
        assert_eq!(setup.findings().await, Vec::<&str>::new());
        let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()";
        assert_eq!(database.number(tables).await, 0);
        database.drop().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_of_a_later_version_or_without_rights_is_reported() {
    with_setup(async |setup| {
        let database = Database::postgres().await;
        database.open().await.close().await;
        database
            .run("UPDATE kapso_slack_migrations SET version = version + 97 WHERE version > 1")
            .await;
        setup.set("DATABASE_URL", database.address.clone());
        assert_eq!(setup.findings().await, ["database_newer"]);
        database.drop().await;
        let database = Database::postgres().await;
        let role = format!("role_{:016x}", fastrand::u64(..));
        database.run(format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await;
        let (_, server) = database.address.rsplit_once('@').unwrap();
        setup.set("DATABASE_URL", format!("postgres://{role}:x@{server}"));
        assert_eq!(setup.findings().await, ["database_refused"]);
        database.run(format!("DROP ROLE {role}")).await;
        database.drop().await;
    })
    .await;
}

#[tokio::test]
async fn all_problems_of_the_configuration_are_found_at_once() {
    with_setup(async |setup| {
        setup.set("PORT", FOREIGN);
        setup.set("KAPSO_BASE_URL", FOREIGN);
        setup.variables.remove("KAPSO_API_KEY");
        assert_eq!(setup.findings().await, ["configuration_invalid"; 3]);
        assert_eq!(setup.app.kapso.requests(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_database_in_use_by_the_running_service_works() {
    with_setup(async |setup| {
        let url = setup.variables["DATABASE_URL"].parse().unwrap();
        let other = db::Database::open(&url).await.unwrap();
        assert_eq!(setup.findings().await, Vec::<&str>::new());
        let text = setup.examine().await.to_text();
        assert!(
            text.contains("ok       database: the running service uses it"),
            "{text}"
        );
        other.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_database_file_is_reported() {
    with_setup(async |setup| {
        let database = Database::sqlite();
        database.open().await.close().await;
        database
            .run("CREATE TABLE ballast (x BLOB); INSERT INTO ballast VALUES (zeroblob(67000000))")
            .await;
        setup.set("DATABASE_URL", database.address.clone());
        assert_eq!(setup.findings().await, ["database_full"]);
    })
    .await;
}

#[tokio::test]
async fn the_socket_is_opened_up_to_slacks_hello_and_closed() {
    with_setup(async |setup| {
        use_socket(setup);
        setup.variables.remove("SLACK_SIGNING_SECRET");
        let socket = setup.app.slack.socket();
        // The service may have some of its own.
        let (connections, opened) = (socket.connections(), socket.opened());
        let text = setup.examine().await.to_text();
        assert!(text.contains("ok       socket: Slack says hello"), "{text}");
        assert_eq!(setup.findings().await, Vec::<&str>::new());
        assert_eq!(socket.opened() - opened, 2);
        assert_eq!(socket.wait_for_connections(connections.len()).await, connections);
    })
    .await;
}

#[tokio::test]
async fn every_fault_of_the_socket_is_found() {
    with_setup(async |setup| {
        setup.limits.deadline = Duration::from_secs(3);
        for (fault, code) in [
            (OpenFault::Error("not_authed"), "app_token_refused"),
            (OpenFault::Error("account_inactive"), "app_token_refused"),
            (OpenFault::Error("token_revoked"), "app_token_refused"),
            (OpenFault::Error("not_allowed_token_type"), "app_token_scope"),
            (OpenFault::Error("zebra zebra"), "socket_failed"),
            (OpenFault::Error("internal_error"), "socket_failed"),
            (OpenFault::RateLimited(30), "socket_failed"),
            (OpenFault::Status(StatusCode::BAD_GATEWAY), "socket_failed"),
            (OpenFault::Body("<h1>zebra</h1>".to_owned()), "socket_failed"),
            (
                OpenFault::Body(r#"{"ok":true,"url":"wss://zebra.example/"}"#.to_owned()),
                "socket_failed",
            ),
            (OpenFault::RefuseHandshake(403), "socket_failed"),
            (OpenFault::Accept(28), "socket_failed"),
            (OpenFault::Accept(200), "socket_failed"),
            (OpenFault::NoHello, "socket_failed"),
            (OpenFault::DisconnectAtOnce("too_many_websockets"), "socket_failed"),
        ] {
            let name = format!("{fault:?}");
            over_socket(setup, fault);
            assert_eq!(setup.findings().await, [code], "{name}");
        }
        setup.set("SLACK_APP_TOKEN", "xapp-another-token");
        assert_eq!(setup.findings().await, ["app_token_refused"]);
    })
    .await;
}

#[tokio::test]
async fn every_sign_that_kapso_has_moved_is_understood() {
    with_setup(async |setup| {
        for status in [404, 410, 301, 302, 307, 308] {
            for body in ["", "<h1>zebra</h1>", r#"{"error":"zebra"}"#] {
                let status = StatusCode::from_u16(status).unwrap();
                let fault = Fault::answer(status, body).with_header(header::LOCATION, "https://zebra.example/");
                setup.app.kapso.fail_next_request(fault);
                assert_eq!(setup.findings().await, ["kapso_moved"], "{status} {body}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said() {
    with_setup(async |setup| {
        let kapso = setup.app.kapso.base_url();
        let untrusted = TlsServer::start(kapso, VALID).await;
        let expired = TlsServer::start(kapso, EXPIRED).await;
        let plain = setup
            .server(ScriptedResponse::bytes("zebra").before_any_request())
            .await;
        let silent = setup.server(ScriptedResponse::bytes("").before_any_request()).await;
        for (address, says) in [
            (
                untrusted.address.to_string(),
                "from an authority that this machine does not trust",
            ),
            (expired.address.to_string(), "its certificate"),
            (plain.replace("http://", ""), "it does not speak TLS"),
            (silent.replace("http://", ""), "during the TLS handshake"),
        ] {
            setup.set("KAPSO_BASE_URL", format!("https://{address}/api/v1"));
            assert_eq!(setup.findings().await, ["tls_failed"], "{address}");
            let text = setup.examine().await.to_text();
            assert!(text.contains(says), "{says}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_part_of_the_way_to_the_service_is_told_apart() {
    with_setup(async |setup| {
        for (head, code) in [
            ("503 Service Unavailable", "public_no_service"),
            (
                "302 Found\nlocation: https://zebra.example/login",
                "public_not_this_service",
            ),
            ("401 Unauthorized\nwww-authenticate: zebra", "public_not_this_service"),
            ("404 Not Found", "public_not_this_service"),
        ] {
            let address = setup.server(ScriptedResponse::answer(head, "zebra")).await;
            setup.set("PUBLIC_URL", address);
            assert_eq!(setup.findings().await, [code], "{head}");
        }
        let closed = ClosedPort::bind().unwrap();
        setup.set("PUBLIC_URL", format!("http://{}", closed.address));
        assert_eq!(setup.findings().await, ["no_connection"]);

        behind_proxy(setup, |headers, _| {
            headers.append("x-slack-signature", "v0=zebra".parse().unwrap());
        })
        .await;
        assert_eq!(setup.findings().await, ["signature_headers_lost"]);
        // Without a service on this machine to compare with, the cause stays open.
        setup.set("PORT", closed.address.port().to_string());
        assert_eq!(setup.findings().await, ["signature_rejected"]);
        behind_proxy(setup, |_, _| {}).await;
        assert_eq!(setup.findings().await, Vec::<&str>::new());
    })
    .await;
}

#[tokio::test]
async fn slack_judges_the_largest_card_and_the_bot_token() {
    with_setup(async |setup| {
        assert_eq!(setup.findings().await, Vec::<&str>::new());
        assert_eq!(setup.slack_api.tokens(), [format!("Bearer {BOT_TOKEN}")]);
        let blocks = setup.slack_api.blocks().remove(0);
        let buttons = blocks
            .as_array()
            .unwrap()
            .iter()
            .find(|block| block["type"] == "actions");
        assert_eq!(buttons.unwrap()["elements"].as_array().unwrap().len(), 5, "{blocks}");
        let message = serde_json::json!({"response_type": "ephemeral", "text": "x", "blocks": blocks});
        crate::support::validate(&message);
        assert_eq!(kapso_slack::demo::rules::violations(&message), Vec::<String>::new());
    })
    .await;
}

/// A network without Slack's method, such as a test system, is no fault of the set-up.
#[tokio::test]
async fn what_is_not_reachable_or_not_set_is_skipped() {
    with_setup(async |setup| {
        setup.slack_api.answer_blocks_validate(StatusCode::NOT_FOUND, FOREIGN);
        setup.variables.remove("SLACK_BOT_TOKEN");
        setup.variables.remove("PUBLIC_URL");
        assert_eq!(setup.findings().await, Vec::<&str>::new());
        let text = setup.examine().await.to_text();
        for check in ["bot token", "cards", "public address"] {
            assert!(text.contains(&format!("skipped  {check}: ")), "{check}: {text}");
        }
    })
    .await;
}

#[test]
fn findings_say_what_why_and_how_to_mend() {
    for kind in KINDS {
        for part in [kind.why, kind.fix] {
            assert!(part.ends_with('.') && part.len() > 20, "{}: {part}", kind.code);
        }
        assert!(!kind.what.ends_with('.'), "{}", kind.code);
    }
    let warnings: Vec<_> = KINDS
        .iter()
        .filter(|kind| kind.severity == Severity::Warning)
        .map(|kind| kind.code)
        .collect();
    assert_eq!(
        warnings,
        ["configuration_suspicious", "kapso_limited", "database_in_memory"]
    );
}

#[tokio::test]
async fn only_a_service_that_is_ready_proves_that_the_database_works() {
    with_setup(async |setup| {
        let url = setup.variables["DATABASE_URL"].parse().unwrap();
        let other = db::Database::open(&url).await.unwrap();
        for (status, findings, text) in [
            (
                "ready",
                &[][..],
                "ok       database: the running service uses it, and says",
            ),
            ("degraded", &["database_failed"], ""),
            (
                "disconnected",
                &[],
                "skipped  database: the running service uses it, and is not ready",
            ),
            (
                "draining",
                &[],
                "skipped  database: the running service uses it, and is not ready",
            ),
            ("zebra", &["database_in_use"], ""),
        ] {
            let body = format!(r#"{{"status":"{status}","why":["zebra"]}}"#);
            let address = setup.server(ScriptedResponse::answer("200 OK", &body)).await;
            setup.set("PORT", address.rsplit(':').next().unwrap());
            assert_eq!(setup.findings().await, findings, "{status}");
            let report = setup.examine().await.to_text();
            assert!(report.contains(text), "{text}: {report}");
        }
        other.close().await;
    })
    .await;
}
