//! The hosts that `response_url`s may lead to.

use std::str::FromStr;

use thiserror::Error;
use url::{Host, Url};

/// Where a `response_url` may point: an exact host over https, or a full origin such as `http://127.0.0.1:4000`,
/// which opens just that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseHost {
    /// `hooks.slack.com`: https, no port.
    Host(String),
    /// A scheme, host and port, for tests and the demo.
    Origin(url::Origin),
}

/// What is wrong with an entry that is neither a host nor an origin.
#[derive(Debug, Error)]
#[error("is neither a host such as hooks.slack.com nor an origin such as http://127.0.0.1:4000")]
pub struct NotAHost;

impl FromStr for ResponseHost {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        if text.contains("://") {
            let url = Url::parse(text).map_err(|_| NotAHost)?;
            let bare = matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none();
            return bare.then(|| Self::Origin(url.origin())).ok_or(NotAHost);
        }
        match Host::parse(text) {
            Ok(Host::Domain(host)) if is_exact(&host) => Ok(Self::Host(host)),
            _ => Err(NotAHost),
        }
    }
}

/// Whether it is a name that a host can have: a pattern such as `*.slack.com` would silently match nothing.
fn is_exact(host: &str) -> bool {
    host.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

impl ResponseHost {
    pub(super) fn allows(&self, url: &Url) -> bool {
        match self {
            Self::Host(host) => url.scheme() == "https" && url.port().is_none() && url.host_str() == Some(host),
            Self::Origin(origin) => url.origin() == *origin,
        }
    }
}
