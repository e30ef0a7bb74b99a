//! The hosts that a `response_url` may lead to.

use std::str::FromStr;

use thiserror::Error;
use url::{Host, Url};

/// Where a `response_url` may lead: an exact host over https, or a full origin such as `http://127.0.0.1:4000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseHost {
    /// `hooks.slack.com`: https, default port.
    Host(String),
    /// A scheme, host and port, for tests and the demo.
    Origin(url::Origin),
}

/// The text is neither a host nor an origin.
#[derive(Debug, Error)]
#[error("is neither a host such as hooks.slack.com nor an origin such as http://127.0.0.1:4000")]
pub struct InvalidResponseHost;

impl FromStr for ResponseHost {
    type Err = InvalidResponseHost;

    fn from_str(text: &str) -> Result<Self, InvalidResponseHost> {
        if text.contains("://") {
            let url = Url::parse(text).map_err(|_| InvalidResponseHost)?;
            let is_origin = matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none();
            return is_origin.then(|| Self::Origin(url.origin())).ok_or(InvalidResponseHost);
        }
        match Host::parse(text) {
            Ok(Host::Domain(host)) if is_exact(&host) => Ok(Self::Host(host)),
            _ => Err(InvalidResponseHost),
        }
    }
}

/// Whether it is a name that a host can have: a pattern such as `*.slack.com` would silently match nothing.
fn is_exact(host: &str) -> bool {
    host.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

impl ResponseHost {
    /// The root of the host.
    #[must_use]
    pub fn url(&self) -> Option<Url> {
        match self {
            Self::Host(host) => Url::parse(&format!("https://{host}/")).ok(),
            Self::Origin(origin) => Url::parse(&origin.ascii_serialization()).ok(),
        }
    }

    /// Whether `url` leads to this host.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        match self {
            Self::Host(host) => url.scheme() == "https" && url.port().is_none() && url.host_str() == Some(host),
            Self::Origin(origin) => url.origin() == *origin,
        }
    }
}
