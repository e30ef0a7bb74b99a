//! The form bodies of Slack's requests: slash commands, button presses and message shortcuts.

use serde_json::{Value, json};

use super::channel::{ButtonRef, PostedMessage};
use super::views::OpenedView;

/// Who sends a command, presses a button or chooses a shortcut, and where. Slack omits what is empty.
#[derive(Clone, Debug)]
pub struct Person {
    /// `T…`
    pub team: String,
    /// `T…`, the workspace the person belongs to, if it is another company's (Slack Connect).
    pub home_team: Option<String>,
    /// `E…`, if the workspace belongs to an Enterprise organisation.
    pub enterprise: Option<String>,
    /// Whether the app is installed for the whole organisation: a press then names no workspace but the person's own.
    pub organisation_wide: bool,
    /// `C…`
    pub channel: String,
    /// `U…`
    pub user: String,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            team: "T0001ABCD".to_owned(),
            home_team: None,
            enterprise: None,
            organisation_wide: false,
            channel: "C2147483705".to_owned(),
            user: "U2147483697".to_owned(),
        }
    }
}

/// The ids that Slack gives a request.
pub(super) struct RequestIds<'a> {
    pub(super) response_url: &'a str,
    pub(super) trigger_id: &'a str,
}

/// A slash command; format: <https://docs.slack.dev/interactivity/implementing-slash-commands>.
pub(super) fn command(person: &Person, name: &str, text: &str, ids: &RequestIds<'_>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("token", "gIkuvaNzQIHg97ATvDxqgjtO")
        .append_pair("team_id", &person.team)
        .append_pair("team_domain", "example")
        .extend_pairs(person.enterprise.iter().map(|id| ("enterprise_id", id)))
        .append_pair("channel_id", &person.channel)
        .append_pair("channel_name", "sandbox")
        .append_pair("user_id", &person.user)
        .append_pair("user_name", "steve")
        .append_pair("command", name)
        .append_pair("text", text)
        .append_pair("api_app_id", "A0123456789")
        .append_pair(
            "is_enterprise_install",
            if person.organisation_wide { "true" } else { "false" },
        )
        .append_pair("response_url", ids.response_url)
        .append_pair("trigger_id", ids.trigger_id)
        .finish()
}

/// A button press, its payload changed by `change`; format:
/// <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>.
pub(super) fn press(
    person: &Person,
    on: &PostedMessage,
    button: &ButtonRef,
    value: &Value,
    ids: &RequestIds<'_>,
    change: impl FnOnce(&mut Value),
) -> String {
    let mut payload = json!({
        "type": "block_actions",
        "container": {
            "type": "message", "message_ts": ts_of(on), "channel_id": person.channel,
            "is_ephemeral": on.is_ephemeral(),
        },
        "state": {"values": {}},
        "response_url": ids.response_url,
        "actions": [{
            "action_id": button.action_id, "block_id": format!("b{}", button.block), "type": "button",
            "value": value, "text": {"type": "plain_text", "text": "…", "emoji": true},
            "action_ts": "1606455407.603639",
        }],
    });
    if !on.is_ephemeral() {
        payload["message"] = on.message.clone();
    }
    if let Some(thread) = on.thread {
        payload["container"]["thread_ts"] = ts(thread).into();
    }
    sent_by(person, ids, payload, change)
}

/// A shortcut chosen in the menu of a message, its payload changed by `change`; format:
/// <https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload>.
pub(super) fn shortcut(
    person: &Person,
    on: &PostedMessage,
    callback_id: &str,
    ids: &RequestIds<'_>,
    change: impl FnOnce(&mut Value),
) -> String {
    let mut message = on.message.clone();
    message["type"] = "message".into();
    message["ts"] = ts_of(on).into();
    if let Some(thread) = on.thread {
        message["thread_ts"] = ts(thread).into();
    }
    let payload = json!({
        "type": "message_action",
        "callback_id": callback_id,
        "action_ts": "1606455407.603639",
        "message_ts": ts_of(on),
        "message": message,
        "response_url": ids.response_url,
    });
    sent_by(person, ids, payload, change)
}

/// A submitted form, its payload changed by `change`; `values` are of the fields by their ids. Format:
/// <https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload>.
pub(super) fn submission(
    person: &Person,
    opened: &OpenedView,
    values: &[(String, String)],
    ids: &RequestIds<'_>,
    change: impl FnOnce(&mut Value),
) -> String {
    let mut state = json!({});
    for block in opened.view["blocks"].as_array().into_iter().flatten() {
        let (Some(id), element) = (block["block_id"].as_str(), &block["element"]) else {
            continue;
        };
        let Some(action_id) = element["action_id"].as_str() else {
            continue;
        };
        let value = values
            .iter()
            .find(|(field, _)| field == id)
            .map(|(_, value)| value.as_str());
        let value = value.filter(|value| !value.is_empty());
        state[id][action_id] = if element["type"] == "static_select" {
            let option = value.map(|value| json!({"text": {"type": "plain_text", "text": value}, "value": value}));
            json!({"type": "static_select", "selected_option": option})
        } else {
            json!({"type": element["type"], "value": value})
        };
    }
    let mut view = opened.view.clone();
    view["id"] = opened.id.as_str().into();
    view["team_id"] = person.team.as_str().into();
    view["state"] = json!({"values": state});
    view["hash"] = "156772938.1827394".into();
    let payload = json!({"type": "view_submission", "view": view, "response_urls": []});
    sent_by(person, ids, payload, |payload| {
        // A form is in no channel.
        payload.as_object_mut().map(|payload| payload.remove("channel"));
        change(payload);
    })
}

/// A form with this payload, to which the fields about the person and the place are added.
fn sent_by(person: &Person, ids: &RequestIds<'_>, mut payload: Value, change: impl FnOnce(&mut Value)) -> String {
    let null_if_unknown = |id: &str, value: Value| if id.is_empty() { Value::Null } else { value };
    let home_team = person.home_team.as_ref().unwrap_or(&person.team);
    let user = json!({"id": person.user, "username": "steve", "name": "steve", "team_id": home_team});
    payload["user"] = null_if_unknown(&person.user, user);
    payload["api_app_id"] = "A0123456789".into();
    payload["token"] = "gIkuvaNzQIHg97ATvDxqgjtO".into();
    payload["trigger_id"] = ids.trigger_id.into();
    payload["team"] = if person.organisation_wide {
        Value::Null
    } else {
        null_if_unknown(&person.team, json!({"id": person.team, "domain": "example"}))
    };
    let enterprise = person.enterprise.as_ref();
    payload["enterprise"] = json!(enterprise.map(|id| json!({"id": id, "name": "Globular"})));
    payload["is_enterprise_install"] = person.organisation_wide.into();
    payload["channel"] = null_if_unknown(&person.channel, json!({"id": person.channel, "name": "sandbox"}));
    change(&mut payload);
    form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish()
}

/// The timestamp that identifies a message in Slack.
fn ts_of(message: &PostedMessage) -> String {
    message.ts.clone().unwrap_or_else(|| ts(message.id))
}

fn ts(message: u64) -> String {
    format!("1606455372.{message:06}")
}

/// A message that a person writes, with the blocks that Slack makes of it: addresses become links.
pub(super) fn written(person: &Person, text: &str) -> Value {
    let mut runs = Vec::new();
    let mut marked = Vec::new();
    for word in text.split(' ') {
        if word.starts_with("https://") || word.starts_with("http://") {
            runs.push(json!({"type": "link", "url": word}));
            marked.push(format!("<{word}>"));
        } else {
            runs.push(json!({"type": "text", "text": word}));
            marked.push(word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        }
        runs.push(json!({"type": "text", "text": " "}));
    }
    runs.pop();
    // An empty run is not valid.
    runs.retain(|run| run["text"] != "");
    json!({
        "user": person.user,
        "text": marked.join(" "),
        "blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": runs}]}],
    })
}
