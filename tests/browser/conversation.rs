//! Commands, buttons, and Slack's error messages in the conversation.

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use insta::assert_snapshot;
use kapso_slack::app::client_builder;
use kapso_slack::config::Settings;
use kapso_slack::demo::Person;
use kapso_slack::server::{self, Bounds};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::support::{ID, Page, images_are_shown, page, page_with};

/// Notifications come to the channel.
fn without_bot(settings: &mut Settings) {
    settings.bot_token = None;
}

#[tokio::test]
async fn a_card_uses_the_readers_time_zone_and_language() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        let card = page.wait_for_message("Waiting for activation").await;
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
            .evaluate("document.querySelector('.button.primary[data-action]').href")
            .await;
        assert_eq!(link, "https://wa.me/12345678901?text=ABC123");
        let spoken = page.wait_for_text("#spoken", "is waiting for activation").await;
        assert!(spoken.contains("Activate it: https://wa.me/"), "{spoken}");
    })
    .await;
}

#[tokio::test]
async fn the_page_opens_on_the_welcome_the_suggestions_and_one_card() {
    page(async |page| {
        page.demo().show_first_card().await;
        for (width, height) in [(1280, 860), (390, 720), (390, 844)] {
            page.set_size(width, height, 1).await;
            page.navigate("").await;
            page.wait_for_message("Waiting for activation").await;
            assert_eq!(messages(page).await, 1);
            images_are_shown(page).await;
            for selector in [".welcome .lead", ".try .chip-button:last-child", ".message .header"] {
                assert!(is_visible(page, selector).await, "{selector} at {width} pixels");
            }
            if width > 1000 {
                assert!(
                    is_visible(page, ".message [data-action=refresh]").await,
                    "the whole card"
                );
            }
            assert_eq!(page.evaluate("document.getElementById('cue').hidden").await, true);
            // What does not change the conversation does not scroll it.
            page.demo().kapso.activate("expired");
            page.wait_for_text("[data-session='expired'] .status", "active").await;
            page.demo().kapso.expire("expired");
            page.wait_for_text("[data-session='expired'] .status", "expired").await;
            assert!(is_visible(page, ".welcome .lead").await);
        }
    })
    .await;
}

#[tokio::test]
async fn after_a_reload_the_conversation_goes_on_at_its_end() {
    page(async |page| {
        for command in ["help", "list", "help"] {
            page.send_command(&format!("/sandbox {command}")).await;
        }
        page.wait_until("document.querySelectorAll('.message').length === 3")
            .await;
        page.navigate("").await;
        page.wait_until("document.querySelectorAll('.message').length === 3")
            .await;
        page.wait_until(AT_END).await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_arrives_off_screen_is_announced_by_a_button() {
    page_with(without_bot, async |page| {
        for command in ["help", "list"] {
            page.send_command(&format!("/sandbox {command}")).await;
        }
        page.send_command(&format!("/sandbox watch {ID}")).await;
        page.wait_for_message("Stop watching").await;
        let cue = "document.getElementById('cue').checkVisibility()";
        assert_eq!(page.evaluate(cue).await, false, "what a person asked for is on screen");

        page.evaluate("document.querySelector('.scroller').scrollTo(0, 0)")
            .await;
        page.click("button", &format!("Activate {ID}")).await;
        page.click("#clock button", "15 minutes later").await;
        page.wait_for_message("is active now").await;
        page.wait_until(cue).await;
        assert!(!is_visible(page, ".message:last-child").await);
        page.click("#cue", "New message").await;
        page.wait_until(&format!("!{cue}")).await;
        assert!(is_visible(page, ".message:last-child [data-action=refresh]").await);
    })
    .await;
}

#[tokio::test]
async fn on_a_phone_a_tap_in_the_panel_leads_to_the_answer() {
    page_with(without_bot, async |page| {
        page.demo().show_first_card().await;
        page.set_size(390, 720, 1).await;
        page.navigate("").await;
        page.wait_for_message("Waiting for activation").await;
        page.click("#toggle", "Behind the scenes").await;
        page.click("[data-session] .id", "active").await;
        page.wait_for_message("🟢 Active").await;
        page.wait_until(AT_END).await;
        assert!(is_visible(page, ".message:last-child [data-action=refresh]").await);

        page.send_command(&format!("/sandbox watch {ID}")).await;
        page.wait_for_message("Stop watching").await;
        page.click("#toggle", "Behind the scenes").await;
        page.click("button", &format!("Activate {ID}")).await;
        page.click("#clock button", "15 minutes later").await;
        page.click("#toggle", "To the new message").await;
        page.wait_for_message("is active now").await;
        page.wait_until(AT_END).await;
        assert!(is_visible(page, ".message:last-child [data-action=refresh]").await);

        page.click("#toggle", "Behind the scenes").await;
        page.click("#reset", "Reset").await;
        page.wait_until("document.querySelectorAll('.message').length === 1")
            .await;
        page.wait_until("document.getElementById('command').checkVisibility()")
            .await;
        assert!(is_visible(page, ".welcome .lead").await);
    })
    .await;
}

#[tokio::test]
async fn refresh_changes_the_card_in_place_once_the_session_is_active() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        let before = page
            .evaluate("document.querySelector('.message').dataset.message")
            .await;
        page.click("button", &format!("Activate {ID}")).await;
        page.wait_for_text(&format!("[data-session='{ID}']"), "active").await;
        page.press("Refresh").await;
        let card = page.wait_for_message("🟢 Active").await;
        assert!(!card.contains("Activate in WhatsApp"), "{card}");
        let messages = "[...document.querySelectorAll('.message')].map((it) => it.dataset.message)";
        assert_eq!(
            page.evaluate(messages).await,
            json!([before]),
            "the card is the same message"
        );
        let focused = page.evaluate("document.activeElement.dataset.action").await;
        assert_eq!(focused, "refresh", "the focus stays on the button");
    })
    .await;
}

#[tokio::test]
async fn a_watch_notifies_when_the_session_is_activated() {
    page_with(without_bot, async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        page.press("Tell me when it is active").await;
        page.wait_for_message("Stop watching").await;
        page.click("button", &format!("Activate {ID}")).await;
        page.wait_for_text(&format!("[data-session='{ID}']"), "active").await;
        page.click("#clock button", "15 minutes later").await;
        let news = page
            .wait_for_message("is active now, less than a minute after it was created")
            .await;
        assert!(news.contains("Only visible to you"), "{news}");
        assert_eq!(messages(page).await, 2, "the notification is a separate message");
        page.press("Show the session").await;
        page.wait_for_message("🟢 Active").await;
        assert_eq!(messages(page).await, 2, "the card replaces the notification");
    })
    .await;
}

#[tokio::test]
async fn a_slow_kapso_leads_to_a_late_reply() {
    page_with(
        |settings| settings.reply_budget = Duration::from_millis(100),
        async |page| {
            page.click(".chip", "Hang").await;
            page.wait_for_text("#fault-what", "never answers").await;
            page.send_command(&format!("/sandbox {ID}")).await;
            page.wait_for_text("#status", "Accepted; reply to follow").await;
            assert_eq!(messages(page).await, 0);
            page.click(".chip", "Healthy").await;
            let card = page.wait_for_message("Waiting for activation").await;
            assert!(card.contains("to the response_url after"), "{card}");
            assert_eq!(messages(page).await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_hanging_kapso_ends_in_an_error() {
    page_with(
        |settings| {
            settings.timing.kapso.attempt = Duration::from_millis(50);
            settings.timing.kapso.total = Duration::from_millis(200);
        },
        async |page| {
            page.click(".chip", "Hang").await;
            page.wait_for_text("#fault-what", "never answers").await;
            page.send_command(&format!("/sandbox {ID}")).await;
            page.wait_for_message("Kapso did not answer. Nothing was changed; try again in a moment.")
                .await;
            page.wait_for_text("#exchange", "no answer").await;
        },
    )
    .await;
}

#[tokio::test]
async fn hostile_text_is_inert() {
    page(async |page| {
        let name = "<img src=x onerror=alert(1)> <script>document.title='owned'</script> *bold* <!channel> &lt;b&gt;";
        page.demo().kapso.set_field(ID, "agent", json!({"name": name}));
        page.demo().kapso.set_field(ID, "phone_number", "<b>+1</b>".into());
        page.demo().kapso.set_field(ID, "status", "<i>new</i>".into());
        page.send_command(&format!("/sandbox {ID}")).await;
        let card = page.wait_for_message("Status:").await;
        assert!(card.contains(name), "{card}");
        assert!(card.contains("<b>+1</b>") && card.contains("<i>new</i>"), "{card}");
        let made = "document.querySelectorAll('.content :is(img, script, i, b:not(.byline > b), .mention, em)').length";
        assert_eq!(page.evaluate(made).await, 0, "no element was created");
        assert_eq!(page.evaluate("document.title").await, "Playground · kapso-slack");
        page.wait_for_text(&format!("[data-session='{ID}']"), "<i>new</i>")
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_failed_command_shows_slacks_error_and_stays_in_the_composer() {
    page(async |page| {
        page.playing.stop_service().await;
        page.send_command("/sandbox help").await;
        page.wait_for_message("/sandbox failed with the error \"dispatch_failed\"")
            .await;
        page.wait_until("document.getElementById('command').value === '/sandbox help'")
            .await;
    })
    .await;
}

#[tokio::test]
async fn an_unanswered_command_fails_after_three_seconds() {
    page_with(
        |settings| settings.reply_budget = Duration::from_secs(20),
        async |page| {
            page.click(".chip", "Hang").await;
            page.wait_for_text("#fault-what", "never answers").await;
            page.send_command(&format!("/sandbox {ID}")).await;
            page.wait_for_message("/sandbox failed because the app did not respond.")
                .await;
            page.click(".chip", "Healthy").await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_press_that_the_app_does_not_acknowledge_leaves_a_warning() {
    page(async |page| {
        page.send_command(&format!("/sandbox {ID}")).await;
        page.wait_for_message("Waiting for activation").await;
        page.playing.stop_service().await;
        page.press("Refresh").await;
        let warned = page
            .wait_until("document.querySelector('.warned .warning')?.ariaLabel")
            .await;
        assert_eq!(warned, "The app did not respond to this press");
        let button = page
            .evaluate("document.querySelector('.warned [data-action]').textContent")
            .await;
        assert_eq!(button, "Refresh");
    })
    .await;
}

#[tokio::test]
async fn a_confirmation_dialog_is_shown_before_the_press() {
    page(async |page| {
        let shared = page.demo().slack.add_shared_message(json!({
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
            page.press("Share").await;
            let dialog = page.wait_for_text("#confirm[open]", "Everyone here will see it.").await;
            assert!(dialog.contains("Share it?"), "{dialog}");
        };
        asked(page).await;
        page.click("dialog button", "Keep it").await;
        page.wait_until("!document.querySelector('#confirm[open]')").await;
        assert!(page.demo().slack.last_exchange().is_none(), "nothing was pressed");
        asked(page).await;
        page.click("dialog button", "Share it").await;
        page.wait_for_text("#exchange", "POST /slack/interactions").await;
        page.wait_for_text("#exchange", "200, empty").await;
    })
    .await;
}

#[tokio::test]
async fn messages_of_other_apps_are_shown_as_in_slack() {
    page(async |page| {
        let demo = page.demo();
        let app = app_that_answers(json!({"response_type": "in_channel", "text": "For *all* of <#C2147483705>"})).await;
        let person = Person::default();
        let posted = demo
            .slack
            .send_command(&app, &person, "/sandbox all")
            .await
            .message
            .unwrap();
        let seen = page.wait_for_message("steve used /sandbox all").await;
        assert!(seen.contains("For all of #sandbox"), "{seen}");
        assert!(!seen.contains("Only visible to you"), "{seen}");

        // The reply to the press deletes the pressed message.
        let sent = demo.slack.press_button(&app, &person, &posted, "delete").await;
        let exchange = demo.slack.exchange(sent.exchange).unwrap();
        let response_url = exchange.request.unwrap().fields["payload"]["response_url"]
            .as_str()
            .unwrap()
            .to_owned();
        let delete = json!({"response_type": "ephemeral", "delete_original": true, "text": "gone"});
        let http = client_builder().build().unwrap();
        http.post(response_url).body(delete.to_string()).send().await.unwrap();
        page.wait_until("document.querySelectorAll('.message').length === 0")
            .await;
    })
    .await;
}

/// Another app: it answers commands with `message`, and acknowledges presses.
async fn app_that_answers(message: Value) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let answer = message.to_string();
    let routes = Router::new()
        .route("/slack/commands", post(async move || answer))
        .route("/slack/interactions", post(async || ""));
    let bounds = Bounds {
        head_deadline: Duration::from_secs(10),
        keep_alive: Duration::from_secs(10),
        connections: 10,
        draining: CancellationToken::new(),
        closed: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    tokio::spawn(server::serve(listener, routes, bounds));
    address
}

/// Whether the channel is scrolled to its end.
const AT_END: &str = "(({scrollHeight, scrollTop, clientHeight}) => clientHeight > 0 && \
    scrollHeight - scrollTop - clientHeight < 2)(document.querySelector('.scroller'))";

/// Whether the element is on the visible part of the channel, and nothing is in front of it.
async fn is_visible(page: &Page, selector: &str) -> bool {
    let expression = format!(
        "((it) => {{ const {{left, top, bottom}} = it.getBoundingClientRect(); \
           return top >= 0 && bottom <= innerHeight && it.contains(document.elementFromPoint(left + 5, (top + bottom) / 2)); \
         }})(document.querySelector({}))",
        json!(selector)
    );
    page.evaluate(&expression).await == true
}

async fn messages(page: &Page) -> Value {
    page.evaluate("document.querySelectorAll('.message').length").await
}
