//! Rows of a topic.

use super::reasons::LZ4;
use crate::row::resource_rows;
use crate::value::{List, Text};

resource_rows! {
    /// What happens to old segments: `delete`, `compact` or both.
    CLEANUP_POLICY: List = key("cleanup.policy")
        .default("delete").one_of(&["compact", "delete"])
        .supplied_by(&[same("log.cleanup.policy")]);
    /// Level with which gzip batches are written when the broker recompresses.
    COMPRESSION_GZIP_LEVEL: i32 = key("compression.gzip.level")
        .default("-1").between_or(1, 9, -1).supplied_by(&[same("compression.gzip.level")]);
    /// Level with which lz4 batches are written when the broker recompresses.
    COMPRESSION_LZ4_LEVEL: i32 = key("compression.lz4.level")
        .default("9").between(1, 17).supplied_by(&[same("compression.lz4.level")])
        .no_meaning(LZ4);
    /// Codec in which batches are stored; `producer` keeps what arrived.
    COMPRESSION_TYPE: Text = key("compression.type")
        .default("producer")
        .one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])
        .supplied_by(&[same("compression.type")]);
    /// Level with which zstd batches are written when the broker recompresses.
    COMPRESSION_ZSTD_LEVEL: i32 = key("compression.zstd.level")
        .default("3").between(-131_072, 22).supplied_by(&[same("compression.zstd.level")]);
    /// Milliseconds that a tombstone stays readable in a compacted log.
    DELETE_RETENTION_MS: i64 = key("delete.retention.ms")
        .default("86400000").at_least(0)
        .supplied_by(&[same("log.cleaner.delete.retention.ms")]);
    /// Milliseconds that a removed file stays on disk.
    FILE_DELETE_DELAY_MS: i64 = key("file.delete.delay.ms")
        .default("60000").at_least(0).supplied_by(&[same("log.segment.delete.delay.ms")]);
    /// Records of a partition after which its log is flushed.
    FLUSH_MESSAGES: i64 = key("flush.messages")
        .default("9223372036854775807").at_least(1)
        .supplied_by(&[same("log.flush.interval.messages")]);
    /// Longest time that a record stays unflushed.
    FLUSH_MS: i64 = key("flush.ms")
        .default("9223372036854775807").at_least(0)
        .supplied_by(&[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")]);
    /// Replicas whose fetching is throttled, as partition:broker, or `*` for all.
    FOLLOWER_REPLICATION_THROTTLED_REPLICAS: List = key("follower.replication.throttled.replicas")
        .default("").throttled_replicas().refused("replication throttles", &[]);
    /// Bytes of log between two entries of the offset index.
    INDEX_INTERVAL_BYTES: i32 = key("index.interval.bytes")
        .default("4096").at_least(0).supplied_by(&[same("log.index.interval.bytes")]);
    /// Segment size below the public minimum; for tests.
    INTERNAL_SEGMENT_BYTES: Option<i32> = key("internal.segment.bytes").internal();
    /// Replicas that leaders serve throttled, as partition:broker, or `*` for all.
    LEADER_REPLICATION_THROTTLED_REPLICAS: List = key("leader.replication.throttled.replicas")
        .default("").throttled_replicas().refused("replication throttles", &[]);
    /// Bytes of a tiered partition that stay on local disk; -2 means as much as retention allows.
    LOCAL_RETENTION_BYTES: i64 = key("local.retention.bytes")
        .default("-2").at_least(-2).supplied_by(&[same("log.local.retention.bytes")])
        .refused("remote storage", &[]);
    /// Milliseconds that a tiered segment stays on local disk; -2 means as long as retention allows.
    LOCAL_RETENTION_MS: i64 = key("local.retention.ms")
        .default("-2").at_least(-2).supplied_by(&[same("log.local.retention.ms")])
        .refused("remote storage", &[]);
    /// Longest time that a record stays out of reach of the cleaner.
    MAX_COMPACTION_LAG_MS: i64 = key("max.compaction.lag.ms")
        .default("9223372036854775807").at_least(1)
        .supplied_by(&[same("log.cleaner.max.compaction.lag.ms")]);
    /// Largest record batch, in bytes.
    MAX_MESSAGE_BYTES: i32 = key("max.message.bytes")
        .default("1048588").at_least(0).supplied_by(&[same("message.max.bytes")]);
    /// How far a record's timestamp may lie after the broker's time.
    MESSAGE_TIMESTAMP_AFTER_MAX_MS: i64 = key("message.timestamp.after.max.ms")
        .default("3600000").at_least(0)
        .supplied_by(&[same("log.message.timestamp.after.max.ms")]);
    /// How far a record's timestamp may lie before the broker's time.
    MESSAGE_TIMESTAMP_BEFORE_MAX_MS: i64 = key("message.timestamp.before.max.ms")
        .default("9223372036854775807").at_least(0)
        .supplied_by(&[same("log.message.timestamp.before.max.ms")]);
    /// Whether a record keeps the time of its creation or gets the time of its append.
    MESSAGE_TIMESTAMP_TYPE: Text = key("message.timestamp.type")
        .default("CreateTime").one_of(&["CreateTime", "LogAppendTime"])
        .supplied_by(&[same("log.message.timestamp.type")]);
    /// Share of a log that must be dirty before it is cleaned.
    MIN_CLEANABLE_DIRTY_RATIO: f64 = key("min.cleanable.dirty.ratio")
        .default("0.5").within(0.0, 1.0)
        .supplied_by(&[same("log.cleaner.min.cleanable.ratio")]);
    /// Milliseconds for which a record is kept from the cleaner.
    MIN_COMPACTION_LAG_MS: i64 = key("min.compaction.lag.ms")
        .default("0").at_least(0).supplied_by(&[same("log.cleaner.min.compaction.lag.ms")]);
    /// In-sync replicas that a write with acks=all needs.
    MIN_INSYNC_REPLICAS: i32 = key("min.insync.replicas")
        .default("1").at_least(1).supplied_by(&[same("min.insync.replicas")]);
    /// Whether a new segment takes its full size on disk at once.
    PREALLOCATE: bool = key("preallocate").default("false").supplied_by(&[same("log.preallocate")]);
    /// Whether copying to remote storage stops and what is there becomes read-only.
    REMOTE_LOG_COPY_DISABLE: bool = key("remote.log.copy.disable")
        .default("false").refused("remote storage", &[]);
    /// Whether remote data is deleted when tiering is turned off.
    REMOTE_LOG_DELETE_ON_DISABLE: bool = key("remote.log.delete.on.disable")
        .default("false").refused("remote storage", &[]);
    /// Whether segments of the topic are copied to remote storage.
    REMOTE_STORAGE_ENABLE: bool = key("remote.storage.enable")
        .default("false").refused("remote storage", &[]);
    /// Bytes of a partition beyond which old segments are deleted; -1 means no limit.
    RETENTION_BYTES: i64 = key("retention.bytes")
        .default("-1").supplied_by(&[same("log.retention.bytes")]);
    /// The maximum time in milliseconds that a segment is kept; -1 means for ever.
    RETENTION_MS: i64 = key("retention.ms")
        .default("604800000").at_least(-1)
        .supplied_by(&[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")]);
    /// Size at which a new segment begins.
    SEGMENT_BYTES: i32 = key("segment.bytes")
        .default("1073741824").at_least(1_048_576).supplied_by(&[same("log.segment.bytes")]);
    /// Largest offset or time index, in bytes.
    SEGMENT_INDEX_BYTES: i32 = key("segment.index.bytes")
        .default("10485760").at_least(4).supplied_by(&[same("log.index.size.max.bytes")]);
    /// Most milliseconds taken at random from the roll time.
    SEGMENT_JITTER_MS: i64 = key("segment.jitter.ms")
        .default("0").at_least(0)
        .supplied_by(&[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")]);
    /// Milliseconds after which a new segment begins.
    SEGMENT_MS: i64 = key("segment.ms")
        .default("604800000").at_least(1)
        .supplied_by(&[same("log.roll.ms"), hours("log.roll.hours")]);
    /// Whether a replica out of sync may lead when no other is left.
    UNCLEAN_LEADER_ELECTION_ENABLE: bool = key("unclean.leader.election.enable")
        .default("false").supplied_by(&[same("unclean.leader.election.enable")]);
}
