//! Rows of remote storage: known by name, without meaning while there is none.

use super::reasons::TIERS;
use crate::row::broker_rows;
use crate::value::Text;

broker_rows! {
    /// Whether a new follower starts behind the data in remote storage.
    FOLLOWER_FETCH_LAST_TIERED_OFFSET_ENABLE: bool = key("follower.fetch.last.tiered.offset.enable")
        .default("false").cluster_wide().no_meaning(TIERS);
    /// Bytes of a tiered partition that stay on local disk; -2 means as much as retention allows.
    LOG_LOCAL_RETENTION_BYTES: i64 = key("log.local.retention.bytes")
        .default("-2").at_least(-2).cluster_wide().no_meaning(TIERS);
    /// Milliseconds that a tiered segment stays on local disk; -2 means as long as retention allows.
    LOG_LOCAL_RETENTION_MS: i64 = key("log.local.retention.ms")
        .default("-2").at_least(-2).cluster_wide().no_meaning(TIERS);
    /// Longest wait of a fetch for remote storage.
    REMOTE_FETCH_MAX_WAIT_MS: i32 = key("remote.fetch.max.wait.ms")
        .default("500").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Longest wait of an offset look-up for remote storage.
    REMOTE_LIST_OFFSETS_REQUEST_TIMEOUT_MS: i64 = key("remote.list.offsets.request.timeout.ms")
        .default("30000").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Bytes of index files from remote storage that are kept on local disk.
    REMOTE_LOG_INDEX_FILE_CACHE_TOTAL_SIZE_BYTES: i64 = key("remote.log.index.file.cache.total.size.bytes")
        .default("1073741824").at_least(1).low().cluster_wide().no_meaning(TIERS);
    /// Milliseconds that an unused index file from remote storage is kept.
    REMOTE_LOG_INDEX_FILE_CACHE_TTL_MS: i64 = key("remote.log.index.file.cache.ttl.ms")
        .default("900000").at_least(-1).low().internal().no_meaning(TIERS);
    /// Threads that copy segments to remote storage.
    REMOTE_LOG_MANAGER_COPIER_THREAD_POOL_SIZE: i32 = key("remote.log.manager.copier.thread.pool.size")
        .default("10").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Most bytes copied to remote storage in a second.
    REMOTE_LOG_MANAGER_COPY_MAX_BYTES_PER_SECOND: i64 = key("remote.log.manager.copy.max.bytes.per.second")
        .default("9223372036854775807").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Samples kept for the copy quota.
    REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_NUM: i32 = key("remote.log.manager.copy.quota.window.num")
        .default("11").at_least(1).no_meaning(TIERS);
    /// Seconds that one sample of the copy quota spans.
    REMOTE_LOG_MANAGER_COPY_QUOTA_WINDOW_SIZE_SECONDS: i32 = key("remote.log.manager.copy.quota.window.size.seconds")
        .default("1").at_least(1).no_meaning(TIERS);
    /// Threads that delete expired remote segments.
    REMOTE_LOG_MANAGER_EXPIRATION_THREAD_POOL_SIZE: i32 = key("remote.log.manager.expiration.thread.pool.size")
        .default("10").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Most bytes fetched from remote storage in a second.
    REMOTE_LOG_MANAGER_FETCH_MAX_BYTES_PER_SECOND: i64 = key("remote.log.manager.fetch.max.bytes.per.second")
        .default("9223372036854775807").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Samples kept for the fetch quota.
    REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_NUM: i32 = key("remote.log.manager.fetch.quota.window.num")
        .default("11").at_least(1).no_meaning(TIERS);
    /// Seconds that one sample of the fetch quota spans.
    REMOTE_LOG_MANAGER_FETCH_QUOTA_WINDOW_SIZE_SECONDS: i32 = key("remote.log.manager.fetch.quota.window.size.seconds")
        .default("1").at_least(1).no_meaning(TIERS);
    /// Threads that serve followers of tiered partitions.
    REMOTE_LOG_MANAGER_FOLLOWER_THREAD_POOL_SIZE: i32 = key("remote.log.manager.follower.thread.pool.size")
        .default("2").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Milliseconds between two rounds of copying and expiring.
    REMOTE_LOG_MANAGER_TASK_INTERVAL_MS: i64 = key("remote.log.manager.task.interval.ms")
        .default("30000").at_least(1).low().no_meaning(TIERS);
    /// Longest pause before a failed remote task is tried again.
    REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MAX_MS: i64 = key("remote.log.manager.task.retry.backoff.max.ms")
        .default("30000").at_least(1).low().internal().no_meaning(TIERS);
    /// Pause before a failed remote task is tried again.
    REMOTE_LOG_MANAGER_TASK_RETRY_BACKOFF_MS: i64 = key("remote.log.manager.task.retry.backoff.ms")
        .default("500").at_least(1).low().internal().no_meaning(TIERS);
    /// Random share of the pause before a remote task is tried again.
    REMOTE_LOG_MANAGER_TASK_RETRY_JITTER: f64 = key("remote.log.manager.task.retry.jitter")
        .default("0.2").within(0.0, 0.5).low().internal().no_meaning(TIERS);
    /// Threads for remote storage work.
    REMOTE_LOG_MANAGER_THREAD_POOL_SIZE: i32 = key("remote.log.manager.thread.pool.size")
        .default("2").at_least(1).no_meaning(TIERS);
    /// Most bytes of a storage plugin's own metadata.
    REMOTE_LOG_METADATA_CUSTOM_METADATA_MAX_BYTES: i32 = key("remote.log.metadata.custom.metadata.max.bytes")
        .default("128").at_least(0).low().no_meaning(TIERS);
    /// Java class that keeps the metadata of remote segments.
    REMOTE_LOG_METADATA_MANAGER_CLASS_NAME: Text = key("remote.log.metadata.manager.class.name")

        .default("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager")
        .non_empty().no_meaning(TIERS);
    /// Where the class of the metadata manager is loaded from.
    REMOTE_LOG_METADATA_MANAGER_CLASS_PATH: Option<Text> = key("remote.log.metadata.manager.class.path")
        .no_meaning(TIERS);
    /// Prefix of the metadata manager's own keys.
    REMOTE_LOG_METADATA_MANAGER_IMPL_PREFIX: Text = key("remote.log.metadata.manager.impl.prefix")
        .default("rlmm.config.").non_empty().no_meaning(TIERS);
    /// Listener over which the metadata manager reaches brokers.
    REMOTE_LOG_METADATA_MANAGER_LISTENER_NAME: Option<Text> = key("remote.log.metadata.manager.listener.name")
        .non_empty().no_meaning(TIERS);
    /// Reads from remote storage that may wait.
    REMOTE_LOG_READER_MAX_PENDING_TASKS: i32 = key("remote.log.reader.max.pending.tasks")
        .default("100").at_least(1).no_meaning(TIERS);
    /// Threads that read from remote storage.
    REMOTE_LOG_READER_THREADS: i32 = key("remote.log.reader.threads")
        .default("10").at_least(1).cluster_wide().no_meaning(TIERS);
    /// Java class that talks to the remote storage.
    REMOTE_LOG_STORAGE_MANAGER_CLASS_NAME: Option<Text> = key("remote.log.storage.manager.class.name")
        .non_empty().refused("remote storage", &[]);
    /// Where the class of the storage manager is loaded from.
    REMOTE_LOG_STORAGE_MANAGER_CLASS_PATH: Option<Text> = key("remote.log.storage.manager.class.path")
        .no_meaning(TIERS);
    /// Prefix of the storage manager's own keys.
    REMOTE_LOG_STORAGE_MANAGER_IMPL_PREFIX: Text = key("remote.log.storage.manager.impl.prefix")
        .default("rsm.config.").non_empty().no_meaning(TIERS);
    /// Whether segments may be moved to remote storage.
    REMOTE_LOG_STORAGE_SYSTEM_ENABLE: bool = key("remote.log.storage.system.enable")
        .default("false").refused("remote storage", &[]);
}
