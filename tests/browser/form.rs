//! The form of `/sandbox new`: a real dialog, with errors at its fields.

use thirtyfour::Key;

use crate::support::{Page, page};

const FORM: &str = "#form[open]";
const FOCUSED: &str = "document.activeElement.id";
const CLOSED: &str = "!document.getElementById('form').open";

async fn open(page: &Page) {
    page.send_command("/sandbox new").await;
    page.wait_for_text(FORM, "New sandbox session").await;
}

/// What a screen reader says about the focused field.
async fn described(page: &Page) -> String {
    let ids = "(document.activeElement.getAttribute('aria-describedby') ?? '').split(' ')";
    let words = page
        .evaluate(&format!(
            "{ids}.map((id) => document.getElementById(id).textContent).join(' ')"
        ))
        .await;
    words.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_created_with_the_form() {
    page(async |page| {
        open(page).await;
        page.wait_for_text("#status", "The app opened a form, after").await;
        let agent = page.evaluate("document.getElementById('form-agent').value").await;
        assert_eq!(agent, "agent-123abc", "the default agent is filled in");
        assert_eq!(page.evaluate(FOCUSED).await, "form-phone");
        page.type_keys("+1 202 555 0123").await;
        page.click("#form-submit", "Create session").await;
        page.wait_until(CLOSED).await;
        let card = page.wait_for_message("Session created.").await;
        assert!(card.contains("↳ /sandbox new · to the response_url after"), "{card}");
    })
    .await;
}

#[tokio::test]
async fn errors_are_at_their_fields_and_the_form_works_by_keyboard_alone() {
    page(async |page| {
        open(page).await;
        page.type_keys(Key::Enter).await;
        page.wait_for_text(FORM, "Please complete this required field.").await;
        assert_eq!(page.evaluate(FOCUSED).await, "form-phone");
        page.type_keys("12025550123\n").await;
        page.wait_for_text(FORM, "Is it +12025550123?").await;
        assert_eq!(page.evaluate(FOCUSED).await, "form-phone");
        assert_eq!(page.evaluate("document.activeElement.ariaInvalid").await, "true");
        let described = described(page).await;
        assert!(
            described.contains("Is it +12025550123? With + and the country code."),
            "{described}"
        );

        // The focus stays in the dialog.
        for _ in 0..8 {
            page.type_keys(Key::Tab).await;
            let outside = "document.activeElement !== document.body && !document.activeElement.closest('dialog')";
            assert_eq!(page.evaluate(outside).await, false);
        }
        page.evaluate("document.getElementById('form-phone').focus()").await;
        page.type_keys(Key::Control + "a").await;
        page.type_keys("+12025550123\tx y").await;
        page.type_keys(Key::Enter).await;
        page.wait_for_text(FORM, "An agent ID has only letters, digits, - and _.")
            .await;
        assert_eq!(page.evaluate(FOCUSED).await, "form-agent");
        page.type_keys(Key::Escape).await;
        page.wait_until(CLOSED).await;
        assert_eq!(page.evaluate(FOCUSED).await, "command", "the focus returns");
        assert_eq!(page.demo().kapso.create_requests().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_closed_form_stays_closed_and_a_reset_closes_it() {
    page(async |page| {
        open(page).await;
        page.click("#form-cancel", "Cancel").await;
        page.wait_until(CLOSED).await;
        page.send_command("/sandbox help").await;
        page.wait_for_message("What you can type").await;
        assert_eq!(page.evaluate(CLOSED).await, true);
        open(page).await;
        page.navigate("").await;
        page.wait_for_text(FORM, "New sandbox session").await;
        page.evaluate("fetch('/reset', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'})")
            .await;
        page.wait_until(CLOSED).await;
    })
    .await;
}

#[tokio::test]
async fn with_two_projects_the_form_asks_which_one() {
    page(async |page| {
        page.click("#channels .chip", "#both").await;
        page.wait_for_text("#channel", "both").await;
        open(page).await;
        page.wait_for_text(FORM, "Kapso project").await;
        assert_eq!(page.evaluate(FOCUSED).await, "form-project");
        page.type_keys("staging").await;
        page.evaluate("document.getElementById('form-phone').focus()").await;
        page.type_keys("+12025550123\n").await;
        page.wait_until(CLOSED).await;
        page.wait_for_message("Project staging").await;
    })
    .await;
}
