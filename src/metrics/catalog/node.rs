//! The node itself: state, versions, metadata, the quorum.

use super::{meter, rows};
use crate::row::{AttributeRow, BeanRow, Origin, Shape, Stat};
use crate::value::ValueType;

rows! {
    DELAYED_REMOTE_FETCH_METRICS_EXPIRES_PER_SEC = meter("requests"), "kafka.server:type=DelayedRemoteFetchMetrics,name=ExpiresPerSec", "requests", "Remote fetches that timed out.", "DelayedRemoteFetch";
    KAFKA_SERVER_BROKER_STATE = Shape::Gauge(ValueType::Byte), "kafka.server:type=KafkaServer,name=BrokerState", "enum", "Broker life-cycle state number: 0 not running, 1 starting, 2 recovery, 3 running, 6 controlled shutdown, 7 shutting down, 127 unknown.", "KafkaBroker";
    KAFKA_SERVER_CLUSTER_ID = Shape::Gauge(ValueType::Text), "kafka.server:type=KafkaServer,name=ClusterId", "string", "Cluster id (string value, only usable through a rule that turns it into a label).", "KafkaBroker";
    KAFKA_SERVER_YAMMER_METRICS_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=KafkaServer,name=yammer-metrics-count", "metrics", "Metrics registered in the Yammer registry.", "KafkaBroker";
    KAFKA_SERVER_LINUX_DISK_READ_BYTES = Shape::Gauge(ValueType::Long), "kafka.server:type=KafkaServer,name=linux-disk-read-bytes", "bytes", "Bytes read from storage by the process, from /proc/self/io (Linux only).", "KafkaBroker";
    KAFKA_SERVER_LINUX_DISK_WRITE_BYTES = Shape::Gauge(ValueType::Long), "kafka.server:type=KafkaServer,name=linux-disk-write-bytes", "bytes", "Bytes written to storage by the process, from /proc/self/io (Linux only).", "KafkaBroker";
    CONTROLLER_SERVER_CLUSTER_ID = Shape::Gauge(ValueType::Text), "kafka.server:type=ControllerServer,name=ClusterId", "string", "Cluster id as seen by the controller process.", "ControllerServer";
    CONTROLLER_SERVER_YAMMER_METRICS_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ControllerServer,name=yammer-metrics-count", "metrics", "Metrics registered in the Yammer registry of a controller.", "ControllerServer";
    CONTROLLER_SERVER_LINUX_DISK_READ_BYTES = Shape::Gauge(ValueType::Long), "kafka.server:type=ControllerServer,name=linux-disk-read-bytes", "bytes", "Storage bytes read by a controller process.", "ControllerServer";
    CONTROLLER_SERVER_LINUX_DISK_WRITE_BYTES = Shape::Gauge(ValueType::Long), "kafka.server:type=ControllerServer,name=linux-disk-write-bytes", "bytes", "Storage bytes written by a controller process.", "ControllerServer";
    BROKER_METADATA_LISTENER_METADATA_BATCH_PROCESSING_TIME_US = Shape::Histogram, "kafka.server:type=BrokerMetadataListener,name=MetadataBatchProcessingTimeUs", "us", "Time to process a batch of metadata records.", "BrokerServerMetrics";
    BROKER_METADATA_LISTENER_METADATA_BATCH_SIZES = Shape::Histogram, "kafka.server:type=BrokerMetadataListener,name=MetadataBatchSizes", "records", "Records per metadata batch.", "BrokerServerMetrics";
    BROKER_METADATA_METRICS = Shape::Attributes(BROKER_METADATA_METRICS_ATTRIBUTES), "kafka.server:type=broker-metadata-metrics", "mixed: offset, epoch ms, ms, count", "How far the broker has applied the metadata log and how many errors it met.", "BrokerServerMetrics";
    METADATA_LOADER_CURRENT_METADATA_VERSION = Shape::Gauge(ValueType::Int), "kafka.server:type=MetadataLoader,name=CurrentMetadataVersion", "level", "Feature level of the active metadata version. Present on brokers and controllers.", "MetadataLoaderMetrics";
    METADATA_LOADER_CURRENT_CONTROLLER_ID = Shape::Gauge(ValueType::Int), "kafka.server:type=MetadataLoader,name=CurrentControllerId", "node id", "Node id of the active controller, -1 if none known. Present on brokers and controllers.", "MetadataLoaderMetrics";
    METADATA_LOADER_HANDLE_LOAD_SNAPSHOT_COUNT = Shape::Gauge(ValueType::Long), "kafka.server:type=MetadataLoader,name=HandleLoadSnapshotCount", "count", "Metadata snapshots loaded since start. Present on brokers and controllers.", "MetadataLoaderMetrics";
    SNAPSHOT_EMITTER_LATEST_SNAPSHOT_GENERATED_BYTES = Shape::Gauge(ValueType::Long), "kafka.server:type=SnapshotEmitter,name=LatestSnapshotGeneratedBytes", "bytes", "Size of the newest metadata snapshot generated or loaded.", "SnapshotEmitterMetrics";
    SNAPSHOT_EMITTER_LATEST_SNAPSHOT_GENERATED_AGE_MS = Shape::Gauge(ValueType::Long), "kafka.server:type=SnapshotEmitter,name=LatestSnapshotGeneratedAgeMs", "ms", "Age of the newest generated metadata snapshot.", "SnapshotEmitterMetrics";
    RAFT_METRICS = Shape::Attributes(RAFT_METRICS_ATTRIBUTES), "kafka.server:type=raft-metrics", "mixed: current-state and current-vote-directory-id are strings; *-latency-* ms; *-rate records/s; poll-idle-ratio-avg 0..1; rest ids, epochs, offsets", "State of the KRaft quorum member on this node (brokers report as observer).", "KafkaRaftMetrics";
    FORWARDING_MANAGER = Shape::Attributes(FORWARDING_MANAGER_ATTRIBUTES), "kafka.server:type=ForwardingManager", "ms; count", "Latency of requests forwarded to the controller and queue length (attribute names contain a dot).", "ForwardingManagerMetrics";
    APP_INFO_BY_ID = Shape::Attributes(APP_INFO_BY_ID_ATTRIBUTES), "kafka.server:type=app-info,id={id}", "string; epoch ms", "Version, commit and start time of the broker process (standard MBean, capitalised attribute names).", "AppInfoParser";
    APP_INFO = Shape::Attributes(APP_INFO_ATTRIBUTES), "kafka.server:type=app-info", "string; epoch ms", "Same facts as Kafka metrics (lower-case attribute names), no tag because broker metrics have no default tags.", "AppInfoParser";
    KAFKA_METRICS_COUNT = Shape::Attributes(KAFKA_METRICS_COUNT_ATTRIBUTES), "kafka.server:type=kafka-metrics-count", "metrics", "Number of Kafka-metrics entries registered.", "Metrics";
    CLIENT_METRICS = Shape::Attributes(CLIENT_METRICS_ATTRIBUTES), "kafka.server:type=client-metrics", "count; per s", "KIP-714: client instances tracked and requests with an unknown subscription id.", "ClientMetricsManager";
    METADATA_LOADER_AVG_IDLE_RATIO = Shape::Gauge(ValueType::Double), "kafka.server:type=MetadataLoader,name=AvgIdleRatio", "ratio", "Idle share of the metadata loader thread (0..1).", "KafkaRaftServer";
    METADATA_LOADER_FINALIZED_LEVEL = Shape::Gauge(ValueType::Short), "kafka.server:type=MetadataLoader,name=FinalizedLevel,featureName={featureName}", "level", "Finalized level of a feature: metadataVersion, groupVersion, transactionVersion, shareVersion, streamsVersion, eligibleLeaderReplicasVersion (camel case), kraftVersion once set.", "KafkaRaftServer";
    NODE_METRICS = Shape::Attributes(NODE_METRICS_ATTRIBUTES), "kafka.server:type=node-metrics,feature-name={feature-name}", "level", "Feature levels this node supports: metadata-version, kraft-version, group-version, transaction-version, share-version, streams-version, eligible-leader-replicas-version (with hyphens).", "KafkaRaftServer";
    APP_INFO_BY_CLIENT_ID = Shape::Attributes(APP_INFO_ATTRIBUTES), "kafka.server:type=app-info,client-id={client-id}", "string; epoch ms", "The broker version a third time: app-info with the node id as client-id tag.", "KafkaRaftServer";
}

const BROKER_METADATA_METRICS_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "metadata-apply-error-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "failures while applying a metadata image",
    },
    AttributeRow {
        name: "ignored-static-voters",
        from: Origin::Gauge(ValueType::Int),
        meaning: "1 when controller.quorum.voters is set and not used",
    },
    AttributeRow {
        name: "last-applied-record-lag-ms",
        from: Origin::Gauge(ValueType::Long),
        meaning: "age of the last metadata record applied, in milliseconds",
    },
    AttributeRow {
        name: "last-applied-record-timestamp",
        from: Origin::Gauge(ValueType::Long),
        meaning: "time of the last metadata record applied, in milliseconds since 1970",
    },
    AttributeRow {
        name: "metadata-load-error-count",
        from: Origin::Gauge(ValueType::Long),
        meaning: "failures while reading the metadata log",
    },
    AttributeRow {
        name: "last-applied-record-offset",
        from: Origin::Gauge(ValueType::Long),
        meaning: "offset of the last metadata record applied",
    },
];

const RAFT_METRICS_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "append-records-rate",
        from: Origin::Sensor("append-records", Stat::Rate),
        meaning: "metadata records appended per second while leading",
    },
    AttributeRow {
        name: "commit-latency-avg",
        from: Origin::Sensor("commit-latency", Stat::Avg),
        meaning: "mean time from append to commit, in milliseconds",
    },
    AttributeRow {
        name: "number-unknown-voter-connections",
        from: Origin::Gauge(ValueType::Int),
        meaning: "voters whose address is not known",
    },
    AttributeRow {
        name: "election-latency-max",
        from: Origin::Sensor("election-latency", Stat::Max),
        meaning: "longest time of an election, in milliseconds",
    },
    AttributeRow {
        name: "election-latency-avg",
        from: Origin::Sensor("election-latency", Stat::Avg),
        meaning: "mean time of an election, in milliseconds",
    },
    AttributeRow {
        name: "poll-idle-ratio-avg",
        from: Origin::Gauge(ValueType::Double),
        meaning: "share of time that the quorum's loop is idle, 0 to 1",
    },
    AttributeRow {
        name: "current-state",
        from: Origin::Gauge(ValueType::Text),
        meaning: "role in the quorum: leader, candidate, voted, follower, unattached or observer",
    },
    AttributeRow {
        name: "number-of-observers",
        from: Origin::Gauge(ValueType::Int),
        meaning: "observers that the leader knows",
    },
    AttributeRow {
        name: "current-vote",
        from: Origin::Gauge(ValueType::Int),
        meaning: "id of the node voted for; -1 for none",
    },
    AttributeRow {
        name: "number-of-voters",
        from: Origin::Gauge(ValueType::Int),
        meaning: "voters of the quorum",
    },
    AttributeRow {
        name: "uncommitted-voter-change",
        from: Origin::Gauge(ValueType::Int),
        meaning: "1 while a change of voters waits for its commit",
    },
    AttributeRow {
        name: "commit-latency-max",
        from: Origin::Sensor("commit-latency", Stat::Max),
        meaning: "longest time from append to commit, in milliseconds",
    },
    AttributeRow {
        name: "current-vote-directory-id",
        from: Origin::Gauge(ValueType::Text),
        meaning: "directory id of the node voted for",
    },
    AttributeRow {
        name: "high-watermark",
        from: Origin::Gauge(ValueType::Long),
        meaning: "offset below which metadata is committed; -1 when unknown",
    },
    AttributeRow {
        name: "log-end-epoch",
        from: Origin::Gauge(ValueType::Int),
        meaning: "epoch of the last metadata record",
    },
    AttributeRow {
        name: "current-leader",
        from: Origin::Gauge(ValueType::Int),
        meaning: "id of the quorum's leader; -1 when unknown",
    },
    AttributeRow {
        name: "log-end-offset",
        from: Origin::Gauge(ValueType::Long),
        meaning: "offset after the last metadata record",
    },
    AttributeRow {
        name: "fetch-records-rate",
        from: Origin::Sensor("fetch-records", Stat::Rate),
        meaning: "metadata records fetched per second while following",
    },
    AttributeRow {
        name: "current-epoch",
        from: Origin::Gauge(ValueType::Int),
        meaning: "epoch of the quorum",
    },
];

const FORWARDING_MANAGER_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "RemoteTimeMs.p999",
        from: Origin::Sensor("remote-time", Stat::Quantile(0.999)),
        meaning: "99.9th percentile of the controller's answer time, in milliseconds",
    },
    AttributeRow {
        name: "QueueTimeMs.p99",
        from: Origin::Sensor("queue-time", Stat::Quantile(0.99)),
        meaning: "99th percentile of the wait before forwarding, in milliseconds",
    },
    AttributeRow {
        name: "QueueTimeMs.p999",
        from: Origin::Sensor("queue-time", Stat::Quantile(0.999)),
        meaning: "99.9th percentile of the wait before forwarding, in milliseconds",
    },
    AttributeRow {
        name: "QueueLength",
        from: Origin::Gauge(ValueType::Int),
        meaning: "requests waiting to be forwarded",
    },
    AttributeRow {
        name: "RemoteTimeMs.p99",
        from: Origin::Sensor("remote-time", Stat::Quantile(0.99)),
        meaning: "99th percentile of the controller's answer time, in milliseconds",
    },
];

const APP_INFO_BY_ID_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "StartTimeMs",
        from: Origin::Gauge(ValueType::Long),
        meaning: "start of the process, in milliseconds since 1970",
    },
    AttributeRow {
        name: "CommitId",
        from: Origin::Gauge(ValueType::Text),
        meaning: "commit that the program was built from",
    },
    AttributeRow {
        name: "Version",
        from: Origin::Gauge(ValueType::Text),
        meaning: "version of the program",
    },
];

const APP_INFO_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "start-time-ms",
        from: Origin::Gauge(ValueType::Long),
        meaning: "start of the process, in milliseconds since 1970",
    },
    AttributeRow {
        name: "commit-id",
        from: Origin::Gauge(ValueType::Text),
        meaning: "commit that the program was built from",
    },
    AttributeRow {
        name: "version",
        from: Origin::Gauge(ValueType::Text),
        meaning: "version of the program",
    },
];

const KAFKA_METRICS_COUNT_ATTRIBUTES: &[AttributeRow] = &[AttributeRow {
    name: "count",
    from: Origin::Gauge(ValueType::Double),
    meaning: "figures registered in Kafka's own metrics library",
}];

const CLIENT_METRICS_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "unknown-subscription-request-count",
        from: Origin::Sensor("unknown-subscription-request", Stat::Total),
        meaning: "telemetry requests with an unknown subscription since start",
    },
    AttributeRow {
        name: "unknown-subscription-request-rate",
        from: Origin::Sensor("unknown-subscription-request", Stat::Rate),
        meaning: "telemetry requests with an unknown subscription per second",
    },
    AttributeRow {
        name: "instance-count",
        from: Origin::Gauge(ValueType::Double),
        meaning: "client instances that the broker knows",
    },
];

const NODE_METRICS_ATTRIBUTES: &[AttributeRow] = &[
    AttributeRow {
        name: "maximum-supported-level",
        from: Origin::Gauge(ValueType::Short),
        meaning: "highest level of the feature that this node supports",
    },
    AttributeRow {
        name: "minimum-supported-level",
        from: Origin::Gauge(ValueType::Short),
        meaning: "lowest level of the feature that this node supports",
    },
];
