//! The manifest of the Slack app for one deployment, and the link that creates the app from it.

use serde_json::{Value, json};
use url::Url;

use crate::commands::CommandWord;
use crate::routes::{COMMANDS, INTERACTIONS};

/// The manifest in the repository, for the command `/sandbox` at an example address.
const TEMPLATE: &str = include_str!("../manifest/slack-app.json");

/// The manifest for a service that Slack reaches at `public_url`, with the command's `name`.
///
/// # Errors
/// If the template is not JSON, which a test rules out.
pub(crate) fn for_deployment(public_url: &Url, name: &str) -> Result<Value, serde_json::Error> {
    let mut manifest: Value = serde_json::from_str(TEMPLATE)?;
    let base = public_url.as_str().trim_end_matches('/');
    let command = &mut manifest["features"]["slash_commands"][0];
    command["command"] = json!(name);
    command["url"] = json!(format!("{base}{COMMANDS}"));
    command["usage_hint"] = json!(CommandWord::hint());
    manifest["settings"]["interactivity"]["request_url"] = json!(format!("{base}{INTERACTIONS}"));
    Ok(manifest)
}

/// The link that opens Slack's page for creating an app from `manifest`.
/// Source: <https://docs.slack.dev/app-manifests/configuring-apps-with-app-manifests>.
pub(crate) fn one_click_link(manifest: &Value) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("new_app", "1")
        .append_pair("manifest_json", &manifest.to_string())
        .finish();
    format!("https://api.slack.com/apps?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_the_manifest_of_an_example_deployment() {
        let template: Value = serde_json::from_str(TEMPLATE).unwrap();
        let example = Url::parse("https://sandbox.example.com").unwrap();
        assert_eq!(template, for_deployment(&example, "/sandbox").unwrap());
        assert_eq!(template["oauth_config"]["scopes"], json!({"bot": ["commands"]}));
    }

    /// Slack's limits for the fields in use, from slackapi/manifest-schema, version 2.
    #[test]
    fn the_manifest_keeps_slacks_limits() {
        let address = Url::parse("https://sandbox.example.com/behind/a/path/").unwrap();
        let manifest = for_deployment(&address, "/kapso-sandbox").unwrap();
        let length = |pointer: &str| {
            manifest
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap()
                .chars()
                .count()
        };
        assert!((1..=35).contains(&length("/display_information/name")));
        assert!((1..=140).contains(&length("/display_information/description")));
        assert!((2..=32).contains(&length("/features/slash_commands/0/command")));
        assert!((1..=2_000).contains(&length("/features/slash_commands/0/description")));
        assert!((1..=1_000).contains(&length("/features/slash_commands/0/usage_hint")));
        assert_eq!(
            manifest["features"]["slash_commands"][0]["url"],
            "https://sandbox.example.com/behind/a/path/slack/commands"
        );
        let known = |pointer: &str, keys: &[&str]| {
            let object = manifest.pointer(pointer).and_then(Value::as_object).unwrap();
            assert!(
                object.keys().all(|key| keys.contains(&key.as_str())),
                "unknown key in {pointer}"
            );
        };
        known(
            "",
            &[
                "_metadata",
                "display_information",
                "features",
                "oauth_config",
                "settings",
            ],
        );
        known("/display_information", &["name", "description", "background_color"]);
        known("/features", &["slash_commands"]);
        known(
            "/features/slash_commands/0",
            &["command", "url", "description", "usage_hint", "should_escape"],
        );
        known("/oauth_config", &["scopes"]);
        known(
            "/settings",
            &[
                "interactivity",
                "org_deploy_enabled",
                "socket_mode_enabled",
                "token_rotation_enabled",
            ],
        );
        known("/settings/interactivity", &["is_enabled", "request_url"]);
    }

    #[test]
    fn the_link_contains_the_whole_manifest() {
        let address = Url::parse("https://sandbox.example.com").unwrap();
        let manifest = for_deployment(&address, "/sandbox").unwrap();
        let link = Url::parse(&one_click_link(&manifest)).unwrap();
        assert_eq!(link.host_str(), Some("api.slack.com"));
        let (_, linked) = link.query_pairs().find(|(name, _)| name == "manifest_json").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&linked).unwrap(), manifest);
    }
}
