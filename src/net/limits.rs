//! What one connection may do, and where a listener stands.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::SecurityProtocol;

/// Requests of one connection that may be in flight: read, but not answered yet.
pub(crate) const MAX_IN_FLIGHT: usize = 16;

/// Buffer that a connection may always have, whatever it has sent.
pub(crate) const FREE_BYTES: usize = 64 * 1024;

/// First read of a connection of which nothing is known yet.
pub(crate) const FIRST_READ_BYTES: usize = 4 * 1024;

/// Largest buffer that a connection gets at once because it has delivered such a request before.
pub(crate) const EARNED_BYTES: usize = 4 * 1024 * 1024;

/// Largest read buffer that a connection keeps between requests; the largest request of a producer
/// with default settings (max.request.size 1 MiB) fits.
pub(crate) const KEPT_BUFFER_BYTES: usize = (1024 + 64) * 1024;

/// Seconds that a request may take before its rate is looked at.
pub(crate) const SLOW_REQUEST_GRACE: Duration = Duration::from_secs(30);

/// Rate below which, after the grace, a request is too slow.
pub(crate) const SLOW_REQUEST_BYTES_PER_SECOND: usize = 1024;

/// A connection without traffic for this long gives its read buffer back.
pub(crate) const TRIM_AFTER: Duration = Duration::from_secs(1);

/// Largest part of a file that is sent by one call.
pub(crate) const SENDFILE_SLICE_BYTES: u64 = 256 * 1024;

/// Bytes that one connection writes before the others of its worker get their turn.
pub(crate) const WRITE_TURN_BYTES: u64 = 1024 * 1024;

/// What one connection may do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// socket.request.max.bytes: largest frame, without its size.
    pub max_request_bytes: usize,
    /// Bytes of requests and replies in memory that one connection may hold before reading stops.
    pub connection_bytes: usize,
    /// Whether the process's budget is what queued.max.request.bytes asks for; if not, the beans
    /// of the memory pool say that it is unbounded, as in Kafka.
    pub budget_is_memory_pool: bool,
    /// connections.max.idle.ms.
    pub max_idle: Duration,
    /// socket.send.buffer.bytes; `None` leaves it to the system.
    pub send_buffer_bytes: Option<u32>,
    /// socket.receive.buffer.bytes; `None` leaves it to the system.
    pub receive_buffer_bytes: Option<u32>,
    /// socket.listen.backlog.size.
    pub backlog: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: 104_857_600,
            connection_bytes: 16 * 1024 * 1024,
            budget_is_memory_pool: false,
            max_idle: Duration::from_millis(600_000),
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            backlog: 50,
        }
    }
}

/// Where a listener stands and how its connections are numbered.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Name of the listener, as in `listeners=NAME://host:port`.
    pub name: Arc<str>,
    /// What is spoken below Kafka's protocol.
    pub security_protocol: SecurityProtocol,
    /// Host name or address; empty for all addresses, of both families.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
    /// num.network.threads: logical processors that connections are counted under.
    pub processors: u32,
    /// Whether its processors count from 0, apart from those of other listeners, as a
    /// controller's do. Beans without a listener tag then stay those of the others.
    pub own_processors: bool,
}

impl ListenerConfig {
    /// A plaintext listener named `name` with three processors (Kafka's default).
    pub fn plaintext(name: &str, host: &str, port: u16) -> Self {
        Self {
            name: name.into(),
            security_protocol: SecurityProtocol::Plaintext,
            host: host.to_owned(),
            port,
            processors: 3,
            own_processors: false,
        }
    }
}
