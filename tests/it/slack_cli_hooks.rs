//! The commands in `.slack/hooks.json`, which the Slack CLI runs, work by themselves.

use serde_json::Value;

use kapso_slack::slack::socket_mode::CONNECTIONS;

use crate::support::program::{Fakes, shell_command};
use crate::support::{APP_TOKEN, KEY};

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

/// The CLI starts the command with two tokens in its environment.
#[tokio::test]
async fn the_service_starts_for_the_slack_cli() {
    let fakes = Fakes::start().await;
    fakes.slack.turn_on_socket_mode(APP_TOKEN);
    let service = shell_command(&hook("start"))
        .with("SLACK_APP_TOKEN", APP_TOKEN)
        .with("SLACK_BOT_TOKEN", "xoxb-planted-bot-token")
        .with("KAPSO_API_KEY", KEY)
        .with("KAPSO_BASE_URL", fakes.kapso.base_url().as_str())
        .with("SLACK_API_URL", &fakes.slack.api_url())
        .with("SLACK_SOCKET_HOSTS", fakes.slack.socket().origin())
        .with("SLACK_RESPONSE_HOSTS", &fakes.slack.origin())
        .with("HOST", "127.0.0.1")
        .with("PORT", "0");
    let mut service = service.start();
    let app = service.wait_until_serving().await;
    fakes.slack.socket().wait_for_connections(CONNECTIONS).await;
    assert!(fakes.command_text(&app, "/sandbox help").await.contains("/sandbox"));
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}
