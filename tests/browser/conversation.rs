//! Somebody types, reads, presses, and reads what Slack says when the app fails them.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use insta::assert_snapshot;
use kapso_slack::app::client_builder;
use kapso_slack::demo::Person;
use kapso_slack::server::{self, Bounds};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::support::{ID, Page, page, page_with};

#[tokio::test]
async fn a_typed_command_is_answered_with_a_card_in_the_readers_own_zone_and_language() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        let card = page.reads("Waiting for activation").await;
        let (card, trace) = card.rsplit_once("\n\n").unwrap();
        assert_snapshot!(card.replace("\n\n", "\n"), @"
        👁 Only visible to you
        WhatsApp Sandbox APP 10:00 AM
        WhatsApp sandbox session
        🟡 Waiting for activation
        Open the link on the tester's phone and send the pre-filled message.
        Agent: Customer Support Agent
        Phone: +12345678901
        Code: ABC123
        Expires tomorrow at 10:00 AM (in 24 hours)
        Activate in WhatsApp
        (opens in a new tab)
        Show QR code
        Refresh
        Tell me when it is active
        Share in channel
        Session 123e4567-e89b-12d3-a456-426614174000
        ");
        assert!(
            trace.starts_with(&format!("↳ /sandbox {ID} · in the response after ")),
            "{trace}"
        );
        let link = page
            .value("document.querySelector('.button.primary[data-action]').href")
            .await;
        assert_eq!(link, "https://wa.me/12345678901?text=ABC123");
        let spoken = page.sees("#spoken", "is waiting for activation").await;
        assert!(spoken.contains("Activate it: https://wa.me/"), "{spoken}");
    })
    .await;
}

#[tokio::test]
async fn refresh_changes_the_card_in_place_once_the_session_is_active() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Waiting for activation").await;
        let before = page.value("document.querySelector('.message').dataset.message").await;
        page.clicks("button", &format!("Activate {ID}")).await;
        page.sees(&format!("[data-session='{ID}']"), "active").await;
        page.presses("Refresh").await;
        let card = page.reads("🟢 Active").await;
        assert!(!card.contains("Activate in WhatsApp"), "{card}");
        let messages = "[...document.querySelectorAll('.message')].map((it) => it.dataset.message)";
        assert_eq!(
            page.value(messages).await,
            json!([before]),
            "the card is the same message"
        );
        let focused = page.value("document.activeElement.dataset.action").await;
        assert_eq!(focused, "refresh", "whoever pressed it is still on the button");
    })
    .await;
}

#[tokio::test]
async fn who_asks_to_be_told_hears_when_the_tester_has_activated_the_session() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Waiting for activation").await;
        page.presses("Tell me when it is active").await;
        page.reads("Stop watching").await;
        page.clicks("button", &format!("Activate {ID}")).await;
        page.sees(&format!("[data-session='{ID}']"), "active").await;
        page.clicks("#clock button", "15 minutes later").await;
        let news = page
            .reads("is active now, less than a minute after it was created")
            .await;
        assert!(news.contains("Only visible to you"), "{news}");
        assert_eq!(messages(page).await, 2, "the news stand beside the card");
        page.presses("Show the session").await;
        page.reads("🟢 Active").await;
        assert_eq!(messages(page).await, 2, "the card takes the place of the news");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_kapso_holds_back_arrives_later() {
    page_with(
        |settings| settings.reply_budget = Duration::from_millis(100),
        async |page| {
            page.clicks(".chip", "Hang").await;
            page.sees("#fault-what", "never answers").await;
            page.types(&format!("/sandbox {ID}")).await;
            page.sees("#status", "Accepted; reply to follow").await;
            assert_eq!(messages(page).await, 0);
            page.clicks(".chip", "Healthy").await;
            let card = page.reads("Waiting for activation").await;
            assert!(card.contains("to the response_url after"), "{card}");
            assert_eq!(messages(page).await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_kapso_that_hangs_ends_in_the_right_sentence() {
    page_with(
        |settings| {
            settings.timing.kapso.attempt = Duration::from_millis(50);
            settings.timing.kapso.total = Duration::from_millis(200);
        },
        async |page| {
            page.clicks(".chip", "Hang").await;
            page.sees("#fault-what", "never answers").await;
            page.types(&format!("/sandbox {ID}")).await;
            page.reads("Kapso did not answer. Nothing was changed; try again in a moment.")
                .await;
            page.sees("#exchange", "no answer").await;
        },
    )
    .await;
}

#[tokio::test]
async fn hostile_words_of_kapsos_stay_text() {
    page(async |page| {
        let name = "<img src=x onerror=alert(1)> <script>document.title='owned'</script> *bold* <!channel> &lt;b&gt;";
        page.demo().kapso.set(ID, "agent", json!({"name": name}));
        page.demo().kapso.set(ID, "phone_number", "<b>+1</b>".into());
        page.demo().kapso.set(ID, "status", "<i>new</i>".into());
        page.types(&format!("/sandbox {ID}")).await;
        let card = page.reads("Status:").await;
        assert!(card.contains(name), "{card}");
        assert!(card.contains("<b>+1</b>") && card.contains("<i>new</i>"), "{card}");
        let made = "document.querySelectorAll('.content :is(img, script, i, b:not(.byline > b), .mention, em)').length";
        assert_eq!(page.value(made).await, 0, "nothing of it became an element");
        assert_eq!(page.value("document.title").await, "Playground · kapso-slack");
        page.sees(&format!("[data-session='{ID}']"), "<i>new</i>").await;
    })
    .await;
}

#[tokio::test]
async fn a_command_that_the_app_fails_is_told_as_slack_tells_it_and_stays_in_the_composer() {
    page(async |page| {
        page.playing.stop_service().await;
        page.types("/sandbox help").await;
        page.reads("/sandbox failed with the error \"dispatch_failed\"").await;
        page.until("document.getElementById('command').value === '/sandbox help'")
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_command_that_the_app_does_not_answer_in_three_seconds_failed() {
    page_with(
        |settings| settings.reply_budget = Duration::from_secs(20),
        async |page| {
            page.clicks(".chip", "Hang").await;
            page.sees("#fault-what", "never answers").await;
            page.types(&format!("/sandbox {ID}")).await;
            page.reads("/sandbox failed because the app did not respond.").await;
            page.clicks(".chip", "Healthy").await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_press_that_the_app_does_not_acknowledge_leaves_a_warning() {
    page(async |page| {
        page.types(&format!("/sandbox {ID}")).await;
        page.reads("Waiting for activation").await;
        page.playing.stop_service().await;
        page.presses("Refresh").await;
        let warned = page
            .until("document.querySelector('.warned .warning')?.ariaLabel")
            .await;
        assert_eq!(warned, "The app did not respond to this press");
        let button = page
            .value("document.querySelector('.warned [data-action]').textContent")
            .await;
        assert_eq!(button, "Refresh");
    })
    .await;
}

#[tokio::test]
async fn a_confirm_dialog_asks_before_the_press() {
    page(async |page| {
        let shared = page.demo().slack.shared_earlier(json!({
            "response_type": "in_channel", "text": "A card",
            "blocks": [{"type": "actions", "elements": [{
                "type": "button", "action_id": "share", "value": "v1:x", "style": "danger",
                "text": {"type": "plain_text", "text": "Share"},
                "confirm": {
                    "title": {"type": "plain_text", "text": "Share it?"},
                    "text": {"type": "plain_text", "text": "Everyone here will see it."},
                    "confirm": {"type": "plain_text", "text": "Share it"},
                    "deny": {"type": "plain_text", "text": "Keep it"},
                },
            }]}],
        }));
        assert!(shared.in_channel);
        let asked = async |page: &Page| {
            page.presses("Share").await;
            let dialog = page.sees("#confirm[open]", "Everyone here will see it.").await;
            assert!(dialog.contains("Share it?"), "{dialog}");
        };
        asked(page).await;
        page.clicks("dialog button", "Keep it").await;
        page.until("!document.querySelector('#confirm[open]')").await;
        assert!(page.demo().slack.last_exchange().is_none(), "nothing was pressed");
        asked(page).await;
        page.clicks("dialog button", "Share it").await;
        page.sees("#exchange", "POST /slack/interactions").await;
        page.sees("#exchange", "200, empty").await;
    })
    .await;
}

#[tokio::test]
async fn what_another_app_would_do_is_shown_as_slack_shows_it() {
    page(async |page| {
        let demo = page.demo();
        let app = app_that_answers(json!({"response_type": "in_channel", "text": "For *all* of <#C2147483705>"})).await;
        let person = Person::default();
        let posted = demo.slack.types(&app, &person, "/sandbox all").await.message.unwrap();
        let seen = page.reads("steve used /sandbox all").await;
        assert!(seen.contains("For all of #sandbox"), "{seen}");
        assert!(!seen.contains("Only visible to you"), "{seen}");

        // The press's answer deletes the message that was pressed.
        let sent = demo.slack.presses(&app, &person, &posted, "delete").await;
        let exchange = demo.slack.exchange(sent.exchange).unwrap();
        let response_url = exchange.request.unwrap().fields["payload"]["response_url"]
            .as_str()
            .unwrap()
            .to_owned();
        let delete = json!({"response_type": "ephemeral", "delete_original": true, "text": "gone"});
        let http = client_builder().build().unwrap();
        http.post(response_url).body(delete.to_string()).send().await.unwrap();
        page.until("document.querySelectorAll('.message').length === 0").await;
    })
    .await;
}

/// An app of another kind: it answers commands with `message`, and acknowledges presses.
async fn app_that_answers(message: Value) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let answer = message.to_string();
    let routes = Router::new()
        .route("/slack/commands", post(async move || answer))
        .route("/slack/interactions", post(async || ""));
    let bounds = Bounds {
        head_deadline: Duration::from_secs(10),
        connections: 10,
        draining: CancellationToken::new(),
        closed: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    tokio::spawn(server::serve(listener, routes, bounds));
    address
}

async fn messages(page: &Page) -> Value {
    page.value("document.querySelectorAll('.message').length").await
}
