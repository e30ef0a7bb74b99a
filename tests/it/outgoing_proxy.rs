//! Connections to Kapso and Slack go through the proxy in `HTTPS_PROXY`, unless `NO_PROXY` lists their host.

use std::time::Duration;

use http::{StatusCode, header};
use jiff::Timestamp;
use kapso_slack::app::client_builder;
use kapso_slack::demo::Fault;
use kapso_slack::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::support::connect_proxy::ConnectProxy;
use crate::support::program::{Fakes, Program, program};
use crate::support::tls_server::{AUTHORITY, TlsServer, VALID};
use crate::support::wire::{ClosedPort, ScriptedResponse, ScriptedServer};
use crate::support::{ID, KEY, SECRET};

/// Far longer than a request takes.
const TIMEOUT: Duration = Duration::from_secs(30);
const KAPSO: &str = "https://kapso.example/api/v1";
/// The user and password of the proxy, as in its address, in clear text, and as they are sent.
const CREDENTIALS: [&str; 3] = ["planted%40password", "planted@password", "bWU6cGxhbnRlZEBwYXNzd29yZA=="];

/// Sends a command whose late reply goes to `response_url`.
async fn send_command(app: &Url, response_url: &str) -> StatusCode {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("command", "/sandbox"),
            ("text", ID),
            ("team_id", "T0001ABCD"),
            ("channel_id", "C2147483705"),
            ("user_id", "U2147483697"),
            ("response_url", response_url),
            ("trigger_id", response_url),
        ])
        .finish();
    let stamp = Timestamp::now().as_second().to_string();
    let request = client_builder()
        .build()
        .unwrap()
        .post(app.join("/slack/commands").unwrap())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(SIGNATURE_HEADER, sign(&SECRET.into(), &stamp, body.as_bytes()))
        .header(TIMESTAMP_HEADER, stamp)
        .body(body);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn requests_to_kapso_and_posts_to_slack_go_through_the_proxy() {
    let fakes = Fakes::start().await;
    let hooks = ScriptedServer::start().await;
    hooks.respond(ScriptedResponse::answer("200 OK", "ok"));
    let kapso_tls = TlsServer::start(fakes.kapso.base_url(), VALID).await;
    let hooks_tls = TlsServer::start(&hooks.url, VALID).await;
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let proxy = ConnectProxy::start(&[
            ("kapso.example:443", kapso_tls.address),
            ("hooks.slack.example:443", hooks_tls.address),
        ])
        .await;
        let mut service = fakes
            .service()
            .with(variable, &format!("http://me:{}@{}", CREDENTIALS[0], proxy.address))
            .with("SSL_CERT_FILE", AUTHORITY)
            .with("KAPSO_BASE_URL", KAPSO)
            .with("SLACK_RESPONSE_HOSTS", "hooks.slack.example")
            .with("REPLY_BUDGET_MS", "100")
            .with("RUST_LOG", "trace")
            .start();
        let app = service.wait_until_serving().await;

        fakes.kapso.fail_next_request(Fault::Stall);
        let before = (fakes.kapso.requests().len(), posts(&hooks).len());
        let response_url = format!("https://hooks.slack.example/commands/T0001ABCD/{variable}");
        assert_eq!(send_command(&app, &response_url).await, StatusCode::OK);
        timeout(TIMEOUT, fakes.kapso.wait_for_requests(before.0 + 1))
            .await
            .expect("the request reaches Kapso");
        fakes.kapso.release_stalled_requests();
        service.wait_for_line("\"answer\":\"late\"").await;
        let posts = posts(&hooks);
        assert_eq!(posts.len(), before.1 + 1);
        assert!(posts[before.1].contains("Waiting for activation"), "{posts:?}");

        service.send_signal("TERM").await;
        let ended = service.wait_for_exit().await;
        let requests = proxy.requests();
        for host in ["kapso.example:443", "hooks.slack.example:443"] {
            let connect = format!("CONNECT {host} HTTP/1.1\r\n");
            assert!(
                requests.iter().any(|head| head.starts_with(&connect)),
                "{host}: {requests:?}"
            );
        }
        for head in requests {
            let credentials = format!("proxy-authorization: Basic {}\r\n", CREDENTIALS[2]);
            assert!(head.contains(&credentials), "{head}");
            assert!(!head.contains(KEY) && !head.contains(variable), "only the host: {head}");
        }
        for secret in CREDENTIALS {
            assert!(
                !ended.stdout.contains(secret) && !ended.stderr.contains(secret),
                "{secret}"
            );
        }
    }
}

/// The posts among the requests.
fn posts(hooks: &ScriptedServer) -> Vec<String> {
    let requests = hooks.requests().into_iter();
    requests.filter(|request| request.starts_with("POST ")).collect()
}

/// `doctor` between the fakes, with Kapso at `https://localhost`, and a proxy that does not exist.
fn doctor(fakes: &Fakes, kapso: &TlsServer, closed: &ClosedPort) -> Program {
    program(&["doctor", "--json"])
        .with("SLACK_SIGNING_SECRET", SECRET)
        .with("KAPSO_API_KEY", KEY)
        .with("SLACK_RESPONSE_HOSTS", &fakes.slack.origin())
        .with("SLACK_API_URL", &format!("{}/api", fakes.slack.origin()))
        .with(
            "KAPSO_BASE_URL",
            &format!("https://localhost:{}/api/v1", kapso.address.port()),
        )
        .with("SSL_CERT_FILE", AUTHORITY)
        .with(
            "HTTPS_PROXY",
            &format!("http://me:{}@{}", CREDENTIALS[0], closed.address),
        )
}

#[tokio::test]
async fn hosts_in_no_proxy_are_reached_directly() {
    let fakes = Fakes::start().await;
    let kapso = TlsServer::start(fakes.kapso.base_url(), VALID).await;
    let closed = ClosedPort::bind().unwrap();
    for (variable, value, finding) in [
        ("NO_PROXY", "localhost", Value::Null),
        ("no_proxy", "example.com,localhost", Value::Null),
        ("NO_PROXY", "example.com", "proxy_not_reached".into()),
    ] {
        let ended = doctor(&fakes, &kapso, &closed)
            .with(variable, value)
            .wait_for_exit()
            .await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["check"] == "kapso").unwrap();
        assert_eq!(check["findings"][0]["finding"], finding, "{variable}={value}: {check}");
        assert_eq!(ended.code, Some(i32::from(!finding.is_null())), "{report}");
        for secret in CREDENTIALS {
            assert!(
                !ended.stdout.contains(secret) && !ended.stderr.contains(secret),
                "{secret}"
            );
        }
    }
}

#[tokio::test]
async fn an_invalid_proxy_is_reported_without_its_password() {
    let ended = program(&[])
        .with("SLACK_SIGNING_SECRET", SECRET)
        .with("KAPSO_API_KEY", KEY)
        .with(
            "HTTPS_PROXY",
            &format!("socks5://me:{}@proxy.example:1080", CREDENTIALS[0]),
        )
        .wait_for_exit()
        .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("HTTPS_PROXY: is not the address of an HTTP proxy"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains(CREDENTIALS[0]), "{ended:?}");
}
