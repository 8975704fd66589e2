//! What the network has counted. Plain atomics that the data path moves; `metrics` reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::close::CloseReason;

/// Counts of one logical processor: the connections of a listener are dealt to its processors in
/// turn, as Kafka deals them to its network threads.
#[derive(Debug)]
pub struct ProcessorStats {
    id: u32,
    listener: Arc<str>,
    connections: AtomicI64,
    opened: AtomicU64,
    closed: AtomicU64,
    incoming_bytes: AtomicU64,
    outgoing_bytes: AtomicU64,
    requests: AtomicU64,
    request_bytes: AtomicU64,
    largest_request_bytes: AtomicU64,
    responses: AtomicU64,
}

impl ProcessorStats {
    pub(crate) fn new(id: u32, listener: Arc<str>) -> Self {
        Self {
            id,
            listener,
            connections: AtomicI64::new(0),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            incoming_bytes: AtomicU64::new(0),
            outgoing_bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            largest_request_bytes: AtomicU64::new(0),
            responses: AtomicU64::new(0),
        }
    }

    /// Number of the processor, unique in its server.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Name of its listener.
    pub fn listener(&self) -> &Arc<str> {
        &self.listener
    }

    /// Open connections.
    pub fn connections(&self) -> i64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections opened since the start.
    pub fn opened_total(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Connections closed since the start.
    pub fn closed_total(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// Bytes received since the start.
    pub fn incoming_bytes_total(&self) -> u64 {
        self.incoming_bytes.load(Ordering::Relaxed)
    }

    /// Bytes sent since the start.
    pub fn outgoing_bytes_total(&self) -> u64 {
        self.outgoing_bytes.load(Ordering::Relaxed)
    }

    /// Whole requests received since the start.
    pub fn requests_total(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of the requests received since the start, without their sizes.
    pub fn request_bytes_total(&self) -> u64 {
        self.request_bytes.load(Ordering::Relaxed)
    }

    /// Largest request since the last call, in bytes; 0 when there was none.
    pub fn take_largest_request_bytes(&self) -> u64 {
        self.largest_request_bytes.swap(0, Ordering::Relaxed)
    }

    /// Responses sent whole since the start.
    pub fn responses_total(&self) -> u64 {
        self.responses.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn close(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn incoming(&self, bytes: u64) {
        self.incoming_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn outgoing(&self, bytes: u64) {
        self.outgoing_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn request(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.request_bytes.fetch_add(bytes, Ordering::Relaxed);
        if bytes > self.largest_request_bytes.load(Ordering::Relaxed) {
            self.largest_request_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn response(&self) {
        self.responses.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts of one listener.
#[derive(Debug)]
pub struct ListenerStats {
    name: Arc<str>,
    accepted: AtomicU64,
    blocked_nanos: AtomicU64,
    closed: Vec<AtomicU64>,
    processors: Vec<Arc<ProcessorStats>>,
}

impl ListenerStats {
    pub(crate) fn new(name: Arc<str>, first_processor: u32, processors: u32) -> Self {
        let processors = (0..processors.max(1))
            .map(|index| Arc::new(ProcessorStats::new(first_processor + index, name.clone())))
            .collect();
        let closed = CloseReason::LABELS.iter().map(|_| AtomicU64::new(0)).collect();
        let (accepted, blocked_nanos) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { name, accepted, blocked_nanos, closed, processors }
    }

    /// Name of the listener.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Connections accepted since the start, with those that were refused at once.
    pub fn accepted_total(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Time since the start in which nothing was accepted because of connection limits.
    pub fn blocked(&self) -> Duration {
        Duration::from_nanos(self.blocked_nanos.load(Ordering::Relaxed))
    }

    /// Connections closed since the start, by label of their [`CloseReason`].
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.closed.iter().map(|count| count.load(Ordering::Relaxed));
        CloseReason::LABELS.iter().copied().zip(counts)
    }

    /// The logical processors.
    pub fn processors(&self) -> &[Arc<ProcessorStats>] {
        &self.processors
    }

    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn block(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.blocked_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn close(&self, reason: &CloseReason) {
        if let Some(count) = self.closed.get(reason.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Counts of all listeners of a server.
#[derive(Debug, Default)]
pub struct ServerStats {
    listeners: Mutex<Vec<Arc<ListenerStats>>>,
}

impl ServerStats {
    /// The listeners, in the order in which they were bound.
    pub fn listeners(&self) -> Vec<Arc<ListenerStats>> {
        self.listeners.lock().clone()
    }

    pub(crate) fn add(&self, listener: Arc<ListenerStats>) {
        self.listeners.lock().push(listener);
    }
}
