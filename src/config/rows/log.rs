//! Rows of the logs: segments, flushing, retention, cleaning, timestamps, compression.

use super::reasons::{LZ4, ONE_VOTER};
use crate::row::broker_rows;
use crate::value::{List, Text};

broker_rows! {
    /// Level with which gzip batches are written when the broker recompresses.
    COMPRESSION_GZIP_LEVEL: i32 = key("compression.gzip.level")
        .default("-1").between_or(1, 9, -1).cluster_wide();
    /// Level with which lz4 batches are written when the broker recompresses.
    COMPRESSION_LZ4_LEVEL: i32 = key("compression.lz4.level")
        .default("9").between(1, 17).cluster_wide()
        .no_meaning(LZ4);
    /// Codec in which batches are stored; `producer` keeps what arrived.
    COMPRESSION_TYPE: Text = key("compression.type")
        .default("producer")
        .one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]).high()
        .cluster_wide();
    /// Level with which zstd batches are written when the broker recompresses.
    COMPRESSION_ZSTD_LEVEL: i32 = key("compression.zstd.level")
        .default("3").between(-131_072, 22).cluster_wide();
    /// Log directories that get no new partitions.
    CORDONED_LOG_DIRS: List = key("cordoned.log.dirs").default("").per_broker();
    /// Milliseconds that a cleaner sleeps when there is nothing to clean.
    LOG_CLEANER_BACKOFF_MS: i64 = key("log.cleaner.backoff.ms")
        .default("15000").at_least(0).cluster_wide();
    /// Bytes of key map, over all cleaner threads.
    LOG_CLEANER_DEDUPE_BUFFER_SIZE: i64 = key("log.cleaner.dedupe.buffer.size")
        .default("134217728").cluster_wide();
    /// Milliseconds that a tombstone stays readable in a compacted log.
    LOG_CLEANER_DELETE_RETENTION_MS: i64 = key("log.cleaner.delete.retention.ms")
        .default("86400000").at_least(0).cluster_wide();
    /// Whether compacted topics are cleaned.
    LOG_CLEANER_ENABLE: bool = key("log.cleaner.enable").default("true");
    /// How full the key map may get, from 0 to 1.
    LOG_CLEANER_IO_BUFFER_LOAD_FACTOR: f64 = key("log.cleaner.io.buffer.load.factor")
        .default("0.9").cluster_wide();
    /// Bytes of read and write buffers, over all cleaner threads.
    LOG_CLEANER_IO_BUFFER_SIZE: i32 = key("log.cleaner.io.buffer.size")
        .default("524288").at_least(0).cluster_wide();
    /// Most bytes that all cleaners read and write in a second.
    LOG_CLEANER_IO_MAX_BYTES_PER_SECOND: f64 = key("log.cleaner.io.max.bytes.per.second")
        .default("1.7976931348623157E308").cluster_wide();
    /// Longest time that a record stays out of reach of the cleaner.
    LOG_CLEANER_MAX_COMPACTION_LAG_MS: i64 = key("log.cleaner.max.compaction.lag.ms")
        .default("9223372036854775807").at_least(1).cluster_wide();
    /// Share of a log that must be dirty before it is cleaned.
    LOG_CLEANER_MIN_CLEANABLE_RATIO: f64 = key("log.cleaner.min.cleanable.ratio")
        .default("0.5").within(0.0, 1.0).cluster_wide();
    /// Milliseconds for which a record is kept from the cleaner.
    LOG_CLEANER_MIN_COMPACTION_LAG_MS: i64 = key("log.cleaner.min.compaction.lag.ms")
        .default("0").at_least(0).cluster_wide();
    /// Cleaners that work at the same time.
    LOG_CLEANER_THREADS: i32 = key("log.cleaner.threads").default("1").at_least(0).cluster_wide();
    /// What happens to old segments: `delete`, `compact` or both.
    LOG_CLEANUP_POLICY: List = key("log.cleanup.policy")
        .default("delete").one_of(&["compact", "delete"]).cluster_wide();
    /// Directories of the logs, unless `log.dirs` is given.
    LOG_DIR: List = key("log.dir").default("/tmp/kafka-logs").high();
    /// Milliseconds for which a failed directory may stay unknown to the controller before the broker stops.
    LOG_DIR_FAILURE_TIMEOUT_MS: i64 = key("log.dir.failure.timeout.ms")
        .default("30000").at_least(1).low()
        .no_meaning(ONE_VOTER);
    /// Directories of the logs, separated by commas.
    LOG_DIRS: Option<List> = key("log.dirs").high();
    /// Records of a partition after which its log is flushed.
    LOG_FLUSH_INTERVAL_MESSAGES: i64 = key("log.flush.interval.messages")
        .default("9223372036854775807").at_least(1).high().cluster_wide();
    /// Longest time that a record stays unflushed.
    LOG_FLUSH_INTERVAL_MS: Option<i64> = key("log.flush.interval.ms")
        .high().cluster_wide().synonyms(&["log.flush.scheduler.interval.ms"]);
    /// Milliseconds between two writes of the recovery points.
    LOG_FLUSH_OFFSET_CHECKPOINT_INTERVAL_MS: i32 = key("log.flush.offset.checkpoint.interval.ms")
        .default("60000").at_least(0).high();
    /// Milliseconds between two searches for logs that are due for a flush.
    LOG_FLUSH_SCHEDULER_INTERVAL_MS: i64 = key("log.flush.scheduler.interval.ms")
        .default("9223372036854775807").high();
    /// Milliseconds between two writes of the log start offsets.
    LOG_FLUSH_START_OFFSET_CHECKPOINT_INTERVAL_MS: i32 = key("log.flush.start.offset.checkpoint.interval.ms")
        .default("60000").at_least(0).high();
    /// Bytes of log between two entries of the offset index.
    LOG_INDEX_INTERVAL_BYTES: i32 = key("log.index.interval.bytes")
        .default("4096").at_least(0).cluster_wide();
    /// Largest offset or time index, in bytes.
    LOG_INDEX_SIZE_MAX_BYTES: i32 = key("log.index.size.max.bytes")
        .default("10485760").at_least(4).cluster_wide();
    /// Milliseconds after the start before retention, flush and checkpoints first run.
    LOG_INITIAL_TASK_DELAY_MS: i64 = key("log.initial.task.delay.ms")
        .default("30000").at_least(0).low().internal();
    /// How far a record's timestamp may lie after the broker's time.
    LOG_MESSAGE_TIMESTAMP_AFTER_MAX_MS: i64 = key("log.message.timestamp.after.max.ms")
        .default("3600000").at_least(0).cluster_wide();
    /// How far a record's timestamp may lie before the broker's time.
    LOG_MESSAGE_TIMESTAMP_BEFORE_MAX_MS: i64 = key("log.message.timestamp.before.max.ms")
        .default("9223372036854775807").at_least(0).cluster_wide();
    /// Whether a record keeps the time of its creation or gets the time of its append.
    LOG_MESSAGE_TIMESTAMP_TYPE: Text = key("log.message.timestamp.type")
        .default("CreateTime").one_of(&["CreateTime", "LogAppendTime"]).cluster_wide();
    /// Whether a new segment takes its full size on disk at once.
    LOG_PREALLOCATE: bool = key("log.preallocate").default("false").cluster_wide();
    /// Bytes of a partition beyond which old segments are deleted; -1 means no limit.
    LOG_RETENTION_BYTES: i64 = key("log.retention.bytes").default("-1").high().cluster_wide();
    /// Milliseconds between two searches for segments to delete.
    LOG_RETENTION_CHECK_INTERVAL_MS: i64 = key("log.retention.check.interval.ms")
        .default("300000").at_least(1);
    /// Hours that a segment is kept, unless minutes or milliseconds are given.
    LOG_RETENTION_HOURS: i32 = key("log.retention.hours")
        .default("168").high().synonyms(&["log.retention.ms", "log.retention.minutes"]);
    /// Minutes that a segment is kept, unless milliseconds are given.
    LOG_RETENTION_MINUTES: Option<i32> = key("log.retention.minutes")
        .high().synonyms(&["log.retention.ms", "log.retention.hours"]);
    /// Milliseconds that a segment is kept; -1 means for ever.
    LOG_RETENTION_MS: Option<i64> = key("log.retention.ms")
        .high().cluster_wide().synonyms(&["log.retention.minutes", "log.retention.hours"]);
    /// Hours after which a new segment begins, unless milliseconds are given.
    LOG_ROLL_HOURS: i32 = key("log.roll.hours")
        .default("168").at_least(1).high().synonyms(&["log.roll.ms"]);
    /// Most hours taken at random from the roll time, unless milliseconds are given.
    LOG_ROLL_JITTER_HOURS: i32 = key("log.roll.jitter.hours")
        .default("0").at_least(0).high().synonyms(&["log.roll.jitter.ms"]);
    /// Most milliseconds taken at random from the roll time.
    LOG_ROLL_JITTER_MS: Option<i64> = key("log.roll.jitter.ms")
        .high().cluster_wide().synonyms(&["log.roll.jitter.hours"]);
    /// Milliseconds after which a new segment begins.
    LOG_ROLL_MS: Option<i64> = key("log.roll.ms")
        .high().cluster_wide().synonyms(&["log.roll.hours"]);
    /// Size at which a new segment begins.
    LOG_SEGMENT_BYTES: i32 = key("log.segment.bytes")
        .default("1073741824").at_least(1_048_576).high().cluster_wide();
    /// Milliseconds that a removed file stays on disk.
    LOG_SEGMENT_DELETE_DELAY_MS: i64 = key("log.segment.delete.delay.ms")
        .default("60000").at_least(0).high().cluster_wide();
    /// Largest record batch, in bytes.
    MESSAGE_MAX_BYTES: i32 = key("message.max.bytes")
        .default("1048588").at_least(0).high().cluster_wide();
    /// Logs of one directory that are recovered at the same time.
    NUM_RECOVERY_THREADS_PER_DATA_DIR: i32 = key("num.recovery.threads.per.data.dir")
        .default("2").at_least(1).high().cluster_wide();
}
