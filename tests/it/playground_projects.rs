//! The playground: two projects in two channels, and a third channel that is asked.

use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{self, RunningDemo};
use serde_json::json;

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

async fn show_channel(demo: &RunningDemo, channel: &str) -> u16 {
    let address = demo.url().join("/channel").unwrap();
    let request = client_builder().build().unwrap().post(address);
    let body = json!({"channel": channel}).to_string();
    let request = request.header("content-type", "application/json").body(body);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn two_channels_show_two_projects_and_the_third_is_asked() {
    let mut demo = demo::start(0, Clock::system(), |_| {}).await.unwrap();
    let alone = demo.server().run_command(SHOW).await;
    assert!(
        alone.contains("Customer Support Agent") && !alone.contains("Project"),
        "{alone}"
    );

    assert_eq!(show_channel(&demo, "staging").await, 200);
    let staging = demo.server().run_command(SHOW).await;
    assert!(
        staging.contains("Staging Agent") && staging.contains("Project staging"),
        "{staging}"
    );
    assert_eq!(show_channel(&demo, "both").await, 200);
    let question = demo.server().run_command(SHOW).await;
    assert!(question.starts_with("Which Kapso project do you mean?"), "{question}");
    let named = demo.server().run_command(&format!("{SHOW} @staging")).await;
    assert!(named.contains("Staging Agent"), "{named}");
    assert_eq!(show_channel(&demo, "sandbox").await, 200);
    let support = demo.server().run_command(SHOW).await;
    assert!(
        support.contains("Customer Support Agent") && support.contains("Project support"),
        "{support}"
    );
    assert_eq!(show_channel(&demo, "nowhere").await, 400);
    demo.stop_service().await;
}
