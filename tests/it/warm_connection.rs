//! A connection to Kapso is ready when an occasional command needs one.

use std::time::{Duration, Instant};

use kapso_slack::demo::Person;
use url::Url;

use crate::support::link::Link;
use crate::support::program::{Fakes, program_under_load};
use crate::support::tls_server::{AUTHORITY, TlsServer, VALID};
use crate::support::{ID, TestAppBuilder, test_app};

const NO_TIME: Duration = Duration::ZERO;
/// Longer than a test takes.
const FOREVER: Duration = Duration::from_mins(10);

fn app_over(link: &Link, keep_ready: Duration) -> TestAppBuilder {
    test_app()
        .with("KAPSO_BASE_URL", format!("http://{}/api/v1", link.address))
        .set(move |settings| settings.timing.kapso.keep_ready = Some(keep_ready))
}

#[tokio::test]
async fn the_first_command_finds_a_connection_that_costs_no_request_of_the_api() {
    let fakes = Fakes::start().await;
    let link = Link::to(fakes.kapso.base_url(), NO_TIME).await;
    app_over(&link, FOREVER)
        .run(async |app| {
            link.wait_for_connections(1).await;
            assert_eq!(fakes.kapso.requests(), [""; 0]);
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(card.contains(ID), "{card}");
            assert_eq!(link.counts().connections, 1);
            assert_eq!(fakes.kapso.requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn a_connection_that_kapso_closes_while_nobody_uses_it_is_replaced() {
    let fakes = Fakes::start().await;
    let link = Link::to(fakes.kapso.base_url(), NO_TIME).await;
    app_over(&link, Duration::from_millis(10))
        .run(async |_| {
            for connections in 1..=3 {
                link.wait_for_connections(connections).await;
                link.close_connections();
            }
            assert_eq!(fakes.kapso.requests(), [""; 0]);
        })
        .await;
}

/// Prints how long people wait for an occasional command, where a round trip to Kapso takes 100 ms. Takes 12 minutes.
#[tokio::test]
#[ignore = "takes 12 minutes: ./scripts/latency"]
#[expect(clippy::print_stdout, reason = "prints what it measured")]
async fn round_trips_of_an_occasional_command() {
    const ROUND_TRIP: Duration = Duration::from_millis(100);
    let fakes = Fakes::start().await;
    let kapso = TlsServer::start(fakes.kapso.base_url(), VALID).await;
    let link = Link::start(kapso.address, ROUND_TRIP).await;
    let mut service = program_under_load()
        .with("SLACK_SIGNING_SECRET", crate::support::SECRET)
        .with("KAPSO_API_KEY", crate::support::KEY)
        .with("DATABASE_URL", "sqlite::memory:")
        .with("SSL_CERT_FILE", AUTHORITY)
        .with(
            "KAPSO_BASE_URL",
            &format!("https://localhost:{}/api/v1", link.address.port()),
        )
        .start();
    let app: Url = service.wait_until_listening().await;
    for (silence, name) in [
        (2, "2 s after the start"),
        (120, "after 2 minutes"),
        (600, "after 10 minutes"),
    ] {
        tokio::time::sleep(Duration::from_secs(silence)).await;
        let (connections, requests) = (link.counts().connections, fakes.kapso.requests().len());
        let began = Instant::now();
        let sent = fakes
            .slack
            .send_command(&app, &Person::default(), &format!("/sandbox {ID}"))
            .await;
        let took = began.elapsed();
        assert!(sent.message.is_some(), "{sent:?}");
        println!(
            "a command {name}: {:.0} ms, {:.1} round trips; {} new connections, {} requests to the API",
            took.as_secs_f64() * 1_000.0,
            took.as_secs_f64() / ROUND_TRIP.as_secs_f64(),
            link.counts().connections - connections,
            fakes.kapso.requests().len() - requests,
        );
    }
}
