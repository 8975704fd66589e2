//! `host:port`, as bootstrap lists name brokers (`org.apache.kafka.common.utils.Utils.getHost`).

use std::fmt;

use crate::error::{ClientError, Result};

/// One broker's address before it is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Name or address, without the brackets of IPv6.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port`, `[v6]:port` or either behind `PROTOCOL://`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.is_empty() || (bare.is_none() && host.contains(':')) {
            return None;
        }
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }

    /// Reads a list separated by commas; empty entries are skipped.
    ///
    /// # Errors
    /// When an entry is no address, or there is none; `key` is named.
    pub fn parse_list(key: &str, text: &str) -> Result<Vec<Self>> {
        let refuse = |value: &str| ClientError::Config {
            key: key.to_owned(),
            value: value.to_owned(),
            expected: "host:port,host:port,...".to_owned(),
        };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let list: Vec<Self> = entries
            .map(|entry| Self::parse(entry).ok_or_else(|| refuse(entry)))
            .collect::<Result<_>>()?;
        if list.is_empty() { Err(refuse(text)) } else { Ok(list) }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("localhost:9092", Some("localhost:9092")),
            (" PLAINTEXT://a.b:1 ", Some("a.b:1")),
            ("[::1]:9092", Some("[::1]:9092")),
            ("::1:9092", None),
            ("localhost", None),
            (":9092", None),
            ("h:99999", None),
            ("h:-1", None),
        ] {
            assert_eq!(HostPort::parse(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
        }
        assert_eq!(HostPort::parse_list("k", "a:1,,b:2").unwrap().len(), 2);
        assert!(HostPort::parse_list("k", ",").is_err());
    }
}
