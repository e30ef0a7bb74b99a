//! The panel: sessions, faults, the clock, and what was sent and received.

use serde_json::{Value, json};

use crate::support::{ID, page};

#[tokio::test]
async fn each_fault_leads_to_its_own_sentence() {
    let sentences = [
        ("401", "Kapso refused this app's key"),
        ("404", "There is no session with this ID"),
        ("500", "Kapso had an error"),
        ("Garbage", "Kapso sent an unexpected response"),
        ("429", "Kapso is limiting this app's requests. Try again in 60 s."),
    ];
    page(async |page| {
        for (fault, sentence) in sentences {
            page.clicks(".chip", fault).await;
            page.until(&format!(
                "document.querySelector('.chip :checked + span').textContent === '{fault}'"
            ))
            .await;
            page.types("/sandbox active").await;
            page.reads(sentence).await;
        }
        page.clicks(".chip", "Healthy").await;
        page.clicks("#clock button", "15 minutes later").await;
        page.sees("#clock", "10:15 AM").await;
        page.types("/sandbox active").await;
        page.reads("🟢 Active").await;
    })
    .await;
}

#[tokio::test]
async fn a_session_goes_through_its_states() {
    let states = [
        ("Activate", "active", "🟢 Active"),
        ("Expire", "expired", "⚫ Expired"),
        ("Supersede", "superseded", "🔵 Superseded"),
    ];
    page(async |page| {
        page.clicks("[data-session] .id", ID).await;
        page.reads("Waiting for activation").await;
        for (button, status, title) in states {
            page.clicks("button", &format!("{button} {ID}")).await;
            page.sees(&format!("[data-session='{ID}'] .status"), status).await;
            page.presses("Refresh").await;
            page.reads(title).await;
        }
        page.clicks("button", &format!("Delete {ID}")).await;
        page.until(&format!("!document.querySelector('[data-session=\"{ID}\"]')"))
            .await;
        page.presses("Refresh").await;
        page.reads(&format!("There is no session {ID}")).await;
    })
    .await;
}

#[tokio::test]
async fn a_day_later_the_dates_are_told_anew() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Expires tomorrow at 10:00 AM").await;
        page.clicks("#clock button", "A day later").await;
        page.reads("Expires today at 10:00 AM").await;
        page.clicks("#clock button", "15 minutes later").await;
        page.presses("Refresh").await;
        let card = page.reads("Expired today at 10:00 AM (15 minutes ago)").await;
        assert!(card.contains("is past its expiry"), "{card}");
    })
    .await;
}

#[tokio::test]
async fn the_last_exchange_is_shown_both_ways_with_what_was_signed() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        let steps = page.sees("#exchange", "200 with the reply after").await;
        assert!(steps.contains("POST /slack/commands"), "{steps}");
        assert!(
            steps.contains(&format!("GET /sandbox_sessions/{ID} · 200 after")),
            "{steps}"
        );
        let shown = async |name: &str| {
            let pre = format!("document.querySelector('[data-name=\"{name}\"] pre').textContent");
            page.value(&pre).await.as_str().unwrap().to_owned()
        };
        let form: Value = serde_json::from_str(&shown("form").await).unwrap();
        assert_eq!(form["text"], ID);
        let base = shown("signed").await;
        let (stamp, body) = base.strip_prefix("v0:").unwrap().split_once(':').unwrap();
        assert_eq!(stamp, page.demo().clock.now().as_second().to_string());
        assert!(body.contains(&format!("&text={ID}&")), "{body}");
        assert!(shown("signature").await.contains("X-Slack-Signature: v0="));
        let answer: Value = serde_json::from_str(&shown("answer-0").await).unwrap();
        assert_eq!(answer["response_type"], "ephemeral");

        let link = page.value("document.querySelector('#exchange .builder').href").await;
        let fragment = link
            .as_str()
            .unwrap()
            .strip_prefix("https://app.slack.com/block-kit-builder/#")
            .unwrap();
        let fragment = page.value(&format!("decodeURIComponent({})", json!(fragment))).await;
        let blocks: Value = serde_json::from_str(fragment.as_str().unwrap()).unwrap();
        assert_eq!(blocks, json!({"blocks": answer["blocks"]}));
    })
    .await;
}
