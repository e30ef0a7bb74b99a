//! The command itself typed again, words of courtesy, and sentences: what was meant is done or offered, and no ordinary
//! word is looked up as an id.

use kapso_slack::demo::plain;

use crate::support::spelling::{command_with_requests, expect_only_text};
use crate::support::{ID, test_app, with_app};

#[tokio::test]
async fn the_command_typed_twice_does_what_it_does_once() {
    with_app(async |app| {
        for (typed, once) in [
            ("/sandbox list", "list"),
            ("/sandbox list 2", "list 2"),
            ("/Sandbox List 2", "list 2"),
            ("sandbox list 2", "list 2"),
            ("Sandbox: list", "list"),
            ("/sandbox /sandbox list", "list"),
            ("`/sandbox list 2`", "list 2"),
            ("/list 2", "list 2"),
            ("/sandbox ID", "ID"),
            ("/sandbox show ID", "ID"),
            ("*/sandbox* `ID`", "ID"),
            ("/sandbox", "help"),
            ("sandbox", "help"),
            ("/sandbox help", "help"),
            ("/help", "help"),
            ("please help", "help"),
            ("I need help, please help", "help"),
        ] {
            let (requests, answer) = command_with_requests(app, &typed.replace("ID", ID)).await;
            let (expected_requests, expected) = command_with_requests(app, &once.replace("ID", ID)).await;
            assert_eq!(requests, expected_requests, "{typed:?}");
            // The ages of a session differ by the minute between the two.
            let first_lines = |text: String| text.lines().take(5).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(
                first_lines(plain::text(&answer.message)),
                first_lines(plain::text(&expected.message)),
                "{typed:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn another_name_of_the_command_may_be_repeated_too() {
    test_app()
        .with("SLACK_COMMAND", "/wa-sandbox")
        .run(async |app| {
            for typed in ["/wa-sandbox list 2", "wa-sandbox list 2", "WA-Sandbox: list 2"] {
                app.command(&format!("/wa-sandbox {typed}")).await;
            }
            assert_eq!(
                app.kapso.requests(),
                ["GET /sandbox_sessions?page=2&per_page=10"; 3],
                "the same page, three times"
            );
        })
        .await;
    // A name that is also a command word is repeated with its slash only.
    test_app()
        .with("SLACK_COMMAND", "/list")
        .run(async |app| {
            app.command("/list list 2").await;
            app.command("/list /list list 3").await;
            assert_eq!(
                app.kapso.requests(),
                [
                    "GET /sandbox_sessions?page=2&per_page=10",
                    "GET /sandbox_sessions?page=3&per_page=10"
                ]
            );
        })
        .await;
}

#[tokio::test]
async fn ordinary_words_are_neither_looked_up_nor_offered_as_ids() {
    with_app(async |app| {
        for typed in [
            "Sandbox session",
            "sandbox session",
            "/sandbox session",
            "active foo bar",
            "what is going on",
            "show active foo bar",
            "thank you",
        ] {
            let (requests, answer) = command_with_requests(app, typed).await;
            assert!(requests.is_empty(), "{typed} led to {requests:?}");
            let expected = format!(
                "I couldn't find a session ID in that. Copy the ID from Kapso, for example `/sandbox {ID}`. More: \
                 `/sandbox help`"
            );
            expect_only_text(&answer, &expected, typed);
        }
        for (typed, instead) in [
            ("please list", "list"),
            ("please list 2", "list 2"),
            ("could you list page 3", "list 3"),
            ("please show agent-123abc", "show agent-123abc"),
            ("please watch ID", "watch ID"),
            ("Sandbox session ID", "show ID"),
            ("active foo agent-123abc", "show agent-123abc"),
        ] {
            let (requests, answer) = command_with_requests(app, &typed.replace("ID", ID)).await;
            assert!(requests.is_empty(), "{typed} led to {requests:?}");
            let expected = format!("Did you mean `/sandbox {}`?", instead.replace("ID", ID));
            expect_only_text(&answer, &expected, typed);
        }
    })
    .await;
}

#[tokio::test]
async fn unwatch_stops_watching_and_never_offers_to_watch() {
    test_app()
        .run(async |app| {
            app.wait_for_store().await;
            let not_watched = app.command_text(&format!("/sandbox unwatch {ID}")).await;
            assert!(
                not_watched.contains("You are not watching this session."),
                "{not_watched}"
            );
            app.command(&format!("/sandbox watch {ID}")).await;
            let stopped = app.command_text(&format!("/sandbox Unwatch `{ID}`")).await;
            assert!(stopped.contains("Stopped watching this session."), "{stopped}");
            for (typed, says) in [
                ("unwatch", "I couldn't find a session ID in that."),
                ("unwatch ID please", "Did you mean `/sandbox unwatch ID`?"),
                ("unwach ID", "Did you mean `/sandbox unwatch ID`?"),
                ("unwatched ID", "Did you mean `/sandbox unwatch ID`?"),
                ("stop watching ID", "Did you mean `/sandbox unwatch ID`?"),
                ("Stop watch ID", "Did you mean `/sandbox unwatch ID`?"),
                ("don't watch ID", "Did you mean `/sandbox unwatch ID`?"),
                ("please do not watch ID", "Did you mean `/sandbox unwatch ID`?"),
                ("un watch ID", "Did you mean `/sandbox unwatch ID`?"),
                ("remove watch ID", "Did you mean `/sandbox unwatch ID`?"),
                ("watch stop ID", "Did you mean `/sandbox unwatch ID`?"),
                ("watch ID off", "Did you mean `/sandbox unwatch ID`?"),
                ("wacth stop ID", "Did you mean `/sandbox unwatch ID`?"),
                ("delete watch", "I couldn't find a session ID in that."),
                ("disable watch", "I couldn't find a session ID in that."),
                ("unwatch all", "I couldn't find a session ID in that."),
            ] {
                let answer = app.command(&format!("/sandbox {}", typed.replace("ID", ID))).await;
                let text = answer.message["text"].as_str().unwrap();
                assert!(
                    text.starts_with(&says.replace("watch ID", &format!("watch {ID}"))),
                    "{typed}: {text}"
                );
                assert!(!text.contains("/sandbox watch"), "{typed}: {text}");
            }
        })
        .await;
}
