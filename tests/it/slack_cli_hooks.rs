//! The commands in `.slack/hooks.json`, which the Slack CLI runs, work by themselves.

use serde_json::Value;

use crate::support::program::shell_command;

const HOOKS: &str = include_str!("../../.slack/hooks.json");

/// The command of a hook.
fn hook(name: &str) -> String {
    let hooks: Value = serde_json::from_str(HOOKS).unwrap();
    // Without this, the CLI would connect to Slack itself and start the command once per event.
    assert_eq!(hooks["config"]["sdk-managed-connection-enabled"], true);
    hooks["hooks"][name].as_str().unwrap().to_owned()
}

/// The CLI reads standard output alone.
#[tokio::test]
async fn the_manifest_is_printed_for_the_slack_cli() {
    let ended = shell_command(&hook("get-manifest")).wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let manifest: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(manifest["settings"]["socket_mode_enabled"], true);
    assert!(manifest["features"]["bot_user"].is_object(), "{manifest}");
}
