//! `/sandbox help`: what this person can do here.

use std::collections::BTreeSet;
use std::fs;

use insta::assert_snapshot;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::commands::CommandWord;
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{self, plain};
use serde_json::Value;

use crate::support::{ID, TestApp, TestAppBuilder, test_app};

/// An app with all features, in which everybody has all permissions.
fn open() -> TestAppBuilder {
    let app = test_app().with_public_url().with("CREATE_USERS", "*");
    app.with("DEFAULT_AGENT", "agent-123abc")
}

async fn help(app: &TestApp) -> Value {
    app.command("/sandbox help").await.message
}

#[tokio::test]
async fn help_lists_everything_to_people_with_all_permissions() {
    open()
        .without_bot_token()
        .run(async |app| {
            let help = help(app).await;
            assert_snapshot!("help", plain::text(&help));
            assert_eq!(help["response_type"], "ephemeral");
        })
        .await;
}

#[tokio::test]
async fn help_promises_direct_messages_where_there_are_some() {
    for (builder, promise) in [
        (test_app().with_bot_token(), "tells you by direct message"),
        (test_app().without_bot_token(), "tells you, for the next 28 minutes,"),
    ] {
        builder
            .run(async |app| {
                let text = plain::text(&help(app).await);
                assert!(text.contains(promise), "{text}");
            })
            .await;
    }
}

#[tokio::test]
async fn help_omits_creating_without_permission_and_explains_missing_qr_codes() {
    let lines = async |builder: TestAppBuilder| {
        let mut text = String::new();
        builder.run(async |app| text = plain::text(&help(app).await)).await;
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (all, fewer) = (lines(open()).await, lines(test_app()).await);
    let only_in = |these: &[String], those: &[String]| {
        let only: Vec<_> = these.iter().filter(|line| !those.contains(line)).cloned().collect();
        only.join("\n")
    };
    assert_snapshot!(only_in(&all, &fewer), @"
    /sandbox new <+phone> [agent id]
    creates a session for a tester's phone, if you're allowed to
    /sandbox new +12025550123
    Show QR code shows a QR code to scan
    Create a new session creates one for the same phone, after this one has ended
    Look it up, and activate it or create a new one: /sandbox new +12025550123
    ");
    assert_snapshot!(only_in(&fewer, &all), @"
    There are no QR codes here: whoever runs this app has not set PUBLIC_URL.
    Look it up, and activate it or create a new one in Kapso.
    ");
    assert_eq!(fewer.len(), all.len() - 4, "and nothing else differs");
}

#[tokio::test]
async fn people_without_access_read_who_has_it() {
    open()
        .with("ALLOWED_USERS", "U0OTHER")
        .run(async |app| {
            let text = app.command_text("/sandbox help").await;
            assert!(
                text.starts_with("You cannot use this here. These people may use it: @U0OTHER."),
                "{text}"
            );
            assert!(!text.contains("/sandbox"), "{text}");
        })
        .await;
}

#[tokio::test]
async fn the_top_level_text_has_the_whole_help() {
    open()
        .run(async |app| {
            let help = help(app).await;
            let blocks = help["blocks"].as_array().unwrap();
            let sections: Vec<&str> = blocks
                .iter()
                .skip(1)
                .map(|block| block["text"]["text"].as_str().unwrap())
                .collect();
            assert_eq!(sections.len(), 5);
            assert_eq!(help["text"], sections.join("\n\n"));
        })
        .await;
}

#[tokio::test]
async fn every_command_in_the_help_works() {
    open()
        .run(async |app| {
            app.wait_for_store().await;
            let help = help(app).await;
            let text = help["text"].as_str().unwrap();
            let copied: Vec<&str> = text
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|code| code.starts_with('/'))
                .collect();
            assert!(copied.len() > CommandWord::all().count(), "{copied:?}");
            for command in copied
                .into_iter()
                .filter(|command| !command.contains("&lt;") && !command.contains('['))
            {
                let answer = app.command(command).await.message;
                let outcome = app.command_log_lines().pop().unwrap()["outcome"].clone();
                let worked = ["shown", "listed", "created", "asked_again", "help"];
                assert!(
                    worked.iter().any(|word| outcome == *word),
                    "{command}: {outcome}, {answer}"
                );
            }
        })
        .await;
}

#[tokio::test]
async fn help_explains_exactly_the_buttons_of_a_card() {
    for builder in [test_app(), test_app().with_public_url(), open()] {
        builder
            .without_cache()
            .run(async |app| {
                let pending = app.command(&format!("/sandbox {ID}")).await.message;
                app.kapso.expire(ID);
                let ended = app.command(&format!("/sandbox {ID}")).await.message;
                let there: BTreeSet<&str> = buttons(&pending)
                    .chain(buttons(&ended))
                    .map(|button| button["text"]["text"].as_str().unwrap())
                    .collect();
                let help = help(app).await;
                let text = help["blocks"][2]["text"]["text"].as_str().unwrap();
                let explained: BTreeSet<&str> = text
                    .lines()
                    .filter_map(|line| Some(line.strip_prefix('*')?.split_once("* ")?.0))
                    .collect();
                assert_eq!(explained, there);
            })
            .await;
    }
}

/// README's table and the manifest are generated from the same source, see `documents.rs`.
#[tokio::test]
async fn help_manifest_and_playground_list_the_same_commands() {
    open()
        .without_bot_token()
        .run(async |app| {
            let help = help(app).await;
            let section = help["blocks"][1]["text"]["text"].as_str().unwrap();
            let mut rest = section;
            for usage in CommandWord::all().flat_map(|word| word.usages) {
                let typed = usage.typed.replace('<', "&lt;").replace('>', "&gt;");
                let lines = format!("\n`/sandbox {typed}`\n{}", usage.does);
                let (_, behind) = rest.split_once(&lines).unwrap_or_else(|| panic!("{lines} in {rest}"));
                rest = behind;
            }
        })
        .await;
    let hint: Vec<&str> = CommandWord::all().map(|word| word.usages[0].typed).collect();
    let hint = hint.join(" | ");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/manifest/slack-app.json");
    let manifest: Value = serde_json::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
    assert_eq!(manifest["features"]["slash_commands"][0]["usage_hint"], hint);
    let playing = demo::start(0, Clock::system(), |_| {}).await.unwrap();
    let http = client_builder().build().unwrap();
    let state = http.get(playing.url().join("state").unwrap()).send().await.unwrap();
    let state: Value = serde_json::from_str(&state.text().await.unwrap()).unwrap();
    assert_eq!(state["command"]["hint"], hint);
}
