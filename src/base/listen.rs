//! Opens the sockets of a listener, all on one port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Free ports that are tried until one is free in every family that the host name has.
const FREE_PORT_TRIES: usize = 16;

/// What the sockets of a listener are like.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Bytes of the send buffer; `None` leaves it to the system.
    pub send_buffer_bytes: Option<u32>,
    /// Bytes of the receive buffer; `None` leaves it to the system.
    pub receive_buffer_bytes: Option<u32>,
}

/// Why a listener cannot be opened.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The host name has no address.
    #[error("cannot resolve host {host:?}: {source}")]
    Resolve {
        /// Host as it was asked for.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The address cannot be bound.
    #[error("cannot bind {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said, for example that the port is in use.
        #[source]
        source: io::Error,
    },
}

/// Opens a socket for each address of `host`, or one for all addresses of both families when it is
/// empty. Returns at least one, and their port, also when a free one was asked for with 0.
///
/// # Errors
/// [`ListenError`].
pub async fn listen(
    host: &str,
    port: u16,
    options: &ListenOptions,
) -> Result<(Vec<TcpListener>, u16), ListenError> {
    let addresses = addresses(host, port).await?;
    let any = host.is_empty();
    let mut tries = FREE_PORT_TRIES;
    loop {
        tries -= 1;
        match open_all(&addresses, any, port, options) {
            // A port that is free in one family may be taken in the other.
            Err(_) if port == 0 && addresses.len() > 1 && tries > 0 => {}
            done => return done,
        }
    }
}

fn open_all(
    addresses: &[IpAddr],
    any: bool,
    mut port: u16,
    options: &ListenOptions,
) -> Result<(Vec<TcpListener>, u16), ListenError> {
    let mut sockets = Vec::with_capacity(addresses.len());
    for address in addresses {
        let address = SocketAddr::new(*address, port);
        let fail = |source| ListenError::Bind { address, source };
        let socket = match open(address, options) {
            // A machine without IPv6: all its addresses are those of IPv4.
            Err(error) if any && no_such_family(&error) => {
                let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
                open(address, options).map_err(fail)?
            }
            // `localhost` resolves to ::1 on machines that have none.
            Err(error) if addresses.len() > 1 && no_such_family(&error) => continue,
            other => other.map_err(fail)?,
        };
        port = socket.local_addr().map_err(fail)?.port();
        sockets.push(socket);
    }
    if sockets.is_empty() {
        let source = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        return Err(ListenError::Bind { address, source });
    }
    Ok((sockets, port))
}

async fn addresses(host: &str, port: u16) -> Result<Vec<IpAddr>, ListenError> {
    if host.is_empty() {
        return Ok(vec![Ipv6Addr::UNSPECIFIED.into()]);
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let fail = |source| ListenError::Resolve { host: host.to_owned(), source };
    let mut found: Vec<IpAddr> = Vec::new();
    for address in lookup_host((bare, port)).await.map_err(fail)? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    match found.is_empty() {
        true => Err(fail(io::ErrorKind::NotFound.into())),
        false => Ok(found),
    }
}

fn open(address: SocketAddr, options: &ListenOptions) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if address.is_ipv6() {
        // The system's default may be either; all addresses means both families.
        rustix::net::sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit the buffers; the window scale is fixed before the handshake.
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    socket.listen(options.backlog)
}

fn no_such_family(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    let absent = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
    absent.iter().any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    const OPTIONS: ListenOptions =
        ListenOptions { backlog: 8, send_buffer_bytes: None, receive_buffer_bytes: None };

    #[tokio::test]
    async fn all_sockets_have_one_port() {
        for host in ["", "localhost", "127.0.0.1", "[127.0.0.1]"] {
            let (sockets, port) = listen(host, 0, &OPTIONS).await.unwrap();
            assert!(!sockets.is_empty(), "{host:?}");
            for socket in &sockets {
                assert_eq!(socket.local_addr().unwrap().port(), port, "{host:?}");
            }
            TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_named() {
        let (_sockets, port) = listen("127.0.0.1", 0, &OPTIONS).await.unwrap();
        let error = listen("127.0.0.1", port, &OPTIONS).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot bind 127.0.0.1:{port}: ")), "{error}");
        let error = listen("no-such-host.invalid", 0, &OPTIONS).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot resolve host \"no-such-host.invalid\": "), "{error}");
    }

    #[test]
    fn a_family_that_the_machine_lacks_is_no_failure() {
        for (errno, absent) in
            [(Errno::AFNOSUPPORT, true), (Errno::ADDRNOTAVAIL, true), (Errno::ADDRINUSE, false)]
        {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(no_such_family(&error), absent, "{error}");
        }
    }
}
