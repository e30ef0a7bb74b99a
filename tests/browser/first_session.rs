//! A first session: creating, listing, showing and sharing it.

use crate::support::qr_scanner::Picture;
use crate::support::{Page, images_are_shown, page};

/// The id in the first "Show" button of the last message.
const FIRST: &str = "[...document.querySelectorAll('.message:last-child [data-action=show]')][0]";

async fn messages(page: &Page) -> u64 {
    let count = page.evaluate("document.querySelectorAll('.message').length").await;
    count.as_u64().unwrap()
}

#[tokio::test]
async fn a_session_is_created_listed_and_shown() {
    page(async |page| {
        // Enough for a second page of the list.
        for number in 1..=5 {
            page.demo().kapso.add_session(&format!("one-more-{number}"));
        }
        page.click(".chip-button", "a new one").await;
        let card = page.wait_for_message("Waiting for activation").await;
        assert!(card.contains("Phone: +12025550123"), "{card}");
        page.wait_for_text("#exchange", "POST /sandbox_sessions · 201 after")
            .await;

        page.click(".chip-button", "the list").await;
        let list = page.wait_for_message("Page 1 of 2 · 12 sessions").await;
        assert!(list.contains("🟡 Waiting for activation · •••• 0123"), "{list}");
        assert!(list.contains("Expires tomorrow at 10:00 AM"), "{list}");
        assert!(!list.contains("Previous page"), "{list}");
        let newest = page.evaluate(&format!("{FIRST}.ariaLabel")).await;
        assert!(newest.as_str().unwrap().starts_with("Show session "), "{newest}");

        page.press("Next page").await;
        let list = page.wait_for_message("Page 2 of 2").await;
        assert!(list.contains("⚫ Expired · •••• 0456"), "{list}");
        assert_eq!(messages(page).await, 2, "the list is replaced");
        page.press("Previous page").await;
        page.wait_for_message("Page 1 of 2").await;

        page.press("Show session active of •••• 4321").await;
        page.wait_for_message("Messages from this phone to the sandbox number reach the agent.")
            .await;
        assert_eq!(messages(page).await, 3, "the card is a separate message");
    })
    .await;
}

#[tokio::test]
async fn a_second_session_for_the_same_phone_needs_a_confirmation() {
    page(async |page| {
        page.send_command("/sandbox new +12025550123").await;
        page.wait_for_message("Waiting for activation").await;
        page.send_command("/sandbox new +12025550123").await;
        page.wait_for_message("Do you want another one?").await;
        page.press("Create another").await;
        page.wait_for_message("Waiting for activation").await;
        assert_eq!(messages(page).await, 2, "the card replaces the question");
        assert_eq!(page.demo().kapso.create_requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn each_wrong_input_gets_a_helpful_error() {
    page(async |page| {
        for (typed, reads) in [
            ("/sandbox list zwei", "Did you mean /sandbox list?"),
            (
                "/sandbox list 999",
                "There is nothing to show on page 999: the list has one page",
            ),
            ("/sandbox new somebody", "I couldn't read a phone number."),
            ("/sandbox new 0151 12345678", "I couldn't read a phone number."),
            ("/sandbox new 12025550123", "Did you mean /sandbox +12025550123?"),
            (
                "/sandbox new +12025550123 nobody",
                "whether the agent is one of this app's Kapso project",
            ),
        ] {
            page.send_command(typed).await;
            page.wait_for_message(reads).await;
        }
        assert_eq!(page.demo().kapso.sessions().len(), 6, "none was created");
    })
    .await;
}

/// From creating a session to scanning its QR code.
#[tokio::test]
async fn a_session_is_created_shared_and_its_qr_code_scanned() {
    page(async |page| {
        page.send_command("/sandbox new +1 (202) 555-0123").await;
        page.wait_for_message("Waiting for activation").await;
        page.press("Share in channel").await;
        page.click("dialog button", "Share").await;
        let shared = page.wait_for_message("shared by @steve").await;
        assert!(shared.contains("Phone: •••• 0123"), "{shared}");
        page.press("Show QR code").await;
        page.wait_for_message("Or scan this code").await;
        images_are_shown(page).await;
        let screen = page.driver.screenshot_as_png().await.unwrap();
        let sessions = page.demo().kapso.sessions();
        let created = sessions
            .values()
            .find(|session| session["phone_number"] == "+12025550123");
        assert_eq!(
            Picture::of(&screen).scan(),
            [created.unwrap()["activation_link"].as_str().unwrap()]
        );
        page.send_command("/sandbox list").await;
        page.wait_for_message("Page 1 of 1 · 7 sessions").await;
    })
    .await;
}
