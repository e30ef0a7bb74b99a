//! Sharing a card through its confirmation dialog.

use insta::assert_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::UserAction;
use thirtyfour::Key;

use crate::support::{ID, Page, page, page_with};

/// Sends the command, and presses "Share in channel".
async fn open_share_dialog(page: &Page) {
    page.send_command(&format!("/sandbox {ID}")).await;
    page.wait_for_message("Waiting for activation").await;
    page.press("Share in channel").await;
    page.wait_for_text("#confirm[open]", "Share this session?").await;
}

/// The first and the last message, once the first says that it was shared.
async fn wait_for_both(page: &Page) -> [String; 2] {
    let own = page
        .wait_for_text(".message:first-child .content", "Shared with everybody")
        .await;
    let for_all = page.wait_for_message("shared by @steve").await;
    [own, for_all]
}

async fn messages(page: &Page) -> serde_json::Value {
    page.evaluate("document.querySelectorAll('.message').length").await
}

#[tokio::test]
async fn a_card_is_shared_with_the_mouse_and_both_messages_are_there() {
    page(async |page| {
        open_share_dialog(page).await;
        let dialog = page.wait_for_text("#confirm", "Cancel").await;
        assert_snapshot!("confirmation_dialog", dialog);
        page.click("dialog button", "Share").await;
        let [own, for_all] = wait_for_both(page).await;
        assert!(
            own.contains("👁 Only visible to you") && own.contains("+12345678901"),
            "{own}"
        );
        let for_all = for_all.rsplit_once("\n\n").unwrap().0.replace("\n\n", "\n");
        assert_snapshot!(for_all, @"
        WhatsApp Sandbox APP 10:00 AM
        WhatsApp sandbox session
        🟡 Waiting for activation
        Open the link on the tester's phone and send the pre-filled message.
        Agent: Customer Support Agent
        Phone: •••• 8901
        Code: ABC123
        Expires tomorrow at 10:00 AM (in 24 hours)
        Activate in WhatsApp
        (opens in a new tab)
        Show QR code
        Refresh
        Tell me when it is active
        Session 123e4567-e89b-12d3-a456-426614174000 · shared by @steve
        ");
        assert_eq!(messages(page).await, 2);

        page.demo().kapso.activate(ID);
        page.press("Refresh").await;
        let for_all = page.wait_for_message("🟢 Active").await;
        assert!(for_all.contains("shared by @steve"), "{for_all}");
        page.wait_for_text(".message:first-child .content", "Waiting for activation")
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_card_is_shared_by_keyboard_alone() {
    page(async |page| {
        page.type_keys(format!("/sandbox {ID}") + Key::Enter).await;
        page.wait_for_message("Waiting for activation").await;
        let focused = async || page.evaluate("document.activeElement.textContent").await;
        for _ in 0..9 {
            if focused().await == "Share in channel" {
                break;
            }
            page.type_keys(Key::Shift + Key::Tab).await;
        }
        page.type_keys(Key::Enter).await;
        page.wait_for_text("#confirm[open]", "Share this session?").await;
        assert_eq!(focused().await, "Cancel", "nothing is shared by mistake");
        page.type_keys(Key::Escape).await;
        page.wait_until("!document.querySelector('#confirm[open]')").await;
        assert_eq!(focused().await, "Share in channel", "the focus returns to the button");
        page.type_keys(Key::Enter).await;
        page.wait_for_text("#confirm[open]", "Share this session?").await;
        page.type_keys(Key::Tab).await;
        assert_eq!(focused().await, "Share");
        page.type_keys(Key::Enter).await;
        wait_for_both(page).await;
        assert_eq!(messages(page).await, 2);
    })
    .await;
}

#[tokio::test]
async fn cancelling_shares_nothing() {
    page(async |page| {
        open_share_dialog(page).await;
        page.click("dialog button", "Cancel").await;
        page.wait_until("!document.querySelector('#confirm[open]')").await;
        page.press("Refresh").await;
        page.wait_for_text("#exchange", "a post to the response_url").await;
        let second = page.demo().slack.exchange(2).unwrap().act;
        assert!(
            matches!(second, UserAction::Pressed(action) if action == "refresh"),
            "nothing else was pressed"
        );
        assert_eq!(messages(page).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_shared_card_shows_by_itself_what_becomes_of_the_session() {
    page(async |page| {
        open_share_dialog(page).await;
        page.click("dialog button", "Share").await;
        let [_, for_all] = wait_for_both(page).await;
        assert!(for_all.contains("sent by the app with chat.postMessage"), "{for_all}");
        page.demo().kapso.activate(ID);
        page.demo().advance_clock(SignedDuration::from_mins(1));
        let for_all = page.wait_for_message("🟢 Active").await;
        assert!(for_all.contains("shared by @steve"), "{for_all}");
        assert_eq!(messages(page).await, 2);
    })
    .await;
}

#[tokio::test]
async fn without_a_bot_token_a_shared_card_is_a_reply() {
    page_with(
        |settings| settings.bot_token = None,
        async |page| {
            open_share_dialog(page).await;
            page.click("dialog button", "Share").await;
            let [_, for_all] = wait_for_both(page).await;
            assert!(for_all.contains("to the response_url"), "{for_all}");
        },
    )
    .await;
}
