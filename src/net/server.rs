//! The network side of one node: its listeners, its connections and their common limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pharos_metrics::Registry;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::Acceptor;
use crate::bind::{BindError, BoundListener, bind};
use crate::budget::Budget;
use crate::connection::{Connection, ConnectionId, Order};
use crate::handler::Handler;
use crate::limits::{Limits, ListenerConfig};
use crate::metrics::{Processors, ServerMetrics, sample_idle};
use crate::quotas::{ConnectionQuotas, QuotaLimits};

/// Connections that are held back at a time since they came too early; more are closed at once.
const MAX_HELD: usize = 1000;
/// How often rates of quiet addresses are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// Listens and serves. Cloning shares the server.
#[derive(Clone)]
pub struct SocketServer {
    shared: Arc<Shared>,
}

/// What accept loops and connections share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) budget: Arc<Budget>,
    pub(crate) quotas: Mutex<ConnectionQuotas>,
    /// Told when a connection has closed.
    pub(crate) closed: Notify,
    /// Places of connections that are held back.
    pub(crate) held: Arc<Semaphore>,
    pub(crate) stopping: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) metrics: Arc<ServerMetrics>,
    connections: Mutex<HashMap<ConnectionId, Arc<Connection>>>,
    next_id: AtomicU64,
    next_processor: AtomicU32,
}

impl SocketServer {
    /// A server without listeners. `budget` is the process's: two servers of one process share it.
    pub fn new(
        limits: Limits,
        quotas: QuotaLimits,
        budget: Arc<Budget>,
        registry: &Registry,
    ) -> Self {
        let pool = limits.budget_is_memory_pool.then(|| budget.clone());
        let shared = Arc::new(Shared {
            limits,
            budget,
            quotas: Mutex::new(ConnectionQuotas::new(quotas, registry)),
            closed: Notify::new(),
            held: Arc::new(Semaphore::new(MAX_HELD)),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            metrics: Arc::new(ServerMetrics::new(registry, pool)),
            connections: Mutex::new(HashMap::new()),
            next_id: AtomicU64::new(0),
            next_processor: AtomicU32::new(0),
        });
        Self { shared }
    }

    /// Opens the port of a listener; nothing is accepted before [`SocketServer::serve`], so that
    /// a node may know all its ports first. Runs on the runtime that will serve.
    ///
    /// # Errors
    /// The host has no address, or an address cannot be bound.
    pub async fn bind(&self, config: ListenerConfig) -> Result<BoundListener, BindError> {
        let count = config.processors.max(1);
        let processors = if config.own_processors {
            Processors { first: 0, count, own: true }
        } else {
            let first = self.shared.next_processor.fetch_add(count, Ordering::Relaxed);
            Processors { first, count, own: false }
        };
        let metrics = self.shared.metrics.add_listener(&config.name, processors);
        bind(config, &self.shared.limits, metrics).await
    }

    /// Accepts connections on `listener` and lets `handler` answer them, on `runtime`.
    pub fn serve<H: Handler>(&self, listener: BoundListener, handler: Arc<H>, runtime: &Handle) {
        let turn = Arc::new(AtomicUsize::new(0));
        let idle = sample_idle(listener.metrics.clone(), runtime.clone());
        let stopping = self.shared.stopping.clone();
        let sampling = async move { stopping.run_until_cancelled(idle).await };
        self.shared.tasks.spawn_on(sampling, runtime);
        for socket in listener.sockets {
            let acceptor = Acceptor {
                shared: self.shared.clone(),
                config: listener.config.clone(),
                metrics: listener.metrics.clone(),
                handler: handler.clone(),
                turn: turn.clone(),
            };
            self.shared.tasks.spawn_on(acceptor.run(socket), runtime);
        }
    }

    /// Changes the connection limits. Open connections stay, but for those above max.connections, as
    /// in Kafka (`Processor.closeExcessConnections`).
    pub fn set_quotas(&self, limits: QuotaLimits) {
        self.shared.quotas.lock().set_limits(limits);
        self.shared.close_excess();
        self.shared.closed.notify_waiters();
    }

    /// Forgets rates of addresses that have been quiet for long, now and then, for ever.
    pub async fn keep_tidy(self) {
        let mut interval = tokio::time::interval(TIDY_EVERY);
        loop {
            interval.tick().await;
            self.shared.quotas.lock().expire(Instant::now());
        }
    }

    /// The process's budget of bytes in flight.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.shared.budget
    }

    /// Connections that are open now.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.shared.connections.lock().values().cloned().collect()
    }

    /// Closes the ports, lets every connection answer what is in flight, and closes it; what is
    /// left after `patience` is cut off. Returns the number of connections cut off.
    pub async fn stop(&self, patience: Duration) -> usize {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        self.order_all(Order::Finish);
        if tokio::time::timeout(patience, self.shared.tasks.wait()).await.is_ok() {
            return 0;
        }
        let left = self.order_all(Order::Close);
        self.shared.tasks.wait().await;
        left
    }

    fn order_all(&self, order: Order) -> usize {
        let connections = self.connections();
        for connection in &connections {
            connection.order(order);
        }
        connections.len()
    }
}

impl Shared {
    pub(crate) fn next_id(&self) -> ConnectionId {
        ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn add(&self, connection: Arc<Connection>) {
        let order = connection.clone();
        self.connections.lock().insert(connection.id(), connection);
        // The stop may have come between accepting and here.
        if self.stopping.is_cancelled() {
            order.order(Order::Finish);
        }
    }

    pub(crate) fn remove(&self, connection: &Connection) {
        self.connections.lock().remove(&connection.id());
        self.quotas.lock().close(connection.listener(), connection.peer().ip());
        self.closed.notify_waiters();
    }

    /// Closes as many connections as there are above max.connections, those that were quiet for
    /// longest among those that may be pushed out.
    pub(crate) fn close_excess(&self) {
        let connections = self.connections.lock();
        let quotas = self.quotas.lock();
        let leaving = connections.values().filter(|connection| connection.is_leaving()).count();
        let excess = quotas.excess().saturating_sub(leaving);
        if excess == 0 {
            return;
        }
        let mut candidates: Vec<_> = connections
            .values()
            .filter(|one| !one.is_leaving() && !quotas.is_protected(one.listener()))
            .collect();
        candidates.sort_by_key(|connection| connection.last_activity());
        for connection in candidates.into_iter().take(excess) {
            connection.order(Order::Evict);
        }
    }
}
