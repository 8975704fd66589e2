//! ReplicaManager and the fetchers.

use super::{meter, rows};
use crate::row::{AttributeRow, BeanRow, Origin, Shape, Stat};
use crate::value::ValueType;

rows! {
    REPLICA_MANAGER_LEADER_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=LeaderCount", "partitions", "Partitions this broker leads.", "ReplicaManager";
    REPLICA_MANAGER_PARTITION_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=PartitionCount", "partitions", "Partitions hosted on this broker in any role.", "ReplicaManager";
    REPLICA_MANAGER_OFFLINE_REPLICA_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=OfflineReplicaCount", "replicas", "Local replicas that are offline because of a failed log directory.", "ReplicaManager";
    REPLICA_MANAGER_UNDER_REPLICATED_PARTITIONS = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions", "partitions", "Led partitions whose ISR is smaller than the replica set.", "ReplicaManager";
    REPLICA_MANAGER_UNDER_MIN_ISR_PARTITION_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount", "partitions", "Led partitions whose ISR is below min.insync.replicas.", "ReplicaManager";
    REPLICA_MANAGER_AT_MIN_ISR_PARTITION_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=AtMinIsrPartitionCount", "partitions", "Led partitions whose ISR equals min.insync.replicas.", "ReplicaManager";
    REPLICA_MANAGER_REASSIGNING_PARTITIONS = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=ReassigningPartitions", "partitions", "Led partitions with a reassignment in progress.", "ReplicaManager";
    REPLICA_MANAGER_PARTITIONS_WITH_LATE_TRANSACTIONS_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=PartitionsWithLateTransactionsCount", "partitions", "Led partitions with a transaction open past the allowed time.", "ReplicaManager";
    REPLICA_MANAGER_PRODUCER_ID_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaManager,name=ProducerIdCount", "producers", "Producer ids tracked over all local partitions.", "ReplicaManager";
    REPLICA_MANAGER_ISR_EXPANDS_PER_SEC = meter("expands"), "kafka.server:type=ReplicaManager,name=IsrExpandsPerSec", "expands", "ISR expansions decided by this leader.", "ReplicaManager";
    REPLICA_MANAGER_ISR_SHRINKS_PER_SEC = meter("shrinks"), "kafka.server:type=ReplicaManager,name=IsrShrinksPerSec", "shrinks", "ISR shrinks decided by this leader.", "ReplicaManager";
    REPLICA_MANAGER_FAILED_ISR_UPDATES_PER_SEC = meter("failedUpdates"), "kafka.server:type=ReplicaManager,name=FailedIsrUpdatesPerSec", "failedUpdates", "ISR changes that could not be committed.", "ReplicaManager";
    REPLICA_FETCHER_MANAGER_MAX_LAG = Shape::Gauge(ValueType::Long), "kafka.server:type=ReplicaFetcherManager,name=MaxLag,clientId=Replica", "messages", "Largest follower lag over all fetcher threads and partitions.", "AbstractFetcherManager";
    REPLICA_FETCHER_MANAGER_MIN_FETCH_RATE = Shape::Gauge(ValueType::Double), "kafka.server:type=ReplicaFetcherManager,name=MinFetchRate,clientId=Replica", "requests/s", "Smallest one-minute fetch rate over the fetcher threads.", "AbstractFetcherManager";
    REPLICA_FETCHER_MANAGER_FAILED_PARTITIONS_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaFetcherManager,name=FailedPartitionsCount,clientId=Replica", "partitions", "Partitions whose fetch state is marked failed.", "AbstractFetcherManager";
    REPLICA_FETCHER_MANAGER_DEAD_THREAD_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaFetcherManager,name=DeadThreadCount,clientId=Replica", "threads", "Fetcher threads that died from an exception.", "AbstractFetcherManager";
    REPLICA_ALTER_LOG_DIRS_MANAGER_MAX_LAG = Shape::Gauge(ValueType::Long), "kafka.server:type=ReplicaAlterLogDirsManager,name=MaxLag,clientId=ReplicaAlterLogDirs", "messages", "Largest follower lag over all fetcher threads and partitions.", "AbstractFetcherManager";
    REPLICA_ALTER_LOG_DIRS_MANAGER_MIN_FETCH_RATE = Shape::Gauge(ValueType::Double), "kafka.server:type=ReplicaAlterLogDirsManager,name=MinFetchRate,clientId=ReplicaAlterLogDirs", "requests/s", "Smallest one-minute fetch rate over the fetcher threads.", "AbstractFetcherManager";
    REPLICA_ALTER_LOG_DIRS_MANAGER_FAILED_PARTITIONS_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaAlterLogDirsManager,name=FailedPartitionsCount,clientId=ReplicaAlterLogDirs", "partitions", "Partitions whose fetch state is marked failed.", "AbstractFetcherManager";
    REPLICA_ALTER_LOG_DIRS_MANAGER_DEAD_THREAD_COUNT = Shape::Gauge(ValueType::Int), "kafka.server:type=ReplicaAlterLogDirsManager,name=DeadThreadCount,clientId=ReplicaAlterLogDirs", "threads", "Fetcher threads that died from an exception.", "AbstractFetcherManager";
    FETCHER_LAG_METRICS_CONSUMER_LAG = Shape::Gauge(ValueType::Long), "kafka.server:type=FetcherLagMetrics,name=ConsumerLag,clientId={clientId},topic={topic},partition={partition}", "messages", "Follower replica lag behind its leader for one partition; clientId is the fetcher thread name such as ReplicaFetcherThread-0-2, initial value -1.", "AbstractFetcherThread";
    FETCHER_STATS_REQUESTS_PER_SEC = meter("requests"), "kafka.server:type=FetcherStats,name=RequestsPerSec,clientId={clientId},brokerHost={brokerHost},brokerPort={brokerPort}", "requests", "Follower fetch requests sent to one leader broker.", "AbstractFetcherThread";
    FETCHER_STATS_BYTES_PER_SEC = meter("bytes"), "kafka.server:type=FetcherStats,name=BytesPerSec,clientId={clientId},brokerHost={brokerHost},brokerPort={brokerPort}", "bytes", "Follower bytes fetched from one leader broker.", "AbstractFetcherThread";
    ASSIGNMENTS_MANAGER_QUEUED_REPLICA_TO_DIR_ASSIGNMENTS = Shape::Gauge(ValueType::Int), "kafka.server:type=AssignmentsManager,name=QueuedReplicaToDirAssignments", "replicas", "Replicas whose log directory the controller has not been told of yet.", "AssignmentsManager";
    ASSIGNMENTS_MANAGER_QUEUED_REPLICA_TO_DIR_ASSIGNMENTS_OLD = Shape::Gauge(ValueType::Int), "org.apache.kafka.server:type=AssignmentsManager,name=QueuedReplicaToDirAssignments", "replicas", "Replicas whose log directory the controller has not been told of yet.", "AssignmentsManager";
    LEADER_REPLICATION = Shape::Attributes(LEADER_REPLICATION_ATTRIBUTES), "kafka.server:type=LeaderReplication", "bytes/s", "Throttled LeaderReplication bandwidth.", "ReplicationQuotaManager";
    FOLLOWER_REPLICATION = Shape::Attributes(LEADER_REPLICATION_ATTRIBUTES), "kafka.server:type=FollowerReplication", "bytes/s", "Throttled FollowerReplication bandwidth.", "ReplicationQuotaManager";
}

const LEADER_REPLICATION_ATTRIBUTES: &[AttributeRow] = &[AttributeRow {
    name: "byte-rate",
    from: Origin::Sensor("bytes", Stat::Rate),
    meaning: "bytes per second that count against the quota",
}];
