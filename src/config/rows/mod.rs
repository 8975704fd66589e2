//! Every key, one row each, by domain. Rows of a broker are read as `rows::NAME`; topics, groups,
//! client metrics subscriptions and throttles have tables of their own.

pub mod client_metrics;
pub mod group;
mod groups;
pub mod legacy;
mod log;
mod network;
mod node;
mod own;
mod quorum;
mod remote;
mod replica;
mod sasl;
mod share;
mod ssl;
mod streams;
pub mod throttle;
pub mod topic;
mod transaction;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use self::groups::*;
pub use self::log::*;
pub use self::network::*;
pub use self::node::*;
pub use self::own::*;
pub use self::quorum::*;
pub use self::remote::*;
pub use self::replica::*;
pub use self::sasl::*;
pub use self::share::*;
pub use self::ssl::*;
pub use self::streams::*;
pub use self::transaction::*;
use crate::row::Row;

/// Why a key has no meaning here: what the summary warning groups its keys by.
mod reasons {
    pub const CONTROLLER: &str = "the controller logs slow events by itself";
    pub const JVM: &str = "there is no Java virtual machine";
    pub const LOG_DIR_MOVES: &str = "moves between log directories are not available";
    pub const QUOTAS: &str = "quotas of replication are not available";
    pub const REPORTERS: &str = "Java metric reporters cannot be loaded; metrics are at /metrics";
    pub const SASL: &str = "SASL is not available";
    pub const SHARE: &str = "share groups are not available";
    pub const START: &str = "all listeners start together";
    pub const STREAMS: &str = "streams groups are not available";
    pub const THREADS: &str = "threads follow the processor count";
    pub const TIERS: &str = "remote storage is not available";
    pub const TOKENS: &str = "delegation tokens are not available";
    pub const TRANSACTIONS: &str = "transactions are not available";
    pub const ZOOKEEPER: &str = "there is no ZooKeeper here";
    pub const ONE_BROKER: &str = "there is no other broker to connect to";
    pub const LZ4: &str = "lz4 is written at one level";
    pub const BUFFERS: &str = "write buffers are not kept for reuse";
    pub const ONE_REPLICA: &str =
        "a partition has one replica: no other can fall behind or take over";
    pub const ONE_VOTER: &str = "the controller is in this process, the only voter of its quorum";
    pub const QUEUES: &str = "a request is handled where it is read; none waits in a queue";
    pub const SNAPSHOTS: &str =
        "the metadata log is kept back to its last snapshot, in segments of 8 MiB";
    pub const SWEEPS: &str = "finished waits are swept as they pile up";
    pub const WINDOWS: &str = "rates span two samples of 30 seconds, and every sensor is kept";
    pub const WRITES: &str = "writes are gathered while an earlier one is under way, not by time";
    pub const EVENTS: &str = "what an event of a group writes is appended at once, as one batch";
    pub const OTHER: &str = "the key belongs to another product";
    pub const OLD: &str = "the key belongs to an older Kafka";
}

/// A table of rows under one title.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// What the rows are about.
    pub title: &'static str,
    /// The rows, by name.
    pub rows: &'static [&'static Row],
    /// Whether they are keys of a broker's configuration.
    pub broker: bool,
}

/// Every table: the broker's, ours first, then those of other resources.
pub fn sections() -> [Section; 17] {
    let broker = |title, rows| Section { title, rows, broker: true };
    let other = |title, rows| Section { title, rows, broker: false };
    [
        broker("Pharos' own keys", own::ALL),
        broker("Node", node::ALL),
        broker("Listeners, connections, requests", network::ALL),
        broker("Logs", log::ALL),
        broker("Replication and leadership", replica::ALL),
        broker("Groups and offsets", groups::ALL),
        broker("Metadata quorum", quorum::ALL),
        broker("Transactions and producer ids", transaction::ALL),
        broker("Share groups", share::ALL),
        broker("Streams groups", streams::ALL),
        broker("Remote storage", remote::ALL),
        broker("TLS", ssl::ALL),
        broker("SASL", sasl::ALL),
        other("Topics", topic::ALL),
        other("Groups, each by itself", group::ALL),
        other("Client metrics subscriptions", client_metrics::ALL),
        other("Replication throttles of a broker", throttle::ALL),
    ]
}

/// Every broker row, sorted by name.
pub fn broker() -> &'static [&'static Row] {
    static ALL: LazyLock<Vec<&'static Row>> = LazyLock::new(|| {
        let tables = sections().into_iter().filter(|section| section.broker);
        let mut all: Vec<_> = tables.flat_map(|section| section.rows).copied().collect();
        all.sort_by_key(|row| row.name);
        all
    });
    &ALL
}

/// Whether the key is ours and unknown to Apache Kafka.
pub fn is_own(row: &Row) -> bool {
    own::ALL.iter().any(|own| own.name == row.name)
}

/// The broker row of a name.
pub fn broker_row(name: &str) -> Option<&'static Row> {
    static BY_NAME: LazyLock<HashMap<&'static str, &'static Row>> =
        LazyLock::new(|| broker().iter().map(|row| (row.name, *row)).collect());
    BY_NAME.get(name).copied()
}

/// The row of a name in one of the smaller tables.
pub fn find(table: &'static [&'static Row], name: &str) -> Option<&'static Row> {
    table.iter().find(|row| row.name == name).copied()
}
