//! Reaches hosts, directly or through the proxy, and explains why one cannot be reached.

use std::error::Error;
use std::io;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::{Client, Response};
use rustls::CertificateError;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Host, Url};

use super::findings::{
    Finding, HOST_NOT_FOUND, NO_ANSWER, NO_CONNECTION, PROXY_LOGIN, PROXY_NOT_REACHED, PROXY_REFUSED, TLS_FAILED,
};
use crate::app::proxied_client_builder;
use crate::config::Proxy;

/// How errors of the HTTP client begin that the connection through the proxy causes. A test with a proxy pins the texts.
const TUNNEL_ERROR: &str = "tunnel error: ";

/// The most that is read of a response, in bytes.
const BODY_MAX: usize = 64 * 1024;

/// Sends requests, each within the deadline.
pub(super) struct Network<'a> {
    pub(super) http: Client,
    pub(super) deadline: Duration,
    proxy: &'a Proxy,
}

/// A host and what it is for, such as "Kapso, app.kapso.ai".
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) role: &'static str,
    pub(super) url: &'a Url,
}

impl Place<'_> {
    fn and(&self, detail: &str) -> String {
        format!("{}, {}: {detail}", self.role, authority(self.url))
    }
}

impl<'a> Network<'a> {
    pub(super) fn new(proxy: &'a Proxy, deadline: Duration) -> Result<Self, reqwest::Error> {
        Ok(Self {
            http: proxied_client_builder(proxy).connect_timeout(deadline).build()?,
            deadline,
            proxy,
        })
    }

    /// Resolves the name of the host, or of the proxy through which it is reached.
    pub(super) async fn resolve(&self, place: Place<'_>) -> Result<(), Finding> {
        let proxy = self.proxy.for_url(place.url);
        let target = proxy.unwrap_or(place.url);
        let (Some(Host::Domain(name)), Some(port)) = (target.host(), target.port_or_known_default()) else {
            return Ok(());
        };
        if let Ok(Ok(mut addresses)) = timeout(self.deadline, lookup_host((name, port))).await
            && addresses.next().is_some()
        {
            return Ok(());
        }
        Err(match proxy {
            Some(proxy) => PROXY_NOT_REACHED.with(format!("{}: its name cannot be resolved", authority(proxy))),
            None => HOST_NOT_FOUND.with(format!("{}, {name}", place.role)),
        })
    }

    /// Requests the root of the host without any secret, and returns the time by its clock if it has one.
    pub(super) async fn reach(&self, place: Place<'_>) -> Result<Option<Timestamp>, Finding> {
        self.resolve(place).await?;
        let mut root = place.url.clone();
        root.set_path("/");
        root.set_query(None);
        let sent = self.http.head(root).timeout(self.deadline).send().await;
        match sent {
            Ok(response) => Ok(date(response.headers())),
            Err(error) => Err(self.explain(&error, place)),
        }
    }

    /// Why a request got no response.
    pub(super) fn explain(&self, error: &reqwest::Error, place: Place<'_>) -> Finding {
        let proxy = self.proxy.for_url(place.url);
        if let Some(proxy) = proxy
            && let Some(reason) =
                causes(error).find_map(|cause| Some(cause.to_string().strip_prefix(TUNNEL_ERROR)?.to_owned()))
        {
            return match reason.as_str() {
                "proxy authorization required" => PROXY_LOGIN.with(authority(proxy)),
                "failed to create underlying connection" => PROXY_NOT_REACHED.with(authority(proxy)),
                _ => PROXY_REFUSED.with(format!("{}, for {}", authority(proxy), authority(place.url))),
            };
        }
        if error.is_timeout() {
            return NO_ANSWER.with(place.and(&format!("no answer within {:?}", self.deadline)));
        }
        if let Some(reason) = tls_error(error) {
            return TLS_FAILED.with(place.and(reason));
        }
        let kind = io_kind(error);
        match (kind, proxy) {
            (_, Some(proxy)) if error.is_connect() => PROXY_NOT_REACHED.with(authority(proxy)),
            (Some(kind), _) => NO_CONNECTION.with(place.and(&kind.to_string())),
            (None, _) => NO_CONNECTION.with(place.and("the connection broke")),
        }
    }
}

/// The start of the body of a response, as far as it arrives.
pub(super) async fn text(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// The `Date` of a response.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    parse_date(headers.get(header::DATE)?)
}

pub(super) fn parse_date(value: &HeaderValue) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(value.as_bytes()).ok()
}

/// Host and port of an address, without user and password.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The causes of an error, with those that are inside I/O errors.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    fn next<'e>(cause: &&'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
        let cause = *cause;
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside),
            None => cause.source(),
        }
    }
    std::iter::successors(error.source(), next)
}

/// What is wrong with a TLS handshake, in our words.
fn tls_error(error: &reqwest::Error) -> Option<&'static str> {
    causes(error).find_map(|cause| match cause.downcast_ref() {
        Some(tls) => Some(describe(tls)),
        None if cause.to_string() == "tls handshake eof" => Some("it closed the connection during the TLS handshake"),
        None => None,
    })
}

fn describe(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; is this machine's clock right?"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::UnknownIssuer => "its certificate is from an authority that this machine does not trust",
            _ => "its certificate is not valid",
        },
        _ => "it does not speak TLS as this app does",
    }
}

/// What the system says about a connection.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_response_is_read() {
        let value = HeaderValue::from_static("Mon, 23 Nov 2026 10:00:00 GMT");
        assert_eq!(parse_date(&value), "2026-11-23T10:00:00Z".parse().ok());
        assert_eq!(parse_date(&HeaderValue::from_static("zebra")), None);
    }
}
