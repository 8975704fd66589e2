//! Rows of replication and leadership.

use super::reasons::{LOG_DIR_MOVES, ONE_BROKER, ONE_REPLICA, QUOTAS};
use crate::row::broker_rows;
use crate::value::Text;

broker_rows! {
    /// Samples kept for the quota of moves between log directories.
    ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_NUM: i32 = key("alter.log.dirs.replication.quota.window.num")
        .default("11").at_least(1).low().no_meaning(LOG_DIR_MOVES);
    /// Seconds that one sample of the move quota spans.
    ALTER_LOG_DIRS_REPLICATION_QUOTA_WINDOW_SIZE_SECONDS: i32 = key("alter.log.dirs.replication.quota.window.size.seconds")
        .default("1").at_least(1).low().no_meaning(LOG_DIR_MOVES);
    /// Whether leadership returns to preferred replicas by itself.
    AUTO_LEADER_REBALANCE_ENABLE: bool = key("auto.leader.rebalance.enable").default("true").high();
    /// Replicas of a topic that is created without a number of them.
    DEFAULT_REPLICATION_FACTOR: i32 = key("default.replication.factor").default("1");
    /// Seconds between two checks for leaders off their preferred replica.
    LEADER_IMBALANCE_CHECK_INTERVAL_SECONDS: i64 = key("leader.imbalance.check.interval.seconds")
        .default("300").at_least(1).high();
    /// In-sync replicas that a write with acks=all needs.
    MIN_INSYNC_REPLICAS: i32 = key("min.insync.replicas")
        .default("1").at_least(1).high().cluster_wide();
    /// Threads that move replicas between log directories.
    NUM_REPLICA_ALTER_LOG_DIRS_THREADS: Option<i32> = key("num.replica.alter.log.dirs.threads")
        .high().no_meaning(LOG_DIR_MOVES);
    /// Connections per source broker over which replicas are fetched.
    NUM_REPLICA_FETCHERS: i32 = key("num.replica.fetchers")
        .default("1").at_least(1).high().cluster_wide()
        .no_meaning(ONE_BROKER);
    /// Pause of a replica fetcher after an error.
    REPLICA_FETCH_BACKOFF_MS: i32 = key("replica.fetch.backoff.ms").default("1000").at_least(0)
        .no_meaning(ONE_BROKER);
    /// Bytes that a replica asks for per partition; one batch always passes.
    REPLICA_FETCH_MAX_BYTES: i32 = key("replica.fetch.max.bytes").default("1048576").at_least(0)
        .no_meaning(ONE_BROKER);
    /// Bytes for which a replica's fetch waits.
    REPLICA_FETCH_MIN_BYTES: i32 = key("replica.fetch.min.bytes").default("1").high()
        .no_meaning(ONE_BROKER);
    /// Most bytes in the answer to a replica's fetch.
    REPLICA_FETCH_RESPONSE_MAX_BYTES: i32 = key("replica.fetch.response.max.bytes")
        .default("10485760").at_least(0)
        .no_meaning(ONE_BROKER);
    /// Longest wait of a replica's fetch.
    REPLICA_FETCH_WAIT_MAX_MS: i32 = key("replica.fetch.wait.max.ms").default("500").high()
        .no_meaning(ONE_BROKER);
    /// Milliseconds between two writes of the high watermarks.
    REPLICA_HIGH_WATERMARK_CHECKPOINT_INTERVAL_MS: i64 = key("replica.high.watermark.checkpoint.interval.ms")
        .default("5000").high();
    /// Milliseconds behind the leader after which a replica leaves the in-sync set.
    REPLICA_LAG_TIME_MAX_MS: i64 = key("replica.lag.time.max.ms").default("30000").high()
        .no_meaning(ONE_REPLICA);
    /// Java class that chooses the replica from which a consumer reads.
    REPLICA_SELECTOR_CLASS: Option<Text> = key("replica.selector.class")
        .refused("reading from followers", &[]);
    /// Socket receive buffer of replica fetchers.
    REPLICA_SOCKET_RECEIVE_BUFFER_BYTES: i32 = key("replica.socket.receive.buffer.bytes")
        .default("65536").high()
        .no_meaning(ONE_BROKER);
    /// Milliseconds that a replica's request may take.
    REPLICA_SOCKET_TIMEOUT_MS: i32 = key("replica.socket.timeout.ms").default("30000").high()
        .no_meaning(ONE_BROKER);
    /// Samples kept for replication quotas.
    REPLICATION_QUOTA_WINDOW_NUM: i32 = key("replication.quota.window.num")
        .default("11").at_least(1).low().no_meaning(QUOTAS);
    /// Seconds that one sample of a replication quota spans.
    REPLICATION_QUOTA_WINDOW_SIZE_SECONDS: i32 = key("replication.quota.window.size.seconds")
        .default("1").at_least(1).low().no_meaning(QUOTAS);
    /// Whether a replica out of sync may lead when no other is left.
    UNCLEAN_LEADER_ELECTION_ENABLE: bool = key("unclean.leader.election.enable")
        .default("false").high().cluster_wide();
    /// Milliseconds between two searches for partitions that need an unclean election.
    UNCLEAN_LEADER_ELECTION_INTERVAL_MS: i64 = key("unclean.leader.election.interval.ms")
        .default("300000").at_least(1).internal()
        .no_meaning(ONE_REPLICA);
}
