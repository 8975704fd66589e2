//! One address: `NAME://host:port` as in `listeners`, `advertised.listeners` and
//! `admin.listeners`, and the voters and servers of a quorum.

use std::fmt;

/// A parsed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name of the listener, in capitals.
    pub name: String,
    /// Host name or address, IPv6 without brackets; empty for every address of the machine.
    pub host: String,
    /// Port; 0 for one that the system chooses.
    pub port: u16,
}

/// What an address looks like; the words of every message about one that is none.
pub(crate) const ADDRESS: &str = "expected NAME://host:port, the host possibly empty";

impl Address {
    /// Reads one address; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.trim().split_once("://")?;
        let (host, port) = host_and_port(rest)?;
        let name_sound = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        name_sound.then(|| Self { name: name.to_ascii_uppercase(), host, port })
    }

    /// Whether the host is an IPv6 address.
    pub fn is_ipv6(&self) -> bool {
        self.host.contains(':')
    }

    /// Whether the host stands for every address, so that nobody can connect to it by that name.
    pub fn is_unspecified(&self) -> bool {
        self.host.is_empty()
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_unspecified())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, host, port } = self;
        if self.is_ipv6() {
            write!(f, "{name}://[{host}]:{port}")
        } else {
            write!(f, "{name}://{host}:{port}")
        }
    }
}

/// `host:port` or `[ipv6]:port`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let inner = rest.strip_suffix(']')?;
            let (address, _zone) = inner.split_once('%').unwrap_or((inner, ""));
            address.parse::<std::net::Ipv6Addr>().ok()?;
            inner
        }
        None => host,
    };
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'%' | b':');
    let bare_colon = host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err();
    let bracketed = text.starts_with('[');
    if !host.bytes().all(sound) || (bare_colon && !bracketed) {
        return None;
    }
    Some((host.to_owned(), port))
}

/// A member of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Its `node.id`.
    pub id: i32,
    /// Host on which its controller listener is found.
    pub host: String,
    /// Port of that listener.
    pub port: u16,
}

impl Voter {
    /// Reads `id@host:port`; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.trim().split_once('@')?;
        let (host, port) = host_and_port(rest)?;
        let id = id.parse().ok().filter(|id| *id >= 0)?;
        (!host.is_empty()).then_some(Self { id, host, port })
    }
}

/// Reads `host:port`, the host not empty; `None` when it is something else.
pub fn parse_host_port(text: &str) -> Option<(String, u16)> {
    host_and_port(text.trim()).filter(|(host, _)| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, expected: Option<(&str, &str, u16)>| {
            let found = Address::parse(text);
            let found = found.as_ref().map(|a| (a.name.as_str(), a.host.as_str(), a.port));
            assert_eq!(found, expected, "{text}");
        };
        check("PLAINTEXT://:9092", Some(("PLAINTEXT", "", 9092)));
        check("plaintext://localhost:0", Some(("PLAINTEXT", "localhost", 0)));
        check("A_B-C://10.0.0.1:65535", Some(("A_B-C", "10.0.0.1", 65535)));
        check("X://[::1]:9092", Some(("X", "::1", 9092)));
        check("X://[fe80::1%eth0]:9092", Some(("X", "fe80::1%eth0", 9092)));
        check("X://::1:9092", Some(("X", "::1", 9092)));
        for bad in [
            "",
            "PLAINTEXT",
            "PLAINTEXT://",
            "PLAINTEXT:://broker:29092",
            "PLAINTEXT://broker",
            "PLAINTEXT://broker:",
            "PLAINTEXT://broker:x",
            "PLAINTEXT://broker:-1",
            "PLAINTEXT://broker:65536",
            "PLAINTEXT://bro ker:1",
            "PLAINTEXT://broker:1/path",
            "://broker:1",
            "X://[::1:9092",
            "X://[nonsense]:9092",
            "broker:9092",
            "X://a:b:9092",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn voters_are_read() {
        let voter = Voter { id: 1, host: "kafka1".to_owned(), port: 29093 };
        assert_eq!(Voter::parse("1@kafka1:29093"), Some(voter));
        for bad in ["", "1", "1@", "@h:1", "1@:1", "-1@h:1", "x@h:1", "1@h"] {
            assert_eq!(Voter::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(
            name in "[A-Z][A-Z0-9_]{0,8}",
            host in prop_oneof!["[a-z0-9.-]{0,12}", Just("::1".to_owned())],
            port: u16,
        ) {
            let address = Address { name, host, port };
            prop_assert_eq!(Address::parse(&address.to_string()), Some(address));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,30}") {
            let _ = Address::parse(&text);
            let _ = Voter::parse(&text);
        }
    }
}
