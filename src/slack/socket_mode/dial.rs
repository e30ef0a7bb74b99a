//! Connects a WebSocket: TCP, a proxy's `CONNECT` where there is a proxy, TLS, and the WebSocket handshake.

use std::io;
use std::panic::AssertUnwindSafe;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt;
use http::Uri;
use percent_encoding::percent_decode_str;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Connector, Limits, MaybeTlsStream, WebSocketStream};
use url::{Host, Url};

use crate::config::Proxy;

/// Largest message that is read, in bytes, assembled from its frames. Slack's are under 100 KiB,
/// unless they contain a message.
pub(super) const MESSAGE_MAX: usize = 1024 * 1024;
/// Largest head of a proxy's response, in bytes.
const HEAD_MAX: usize = 8 * 1024;

/// TLS to Slack within TLS to the proxy; either may be plain.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<MaybeTlsStream<TcpStream>>>;

/// Why there is no connection. Contains nothing of the address, which is a secret.
#[derive(Debug, Error)]
pub(super) enum DialError {
    #[error("the address is not one that a connection can be made to")]
    Address,
    #[error("no TCP connection to {0}")]
    Tcp(Peer, #[source] io::Error),
    #[error("no TLS connection to {0}")]
    Tls(Peer, #[source] tokio_websockets::Error),
    #[error("the proxy refused the connection with status {0}")]
    ProxyRefused(u16),
    #[error("the proxy's response cannot be read")]
    ProxyResponse,
    #[error("the connection to the proxy broke")]
    Proxy(#[source] io::Error),
    #[error("the WebSocket handshake failed")]
    Handshake(#[source] tokio_websockets::Error),
    #[error("the response to the WebSocket handshake cannot be read")]
    HandshakeResponse,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    Slack,
    Proxy,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Slack => "Slack",
            Self::Proxy => "the proxy",
        })
    }
}

/// Connects to `url`, which must be `ws` or `wss`.
pub(super) async fn dial(url: &Url, proxy: &Proxy) -> Result<Socket, DialError> {
    let uri: Uri = url.as_str().parse().map_err(|_| DialError::Address)?;
    let stream = match proxy.for_url(url) {
        Some(proxy) => {
            let mut stream = connect(proxy, Peer::Proxy).await?;
            open_tunnel(&mut stream, url, proxy).await?;
            stream
        }
        None => MaybeTlsStream::Plain(connect_tcp(url, Peer::Slack).await?),
    };
    let stream = wrap(url, stream, Peer::Slack).await?;
    let limits = Limits::default().max_payload_len(Some(MESSAGE_MAX));
    let client = ClientBuilder::from_uri(uri).limits(limits);
    // tokio-websockets panics if Sec-WebSocket-Accept is too long. One task runs all connections, and would end.
    let handshake = AssertUnwindSafe(client.connect_on(stream)).catch_unwind().await;
    let handshake = handshake.map_err(|_panic| DialError::HandshakeResponse)?;
    handshake.map(|(socket, _)| socket).map_err(DialError::Handshake)
}

async fn connect(url: &Url, peer: Peer) -> Result<MaybeTlsStream<TcpStream>, DialError> {
    wrap(url, connect_tcp(url, peer).await?, peer).await
}

async fn connect_tcp(url: &Url, peer: Peer) -> Result<TcpStream, DialError> {
    let (host, port) = host_and_port(url)?;
    let stream = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|error| DialError::Tcp(peer, error))?;
    // Frames are small, and each is waited for.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// TLS over `stream`, if the scheme of `url` asks for it.
async fn wrap<S: AsyncRead + AsyncWrite + Unpin>(
    url: &Url,
    stream: S,
    peer: Peer,
) -> Result<MaybeTlsStream<S>, DialError> {
    if !matches!(url.scheme(), "https" | "wss") {
        return Ok(MaybeTlsStream::Plain(stream));
    }
    let (host, _) = host_and_port(url)?;
    let connector = Connector::new().map_err(|error| DialError::Tls(peer, error))?;
    let stream = connector.wrap(&host, stream).await;
    stream.map_err(|error| DialError::Tls(peer, error))
}

/// The host without the brackets of an IPv6 address, and the port.
fn host_and_port(url: &Url) -> Result<(String, u16), DialError> {
    let host = match url.host().ok_or(DialError::Address)? {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let port = url.port_or_known_default().ok_or(DialError::Address)?;
    Ok((host, port))
}

/// Asks a proxy for a connection to `url`.
pub(super) async fn open_tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    url: &Url,
    proxy: &Url,
) -> Result<(), DialError> {
    let host = url.host_str().ok_or(DialError::Address)?;
    let port = url.port_or_known_default().ok_or(DialError::Address)?;
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
    if let Some(credentials) = credentials(proxy) {
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&credentials);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(DialError::Proxy)?;
    stream.flush().await.map_err(DialError::Proxy)?;
    let status = read_status(stream).await?;
    if (200..300).contains(&status) {
        Ok(())
    } else {
        Err(DialError::ProxyRefused(status))
    }
}

fn credentials(proxy: &Url) -> Option<String> {
    let password = proxy.password();
    if proxy.username().is_empty() && password.is_none() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(proxy.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(password.unwrap_or_default()));
    Some(BASE64_STANDARD.encode(credentials))
}

/// Reads the head of the response byte by byte, so that nothing of what follows it is taken.
async fn read_status<S: AsyncRead + Unpin>(stream: &mut S) -> Result<u16, DialError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_MAX {
            return Err(DialError::ProxyResponse);
        }
        head.push(stream.read_u8().await.map_err(DialError::Proxy)?);
    }
    let mut words = head.split(|byte| *byte == b' ');
    let is_http = words.next().is_some_and(|version| version.starts_with(b"HTTP/1."));
    let status = words
        .next()
        .and_then(|status| std::str::from_utf8(status).ok()?.trim().parse().ok());
    status.filter(|_| is_http).ok_or(DialError::ProxyResponse)
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// What a proxy with this response receives, and the result.
    async fn tunnel(proxy: &str, response: &str) -> (String, Result<(), DialError>) {
        let url = |text: &str| Url::parse(text).unwrap_or_else(|_| unreachable!("{text}"));
        let (mut ours, mut theirs) = duplex(64 * 1024);
        let (target, proxy) = (url("wss://wss.slack.com/link/?ticket=zebra"), url(proxy));
        let answering = async {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(theirs.read_u8().await.unwrap_or_default());
            }
            let _ = theirs.write_all(response.as_bytes()).await;
            drop(theirs);
            String::from_utf8_lossy(&request).into_owned()
        };
        let (result, request) = tokio::join!(open_tunnel(&mut ours, &target, &proxy), answering);
        (request, result)
    }

    #[tokio::test]
    async fn a_tunnel_names_the_host_and_not_the_ticket() {
        let (request, result) = tunnel("http://proxy:3128", "HTTP/1.1 200 Connection established\r\n\r\n").await;
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(
            request,
            "CONNECT wss.slack.com:443 HTTP/1.1\r\nHost: wss.slack.com:443\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn a_proxy_gets_its_user_and_password() {
        let (request, _) = tunnel("http://me:p%40ss%3A@proxy", "HTTP/1.1 200\r\nVia: x\r\n\r\n").await;
        // me:p@ss:
        assert!(
            request.contains("\r\nProxy-Authorization: Basic bWU6cEBzczo=\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_or_answers_nonsense_is_an_error() {
        let long = format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", "x".repeat(HEAD_MAX));
        for (response, expected) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                "the proxy refused the connection with status 407",
            ),
            ("SSH-2.0-OpenSSH\r\n\r\n", "the proxy's response cannot be read"),
            ("HTTP/1.1\r\n\r\n", "the proxy's response cannot be read"),
            (&long, "the proxy's response cannot be read"),
            ("HTTP/1.1 200 OK\r\n", "the connection to the proxy broke"),
            ("", "the connection to the proxy broke"),
        ] {
            let (_, result) = tunnel("http://proxy", response).await;
            let error = result.err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(expected));
        }
    }
}
