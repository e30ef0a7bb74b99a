//! A newcomer creates a session, lists, turns pages and has one shown, without leaving the channel.

use crate::support::qr_scanner::Picture;
use crate::support::{Page, images_are_shown, page};

/// The first session that can be shown from the last message.
const FIRST: &str = "[...document.querySelectorAll('.message:last-child [data-action=show]')][0]";

async fn messages(page: &Page) -> u64 {
    let count = page.value("document.querySelectorAll('.message').length").await;
    count.as_u64().unwrap()
}

#[tokio::test]
async fn a_newcomer_creates_a_session_lists_turns_pages_and_has_one_shown() {
    page(async |page| {
        page.clicks(".chip-button", "a new one").await;
        let card = page.reads("Waiting for activation").await;
        assert!(card.contains("Phone: +12025550123"), "{card}");
        page.sees("#exchange", "POST /sandbox_sessions · 201 after").await;

        page.clicks(".chip-button", "the list").await;
        let list = page.reads("Page 1 of 2 · 12 sessions").await;
        assert!(list.contains("🟡 Waiting for activation · •••• 0123"), "{list}");
        assert!(list.contains("Expires tomorrow at 10:00 AM"), "{list}");
        assert!(!list.contains("Previous page"), "{list}");
        let newest = page.value(&format!("{FIRST}.ariaLabel")).await;
        assert!(
            newest.as_str().unwrap().starts_with("Show the session of •••• "),
            "{newest}"
        );

        page.presses("Next page").await;
        let list = page.reads("Page 2 of 2").await;
        assert!(list.contains("⚫ Expired · •••• 0135"), "{list}");
        assert_eq!(messages(page).await, 2, "the list is turned in its place");
        page.presses("Previous page").await;
        page.reads("Page 1 of 2").await;

        page.presses("Show the session of •••• 4321").await;
        page.reads("🟢 Active").await;
        assert_eq!(messages(page).await, 3, "the card stands beside the list");
    })
    .await;
}

#[tokio::test]
async fn a_second_session_for_the_same_phone_is_asked_about() {
    page(async |page| {
        page.types("/sandbox new +12025550123").await;
        page.reads("Waiting for activation").await;
        page.types("/sandbox new +12025550123").await;
        page.reads("Do you want another one?").await;
        page.presses("Yes, another one").await;
        page.reads("Waiting for activation").await;
        assert_eq!(messages(page).await, 2, "the card takes the question's place");
        assert_eq!(page.demo().kapso.posted().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn each_wrong_input_gets_a_sentence_that_helps() {
    page(async |page| {
        for (typed, reads) in [
            ("/sandbox list zwei", "Page numbers start at 1."),
            (
                "/sandbox list 999",
                "There is nothing to show on page 999: the list has 2 pages",
            ),
            ("/sandbox new", "I couldn't read a phone number."),
            ("/sandbox new 0151 12345678", "I couldn't read a phone number."),
            ("/sandbox new 12025550123", "Did you mean /sandbox new +12025550123?"),
            (
                "/sandbox new +12025550123 nobody",
                "whether the agent is one of this app's Kapso project",
            ),
        ] {
            page.types(typed).await;
            page.reads(reads).await;
        }
        assert_eq!(page.demo().kapso.sessions().len(), 11, "none was created");
    })
    .await;
}

/// The whole of it: a newcomer gets a tester going who reads the channel on a desk and holds a phone to it.
#[tokio::test]
async fn a_newcomer_creates_a_session_shares_it_and_a_phone_reads_its_code_off_the_screen() {
    page(async |page| {
        page.types("/sandbox new +1 (202) 555-0123").await;
        page.reads("Waiting for activation").await;
        page.presses("Share in channel").await;
        page.clicks("dialog button", "Share").await;
        let shared = page.reads("shared by @steve").await;
        assert!(shared.contains("Phone: •••• 0123"), "{shared}");
        page.presses("Show QR code").await;
        page.reads("Or scan this code").await;
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
        page.types("/sandbox list").await;
        page.reads("Page 1 of 2 · 12 sessions").await;
    })
    .await;
}
