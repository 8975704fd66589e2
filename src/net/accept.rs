//! Accepts connections, one loop per socket.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::close::CloseReason;
use crate::connection::{Connection, NewConnection};
use crate::driver::Driver;
use crate::handler::Handler;
use crate::limits::ListenerConfig;
use crate::metrics::{ListenerMetrics, ProcessorMetrics};
use crate::quotas::Decision;
use crate::server::Shared;

/// Pause after the system refused to accept, for example because no file handle is free.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// What one accept loop needs.
pub(crate) struct Acceptor<H> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: ListenerConfig,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) handler: Arc<H>,
    /// Deals connections to processors; shared by the sockets of a listener.
    pub(crate) turn: Arc<AtomicUsize>,
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
                    self.metrics.accepted.record(1.0);
                    self.shared.metrics.accepted.record(1.0);
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
                    self.metrics.block(blocked);
                    self.start(stream, peer);
                    if evict {
                        self.shared.close_excess();
                    }
                    return;
                }
                Decision::Refuse { throttle } => {
                    self.metrics.block(blocked);
                    let reason = CloseReason::AddressLimit;
                    self.metrics.closed(&reason);
                    tracing::info!(listener = %self.config.name, %peer, %reason, "refused");
                    if let Some(throttle) = throttle {
                        self.metrics.address_throttle.record(ms(throttle));
                        self.hold(stream, throttle);
                    }
                    return;
                }
                Decision::WaitForClose => closed.await,
                Decision::Wait(time) => {
                    self.metrics.accept_throttle.record(ms(time));
                    tokio::time::sleep(time).await;
                }
            }
        }
    }

    /// Closes a connection that came too early, but not before its time: its client would only come
    /// again. Too many of them are closed at once.
    fn hold(&self, stream: TcpStream, time: Duration) {
        let Ok(place) = self.shared.held.clone().try_acquire_owned() else { return };
        let stopping = self.shared.stopping.clone();
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(time) => {}
            }
            drop((stream, place));
        });
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr) {
        let id = self.shared.next_id();
        let processors = &self.metrics.processors;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % processors.len().max(1);
        let Some(processor) = processors.get(turn).cloned() else {
            return;
        };
        let local = stream.local_addr().unwrap_or(peer);
        let connection = Connection::new(NewConnection {
            id,
            peer,
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
            listener: self.config.name.clone(),
            security_protocol: self.config.security_protocol,
            processor: processor.id,
            metrics: self.shared.metrics.clone(),
        });
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%connection, %error, "cannot turn off delayed sending");
        }
        processor.open();
        self.shared.add(connection.clone());
        let (shared, metrics, handler) =
            (self.shared.clone(), self.metrics.clone(), self.handler.clone());
        self.shared.tasks.spawn(async move {
            let farewell = Farewell { shared, metrics, processor, connection };
            let connection = &farewell.connection;
            handler.opened(connection);
            let shared = &farewell.shared;
            let mut driver = Driver::new(
                stream,
                connection.clone(),
                shared.limits.clone(),
                shared.budget.clone(),
                farewell.processor.clone(),
                shared.metrics.clone(),
            );
            let reason = driver.run(&*handler).await;
            // Before the peer can see that it is closed.
            farewell.metrics.closed(&reason);
            drop(driver);
            log_close(connection, &reason);
            handler.closed(connection, &reason);
        });
    }
}

/// Takes the connection out of the books, also when its task is dropped or a handler panics.
struct Farewell {
    shared: Arc<Shared>,
    metrics: Arc<ListenerMetrics>,
    processor: Arc<ProcessorMetrics>,
    connection: Arc<Connection>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = CloseReason::Panicked;
            self.metrics.closed(&reason);
            tracing::error!(connection = %self.connection, %reason, "connection closed");
        }
        self.processor.close();
        self.connection.leave();
        self.shared.remove(&self.connection);
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
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
