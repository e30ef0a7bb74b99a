//! A limit of 64 file descriptors, as some hosts set it.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::ID;
use crate::support::program::Fakes;
use crate::support::wire::RawConnection;

const LIMITED: [&str; 4] = ["/bin/sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"];

#[tokio::test]
async fn with_few_descriptors_it_warns_and_resets_no_request() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service_with_prefix(&LIMITED).start();
    let line: Value = serde_json::from_str(&service.wait_for_line("file descriptors").await).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!((&line["descriptors"], &line["connections"]), (&64.into(), &20.into()));
    let app = service.wait_until_serving().await;
    for _ in 0..3 {
        join_all((0..100).map(async |n| {
            let mut line = RawConnection::connect(&app).await;
            // Sent a moment after the connection was made, as over a network.
            tokio::task::yield_now().await;
            line.send(&format!(
                "GET /healthz?{n} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            ))
            .await;
            assert_eq!(line.read_response().await, (200, "ok\n".to_owned()));
        }))
        .await;
    }
    let answers =
        join_all((0..60).map(async |_| fakes.send_command(&app, &format!("/sandbox {ID}")).await.status)).await;
    assert!(
        answers.iter().all(|status| status.is_some_and(|status| status == 200)),
        "{answers:?}"
    );
    service.send_signal("TERM").await;
    let ended = service.wait_for_exit().await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
}
