//! The reply to "Show QR code".

use kapso_slack::demo::PostedMessage;
use serde_json::Value;
use url::Url;

use crate::support::{ID, TestApp, TestAppBuilder, test_app};

/// An app with a public address, so that cards have the button, and without a cache.
pub fn reachable_app() -> TestAppBuilder {
    test_app().with_public_url().without_cache()
}

/// The address of the picture in a message, if there is one.
pub fn image_url(message: &Value) -> Option<Url> {
    let blocks = message["blocks"].as_array().unwrap();
    let image = blocks.iter().find(|block| block["type"] == "image")?;
    Some(image["image_url"].as_str().unwrap().parse().unwrap())
}

/// Looks the documented session up and presses "Show QR code".
pub async fn show_qr_code(app: &TestApp) -> PostedMessage {
    let card = app.command(&format!("/sandbox {ID}")).await;
    app.press(&card, "qr").await
}
