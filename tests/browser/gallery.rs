//! The gallery: every view in every state.

use serde_json::json;

use crate::support::page;

#[tokio::test]
async fn the_gallery_shows_every_view_with_its_link_to_slacks_own_editor() {
    page(async |page| {
        page.navigate("gallery").await;
        page.wait_until("!document.getElementById('groups').ariaBusy").await;
        let titles = page
            .evaluate("[...document.querySelectorAll('.view .title')].map((it) => it.textContent)")
            .await;
        let titles: Vec<_> = titles
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|title| title.as_str())
            .collect();
        for title in [
            "Waiting for activation",
            "Superseded",
            "With markup in the agent's name",
            "Help",
            "It was shared",
            "The app is stopping",
        ] {
            assert!(titles.contains(&title), "{title} is not in {titles:?}");
        }
        let count = |selector: &str| format!("document.querySelectorAll({}).length", json!(selector));
        assert_eq!(
            page.evaluate(&count(".view .unknown")).await,
            0,
            "every block can be shown"
        );
        assert_eq!(
            page.evaluate(&count(".view .blocks:empty")).await,
            0,
            "every view has words"
        );
        assert_eq!(
            page.evaluate(&count(
                ".view .builder[href^='https://app.slack.com/block-kit-builder/#%7B']"
            ))
            .await,
            titles.len()
        );
        let dialog = page
            .wait_for_text(".view details", "Dialog of “Share in channel”")
            .await;
        assert!(!dialog.contains("Share this session?"), "it is closed: {dialog}");
        page.click(".view summary", "Dialog of “Share in channel”").await;
        page.wait_for_text(".view details[open]", "Share this session?").await;
        // They look and are inert.
        assert_eq!(page.evaluate(&count(".view .button:not(:disabled)")).await, 0);
        let border = "getComputedStyle(document.querySelector('.view .button.primary')).borderStyle";
        assert_eq!(page.evaluate(border).await, "dashed");
        let hostile = page.wait_for_text("#groups", "<script>alert(1)</script>").await;
        assert!(!hostile.contains('\u{202e}'), "bidirectional characters are gone");
        assert_eq!(page.evaluate(&count(".view script")).await, 0);
    })
    .await;
}
