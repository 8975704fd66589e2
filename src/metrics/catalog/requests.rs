//! Request handlers, purgatories, fetch sessions.

use super::{idle_meter, meter, rows};
use crate::row::{BeanRow, Shape};
use crate::value::ValueType;

rows! {
    DELAYED_OPERATION_PURGATORY_PURGATORY_SIZE = Shape::Gauge(ValueType::Int), "kafka.server:type=DelayedOperationPurgatory,name=PurgatorySize,delayedOperation={delayedOperation}", "operations", "Watch entries currently held in the purgatory.", "DelayedOperation";
    DELAYED_OPERATION_PURGATORY_NUM_DELAYED_OPERATIONS = Shape::Gauge(ValueType::Int), "kafka.server:type=DelayedOperationPurgatory,name=NumDelayedOperations,delayedOperation={delayedOperation}", "operations", "Delayed operations not yet completed.", "DelayedOperation";
    DELAYED_FETCH_METRICS_EXPIRES_PER_SEC_BY_FOLLOWER = meter("requests"), "kafka.server:type=DelayedFetchMetrics,name=ExpiresPerSec,fetcherType=follower", "requests", "Follower fetches that timed out in the purgatory.", "DelayedFetch";
    DELAYED_FETCH_METRICS_EXPIRES_PER_SEC_BY_CONSUMER = meter("requests"), "kafka.server:type=DelayedFetchMetrics,name=ExpiresPerSec,fetcherType=consumer", "requests", "Consumer fetches that timed out in the purgatory.", "DelayedFetch";
    DELAYED_PRODUCE_METRICS_EXPIRES_PER_SEC = meter("requests"), "kafka.server:type=DelayedProduceMetrics,name=ExpiresPerSec", "requests", "Produce requests that timed out waiting for acks; aggregate.", "DelayedProduce";
    DELAYED_PRODUCE_METRICS_EXPIRES_PER_SEC_BY_TOPIC_PARTITION = meter("requests"), "kafka.server:type=DelayedProduceMetrics,name=ExpiresPerSec,topic={topic},partition={partition}", "requests", "Produce time-outs per partition.", "DelayedProduce";
    DELAYED_REMOTE_LIST_OFFSETS_METRICS_EXPIRES_PER_SEC = meter("requests"), "kafka.server:type=DelayedRemoteListOffsetsMetrics,name=ExpiresPerSec", "requests", "Remote list-offsets that timed out; aggregate.", "DelayedRemoteListOffsets";
    DELAYED_REMOTE_LIST_OFFSETS_METRICS_EXPIRES_PER_SEC_BY_TOPIC_PARTITION = meter("requests"), "kafka.server:type=DelayedRemoteListOffsetsMetrics,name=ExpiresPerSec,topic={topic},partition={partition}", "requests", "Remote list-offsets time-outs per partition.", "DelayedRemoteListOffsets";
    KAFKA_REQUEST_HANDLER_POOL_REQUEST_HANDLER_AVG_IDLE_PERCENT = idle_meter("percent"), "kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent", "ratio (meter in ns)", "Idle share of the request handler threads; read OneMinuteRate (0..1), Count grows in idle nanoseconds divided by thread count.", "KafkaRequestHandler";
    FETCH_SESSION_CACHE_NUM_INCREMENTAL_FETCH_SESSIONS = Shape::Gauge(ValueType::Int), "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions", "sessions", "Incremental fetch sessions cached.", "FetchSession";
    FETCH_SESSION_CACHE_NUM_INCREMENTAL_FETCH_PARTITIONS_CACHED = Shape::Gauge(ValueType::Long), "kafka.server:type=FetchSessionCache,name=NumIncrementalFetchPartitionsCached", "partitions", "Partitions remembered by cached fetch sessions.", "FetchSession";
    FETCH_SESSION_CACHE_INCREMENTAL_FETCH_SESSION_EVICTIONS_PER_SEC = meter("evictions"), "kafka.server:type=FetchSessionCache,name=IncrementalFetchSessionEvictionsPerSec", "evictions", "Fetch sessions evicted because the cache was full.", "FetchSession";
    ADD_PARTITIONS_TO_TXN_MANAGER_VERIFICATION_FAILURE_RATE = meter("failures"), "kafka.server:type=AddPartitionsToTxnManager,name=VerificationFailureRate", "failures", "Transaction partition verifications that failed.", "AddPartitionsToTxnManager";
    ADD_PARTITIONS_TO_TXN_MANAGER_VERIFICATION_TIME_MS = Shape::Histogram, "kafka.server:type=AddPartitionsToTxnManager,name=VerificationTimeMs", "ms", "Time to verify a partition with the transaction coordinator.", "AddPartitionsToTxnManager";
    KAFKA_REQUEST_HANDLER_POOL_BROKER_REQUEST_HANDLER_AVG_IDLE_PERCENT = idle_meter("percent"), "kafka.server:type=KafkaRequestHandlerPool,name=BrokerRequestHandlerAvgIdlePercent", "ratio (meter in ns)", "Idle share of the request handler threads of the broker role; in a combined node RequestHandlerAvgIdlePercent covers both roles.", "KafkaMetricsGroup";
    KAFKA_REQUEST_HANDLER_POOL_CONTROLLER_REQUEST_HANDLER_AVG_IDLE_PERCENT = idle_meter("percent"), "kafka.server:type=KafkaRequestHandlerPool,name=ControllerRequestHandlerAvgIdlePercent", "ratio (meter in ns)", "Idle share of the request handler threads of the controller role.", "KafkaMetricsGroup";
}
