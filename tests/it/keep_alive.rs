//! A proxy may reuse a connection after minutes; a client that has begun a request may not take minutes for it.

use std::time::Duration;

use kapso_slack::config::Timing;

use crate::support::wire::RawConnection;
use crate::support::{TestApp, test_app};

const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const HEAD_DEADLINE: Duration = Duration::from_millis(100);
/// Longer than the harness waits for a test.
const FOREVER: Duration = Duration::from_mins(10);

async fn used_connection(app: &TestApp) -> RawConnection {
    let mut connection = RawConnection::connect(&app.app_url).await;
    connection.send(HEALTHZ).await;
    assert_eq!(connection.read_response().await, (200, "ok\n".to_owned()));
    connection
}

/// Returns once a deadline for a head that began to count now is over.
async fn head_deadline_has_passed(app: &TestApp) {
    let mut silent = RawConnection::connect(&app.app_url).await;
    assert_eq!(silent.read_to_end().await, "");
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_head_may_take() {
    test_app()
        .set(|settings| {
            settings.timing.request_head = HEAD_DEADLINE;
            settings.timing.keep_alive = FOREVER;
        })
        .run(async |app| {
            let mut connection = used_connection(app).await;
            for _ in 0..2 {
                head_deadline_has_passed(app).await;
                connection.send(HEALTHZ).await;
                assert_eq!(connection.read_response().await, (200, "ok\n".to_owned()));
            }
            // Sent in two parts, within the deadline.
            let (first, second) = HEALTHZ.split_at(10);
            connection.send(first).await;
            connection.send(second).await;
            assert_eq!(connection.read_response().await, (200, "ok\n".to_owned()));
            head_deadline_has_passed(app).await;
            connection.send([HEALTHZ, HEALTHZ].concat()).await;
            assert_eq!(connection.read_response().await, (200, "ok\n".to_owned()));
            assert_eq!(connection.read_response().await, (200, "ok\n".to_owned()));
        })
        .await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    test_app()
        .set(|settings| {
            settings.timing.request_head = FOREVER;
            settings.timing.keep_alive = Duration::from_millis(100);
        })
        .run(async |app| {
            let mut connection = used_connection(app).await;
            assert_eq!(connection.read_to_end().await, "");
        })
        .await;
}

#[tokio::test]
async fn the_head_of_a_later_request_has_a_deadline_from_its_first_byte() {
    test_app()
        .set(|settings| {
            settings.timing.request_head = HEAD_DEADLINE;
            settings.timing.keep_alive = FOREVER;
        })
        .run(async |app| {
            let mut connection = used_connection(app).await;
            head_deadline_has_passed(app).await;
            connection.send("GET /healthz HTTP/1.1\r\nx: ").await;
            assert_eq!(connection.read_to_end().await, "");
        })
        .await;
}

#[test]
fn the_standard_keep_alive_is_longer_than_that_of_googles_load_balancers() {
    let timing = Timing::standard(Duration::from_secs(2));
    assert!(timing.keep_alive > Duration::from_mins(10), "{:?}", timing.keep_alive);
    assert_eq!(timing.request_head, Duration::from_secs(10));
}
