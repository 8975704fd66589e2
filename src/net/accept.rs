//! Accepts connections, one loop per socket.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::close::CloseReason;
use crate::connection::{Connection, NewConnection};
use crate::driver::Driver;
use crate::handler::Handler;
use crate::limits::ListenerConfig;
use crate::quotas::Decision;
use crate::server::Shared;
use crate::stats::ListenerStats;

/// Pause after the system refused to accept, for example because no file handle is free.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// What one accept loop needs.
pub(crate) struct Acceptor<H> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: ListenerConfig,
    pub(crate) stats: Arc<ListenerStats>,
    pub(crate) handler: Arc<H>,
}

impl<H: Handler> Acceptor<H> {
    /// Accepts until the server stops.
    pub(crate) async fn run(self, socket: TcpListener) {
        let stopping = self.shared.stopping.clone();
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    self.stats.accept();
                    tokio::select! {
                        biased;
                        () = stopping.cancelled() => return,
                        () = self.admit(stream, peer) => {}
                    }
                }
                // The peer was gone before its turn came: nothing is wrong here.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !failing {
                        let listener = &self.config.name;
                        tracing::error!(%listener, %error, "cannot accept connections");
                    }
                    failing = true;
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// Counts the connection against the limits, then lets it run, or closes it.
    async fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let mut blocked_since = None;
        loop {
            let mut closed = pin!(self.shared.closed.notified());
            closed.as_mut().enable();
            let now = Instant::now();
            let decision = self.shared.quotas.lock().open(now, &self.config.name, peer.ip());
            let blocked = now - *blocked_since.get_or_insert(now);
            match decision {
                Decision::Open { evict } => {
                    self.stats.block(blocked);
                    self.start(stream, peer);
                    if evict {
                        self.shared.evict_one();
                    }
                    return;
                }
                Decision::Refuse => {
                    self.stats.block(blocked);
                    let reason = CloseReason::AddressLimit;
                    self.stats.close(&reason);
                    tracing::info!(listener = %self.config.name, %peer, %reason, "refused");
                    return;
                }
                Decision::WaitForClose => closed.await,
                Decision::Wait(time) => tokio::time::sleep(time).await,
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        let id = self.shared.next_id();
        let processors = self.stats.processors();
        let turn = self.stats.accepted_total() % processors.len().max(1) as u64;
        let Some(processor) = processors.get(usize::try_from(turn).unwrap_or(0)).cloned() else {
            return;
        };
        let local = stream.local_addr().unwrap_or(peer);
        let connection = Connection::new(NewConnection {
            id,
            peer,
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
            listener: self.config.name.clone(),
            security_protocol: self.config.security_protocol,
            processor: processor.id(),
        });
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%connection, %error, "cannot turn off delayed sending");
        }
        processor.open();
        self.shared.add(connection.clone());
        let (shared, stats, handler) =
            (self.shared.clone(), self.stats.clone(), self.handler.clone());
        self.shared.tasks.spawn(async move {
            let farewell = Farewell { shared, stats, processor, connection };
            let connection = &farewell.connection;
            handler.opened(connection);
            let reason = {
                let shared = &farewell.shared;
                let mut driver = Driver::new(
                    stream,
                    connection.clone(),
                    shared.limits.clone(),
                    shared.budget.clone(),
                    farewell.processor.clone(),
                );
                driver.run(&*handler).await
            };
            farewell.stats.close(&reason);
            log_close(connection, &reason);
            handler.closed(connection, &reason);
        });
    }
}

/// Takes the connection out of the books, also when its task is dropped or a handler panics.
struct Farewell {
    shared: Arc<Shared>,
    stats: Arc<ListenerStats>,
    processor: Arc<crate::stats::ProcessorStats>,
    connection: Arc<Connection>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.processor.close();
        self.shared.remove(&self.connection);
    }
}

fn log_close(connection: &Connection, reason: &CloseReason) {
    use CloseReason::{InvalidRequest, InvalidSize, SlowRequest, TooLarge};
    match reason {
        InvalidSize(_) | TooLarge { .. } | SlowRequest { .. } | InvalidRequest(_) => {
            tracing::info!(%connection, %reason, "connection closed");
        }
        CloseReason::FileTooShort { .. } | CloseReason::File(_) => {
            tracing::error!(%connection, %reason, "connection closed");
        }
        _ => tracing::debug!(%connection, %reason, "connection closed"),
    }
}
