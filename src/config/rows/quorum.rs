//! Rows of the metadata quorum and of its log.

use super::reasons::{CONTROLLER, ONE_VOTER, SNAPSHOTS, WRITES};
use crate::row::broker_rows;
use crate::value::{List, Text};

broker_rows! {
    /// Names of the listeners that controllers use, the first one preferred.
    CONTROLLER_LISTENER_NAMES: List = key("controller.listener.names").high();
    /// Controller events slower than this are logged.
    CONTROLLER_PERFORMANCE_ALWAYS_LOG_THRESHOLD_MS: i64 = key("controller.performance.always.log.threshold.ms")
        .default("2000").at_least(0).internal().no_meaning(CONTROLLER);
    /// Milliseconds between two summaries of controller event times.
    CONTROLLER_PERFORMANCE_SAMPLE_PERIOD_MS: i64 = key("controller.performance.sample.period.ms")
        .default("60000").at_least(100).internal().no_meaning(CONTROLLER);
    /// Milliseconds that the quorum leader gathers writes before it flushes them.
    CONTROLLER_QUORUM_APPEND_LINGER_MS: i32 = key("controller.quorum.append.linger.ms")
        .default("25").at_least(0)
        .no_meaning(WRITES);
    /// Whether a new controller adds itself to the voters.
    CONTROLLER_QUORUM_AUTO_JOIN_ENABLE: bool = key("controller.quorum.auto.join.enable")
        .default("false").low().refused("joining a quorum at run time", &[]);
    /// Addresses, as host:port, at which the controller quorum is found.
    CONTROLLER_QUORUM_BOOTSTRAP_SERVERS: List = key("controller.quorum.bootstrap.servers")
        .default("").non_empty().high()
        .no_meaning(ONE_VOTER);
    /// Longest pause before another election is tried.
    CONTROLLER_QUORUM_ELECTION_BACKOFF_MAX_MS: i32 = key("controller.quorum.election.backoff.max.ms")
        .default("1000").at_least(0).high()
        .no_meaning(ONE_VOTER);
    /// Milliseconds without a majority of votes after which a new election starts.
    CONTROLLER_QUORUM_ELECTION_TIMEOUT_MS: i32 = key("controller.quorum.election.timeout.ms")
        .default("1000").at_least(0).high();
    /// Most bytes of the metadata log in one fetch.
    CONTROLLER_QUORUM_FETCH_MAX_BYTES: i32 = key("controller.quorum.fetch.max.bytes")
        .default("1048576").at_least(1).low()
        .no_meaning(ONE_VOTER);
    /// Most bytes of a metadata snapshot in one fetch.
    CONTROLLER_QUORUM_FETCH_SNAPSHOT_MAX_BYTES: i32 = key("controller.quorum.fetch.snapshot.max.bytes")
        .default("1048576").at_least(1).low()
        .no_meaning(ONE_VOTER);
    /// Milliseconds without news from the leader after which an election starts.
    CONTROLLER_QUORUM_FETCH_TIMEOUT_MS: i32 = key("controller.quorum.fetch.timeout.ms")
        .default("2000").at_least(0).high()
        .no_meaning(ONE_VOTER);
    /// Milliseconds that a quorum request waits for its answer.
    CONTROLLER_QUORUM_REQUEST_TIMEOUT_MS: i32 = key("controller.quorum.request.timeout.ms")
        .default("2000").at_least(0)
        .no_meaning(ONE_VOTER);
    /// Pause before a failed quorum request is sent again.
    CONTROLLER_QUORUM_RETRY_BACKOFF_MS: i32 = key("controller.quorum.retry.backoff.ms")
        .default("20").at_least(0).low()
        .no_meaning(ONE_VOTER);
    /// The voters of the quorum, as id@host:port.
    CONTROLLER_QUORUM_VOTERS: List = key("controller.quorum.voters").default("").non_empty().high();
    /// Samples kept for the quota of topic and partition changes.
    CONTROLLER_QUOTA_WINDOW_NUM: i32 = key("controller.quota.window.num")
        .default("11").at_least(1).low();
    /// Seconds that one sample of the controller quota spans.
    CONTROLLER_QUOTA_WINDOW_SIZE_SECONDS: i32 = key("controller.quota.window.size.seconds")
        .default("1").at_least(1).low();
    /// Milliseconds that a request to the controller may take.
    CONTROLLER_SOCKET_TIMEOUT_MS: i32 = key("controller.socket.timeout.ms").default("30000")
        .no_meaning(ONE_VOTER);
    /// Milliseconds that a removed file of the metadata log stays on disk.
    INTERNAL_METADATA_DELETE_DELAY_MILLIS: i64 = key("internal.metadata.delete.delay.millis")
        .default("60000").low().internal()
        .no_meaning(SNAPSHOTS);
    /// Segment size of the metadata log, below the public minimum; for tests.
    INTERNAL_METADATA_LOG_SEGMENT_BYTES: Option<i32> = key("internal.metadata.log.segment.bytes")
        .low().internal()
        .no_meaning(SNAPSHOTS);
    /// Largest batch of the metadata log, in bytes.
    INTERNAL_METADATA_MAX_BATCH_SIZE_IN_BYTES: i32 = key("internal.metadata.max.batch.size.in.bytes")
        .default("8388608").low().internal()
        .no_meaning(WRITES);
    /// Directory of the metadata log; by default the first log directory.
    METADATA_LOG_DIR: Option<Text> = key("metadata.log.dir").high();
    /// Bytes of metadata records after which a snapshot is taken.
    METADATA_LOG_MAX_RECORD_BYTES_BETWEEN_SNAPSHOTS: i64 = key("metadata.log.max.record.bytes.between.snapshots")
        .default("20971520").at_least(1).high();
    /// Longest time between two snapshots when records were written.
    METADATA_LOG_MAX_SNAPSHOT_INTERVAL_MS: i64 = key("metadata.log.max.snapshot.interval.ms")
        .default("3600000").at_least(0).high();
    /// Size at which a new segment of the metadata log begins.
    METADATA_LOG_SEGMENT_BYTES: i32 = key("metadata.log.segment.bytes")
        .default("1073741824").at_least(8_388_608).high()
        .no_meaning(SNAPSHOTS);
    /// Milliseconds after which a new segment of the metadata log begins.
    METADATA_LOG_SEGMENT_MS: i64 = key("metadata.log.segment.ms").default("604800000").high()
        .no_meaning(SNAPSHOTS);
    /// Milliseconds between no-op records of an idle quorum; 0 means none.
    METADATA_MAX_IDLE_INTERVAL_MS: i32 = key("metadata.max.idle.interval.ms")
        .default("500").at_least(0).low();
    /// Bytes of metadata log and snapshots that are kept.
    METADATA_MAX_RETENTION_BYTES: i64 = key("metadata.max.retention.bytes")
        .default("104857600").high()
        .no_meaning(SNAPSHOTS);
    /// Milliseconds that metadata log and snapshots are kept.
    METADATA_MAX_RETENTION_MS: i64 = key("metadata.max.retention.ms").default("604800000").high()
        .no_meaning(SNAPSHOTS);
}
