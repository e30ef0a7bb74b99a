//! Direct messages in the playground: a conversation of their own, in which the news of a watch arrive.

use serde_json::json;

use crate::support::{ID, Page, page, page_with};

const LAST: &str = "#direct-messages .message:last-child .content";

async fn watch(page: &Page) {
    page.send_command(&format!("/sandbox {ID}")).await;
    page.wait_for_message("Waiting for activation").await;
    page.press("Tell me when it is active").await;
    page.wait_for_message("I'll send you a direct message").await;
}

#[tokio::test]
async fn news_come_as_direct_messages_after_a_day() {
    page(async |page| {
        watch(page).await;
        page.click("#clock button", "15 minutes later").await;
        page.click("button", &format!("Activate {ID}")).await;
        page.click("#clock button", "15 minutes later").await;
        page.wait_for_text("#unread", "1 new").await;
        page.click(".place", "WhatsApp Sandbox").await;
        let news = page.wait_for_text(LAST, "is active now").await;
        assert!(!news.contains("Only visible to you"), "{news}");
        assert!(news.contains("chat.postMessage"), "{news}");
        page.wait_until("document.getElementById('unread').hidden").await;
        page.wait_until("document.getElementById('composer').hidden").await;
        page.click("#clock button", "A day later").await;
        page.wait_for_text(LAST, "has expired").await;
        page.click(".place", "sandbox").await;
        page.wait_until("!document.getElementById('composer').hidden").await;
        page.click("#reset", "Reset").await;
        page.wait_until("document.querySelectorAll('#direct-messages .message').length === 0")
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_button_of_a_direct_message_is_answered_there() {
    page(async |page| {
        watch(page).await;
        page.click("button", &format!("Activate {ID}")).await;
        page.click("#clock button", "15 minutes later").await;
        page.click(".place", "WhatsApp Sandbox").await;
        page.wait_for_text(LAST, "is active now").await;
        page.click("#direct-messages [data-action]", "Stop watching").await;
        page.wait_for_text(LAST, "Stopped watching this session.").await;
    })
    .await;
}

#[tokio::test]
async fn without_a_bot_token_there_is_no_such_conversation() {
    page_with(
        |settings| settings.bot_token = None,
        async |page| {
            page.wait_until("document.getElementById('places').hidden").await;
            assert_eq!(
                page.evaluate("document.getElementById('channel').checkVisibility()")
                    .await,
                json!(true)
            );
        },
    )
    .await;
}
