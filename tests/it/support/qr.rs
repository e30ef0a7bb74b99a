//! The message that "Show QR code" brings.

use kapso_slack::demo::Posted;
use serde_json::Value;
use url::Url;

use crate::support::{ID, Plan, TestApp, plan};

/// An app with a public address, so that cards have the button, and without a cache.
pub fn reachable() -> Plan {
    plan().reachable().forgetful()
}

/// The address of the picture in a message, if there is one.
pub fn picture(message: &Value) -> Option<Url> {
    let blocks = message["blocks"].as_array().unwrap();
    let image = blocks.iter().find(|block| block["type"] == "image")?;
    Some(image["image_url"].as_str().unwrap().parse().unwrap())
}

/// Looks the documented session up and presses "Show QR code".
pub async fn shows_qr_code(app: &TestApp) -> Posted {
    let card = app.types(&format!("/sandbox {ID}")).await;
    app.presses(&card, "qr").await
}
