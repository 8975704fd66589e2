//! Which names a request may be sent to, and from whose pages.
//!
//! A page of somebody else can let a browser read this node by a name of its own that it points here
//! (DNS rebinding), or send requests in the name of whoever looks at it. Both carry a name that is not
//! ours: the first in `Host`, the second in `Origin`. Nobody can own an address or a name without a
//! dot in that way, so those are taken; any other has to be one of the node's.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::uri::{Authority, Uri};
use axum::http::{HeaderMap, HeaderValue, header};

use crate::refusals::Refusal;

/// The names of a node.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    own: Vec<String>,
    allowed: Vec<Allowed>,
}

/// An entry of `admin.allowed.hosts` that no name could ever be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of a host: expected metrics.example.org, .example.org for all names below it, or \
     *; no scheme and no port"
)]
pub struct HostError(String);

/// What an operator allows beside.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Any,
    /// With its dot in front.
    Below(String),
    Name(String),
}

impl Hosts {
    /// `own` names of the node, and what is `allowed` beside: a name, `.x.org` for all names below
    /// `x.org`, or `*`.
    ///
    /// # Errors
    /// The first that is allowed and no name.
    pub fn new<'a>(
        own: impl IntoIterator<Item = &'a str>,
        allowed: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, HostError> {
        let allowed = allowed.into_iter().map(Allowed::parse).collect::<Result<_, _>>()?;
        Ok(Self { own: own.into_iter().map(plain).collect(), allowed })
    }

    /// Refuses a request that was sent to another's name, or by another's page.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().map(authority);
        let named = uri.authority().into_iter().chain(host.iter().flatten());
        let ours = named.clone().all(|name| self.is_ours(name));
        if host == Some(None) || hosts.next().is_some() || !ours {
            return Err(Refusal::Host);
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match origins.all(|origin| self.is_own_page(origin, host.iter().flatten().next())) {
            true => Ok(()),
            false => Err(Refusal::Origin),
        }
    }

    fn is_ours(&self, authority: &Authority) -> bool {
        let host = plain(authority.host());
        let address = || match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<Ipv6Addr>().is_ok(),
            None => host.parse::<IpAddr>().is_ok(),
        };
        let user = authority.as_str().contains('@');
        let local = !host.contains('.') || host.ends_with(".localhost");
        !user && (local || address() || self.own.contains(&host) || self.allows(&host))
    }

    /// What an operator allows by name.
    fn allows(&self, host: &str) -> bool {
        self.allowed.iter().any(|allowed| match allowed {
            Allowed::Any => true,
            Allowed::Below(end) => host.ends_with(end.as_str()),
            Allowed::Name(name) => name == host,
        })
    }

    /// Whether a page of this origin is one of the node's: served under the name that the request is
    /// sent to, or under a name that an operator allows.
    fn is_own_page(&self, origin: &HeaderValue, host: Option<&Authority>) -> bool {
        let Some(origin) = origin.to_str().ok().and_then(|text| text.parse::<Uri>().ok()) else {
            return false;
        };
        let (Some(scheme), Some(from)) = (origin.scheme_str(), origin.authority()) else {
            return false;
        };
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = |of: &Authority| of.port_u16().unwrap_or(usual);
        let same = host.is_some_and(|host| {
            plain(host.host()) == plain(from.host()) && port(host) == port(from)
        });
        matches!(scheme, "http" | "https") && (same || self.allows(&plain(from.host())))
    }
}

impl Allowed {
    fn parse(entry: &str) -> Result<Self, HostError> {
        if entry == "*" {
            return Ok(Self::Any);
        }
        let name = entry.strip_prefix('.').unwrap_or(entry);
        // What comes in a request is read in the same way, but a star is no pattern here.
        let host =
            Authority::try_from(name).ok().filter(|it| it.host() == name && !name.contains('*'));
        let host = host.map(|host| plain(host.host())).filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| HostError(entry.to_owned()))?;
        Ok(if name == entry { Self::Name(host) } else { Self::Below(format!(".{host}")) })
    }
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    Authority::try_from(value.as_bytes()).ok()
}

/// Lower case, without the dot that ends a full name.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hosts: &Hosts, headers: &[(&str, &str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        hosts.check(&Uri::from_static("/metrics"), &map)
    }

    #[test]
    fn hosts_are_the_nodes_own() {
        let hosts = Hosts::new(["Broker-0.example.net"], ["metrics.example.org", ".svc.x.org"]);
        let hosts = hosts.unwrap();
        for ours in [
            "localhost",
            "localhost:9404",
            "LocalHost.:9404",
            "a.localhost",
            "127.0.0.1:9404",
            "10.1.2.3",
            "[::1]:9404",
            "[fe80::1]",
            "broker:9404",
            "broker-0.example.net:9404",
            "metrics.example.org",
            "Metrics.Example.Org.",
            "a.b.svc.x.org:1",
        ] {
            assert_eq!(check(&hosts, &[("host", ours)]), Ok(()), "{ours}");
        }
        for foreign in [
            "evil.org",
            "evil.org:9404",
            "localhost.evil.org",
            "127.0.0.1.evil.org",
            "metrics.example.org.evil.org",
            "evilmetrics.example.org",
            "svc.x.org",
            "localhost@evil.org",
            "evil.org@localhost",
            "1.2.3",
            "[::1",
            "a b.org",
            "",
        ] {
            assert_eq!(check(&hosts, &[("host", foreign)]), Err(Refusal::Host), "{foreign}");
        }
        assert_eq!(check(&hosts, &[]), Ok(()), "no browser leaves it out");
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(check(&hosts, &two), Err(Refusal::Host));
        let any = Hosts::new([], ["*"]).unwrap();
        assert_eq!(check(&any, &[("host", "evil.org")]), Ok(()));
        let mut map = HeaderMap::new();
        map.insert(header::HOST, HeaderValue::from_static("localhost"));
        let absolute = Uri::from_static("http://evil.org/metrics");
        assert_eq!(hosts.check(&absolute, &map), Err(Refusal::Host));
    }

    #[test]
    fn what_could_never_be_a_name_is_refused() {
        for wrong in [
            "https://x.org",
            "x.org:9404",
            "me@x.org",
            "x org",
            "x.org/",
            "",
            ".",
            "..",
            "x.*",
            "é.org",
        ] {
            let found = Hosts::new([], [wrong]).map(|_| ());
            assert_eq!(found, Err(HostError(wrong.to_owned())));
        }
        let shouted = Hosts::new([], [".X.Org.", "A.org."]).unwrap();
        for ours in ["a.x.org", "a.org"] {
            assert_eq!(check(&shouted, &[("host", ours)]), Ok(()), "{ours}");
        }
    }

    #[test]
    fn origins_are_the_page_itself() {
        let hosts = Hosts::new([], ["metrics.example.org"]).unwrap();
        for (host, origin) in [
            ("localhost:9404", "http://localhost:9404"),
            ("127.0.0.1:9404", "http://127.0.0.1:9404"),
            ("[::1]:9404", "https://[::1]:9404"),
            ("broker", "http://broker"),
            ("broker", "https://broker:443"),
            ("10.0.0.1:9404", "https://metrics.example.org"),
        ] {
            let headers = [("host", host), ("origin", origin)];
            assert_eq!(check(&hosts, &headers), Ok(()), "{origin}");
        }
        for (host, origin) in [
            ("localhost:9404", "http://localhost:3000"),
            ("localhost:9404", "http://127.0.0.1:9404"),
            ("localhost:9404", "null"),
            ("localhost:9404", "http://evil.org"),
            ("localhost:9404", "http://localhost:9404.evil.org"),
            ("localhost:9404", "file://localhost:9404"),
            ("localhost:9404", "localhost:9404"),
            ("localhost:9404", ""),
            ("broker", "http://broker:443"),
        ] {
            let headers = [("host", host), ("origin", origin)];
            assert_eq!(check(&hosts, &headers), Err(Refusal::Origin), "{origin}");
        }
        assert_eq!(check(&hosts, &[("origin", "http://localhost")]), Err(Refusal::Origin));
        let two = [("host", "a"), ("origin", "http://a"), ("origin", "http://evil.org")];
        assert_eq!(check(&hosts, &two), Err(Refusal::Origin));
    }
}
