//! The settings of one log as plain numbers. Parsing, defaults by key and synonyms are `config`'s.

pub use pharos_protocol::batch::TimestampType;

/// Which ways of cleaning apply (`cleanup.policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Old segments are deleted.
    pub delete: bool,
    /// Only the latest value of each key is kept.
    pub compact: bool,
}

/// Codec in which batches are stored (`compression.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredCompression {
    /// As the producer sent them.
    Producer,
    /// Not compressed.
    Uncompressed,
    /// gzip of this level (1 to 9, -1 the codec's default).
    Gzip(i32),
    /// snappy.
    Snappy,
    /// lz4 of this level (1 to 17).
    Lz4(i32),
    /// zstd of this level (-131072 to 22).
    Zstd(i32),
}

/// Settings of one log; the field names are the topic keys. Times in milliseconds, sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `cleanup.policy`
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type` with its level
    pub compression: StoredCompression,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: i64,
    /// `flush.messages`
    pub flush_messages: i64,
    /// `flush.ms`
    pub flush_ms: i64,
    /// `index.interval.bytes`
    pub index_interval_bytes: u32,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `max.message.bytes`
    pub max_message_bytes: u32,
    /// `message.timestamp.after.max.ms`
    pub message_timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.type`
    pub message_timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `preallocate`
    pub preallocate: bool,
    /// `retention.bytes`; negative: without limit
    pub retention_bytes: i64,
    /// `retention.ms`; negative: without limit
    pub retention_ms: i64,
    /// `segment.bytes` (or `internal.segment.bytes`)
    pub segment_bytes: u32,
    /// `segment.index.bytes`
    pub segment_index_bytes: u32,
    /// `segment.jitter.ms`
    pub segment_jitter_ms: i64,
    /// `segment.ms`
    pub segment_ms: i64,
}

impl LogConfig {
    /// Longest time that a segment takes records: a compacted one is closed in time for
    /// `max.compaction.lag.ms` (`LogConfig.maxSegmentMs`).
    pub(crate) fn max_segment_ms(&self) -> i64 {
        let lag = self.cleanup_policy.compact && self.max_compaction_lag_ms > 0;
        if lag { self.segment_ms.min(self.max_compaction_lag_ms) } else { self.segment_ms }
    }
}

impl Default for LogConfig {
    /// Kafka's defaults (`LogConfig` in apache/kafka).
    fn default() -> Self {
        const DAY_MS: i64 = 86_400_000;
        Self {
            cleanup_policy: CleanupPolicy { delete: true, compact: false },
            compression: StoredCompression::Producer,
            delete_retention_ms: DAY_MS,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            index_interval_bytes: 4096,
            max_compaction_lag_ms: i64::MAX,
            max_message_bytes: 1_048_588,
            message_timestamp_after_max_ms: 3_600_000,
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_type: TimestampType::CreateTime,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            preallocate: false,
            retention_bytes: -1,
            retention_ms: 7 * DAY_MS,
            segment_bytes: 1 << 30,
            segment_index_bytes: 10 << 20,
            segment_jitter_ms: 0,
            segment_ms: 7 * DAY_MS,
        }
    }
}
