//! Listeners, framing, the order of requests on a connection and connection limits.
//!
//! One task serves one connection. It reads a frame, lets the [`Handler`] take effect, and only
//! then reads the next one; what has to wait (acks=all, fetch, join) waits beside it, and replies
//! leave in the order of their requests. This room does not know what a request means: whatever
//! lies behind the four bytes of the size belongs to the handler.

mod accept;
mod address_rates;
mod bind;
mod budget;
mod close;
mod cold;
mod connection;
mod deadline;
mod driver;
mod handler;
mod input;
mod limits;
mod metrics;
mod output;
mod quotas;
mod rate;
mod send;
mod server;
#[cfg(test)]
mod tests;

pub use address_rates::AddressLimits;
pub use bind::{BindError, BoundListener};
pub use budget::Budget;
pub use close::CloseReason;
pub use connection::{Connection, ConnectionId, SecurityProtocol};
pub use handler::{
    Chunks, Completed, Handler, Later, Outcome, Reply, ReplyChunk, Request, Timestamps,
};
pub use limits::{Limits, ListenerConfig};
pub use quotas::{ConnectionQuotas, ListenerQuota, QuotaLimits};
pub use server::SocketServer;
