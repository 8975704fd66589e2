//! Native families: the contract of what is exposed beside the beans.

use crate::native::{FamilyKind, FamilyRow, Owner};

/// Bounds of durations, in seconds.
pub const DURATION_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds of ages and rebalances, in seconds.
pub const LONG_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 1800.0, 3600.0,
];

/// Bounds of sizes, in bytes: 64 B to 64 MiB by 4.
pub const SIZE_BYTES: &[f64] = &[
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Series of families that have a fixed, small set of labels.
const FEW: usize = 2_000;
/// Series of families by topic.
const TOPICS: usize = 10_000;
/// Series of families by partition.
const PARTITIONS: usize = 100_000;
/// Series of families by group.
const GROUPS: usize = 10_000;
/// Series of families by group and topic or partition.
const GROUP_PARTITIONS: usize = 200_000;

macro_rules! families {
    ($($id:ident = $name:literal, $kind:expr, [$($label:literal),*], $owner:ident, $limit:expr, $unit:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub static $id: FamilyRow = FamilyRow {
                name: $name,
                kind: $kind,
                labels: &[$($label),*],
                unit: $unit,
                owner: Owner::$owner,
                limit: $limit,
                meaning: $meaning,
            };
        )*

        /// The rows of this file.
        pub static FAMILIES: &[&FamilyRow] = &[$(&$id),*];
    };
}

use FamilyKind::{Counter, Gauge, Histogram};

families! {
    KAFKA_BROKERS = "kafka_brokers", Gauge, [], ActiveController, FEW, "brokers", "Brokers of the cluster.";
    KAFKA_BROKER_INFO = "kafka_broker_info", Gauge, ["id", "address"], ActiveController, FEW, "1", "1 per broker, with its address.";
    KAFKA_TOPIC_PARTITIONS = "kafka_topic_partitions", Gauge, ["topic"], ActiveController, TOPICS, "partitions", "Partitions of the topic.";
    KAFKA_TOPIC_PARTITION_CURRENT_OFFSET = "kafka_topic_partition_current_offset", Gauge, ["topic", "partition"], Leader, PARTITIONS, "offset", "High watermark.";
    KAFKA_TOPIC_PARTITION_OLDEST_OFFSET = "kafka_topic_partition_oldest_offset", Gauge, ["topic", "partition"], Leader, PARTITIONS, "offset", "Log start offset.";
    KAFKA_TOPIC_PARTITION_LEADER = "kafka_topic_partition_leader", Gauge, ["topic", "partition"], ActiveController, PARTITIONS, "node id", "Leader of the partition; -1 without one.";
    KAFKA_TOPIC_PARTITION_LEADER_IS_PREFERRED = "kafka_topic_partition_leader_is_preferred", Gauge, ["topic", "partition"], ActiveController, PARTITIONS, "0/1", "1 when the leader is the preferred replica.";
    KAFKA_TOPIC_PARTITION_REPLICAS = "kafka_topic_partition_replicas", Gauge, ["topic", "partition"], ActiveController, PARTITIONS, "replicas", "Replicas of the partition.";
    KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA = "kafka_topic_partition_in_sync_replica", Gauge, ["topic", "partition"], ActiveController, PARTITIONS, "replicas", "Replicas in sync.";
    KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION = "kafka_topic_partition_under_replicated_partition", Gauge, ["topic", "partition"], ActiveController, PARTITIONS, "0/1", "1 when fewer replicas are in sync than there are.";
    KAFKA_CONSUMERGROUP_CURRENT_OFFSET = "kafka_consumergroup_current_offset", Gauge, ["consumergroup", "topic", "partition"], Coordinator, GROUP_PARTITIONS, "offset", "Committed offset.";
    KAFKA_CONSUMERGROUP_LAG = "kafka_consumergroup_lag", Gauge, ["consumergroup", "topic", "partition"], Coordinator, GROUP_PARTITIONS, "records", "High watermark minus committed offset.";
    KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SUM = "kafka_consumergroup_current_offset_sum", Gauge, ["consumergroup", "topic"], Coordinator, GROUP_PARTITIONS, "offset", "Sum of committed offsets over partitions with a commit.";
    KAFKA_CONSUMERGROUP_LAG_SUM = "kafka_consumergroup_lag_sum", Gauge, ["consumergroup", "topic"], Coordinator, GROUP_PARTITIONS, "records", "Sum of lag over partitions with a commit.";
    KAFKA_CONSUMERGROUP_MEMBERS = "kafka_consumergroup_members", Gauge, ["consumergroup"], Coordinator, GROUPS, "members", "Members now.";
    KAFKA_CONSUMERGROUP_LAG_SECONDS = "kafka_consumergroup_lag_seconds", Gauge, ["consumergroup", "topic", "partition"], Coordinator, GROUP_PARTITIONS, "seconds", "Age of the oldest record that is not committed, by append time; 0 without one.";
    KAFKA_CONSUMERGROUP_LAG_SECONDS_MAX = "kafka_consumergroup_lag_seconds_max", Gauge, ["consumergroup", "topic"], Coordinator, GROUP_PARTITIONS, "seconds", "Largest lag in seconds over partitions.";
    KAFKA_CONSUMERGROUP_DRAIN_SECONDS = "kafka_consumergroup_drain_seconds", Gauge, ["consumergroup", "topic"], Coordinator, GROUP_PARTITIONS, "seconds", "Time until the lag is gone at the rates of the last 5 minutes; 0 without lag, +Inf when it does not shrink.";
    KAFKA_CONSUMERGROUP_EXPIRED_RECORDS_TOTAL = "kafka_consumergroup_expired_records_total", Counter, ["consumergroup", "topic"], Coordinator, GROUP_PARTITIONS, "records", "Offsets that retention deleted before the group committed past them.";
    KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS = "kafka_consumergroup_last_commit_timestamp_seconds", Gauge, ["consumergroup", "topic"], Coordinator, GROUP_PARTITIONS, "seconds since 1970", "Time of the last commit.";
    KAFKA_CONSUMERGROUP_STATUS = "kafka_consumergroup_status", Gauge, ["consumergroup", "topic", "status"], Coordinator, GROUP_PARTITIONS, "0/1", "1 for the current of ok, warn, stop, stall, rewind and no_offset.";
    KAFKA_CONSUMERGROUP_STATE = "kafka_consumergroup_state", Gauge, ["consumergroup", "state"], Coordinator, GROUP_PARTITIONS, "0/1", "1 for the current state of the group.";
    KAFKA_CONSUMERGROUP_INFO = "kafka_consumergroup_info", Gauge, ["consumergroup", "protocol", "assignor"], Coordinator, GROUPS, "1", "1, with protocol and assignor.";
    KAFKA_CONSUMERGROUP_GENERATION = "kafka_consumergroup_generation", Gauge, ["consumergroup"], Coordinator, GROUPS, "generation", "Generation or group epoch.";
    KAFKA_CONSUMERGROUP_REBALANCES_TOTAL = "kafka_consumergroup_rebalances_total", Counter, ["consumergroup", "reason"], Coordinator, GROUP_PARTITIONS, "rebalances", "Rebalances by what set them off.";
    KAFKA_CONSUMERGROUP_REBALANCE_SECONDS_TOTAL = "kafka_consumergroup_rebalance_seconds_total", Counter, ["consumergroup"], Coordinator, GROUPS, "seconds", "Time spent rebalancing.";
    PHAROS_GROUP_REBALANCE_DURATION_SECONDS = "pharos_group_rebalance_duration_seconds", Histogram(LONG_SECONDS), ["protocol"], Coordinator, FEW, "seconds", "Start of a rebalance until all members hold their assignment.";
    PHAROS_REQUEST_DURATION_SECONDS = "pharos_request_duration_seconds", Histogram(DURATION_SECONDS), ["request"], Node, FEW, "seconds", "Last byte of a request read until last byte of its answer written.";
    PHAROS_REQUEST_PHASE_DURATION_SECONDS = "pharos_request_phase_duration_seconds", Histogram(DURATION_SECONDS), ["request", "phase"], Node, FEW, "seconds", "Time of a request by phase: request_queue, local, remote, throttle, response_queue, response_send.";
    PHAROS_REQUEST_SIZE_BYTES = "pharos_request_size_bytes", Histogram(SIZE_BYTES), ["request"], Node, FEW, "bytes", "Size of a request on the wire.";
    PHAROS_RESPONSE_SIZE_BYTES = "pharos_response_size_bytes", Histogram(SIZE_BYTES), ["request"], Node, FEW, "bytes", "Size of an answer on the wire.";
    PHAROS_PARTITION_RESULTS_TOTAL = "pharos_partition_results_total", Counter, ["request", "outcome"], Node, FEW, "results", "Results per partition: ok, client_error, server_error.";
    PHAROS_FETCH_RECORD_AGE_SECONDS = "pharos_fetch_record_age_seconds", Histogram(LONG_SECONDS), [], Node, FEW, "seconds", "Append until delivery of the newest record of a consumer fetch.";
    PHAROS_LOG_APPEND_DURATION_SECONDS = "pharos_log_append_duration_seconds", Histogram(DURATION_SECONDS), [], Node, FEW, "seconds", "One append to a log.";
    PHAROS_LOG_FLUSH_DURATION_SECONDS = "pharos_log_flush_duration_seconds", Histogram(DURATION_SECONDS), [], Node, FEW, "seconds", "One fsync of a log.";
    PHAROS_LOG_DIR_SIZE_BYTES = "pharos_log_dir_size_bytes", Gauge, ["log_dir"], Node, FEW, "bytes", "Bytes used in the log directory.";
    PHAROS_LOG_DIR_FREE_BYTES = "pharos_log_dir_free_bytes", Gauge, ["log_dir"], Node, FEW, "bytes", "Bytes free in the log directory.";
    PHAROS_LOG_DIR_ONLINE = "pharos_log_dir_online", Gauge, ["log_dir"], Node, FEW, "0/1", "1 while the log directory is in use.";
    PHAROS_PARTITION_BYTES_IN_TOTAL = "pharos_partition_bytes_in_total", Counter, ["topic", "partition"], Leader, PARTITIONS, "bytes", "Batch bytes appended.";
    PHAROS_PARTITION_BYTES_OUT_TOTAL = "pharos_partition_bytes_out_total", Counter, ["topic", "partition"], Leader, PARTITIONS, "bytes", "Batch bytes returned to consumers.";
    PHAROS_TOPIC_SKEW_RATIO = "pharos_topic_skew_ratio", Gauge, ["topic", "dimension"], ActiveController, TOPICS, "ratio", "Leaders or replicas of the largest broker over the mean, for one topic.";
    PHAROS_CLUSTER_SKEW_RATIO = "pharos_cluster_skew_ratio", Gauge, ["dimension"], ActiveController, FEW, "ratio", "Leaders or replicas of the largest broker over the mean.";
    PHAROS_HOT_KEY_RATIO = "pharos_hot_key_ratio", Gauge, ["topic", "partition", "key"], Leader, PARTITIONS, "ratio", "Estimated share of the partition's records of the last 5 minutes, by hashed key.";
    PHAROS_HOT_KEY_ERROR_RATIO = "pharos_hot_key_error_ratio", Gauge, ["topic", "partition"], Leader, PARTITIONS, "ratio", "Largest possible overestimate of a share.";
    PHAROS_SCRAPE_DURATION_SECONDS = "pharos_scrape_duration_seconds", Gauge, ["page"], Node, FEW, "seconds", "Time of making this page, up to this line.";
    PHAROS_SCRAPE_SIZE_BYTES = "pharos_scrape_size_bytes", Gauge, ["page"], Node, FEW, "bytes", "Size of this page, up to this line, before compression.";
    PHAROS_SCRAPE_SERIES = "pharos_scrape_series", Gauge, ["page"], Node, FEW, "series", "Samples of this page, up to this line.";
    PHAROS_SCRAPE_DROPPED_SAMPLES_TOTAL = "pharos_scrape_dropped_samples_total", Counter, ["page", "reason"], Node, FEW, "samples", "Samples that were not written, by reason.";
    PHAROS_SCRAPE_TIMEOUTS_TOTAL = "pharos_scrape_timeouts_total", Counter, ["page"], Node, FEW, "scrapes", "Scrapes that were refused because the page was not there within the time that the scraper waits.";
    PHAROS_SERIES_LIMIT = "pharos_series_limit", Gauge, ["family"], Node, FEW, "series", "Series of the family before folding.";
    PHAROS_SERIES_FOLDED = "pharos_series_folded", Gauge, ["family"], Node, FEW, "series", "Series folded into (other).";
    PHAROS_RULES_LAST_RELOAD_SUCCESSFUL = "pharos_rules_last_reload_successful", Gauge, ["page"], Node, FEW, "0/1", "1 when the last reading of the rule file succeeded.";
    PHAROS_RULES_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS = "pharos_rules_last_reload_success_timestamp_seconds", Gauge, ["page"], Node, FEW, "seconds since 1970", "Time of the last successful reading of the rule file.";
    PHAROS_CONNECTIONS_CLOSED_TOTAL = "pharos_connections_closed_total", Counter, ["listener", "reason"], Node, FEW, "connections", "Connections to a Kafka listener that ended, by what ended them.";
    PHAROS_ADMIN_REFUSED_TOTAL = "pharos_admin_refused_total", Counter, ["reason"], Node, FEW, "refusals", "Connections and requests that the admin listener refused, by reason.";
    PHAROS_CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS = "pharos_certificate_expiry_timestamp_seconds", Gauge, ["listener"], Node, FEW, "seconds since 1970", "When the certificate that ends first of the chain that the listener shows expires.";
    PHAROS_EVENTS_TOTAL = "pharos_events_total", Counter, ["kind"], Node, FEW, "events", "Elections, fencing, rebalances, configuration changes, recoveries, reloads.";
    PHAROS_CLIENT_INSTANCES = "pharos_client_instances", Gauge, ["client_software_name", "client_software_version"], Node, FEW, "clients", "Client instances that push telemetry.";
    PHAROS_TELEMETRY_PUSHES_TOTAL = "pharos_telemetry_pushes_total", Counter, ["outcome"], Node, FEW, "pushes", "Telemetry pushes by outcome.";
    PHAROS_SPANS_EXPORTED_TOTAL = "pharos_spans_exported_total", Counter, [], Node, 1, "spans", "Spans of traced requests that the collector took.";
    PHAROS_SPANS_DROPPED_TOTAL = "pharos_spans_dropped_total", Counter, ["reason"], Node, FEW, "spans", "Spans of traced requests that got lost: queue_full, export_failed, rejected by the collector.";
    PHAROS_BUILD_INFO = "pharos_build_info", Gauge, ["version", "revision"], Node, FEW, "1", "1, with version and revision of the program.";
    PROCESS_CPU_SECONDS_TOTAL = "process_cpu_seconds_total", Counter, [], Node, 1, "seconds", "User and system time of the process.";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, [], Node, 1, "descriptors", "Open file descriptors.";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, [], Node, 1, "descriptors", "Most file descriptors that may be open.";
    PROCESS_VIRTUAL_MEMORY_BYTES = "process_virtual_memory_bytes", Gauge, [], Node, 1, "bytes", "Virtual memory.";
    PROCESS_RESIDENT_MEMORY_BYTES = "process_resident_memory_bytes", Gauge, [], Node, 1, "bytes", "Resident memory.";
    PROCESS_START_TIME_SECONDS = "process_start_time_seconds", Gauge, [], Node, 1, "seconds since 1970", "Start of the process.";
}
