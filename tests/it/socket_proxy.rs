//! The socket over TLS: through the proxy in `HTTPS_PROXY`, past it for hosts in `NO_PROXY`, and never to a server with a
//! certificate that is not trusted.

use std::time::Duration;

use kapso_slack::demo::plain;
use tokio::time::timeout;

use crate::support::connect_proxy::ConnectProxy;
use crate::support::program::{Fakes, Program, Running};
use crate::support::tls_server::{AUTHORITY, EXPIRED, TlsServer, VALID};
use crate::support::wire::ClosedPort;
use crate::support::{APP_TOKEN, KEY};

/// Far longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The user and password of the proxy, as in its address and as they are sent.
const CREDENTIALS: [&str; 2] = ["me:planted%40password", "bWU6cGxhbnRlZEBwYXNzd29yZA=="];
/// A certificate that has signed none of the others.
const ANOTHER_AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/tls/expired.pem");

/// The fakes, with a TLS server in front of FakeSlack's sockets.
async fn fakes_behind_tls(certificate: &[u8]) -> (Fakes, TlsServer) {
    let fakes = Fakes::start().await;
    fakes.slack.turn_on_socket_mode(APP_TOKEN);
    let socket = fakes.slack.socket();
    socket.wait_patiently();
    let tls = TlsServer::start(&socket.origin().parse().unwrap(), certificate).await;
    (fakes, tls)
}

/// The service with Socket Mode, where FakeSlack names this origin for the socket.
fn service(fakes: &Fakes, origin: &str) -> Program {
    fakes.slack.socket().stand_behind(origin);
    fakes
        .service_without_secrets()
        .with("KAPSO_API_KEY", KEY)
        .with("SLACK_APP_TOKEN", APP_TOKEN)
        .with("SLACK_API_URL", &fakes.slack.api_url())
        .with("SLACK_SOCKET_HOSTS", origin)
        .with("SSL_CERT_FILE", AUTHORITY)
}

async fn expect_answer(fakes: &Fakes, service: &mut Running) {
    let app = service.wait_until_listening().await;
    let connected = fakes.slack.socket().wait_for_connections(2);
    timeout(TIMEOUT, connected).await.expect("the socket opens");
    let card = fakes.show_session(&app).await;
    assert!(plain::text(&card.message).contains("Waiting for activation"));
}

#[tokio::test]
async fn the_socket_and_the_request_for_it_go_through_the_proxy() {
    let (fakes, socket_tls) = fakes_behind_tls(VALID).await;
    let api_tls = TlsServer::start(&fakes.slack.origin().parse().unwrap(), VALID).await;
    let proxy = ConnectProxy::start(&[
        ("slack.example:443", api_tls.address),
        ("hooks.slack.example:443", socket_tls.address),
    ])
    .await;
    let mut service = service(&fakes, "wss://hooks.slack.example")
        .with("SLACK_API_URL", "https://slack.example/api")
        .with("SLACK_SOCKET_HOSTS", "slack.example")
        .with("HTTPS_PROXY", &format!("http://{}@{}", CREDENTIALS[0], proxy.address))
        .with("RUST_LOG", "trace")
        .start();
    expect_answer(&fakes, &mut service).await;
    service.send_signal("TERM").await;
    let ended = service.wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let heads = proxy.requests();
    let count = |host: &str| {
        let connect = format!("CONNECT {host}:443 HTTP/1.1\r\n");
        heads.iter().filter(|head| head.starts_with(&connect)).count()
    };
    assert_eq!(count("hooks.slack.example"), 2, "one for each connection: {heads:?}");
    assert_eq!(
        count("slack.example"),
        fakes.slack.socket().open_requests().len(),
        "{heads:?}"
    );
    for head in &heads {
        assert!(head.contains(&format!("Basic {}\r\n", CREDENTIALS[1])), "{head}");
        assert!(
            !head.contains("ticket") && !head.contains(APP_TOKEN),
            "only the host: {head}"
        );
    }
    for secret in [CREDENTIALS[0], CREDENTIALS[1], APP_TOKEN, "ticket"] {
        assert!(
            !ended.stdout.contains(secret) && !ended.stderr.contains(secret),
            "{secret}"
        );
    }
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_in_no_proxy_is_reached_directly() {
    let (fakes, tls) = fakes_behind_tls(VALID).await;
    let closed = ClosedPort::bind().unwrap();
    let origin = format!("wss://localhost:{}", tls.address.port());
    let through_closed_proxy = |no_proxy: &str| {
        service(&fakes, &origin)
            .with("HTTPS_PROXY", &format!("http://{}@{}", CREDENTIALS[0], closed.address))
            .with("NO_PROXY", no_proxy)
            .start()
    };
    expect_answer(&fakes, &mut through_closed_proxy("localhost")).await;

    // Without the entry, the proxy is used, which is not there.
    let opened = fakes.slack.socket().opened();
    let line = through_closed_proxy("example.com")
        .wait_for_line("a socket connection to Slack could not be opened")
        .await;
    assert!(line.contains("no TCP connection to the proxy"), "{line}");
    assert!(!line.contains(CREDENTIALS[0]) && !line.contains("ticket"), "{line}");
    assert_eq!(fakes.slack.socket().opened(), opened);
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_trusted_gets_no_socket() {
    for (certificate, host, authority, problem) in [
        (VALID, "slack.example", ANOTHER_AUTHORITY, "UnknownIssuer"),
        (EXPIRED, "slack.example", AUTHORITY, "certificate expired"),
        (
            VALID,
            "another.example",
            AUTHORITY,
            r#"certificate not valid for name \"another.example\""#,
        ),
    ] {
        let (fakes, tls) = fakes_behind_tls(certificate).await;
        let proxy = ConnectProxy::start(&[(&format!("{host}:443"), tls.address)]).await;
        let mut service = service(&fakes, &format!("wss://{host}"))
            .with("HTTPS_PROXY", &format!("http://{}", proxy.address))
            .with("SSL_CERT_FILE", authority)
            .start();
        let app = service.wait_until_listening().await;
        let line = service
            .wait_for_line("a socket connection to Slack could not be opened")
            .await;
        let expected = format!("no TLS connection to Slack: invalid peer certificate: {problem}");
        assert!(line.contains(&expected), "{expected}: {line}");
        assert!(!line.contains("ticket"), "{line}");
        let readiness = fakes.readiness(&app).await;
        assert!(readiness.contains("\"status\":\"disconnected\""), "{readiness}");
        assert_eq!(fakes.slack.socket().opened(), 0);
    }
}
