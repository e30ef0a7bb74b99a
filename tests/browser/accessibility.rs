//! Accessibility: keyboard, narrow screens, contrast, and the rules of axe-core.

use std::path::Path;

use serde_json::{Value, json};
use thirtyfour::{Key, TypingData};

use crate::support::{ID, Page, page};

#[tokio::test]
async fn the_playground_works_by_keyboard_alone() {
    page(async |page| {
        assert_eq!(focused(page).await, "command", "typing works at once");
        page.type_keys("/sa").await;
        page.wait_for_text("#hint", "<session id> | list [page] | new").await;
        page.type_keys(Key::Tab).await;
        page.type_keys(ID + Key::Enter).await;
        page.wait_for_message("Waiting for activation").await;

        page.type_keys(Key::Up).await;
        page.wait_until(&format!("document.getElementById('command').value === '/sandbox {ID}'"))
            .await;
        page.type_keys(Key::Down).await;

        back_to(page, "Refresh").await;
        page.demo().kapso.activate(ID);
        page.type_keys(Key::Enter).await;
        page.wait_for_message("🟢 Active").await;
        assert_eq!(focused(page).await, "Refresh");

        on_to(page, "healthy").await;
        page.type_keys(Key::Right).await;
        page.wait_for_text("#fault-what", "Kapso takes a second").await;
        on_to(page, &format!("Expire {ID}")).await;
        page.type_keys(Key::Enter).await;
        page.wait_for_text(&format!("[data-session='{ID}'] .status"), "expired")
            .await;
        on_to(page, "A day later").await;
        page.type_keys(Key::Enter).await;
        page.wait_for_text("#clock", "Nov 24").await;
        on_to(page, "Form fields (JSON)").await;
        page.type_keys(Key::Enter).await;
        page.wait_until("document.querySelector('[data-name=\"form\"]').open")
            .await;
    })
    .await;
}

#[tokio::test]
async fn every_control_has_a_name_and_is_in_the_tab_order() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        let nameless = "[...document.querySelectorAll('a, button, input, summary')].filter((it) => \
            it.closest('dialog') === null && it.tabIndex < 0 || it.closest('dialog') === null && \
            !(it.ariaLabel ?? it.labels?.[0]?.textContent ?? it.textContent).trim()).map((it) => it.outerHTML)";
        assert_eq!(page.evaluate(nameless).await, json!([]));
        let unnamed = "[...document.querySelectorAll('section, aside, main, ol#conversation, dialog, fieldset')] \
            .filter((it) => !it.ariaLabel && !it.getAttribute('aria-labelledby') && !it.querySelector('legend')) \
            .map((it) => it.outerHTML)";
        assert_eq!(page.evaluate(unnamed).await, json!([]));
        let ids = "[...document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls]')] \
            .flatMap((it) => ['aria-labelledby', 'aria-describedby', 'aria-controls'] \
              .map((name) => it.getAttribute(name))) \
            .filter((id) => id && !document.getElementById(id))";
        assert_eq!(page.evaluate(ids).await, json!([]), "names without an element");
    })
    .await;
}

#[tokio::test]
async fn a_narrow_screen_shows_the_channel_or_the_panel() {
    page(async |page| {
        page.set_size(360, 640, 1).await;
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        let scrolls = "document.scrollingElement.scrollHeight > innerHeight";
        assert_eq!(
            page.evaluate(scrolls).await,
            false,
            "bar and composer stay where they are"
        );
        for path in ["", "gallery"] {
            if path == "gallery" {
                page.navigate(path).await;
                page.wait_until("document.querySelectorAll('.view').length > 0").await;
            }
            let wide = "[...document.querySelectorAll('body *')] \
                .filter((it) => it.getBoundingClientRect().right > innerWidth + 1) \
                .filter((it) => !it.closest('.visually-hidden')) \
                .map((it) => it.outerHTML)";
            assert_eq!(
                page.evaluate(wide).await,
                json!([]),
                "nothing is wider than the page at /{path}"
            );
        }
        page.navigate("").await;
        page.wait_for_message("Waiting for activation").await;
        let shown = async |id: &str| {
            page.evaluate(&format!("document.getElementById('{id}').checkVisibility()"))
                .await
        };
        assert_eq!(shown("panel").await, false);
        page.click("#toggle", "Behind the scenes").await;
        assert_eq!(
            (shown("panel").await, shown("command").await),
            (true.into(), false.into())
        );
        page.click("#toggle", "Back to the channel").await;
        assert_eq!(
            (shown("panel").await, shown("command").await),
            (false.into(), true.into())
        );
    })
    .await;
}

#[tokio::test]
async fn text_contrast_is_sufficient_in_light_and_dark() {
    // https://www.w3.org/TR/WCAG22/#contrast-minimum: at least 4.5 to 1.
    const CONTRASTS: &str = "(() => {
        const channel = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
        const ground = (it) => {
          for (; it; it = it.parentElement) {
            const [r, g, b, a = 1] = numbers(getComputedStyle(it).backgroundColor);
            if (a === 1) return [r, g, b];
          }
          return [255, 255, 255];
        };
        const ownWords = (it) => [...it.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        return [...document.querySelectorAll('body *')].filter((it) => it.checkVisibility() && ownWords(it)).map((it) => {
          const [high, low] = [light(numbers(getComputedStyle(it).color)), light(ground(it))].sort((a, b) => b - a);
          return [(high + 0.05) / (low + 0.05), it.textContent.slice(0, 40)];
        });
    })()";
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        for scheme in ["light", "dark"] {
            page.set_color_scheme(scheme).await;
            let contrasts = page.evaluate(CONTRASTS).await;
            let contrasts = contrasts.as_array().unwrap();
            assert!(contrasts.len() > 40, "texts were found");
            let faint: Vec<&Value> = contrasts.iter().filter(|it| it[0].as_f64().unwrap() < 4.5).collect();
            assert!(faint.is_empty(), "{scheme}: {faint:?}");
        }
    })
    .await;
}

/// Light and dark, wide and on a phone.
const SCREENS: [(&str, u32, u32); 4] = [
    ("light", 1280, 860),
    ("dark", 1280, 860),
    ("light", 390, 720),
    ("dark", 390, 720),
];

#[tokio::test]
async fn axe_finds_nothing_in_the_playground() {
    page(async |page| {
        load_axe(page).await;
        page.demo().show_first_card().await;
        page.wait_for_message("Waiting for activation").await;
        expect_no_findings(page, "the first card").await;
        page.set_size(1280, 860, 1).await;
        for command in ["list", "help", "no-such-session", "new ?"] {
            page.send_command(&format!("/sandbox {command}")).await;
        }
        page.wait_for_message("I couldn't read a phone number").await;
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        page.press("Show QR code").await;
        page.wait_for_message("Or scan this code").await;
        page.evaluate("document.querySelector('.scroller').scrollTo(0, 0)")
            .await;
        page.demo().show_first_card().await;
        page.wait_until("!document.getElementById('cue').hidden").await;
        page.type_keys("/sa").await;
        expect_no_findings(page, "many messages, the cue and the hint").await;
        page.set_size(1280, 860, 1).await;
        page.press("Share in channel").await;
        page.wait_for_text("#confirm[open]", "Share this session?").await;
        expect_no_findings(page, "the dialog").await;
        page.click("dialog button", "Cancel").await;
        page.send_command("/sandbox new").await;
        page.wait_for_text("#form[open]", "New sandbox session").await;
        page.click("#form-submit", "Create session").await;
        page.wait_for_text("#form", "Please complete this required field.")
            .await;
        expect_no_findings(page, "the form with an error").await;
        page.set_size(1280, 860, 1).await;
        page.click("#form-cancel", "Cancel").await;
        page.send_command("A message with a menu").await;
        page.click(".more", "More actions").await;
        page.click("[role=menuitem]", "Reply in thread").await;
        page.type_keys("A reply\n").await;
        page.wait_for_text(".thread:not([hidden])", "A reply").await;
        page.click(".thread .more", "More actions").await;
        expect_no_findings(page, "a thread and an open menu").await;
        page.set_size(1280, 860, 1).await;
        page.click("#leave", "Back to the channel").await;
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        page.playing.stop_service().await;
        page.press("Refresh").await;
        page.wait_until("document.querySelector('.warned .warning')").await;
        page.send_command("/sandbox help").await;
        page.wait_for_message("dispatch_failed").await;
        expect_no_findings(page, "Slack's errors").await;
    })
    .await;
}

#[tokio::test]
async fn axe_finds_nothing_in_the_direct_messages() {
    page(async |page| {
        load_axe(page).await;
        page.send_command(&format!("/sandbox watch {ID}")).await;
        page.wait_for_message("I'll send you a direct message").await;
        page.click("button", &format!("Activate {ID}")).await;
        page.click("#clock button", "15 minutes later").await;
        page.wait_for_text("#unread", "1 new").await;
        expect_no_findings(page, "an unread direct message").await;
        page.set_size(1280, 860, 1).await;
        page.click(".place", "WhatsApp Sandbox").await;
        page.wait_for_text("#direct-messages", "is active now").await;
        expect_no_findings(page, "the direct messages").await;
    })
    .await;
}

#[tokio::test]
async fn axe_finds_nothing_in_the_panel_on_a_phone() {
    page(async |page| {
        load_axe(page).await;
        page.demo().show_first_card().await;
        page.wait_for_message("Waiting for activation").await;
        page.set_size(390, 720, 1).await;
        page.click("#toggle", "Behind the scenes").await;
        for scheme in ["light", "dark"] {
            page.set_color_scheme(scheme).await;
            assert_eq!(findings(page).await, json!([]), "{scheme}");
        }
    })
    .await;
}

#[tokio::test]
async fn axe_finds_nothing_in_the_gallery() {
    page(async |page| {
        page.navigate("gallery").await;
        page.wait_until("!document.getElementById('groups').ariaBusy").await;
        load_axe(page).await;
        expect_no_findings(page, "the gallery").await;
    })
    .await;
}

/// Loads axe-core into the page.
async fn load_axe(page: &Page) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("axe/node_modules/axe-core/axe.min.js");
    let source = std::fs::read_to_string(&path);
    let source = source.unwrap_or_else(|error| panic!("{}: {error}; run scripts/axe", path.display()));
    page.driver.execute(source, vec![]).await.unwrap();
}

async fn expect_no_findings(page: &Page, shown: &str) {
    for (scheme, width, height) in SCREENS {
        page.set_color_scheme(scheme).await;
        page.set_size(width, height, 1).await;
        assert_eq!(
            findings(page).await,
            json!([]),
            "{shown}, {scheme}, {width} pixels wide"
        );
    }
}

/// What axe-core finds on the page as it is: every rule that is violated, with the elements.
async fn findings(page: &Page) -> Value {
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document).then(({ violations, passes }) => done({
          rules: passes.length + violations.length,
          found: violations.flatMap(({ id, nodes }) =>
            nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`)),
        }), (error) => done({ rules: 0, found: [String(error)] }));";
    let result = page.driver.execute_async(script, vec![]).await.unwrap().json().clone();
    assert!(result["rules"].as_u64().unwrap() > 15, "rules were checked: {result}");
    result["found"].clone()
}

/// The focused element: its id, value or text.
async fn focused(page: &Page) -> String {
    let name =
        "(({ariaLabel, value, id, textContent}) => ariaLabel || id || value || textContent)(document.activeElement)";
    page.evaluate(name).await.as_str().unwrap().to_owned()
}

/// Presses Tab until `name` has the focus.
async fn on_to(page: &Page, name: &str) {
    walks(page, name, || Key::Tab.into()).await;
}

/// Presses Shift+Tab until `name` has the focus.
async fn back_to(page: &Page, name: &str) {
    walks(page, name, || Key::Shift + Key::Tab).await;
}

async fn walks(page: &Page, name: &str, step: impl Fn() -> TypingData) {
    let mut passed = Vec::new();
    while passed.len() < 80 {
        page.type_keys(step()).await;
        let here = focused(page).await;
        if here == name {
            return;
        }
        passed.push(here);
    }
    panic!("{name} is not reached: {passed:?}");
}
