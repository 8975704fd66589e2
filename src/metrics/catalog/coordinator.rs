//! Group and transaction coordinators.

use super::rows;
use crate::row::{AttributeRow, BeanRow, Origin, Shape, Stat};
use crate::value::ValueType;

rows! {
    GROUP_COORDINATOR_METRICS = Shape::Attributes(GROUP_COORDINATOR_METRICS_ATTRIBUTES), "kafka.server:type=group-coordinator-metrics", "mixed: ms; per s; cumulative count; 0..1 ratio", "What the group coordinator does on this node: its events and batches, offsets, rebalances.", "GroupCoordinatorMetrics";
    GROUP_COORDINATOR_METRICS_BY_LOADING = Shape::Attributes(NUM_PARTITIONS), "kafka.server:type=group-coordinator-metrics,state=loading", "partitions", "Partitions of __consumer_offsets that this coordinator holds in state loading.", "CoordinatorRuntimeMetricsImpl";
    GROUP_COORDINATOR_METRICS_BY_ACTIVE = Shape::Attributes(NUM_PARTITIONS), "kafka.server:type=group-coordinator-metrics,state=active", "partitions", "Partitions of __consumer_offsets that this coordinator holds in state active.", "CoordinatorRuntimeMetricsImpl";
    GROUP_COORDINATOR_METRICS_BY_FAILED = Shape::Attributes(NUM_PARTITIONS), "kafka.server:type=group-coordinator-metrics,state=failed", "partitions", "Partitions of __consumer_offsets that this coordinator holds in state failed.", "CoordinatorRuntimeMetricsImpl";
    GROUP_COORDINATOR_METRICS_BY_PROTOCOL = Shape::Attributes(GROUP_COORDINATOR_METRICS_BY_PROTOCOL_ATTRIBUTES), "kafka.server:type=group-coordinator-metrics,protocol={protocol}", "groups", "Groups of one protocol: classic, consumer, share or streams.", "GroupCoordinatorMetrics";
    GROUP_COORDINATOR_METRICS_BY_EMPTY = Shape::Attributes(IN_SHARED_STATE), "kafka.server:type=group-coordinator-metrics,state=Empty", "groups", "Consumer-protocol groups in state Empty.", "GroupCoordinatorMetrics";
    GROUP_COORDINATOR_METRICS_BY_ASSIGNING = Shape::Attributes(IN_STATE), "kafka.server:type=group-coordinator-metrics,state=Assigning", "groups", "Consumer-protocol groups in state Assigning.", "GroupCoordinatorMetrics";
    GROUP_COORDINATOR_METRICS_BY_RECONCILING = Shape::Attributes(IN_STATE), "kafka.server:type=group-coordinator-metrics,state=Reconciling", "groups", "Consumer-protocol groups in state Reconciling.", "GroupCoordinatorMetrics";
    GROUP_COORDINATOR_METRICS_BY_STABLE = Shape::Attributes(IN_SHARED_STATE), "kafka.server:type=group-coordinator-metrics,state=Stable", "groups", "Consumer-protocol groups in state Stable.", "GroupCoordinatorMetrics";
    GROUP_COORDINATOR_METRICS_BY_DEAD = Shape::Attributes(IN_SHARED_STATE), "kafka.server:type=group-coordinator-metrics,state=Dead", "groups", "Consumer-protocol groups in state Dead.", "GroupCoordinatorMetrics";
    GROUP_METADATA_MANAGER_NUM_OFFSETS = Shape::Gauge(ValueType::Long), "kafka.coordinator.group:type=GroupMetadataManager,name=NumOffsets", "offsets", "Committed offsets cached by this coordinator.", "GroupCoordinatorMetrics";
    GROUP_METADATA_MANAGER_NUM_GROUPS = Shape::Gauge(ValueType::Long), "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroups", "groups", "Classic groups coordinated here.", "GroupCoordinatorMetrics";
    GROUP_METADATA_MANAGER_NUM_GROUPS_PREPARING_REBALANCE = Shape::Gauge(ValueType::Long), "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsPreparingRebalance", "groups", "Classic groups preparing a rebalance.", "GroupCoordinatorMetrics";
    GROUP_METADATA_MANAGER_NUM_GROUPS_COMPLETING_REBALANCE = Shape::Gauge(ValueType::Long), "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsCompletingRebalance", "groups", "Classic groups completing a rebalance.", "GroupCoordinatorMetrics";
    GROUP_METADATA_MANAGER_NUM_GROUPS_STABLE = Shape::Gauge(ValueType::Long), "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsStable", "groups", "Classic groups in stable state.", "GroupCoordinatorMetrics";
    GROUP_METADATA_MANAGER_NUM_GROUPS_DEAD = Shape::Gauge(ValueType::Long), "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsDead", "groups", "Classic groups in dead state.", "GroupCoordinatorMetrics";
    GROUP_METADATA_MANAGER_NUM_GROUPS_EMPTY = Shape::Gauge(ValueType::Long), "kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsEmpty", "groups", "Classic groups without members.", "GroupCoordinatorMetrics";
    TRANSACTION_COORDINATOR_METRICS = Shape::Attributes(TRANSACTION_COORDINATOR_METRICS_ATTRIBUTES), "kafka.server:type=transaction-coordinator-metrics", "ms", "Time to load transaction-state partitions.", "TransactionStateManager";
    TRANSACTION_MARKER_CHANNEL_MANAGER_UNKNOWN_DESTINATION_QUEUE_SIZE = Shape::Gauge(ValueType::Int), "kafka.coordinator.transaction:type=TransactionMarkerChannelManager,name=UnknownDestinationQueueSize", "markers", "Transaction markers whose target leader is unknown.", "TransactionMarkerChannelManager";
    TRANSACTION_MARKER_CHANNEL_MANAGER_LOG_APPEND_RETRY_QUEUE_SIZE = Shape::Gauge(ValueType::Int), "kafka.coordinator.transaction:type=TransactionMarkerChannelManager,name=LogAppendRetryQueueSize", "transactions", "Completed transactions waiting to retry their log append.", "TransactionMarkerChannelManager";
    GROUP_COORDINATOR_METRICS_BY_NOT_READY = Shape::Attributes(GROUP_COORDINATOR_METRICS_BY_NOT_READY_ATTRIBUTES), "kafka.server:type=group-coordinator-metrics,state=NotReady", "groups", "Streams groups in state NotReady.", "KafkaMetricsGroup";
}

const GROUP_COORDINATOR_METRICS_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "event-queue-time-ms-max",
        from: Origin::Sensor("event-queue-time", Stat::HistogramMax),
        meaning: "longest wait of an event in the queue, in milliseconds",
    },
    AttributeRow {
        name: "batch-linger-time-ms-p99",
        from: Origin::Sensor("batch-linger-time", Stat::HistogramQuantile(0.99)),
        meaning: "99th percentile of the time that a batch stays open, in milliseconds",
    },
    AttributeRow {
        name: "event-queue-time-ms-p999",
        from: Origin::Sensor("event-queue-time", Stat::HistogramQuantile(0.999)),
        meaning: "99.9th percentile of the wait of an event in the queue, in milliseconds",
    },
    AttributeRow {
        name: "background-processing-time-ms-p999",
        from: Origin::Sensor("background-processing-time", Stat::HistogramQuantile(0.999)),
        meaning: "99.9th percentile of the processing of background work, in milliseconds",
    },
    AttributeRow {
        name: "offset-deletion-rate",
        from: Origin::Sensor("offset-deletion", Stat::Rate),
        meaning: "offsets deleted by administrators per second",
    },
    AttributeRow {
        name: "offset-deletion-count",
        from: Origin::Sensor("offset-deletion", Stat::Total),
        meaning: "offsets deleted by administrators since start",
    },
    AttributeRow {
        name: "offset-expiration-count",
        from: Origin::Sensor("offset-expiration", Stat::Total),
        meaning: "offsets expired since start",
    },
    AttributeRow {
        name: "partition-load-time-max",
        from: Origin::Sensor("partition-load-time", Stat::Max),
        meaning: "longest time of loading a partition, in milliseconds",
    },
    AttributeRow {
        name: "event-processing-time-ms-p95",
        from: Origin::Sensor("event-processing-time", Stat::HistogramQuantile(0.95)),
        meaning: "95th percentile of the processing of an event, in milliseconds",
    },
    AttributeRow {
        name: "share-group-rebalance-rate",
        from: Origin::Sensor("share-group-rebalance", Stat::Rate),
        meaning: "rebalances of share groups per second",
    },
    AttributeRow {
        name: "offset-expiration-rate",
        from: Origin::Sensor("offset-expiration", Stat::Rate),
        meaning: "offsets expired per second",
    },
    AttributeRow {
        name: "event-processing-time-ms-p50",
        from: Origin::Sensor("event-processing-time", Stat::HistogramQuantile(0.5)),
        meaning: "50th percentile of the processing of an event, in milliseconds",
    },
    AttributeRow {
        name: "batch-flush-time-ms-p999",
        from: Origin::Sensor("batch-flush-time", Stat::HistogramQuantile(0.999)),
        meaning: "99.9th percentile of the append of a batch, in milliseconds",
    },
    AttributeRow {
        name: "batch-buffer-cache-discard-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "append buffers thrown away because they were too large to keep",
    },
    AttributeRow {
        name: "batch-linger-time-ms-p95",
        from: Origin::Sensor("batch-linger-time", Stat::HistogramQuantile(0.95)),
        meaning: "95th percentile of the time that a batch stays open, in milliseconds",
    },
    AttributeRow {
        name: "batch-linger-time-ms-p50",
        from: Origin::Sensor("batch-linger-time", Stat::HistogramQuantile(0.5)),
        meaning: "50th percentile of the time that a batch stays open, in milliseconds",
    },
    AttributeRow {
        name: "background-thread-idle-ratio-avg",
        from: Origin::Gauge(ValueType::Double),
        meaning: "share of time that background work is idle, 0 to 1",
    },
    AttributeRow {
        name: "event-purgatory-time-ms-p99",
        from: Origin::Sensor("event-purgatory-time", Stat::HistogramQuantile(0.99)),
        meaning: "99th percentile of the wait of an event for its commit, in milliseconds",
    },
    AttributeRow {
        name: "background-queue-time-ms-p99",
        from: Origin::Sensor("background-queue-time", Stat::HistogramQuantile(0.99)),
        meaning: "99th percentile of the wait of background work, in milliseconds",
    },
    AttributeRow {
        name: "event-processing-time-ms-p999",
        from: Origin::Sensor("event-processing-time", Stat::HistogramQuantile(0.999)),
        meaning: "99.9th percentile of the processing of an event, in milliseconds",
    },
    AttributeRow {
        name: "background-queue-time-ms-p50",
        from: Origin::Sensor("background-queue-time", Stat::HistogramQuantile(0.5)),
        meaning: "50th percentile of the wait of background work, in milliseconds",
    },
    AttributeRow {
        name: "background-queue-time-ms-p95",
        from: Origin::Sensor("background-queue-time", Stat::HistogramQuantile(0.95)),
        meaning: "95th percentile of the wait of background work, in milliseconds",
    },
    AttributeRow {
        name: "event-queue-size",
        from: Origin::Gauge(ValueType::Long),
        meaning: "events waiting to be processed",
    },
    AttributeRow {
        name: "background-queue-time-ms-p999",
        from: Origin::Sensor("background-queue-time", Stat::HistogramQuantile(0.999)),
        meaning: "99.9th percentile of the wait of background work, in milliseconds",
    },
    AttributeRow {
        name: "consumer-group-rebalance-rate",
        from: Origin::Sensor("consumer-group-rebalance", Stat::Rate),
        meaning: "rebalances of consumer groups per second",
    },
    AttributeRow {
        name: "event-queue-time-ms-p99",
        from: Origin::Sensor("event-queue-time", Stat::HistogramQuantile(0.99)),
        meaning: "99th percentile of the wait of an event in the queue, in milliseconds",
    },
    AttributeRow {
        name: "batch-linger-time-ms-max",
        from: Origin::Sensor("batch-linger-time", Stat::HistogramMax),
        meaning: "longest time that a batch stays open, in milliseconds",
    },
    AttributeRow {
        name: "event-queue-time-ms-p95",
        from: Origin::Sensor("event-queue-time", Stat::HistogramQuantile(0.95)),
        meaning: "95th percentile of the wait of an event in the queue, in milliseconds",
    },
    AttributeRow {
        name: "event-processing-time-ms-max",
        from: Origin::Sensor("event-processing-time", Stat::HistogramMax),
        meaning: "longest processing of an event, in milliseconds",
    },
    AttributeRow {
        name: "event-queue-time-ms-p50",
        from: Origin::Sensor("event-queue-time", Stat::HistogramQuantile(0.5)),
        meaning: "50th percentile of the wait of an event in the queue, in milliseconds",
    },
    AttributeRow {
        name: "consumer-group-rebalance-count",
        from: Origin::Sensor("consumer-group-rebalance", Stat::Total),
        meaning: "rebalances of consumer groups since start",
    },
    AttributeRow {
        name: "batch-flush-time-ms-max",
        from: Origin::Sensor("batch-flush-time", Stat::HistogramMax),
        meaning: "longest append of a batch, in milliseconds",
    },
    AttributeRow {
        name: "event-purgatory-time-ms-p95",
        from: Origin::Sensor("event-purgatory-time", Stat::HistogramQuantile(0.95)),
        meaning: "95th percentile of the wait of an event for its commit, in milliseconds",
    },
    AttributeRow {
        name: "event-purgatory-time-ms-p50",
        from: Origin::Sensor("event-purgatory-time", Stat::HistogramQuantile(0.5)),
        meaning: "50th percentile of the wait of an event for its commit, in milliseconds",
    },
    AttributeRow {
        name: "offset-commit-count",
        from: Origin::Sensor("offset-commit", Stat::Total),
        meaning: "offsets committed since start",
    },
    AttributeRow {
        name: "background-processing-time-ms-max",
        from: Origin::Sensor("background-processing-time", Stat::HistogramMax),
        meaning: "longest processing of background work, in milliseconds",
    },
    AttributeRow {
        name: "streams-group-rebalance-rate",
        from: Origin::Sensor("streams-group-rebalance", Stat::Rate),
        meaning: "rebalances of streams groups per second",
    },
    AttributeRow {
        name: "background-queue-time-ms-max",
        from: Origin::Sensor("background-queue-time", Stat::HistogramMax),
        meaning: "longest wait of background work, in milliseconds",
    },
    AttributeRow {
        name: "batch-flush-time-ms-p99",
        from: Origin::Sensor("batch-flush-time", Stat::HistogramQuantile(0.99)),
        meaning: "99th percentile of the append of a batch, in milliseconds",
    },
    AttributeRow {
        name: "batch-flush-time-ms-p95",
        from: Origin::Sensor("batch-flush-time", Stat::HistogramQuantile(0.95)),
        meaning: "95th percentile of the append of a batch, in milliseconds",
    },
    AttributeRow {
        name: "batch-flush-time-ms-p50",
        from: Origin::Sensor("batch-flush-time", Stat::HistogramQuantile(0.5)),
        meaning: "50th percentile of the append of a batch, in milliseconds",
    },
    AttributeRow {
        name: "event-purgatory-time-ms-max",
        from: Origin::Sensor("event-purgatory-time", Stat::HistogramMax),
        meaning: "longest wait of an event for its commit, in milliseconds",
    },
    AttributeRow {
        name: "event-purgatory-time-ms-p999",
        from: Origin::Sensor("event-purgatory-time", Stat::HistogramQuantile(0.999)),
        meaning: "99.9th percentile of the wait of an event for its commit, in milliseconds",
    },
    AttributeRow {
        name: "batch-buffer-cache-size-bytes",
        from: Origin::Gauge(ValueType::Long),
        meaning: "bytes of append buffers kept for reuse",
    },
    AttributeRow {
        name: "batch-flush-rate",
        from: Origin::Sensor("batch-flush", Stat::Rate),
        meaning: "batches appended per second",
    },
    AttributeRow {
        name: "thread-idle-ratio-avg",
        from: Origin::Gauge(ValueType::Double),
        meaning: "share of time that event processing is idle, 0 to 1",
    },
    AttributeRow {
        name: "offset-commit-rate",
        from: Origin::Sensor("offset-commit", Stat::Rate),
        meaning: "offsets committed per second",
    },
    AttributeRow {
        name: "background-processing-time-ms-p99",
        from: Origin::Sensor("background-processing-time", Stat::HistogramQuantile(0.99)),
        meaning: "99th percentile of the processing of background work, in milliseconds",
    },
    AttributeRow {
        name: "share-group-rebalance-count",
        from: Origin::Sensor("share-group-rebalance", Stat::Total),
        meaning: "rebalances of share groups since start",
    },
    AttributeRow {
        name: "event-processing-time-ms-p99",
        from: Origin::Sensor("event-processing-time", Stat::HistogramQuantile(0.99)),
        meaning: "99th percentile of the processing of an event, in milliseconds",
    },
    AttributeRow {
        name: "background-processing-time-ms-p50",
        from: Origin::Sensor("background-processing-time", Stat::HistogramQuantile(0.5)),
        meaning: "50th percentile of the processing of background work, in milliseconds",
    },
    AttributeRow {
        name: "background-processing-time-ms-p95",
        from: Origin::Sensor("background-processing-time", Stat::HistogramQuantile(0.95)),
        meaning: "95th percentile of the processing of background work, in milliseconds",
    },
    AttributeRow {
        name: "partition-load-time-avg",
        from: Origin::Sensor("partition-load-time", Stat::Avg),
        meaning: "mean time of loading a partition, in milliseconds",
    },
    AttributeRow {
        name: "batch-linger-time-ms-p999",
        from: Origin::Sensor("batch-linger-time", Stat::HistogramQuantile(0.999)),
        meaning: "99.9th percentile of the time that a batch stays open, in milliseconds",
    },
    AttributeRow {
        name: "streams-group-rebalance-count",
        from: Origin::Sensor("streams-group-rebalance", Stat::Total),
        meaning: "rebalances of streams groups since start",
    },
    AttributeRow {
        name: "group-completed-rebalance-count",
        from: Origin::Sensor("group-completed-rebalance", Stat::Total),
        meaning: "rebalances of classic groups completed since start",
    },
    AttributeRow {
        name: "group-completed-rebalance-rate",
        from: Origin::Sensor("group-completed-rebalance", Stat::Rate),
        meaning: "rebalances of classic groups completed per second",
    },
];

const IN_STATE: &[AttributeRow] = &[
    AttributeRow {
        name: "streams-group-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "streams groups in this state",
    },
    AttributeRow {
        name: "consumer-group-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "consumer groups in this state",
    },
];

const GROUP_COORDINATOR_METRICS_BY_PROTOCOL_ATTRIBUTES: &[AttributeRow] = &[AttributeRow {
    name: "group-count",
    from: Origin::Gauge(ValueType::Long),
    meaning: "groups of this protocol",
}];

const IN_SHARED_STATE: &[AttributeRow] = &[
    AttributeRow {
        name: "streams-group-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "streams groups in this state",
    },
    AttributeRow {
        name: "consumer-group-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "consumer groups in this state",
    },
    AttributeRow {
        name: "share-group-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "share groups in this state",
    },
];

const NUM_PARTITIONS: &[AttributeRow] = &[AttributeRow {
    name: "num-partitions",
    from: Origin::Gauge(ValueType::Long),
    meaning: "partitions of the coordinator's topic in this state",
}];

const TRANSACTION_COORDINATOR_METRICS_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "partition-load-time-avg",
        from: Origin::Sensor("partition-load-time", Stat::Avg),
        meaning: "mean time of loading a partition, in milliseconds",
    },
    AttributeRow {
        name: "partition-load-time-max",
        from: Origin::Sensor("partition-load-time", Stat::Max),
        meaning: "longest time of loading a partition, in milliseconds",
    },
];

const GROUP_COORDINATOR_METRICS_BY_NOT_READY_ATTRIBUTES: &[AttributeRow] = &[AttributeRow {
    name: "streams-group-count",
    from: Origin::Gauge(ValueType::Long),
    meaning: "streams groups in this state",
}];
