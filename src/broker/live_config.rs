//! The configuration in force: the static one under the dynamic layers of the metadata.

use std::sync::Arc;

use arc_swap::ArcSwap;
use pharos_base::BrokerId;
use pharos_config::{BrokerConfig, CompressionType, Overrides, TimestampType, TopicConfig};
use pharos_metadata::image::{ConfigMap, ConfigResource, MetadataImage};
use pharos_replication::TopicSettings;
use pharos_storage as storage;

/// Shared by all that read configuration while the broker runs.
#[derive(Debug)]
pub struct LiveConfig {
    broker: BrokerId,
    current: ArcSwap<BrokerConfig>,
}

impl LiveConfig {
    /// Begins with the static configuration.
    pub fn new(config: BrokerConfig) -> Self {
        Self { broker: BrokerId(config.node_id()), current: ArcSwap::from_pointee(config) }
    }

    /// The configuration in force.
    pub fn get(&self) -> Arc<BrokerConfig> {
        self.current.load_full()
    }

    /// Takes the dynamic layers of `image` over; whether they changed anything.
    pub fn follow(&self, image: &MetadataImage) -> bool {
        let cluster = overrides(image, &ConfigResource::cluster_default());
        let broker = overrides(image, &ConfigResource::broker(self.broker));
        let current = self.get();
        if *current.cluster_overrides() == cluster && *current.broker_overrides() == broker {
            return false;
        }
        self.current.store(Arc::new(current.with_dynamic(cluster, broker)));
        true
    }

    /// The settings of a topic under this configuration.
    pub fn topic_settings(&self, image: &MetadataImage, topic: &str) -> TopicSettings {
        let own = overrides(image, &ConfigResource::topic(topic));
        let config = TopicConfig::resolve(&own, &self.get());
        TopicSettings {
            min_insync_replicas: usize::try_from(config.min_insync_replicas).unwrap_or(1),
            log: log_config(&config),
        }
    }
}

/// What is set on a resource.
pub fn overrides(image: &MetadataImage, resource: &ConfigResource) -> Overrides {
    image.config(resource).map(|set: &Arc<ConfigMap>| (**set).clone()).unwrap_or_default()
}

/// The settings of a log as storage takes them.
pub fn log_config(config: &TopicConfig) -> storage::LogConfig {
    let unsigned = |value: i32| u32::try_from(value).unwrap_or(0);
    storage::LogConfig {
        cleanup_policy: storage::CleanupPolicy {
            delete: config.cleanup_policy.delete,
            compact: config.cleanup_policy.compact,
        },
        compression: match config.compression_type {
            CompressionType::Producer => storage::StoredCompression::Producer,
            CompressionType::Uncompressed => storage::StoredCompression::Uncompressed,
            CompressionType::Gzip => {
                storage::StoredCompression::Gzip(config.compression_gzip_level)
            }
            CompressionType::Snappy => storage::StoredCompression::Snappy,
            CompressionType::Lz4 => storage::StoredCompression::Lz4(config.compression_lz4_level),
            CompressionType::Zstd => {
                storage::StoredCompression::Zstd(config.compression_zstd_level)
            }
        },
        delete_retention_ms: config.delete_retention_ms,
        file_delete_delay_ms: config.file_delete_delay_ms,
        flush_messages: config.flush_messages,
        flush_ms: config.flush_ms,
        index_interval_bytes: unsigned(config.index_interval_bytes),
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        max_message_bytes: unsigned(config.max_message_bytes),
        message_timestamp_after_max_ms: config.message_timestamp_after_max_ms,
        message_timestamp_before_max_ms: config.message_timestamp_before_max_ms,
        message_timestamp_type: match config.message_timestamp_type {
            TimestampType::CreateTime => storage::TimestampType::CreateTime,
            TimestampType::LogAppendTime => storage::TimestampType::LogAppendTime,
        },
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        preallocate: config.preallocate,
        retention_bytes: config.retention_bytes,
        retention_ms: config.retention_ms,
        segment_bytes: unsigned(config.segment_bytes),
        segment_index_bytes: unsigned(config.segment_index_bytes),
        segment_jitter_ms: config.segment_jitter_ms,
        segment_ms: config.segment_ms,
    }
}
