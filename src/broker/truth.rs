//! The truth of the beans that the broker itself moves: requests, waiting operations, fetch
//! sessions, shards of groups, idle workers, and what a node says of itself.

use std::sync::Arc;
use std::time::Duration;

use pharos_base::{BrokerId, Clock, Spawners, TopicId, TopicPartition};
use pharos_coordinator::GroupMetrics;
use pharos_metrics::catalog::{
    broker_topics, coordinator, network, node as rows, replicas, requests,
};
use pharos_metrics::truth::{Claim, by, says, to};
use pharos_metrics::{BeanRow, Registry, Value, truth};
use pharos_net::Timestamps;
use pharos_protocol::messages::AssignReplicasToDirsRequest;
use pharos_protocol::messages::assign_replicas_to_dirs_request::{
    DirectoryData, PartitionData, TopicData,
};
use pharos_protocol::{ApiKey, ErrorCode};
use pharos_replication::WatchList;
use pharos_storage::Conversion;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::beans::{
    BrokerState, Forwarding, IdleMeters, NodeFacts, NodeState, ShardMetrics, ShardStage,
};
use crate::delayed_metrics::{DelayedMetrics, Purgatories};
use crate::directories::Queued;
use crate::fetch_session::{
    Claim as SessionClaim, FetchSessions, Limits, PartitionKey, Told, Wanted,
};
use crate::request_metrics::{Finished, RequestMetrics};
use crate::request_series::Measured;

const NOW: i64 = 1_700_000_000_000;

fn registry() -> Registry {
    Registry::new(Clock::simulated(NOW).0)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_request_is_counted_by_phase_size_and_error() {
    let registry = registry();
    let truth = truth!(&registry);
    let metrics = RequestMetrics::new(&registry);
    let received = Instant::now();
    let handle_begin = received + ms(10);
    let handle_end = handle_begin + ms(200);
    let reply_ready = handle_end + ms(3000);
    let write_begin = reply_ready + ms(40_000);
    let write_end = write_begin + ms(500_000);
    let timestamps = Timestamps {
        first_byte: received,
        received,
        handle_begin,
        handle_end,
        reply_ready,
        write_begin,
        write_end,
    };
    let phases: [(&'static BeanRow, f64); 8] = [
        (&network::REQUEST_METRICS_REQUEST_QUEUE_TIME_MS, 10.0),
        (&network::REQUEST_METRICS_LOCAL_TIME_MS, 200.0),
        (&network::REQUEST_METRICS_REMOTE_TIME_MS, 3000.0),
        (&network::REQUEST_METRICS_RESPONSE_QUEUE_TIME_MS, 40_000.0),
        (&network::REQUEST_METRICS_RESPONSE_SEND_TIME_MS, 500_000.0),
        (&network::REQUEST_METRICS_TOTAL_TIME_MS, 543_210.0),
        (&network::REQUEST_METRICS_THROTTLE_TIME_MS, 77.0),
        (&network::REQUEST_METRICS_REQUEST_BYTES, 1234.0),
    ];
    let tags: &[(&str, &str)] = &[("request", "Produce")];
    let version: &[(&str, &str)] = &[("request", "Produce"), ("version", "9")];
    let error: &[(&str, &str)] = &[("request", "Produce"), ("error", "NOT_LEADER_OR_FOLLOWER")];
    let mut claims: Vec<Claim> = phases
        .into_iter()
        .flat_map(|(row, value)| [by(row, tags, "Count", 1.0), to(row, tags, "Max", value)])
        .collect();
    let conversions = &network::REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_PRODUCE;
    let memory = &network::REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_PRODUCE;
    claims.extend([
        by(&network::REQUEST_METRICS_REQUESTS_PER_SEC, version, "Count", 1.0),
        by(&network::REQUEST_METRICS_ERRORS_PER_SEC, error, "Count", 3.0),
        by(conversions, &[], "Count", 1.0),
        // The nearest millisecond, as in Kafka.
        to(conversions, &[], "Max", 5.0),
        by(memory, &[], "Count", 1.0),
        to(memory, &[], "Max", 4321.0),
    ]);
    let claims = truth.claims(claims);
    let mut finished = Finished {
        api: ApiKey::Produce,
        by_consumer: false,
        version: 9,
        request_bytes: 1234,
        measured: &Measured::new(&timestamps, ms(77), 0, 0),
        errors: &vec![(ErrorCode::NotLeaderOrFollower.code(), 3)],
        conversion: Conversion {
            temporary_bytes: 4321,
            records: 9,
            took: Duration::from_micros(4_500),
        },
    };
    metrics.record(&finished);
    claims.hold();
    let conversions = &network::REQUEST_METRICS_MESSAGE_CONVERSIONS_TIME_MS_BY_FETCH;
    let memory = &network::REQUEST_METRICS_TEMPORARY_MEMORY_BYTES_BY_FETCH;
    let total = &network::REQUEST_METRICS_TOTAL_TIME_MS;
    let fetched = truth.claims([
        by(conversions, &[], "Count", 1.0),
        by(memory, &[], "Count", 1.0),
        by(total, &[("request", "Fetch")], "Count", 1.0),
        by(total, &[("request", "FetchConsumer")], "Count", 1.0),
    ]);
    finished.api = ApiKey::Fetch;
    finished.conversion = Conversion::default();
    finished.by_consumer = true;
    metrics.record(&finished);
    fetched.hold();
}

#[test]
fn replicas_are_queued_until_their_directories_are_known() {
    let registry = registry();
    let truth = truth!(&registry);
    let queued = Queued::new(&registry);
    let partitions = |count| (0..count).map(|partition_index| PartitionData { partition_index });
    let topic =
        |count| TopicData { topic_id: TopicId::random(), partitions: partitions(count).collect() };
    let directory = |topics| DirectoryData { id: TopicId::random(), topics };
    let mut request = AssignReplicasToDirsRequest {
        directories: vec![directory(vec![topic(2), topic(1)]), directory(vec![topic(4)])],
        ..AssignReplicasToDirsRequest::default()
    };
    let asked = truth.claims([
        to(&replicas::ASSIGNMENTS_MANAGER_QUEUED_REPLICA_TO_DIR_ASSIGNMENTS, &[], "Value", 7.0),
        to(&replicas::ASSIGNMENTS_MANAGER_QUEUED_REPLICA_TO_DIR_ASSIGNMENTS_OLD, &[], "Value", 7.0),
    ]);
    queued.show(&request);
    asked.hold();
    request.directories.clear();
    queued.show(&request);
    let name = replicas::ASSIGNMENTS_MANAGER_QUEUED_REPLICA_TO_DIR_ASSIGNMENTS.template;
    assert_eq!(registry.read(name, "Value"), Some(Value::Long(0)));
}

#[test]
fn what_waits_is_counted_and_so_is_what_waited_too_long() {
    let registry = registry();
    let truth = truth!(&registry);
    let (purgatories, sessions) = (Purgatories::default(), sessions());
    let delayed = DelayedMetrics::new(&registry, &purgatories, &sessions);
    for (name, purgatory) in [
        ("Fetch", &purgatories.fetch),
        ("Produce", &purgatories.produce),
        ("DeleteRecords", &purgatories.delete_records),
    ] {
        let of: &[(&str, &str)] = &[("delayedOperation", name)];
        let claims = truth.claims([
            by(&requests::DELAYED_OPERATION_PURGATORY_NUM_DELAYED_OPERATIONS, of, "Value", 1.0),
            by(&requests::DELAYED_OPERATION_PURGATORY_PURGATORY_SIZE, of, "Value", 2.0),
        ]);
        let wait = purgatory.begin(1);
        let lists = [WatchList::default(), WatchList::default()];
        for list in &lists {
            list.watch(&wait, 0);
        }
        claims.hold();
    }
    let partition: &[(&str, &str)] = &[("topic", "t"), ("partition", "3")];
    let by_partition = &requests::DELAYED_PRODUCE_METRICS_EXPIRES_PER_SEC_BY_TOPIC_PARTITION;
    let consumer = &requests::DELAYED_FETCH_METRICS_EXPIRES_PER_SEC_BY_CONSUMER;
    let expired = truth.claims([
        by(consumer, &[], "Count", 1.0),
        by(&requests::DELAYED_PRODUCE_METRICS_EXPIRES_PER_SEC, &[], "Count", 1.0),
        by(by_partition, partition, "Count", 1.0),
    ]);
    delayed.fetch_expired();
    delayed.produce_expired(&TopicPartition::new("t", 3));
    expired.hold();
}

/// Room for one session; another one may take its place at once.
fn sessions() -> Arc<FetchSessions> {
    Arc::new(FetchSessions::new(Limits { slots: 1, eviction_ms: 0 }))
}

fn open_session(sessions: &FetchSessions, now_ms: i64, partitions: i32) {
    let wanted = Wanted {
        fetch_offset: 0,
        max_bytes: 1024,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    };
    let told =
        Told { error: ErrorCode::None, bytes: 0, high_watermark: 5, log_start: 0, notable: false };
    let key = |partition| PartitionKey { topic_id: TopicId::ZERO, topic: "t".into(), partition };
    let list = (0..partitions).map(|partition| (key(partition), wanted)).collect();
    let claim = SessionClaim { session_id: 0, epoch: 0, uses_ids: false };
    let (mode, all) = sessions.begin(now_ms, claim, list, &[]).unwrap();
    let results: Vec<_> = all.into_iter().map(|(key, wanted)| (key, wanted, told)).collect();
    sessions.finish(now_ms, mode, &results);
}

#[test]
fn fetch_sessions_are_counted_and_evicted() {
    let registry = registry();
    let truth = truth!(&registry);
    let sessions = sessions();
    let _delayed = DelayedMetrics::new(&registry, &Purgatories::default(), &sessions);
    let partitions = &requests::FETCH_SESSION_CACHE_NUM_INCREMENTAL_FETCH_PARTITIONS_CACHED;
    let opened = truth.claims([
        by(&requests::FETCH_SESSION_CACHE_NUM_INCREMENTAL_FETCH_SESSIONS, &[], "Value", 1.0),
        by(partitions, &[], "Value", 3.0),
    ]);
    open_session(&sessions, 0, 3);
    opened.hold();
    let evictions = &requests::FETCH_SESSION_CACHE_INCREMENTAL_FETCH_SESSION_EVICTIONS_PER_SEC;
    let evicted =
        truth.claims([by(evictions, &[], "Count", 1.0), by(partitions, &[], "Value", 2.0)]);
    open_session(&sessions, 200_000, 5);
    evicted.hold();
}

#[test]
fn shards_are_counted_by_stage_and_their_events_timed() {
    let registry = registry();
    let truth = truth!(&registry);
    let groups = GroupMetrics::new(&registry);
    let shards = ShardMetrics::new(&registry, &groups);
    let in_stage = |row, amount| by(row, &[], "num-partitions", amount);
    let loading = truth.claims([
        in_stage(&coordinator::GROUP_COORDINATOR_METRICS_BY_LOADING, 1.0),
        in_stage(&coordinator::GROUP_COORDINATOR_METRICS_BY_FAILED, 1.0),
    ]);
    let mut shard = shards.stage(ShardStage::Loading);
    let _failed = shards.stage(ShardStage::Failed);
    loading.hold();
    let active = truth.claims([
        in_stage(&coordinator::GROUP_COORDINATOR_METRICS_BY_LOADING, -1.0),
        in_stage(&coordinator::GROUP_COORDINATOR_METRICS_BY_ACTIVE, 1.0),
    ]);
    shard.enter(ShardStage::Active);
    active.hold();
    let figure =
        |attribute, value| to(&coordinator::GROUP_COORDINATOR_METRICS, &[], attribute, value);
    let claims = truth.claims([
        figure("event-queue-time-ms-max", 11.0),
        figure("event-processing-time-ms-max", 22.0),
        figure("event-purgatory-time-ms-max", 33.0),
        figure("batch-flush-time-ms-max", 44.0),
        figure("partition-load-time-max", 55.0),
        figure("batch-flush-rate", 1.0 / 30.0),
        figure("thread-idle-ratio-avg", 0.6),
    ]);
    let sensors = shards.sensors();
    sensors.event_took(ms(11), ms(22));
    sensors.committed(ms(33));
    sensors.flushed(ms(44));
    sensors.loaded(ms(55));
    shards.show_idle(10.0, Duration::from_secs(4));
    claims.hold();
}

#[tokio::test]
async fn idle_workers_are_a_share_of_time() {
    let registry = registry();
    let truth = truth!(&registry);
    let meters = IdleMeters::new(&registry, &Spawners::on(&Handle::current()));
    let count = |row, nanos| by(row, &[], "Count", nanos);
    let claims = truth.claims([
        count(&requests::KAFKA_REQUEST_HANDLER_POOL_BROKER_REQUEST_HANDLER_AVG_IDLE_PERCENT, 6e9),
        count(
            &requests::KAFKA_REQUEST_HANDLER_POOL_CONTROLLER_REQUEST_HANDLER_AVG_IDLE_PERCENT,
            1e10,
        ),
        count(&requests::KAFKA_REQUEST_HANDLER_POOL_REQUEST_HANDLER_AVG_IDLE_PERCENT, 8e9),
    ]);
    meters.mark(Duration::from_secs(10), [Duration::from_secs(4), Duration::ZERO]);
    claims.hold();
}

#[test]
fn the_controllers_answers_are_timed() {
    let registry = registry();
    let truth = truth!(&registry);
    let forwarding = Forwarding::new(&registry);
    let figure = |attribute, value| to(&rows::FORWARDING_MANAGER, &[], attribute, value);
    let claims = truth.claims([figure("RemoteTimeMs.p99", 12.0), figure("QueueTimeMs.p99", 0.0)]);
    forwarding.answered(ms(12));
    claims.hold();
}

#[test]
fn a_node_tells_what_it_is() {
    let registry = registry();
    let truth = truth!(&registry);
    let home = tempfile::tempdir().unwrap();
    let io = home.path().join("io");
    std::fs::write(&io, "read_bytes: 4096\nwrite_bytes: 8192\n").unwrap();
    let facts =
        NodeFacts { id: BrokerId(7), cluster_id: "of the test".into(), revision: "abc".into() };
    let (id, client): (&[_], &[_]) = (&[("id", "7")], &[("client-id", "7")]);
    let version = env!("CARGO_PKG_VERSION");
    let start = NOW as f64;
    let gauge = |row, value| to(row, &[], "Value", value);
    let born = truth.claims([
        says(&rows::KAFKA_SERVER_CLUSTER_ID, &[], "Value", "of the test"),
        says(&rows::CONTROLLER_SERVER_CLUSTER_ID, &[], "Value", "of the test"),
        to(&rows::APP_INFO, &[], "start-time-ms", start),
        says(&rows::APP_INFO, &[], "commit-id", "abc"),
        says(&rows::APP_INFO, &[], "version", version),
        to(&rows::APP_INFO_BY_ID, id, "StartTimeMs", start),
        says(&rows::APP_INFO_BY_ID, id, "CommitId", "abc"),
        says(&rows::APP_INFO_BY_ID, id, "Version", version),
        to(&rows::APP_INFO_BY_CLIENT_ID, client, "start-time-ms", start),
        says(&rows::APP_INFO_BY_CLIENT_ID, client, "commit-id", "abc"),
        says(&rows::APP_INFO_BY_CLIENT_ID, client, "version", version),
        gauge(&rows::KAFKA_SERVER_BROKER_STATE, 1.0),
        gauge(&rows::KAFKA_SERVER_LINUX_DISK_READ_BYTES, 4096.0),
        gauge(&rows::KAFKA_SERVER_LINUX_DISK_WRITE_BYTES, 8192.0),
    ]);
    let node = NodeState::with_io(&registry, &facts, io.to_str().unwrap());
    born.hold();
    let grown = |row, amount| by(row, &[], "Value", amount);
    let moved = truth.claims([
        gauge(&rows::KAFKA_SERVER_BROKER_STATE, 3.0),
        grown(&rows::KAFKA_SERVER_LINUX_DISK_READ_BYTES, 100.0),
        grown(&rows::KAFKA_SERVER_LINUX_DISK_WRITE_BYTES, 200.0),
        grown(&rows::CONTROLLER_SERVER_LINUX_DISK_READ_BYTES, 100.0),
        grown(&rows::CONTROLLER_SERVER_LINUX_DISK_WRITE_BYTES, 200.0),
        grown(&rows::KAFKA_SERVER_YAMMER_METRICS_COUNT, 1.0),
        grown(&rows::CONTROLLER_SERVER_YAMMER_METRICS_COUNT, 1.0),
        by(&rows::KAFKA_METRICS_COUNT, &[], "count", 5.0),
    ]);
    std::fs::write(&io, "read_bytes: 4196\nwrite_bytes: 8392\n").unwrap();
    node.set(BrokerState::Running);
    let _meter = registry.meter(&broker_topics::BYTES_IN_PER_SEC, &[]);
    // A bean of five attributes.
    let _forwarding = Forwarding::new(&registry);
    moved.hold();
}
