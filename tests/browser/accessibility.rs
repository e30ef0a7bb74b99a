//! By keyboard alone, at a phone's width, and when the demo ends.

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
        assert_eq!(page.evaluate(ids).await, json!([]), "names that lead nowhere");
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
            assert_eq!(page.evaluate(wide).await, json!([]), "nothing sticks out of /{path}");
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
            assert!(contrasts.len() > 40, "the words are found");
            let faint: Vec<&Value> = contrasts.iter().filter(|it| it[0].as_f64().unwrap() < 4.5).collect();
            assert!(faint.is_empty(), "{scheme}: {faint:?}");
        }
    })
    .await;
}

/// What has the focus, by id, value or words.
async fn focused(page: &Page) -> String {
    let name =
        "(({ariaLabel, value, id, textContent}) => ariaLabel || id || value || textContent)(document.activeElement)";
    page.evaluate(name).await.as_str().unwrap().to_owned()
}

/// Tabs on until `name` has the focus.
async fn on_to(page: &Page, name: &str) {
    walks(page, name, || Key::Tab.into()).await;
}

/// Tabs back until `name` has the focus.
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
