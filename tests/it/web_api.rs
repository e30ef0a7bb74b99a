//! The client for Slack's Web API against `FakeSlack`: what is posted, updated and opened, and every way to fail.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeSlack, TokenState, WebFault};
use kapso_slack::slack::web_api::{ChatMessage, Posted, Refusal, WebApi, WebApiError};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use crate::support::{BOT_TOKEN, SECRET, START, port};

const PERSON: &str = "U2147483697";
const CHANNEL: &str = "C2147483705";
const POST: &str = "chat.postMessage";

/// A workspace with the app installed, and a client with its token.
async fn installed() -> (FakeSlack, WebApi, Clock) {
    let clock = Clock::stopped(START);
    let http = client_builder().build().unwrap();
    let slack = FakeSlack::start(port().await, http, SECRET.into(), clock.clone()).unwrap();
    slack.web_api().install(BOT_TOKEN, &["commands", "chat:write"]);
    let api = client(&slack, Some(BOT_TOKEN));
    (slack, api, clock)
}

fn client(slack: &FakeSlack, token: Option<&str>) -> WebApi {
    let base: Url = format!("{}/", slack.api_url()).parse().unwrap();
    let http = client_builder().build().unwrap();
    WebApi::new(http, base, Duration::from_secs(10), token.map(SecretString::from))
}

fn message(text: &str) -> ChatMessage {
    ChatMessage::new(json!({"response_type": "ephemeral", "text": text, "unfurl_links": false}))
}

fn refusal(result: Result<impl std::fmt::Debug, WebApiError>) -> Refusal {
    match result {
        Err(WebApiError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_message_to_a_person_opens_their_direct_messages_and_can_be_updated() {
    let (slack, api, _) = installed().await;
    let posted = api.post_message(PERSON, &message("hello")).await.unwrap();
    assert!(posted.channel.starts_with('D'), "{posted:?}");
    let again = api.post_message(PERSON, &message("again")).await.unwrap();
    assert_eq!(again.channel, posted.channel, "one conversation for each person");
    api.update_message(&posted, &message("changed")).await.unwrap();
    let messages = slack.direct_messages(PERSON);
    let texts: Vec<&Value> = messages.iter().map(|posted| &posted.message["text"]).collect();
    assert_eq!(texts, ["changed", "again"]);
    assert_eq!(slack.rule_violations(), Vec::<String>::new());

    let (granted, _) = api.auth_test().await.unwrap();
    assert_eq!(granted.scopes, ["commands", "chat:write"]);
}

#[tokio::test]
async fn a_channel_takes_messages_of_its_members_alone() {
    let (slack, api, _) = installed().await;
    let post = async |channel: &str| api.post_message(channel, &message("hello")).await;
    slack.web_api().join(CHANNEL);
    assert_eq!(post(CHANNEL).await.unwrap().channel, CHANNEL);
    slack.web_api().leave(CHANNEL);
    assert_eq!(refusal(post(CHANNEL).await), Refusal::NotInChannel);
    for unknown in ["C0000000000", "G0000000000", "U9999999999", ""] {
        assert_eq!(refusal(post(unknown).await), Refusal::ChannelNotFound, "{unknown}");
    }
    slack.web_api().add_bot("U0000000001");
    assert_eq!(refusal(post("U0000000001").await), Refusal::CannotDmBot);
    slack.web_api().close_messages_tab(true);
    assert_eq!(refusal(post(PERSON).await), Refusal::MessagesTabDisabled);
}

#[tokio::test]
async fn a_token_that_does_not_work_is_told_apart() {
    let (slack, api, _) = installed().await;
    let post = async |api: &WebApi| api.post_message(PERSON, &message("hello")).await;
    let none = client(&slack, None);
    assert!(matches!(post(&none).await, Err(WebApiError::NoToken)));
    assert_eq!(
        refusal(post(&client(&slack, Some("xoxb-other"))).await),
        Refusal::InvalidAuth
    );
    for (state, expected) in [
        (TokenState::Revoked, Refusal::TokenRevoked),
        (TokenState::Inactive, Refusal::AccountInactive),
        (TokenState::Expired, Refusal::TokenExpired),
    ] {
        slack.web_api().set_token_state(BOT_TOKEN, state);
        assert_eq!(refusal(post(&api).await), expected);
    }
    slack.web_api().install(BOT_TOKEN, &["commands"]);
    assert_eq!(
        refusal(post(&api).await),
        Refusal::MissingScope("chat:write".to_owned())
    );
    slack.web_api().install("xoxb-rotated", &["chat:write"]);
    api.clone().set_token(Some("xoxb-rotated".into()));
    assert!(post(&api).await.is_ok(), "clones share the token");
}

#[tokio::test]
async fn only_ones_own_messages_can_be_updated() {
    let (slack, api, _) = installed().await;
    let posted = api.post_message(PERSON, &message("hello")).await.unwrap();
    slack.web_api().install("xoxb-other", &["chat:write"]);
    let other = client(&slack, Some("xoxb-other"));
    let update = async |api: &WebApi, posted: &Posted, text: &str| api.update_message(posted, &message(text)).await;
    assert_eq!(
        refusal(update(&other, &posted, "mine").await),
        Refusal::CantUpdateMessage
    );
    assert_eq!(
        refusal(update(&api, &posted, &"x".repeat(4_001)).await),
        Refusal::MsgTooLong
    );
    let unknown = Posted {
        ts: "1.000001".to_owned(),
        ..posted
    };
    assert_eq!(refusal(update(&api, &unknown, "lost").await), Refusal::MessageNotFound);
}

#[tokio::test]
async fn a_limit_and_an_unclear_answer_are_told_apart_from_a_refusal() {
    let (slack, api, clock) = installed().await;
    let post = async || api.post_message(PERSON, &message("hello")).await;
    slack.limit_channels();
    for _ in 0..3 {
        post().await.unwrap();
    }
    assert!(
        matches!(post().await, Err(WebApiError::RateLimited(pause)) if pause == Duration::from_secs(1)),
        "one message a second and channel"
    );
    clock.advance(SignedDuration::from_secs(2));
    post().await.unwrap();

    let web_api = slack.web_api();
    web_api.fail_next(POST, WebFault::RateLimited(30));
    assert!(matches!(post().await, Err(WebApiError::RateLimited(pause)) if pause == Duration::from_secs(30)));
    for fault in [
        WebFault::Status(StatusCode::BAD_GATEWAY),
        WebFault::DoneWithStatus(StatusCode::INTERNAL_SERVER_ERROR),
        WebFault::Body("<html>".to_owned()),
        WebFault::Body("x".repeat(100_000)),
        WebFault::Error("internal_error"),
        WebFault::Body(r#"{"ok":true}"#.to_owned()),
    ] {
        clock.advance(SignedDuration::from_secs(10));
        web_api.fail_next(POST, fault.clone());
        assert!(matches!(post().await, Err(WebApiError::Unclear(_))), "{fault:?}");
    }
    web_api.fail_next(POST, WebFault::Error("ekm_access_denied"));
    assert_eq!(
        refusal(post().await),
        Refusal::Forbidden("ekm_access_denied".to_owned())
    );
    web_api.fail_next(POST, WebFault::Error("Please read <this>"));
    assert_eq!(refusal(post().await), Refusal::Other("an unknown error".to_owned()));
    web_api.fail_next(POST, WebFault::Status(StatusCode::FOUND));
    assert_eq!(refusal(post().await), Refusal::Other("status 302".to_owned()));
    let closed = "http://127.0.0.1:9/api/".parse().unwrap();
    let http = client_builder().build().unwrap();
    let api = WebApi::new(http, closed, Duration::from_secs(10), Some(BOT_TOKEN.into()));
    let sent = api.post_message(PERSON, &message("hello")).await;
    assert!(matches!(sent, Err(WebApiError::NotSent(_))), "{sent:?}");
}

#[tokio::test]
async fn a_form_opens_once_within_three_seconds() {
    let (slack, api, clock) = installed().await;
    let view = json!({
        "type": "modal", "callback_id": "new", "title": {"type": "plain_text", "text": "New session"},
        "submit": {"type": "plain_text", "text": "Create"},
        "blocks": [{
            "type": "input", "block_id": "phone", "label": {"type": "plain_text", "text": "Phone"},
            "element": {"type": "plain_text_input", "action_id": "phone"},
        }],
    });
    let open = async |trigger: &str, view: &Value| api.open_view(&SecretString::from(trigger), view).await;
    let trigger = slack.web_api().issue_trigger_id();
    open(&trigger, &view).await.unwrap();
    assert_eq!(slack.web_api().opened_views()[0].view, view);
    assert_eq!(refusal(open(&trigger, &view).await), Refusal::ExpiredTriggerId);
    assert_eq!(refusal(open("1.2.made-up", &view).await), Refusal::ExpiredTriggerId);
    let late = slack.web_api().issue_trigger_id();
    clock.advance(SignedDuration::from_millis(3_001));
    assert_eq!(refusal(open(&late, &view).await), Refusal::ExpiredTriggerId);

    let without = |part: &str| {
        let mut view = view.clone();
        view.as_object_mut().unwrap().remove(part);
        view
    };
    let with = |part: &str, value: Value| {
        let mut view = view.clone();
        view[part] = value;
        view
    };
    let unlabelled = json!([{"type": "input", "element": {"type": "plain_text_input", "action_id": "phone"}}]);
    let many = vec![json!({"type": "divider"}); 101];
    let broken = [
        without("title"),
        without("submit"),
        without("blocks"),
        with("private_metadata", "x".repeat(3_001).into()),
        with("blocks", unlabelled),
        with("blocks", many.into()),
        with("response_type", "ephemeral".into()),
    ];
    for (at, view) in broken.iter().enumerate() {
        let trigger = slack.web_api().issue_trigger_id();
        let expected = Refusal::Other("invalid_arguments".to_owned());
        assert_eq!(refusal(open(&trigger, view).await), expected, "{view}");
        assert!(slack.rule_violations().len() > at, "{view}");
    }
}
