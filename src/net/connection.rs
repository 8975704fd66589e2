//! What is known of a connection, for handlers and for those who list or close connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::metrics::{ServerMetrics, SoftwareCount};

/// Number of a connection, unique in its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What is spoken below Kafka's protocol. TLS and SASL get their variants with their rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
}

impl SecurityProtocol {
    /// Kafka's name, as in listener.security.protocol.map.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
        }
    }
}

const RUN: u8 = 0;
const FINISH: u8 = 1;
const CLOSE: u8 = 2;
const EVICT: u8 = 3;

/// Orders that a connection's task follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Run,
    /// Answer what is in flight, then close.
    Finish,
    /// Close at once.
    Close,
    /// Close at once, another one needs the place.
    Evict,
}

/// One accepted connection.
pub struct Connection {
    id: ConnectionId,
    peer: SocketAddr,
    local: SocketAddr,
    listener: Arc<str>,
    security_protocol: SecurityProtocol,
    processor: u32,
    client_software: Mutex<ClientSoftware>,
    metrics: Arc<ServerMetrics>,
    order: AtomicU8,
    waker: AtomicWaker,
    opened: Instant,
    /// Nanoseconds between opening and the last request: who was quiet for longest is told exactly.
    last_request_ns: AtomicU64,
}

struct ClientSoftware {
    told: Option<(Arc<str>, Arc<str>)>,
    /// `None` once the connection is closed.
    count: Option<SoftwareCount>,
}

/// How a connection comes to be; addresses are in canonical form (no IPv4 mapped into IPv6).
pub(crate) struct NewConnection {
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) listener: Arc<str>,
    pub(crate) security_protocol: SecurityProtocol,
    pub(crate) processor: u32,
    pub(crate) metrics: Arc<ServerMetrics>,
}

impl Connection {
    pub(crate) fn new(new: NewConnection) -> Arc<Self> {
        let count = Some(new.metrics.software(None, &new.listener, new.processor));
        Arc::new(Self {
            id: new.id,
            peer: new.peer,
            local: new.local,
            listener: new.listener,
            security_protocol: new.security_protocol,
            processor: new.processor,
            client_software: Mutex::new(ClientSoftware { told: None, count }),
            metrics: new.metrics,
            order: AtomicU8::new(RUN),
            waker: AtomicWaker::new(),
            opened: Instant::now(),
            last_request_ns: AtomicU64::new(0),
        })
    }

    /// Number of the connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Address of the peer; IPv4 peers have IPv4 addresses, on dual-stack sockets too.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address that the peer connected to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Name of the listener.
    pub fn listener(&self) -> &Arc<str> {
        &self.listener
    }

    /// What is spoken below Kafka's protocol.
    pub fn security_protocol(&self) -> SecurityProtocol {
        self.security_protocol
    }

    /// Number of the logical processor that this connection is counted under.
    pub fn processor(&self) -> u32 {
        self.processor
    }

    /// Client software name and version, once ApiVersions has told them.
    pub fn client_software(&self) -> Option<(Arc<str>, Arc<str>)> {
        self.client_software.lock().told.clone()
    }

    /// Remembers what the client said of itself. The caller has checked the text (KIP-511).
    pub fn set_client_software(&self, name: impl Into<Arc<str>>, version: impl Into<Arc<str>>) {
        let (name, version) = (name.into(), version.into());
        let mut software = self.client_software.lock();
        // Taken back first: the connection must not be seen twice.
        if software.count.take().is_some() {
            let told = Some((&name, &version));
            software.count = Some(self.metrics.software(told, &self.listener, self.processor));
        }
        software.told = Some((name, version));
    }

    /// When the last request came, or the connection was opened.
    pub fn last_activity(&self) -> Instant {
        self.opened + Duration::from_nanos(self.last_request_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn touch(&self, now: Instant) {
        let ns = now.saturating_duration_since(self.opened).as_nanos();
        self.last_request_ns.store(u64::try_from(ns).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Closes the connection from outside; its waits are cancelled.
    pub fn close(&self) {
        self.order(Order::Close);
    }

    /// The connection is closed; handlers may know it for longer.
    pub(crate) fn leave(&self) {
        self.client_software.lock().count = None;
    }

    /// Gives an order; orders only get stronger.
    pub(crate) fn order(&self, order: Order) {
        let code = match order {
            Order::Run => RUN,
            Order::Finish => FINISH,
            Order::Close => CLOSE,
            Order::Evict => EVICT,
        };
        self.order.fetch_max(code, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Whether it was told to close.
    pub(crate) fn is_leaving(&self) -> bool {
        self.order.load(Ordering::Acquire) != RUN
    }

    /// The order in force; `waker` is woken when it changes.
    pub(crate) fn follow(&self, waker: &Waker) -> Order {
        self.waker.register(waker);
        match self.order.load(Ordering::Acquire) {
            RUN => Order::Run,
            FINISH => Order::Finish,
            EVICT => Order::Evict,
            _ => Order::Close,
        }
    }
}

/// Kafka's connection id: `local host:port-peer host:port-number`.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.local, self.peer, self.id.0)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({self} on {})", self.listener)
    }
}
