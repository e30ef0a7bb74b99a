//! The manifest of the Slack app for one deployment, and the link that creates the app from it.

use serde_json::{Value, json};
use url::Url;

use crate::commands::{CommandWord, Shortcut};
use crate::routes::{COMMANDS, INTERACTIONS};
use crate::slack::direct_messages::SCOPE;

/// The manifest in the repository, for the command `/sandbox` at an example address.
const TEMPLATE: &str = include_str!("../manifest/slack-app.json");

/// How commands and presses come to the service.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    /// Slack sends them to this public address.
    Http(&'a Url),
    /// The service connects to Slack: no address is needed.
    SocketMode,
}

/// The manifest for a deployment, with the command's `name`.
///
/// # Errors
/// If the template is not JSON, which a test rules out.
pub fn for_deployment(transport: Transport<'_>, name: &str) -> Result<Value, serde_json::Error> {
    let mut manifest: Value = serde_json::from_str(TEMPLATE)?;
    let settings = &mut manifest["settings"];
    settings["socket_mode_enabled"] = json!(matches!(transport, Transport::SocketMode));
    set_address(&mut settings["interactivity"], "request_url", transport, INTERACTIONS);
    let command = &mut manifest["features"]["slash_commands"][0];
    command["command"] = json!(name);
    command["usage_hint"] = json!(CommandWord::hint());
    set_address(command, "url", transport, COMMANDS);
    manifest["features"]["shortcuts"] = Shortcut::ALL.iter().map(|shortcut| shortcut_entry(*shortcut)).collect();
    Ok(manifest)
}

/// The same manifest for an app that sends direct messages: with their scope, and a tab where they can be found again but
/// not answered.
#[must_use]
pub fn with_bot(mut manifest: Value) -> Value {
    if let Some(scopes) = manifest["oauth_config"]["scopes"]["bot"].as_array_mut() {
        scopes.push(SCOPE.into());
    }
    manifest["features"]["app_home"] = json!({
        "messages_tab_enabled": true,
        "messages_tab_read_only_enabled": true,
    });
    manifest
}

fn shortcut_entry(shortcut: Shortcut) -> Value {
    json!({
        "name": shortcut.name(),
        "type": "message",
        "callback_id": shortcut.callback_id(),
        "description": shortcut.description(),
    })
}

/// Sets `field` to the address of `path`, or removes it where there is no address.
fn set_address(object: &mut Value, field: &str, transport: Transport<'_>, path: &str) {
    match transport {
        Transport::Http(public_url) => {
            let base = public_url.as_str().trim_end_matches('/');
            object[field] = json!(format!("{base}{path}"));
        }
        Transport::SocketMode => {
            object.as_object_mut().map(|object| object.remove(field));
        }
    }
}

/// The link that opens Slack's page for creating an app from `manifest`.
/// Source: <https://docs.slack.dev/app-manifests/configuring-apps-with-app-manifests>.
#[must_use]
pub fn one_click_link(manifest: &Value) -> String {
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
        assert_eq!(template, for_deployment(Transport::Http(&example), "/sandbox").unwrap());
        assert_eq!(template["oauth_config"]["scopes"], json!({"bot": ["commands"]}));
    }

    /// Slack's limits for the fields in use, from slackapi/manifest-schema, version 2.
    #[test]
    fn the_manifests_keep_slacks_limits() {
        let address = Url::parse("https://sandbox.example.com/behind/a/path/").unwrap();
        for transport in [Transport::Http(&address), Transport::SocketMode] {
            let manifest = for_deployment(transport, "/kapso-sandbox").unwrap();
            let length = |pointer: &str| {
                let text = manifest.pointer(pointer).and_then(Value::as_str);
                text.unwrap().chars().count()
            };
            assert!((1..=35).contains(&length("/display_information/name")));
            assert!((1..=140).contains(&length("/display_information/description")));
            assert!((1..=80).contains(&length("/features/bot_user/display_name")));
            assert!((2..=32).contains(&length("/features/slash_commands/0/command")));
            assert!((1..=2_000).contains(&length("/features/slash_commands/0/description")));
            assert!((1..=1_000).contains(&length("/features/slash_commands/0/usage_hint")));
            let known = |pointer: &str, keys: &[&str]| {
                let object = manifest.pointer(pointer).and_then(Value::as_object).unwrap();
                let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
                found.sort_unstable();
                assert_eq!(found, keys, "{pointer}");
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
            known("/display_information", &["background_color", "description", "name"]);
            known("/features", &["bot_user", "shortcuts", "slash_commands"]);
            for index in 0..Shortcut::ALL.len() {
                let shortcut = format!("/features/shortcuts/{index}");
                known(&shortcut, &["callback_id", "description", "name", "type"]);
                assert_eq!(manifest.pointer(&format!("{shortcut}/type")).unwrap(), "message");
                assert!((1..=24).contains(&length(&format!("{shortcut}/name"))));
                assert!((1..=255).contains(&length(&format!("{shortcut}/callback_id"))));
                assert!((1..=150).contains(&length(&format!("{shortcut}/description"))));
            }
            known("/features/bot_user", &["always_online", "display_name"]);
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
            let (command, interactivity): (&[&str], &[&str]) = match transport {
                Transport::Http(_) => (
                    &["command", "description", "should_escape", "url", "usage_hint"],
                    &["is_enabled", "request_url"],
                ),
                Transport::SocketMode => (
                    &["command", "description", "should_escape", "usage_hint"],
                    &["is_enabled"],
                ),
            };
            known("/features/slash_commands/0", command);
            known("/settings/interactivity", interactivity);
        }
    }

    #[test]
    fn direct_messages_need_a_scope_and_a_tab_and_change_nothing_else() {
        let plain = for_deployment(Transport::SocketMode, "/sandbox").unwrap();
        let mut manifest = with_bot(plain.clone());
        assert_eq!(
            manifest["oauth_config"]["scopes"],
            json!({"bot": ["commands", "chat:write"]})
        );
        // All of them optional booleans in slackapi/manifest-schema, version 2.
        let tab = json!({"messages_tab_enabled": true, "messages_tab_read_only_enabled": true});
        assert_eq!(manifest["features"]["app_home"], tab);
        manifest["features"].as_object_mut().unwrap().remove("app_home");
        manifest["oauth_config"] = plain["oauth_config"].clone();
        assert_eq!(manifest, plain);
    }

    #[test]
    fn the_link_contains_the_whole_manifest() {
        let address = Url::parse("https://sandbox.example.com").unwrap();
        let manifest = for_deployment(Transport::Http(&address), "/sandbox").unwrap();
        let link = Url::parse(&one_click_link(&manifest)).unwrap();
        assert_eq!(link.host_str(), Some("api.slack.com"));
        let (_, linked) = link.query_pairs().find(|(name, _)| name == "manifest_json").unwrap();
        assert_eq!(serde_json::from_str::<Value>(&linked).unwrap(), manifest);
    }
}
