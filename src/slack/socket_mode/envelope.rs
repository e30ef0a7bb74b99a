//! The frames of Socket Mode. Source: <https://docs.slack.dev/apis/events-api/using-socket-mode>.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Longest envelope id that is acknowledged, in bytes. Slack's have about 40.
const ID_MAX: usize = 256;
/// Longest reason of a `disconnect` that is logged, in bytes.
const REASON_MAX: usize = 40;

/// A frame from Slack.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'f> {
    /// The connection is ready. With the number of connections of the app, if Slack says so.
    Hello { connections: Option<u64> },
    /// The connection will end.
    Disconnect(String),
    /// Something to acknowledge.
    Envelope(Envelope<'f>),
    /// No frame of Socket Mode that is known here.
    Unknown,
}

/// Something that Slack delivers, and delivers again unless it is acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope<'f> {
    pub id: String,
    /// `slash_commands`, `interactive`, or what this app does not handle.
    pub kind: String,
    /// Whether the acknowledgement may contain a message.
    pub accepts_message: bool,
    /// JSON, not parsed: the envelope is acknowledged also if it cannot be.
    pub payload: &'f str,
}

impl<'f> Frame<'f> {
    /// Reads a frame. Fields of an unexpected type count as missing, so that as little as possible prevents the
    /// acknowledgement of an envelope: one that is never acknowledged comes again and again.
    #[must_use]
    pub fn parse(text: &'f str) -> Self {
        // Raw values are skipped without recursion, so that no depth of nesting is an error.
        let Ok(fields) = serde_json::from_str::<HashMap<String, &RawValue>>(text) else {
            return Self::Unknown;
        };
        let kind = read::<String>(&fields, "type").unwrap_or_default();
        let id = read::<String>(&fields, "envelope_id").filter(|id| (1..=ID_MAX).contains(&id.len()));
        if let Some(id) = id {
            return Self::Envelope(Envelope {
                id,
                kind,
                accepts_message: read(&fields, "accepts_response_payload").unwrap_or_default(),
                payload: fields.get("payload").map_or("null", |payload| payload.get()),
            });
        }
        match kind.as_str() {
            "hello" => Self::Hello {
                connections: read(&fields, "num_connections"),
            },
            "disconnect" => Self::Disconnect(word(&read::<String>(&fields, "reason").unwrap_or_default())),
            _ => Self::Unknown,
        }
    }
}

fn read<T: DeserializeOwned>(fields: &HashMap<String, &RawValue>, name: &str) -> Option<T> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// A word of Slack's that is safe in the log; `unknown` if it is none.
pub(super) fn word(text: &str) -> String {
    let is_word =
        (1..=REASON_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if is_word { text } else { "unknown" }.to_owned()
}

/// The acknowledgement of an envelope. `message` is JSON.
#[must_use]
pub fn acknowledgement(id: &str, message: Option<&[u8]>) -> String {
    let id = serde_json::Value::from(id);
    match message.map(String::from_utf8_lossy) {
        Some(message) => format!(r#"{{"envelope_id":{id},"payload":{message}}}"#),
        None => format!(r#"{{"envelope_id":{id}}}"#),
    }
}

/// Slack's answer to `apps.connections.open`.
#[derive(Deserialize)]
pub(super) struct Opened {
    #[serde(default)]
    pub(super) ok: bool,
    pub(super) url: Option<String>,
    pub(super) error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_recognized_whatever_its_other_fields_are() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        for (fields, kind, accepts_message, payload) in [
            (
                r#""type":"slash_commands","accepts_response_payload":true,"payload":{"a":1}"#,
                "slash_commands",
                true,
                r#"{"a":1}"#,
            ),
            (
                r#""type":"interactive","payload":"text""#,
                "interactive",
                false,
                "\"text\"",
            ),
            (r#""type":7,"accepts_response_payload":"yes""#, "", false, "null"),
            (r#""type":"hello""#, "hello", false, "null"),
            (r#""payload":null"#, "", false, "null"),
        ] {
            let text = format!(r#"{{"envelope_id":"e-1",{fields}}}"#);
            let expected = Envelope {
                id: "e-1".to_owned(),
                kind: kind.to_owned(),
                accepts_message,
                payload,
            };
            assert_eq!(Frame::parse(&text), Frame::Envelope(expected), "{text}");
        }
        let text = format!(r#"{{"envelope_id":"e-1","type":"events_api","payload":{deep}}}"#);
        assert!(matches!(Frame::parse(&text), Frame::Envelope(envelope) if envelope.payload == deep));
    }

    #[test]
    fn frames_without_an_envelope_id_are_hello_disconnect_or_unknown() {
        for (text, expected) in [
            (
                r#"{"type":"hello","num_connections":2}"#,
                Frame::Hello { connections: Some(2) },
            ),
            (
                r#"{"type":"hello","num_connections":-1}"#,
                Frame::Hello { connections: None },
            ),
            (r#"{"type":"hello"}"#, Frame::Hello { connections: None }),
            (
                r#"{"type":"disconnect","reason":"warning"}"#,
                Frame::Disconnect("warning".to_owned()),
            ),
            (
                r#"{"type":"disconnect","reason":"a b\nc"}"#,
                Frame::Disconnect("unknown".to_owned()),
            ),
            (r#"{"type":"disconnect"}"#, Frame::Disconnect("unknown".to_owned())),
            (
                r#"{"type":"disconnect","envelope_id":7}"#,
                Frame::Disconnect("unknown".to_owned()),
            ),
            (r#"{"type":"slash_commands"}"#, Frame::Unknown),
            (r#"{"type":"slash_commands","envelope_id":""}"#, Frame::Unknown),
            ("{}", Frame::Unknown),
            ("[]", Frame::Unknown),
            ("", Frame::Unknown),
            ("hello", Frame::Unknown),
        ] {
            assert_eq!(Frame::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn an_acknowledgement_is_json_for_every_id() {
        let text = acknowledgement("a\"b\\", Some(br#"{"text":"hi"}"#));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(
            parsed,
            serde_json::json!({"envelope_id": "a\"b\\", "payload": {"text": "hi"}})
        );
        assert_eq!(acknowledgement("e-1", None), r#"{"envelope_id":"e-1"}"#);
    }
}
