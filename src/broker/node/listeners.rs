//! The ports of a node: all are bound before any is served, so that a taken one refuses the start.

use pharos_admin::{AdminAddress, AdminServer, Protection};
use pharos_base::host_name;
use pharos_config::{BrokerConfig, Mode, rows};
use pharos_metadata::image::Endpoint;
use pharos_net::{BoundListener, ListenerConfig, SecurityProtocol, SocketServer};

use super::StartError;

/// `security_protocol` of a registered endpoint: PLAINTEXT.
const PLAINTEXT: i16 = 0;

/// An address that clients or controllers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedListener {
    /// Name of the listener.
    pub name: String,
    /// Host that is handed out.
    pub host: String,
    /// The bound port.
    pub port: u16,
    /// Whether controllers use it, not clients.
    pub controller: bool,
}

impl ServedListener {
    /// The listener as the metadata tells of it.
    fn endpoint(&self) -> Endpoint {
        Endpoint {
            name: self.name.clone(),
            host: self.host.clone(),
            port: self.port,
            security_protocol: PLAINTEXT,
        }
    }
}

/// The listeners of clients, or those of controllers, as the metadata tells of them.
pub fn endpoints(listeners: &[ServedListener], controller: bool) -> Vec<Endpoint> {
    let those = listeners.iter().filter(|listener| listener.controller == controller);
    those.map(ServedListener::endpoint).collect()
}

/// Binds the listeners of the Kafka protocol.
///
/// # Errors
/// When an address cannot be had.
pub async fn bind(
    config: &BrokerConfig,
    server: &SocketServer,
) -> Result<(Vec<BoundListener>, Vec<ServedListener>), StartError> {
    let endpoints = config.endpoints();
    let mut bound = Vec::new();
    let mut served = Vec::new();
    for listener in &endpoints.listeners {
        let listening = server
            .bind(ListenerConfig {
                name: listener.address.name.as_str().into(),
                security_protocol: SecurityProtocol::Plaintext,
                host: listener.address.host.clone(),
                port: listener.address.port,
                processors: u32::try_from(config.get(&rows::NUM_NETWORK_THREADS)).unwrap_or(3),
                own_processors: listener.controller,
            })
            .await?;
        let advertised =
            endpoints.advertised.iter().find(|to| to.address.name == listener.address.name);
        let host = advertised.map_or("", |to| to.address.host.as_str());
        let port = advertised.map_or(0, |to| to.address.port);
        let local = if config.mode() == Mode::Up { "localhost".to_owned() } else { host_name() };
        served.push(ServedListener {
            name: listener.address.name.clone(),
            host: if host.is_empty() { local } else { host.to_owned() },
            port: if port == 0 { listening.port() } else { port },
            controller: listener.controller,
        });
        bound.push(listening);
    }
    Ok((bound, served))
}

/// Host and port of the first admin listener, by the host's own name where it listens everywhere.
pub fn admin_address(servers: &[(String, AdminServer)]) -> String {
    let first = servers.first();
    let (host, port) = first.map_or(("", 0), |(host, server)| (host.as_str(), server.port()));
    if host.is_empty() { format!("{}:{port}", host_name()) } else { format!("{host}:{port}") }
}

/// Binds the admin listeners; each comes with its configured host.
///
/// # Errors
/// When an address cannot be had.
pub async fn bind_admin(
    addresses: &[AdminAddress],
    protection: &Protection,
) -> Result<Vec<(String, AdminServer)>, StartError> {
    let mut servers = Vec::new();
    for address in addresses {
        let server = AdminServer::bind(address, protection.clone()).await?;
        servers.push((address.host.clone(), server));
    }
    Ok(servers)
}
