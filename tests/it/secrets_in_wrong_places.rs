//! Secrets as people really set them: quoted, or the wrong one.

use std::fs;

use secrecy::ExposeSecret;

use crate::support::databases::Folder;
use crate::support::settings::{UNSET, problem, settings, warnings};
use crate::support::{KEY, SECRET};

const HEX: &str = "8f742231b10e8888abcd990e0e0e85a5";

#[test]
fn quotes_around_a_value_are_taken_off() {
    for quoted in [format!("\"{HEX}\""), format!("'{HEX}'"), format!(" \"{HEX}\" \r\n")] {
        let settings = settings(&[
            ("SLACK_SIGNING_SECRET", &quoted),
            ("KAPSO_API_KEY", &quoted),
            ("PORT", "\"9000\""),
            ("SLACK_COMMAND", "'/wa-sandbox'"),
            ("ALLOWED_USERS", "\"U012AB3CD,U012AB3CE\""),
            ("PUBLIC_URL", "\"\""),
        ])
        .unwrap();
        assert_eq!(settings.signing_secrets[0].expose_secret(), HEX);
        assert_eq!(settings.projects[0].api_key, HEX);
        assert_eq!(settings.listen.port(), 9_000);
        assert_eq!(settings.command, "/wa-sandbox");
        assert_eq!(settings.access_lists.users.unwrap().len(), 2);
        assert_eq!(settings.public_url, None);
    }
}

#[test]
fn a_file_is_trimmed_like_a_variable() {
    let folder = Folder::new();
    let path = folder.join("secret");
    for content in [
        format!("\u{feff}{HEX}\r\n"),
        format!("\"{HEX}\"\n"),
        format!("'{HEX}' \n\n"),
        format!("\t{HEX}"),
    ] {
        fs::write(&path, &content).unwrap();
        let file = path.to_str().unwrap();
        let settings = settings(&[
            ("SLACK_SIGNING_SECRET", UNSET),
            ("SLACK_SIGNING_SECRET_FILE", file),
            ("KAPSO_API_KEY", UNSET),
            ("KAPSO_API_KEY_FILE", file),
        ])
        .unwrap();
        assert_eq!(settings.signing_secrets[0].expose_secret(), HEX, "{content:?}");
        assert_eq!(settings.projects[0].api_key, HEX, "{content:?}");
    }
}

#[test]
fn half_a_pair_of_quotes_is_refused() {
    for value in [
        format!("\"{HEX}"),
        format!("{HEX}'"),
        format!("\"{HEX}'"),
        format!("`{HEX}`"),
    ] {
        for name in ["SLACK_SIGNING_SECRET", "KAPSO_API_KEY"] {
            assert_eq!(
                problem(&[(name, &value)]),
                format!("{name}: begins or ends with a quotation mark")
            );
        }
    }
}

#[test]
fn a_slack_token_is_refused() {
    for token in ["xoxb-1-zebra", "xoxp-1-zebra", "xoxe.xoxp-1-zebra", "xapp-1-zebra"] {
        for secret in [token.to_owned(), format!("{SECRET},{token}")] {
            assert_eq!(
                problem(&[("SLACK_SIGNING_SECRET", &secret)]),
                "SLACK_SIGNING_SECRET: holds a Slack token; the signing secret is a different value, under Basic Information"
            );
        }
        assert_eq!(
            problem(&[("KAPSO_API_KEY", token)]),
            "KAPSO_API_KEY: is a Slack token; Kapso shows the project's keys in its settings"
        );
    }
}

#[test]
fn what_does_not_look_like_the_secret_is_warned_of() {
    let shape = "SLACK_SIGNING_SECRET: is not 32 hexadecimal digits, as Slack's signing secrets are";
    let hex_key =
        "KAPSO_API_KEY: looks like a Slack signing secret (32 hexadecimal digits); check that it is Kapso's key";
    for (secret, key, says) in [
        (HEX, KEY, &[][..]),
        (SECRET, KEY, &[shape]),
        (KEY, HEX, &[shape, hex_key]),
        (&HEX[1..], KEY, &[shape]),
        (HEX, HEX, &[hex_key]),
    ] {
        let variables = [("SLACK_SIGNING_SECRET", secret), ("KAPSO_API_KEY", key)];
        assert!(settings(&variables).is_ok(), "{secret} {key}");
        assert_eq!(warnings(&variables), says, "{secret} {key}");
    }
}
