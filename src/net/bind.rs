//! Opens the sockets of a listener.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::limits::{Limits, ListenerConfig};
use crate::metrics::ListenerMetrics;

/// Free ports that are tried until one is free in every family that the host name has.
const FREE_PORT_TRIES: usize = 16;

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host name has no address.
    #[error("listener {listener}: cannot resolve host {host:?}: {source}")]
    Resolve {
        /// Name of the listener.
        listener: Arc<str>,
        /// Host as configured.
        host: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// The address cannot be bound.
    #[error("listener {listener}: cannot bind {address}: {source}")]
    Bind {
        /// Name of the listener.
        listener: Arc<str>,
        /// The address.
        address: SocketAddr,
        /// What the system said, for example that the port is in use.
        #[source]
        source: io::Error,
    },
}

/// A listener whose port is open but which accepts nothing yet.
pub struct BoundListener {
    pub(crate) config: ListenerConfig,
    pub(crate) sockets: Vec<TcpListener>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    port: u16,
}

impl BoundListener {
    /// Name of the listener.
    pub fn name(&self) -> &Arc<str> {
        &self.config.name
    }

    /// The port, also when a free one was asked for.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The addresses that are bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

impl std::fmt::Debug for BoundListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BoundListener({} on {:?})", self.config.name, self.addresses())
    }
}

/// Opens the sockets that `config` asks for.
pub(crate) async fn bind(
    config: ListenerConfig,
    limits: &Limits,
    metrics: Arc<ListenerMetrics>,
) -> Result<BoundListener, BindError> {
    let hosts = addresses(&config).await?;
    let mut tries = FREE_PORT_TRIES;
    loop {
        tries -= 1;
        match bind_all(&config, &hosts, limits) {
            // A port that is free in one family may be taken in the other.
            Err(_) if config.port == 0 && hosts.len() > 1 && tries > 0 => {}
            Err(error) => return Err(error),
            Ok((sockets, port)) => return Ok(BoundListener { config, sockets, metrics, port }),
        }
    }
}

fn bind_all(
    config: &ListenerConfig,
    hosts: &[IpAddr],
    limits: &Limits,
) -> Result<(Vec<TcpListener>, u16), BindError> {
    let mut port = config.port;
    let mut sockets = Vec::with_capacity(hosts.len());
    for host in hosts {
        let address = SocketAddr::new(*host, port);
        let fail = |source| BindError::Bind { listener: config.name.clone(), address, source };
        let socket = match open(address, limits) {
            // A machine without IPv6: all its addresses are those of IPv4.
            Err(error) if config.host.is_empty() && no_such_family(&error) => {
                let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
                open(address, limits).map_err(fail)?
            }
            // `localhost` resolves to ::1 on machines that have none.
            Err(error) if hosts.len() > 1 && no_such_family(&error) => continue,
            other => other.map_err(fail)?,
        };
        port = socket.local_addr().map_err(fail)?.port();
        sockets.push(socket);
    }
    if sockets.is_empty() {
        let source = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        return Err(BindError::Bind { listener: config.name.clone(), address, source });
    }
    Ok((sockets, port))
}

async fn addresses(config: &ListenerConfig) -> Result<Vec<IpAddr>, BindError> {
    if config.host.is_empty() {
        return Ok(vec![Ipv6Addr::UNSPECIFIED.into()]);
    }
    let host = config.host.trim_start_matches('[').trim_end_matches(']');
    let fail = |source| BindError::Resolve {
        listener: config.name.clone(),
        host: config.host.clone(),
        source,
    };
    let mut found: Vec<IpAddr> = Vec::new();
    for address in lookup_host((host, config.port)).await.map_err(fail)? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    match found.is_empty() {
        true => Err(fail(io::ErrorKind::NotFound.into())),
        false => Ok(found),
    }
}

fn open(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
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
    if let Some(bytes) = limits.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = limits.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    socket.listen(limits.backlog)
}

fn no_such_family(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    let absent = [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL];
    absent.iter().any(|errno| code == Some(errno.raw_os_error()))
}
