//! `admin.listeners`: its form, and the sockets that it asks for.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::{TcpListener, lookup_host};

/// One element of `admin.listeners`: `HTTP://host:port`, the host empty for all addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAddress {
    /// Host name or address, without brackets; empty for all addresses of both families.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
}

/// Why a text is no [`AdminAddress`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not start with `HTTP://`.
    #[error("listener {0:?} does not start with HTTP://")]
    Scheme(String),
    /// It does not end with `:port`.
    #[error("listener {0:?} does not end with a port between 0 and 65535")]
    Port(String),
}

/// Why the listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host name has no address.
    #[error("admin.listeners: cannot resolve {address}: {source}")]
    Resolve {
        /// As configured.
        address: AdminAddress,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The port cannot be bound.
    #[error("admin.listeners: cannot bind {address}: {source}")]
    Bind {
        /// As configured.
        address: AdminAddress,
        /// What the system said, for example that the port is in use.
        #[source]
        source: io::Error,
    },
}

impl AdminAddress {
    /// All addresses of both families.
    pub fn any(port: u16) -> Self {
        Self { host: String::new(), port }
    }
}

impl FromStr for AdminAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_at_checked(7).unwrap_or(("", text));
        if !scheme.eq_ignore_ascii_case("http://") {
            return Err(AddressError::Scheme(text.to_owned()));
        }
        let fail = || AddressError::Port(text.to_owned());
        let (host, port) = rest.rsplit_once(':').ok_or_else(fail)?;
        let port = port.parse().map_err(|_| fail())?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Ok(Self { host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "HTTP://[{}]:{}", self.host, self.port),
            false => write!(f, "HTTP://{}:{}", self.host, self.port),
        }
    }
}

/// Opens the sockets, all on one port.
pub(crate) async fn bind(address: &AdminAddress) -> Result<Vec<TcpListener>, BindError> {
    let fail = |source| BindError::Bind { address: address.clone(), source };
    if address.host.is_empty() {
        // One socket for both families; a machine without IPv6 has only the other.
        let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, address.port)).await;
        let socket = match both {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port)).await.map_err(fail)?
            }
            other => other.map_err(fail)?,
        };
        return Ok(vec![socket]);
    }
    let resolve = |source| BindError::Resolve { address: address.clone(), source };
    let found = lookup_host((address.host.as_str(), address.port)).await.map_err(resolve)?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.dedup();
    let mut sockets: Vec<TcpListener> = Vec::new();
    let mut refused = None;
    for mut one in found {
        if let Some(port) = sockets.first().and_then(|socket| socket.local_addr().ok()) {
            one.set_port(port.port());
        }
        match TcpListener::bind(one).await {
            Ok(socket) => sockets.push(socket),
            // `localhost` resolves to ::1 on machines that have none.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => refused = Some(error),
            Err(error) => return Err(fail(error)),
        }
    }
    if sockets.is_empty() {
        return Err(fail(refused.unwrap_or_else(|| io::ErrorKind::NotFound.into())));
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, expected: Result<(&str, u16), ()>| {
            let found = text.parse::<AdminAddress>();
            let found = found.map(|it| (it.host, it.port)).map_err(|_| ());
            assert_eq!(found, expected.map(|(host, port)| (host.to_owned(), port)), "{text}");
        };
        check("HTTP://:9404", Ok(("", 9404)));
        check("http://localhost:0", Ok(("localhost", 0)));
        check("HTTP://[::1]:80", Ok(("::1", 80)));
        for bad in [
            "",
            ":9404",
            "HTTPS://:9404",
            "HTTP://",
            "HTTP://host",
            "HTTP://:70000",
            "HTTP://:x",
            "é",
        ] {
            check(bad, Err(()));
        }
        let address = AdminAddress { host: "::1".into(), port: 1 };
        assert_eq!(address.to_string().parse(), Ok(address));
    }
}
