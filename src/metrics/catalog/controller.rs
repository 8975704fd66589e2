//! `kafka.controller`: what the quorum's controller knows and does.

use super::{meter, rows};
use crate::row::{BeanRow, Shape};
use crate::value::ValueType;

rows! {
    KAFKA_CONTROLLER_ACTIVE_CONTROLLER_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=ActiveControllerCount", "0/1", "1 on the active controller, 0 elsewhere.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_LAST_APPLIED_RECORD_OFFSET = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=LastAppliedRecordOffset", "offset", "Last metadata record applied by this controller.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_LAST_COMMITTED_RECORD_OFFSET = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=LastCommittedRecordOffset", "offset", "Last committed metadata record.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_LAST_APPLIED_RECORD_TIMESTAMP = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=LastAppliedRecordTimestamp", "epoch ms", "Timestamp of the last applied record.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_LAST_APPLIED_RECORD_LAG_MS = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=LastAppliedRecordLagMs", "ms", "Age of the last applied record; no-op records (metadata.max.idle.interval.ms) keep it short.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_TIMED_OUT_BROKER_HEARTBEAT_COUNT = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=TimedOutBrokerHeartbeatCount", "count", "Broker heartbeats that timed out.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_EVENT_QUEUE_OPERATIONS_STARTED_COUNT = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=EventQueueOperationsStartedCount", "count", "Controller event-queue operations started.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_EVENT_QUEUE_OPERATIONS_TIMED_OUT_COUNT = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=EventQueueOperationsTimedOutCount", "count", "Controller event-queue operations that timed out.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_NEW_ACTIVE_CONTROLLERS_COUNT = Shape::Gauge(ValueType::Long), "kafka.controller:type=KafkaController,name=NewActiveControllersCount", "count", "Active-controller changes seen by this node.", "QuorumControllerMetrics";
    KAFKA_CONTROLLER_FENCED_BROKER_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=FencedBrokerCount", "brokers", "Registered brokers that are fenced.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_ACTIVE_BROKER_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=ActiveBrokerCount", "brokers", "Registered brokers that are unfenced.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_GLOBAL_TOPIC_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=GlobalTopicCount", "topics", "Topics in the cluster.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_GLOBAL_PARTITION_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=GlobalPartitionCount", "partitions", "Partitions in the cluster.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_OFFLINE_PARTITIONS_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=OfflinePartitionsCount", "partitions", "Partitions without a leader.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_PREFERRED_REPLICA_IMBALANCE_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=PreferredReplicaImbalanceCount", "partitions", "Partitions whose leader is not the preferred replica.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_METADATA_ERROR_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=MetadataErrorCount", "count", "Errors met while processing the metadata log.", "ControllerMetadataMetrics";
    CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_TIME_MS = Shape::Histogram, "kafka.controller:type=ControllerEventManager,name=EventQueueTimeMs", "ms", "Time events wait in the controller queue.", "QuorumControllerMetrics";
    CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_PROCESSING_TIME_MS = Shape::Histogram, "kafka.controller:type=ControllerEventManager,name=EventQueueProcessingTimeMs", "ms", "Time events take to process in the controller.", "QuorumControllerMetrics";
    CONTROLLER_STATS_UNCLEAN_LEADER_ELECTIONS_PER_SEC = meter("elections"), "kafka.controller:type=ControllerStats,name=UncleanLeaderElectionsPerSec", "elections", "Leader elections that picked a replica outside the ISR.", "ControllerMetadataMetrics";
    CONTROLLER_STATS_ELECTION_FROM_ELIGIBLE_LEADER_REPLICAS_PER_SEC = meter("elections"), "kafka.controller:type=ControllerStats,name=ElectionFromEligibleLeaderReplicasPerSec", "elections", "Leader elections that picked an eligible leader replica (KIP-966).", "ControllerMetadataMetrics";
    CONTROLLER_EVENT_MANAGER_AVG_IDLE_RATIO = Shape::Gauge(ValueType::Double), "kafka.controller:type=ControllerEventManager,name=AvgIdleRatio", "ratio", "Idle share of the controller event queue thread (0..1).", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_BROKER_REGISTRATION_STATE = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=BrokerRegistrationState,broker={broker}", "state", "Registration state of a broker as the controller sees it: 10 fenced, 20 controlled shutdown, 30 active, -1 unregistered. On every controller.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_TIME_SINCE_LAST_HEARTBEAT_RECEIVED_MS = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=TimeSinceLastHeartbeatReceivedMs,broker={broker}", "ms", "Time since the last heartbeat of a broker reached the active controller.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_CONTROLLED_SHUTDOWN_BROKER_COUNT = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=ControlledShutdownBrokerCount", "brokers", "Brokers in controlled shutdown.", "ControllerMetadataMetrics";
    KAFKA_CONTROLLER_IGNORED_STATIC_VOTERS = Shape::Gauge(ValueType::Int), "kafka.controller:type=KafkaController,name=IgnoredStaticVoters", "boolean", "1 when controller.quorum.voters is set but the quorum is dynamic.", "ControllerMetadataMetrics";
}
