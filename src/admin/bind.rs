//! `admin.listeners`: its form, and the sockets that it asks for.

use std::fmt;
use std::str::FromStr;

use pharos_base::{ListenError, ListenOptions, listen};
use tokio::net::TcpListener;

use crate::limits::BACKLOG;

/// One element of `admin.listeners`: `HTTP://host:port` or `HTTPS://host:port`, the host empty for all
/// addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAddress {
    /// Whether TLS is spoken.
    pub secure: bool,
    /// Host name or address, without brackets; empty for all addresses of both families.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
}

/// Why a text is no [`AdminAddress`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not start with `HTTP://` or `HTTPS://`.
    #[error("listener {0:?} does not start with HTTP:// or HTTPS://")]
    Scheme(String),
    /// It does not end with `:port`.
    #[error("listener {0:?} does not end with a port between 0 and 65535")]
    Port(String),
}

/// Why the listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("admin.listeners: {address}: {source}")]
pub struct BindError {
    address: AdminAddress,
    source: ListenError,
}

impl AdminAddress {
    /// All addresses of both families, without TLS.
    pub fn any(port: u16) -> Self {
        Self { secure: false, host: String::new(), port }
    }
}

impl FromStr for AdminAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let scheme = || AddressError::Scheme(text.to_owned());
        let (name, rest) = text.split_once("://").ok_or_else(scheme)?;
        let secure = match name.to_ascii_uppercase().as_str() {
            "HTTP" => false,
            "HTTPS" => true,
            _ => return Err(scheme()),
        };
        let fail = || AddressError::Port(text.to_owned());
        let (host, port) = rest.rsplit_once(':').ok_or_else(fail)?;
        let port = port.parse().map_err(|_| fail())?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Ok(Self { secure, host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "HTTPS" } else { "HTTP" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// Opens the sockets, all on one port, which comes with them.
pub(crate) async fn bind(address: &AdminAddress) -> Result<(Vec<TcpListener>, u16), BindError> {
    let options =
        ListenOptions { backlog: BACKLOG, send_buffer_bytes: None, receive_buffer_bytes: None };
    listen(&address.host, address.port, &options)
        .await
        .map_err(|source| BindError { address: address.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, expected: Result<(bool, &str, u16), ()>| {
            let found = text.parse::<AdminAddress>().map_err(|_| ());
            let expected = expected.map(|(secure, host, port)| AdminAddress {
                secure,
                host: host.to_owned(),
                port,
            });
            assert_eq!(found, expected, "{text}");
        };
        check("HTTP://:9404", Ok((false, "", 9404)));
        check("http://localhost:0", Ok((false, "localhost", 0)));
        check("HTTP://[::1]:80", Ok((false, "::1", 80)));
        check("https://[::1]:80", Ok((true, "::1", 80)));
        for bad in [
            "",
            ":9404",
            "FTP://:9404",
            "HTTP://",
            "HTTP://host",
            "HTTP://:70000",
            "HTTP://:x",
            "é",
        ] {
            check(bad, Err(()));
        }
        for secure in [false, true] {
            let address = AdminAddress { secure, host: "::1".into(), port: 1 };
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}
