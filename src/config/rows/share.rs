//! Rows of share groups: without meaning while there are none.

use super::reasons::SHARE;
use crate::row::broker_rows;
use crate::value::{List, Text};

broker_rows! {
    /// Least milliseconds between two assignments of a share group.
    GROUP_SHARE_ASSIGNMENT_INTERVAL_MS: i32 = key("group.share.assignment.interval.ms")
        .default("1000").at_least(0).cluster_wide().no_meaning(SHARE);
    /// Assignors of share groups.
    GROUP_SHARE_ASSIGNORS: List = key("group.share.assignors").default("simple").no_meaning(SHARE);
    /// Times that a record is handed out before it counts as undeliverable.
    GROUP_SHARE_DELIVERY_COUNT_LIMIT: i32 = key("group.share.delivery.count.limit")
        .default("5").between(2, 10).no_meaning(SHARE);
    /// Milliseconds between a share consumer's heartbeats.
    GROUP_SHARE_HEARTBEAT_INTERVAL_MS: i32 = key("group.share.heartbeat.interval.ms")
        .default("5000").at_least(1).no_meaning(SHARE);
    /// Milliseconds before the state of a share partition is initialised again.
    GROUP_SHARE_INITIALIZE_RETRY_INTERVAL_MS: i32 = key("group.share.initialize.retry.interval.ms")
        .default("30000").at_least(1).low().internal().no_meaning(SHARE);
    /// Largest assignment interval that a share group may set.
    GROUP_SHARE_MAX_ASSIGNMENT_INTERVAL_MS: i32 = key("group.share.max.assignment.interval.ms")
        .default("15000").at_least(0).no_meaning(SHARE);
    /// Largest delivery count that a share group may set.
    GROUP_SHARE_MAX_DELIVERY_COUNT_LIMIT: i32 = key("group.share.max.delivery.count.limit")
        .default("10").between(5, 25).no_meaning(SHARE);
    /// Largest heartbeat interval that a share group may set.
    GROUP_SHARE_MAX_HEARTBEAT_INTERVAL_MS: i32 = key("group.share.max.heartbeat.interval.ms")
        .default("15000").at_least(1).no_meaning(SHARE);
    /// Largest number of locked records that a share group may set.
    GROUP_SHARE_MAX_PARTITION_MAX_RECORD_LOCKS: i32 = key("group.share.max.partition.max.record.locks")
        .default("4000").between(2000, 10_000).no_meaning(SHARE);
    /// Longest record lock that a share group may set.
    GROUP_SHARE_MAX_RECORD_LOCK_DURATION_MS: i32 = key("group.share.max.record.lock.duration.ms")
        .default("60000").between(30_000, 3_600_000).no_meaning(SHARE);
    /// Largest session time-out that a share group may set.
    GROUP_SHARE_MAX_SESSION_TIMEOUT_MS: i32 = key("group.share.max.session.timeout.ms")
        .default("60000").at_least(1).no_meaning(SHARE);
    /// Most share sessions at a time.
    GROUP_SHARE_MAX_SHARE_SESSIONS: i32 = key("group.share.max.share.sessions")
        .default("2000").at_least(1).no_meaning(SHARE);
    /// Most members of one share group.
    GROUP_SHARE_MAX_SIZE: i32 = key("group.share.max.size")
        .default("200").between(1, 1000).no_meaning(SHARE);
    /// Smallest assignment interval that a share group may set.
    GROUP_SHARE_MIN_ASSIGNMENT_INTERVAL_MS: i32 = key("group.share.min.assignment.interval.ms")
        .default("0").at_least(0).no_meaning(SHARE);
    /// Smallest delivery count that a share group may set.
    GROUP_SHARE_MIN_DELIVERY_COUNT_LIMIT: i32 = key("group.share.min.delivery.count.limit")
        .default("2").between(2, 5).no_meaning(SHARE);
    /// Smallest heartbeat interval that a share group may set.
    GROUP_SHARE_MIN_HEARTBEAT_INTERVAL_MS: i32 = key("group.share.min.heartbeat.interval.ms")
        .default("5000").at_least(1).no_meaning(SHARE);
    /// Smallest number of locked records that a share group may set.
    GROUP_SHARE_MIN_PARTITION_MAX_RECORD_LOCKS: i32 = key("group.share.min.partition.max.record.locks")
        .default("100").between(100, 2000).no_meaning(SHARE);
    /// Shortest record lock that a share group may set.
    GROUP_SHARE_MIN_RECORD_LOCK_DURATION_MS: i32 = key("group.share.min.record.lock.duration.ms")
        .default("15000").between(1000, 30_000).no_meaning(SHARE);
    /// Smallest session time-out that a share group may set.
    GROUP_SHARE_MIN_SESSION_TIMEOUT_MS: i32 = key("group.share.min.session.timeout.ms")
        .default("45000").at_least(1).no_meaning(SHARE);
    /// Most locked records of one share partition.
    GROUP_SHARE_PARTITION_MAX_RECORD_LOCKS: i32 = key("group.share.partition.max.record.locks")
        .default("2000").between(100, 10_000).no_meaning(SHARE);
    /// Java class that stores the state of share groups.
    GROUP_SHARE_PERSISTER_CLASS_NAME: Text = key("group.share.persister.class.name")
        .default("org.apache.kafka.server.share.persister.DefaultStatePersister").internal()
        .no_meaning(SHARE);
    /// Milliseconds for which a delivered record stays locked.
    GROUP_SHARE_RECORD_LOCK_DURATION_MS: i32 = key("group.share.record.lock.duration.ms")
        .default("30000").between(1000, 3_600_000).no_meaning(SHARE);
    /// Milliseconds without a heartbeat after which a share consumer is dropped.
    GROUP_SHARE_SESSION_TIMEOUT_MS: i32 = key("group.share.session.timeout.ms")
        .default("45000").at_least(1).no_meaning(SHARE);
    /// Milliseconds that the share coordinator gathers writes.
    SHARE_COORDINATOR_APPEND_LINGER_MS: i32 = key("share.coordinator.append.linger.ms")
        .default("-1").at_least(-1).no_meaning(SHARE);
    /// Largest write buffer that the share coordinator keeps.
    SHARE_COORDINATOR_CACHED_BUFFER_MAX_BYTES: i32 = key("share.coordinator.cached.buffer.max.bytes")
        .default("1048588").at_least(524_288).cluster_wide().no_meaning(SHARE);
    /// Milliseconds between snapshots of quiet share partitions.
    SHARE_COORDINATOR_COLD_PARTITION_SNAPSHOT_INTERVAL_MS: i32 = key("share.coordinator.cold.partition.snapshot.interval.ms")
        .default("300000").at_least(1).low().internal().no_meaning(SHARE);
    /// Bytes read at once while share state is loaded.
    SHARE_COORDINATOR_LOAD_BUFFER_SIZE: i32 = key("share.coordinator.load.buffer.size")
        .default("5242880").at_least(1).high().no_meaning(SHARE);
    /// Updates of share state between two snapshots.
    SHARE_COORDINATOR_SNAPSHOT_UPDATE_RECORDS_PER_SNAPSHOT: i32 = key("share.coordinator.snapshot.update.records.per.snapshot")
        .default("500").between(0, 500).no_meaning(SHARE);
    /// Codec of the share state topic.
    SHARE_COORDINATOR_STATE_TOPIC_COMPRESSION_CODEC: i32 = key("share.coordinator.state.topic.compression.codec")
        .default("0").high().no_meaning(SHARE);
    /// In-sync replicas that the share state topic needs.
    SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR: i16 = key("share.coordinator.state.topic.min.isr")
        .default("2").at_least(1).high().no_meaning(SHARE);
    /// Partitions of the share state topic.
    SHARE_COORDINATOR_STATE_TOPIC_NUM_PARTITIONS: i32 = key("share.coordinator.state.topic.num.partitions")
        .default("50").at_least(1).high().no_meaning(SHARE);
    /// Milliseconds between two prunings of the share state topic.
    SHARE_COORDINATOR_STATE_TOPIC_PRUNE_INTERVAL_MS: i32 = key("share.coordinator.state.topic.prune.interval.ms")
        .default("300000").at_least(1).low().internal().no_meaning(SHARE);
    /// Replicas of the share state topic.
    SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR: i16 = key("share.coordinator.state.topic.replication.factor")
        .default("3").at_least(1).high().no_meaning(SHARE);
    /// Segment size of the share state topic.
    SHARE_COORDINATOR_STATE_TOPIC_SEGMENT_BYTES: i32 = key("share.coordinator.state.topic.segment.bytes")
        .default("104857600").at_least(1).high().no_meaning(SHARE);
    /// Threads of the share coordinator.
    SHARE_COORDINATOR_THREADS: i32 = key("share.coordinator.threads")
        .default("1").at_least(1).no_meaning(SHARE);
    /// Milliseconds that a write of share state may take.
    SHARE_COORDINATOR_WRITE_TIMEOUT_MS: i32 = key("share.coordinator.write.timeout.ms")
        .default("5000").at_least(1).high().no_meaning(SHARE);
    /// Completed share fetch waits that may pile up before they are removed.
    SHARE_FETCH_PURGATORY_PURGE_INTERVAL_REQUESTS: i32 = key("share.fetch.purgatory.purge.interval.requests")
        .default("1000").no_meaning(SHARE);
}
