//! A request at a path that is not served, such as one with an ingress's prefix, is found in the log.

use crate::support::wire::RawConnection;
use crate::support::with_app;

#[tokio::test]
async fn a_path_that_is_not_served_is_in_the_log() {
    with_app(async |app| {
        for path in [
            "/kapso/slack/commands",
            "//slack/commands",
            "/slack/command",
            "/slack/commands/x",
        ] {
            let request = app
                .http
                .post(format!("{}{}", app.app_url.as_str().trim_end_matches('/'), path));
            assert_eq!(request.body("x").send().await.unwrap().status(), 404, "{path}");
            let line = app.log_lines().pop().expect("a line");
            assert_eq!(line["message"], "request rejected");
            assert_eq!(line["reason"], "this path is not served");
            assert_eq!((&line["status"], &line["path"]), (&404.into(), &path.into()));
        }
    })
    .await;
}

#[tokio::test]
async fn the_path_in_the_log_is_printable_and_short_and_has_no_query() {
    with_app(async |app| {
        for (path, shown) in [
            (format!("/{}", "a".repeat(5_000)), format!("/{}", "a".repeat(99))),
            ("/x?token=hunter2".to_owned(), "/x".to_owned()),
            ("/\u{202e}é".to_owned(), "/??".to_owned()),
            ("/%0aERROR".to_owned(), "/%0aERROR".to_owned()),
        ] {
            let mut line = RawConnection::connect(&app.app_url).await;
            line.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
            assert_eq!(line.read_response().await.0, 404, "{path}");
            assert_eq!(app.log_lines().pop().expect("a line")["path"], shown, "{path}");
        }
    })
    .await;
}
