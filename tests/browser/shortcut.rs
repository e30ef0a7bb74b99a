//! The menu of a message with the app's shortcut, in the channel and in threads.

use jiff::SignedDuration;
use thirtyfour::Key;

use crate::support::{ID, Page, page};

const LAST: &str = "#conversation > .message:last-child";
const IN_THREAD: &str = "#conversation .thread:not([hidden])";

/// Writes a message in the channel.
async fn write(page: &Page, text: &str) {
    page.send_command(text).await;
    page.wait_for_text(LAST, text).await;
}

/// Opens the menu of the last message and chooses this item.
async fn choose(page: &Page, of: &str, item: &str) {
    page.click(&format!("{of} .more"), "More actions").await;
    page.click(&format!("{of} [role=menuitem]"), item).await;
}

#[tokio::test]
async fn a_message_is_looked_up_from_its_menu() {
    page(async |page| {
        write(page, &format!("Can somebody activate {ID}?")).await;
        choose(page, LAST, "Look up sandbox session").await;
        let card = page.wait_for_text(LAST, "Waiting for activation").await;
        assert!(card.contains("Only visible to you"), "{card}");
        assert!(
            card.contains("↳ the shortcut “Look up sandbox session” · to the response_url"),
            "{card}"
        );
        page.wait_for_text("#exchange", "the shortcut “Look up sandbox session”")
            .await;
        let menus = page.evaluate("document.querySelectorAll('.menu').length").await;
        assert_eq!(menus, 1, "Slack has no shortcuts on messages that only one person sees");
    })
    .await;
}

#[tokio::test]
async fn it_answers_in_a_thread_where_commands_do_not_work() {
    page(async |page| {
        write(page, "Which session is it?").await;
        choose(page, LAST, "Reply in thread").await;
        page.wait_for_text("#thread", "Replying in a thread").await;
        page.type_keys(format!("/sandbox {ID}\n")).await;
        page.wait_for_text("#status", "Slash commands do not work in threads.")
            .await;
        page.evaluate("document.getElementById('command').value = ''").await;
        page.type_keys(format!("It is https://app.kapso.ai/sandbox/{ID}\n"))
            .await;
        page.wait_for_text(IN_THREAD, "It is https://app.kapso.ai").await;
        let of_reply = format!("{IN_THREAD} .message");
        choose(page, &of_reply, "Look up sandbox session").await;
        page.wait_for_text(IN_THREAD, "Waiting for activation").await;
        page.demo().kapso.activate(ID);
        page.click(&format!("{IN_THREAD} [data-action]"), "Refresh").await;
        page.wait_for_text(IN_THREAD, "🟢 Active").await;
        let others = page
            .evaluate("document.querySelectorAll('#conversation > .message').length")
            .await;
        assert_eq!(others, 1, "nothing else is in the channel");
        let items = page
            .evaluate(&format!(
                "document.querySelectorAll('{of_reply} [role=menuitem]').length"
            ))
            .await;
        assert_eq!(items, 1, "a reply has no thread of its own");
        page.click("#leave", "Back to the channel").await;
        write(page, "Thank you!").await;
    })
    .await;
}

#[tokio::test]
async fn several_sessions_are_offered_and_one_is_chosen() {
    page(async |page| {
        write(page, &format!("{ID} or https://app.kapso.ai/sandbox/session-42 ?")).await;
        choose(page, LAST, "Look up sandbox session").await;
        page.wait_for_text(LAST, "Which one do you mean?").await;
        page.click(&format!("{LAST} [data-action]"), &format!("Show the session: {ID}"))
            .await;
        page.wait_for_text(LAST, "Waiting for activation").await;
    })
    .await;
}

#[tokio::test]
async fn a_shared_card_has_a_menu_too_and_a_reset_removes_everything() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        page.press("Share in channel").await;
        page.click("#confirm-yes", "Share").await;
        page.wait_until("document.querySelector('.menu')").await;
        choose(page, "#conversation", "Look up sandbox session").await;
        page.wait_for_text(LAST, "the shortcut").await;
        // Slack takes three messages at once.
        page.demo().advance_clock(SignedDuration::from_mins(1));
        write(page, "Nothing here").await;
        choose(page, LAST, "Look up sandbox session").await;
        page.wait_for_text(LAST, "I found no session ID").await;
        page.click("#reset", "Reset").await;
        page.wait_until("document.querySelectorAll('.message').length === 1")
            .await;
        page.wait_for_message("Waiting for activation").await;
    })
    .await;
}

#[tokio::test]
async fn the_menu_works_by_keyboard_alone() {
    page(async |page| {
        write(page, &format!("See {ID}")).await;
        let focused = "document.activeElement.ariaLabel ?? document.activeElement.textContent";
        let expanded = "document.querySelector('.more').ariaExpanded";
        while page.evaluate(focused).await != "More actions" {
            page.type_keys(Key::Shift + Key::Tab).await;
        }
        for open in [Key::Enter, Key::Space, Key::Down] {
            page.type_keys(open).await;
            assert_eq!(page.evaluate(focused).await, "Look up sandbox session");
            assert_eq!(page.evaluate(expanded).await, "true");
            for (key, item) in [
                (Key::Down, "Reply in thread"),
                (Key::Down, "Look up sandbox session"),
                (Key::Up, "Reply in thread"),
                (Key::Home, "Look up sandbox session"),
                (Key::End, "Reply in thread"),
            ] {
                page.type_keys(key).await;
                assert_eq!(page.evaluate(focused).await, item);
            }
            page.type_keys(Key::Escape).await;
            assert_eq!(page.evaluate(focused).await, "More actions");
            assert_eq!(page.evaluate(expanded).await, "false");
        }
        page.type_keys(Key::Enter).await;
        page.type_keys(Key::Enter).await;
        page.wait_for_text(LAST, "Waiting for activation").await;
        // It closes when the focus leaves it.
        page.type_keys(Key::Up).await;
        assert_eq!(page.evaluate(expanded).await, "true");
        page.type_keys(Key::Tab).await;
        assert_eq!(page.evaluate(expanded).await, "false");
    })
    .await;
}
