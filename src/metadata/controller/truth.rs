//! The truth of the beans of the controller, the quorum and whoever follows the metadata log, on a
//! simulated file system and clock.

use std::time::Duration;

use pharos_base::ClockHand;
use pharos_metrics::catalog::{controller as beans, log, node as rows};
use pharos_metrics::truth::{Claim, Truth, by, says, to};
use pharos_metrics::{BeanRow, Registry, truth};
use pharos_protocol::messages::{BrokerHeartbeatRequest, ElectLeadersRequest};
use pharos_storage::fs::SimFs;

use super::crash_tests::{file, snapshot_and_purge};
use super::tests::TestNode;
use super::*;
use crate::image::MetadataDelta;
use crate::metrics::LoaderMetrics;
use crate::publish::ImagePublisher;
use crate::quorum::Commit;

const NOW: i64 = 1_700_000_000_000;

fn registry() -> (Registry, ClockHand) {
    let (clock, hand) = Clock::simulated(NOW);
    (Registry::new(clock), hand)
}

fn gauge(row: &'static BeanRow, value: f64) -> Claim {
    to(row, &[], "Value", value)
}

fn count(row: &'static BeanRow, amount: f64) -> Claim {
    by(row, &[], "Value", amount)
}

fn raft(attribute: &'static str, value: f64) -> Claim {
    to(&rows::RAFT_METRICS, &[], attribute, value)
}

/// A node that leads, on a file system where one has been before.
async fn leading(fs: Arc<SimFs>, registry: &Registry) -> TestNode {
    let node = TestNode::try_start_with(fs, registry.clone()).await.unwrap();
    settled(&node).await;
    node
}

/// Waits until it leads and everything that was committed is published.
async fn settled(node: &TestNode) {
    node.controller.elect_leaders(ElectLeadersRequest::default()).await.unwrap();
    node.controller.publisher().wait_for(node.controller.last_committed_offset()).await;
}

#[tokio::test]
async fn a_node_that_leads_says_so() {
    let fs = Arc::new(SimFs::new());
    let first = leading(fs.clone(), &registry().0).await;
    let directory = first.directory.to_string();
    first.controller.shutdown().await;
    let (registry, _) = registry();
    let truth = truth!(&registry);
    let feature: &[(&str, &str)] = &[("featureName", "metadataVersion")];
    let supported: &[(&str, &str)] = &[("feature-name", "metadata-version")];
    let claims = truth.claims([
        raft("current-leader", 1.0),
        // The second life is the second term.
        raft("current-epoch", 2.0),
        raft("current-vote", 1.0),
        raft("log-end-epoch", 2.0),
        raft("number-of-voters", 1.0),
        says(&rows::RAFT_METRICS, &[], "current-state", "leader"),
        says(&rows::RAFT_METRICS, &[], "current-vote-directory-id", &directory),
        gauge(&beans::KAFKA_CONTROLLER_ACTIVE_CONTROLLER_COUNT, 1.0),
        gauge(&beans::KAFKA_CONTROLLER_NEW_ACTIVE_CONTROLLERS_COUNT, 1.0),
        gauge(&rows::METADATA_LOADER_CURRENT_METADATA_VERSION, 30.0),
        gauge(&rows::METADATA_LOADER_CURRENT_CONTROLLER_ID, 1.0),
        to(&rows::METADATA_LOADER_FINALIZED_LEVEL, feature, "Value", 30.0),
        to(&rows::NODE_METRICS, supported, "maximum-supported-level", 30.0),
        to(&rows::NODE_METRICS, supported, "minimum-supported-level", 7.0),
    ]);
    let node = leading(fs, &registry).await;
    claims.hold();
    node.controller.shutdown().await;
}

#[tokio::test]
async fn decisions_are_counted_to_the_record() {
    let (registry, hand) = registry();
    let truth = truth!(&registry);
    let node = leading(Arc::new(SimFs::new()), &registry).await;
    node.join().await.unwrap();
    settled(&node).await;
    hand.advance(Duration::from_secs(3));
    let broker = &rows::BROKER_METADATA_METRICS;
    let metadata: &[(&str, &str)] = &[("topic", "__cluster_metadata"), ("partition", "0")];
    // A topic of forty partitions is a batch of 41 records.
    let claims = truth.claims([
        count(&beans::KAFKA_CONTROLLER_GLOBAL_TOPIC_COUNT, 1.0),
        count(&beans::KAFKA_CONTROLLER_GLOBAL_PARTITION_COUNT, 40.0),
        count(&beans::KAFKA_CONTROLLER_EVENT_QUEUE_OPERATIONS_STARTED_COUNT, 1.0),
        count(&beans::KAFKA_CONTROLLER_LAST_APPLIED_RECORD_OFFSET, 41.0),
        count(&beans::KAFKA_CONTROLLER_LAST_COMMITTED_RECORD_OFFSET, 41.0),
        gauge(&beans::KAFKA_CONTROLLER_LAST_APPLIED_RECORD_TIMESTAMP, (NOW + 3000) as f64),
        by(&rows::RAFT_METRICS, &[], "high-watermark", 41.0),
        by(&rows::RAFT_METRICS, &[], "log-end-offset", 41.0),
        by(&log::LOG_LOG_END_OFFSET, metadata, "Value", 41.0),
        by(&log::LOG_FLUSH_STATS_LOG_FLUSH_RATE_AND_TIME_MS, &[], "Count", 1.0),
        by(broker, &[], "last-applied-record-offset", 41.0),
        to(broker, &[], "last-applied-record-timestamp", (NOW + 3000) as f64),
        by(&rows::BROKER_METADATA_LISTENER_METADATA_BATCH_SIZES, &[], "Count", 1.0),
        to(&rows::BROKER_METADATA_LISTENER_METADATA_BATCH_SIZES, &[], "Max", 41.0),
        by(&rows::BROKER_METADATA_LISTENER_METADATA_BATCH_PROCESSING_TIME_US, &[], "Count", 1.0),
    ]);
    assert_eq!(node.create("t", 40).await, (0, None));
    node.controller.publisher().wait_for(node.controller.last_committed_offset()).await;
    claims.hold();

    let metrics = node.controller.0.metrics.clone();
    // The active controller's last record ages, too.
    let aged = truth.claims([gauge(&beans::KAFKA_CONTROLLER_LAST_APPLIED_RECORD_LAG_MS, 1000.0)]);
    hand.advance(Duration::from_secs(1));
    aged.hold();
    let late = truth.claims([
        to(broker, &[], "last-applied-record-lag-ms", 3000.0),
        gauge(&beans::KAFKA_CONTROLLER_LAST_APPLIED_RECORD_LAG_MS, 3000.0),
        gauge(&beans::KAFKA_CONTROLLER_ACTIVE_CONTROLLER_COUNT, 0.0),
    ]);
    metrics.set_active(false);
    hand.advance(Duration::from_secs(2));
    late.hold();
    node.controller.shutdown().await;
}

#[tokio::test]
async fn brokers_come_stop_and_are_fenced() {
    let (registry, hand) = registry();
    let truth = truth!(&registry);
    let node = leading(Arc::new(SimFs::new()), &registry).await;
    let one: &[(&str, &str)] = &[("broker", "1")];
    let state = |value| to(&beans::KAFKA_CONTROLLER_BROKER_REGISTRATION_STATE, one, "Value", value);
    let registered =
        truth.claims([count(&beans::KAFKA_CONTROLLER_FENCED_BROKER_COUNT, 1.0), state(10.0)]);
    let answer = node.controller.register_broker(node.registration()).await.unwrap();
    settled(&node).await;
    registered.hold();
    let heartbeat = || node.heartbeat(answer.broker_epoch);
    let unfenced = truth.claims([
        count(&beans::KAFKA_CONTROLLER_FENCED_BROKER_COUNT, -1.0),
        count(&beans::KAFKA_CONTROLLER_ACTIVE_BROKER_COUNT, 1.0),
        state(30.0),
    ]);
    node.controller.broker_heartbeat(heartbeat()).await.unwrap();
    settled(&node).await;
    unfenced.hold();
    let row = &beans::KAFKA_CONTROLLER_TIME_SINCE_LAST_HEARTBEAT_RECEIVED_MS;
    let silent = truth.claims([by(row, one, "Value", 4000.0)]);
    hand.advance(Duration::from_secs(4));
    silent.hold();

    assert_eq!(node.create("t", 1).await, (0, None));
    let stopping = truth.claims([
        count(&beans::KAFKA_CONTROLLER_CONTROLLED_SHUTDOWN_BROKER_COUNT, 1.0),
        count(&beans::KAFKA_CONTROLLER_OFFLINE_PARTITIONS_COUNT, 1.0),
        count(&beans::KAFKA_CONTROLLER_PREFERRED_REPLICA_IMBALANCE_COUNT, 1.0),
        state(20.0),
    ]);
    let stop = BrokerHeartbeatRequest { want_shut_down: true, ..heartbeat() };
    node.controller.broker_heartbeat(stop).await.unwrap();
    settled(&node).await;
    stopping.hold();

    let expired = truth.claims([count(&beans::KAFKA_CONTROLLER_ACTIVE_BROKER_COUNT, -1.0)]);
    hand.advance(Duration::from_secs(60));
    settled(&node).await;
    expired.hold();
    node.controller.shutdown().await;
}

#[tokio::test]
async fn work_is_timed_and_its_failures_counted() {
    let (registry, hand) = registry();
    let truth = truth!(&registry);
    let node = leading(Arc::new(SimFs::new()), &registry).await;
    let metrics = node.controller.0.metrics.clone();
    let claims = truth.claims([
        by(&beans::CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_TIME_MS, &[], "Count", 1.0),
        to(&beans::CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_TIME_MS, &[], "Max", 700.0),
        by(&beans::CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_PROCESSING_TIME_MS, &[], "Count", 2.0),
        to(&beans::CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_PROCESSING_TIME_MS, &[], "Max", 4000.0),
        count(&beans::KAFKA_CONTROLLER_METADATA_ERROR_COUNT, 1.0),
        raft("commit-latency-max", 900.0),
        raft("election-latency-max", 1200.0),
        by(&beans::CONTROLLER_STATS_UNCLEAN_LEADER_ELECTIONS_PER_SEC, &[], "Count", 2.0),
    ]);
    metrics.job_started(Duration::from_millis(700));
    metrics.jobs_done(2, Duration::from_secs(4));
    metrics.metadata_error();
    metrics.committed(3, Duration::from_millis(900));
    metrics.elected(Duration::from_millis(1200));
    let unclean = MetadataDelta { unclean_elections: 2, ..MetadataDelta::default() };
    metrics.follow(&node.image(), &unclean, &node.controller.0.quorum);
    claims.hold();
    idle_shares(&truth, &node, &hand);
    node.controller.shutdown().await;
}

/// A full disk makes the quorum wait, and whoever asked it.
#[tokio::test]
async fn heartbeats_that_nobody_answers_are_counted() {
    let (registry, _) = registry();
    let truth = truth!(&registry);
    let fs = Arc::new(SimFs::new());
    let node = leading(fs.clone(), &registry).await;
    let epoch = node.join().await.unwrap();
    let claims = truth.claims([
        count(&beans::KAFKA_CONTROLLER_TIMED_OUT_BROKER_HEARTBEAT_COUNT, 1.0),
        count(&beans::KAFKA_CONTROLLER_EVENT_QUEUE_OPERATIONS_TIMED_OUT_COUNT, 1.0),
    ]);
    fs.set_free_bytes(Some(0));
    tokio::time::pause();
    let stop = BrokerHeartbeatRequest { want_shut_down: true, ..node.heartbeat(epoch) };
    let answer = node.controller.broker_heartbeat(stop).await;
    assert!(matches!(answer, Err(ControllerError::TimedOut)), "{answer:?}");
    claims.hold();
    tokio::time::resume();
    fs.set_free_bytes(None);
    node.controller.shutdown().await;
}

/// Each share covers the time since it was read last.
fn idle_shares(truth: &Truth, node: &TestNode, hand: &ClockHand) {
    let claims = truth.claims([
        gauge(&beans::CONTROLLER_EVENT_MANAGER_AVG_IDLE_RATIO, 0.6),
        raft("poll-idle-ratio-avg", 0.6),
    ]);
    node.controller.0.metrics.jobs_done(1, Duration::from_secs(4));
    hand.advance(Duration::from_secs(10));
    claims.hold();
}

#[test]
fn appended_records_make_a_rate() {
    let (registry, _) = registry();
    let truth = truth!(&registry);
    let metrics = crate::metrics::ControllerMetrics::new(&registry);
    // Kafka divides by one full window at least.
    let claims = truth.claims([raft("append-records-rate", 60.0 / 30.0)]);
    metrics.committed(60, Duration::ZERO);
    claims.hold();
}

#[test]
fn published_steps_are_timed() {
    let (registry, hand) = registry();
    let truth = truth!(&registry);
    let publisher = ImagePublisher::new();
    let loader = LoaderMetrics::new(&registry, &publisher, || 1);
    let row = &rows::BROKER_METADATA_LISTENER_METADATA_BATCH_PROCESSING_TIME_US;
    let claims = truth.claims([
        by(row, &[], "Count", 1.0),
        to(row, &[], "Max", 4_000_000.0),
        gauge(&rows::METADATA_LOADER_AVG_IDLE_RATIO, 0.6),
    ]);
    loader.published(&MetadataDelta::default(), Duration::from_secs(4));
    hand.advance(Duration::from_secs(10));
    claims.hold();
    publisher.measure(loader);
    let loaded = truth.claims([count(&rows::METADATA_LOADER_HANDLE_LOAD_SNAPSHOT_COUNT, 1.0)]);
    publisher.publish(Commit {
        image: publisher.current(),
        delta: MetadataDelta::default(),
        from_snapshot: true,
    });
    loaded.hold();
}

#[tokio::test]
async fn snapshots_have_a_size_and_an_age() {
    // Two equal clusters make snapshots of one size: the first tells which.
    let scout_fs = Arc::new(SimFs::new());
    let scout = leading(scout_fs.clone(), &registry().0).await;
    snapshot_and_purge(&scout).await;
    let (_, bytes) = file(".checkpoint", &scout_fs);
    scout.controller.shutdown().await;
    let (registry, hand) = registry();
    let truth = truth!(&registry);
    let node = leading(Arc::new(SimFs::new()), &registry).await;
    let made = truth
        .claims([gauge(&rows::SNAPSHOT_EMITTER_LATEST_SNAPSHOT_GENERATED_BYTES, bytes as f64)]);
    snapshot_and_purge(&node).await;
    made.hold();
    let age = &rows::SNAPSHOT_EMITTER_LATEST_SNAPSHOT_GENERATED_AGE_MS;
    let aged = truth.claims([count(age, 3000.0)]);
    hand.advance(Duration::from_secs(3));
    aged.hold();
    node.controller.shutdown().await;
}
