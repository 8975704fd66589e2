//! Rows of replication throttles: dynamic keys of a broker.

use crate::row::resource_rows;

resource_rows! {
    /// Most bytes in a second that throttled replicas fetch.
    FOLLOWER_REPLICATION_THROTTLED_RATE: i64 = key("follower.replication.throttled.rate")
        .default("9223372036854775807").at_least(0).refused("replication throttles", &[]);
    /// Most bytes in a second that throttled replicas are served.
    LEADER_REPLICATION_THROTTLED_RATE: i64 = key("leader.replication.throttled.rate")
        .default("9223372036854775807").at_least(0).refused("replication throttles", &[]);
    /// Most bytes in a second moved between log directories.
    REPLICA_ALTER_LOG_DIRS_IO_MAX_BYTES_PER_SECOND: i64 = key("replica.alter.log.dirs.io.max.bytes.per.second")
        .default("9223372036854775807").at_least(0)
        .refused("moves between log directories", &[]);
}
