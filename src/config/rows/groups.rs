//! Rows of classic and consumer groups and of their offsets.

use super::reasons::{BUFFERS, EVENTS, THREADS};
use crate::row::broker_rows;
use crate::value::{List, Text};

broker_rows! {
    /// Least milliseconds between two assignments of a consumer group.
    GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS: i32 = key("group.consumer.assignment.interval.ms")
        .default("1000").at_least(0).cluster_wide();
    /// Assignors of consumer groups, the first one the default.
    GROUP_CONSUMER_ASSIGNORS: List = key("group.consumer.assignors").default("uniform,range");
    /// Milliseconds between a consumer's heartbeats.
    GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS: i32 = key("group.consumer.heartbeat.interval.ms")
        .default("5000").at_least(1);
    /// Largest assignment interval that a group may set.
    GROUP_CONSUMER_MAX_ASSIGNMENT_INTERVAL_MS: i32 = key("group.consumer.max.assignment.interval.ms")
        .default("15000").at_least(0);
    /// Largest heartbeat interval that a group may set.
    GROUP_CONSUMER_MAX_HEARTBEAT_INTERVAL_MS: i32 = key("group.consumer.max.heartbeat.interval.ms")
        .default("15000").at_least(1);
    /// Largest session time-out that a group may set.
    GROUP_CONSUMER_MAX_SESSION_TIMEOUT_MS: i32 = key("group.consumer.max.session.timeout.ms")
        .default("60000").at_least(1);
    /// Most members of one consumer group.
    GROUP_CONSUMER_MAX_SIZE: i32 = key("group.consumer.max.size").default("2147483647").at_least(1);
    /// Which of classic-to-consumer and back a group may do online.
    GROUP_CONSUMER_MIGRATION_POLICY: Text = key("group.consumer.migration.policy")
        .default("bidirectional")
        .one_of_ignoring_case(&["BIDIRECTIONAL", "DISABLED", "DOWNGRADE", "UPGRADE"]);
    /// Smallest assignment interval that a group may set.
    GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS: i32 = key("group.consumer.min.assignment.interval.ms")
        .default("0").at_least(0);
    /// Smallest heartbeat interval that a group may set.
    GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS: i32 = key("group.consumer.min.heartbeat.interval.ms")
        .default("5000").at_least(1);
    /// Smallest session time-out that a group may set.
    GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS: i32 = key("group.consumer.min.session.timeout.ms")
        .default("45000").at_least(1);
    /// Milliseconds after which subscriptions by pattern are resolved anew.
    GROUP_CONSUMER_REGEX_REFRESH_INTERVAL_MS: i32 = key("group.consumer.regex.refresh.interval.ms")
        .default("600000").at_least(10_000).internal();
    /// Milliseconds without a heartbeat after which a consumer is dropped.
    GROUP_CONSUMER_SESSION_TIMEOUT_MS: i32 = key("group.consumer.session.timeout.ms")
        .default("45000").at_least(1);
    /// Milliseconds that the coordinator gathers writes; -1 adapts to the load.
    GROUP_COORDINATOR_APPEND_LINGER_MS: i32 = key("group.coordinator.append.linger.ms")
        .default("-1").at_least(-1)
        .no_meaning(EVENTS);
    /// Threads for slow coordinator work.
    GROUP_COORDINATOR_BACKGROUND_THREADS: i32 = key("group.coordinator.background.threads")
        .default("2").at_least(1).high().no_meaning(THREADS);
    /// Largest write buffer that the coordinator keeps for reuse.
    GROUP_COORDINATOR_CACHED_BUFFER_MAX_BYTES: i32 = key("group.coordinator.cached.buffer.max.bytes")
        .default("1048588").at_least(524_288).cluster_wide()
        .no_meaning(BUFFERS);
    /// Group protocols that are offered.
    GROUP_COORDINATOR_REBALANCE_PROTOCOLS: List = key("group.coordinator.rebalance.protocols")
        .default("classic,consumer,streams")
        .one_of(&["consumer", "classic", "share", "streams"]);
    /// Threads of the group coordinator.
    GROUP_COORDINATOR_THREADS: i32 = key("group.coordinator.threads")
        .default("4").at_least(1).high().no_meaning(THREADS);
    /// Milliseconds that an empty classic group waits for more members.
    GROUP_INITIAL_REBALANCE_DELAY_MS: i32 = key("group.initial.rebalance.delay.ms").default("3000");
    /// Largest session time-out that a classic member may ask for.
    GROUP_MAX_SESSION_TIMEOUT_MS: i32 = key("group.max.session.timeout.ms").default("1800000");
    /// Most members of one classic group.
    GROUP_MAX_SIZE: i32 = key("group.max.size").default("2147483647").at_least(1);
    /// Smallest session time-out that a classic member may ask for.
    GROUP_MIN_SESSION_TIMEOUT_MS: i32 = key("group.min.session.timeout.ms").default("6000");
    /// Longest note that a committed offset may carry.
    OFFSET_METADATA_MAX_BYTES: i32 = key("offset.metadata.max.bytes").default("4096").high();
    /// Milliseconds that an offset commit waits for its replicas.
    OFFSETS_COMMIT_TIMEOUT_MS: i32 = key("offsets.commit.timeout.ms")
        .default("5000").at_least(1).high();
    /// Bytes read at once while offsets are loaded.
    OFFSETS_LOAD_BUFFER_SIZE: i32 = key("offsets.load.buffer.size")
        .default("5242880").at_least(1).high();
    /// Milliseconds between two searches for expired offsets.
    OFFSETS_RETENTION_CHECK_INTERVAL_MS: i64 = key("offsets.retention.check.interval.ms")
        .default("600000").at_least(1).high();
    /// Minutes that offsets outlive their group's last member.
    OFFSETS_RETENTION_MINUTES: i32 = key("offsets.retention.minutes")
        .default("10080").at_least(1).high();
    /// Codec of the offsets topic: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    OFFSETS_TOPIC_COMPRESSION_CODEC: i32 = key("offsets.topic.compression.codec")
        .default("0").high();
    /// Partitions of the offsets topic.
    OFFSETS_TOPIC_NUM_PARTITIONS: i32 = key("offsets.topic.num.partitions")
        .default("50").at_least(1).high();
    /// Replicas of the offsets topic.
    OFFSETS_TOPIC_REPLICATION_FACTOR: i16 = key("offsets.topic.replication.factor")
        .default("3").at_least(1).high();
    /// Segment size of the offsets topic.
    OFFSETS_TOPIC_SEGMENT_BYTES: i32 = key("offsets.topic.segment.bytes")
        .default("104857600").at_least(1).high();
}
