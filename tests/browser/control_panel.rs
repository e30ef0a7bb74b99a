//! The control panel: sessions, faults, the clock, and the HTTP traffic.

use serde_json::{Value, json};

use crate::support::{ID, page};

#[tokio::test]
async fn each_fault_has_its_own_error() {
    let sentences = [
        ("401", "Kapso refused this app's key"),
        ("404", "There is no session with this ID"),
        ("500", "Kapso had an error"),
        ("Garbage", "Kapso sent an unexpected response"),
        ("429", "Kapso is limiting this app's requests. Try again in 60 s."),
    ];
    page(async |page| {
        for (fault, sentence) in sentences {
            page.click(".chip", fault).await;
            page.wait_until(&format!(
                "document.querySelector('.chip :checked + span').textContent === '{fault}'"
            ))
            .await;
            page.send_command("/sandbox active").await;
            page.wait_for_message(sentence).await;
        }
        page.click(".chip", "Healthy").await;
        page.click("#clock button", "15 minutes later").await;
        page.wait_for_text("#clock", "10:15 AM").await;
        page.send_command("/sandbox active").await;
        page.wait_for_message("🟢 Active").await;
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
        page.click("[data-session] .id", ID).await;
        page.wait_for_message("Waiting for activation").await;
        for (button, status, title) in states {
            page.click("button", &format!("{button} {ID}")).await;
            page.wait_for_text(&format!("[data-session='{ID}'] .status"), status)
                .await;
            page.press("Refresh").await;
            page.wait_for_message(title).await;
        }
        // Slack accepts three messages at once, and then one per second.
        page.click("#clock button", "15 minutes later").await;
        page.click("button", &format!("Delete {ID}")).await;
        page.wait_until(&format!("!document.querySelector('[data-session=\"{ID}\"]')"))
            .await;
        page.press("Refresh").await;
        page.wait_for_message(&format!("There is no session {ID}")).await;
    })
    .await;
}

#[tokio::test]
async fn dates_are_updated_when_the_clock_advances() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Expires tomorrow at 10:00 AM").await;
        page.click("#clock button", "A day later").await;
        page.wait_for_message("Expires today at 10:00 AM").await;
        page.click("#clock button", "15 minutes later").await;
        page.press("Refresh").await;
        let card = page
            .wait_for_message("Expired today at 10:00 AM (15 minutes ago)")
            .await;
        assert!(card.contains("It expired before it was activated."), "{card}");
    })
    .await;
}

#[tokio::test]
async fn the_last_exchange_is_shown_with_the_signed_string() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        let steps = page.wait_for_text("#exchange", "200 with the reply after").await;
        assert!(steps.contains("POST /slack/commands"), "{steps}");
        assert!(
            steps.contains(&format!("GET /sandbox_sessions/{ID} · 200 after")),
            "{steps}"
        );
        let shown = async |name: &str| {
            let pre = format!("document.querySelector('[data-name=\"{name}\"] pre').textContent");
            page.evaluate(&pre).await.as_str().unwrap().to_owned()
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

        let link = page.evaluate("document.querySelector('#exchange .builder').href").await;
        let fragment = link
            .as_str()
            .unwrap()
            .strip_prefix("https://app.slack.com/block-kit-builder/#")
            .unwrap();
        let fragment = page.evaluate(&format!("decodeURIComponent({})", json!(fragment))).await;
        let blocks: Value = serde_json::from_str(fragment.as_str().unwrap()).unwrap();
        assert_eq!(blocks, json!({"blocks": answer["blocks"]}));
    })
    .await;
}
