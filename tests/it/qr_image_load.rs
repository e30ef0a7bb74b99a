//! Images of QR codes cost Kapso and other people little, however often and however an address is requested.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::demo::Fault;
use kapso_slack::kapso::SessionId;
use kapso_slack::qr::Addresses;
use reqwest::StatusCode;
use url::Url;

use crate::support::wire::RawConnection;
use crate::support::{ID, SECRET, TestApp, test_app};

/// Longer than the harness waits for a test.
const FOREVER: Duration = Duration::from_mins(10);

fn address(app: &TestApp, id: &str) -> Url {
    let addresses = Addresses::new(app.app_url.clone(), &[SECRET.into()]);
    addresses
        .address(None, &SessionId::parse(id).unwrap(), app.now())
        .unwrap()
}

async fn fetch(app: &TestApp, id: &str) -> StatusCode {
    app.http.get(address(app, id)).send().await.unwrap().status()
}

/// Requests the image on a connection of its own, without waiting for the response.
async fn request_image(app: &TestApp) -> RawConnection {
    let address = address(app, ID);
    let mut connection = RawConnection::connect(&app.app_url).await;
    connection
        .send(format!(
            "GET {}?{} HTTP/1.1\r\nhost: x\r\n\r\n",
            address.path(),
            address.query().unwrap()
        ))
        .await;
    connection
}

#[tokio::test]
async fn clients_that_hang_up_do_not_repeat_the_look_up() {
    test_app()
        .with_public_url()
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            for _ in 0..20 {
                let connection = request_image(app).await;
                app.kapso.wait_for_requests(1).await;
                drop(connection);
                // By the end of this request, the service has seen that the other client is gone.
                assert_eq!(app.get("/healthz").await.0, StatusCode::OK);
            }
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            assert_eq!(fetch(app, ID).await, StatusCode::OK);
            assert_eq!(app.kapso.requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn a_failed_look_up_is_not_repeated_for_seconds() {
    test_app()
        .with_public_url()
        .run(async |app| {
            app.kapso
                .set_fault(Some(Fault::answer(StatusCode::INTERNAL_SERVER_ERROR, "")));
            for _ in 0..20 {
                assert_eq!(fetch(app, ID).await, StatusCode::GATEWAY_TIMEOUT);
            }
            assert_eq!(app.kapso.requests().len(), 1);
            app.kapso.set_fault(None);
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(
                card.contains("Waiting for activation"),
                "a person is not refused: {card}"
            );
            assert_eq!(fetch(app, ID).await, StatusCode::OK, "what a person loaded is used");

            app.kapso.delete("other");
            assert_eq!(fetch(app, "other").await, StatusCode::NOT_FOUND);
            app.kapso.add_session("other");
            assert_eq!(fetch(app, "other").await, StatusCode::NOT_FOUND);
            app.advance_clock(SignedDuration::from_secs(6));
            assert_eq!(fetch(app, "other").await, StatusCode::OK);
        })
        .await;
}

#[tokio::test]
async fn images_use_at_most_a_tenth_of_the_rate_limit() {
    test_app()
        .with_public_url()
        .run(async |app| {
            app.kapso.set_rate_limit(100);
            let ids: Vec<_> = (0..30).map(|number| format!("session-{number}")).collect();
            for (number, id) in ids.iter().enumerate() {
                app.kapso.add_session(id);
                let expected = if number < 10 {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                assert_eq!(fetch(app, id).await, expected, "{id}");
            }
            assert_eq!(app.kapso.requests().len(), 10);
            app.advance_clock(SignedDuration::from_secs(61));
            assert_eq!(fetch(app, &ids[29]).await, StatusCode::OK);
        })
        .await;
}

#[tokio::test]
async fn an_image_has_a_deadline_and_its_look_up_is_finished_for_the_next_request() {
    test_app()
        .with_public_url()
        .set(|settings| settings.timing.image = Duration::from_millis(100))
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            assert_eq!(fetch(app, ID).await, StatusCode::GATEWAY_TIMEOUT);
            app.kapso.release_stalled_requests();
            while fetch(app, ID).await != StatusCode::OK {}
            assert_eq!(app.kapso.requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn open_image_requests_leave_connections_for_others() {
    test_app()
        .with_public_url()
        .set(|settings| {
            settings.connections = Some(40);
            settings.timing.image = FOREVER;
            settings.timing.kapso.attempt = FOREVER;
            settings.timing.kapso.total = FOREVER;
        })
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            let mut connections = Vec::new();
            for _ in 0..150 {
                connections.push(request_image(app).await);
            }
            app.kapso.wait_for_requests(1).await;
            assert_eq!(app.get("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            assert_eq!(connections[0].read_response().await.0, 200, "the first has its image");
        })
        .await;
}
