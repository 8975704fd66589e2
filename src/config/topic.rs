//! The configuration of one topic, resolved: its own values over the broker's over the defaults.

use crate::broker::{BrokerConfig, Overrides, default_value};
use crate::row::Row;
use crate::rows::topic as row;
use crate::value::{List, Text, Typed, Value};

/// Every key of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `compression.type`.
    pub compression_type: CompressionType,
    /// `compression.gzip.level`: 1 to 9, or −1 for the codec's own default.
    pub compression_gzip_level: i32,
    /// `compression.lz4.level`: 1 to 17.
    pub compression_lz4_level: i32,
    /// `compression.zstd.level`: −131072 to 22.
    pub compression_zstd_level: i32,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `flush.messages`.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `follower.replication.throttled.replicas`.
    pub follower_replication_throttled_replicas: Vec<String>,
    /// `index.interval.bytes`.
    pub index_interval_bytes: i32,
    /// `leader.replication.throttled.replicas`.
    pub leader_replication_throttled_replicas: Vec<String>,
    /// `local.retention.bytes`; −2 means `retention_bytes`.
    pub local_retention_bytes: i64,
    /// `local.retention.ms`; −2 means `retention_ms`.
    pub local_retention_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `max.message.bytes`: largest record batch.
    pub max_message_bytes: i32,
    /// `message.timestamp.after.max.ms`.
    pub message_timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`.
    pub message_timestamp_before_max_ms: i64,
    /// `message.timestamp.type`.
    pub message_timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`: 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `preallocate`.
    pub preallocate: bool,
    /// `remote.log.copy.disable`.
    pub remote_log_copy_disable: bool,
    /// `remote.log.delete.on.disable`.
    pub remote_log_delete_on_disable: bool,
    /// `remote.storage.enable`.
    pub remote_storage_enable: bool,
    /// `retention.bytes`; negative means no limit.
    pub retention_bytes: i64,
    /// `retention.ms`; −1 means for ever.
    pub retention_ms: i64,
    /// `internal.segment.bytes`, else `segment.bytes`.
    pub segment_bytes: i32,
    /// `segment.index.bytes`.
    pub segment_index_bytes: i32,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election_enable: bool,
}

/// What happens to old segments. Both may hold, and neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Segments beyond retention are deleted.
    pub delete: bool,
    /// Older values of a key are removed.
    pub compact: bool,
}

/// In which codec a log stores its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As they arrived.
    Producer,
    /// Without compression.
    Uncompressed,
    /// By gzip.
    Gzip,
    /// By snappy.
    Snappy,
    /// By lz4.
    Lz4,
    /// By zstd.
    Zstd,
}

impl CompressionType {
    fn parse(text: &str) -> Self {
        match text {
            "uncompressed" => Self::Uncompressed,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => Self::Producer,
        }
    }
}

/// Whose time a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at the append.
    LogAppendTime,
}

impl TopicConfig {
    /// Resolves the values of a topic. An override that does not suit its row is passed over: it
    /// cannot have been accepted.
    pub fn resolve(overrides: &Overrides, broker: &BrokerConfig) -> Self {
        let of = Resolver { overrides, broker };
        Self {
            cleanup_policy: of.cleanup_policy(),
            compression_type: CompressionType::parse(&of.text(&row::COMPRESSION_TYPE)),
            compression_gzip_level: of.get::<i32>(&row::COMPRESSION_GZIP_LEVEL),
            compression_lz4_level: of.get::<i32>(&row::COMPRESSION_LZ4_LEVEL),
            compression_zstd_level: of.get::<i32>(&row::COMPRESSION_ZSTD_LEVEL),
            delete_retention_ms: of.get::<i64>(&row::DELETE_RETENTION_MS),
            file_delete_delay_ms: of.get::<i64>(&row::FILE_DELETE_DELAY_MS),
            flush_messages: of.get::<i64>(&row::FLUSH_MESSAGES),
            flush_ms: of.get::<i64>(&row::FLUSH_MS),
            follower_replication_throttled_replicas: of
                .list(&row::FOLLOWER_REPLICATION_THROTTLED_REPLICAS),
            index_interval_bytes: of.get::<i32>(&row::INDEX_INTERVAL_BYTES),
            leader_replication_throttled_replicas: of
                .list(&row::LEADER_REPLICATION_THROTTLED_REPLICAS),
            local_retention_bytes: of.get::<i64>(&row::LOCAL_RETENTION_BYTES),
            local_retention_ms: of.get::<i64>(&row::LOCAL_RETENTION_MS),
            max_compaction_lag_ms: of.get::<i64>(&row::MAX_COMPACTION_LAG_MS),
            max_message_bytes: of.get::<i32>(&row::MAX_MESSAGE_BYTES),
            message_timestamp_after_max_ms: of.get::<i64>(&row::MESSAGE_TIMESTAMP_AFTER_MAX_MS),
            message_timestamp_before_max_ms: of.get::<i64>(&row::MESSAGE_TIMESTAMP_BEFORE_MAX_MS),
            message_timestamp_type: match of.text(&row::MESSAGE_TIMESTAMP_TYPE).as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: of.get::<f64>(&row::MIN_CLEANABLE_DIRTY_RATIO),
            min_compaction_lag_ms: of.get::<i64>(&row::MIN_COMPACTION_LAG_MS),
            min_insync_replicas: of.get::<i32>(&row::MIN_INSYNC_REPLICAS),
            preallocate: of.get::<bool>(&row::PREALLOCATE),
            remote_log_copy_disable: of.get::<bool>(&row::REMOTE_LOG_COPY_DISABLE),
            remote_log_delete_on_disable: of.get::<bool>(&row::REMOTE_LOG_DELETE_ON_DISABLE),
            remote_storage_enable: of.get::<bool>(&row::REMOTE_STORAGE_ENABLE),
            retention_bytes: of.get::<i64>(&row::RETENTION_BYTES),
            retention_ms: of.get::<i64>(&row::RETENTION_MS),
            segment_bytes: of.segment_bytes(),
            segment_index_bytes: of.get::<i32>(&row::SEGMENT_INDEX_BYTES),
            segment_jitter_ms: of.get::<i64>(&row::SEGMENT_JITTER_MS),
            segment_ms: of.get::<i64>(&row::SEGMENT_MS),
            unclean_leader_election_enable: of.get::<bool>(&row::UNCLEAN_LEADER_ELECTION_ENABLE),
        }
    }
}

/// Reads the rows of a resource that may override the broker.
pub(crate) struct Resolver<'a> {
    pub overrides: &'a Overrides,
    pub broker: &'a BrokerConfig,
}

impl Resolver<'_> {
    /// The value of a row that is not nullable.
    pub(crate) fn get<T>(&self, row: &Row) -> T
    where
        T: for<'b> Typed<Out<'b> = T>,
    {
        T::read(&self.value(row))
    }

    pub(crate) fn text(&self, row: &Row) -> String {
        Text::read(&self.value(row)).to_owned()
    }

    pub(crate) fn list(&self, row: &Row) -> Vec<String> {
        List::read(&self.value(row)).to_vec()
    }

    fn value(&self, row: &Row) -> Value {
        let own = self.overrides.get(row.name).and_then(|text| Value::parse(row.kind, text));
        own.filter(|value| row.check.passes(value)).unwrap_or_else(|| supplied(row, self.broker))
    }

    fn segment_bytes(&self) -> i32 {
        let internal = self.value(&row::INTERNAL_SEGMENT_BYTES);
        Option::<i32>::read(&internal).unwrap_or_else(|| self.get::<i32>(&row::SEGMENT_BYTES))
    }

    fn cleanup_policy(&self) -> CleanupPolicy {
        let list = self.list(&row::CLEANUP_POLICY);
        let has = |policy: &str| list.iter().any(|entry| entry == policy);
        CleanupPolicy { delete: has("delete"), compact: has("compact") }
    }
}

/// What the broker supplies for a row, else the row's default.
pub(crate) fn supplied(row: &Row, broker: &BrokerConfig) -> Value {
    for supplier in row.suppliers {
        let Some(broker_row) = crate::rows::broker_row(supplier.name) else { continue };
        match broker.value(broker_row) {
            Value::Null => {}
            // Hours and minutes below zero mean "for ever", which is −1 in milliseconds.
            Value::Integer(value) if supplier.factor != 1 => {
                return Value::Integer(value.saturating_mul(supplier.factor).max(-1));
            }
            value => return value.clone(),
        }
    }
    default_value(row).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(pairs: &[(&str, &str)]) -> Overrides {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_topic_takes_its_own_value_then_the_brokers_then_the_default() {
        let broker = BrokerConfig::defaults(&[
            "log.retention.hours=1",
            "log.flush.scheduler.interval.ms=7",
            "message.max.bytes=5",
            "log.cleanup.policy=compact",
        ])
        .unwrap();
        let topic = TopicConfig::resolve(&Overrides::new(), &broker);
        assert_eq!(topic.retention_ms, 3_600_000);
        assert_eq!(topic.flush_ms, 7);
        assert_eq!(topic.max_message_bytes, 5);
        assert_eq!(topic.segment_ms, 604_800_000);
        assert_eq!(topic.cleanup_policy, CleanupPolicy { delete: false, compact: true });
        let own = overrides(&[
            ("retention.ms", "9"),
            ("cleanup.policy", "compact,delete"),
            ("compression.type", "zstd"),
            ("message.timestamp.type", "LogAppendTime"),
            ("internal.segment.bytes", "100"),
            ("max.message.bytes", "nonsense"),
        ]);
        let topic = TopicConfig::resolve(&own, &broker);
        assert_eq!(topic.retention_ms, 9);
        assert_eq!(topic.cleanup_policy, CleanupPolicy { delete: true, compact: true });
        assert_eq!(topic.compression_type, CompressionType::Zstd);
        assert_eq!(topic.message_timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(topic.segment_bytes, 100);
        assert_eq!(topic.max_message_bytes, 5);
    }

    #[test]
    fn hours_and_minutes_become_milliseconds() {
        let check = |given: &[&str], retention_ms: i64| {
            let broker = BrokerConfig::defaults(given).unwrap();
            let topic = TopicConfig::resolve(&Overrides::new(), &broker);
            assert_eq!(topic.retention_ms, retention_ms, "{given:?}");
            assert_eq!(broker.log_retention_ms(), retention_ms, "{given:?}");
        };
        check(&[], 604_800_000);
        check(&["log.retention.hours=-1"], -1);
        check(&["log.retention.minutes=2"], 120_000);
        check(&["log.retention.minutes=2", "log.retention.ms=3"], 3);
    }
}
