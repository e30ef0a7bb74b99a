//! The hosts that the WebSocket to Slack may lead to.

use std::str::FromStr;

use thiserror::Error;
use url::{Host, Url};

/// Where the WebSocket may lead: a domain over wss, or a full origin such as `ws://127.0.0.1:4000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketHost {
    /// `slack.com`: this host and all below it, over wss, default port.
    Domain(String),
    /// A scheme, host and port, for tests and the demo.
    Origin(url::Origin),
}

/// The text is neither a domain nor an origin.
#[derive(Debug, Error)]
#[error("is neither a domain such as slack.com nor an origin such as ws://127.0.0.1:4000")]
pub struct InvalidSocketHost;

impl FromStr for SocketHost {
    type Err = InvalidSocketHost;

    fn from_str(text: &str) -> Result<Self, InvalidSocketHost> {
        if text.contains("://") {
            let url = Url::parse(text).map_err(|_| InvalidSocketHost)?;
            let is_origin = matches!(url.scheme(), "ws" | "wss")
                && has_no_user(&url)
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none();
            return is_origin.then(|| Self::Origin(url.origin())).ok_or(InvalidSocketHost);
        }
        // A top-level domain would allow hosts of anybody.
        match Host::parse(text) {
            Ok(Host::Domain(domain)) if domain.contains('.') && has_only_labels(&domain) => Ok(Self::Domain(domain)),
            _ => Err(InvalidSocketHost),
        }
    }
}

fn has_no_user(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

fn has_only_labels(domain: &str) -> bool {
    domain
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

impl SocketHost {
    /// Whether `url` leads to this host.
    #[must_use]
    pub fn allows(&self, url: &Url) -> bool {
        has_no_user(url)
            && match self {
                Self::Domain(domain) => {
                    let below = url.host_str().and_then(|host| host.strip_suffix(domain.as_str()));
                    url.scheme() == "wss"
                        && url.port().is_none()
                        && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                }
                Self::Origin(origin) => url.origin() == *origin,
            }
    }
}
