//! By keyboard alone, at a phone's width, and when the demo ends.

use serde_json::{Value, json};
use thirtyfour::{Key, TypingData};

use crate::support::{ID, Page, page};

#[tokio::test]
async fn the_playground_works_by_keyboard_alone() {
    page(async |page| {
        assert_eq!(focused(page).await, "command", "typing works at once");
        page.keys("/sa").await;
        page.sees("#hint", "<session id> | list [page] | new").await;
        page.keys(Key::Tab).await;
        page.keys(ID + Key::Enter).await;
        page.reads("Waiting for activation").await;

        page.keys(Key::Up).await;
        page.until(&format!("document.getElementById('command').value === '/sandbox {ID}'"))
            .await;
        page.keys(Key::Down).await;

        back_to(page, "Refresh").await;
        page.demo().kapso.activate(ID);
        page.keys(Key::Enter).await;
        page.reads("🟢 Active").await;
        assert_eq!(focused(page).await, "Refresh");

        on_to(page, "healthy").await;
        page.keys(Key::Right).await;
        page.sees("#fault-what", "Kapso takes a second").await;
        on_to(page, &format!("Expire {ID}")).await;
        page.keys(Key::Enter).await;
        page.sees(&format!("[data-session='{ID}'] .status"), "expired").await;
        on_to(page, "A day later").await;
        page.keys(Key::Enter).await;
        page.sees("#clock", "Nov 24").await;
        on_to(page, "Form fields (JSON)").await;
        page.keys(Key::Enter).await;
        page.until("document.querySelector('[data-name=\"form\"]').open").await;
    })
    .await;
}

#[tokio::test]
async fn everything_that_can_be_used_has_a_name_and_a_place_in_the_order() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Waiting for activation").await;
        let nameless = "[...document.querySelectorAll('a, button, input, summary')].filter((it) => \
            it.closest('dialog') === null && it.tabIndex < 0 || it.closest('dialog') === null && \
            !(it.ariaLabel ?? it.labels?.[0]?.textContent ?? it.textContent).trim()).map((it) => it.outerHTML)";
        assert_eq!(page.value(nameless).await, json!([]));
        let unnamed = "[...document.querySelectorAll('section, aside, main, ol#conversation, dialog, fieldset')] \
            .filter((it) => !it.ariaLabel && !it.getAttribute('aria-labelledby') && !it.querySelector('legend')) \
            .map((it) => it.outerHTML)";
        assert_eq!(page.value(unnamed).await, json!([]));
        let ids = "[...document.querySelectorAll('[aria-labelledby], [aria-describedby], [aria-controls]')] \
            .flatMap((it) => ['aria-labelledby', 'aria-describedby', 'aria-controls'] \
              .map((name) => it.getAttribute(name))) \
            .filter((id) => id && !document.getElementById(id))";
        assert_eq!(page.value(ids).await, json!([]), "names that lead nowhere");
    })
    .await;
}

#[tokio::test]
async fn a_phone_shows_the_channel_or_what_is_behind_it() {
    page(async |page| {
        page.is_sized(360, 640, 1).await;
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Waiting for activation").await;
        let scrolls = "document.scrollingElement.scrollHeight > innerHeight";
        assert_eq!(page.value(scrolls).await, false, "bar and composer stay where they are");
        for path in ["", "gallery"] {
            if path == "gallery" {
                page.goes_to(path).await;
                page.until("document.querySelectorAll('.view').length > 0").await;
            }
            let wide = "[...document.querySelectorAll('body *')] \
                .filter((it) => it.getBoundingClientRect().right > innerWidth + 1) \
                .filter((it) => !it.closest('.visually-hidden')) \
                .map((it) => it.outerHTML)";
            assert_eq!(page.value(wide).await, json!([]), "nothing sticks out of /{path}");
        }
        page.goes_to("").await;
        page.reads("Waiting for activation").await;
        let shown = async |id: &str| {
            page.value(&format!("document.getElementById('{id}').checkVisibility()"))
                .await
        };
        assert_eq!(shown("panel").await, false);
        page.clicks("#toggle", "Behind the scenes").await;
        assert_eq!(
            (shown("panel").await, shown("command").await),
            (true.into(), false.into())
        );
        page.clicks("#toggle", "Back to the channel").await;
        assert_eq!(
            (shown("panel").await, shown("command").await),
            (false.into(), true.into())
        );
    })
    .await;
}

#[tokio::test]
async fn words_on_their_grounds_can_be_read_in_light_and_dark() {
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
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Waiting for activation").await;
        for scheme in ["light", "dark"] {
            page.prefers(scheme).await;
            let contrasts = page.value(CONTRASTS).await;
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
    page.value(name).await.as_str().unwrap().to_owned()
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
        page.keys(step()).await;
        let here = focused(page).await;
        if here == name {
            return;
        }
        passed.push(here);
    }
    panic!("{name} is not reached: {passed:?}");
}
