//! A listener whose port is open, before it is served.

use std::net::SocketAddr;
use std::sync::Arc;

use pharos_base::{ListenError, ListenOptions, listen};
use tokio::net::TcpListener;

use crate::limits::{Limits, ListenerConfig};
use crate::metrics::ListenerMetrics;

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("listener {listener}: {source}")]
pub struct BindError {
    listener: Arc<str>,
    source: ListenError,
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
    let options = ListenOptions {
        backlog: limits.backlog,
        send_buffer_bytes: limits.send_buffer_bytes,
        receive_buffer_bytes: limits.receive_buffer_bytes,
    };
    let (sockets, port) = listen(&config.host, config.port, &options)
        .await
        .map_err(|source| BindError { listener: config.name.clone(), source })?;
    Ok(BoundListener { config, sockets, metrics, port })
}
