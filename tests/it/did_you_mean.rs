//! Mistyped or unknown command words, and empty text: the reply says what to type, and no request is made to Kapso.

use kapso_slack::demo::plain;

use crate::support::spelling::{command_with_requests, expect_only_text};
use crate::support::{ID, test_app, with_app};

#[tokio::test]
async fn a_single_word_close_to_a_command_word_is_not_looked_up() {
    with_app(async |app| {
        for (typed, verb) in [
            ("hlep", "help"),
            ("halp", "help"),
            ("hel", "help"),
            ("helpp", "help"),
            ("HELPME", "help"),
            ("`h3lp`", "help"),
            ("shwo", "show"),
            ("sow", "show"),
            ("shown", "show"),
            ("SHows", "show"),
            ("lsit", "list"),
            ("lists", "list"),
            ("list-1", "list"),
            ("nwe", "new"),
            ("news", "new"),
            ("w", "new"),
            ("wathc", "watch"),
            ("unwach", "unwatch"),
        ] {
            let (requests, answer) = command_with_requests(app, typed).await;
            assert!(requests.is_empty(), "{typed} led to {requests:?}");
            let id = typed.replace('`', "");
            let expected = format!("Did you mean `/sandbox {verb}`? If that's a session ID, type `/sandbox show {id}`");
            expect_only_text(&answer, &expected, typed);
        }
        let (_, answer) = command_with_requests(app, "h.elp").await;
        expect_only_text(
            &answer,
            "Did you mean `/sandbox help`?",
            "a word that cannot be an id is not offered as one",
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_first_word_is_not_looked_up_but_corrected() {
    test_app()
        .with("CREATE_USERS", "*")
        .run(async |app| {
            for (typed, instead) in [
                ("get ID", "show ID"),
                ("session ID", "show ID"),
                ("session: ID", "show ID"),
                ("shwo ID", "show ID"),
                ("shwo `ID`", "show ID"),
                ("shwo agent-123abc", "show agent-123abc"),
                ("lookup agent-123abc", "show agent-123abc"),
                ("please look up ID for me", "show ID"),
                ("ID please", "show ID"),
                ("get https://app.kapso.ai/sandbox_sessions/ID?tab=chat", "show ID"),
                ("wacth ID", "watch ID"),
                // Two edits from `new`, but with the id of a session.
                ("see ID", "show ID"),
                ("view ID", "show ID"),
                ("hlep ID", "show ID"),
                ("nwe +12345678901 ID", "new +12345678901 ID"),
                ("hlep me", "help"),
                ("lsit 2", "list 2"),
                ("nwe +1 (234) 567-8901", "new +12345678901"),
                ("nwe steve", "new"),
            ] {
                let (requests, answer) = command_with_requests(app, &typed.replace("ID", ID)).await;
                assert!(requests.is_empty(), "{typed} led to {requests:?}");
                let expected = format!("Did you mean `/sandbox {instead}`?").replace("ID", ID);
                expect_only_text(&answer, &expected, typed);
            }
        })
        .await;
}

#[tokio::test]
async fn no_text_or_a_request_for_help_shows_the_help() {
    with_app(async |app| {
        let help = app.command_text("/sandbox").await;
        assert!(help.contains("What you can type"), "see help.rs: {help}");
        for typed in [
            "",
            " ",
            "\u{A0}\t\u{200B}",
            "help",
            "HELP",
            "Help me",
            "`help`",
            "“help”",
            "help ID",
            "<>",
        ] {
            let (requests, answer) = command_with_requests(app, typed).await;
            assert!(requests.is_empty(), "{typed:?} led to {requests:?}");
            assert_eq!(plain::text(&answer.message), help, "{typed:?}");
            assert_eq!(answer.message["response_type"], "ephemeral", "{typed:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn corrections_and_help_use_the_configured_command_name() {
    test_app()
        .with("SLACK_COMMAND", "/wa-sandbox")
        .run(async |app| {
            let help = app.command_text("/wa-sandbox").await;
            assert!(help.contains("/wa-sandbox help"), "{help}");
            assert!(!help.contains("/sandbox"), "{help}");
            let correction = app.command_text("/wa-sandbox hlep").await;
            assert_eq!(
                correction,
                "Did you mean /wa-sandbox help? If that's a session ID, type /wa-sandbox show hlep\n[ Show the help ]  [ Show it \
                 as a session ID ]"
            );
        })
        .await;
}
