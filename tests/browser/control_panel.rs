//! The control panel: sessions, faults, the clock, and the HTTP traffic.

use std::collections::BTreeSet;

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
        ("401", "Kapso refused this app's key"),
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
        page.wait_for_text("#fault-what", "Kapso answers at once").await;
        page.send_command("/sandbox active").await;
        page.wait_for_message("🟢 Active").await;
    })
    .await;
}

#[tokio::test]
async fn a_fault_meets_the_session_that_was_just_shown() {
    page(async |page| {
        page.send_command("/sandbox active").await;
        page.wait_for_message("🟢 Active").await;
        page.click(".chip", "500").await;
        page.wait_for_text("#fault-what", "Kapso has an error").await;
        page.send_command("/sandbox active").await;
        page.wait_for_message("Kapso had an error").await;
    })
    .await;
}

#[tokio::test]
async fn a_card_from_memory_says_so() {
    const FROM_MEMORY: &str = "from memory: Kapso was not asked";
    page(async |page| {
        page.send_command("/sandbox active").await;
        let first = page.wait_for_message("🟢 Active").await;
        assert!(!first.contains(FROM_MEMORY), "{first}");
        page.send_command("/sandbox active").await;
        page.wait_for_message(FROM_MEMORY).await;
        page.press("Refresh").await;
        page.wait_until(&format!(
            "!document.querySelector('.message:last-child').innerText.includes('{FROM_MEMORY}')"
        ))
        .await;
        page.send_command("/sandbox help").await;
        let help = page.wait_for_message("What you can type").await;
        assert!(!help.contains(FROM_MEMORY), "help needs no answer of Kapso's: {help}");
        page.click(".chip", "429").await;
        page.wait_for_text("#fault-what", "The rate limit").await;
        for _ in 0..2 {
            page.send_command("/sandbox active").await;
            let limited = page.wait_for_message("Kapso is limiting").await;
            assert!(!limited.contains(FROM_MEMORY), "there is no card: {limited}");
        }
    })
    .await;
}

#[tokio::test]
async fn sessions_expire_when_their_time_has_passed() {
    page(async |page| {
        let status = format!("[data-session='{ID}'] .status");
        page.wait_for_text(&status, "pending activation").await;
        page.click("#clock button", "A day later").await;
        page.wait_for_text(&status, "expired").await;
        page.wait_for_text("[data-session='active'] .status", "expired").await;
        page.wait_for_text("[data-session='superseded'] .status", "superseded")
            .await;
        // Its time is set, too: no card contradicts itself.
        page.click("button", "Activate active").await;
        page.wait_for_text("[data-session='active'] .status", "active").await;
        page.send_command("/sandbox active").await;
        page.wait_for_message("Expires tomorrow at 10:00 AM").await;
        page.click("button", "Expire active").await;
        page.wait_for_text("[data-session='active'] .status", "expired").await;
        page.press("Refresh").await;
        page.wait_for_message("Expired today at 9:59 AM").await;
    })
    .await;
}

#[tokio::test]
async fn the_sample_sessions_can_be_told_apart() {
    page(async |page| {
        let sessions = page.demo().kapso.sessions();
        assert!((4..=7).contains(&sessions.len()), "{} sessions", sessions.len());
        for field in ["status", "phone_number", "activation_code"] {
            let values: BTreeSet<String> = sessions
                .iter()
                .filter(|(id, _)| field != "status" || *id != "pending-for-an-hour")
                .map(|(_, session)| session[field].as_str().unwrap().to_owned())
                .collect();
            assert!(values.len() + 1 >= sessions.len(), "{field}: {values:?}");
        }
        page.send_command("/sandbox list").await;
        page.wait_for_message("Page 1 of 1").await;
    })
    .await;
}

#[tokio::test]
async fn reset_sets_everything_back_to_the_start() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        page.press("Tell me when it is active").await;
        page.wait_for_message("Stop watching").await;
        page.click(".chip", "500").await;
        page.click("button", &format!("Delete {ID}")).await;
        page.click("#clock button", "A day later").await;
        page.wait_for_text("#clock", "Nov 24").await;
        page.send_command("/sandbox active").await;
        page.wait_for_message("Kapso had an error").await;

        page.click("#reset", "Reset").await;
        let card = page.wait_for_message("Waiting for activation").await;
        assert!(!card.contains("Stop watching"), "the watch is gone: {card}");
        assert_eq!(page.evaluate("document.querySelectorAll('.message').length").await, 1);
        page.wait_for_text("#clock", "Nov 23").await;
        page.wait_for_text("#fault-what", "Kapso answers at once").await;
        page.wait_for_text("[data-session='active'] .status", "active").await;
        page.press("Refresh").await;
        page.wait_for_text("#exchange", "refresh").await;
        page.send_command("/sandbox new +12025550123").await;
        page.wait_for_message("Phone: +12025550123").await;
        for id in page.demo().kapso.sessions().keys() {
            page.demo().kapso.delete(id);
        }
        page.wait_for_text("#sessions", "No sessions left").await;
        page.click("#reset", "Reset").await;
        page.wait_until("document.querySelectorAll('.message').length === 1")
            .await;
        page.wait_until("!document.getElementById('sessions').innerText.includes('No sessions')")
            .await;
        page.send_command("/sandbox new +12025550123").await;
        let created = page.wait_for_message("+12025550123").await;
        assert!(created.contains("Waiting for activation"), "no question: {created}");
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
        assert!(
            card.contains("Messages from this phone no longer reach the agent."),
            "{card}"
        );
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
