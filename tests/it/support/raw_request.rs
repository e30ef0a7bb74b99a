//! Requests byte by byte, as no well-behaved HTTP client would send them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::support::button_values::session_value;
use crate::support::{ID, SECRET, TestApp};

pub const COMMANDS: &str = "/slack/commands";
pub const INTERACTIONS: &str = "/slack/interactions";
pub const STAMP: &str = "X-Slack-Request-Timestamp";
pub const SIGNATURE: &str = "X-Slack-Signature";

/// An HTTP request that can be changed before it is sent.
#[derive(Clone)]
pub struct RawRequest {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Size of the chunks if the body is sent with chunked encoding; `None` for a `Content-Length`.
    pub chunks: Option<usize>,
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    pub body: String,
}

impl RawRequest {
    /// An unsigned form.
    pub fn unsigned(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            path: path.to_owned(),
            headers: vec![
                ("Connection".to_owned(), b"close".to_vec()),
                ("Content-Type".to_owned(), b"application/x-www-form-urlencoded".to_vec()),
            ],
            body: body.into(),
            chunks: None,
        }
    }

    /// The same request, signed with `secret` as Slack would at this Unix second.
    pub fn signed(self, secret: &str, second: i64) -> Self {
        self.stamped(secret, &second.to_string())
    }

    /// The same request, signed with `secret` and any text as its timestamp.
    pub fn stamped(mut self, secret: &str, stamp: &str) -> Self {
        let signature = signature(secret.as_bytes(), &[b"v0:", stamp.as_bytes(), b":", &self.body]);
        self.set(STAMP, stamp);
        self.set(SIGNATURE, signature);
        self
    }

    /// Sets a header.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        match self.headers.iter_mut().find(|(header, _)| header == name) {
            Some((_, old)) => *old = value.into(),
            None => self.add(name, value),
        }
    }

    /// Adds a header, also if it exists already.
    pub fn add(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(header, _)| header != name);
    }

    /// The value of a header; empty if it is missing.
    pub fn get(&self, name: &str) -> String {
        let value = self.headers.iter().find(|(header, _)| header == name);
        value.map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// Replaces a part of the body, which must exist.
    pub fn replace(&mut self, from: &str, to: &str) {
        let body = String::from_utf8(self.body.clone()).unwrap();
        assert!(body.contains(from), "{from} is not in {body}");
        self.body = body.replacen(from, to, 1).into_bytes();
    }

    /// The same request on a connection that stays open.
    pub fn keep_alive(mut self) -> Self {
        self.remove("Connection");
        self
    }

    /// The bytes that go over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = match self.chunks {
            Some(_) => "Transfer-Encoding: chunked".to_owned(),
            None => format!("Content-Length: {}", self.body.len()),
        };
        let mut bytes = format!("{} {} HTTP/1.1\r\nHost: app\r\n{length}\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        match self.chunks {
            None => bytes.extend(&self.body),
            Some(size) => {
                for chunk in self.body.chunks(size) {
                    bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend([chunk, b"\r\n"].concat());
                }
                bytes.extend(b"0\r\n\r\n");
            }
        }
        bytes
    }
}

impl TestApp {
    /// A form, signed now.
    pub fn signed_request(&self, path: &str, body: impl Into<Vec<u8>>) -> RawRequest {
        RawRequest::unsigned(path, body).signed(SECRET, self.now().as_second())
    }

    /// `/sandbox <text>`, signed now, with this `response_url`.
    pub fn command_request(&self, text: &str, response_url: Option<&str>) -> RawRequest {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("team_id", &self.person.team)
            .append_pair("channel_id", &self.person.channel)
            .append_pair("user_id", &self.person.user)
            .append_pair("command", "/sandbox")
            .append_pair("text", text)
            .append_pair(
                "trigger_id",
                &format!("1334522460933.738474920.{:032x}", fastrand::u128(..)),
            )
            .extend_pairs(response_url.map(|url| ("response_url", url)));
        self.signed_request(COMMANDS, form.finish())
    }

    /// Sends a request, and waits for the response.
    pub async fn send_raw(&self, request: &RawRequest) -> Reply {
        self.send_bytes(&request.to_bytes()).await
    }

    /// Sends bytes on a new connection, and waits until the service has responded and closed it.
    pub async fn send_bytes(&self, bytes: &[u8]) -> Reply {
        send_bytes_to(&self.app_url, bytes).await
    }
}

/// Sends bytes to the service at this address, and waits until it has responded and closed the connection.
pub async fn send_bytes_to(app: &Url, bytes: &[u8]) -> Reply {
    let address = *app.socket_addrs(|| None).unwrap().first().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // If the request is rejected before the end of its body, the connection may be closed during the write.
    let _ = stream.write_all(bytes).await;
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply).await;
    let reply = String::from_utf8(reply).unwrap();
    let (head, body) = reply
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer but {reply:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Reply {
        status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// `v0=` and the HMAC-SHA256 of the parts. Computed independently here, so that an error in the service's own code is
/// found.
pub fn signature(key: &[u8], parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    format!("v0={}", hex::encode(mac.finalize().into_bytes()))
}

/// The form of a command, with characters that need encoding and an empty field.
pub fn command_form() -> String {
    let fields = [("command", "/sandbox"), ("text", ID), ("user_id", "U2147483697")];
    form(&fields)
}

/// The form of a press, likewise.
pub fn press_form() -> String {
    let payload = json!({
        "type": "block_actions",
        "user": {"id": "U2147483697"},
        "team": {"id": "T0001ABCD"},
        "channel": {"id": "C2147483705"},
        "container": {"is_ephemeral": true},
        "actions": [{"action_id": "refresh", "value": session_value(ID)}],
    });
    form(&[("payload", &payload.to_string())])
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("token", "gIkuvaNzQIHg97ATvDxqgjtO")
        .append_pair("team_id", "T0001ABCD")
        .append_pair("enterprise_name", "Globular Construct")
        .append_pair("thread_ts", "")
        .extend_pairs(fields)
        .append_pair("response_url", "https://hooks.slack.com/commands/T0001ABCD/1/2")
        .finish()
}
