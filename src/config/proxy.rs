//! The proxy for outgoing connections: `HTTPS_PROXY`, and the hosts in `NO_PROXY` that are reached without it.
//!
//! Not left to the HTTP client, because the WebSocket to Slack needs the same rules.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;
use url::{Host, Url};

/// Which proxy a connection goes through. `Debug` shows no password.
#[derive(Clone, Default)]
pub struct Proxy {
    /// With `user:password@` if the proxy asks for them.
    address: Option<Url>,
    exceptions: Vec<Exception>,
}

/// The text is not the address of a proxy. Quotes nothing of it, since it may contain a password.
#[derive(Debug, Error)]
#[error("is not the address of an HTTP proxy such as http://proxy.example.com:3128")]
pub struct InvalidProxy;

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A host and all below it, on any port or on this one.
    Domain(String, Option<u16>),
    /// The addresses that begin with the same bits, on any port or on this one.
    Network(IpAddr, u8, Option<u16>),
}

impl Proxy {
    /// The proxy at `address`, for every host but those that `exceptions` lists.
    ///
    /// # Errors
    /// If `address` is not the address of a proxy.
    pub fn new(address: &str, exceptions: &str) -> Result<Self, InvalidProxy> {
        Ok(Self {
            address: Some(parse_address(address)?),
            exceptions: exceptions
                .split([',', ' ', '\t'])
                .filter_map(|entry| entry.parse().ok())
                .collect(),
        })
    }

    /// Whether every connection is direct.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.address.is_none()
    }

    /// The address of the proxy for a connection to `url`, with `user:password@` where it asks for them; `None` for a
    /// direct connection. Only `https` and `wss` go through a proxy.
    #[must_use]
    pub fn for_url(&self, url: &Url) -> Option<&Url> {
        let address = self.address.as_ref()?;
        let port = url.port().unwrap_or(443);
        let is_direct = !matches!(url.scheme(), "https" | "wss")
            || url.host().is_none_or(|host| {
                self.exceptions
                    .iter()
                    .any(|exception| exception.matches(host.clone(), port))
            });
        (!is_direct).then_some(address)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.address.as_ref().and_then(Url::host_str);
        f.debug_struct("Proxy")
            .field("host", &host)
            .field("exceptions", &self.exceptions)
            .finish_non_exhaustive()
    }
}

/// A proxy without a scheme is an HTTP proxy.
fn parse_address(text: &str) -> Result<Url, InvalidProxy> {
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    let url = url.map_err(|_| InvalidProxy)?;
    let is_proxy = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    is_proxy.then_some(url).ok_or(InvalidProxy)
}

impl FromStr for Exception {
    type Err = ();

    /// Parses `*`, `example.com`, `.example.com`, `*.example.com`, an IP address or a network such as `10.0.0.0/8`, all
    /// but `*` with an optional port. What is none of these matches nothing.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::Everything);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Network(address, u8::MAX, None));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits) = (address.parse().map_err(|_| ())?, bits.parse().map_err(|_| ())?);
            return Ok(Self::Network(address, bits, None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| ())?)),
            None => (text, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = host.parse() {
            return Ok(Self::Network(address, u8::MAX, port));
        }
        let host = host.strip_prefix('*').unwrap_or(host);
        let host = host.strip_prefix('.').unwrap_or(host);
        match Host::parse(host) {
            Ok(Host::Domain(domain)) => Ok(Self::Domain(domain, port)),
            _ => Err(()),
        }
    }
}

impl Exception {
    fn matches(&self, host: Host<&str>, port: u16) -> bool {
        let is_port = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match (self, host) {
            (Self::Everything, _) => true,
            (Self::Domain(domain, wanted), Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let is_below = name
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_below && is_port(wanted)
            }
            (Self::Network(network, bits, wanted), Host::Ipv4(address)) => {
                is_in(address.into(), *network, *bits) && is_port(wanted)
            }
            (Self::Network(network, bits, wanted), Host::Ipv6(address)) => {
                is_in(address.into(), *network, *bits) && is_port(wanted)
            }
            _ => false,
        }
    }
}

/// Whether two addresses have the same first `bits`; more bits than an address has count as all of them.
fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, length) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (address.to_bits().into(), network.to_bits().into(), 32),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let ignored = length - u32::from(bits).min(length);
    let differing: u128 = address ^ network;
    differing.checked_shr(ignored).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_through_proxy(exceptions: &str, url: &str) -> bool {
        let proxy = Proxy::new("http://proxy.example.com:3128", exceptions).unwrap_or_default();
        proxy
            .for_url(&Url::parse(url).unwrap_or_else(|_| unreachable!("{url}")))
            .is_some()
    }

    #[test]
    fn https_and_wss_go_through_the_proxy_and_nothing_else_does() {
        assert!(goes_through_proxy("", "https://app.kapso.ai/api/v1"));
        assert!(goes_through_proxy("", "wss://wss-primary.slack.com/link/?ticket=1"));
        assert!(!goes_through_proxy("", "http://127.0.0.1:3000/"));
        assert!(!goes_through_proxy("", "ws://127.0.0.1:3000/"));
        let url = Url::parse("https://slack.com").unwrap_or_else(|_| unreachable!());
        assert_eq!(Proxy::default().for_url(&url), None);
    }

    #[test]
    fn hosts_in_no_proxy_are_reached_directly() {
        for (exceptions, url) in [
            ("*", "https://slack.com"),
            ("slack.com", "https://slack.com"),
            ("slack.com", "wss://wss.slack.com"),
            (".slack.com", "https://wss.slack.com"),
            (".slack.com", "https://slack.com"),
            ("*.slack.com", "https://wss.slack.com"),
            ("SLACK.com", "https://Slack.COM"),
            ("kapso.ai, slack.com", "https://slack.com"),
            ("kapso.ai slack.com", "https://slack.com"),
            ("slack.com:443", "https://slack.com"),
            ("slack.com:8443", "https://slack.com:8443"),
            ("slack.com", "https://slack.com."),
            ("10.1.2.3", "https://10.1.2.3"),
            ("10.1.2.3:443", "https://10.1.2.3"),
            ("10.0.0.0/8", "https://10.200.0.1"),
            ("0.0.0.0/0", "https://10.200.0.1"),
            ("::1", "https://[::1]"),
            ("[::1]:443", "https://[::1]"),
            ("fd00::/8", "https://[fd12::1]"),
        ] {
            assert!(!goes_through_proxy(exceptions, url), "{exceptions}: {url}");
        }
    }

    #[test]
    fn other_hosts_go_through_the_proxy() {
        for (exceptions, url) in [
            ("slack.com", "https://notslack.com"),
            ("slack.com", "https://slack.com.example.com"),
            ("slack.com:8443", "https://slack.com"),
            ("10.0.0.0/8", "https://11.0.0.1"),
            ("10.1.2.3/31", "https://10.1.2.4"),
            ("10.1.2.3", "https://[::ffff:10.1.2.4]"),
            ("fd00::/8", "https://[fe00::1]"),
            ("slack.com:ssl, 10.0.0.0/x, , :", "https://slack.com"),
        ] {
            assert!(goes_through_proxy(exceptions, url), "{exceptions}: {url}");
        }
    }

    #[test]
    fn a_proxy_has_a_host_and_no_path() {
        for text in [
            "proxy:3128",
            "http://proxy:3128",
            "http://me:pass%40word@proxy:3128/",
            "https://proxy",
        ] {
            assert!(Proxy::new(text, "").is_ok(), "{text}");
        }
        for text in [
            "",
            "http://",
            "socks5://proxy:1080",
            "http://proxy/path",
            "http://proxy?x",
            "proxy:port",
        ] {
            assert!(Proxy::new(text, "").is_err(), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let proxy = Proxy::new("http://zebra:zebra@proxy:3128", "").unwrap_or_default();
        let shown = format!("{proxy:?}");
        assert!(shown.contains("proxy") && !shown.contains("zebra"), "{shown}");
    }
}
