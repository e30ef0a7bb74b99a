//! The file `.env`: values are taken as they are, and what cannot be read does not stop a service that does not need it.

use serde_json::Value;

use crate::support::program::{Ended, Fakes, Program, program};
use crate::support::{KEY, SECRET};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

/// A service that gets its secrets from this `.env` alone answers a command, and Kapso accepts its key.
async fn serves_with(fakes: &Fakes, dot_env: &[u8]) {
    let program = fakes.service_without_secrets().binary_file(".env", dot_env);
    let mut service = program.start();
    let app = service.wait_until_listening().await;
    let card = fakes.command_text(&app, SHOW).await;
    let shown = String::from_utf8_lossy(dot_env);
    assert!(card.contains("Waiting for activation"), "{shown:?}: {card}");
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}

#[tokio::test]
async fn a_dollar_sign_in_a_secret_is_not_expanded() {
    for (written, read) in [
        ("ab$cd0123", "ab$cd0123"),
        ("\"ab$cd0123\"", "ab$cd0123"),
        ("'ab$cd0123'", "ab$cd0123"),
        ("ab${HOME}cd", "ab${HOME}cd"),
    ] {
        let fakes = Fakes::start_with_key(read).await;
        let file = format!("SLACK_SIGNING_SECRET={SECRET}\nKAPSO_API_KEY={written}\n");
        serves_with(&fakes, file.as_bytes()).await;
    }
}

#[tokio::test]
async fn line_ends_quotes_export_and_blanks_do_not_matter() {
    let fakes = Fakes::start().await;
    for file in [
        format!("SLACK_SIGNING_SECRET={SECRET}\r\nKAPSO_API_KEY={KEY}\r\n"),
        format!("\u{feff}SLACK_SIGNING_SECRET={SECRET}\nKAPSO_API_KEY={KEY}"),
        format!("export SLACK_SIGNING_SECRET='{SECRET}'\n  export  KAPSO_API_KEY = \"{KEY}\"  \n"),
        format!("SLACK_SIGNING_SECRET={SECRET} \t\r\nKAPSO_API_KEY={KEY} # of the test project\n"),
        format!("# both\n\n#KAPSO_API_KEY=\nSLACK_SIGNING_SECRET=\"{SECRET}\" # quoted\nKAPSO_API_KEY={KEY}\n"),
        format!("SLACK_SIGNING_SECRET=first\nSLACK_SIGNING_SECRET={SECRET}\nKAPSO_API_KEY={KEY}\n"),
        format!("OTHER='one\ntwo = 2\nthree'\nSLACK_SIGNING_SECRET={SECRET}\nKAPSO_API_KEY={KEY}\n"),
    ] {
        serves_with(&fakes, file.as_bytes()).await;
    }
}

/// What the service with all that it needs, and this, warned of before it listened.
async fn warnings(fakes: &Fakes, with: impl FnOnce(Program) -> Program) -> Vec<String> {
    let mut service = with(fakes.service()).start();
    let app = service.wait_until_listening().await;
    assert!(fakes.command_text(&app, SHOW).await.contains("Waiting for activation"));
    service.send_signal("TERM").await;
    let Ended { code, stdout, .. } = service.wait_for_exit().await;
    assert_eq!(code, Some(0));
    assert!(!stdout.contains("zebra"), "{stdout}");
    let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["level"] == "WARN")
        .filter_map(|line| line["problem"].as_str().map(ToOwned::to_owned))
        .filter(|problem| problem.starts_with(".env"))
        .collect()
}

#[tokio::test]
async fn a_folder_named_dot_env_is_warned_of() {
    let fakes = Fakes::start().await;
    assert_eq!(
        warnings(&fakes, |program| program.folder(".env")).await,
        [
            ".env: is a folder, not a file, and was not read; Docker creates a folder if the file to mount does not exist"
        ]
    );
}

#[tokio::test]
async fn lines_that_cannot_be_read_are_warned_of_by_number_if_nothing_is_missing() {
    let fakes = Fakes::start().await;
    for (file, says) in [
        (
            &b"# ours\nzebra zebra\n"[..],
            ".env: line 2 cannot be read and was skipped",
        ),
        (b"A='zebra\n", ".env: line 1 cannot be read and was skipped"),
        (
            b"A=1\n<zebra>\nB=2\n: zebra\n",
            ".env: lines 2, 4 cannot be read and were skipped",
        ),
        (b"A=\xff\xfe\n", ".env: line 1 cannot be read and was skipped"),
        (
            b"\xff\xfeA\0=\0z\0",
            ".env: is not UTF-8 text but UTF-16, and was not read",
        ),
    ] {
        let shown = String::from_utf8_lossy(file);
        assert_eq!(
            warnings(&fakes, |program| program.binary_file(".env", file)).await,
            [says],
            "{shown:?}"
        );
    }
}

#[tokio::test]
async fn lines_that_docker_takes_are_no_problem() {
    let fakes = Fakes::start().await;
    let file = "HOME\nOTHER=two words\nEMPTY=\nJSON={\"zebra\": 1}\nDOTTED.name=x\nQUOTE=it's\n";
    assert_eq!(
        warnings(&fakes, |program| program.file(".env", file)).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn with_something_missing_the_unreadable_file_is_named_too() {
    let unreadable = program(&[])
        .file(".env", "SLACK_SIGNING_SECRET 'zebra\n")
        .wait_for_exit();
    let folder = program(&[]).folder(".env").wait_for_exit();
    for (ended, says) in [
        (unreadable.await, "\n  .env: line 1 cannot be read"),
        (folder.await, "\n  .env: is a folder, not a file"),
    ] {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("\n  KAPSO_API_KEY: is missing"), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
        assert!(!ended.stderr.contains("zebra"), "{ended:?}");
    }
}

#[tokio::test]
async fn an_unreadable_line_for_a_limit_on_access_is_never_skipped() {
    let fakes = Fakes::start().await;
    for line in ["ALLOWED_USERS='U012AB3CD", "export ALLOWED_USERS: U012AB3CD"] {
        let ended = fakes.service().file(".env", line).wait_for_exit().await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("\n  ALLOWED_USERS: line 1 of .env cannot be read"),
            "{ended:?}"
        );
        assert!(!ended.stderr.contains("U012AB3CD"), "{ended:?}");
        let with_environment = fakes.service().file(".env", line).with("ALLOWED_USERS", "U2147483697");
        let mut service = with_environment.start();
        service.wait_until_listening().await;
    }
    let in_a_file = program(&[]).file(".env", "KAPSO_API_KEY_FILE='key\n").file("key", KEY);
    let mut service = in_a_file
        .with("SLACK_SIGNING_SECRET", SECRET)
        .with("KAPSO_API_KEY_FILE", "key")
        .with("HOST", "127.0.0.1")
        .with("PORT", "0")
        .start();
    service.wait_until_listening().await;
}

#[tokio::test]
async fn healthcheck_and_manifest_do_not_need_the_file() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service().start();
    let app = service.wait_until_listening().await;
    let port = app.port().unwrap().to_string();
    for broken in [
        program(&["healthcheck"]).folder(".env"),
        program(&["healthcheck"]).file(".env", "A 'zebra\n"),
    ] {
        let ended = broken.with("PORT", &port).wait_for_exit().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    }
    let ended = program(&["manifest", "--url", "https://sandbox.acme.example"])
        .folder(".env")
        .wait_for_exit()
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(".env: is a folder"), "{ended:?}");
}
