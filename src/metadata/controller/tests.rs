//! Lives of a node on a simulated file system: it forms a cluster, joins, stops, and comes back.

use std::path::Path;

use pharos_base::PartitionId;
use pharos_base::TopicId;
use pharos_metrics::{Registry, Value};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::broker_registration_request::{Feature, Listener};
use pharos_protocol::messages::create_topics_request::CreatableTopic;
use pharos_protocol::messages::create_topics_response::CreatableTopicConfigs;
use pharos_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use pharos_protocol::messages::{DescribeQuorumRequest, describe_quorum_request};
use pharos_storage::StorageMetrics;
use pharos_storage::fs::{Fs, SimFs};

use super::*;
use crate::decide::{ApiError, ConfigRules};
use crate::format::{FormatOptions, open_directories};
use crate::image::{ConfigMap, ConfigResource, ConfigResourceType, MetadataImage};

/// Takes everything but the value `bad`.
pub(crate) struct Permissive;

impl ConfigRules for Permissive {
    fn validate(
        &self,
        _resource: &ConfigResource,
        after: &ConfigMap,
        _before: &ConfigMap,
    ) -> Result<(), ApiError> {
        match after.iter().find(|(_, value)| *value == "bad") {
            Some((key, _)) => {
                let message = format!("Invalid value bad for configuration {key}");
                Err(ApiError::new(ErrorCode::InvalidConfig, message))
            }
            None => Ok(()),
        }
    }

    fn is_list(&self, _kind: ConfigResourceType, key: &str) -> bool {
        key == "cleanup.policy"
    }

    fn stays(&self, _kind: ConfigResourceType, key: &str) -> bool {
        key == "own.secret"
    }

    fn default_value(&self, _kind: ConfigResourceType, key: &str) -> Option<String> {
        (key == "cleanup.policy").then(|| "delete".to_owned())
    }

    fn effective_topic_configs(
        &self,
        _image: &MetadataImage,
        _set: &ConfigMap,
    ) -> Vec<CreatableTopicConfigs> {
        Vec::new()
    }
}

pub(crate) const DIR: &str = "/data";

/// A node on a simulated file system, which outlives it.
pub(crate) struct TestNode {
    pub registry: Registry,
    pub controller: Controller,
    pub directory: TopicId,
    pub cluster_id: String,
}

impl TestNode {
    pub async fn start(fs: Arc<SimFs>) -> Self {
        Self::try_start(fs).await.unwrap()
    }

    pub async fn try_start(fs: Arc<SimFs>) -> Result<Self, String> {
        Self::try_start_with(fs, Registry::new(Clock::real())).await
    }

    /// With a registry whose clock the node goes by.
    pub async fn try_start_with(fs: Arc<SimFs>, registry: Registry) -> Result<Self, String> {
        let dir = Path::new(DIR).to_owned();
        let formatted = open_directories(
            &*fs,
            &FormatOptions {
                node_id: BrokerId(1),
                cluster_id: None,
                log_dirs: vec![dir.clone()],
                metadata_log_dir: dir.clone(),
                min_insync_replicas: 1,
            },
        )
        .map_err(|error| error.to_string())?;
        let mut settings = ControllerSettings::new(BrokerId(1), formatted.cluster_id.clone());
        // Tests count records.
        settings.max_idle_interval_ms = 0;
        let files: Arc<dyn Fs> = fs.clone();
        let options = ControllerOptions {
            directory_id: formatted.directories[0].1,
            storage_metrics: Some(StorageMetrics::new(&registry)),
            ..ControllerOptions::new(settings, Arc::new(Permissive), files, dir, registry.clone())
        };
        let controller = Controller::start(options).await.map_err(|error| error.to_string())?;
        Ok(Self {
            registry,
            controller,
            directory: formatted.directories[0].1,
            cluster_id: formatted.cluster_id,
        })
    }

    pub fn registration(&self) -> BrokerRegistrationRequest {
        let feature = |name: &str, min, max| Feature {
            name: name.to_owned(),
            min_supported_version: min,
            max_supported_version: max,
        };
        BrokerRegistrationRequest {
            broker_id: 1,
            cluster_id: self.cluster_id.clone(),
            incarnation_id: TopicId::random(),
            features: vec![feature("metadata.version", 7, 30), feature("group.version", 0, 1)],
            rack: None,
            log_dirs: vec![self.directory],
            ..BrokerRegistrationRequest::default()
        }
    }

    /// Registers and unfences broker 1; returns its epoch.
    pub async fn join(&self) -> Result<i64, ControllerError> {
        let registered = self.controller.register_broker(self.registration()).await?;
        assert_eq!(registered.error_code, 0);
        let epoch = registered.broker_epoch;
        let heartbeat = self.controller.broker_heartbeat(self.heartbeat(epoch)).await?;
        assert_eq!((heartbeat.error_code, heartbeat.is_fenced), (0, false));
        Ok(epoch)
    }

    pub fn heartbeat(&self, epoch: i64) -> BrokerHeartbeatRequest {
        BrokerHeartbeatRequest {
            broker_id: 1,
            broker_epoch: epoch,
            current_metadata_offset: self.controller.last_committed_offset().0,
            ..BrokerHeartbeatRequest::default()
        }
    }

    pub async fn create(&self, name: &str, partitions: i32) -> (i16, Option<String>) {
        let request = CreateTopicsRequest {
            topics: vec![topic(name, partitions)],
            ..CreateTopicsRequest::default()
        };
        let response =
            self.controller.create_topics(request, PartitionQuota::unlimited()).await.unwrap();
        let result = &response.topics[0];
        (result.error_code, result.error_message.clone())
    }

    pub fn image(&self) -> Arc<MetadataImage> {
        self.controller.0.quorum.view().image.clone()
    }

    fn bean(&self, name: &str) -> Option<Value> {
        self.registry.read(&format!("kafka.controller:type=KafkaController,name={name}"), "Value")
    }
}

pub(crate) fn topic(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        ..CreatableTopic::default()
    }
}

#[tokio::test]
async fn a_fresh_node_forms_a_cluster_and_keeps_it_over_a_restart() {
    let fs = Arc::new(SimFs::new());
    let node = TestNode::start(fs.clone()).await;
    node.join().await.unwrap();
    assert_eq!(node.create("orders", 3).await, (0, None));
    let image = node.image();
    assert_eq!(image.metadata_version(), 30);
    assert_eq!(image.feature("group.version"), 1);
    assert_eq!(image.topic("orders").unwrap().partition_count(), 3);
    let partition = image.partition("orders", PartitionId(2)).unwrap();
    assert_eq!((partition.leader, partition.isr.len()), (BrokerId(1), 1));
    assert_eq!(partition.directories, [node.directory]);
    node.controller.publisher().wait_for(node.controller.last_committed_offset()).await;
    assert_eq!(*node.controller.publisher().current(), *image);
    assert_eq!(node.bean("ActiveControllerCount"), Some(Value::Long(1)));
    assert_eq!(node.bean("GlobalTopicCount"), Some(Value::Long(1)));
    assert_eq!(node.bean("GlobalPartitionCount"), Some(Value::Long(3)));
    node.controller.shutdown().await;

    let again = TestNode::start(fs).await;
    // The term's first record is applied once the node leads.
    again.controller.elect_leaders(ElectLeadersRequest::default()).await.unwrap();
    let controllers: Vec<_> = again.image().controllers().cloned().collect();
    assert_eq!(controllers.len(), 1);
    let mut expected = MetadataImage::clone(&image);
    expected.controllers = again.image().controllers.clone();
    assert_eq!(*again.image(), expected);
    assert_eq!(again.controller.active_controller(), Some(BrokerId(1)));
    again.controller.shutdown().await;
}

fn leadership(image: &MetadataImage, topic: &str) -> (i32, i32) {
    let partition = image.partition(topic, PartitionId(0)).unwrap();
    (partition.leader.0, partition.leader_epoch.0)
}

/// A sole broker that stops in order hands its partitions to nobody, and leads them in a new epoch
/// when it is back: so did Kafka in the session of the golden log.
#[tokio::test]
async fn a_controlled_shutdown_ends_leaderships_and_a_return_begins_new_ones() {
    let node = TestNode::start(Arc::new(SimFs::new())).await;
    let epoch = node.join().await.unwrap();
    node.create("t", 1).await;
    assert_eq!(leadership(&node.image(), "t"), (1, 0));
    let stop = || BrokerHeartbeatRequest { want_shut_down: true, ..node.heartbeat(epoch) };
    let first = node.controller.broker_heartbeat(stop()).await.unwrap();
    assert_eq!((first.should_shut_down, first.is_fenced), (false, false));
    assert_eq!(leadership(&node.image(), "t"), (-1, 1));
    assert_eq!(node.bean("ControlledShutdownBrokerCount"), Some(Value::Long(1)));
    assert_eq!(node.bean("OfflinePartitionsCount"), Some(Value::Long(1)));
    assert_eq!(node.bean("PreferredReplicaImbalanceCount"), Some(Value::Long(1)));
    let second = node.controller.broker_heartbeat(stop()).await.unwrap();
    assert!(second.should_shut_down);
    assert_eq!(node.bean("FencedBrokerCount"), Some(Value::Long(1)));
    assert_eq!(node.bean("ActiveBrokerCount"), Some(Value::Long(0)));

    let next = node.join().await.unwrap();
    assert!(next > epoch);
    assert_eq!(leadership(&node.image(), "t"), (1, 2));
    let stale = node.controller.broker_heartbeat(node.heartbeat(epoch)).await.unwrap();
    assert_eq!(stale.error_code, ErrorCode::StaleBrokerEpoch.code());
    node.controller.shutdown().await;
}

#[tokio::test]
async fn a_killed_broker_comes_back_at_once_with_new_leader_epochs() {
    let fs = Arc::new(SimFs::new());
    let node = TestNode::start(fs.clone()).await;
    let epoch = node.join().await.unwrap();
    node.create("t", 1).await;
    // A second process with the same id is refused while the first is heard of.
    let duplicate = node.controller.register_broker(node.registration()).await.unwrap();
    assert_eq!(duplicate.error_code, ErrorCode::DuplicateBrokerRegistration.code());
    node.controller.shutdown().await;

    let node = TestNode::start(fs).await;
    let next = node.join().await.unwrap();
    assert!(next > epoch);
    assert_eq!(leadership(&node.image(), "t"), (1, 2));
    node.controller.shutdown().await;
}

#[tokio::test]
async fn registrations_that_cannot_be_are_refused() {
    let node = TestNode::start(Arc::new(SimFs::new())).await;
    let good = node.registration();
    let mut other_cluster = good.clone();
    other_cluster.cluster_id = "other".to_owned();
    let mut no_directories = good.clone();
    no_directories.log_dirs.clear();
    let mut reserved = good.clone();
    reserved.log_dirs = vec![crate::decide::DIRECTORY_LOST];
    let mut twice = good.clone();
    twice.log_dirs.push(node.directory);
    let mut old = good.clone();
    old.features.clear();
    let cases = [
        (other_cluster, ErrorCode::InconsistentClusterId),
        (no_directories, ErrorCode::InvalidRegistration),
        (reserved, ErrorCode::InvalidRegistration),
        (twice, ErrorCode::InvalidRegistration),
        (old, ErrorCode::UnsupportedVersion),
        (good, ErrorCode::None),
    ];
    for (request, code) in cases {
        let response = node.controller.register_broker(request).await.unwrap();
        assert_eq!(response.error_code, code.code());
    }
    let unregister = |broker_id| UnregisterBrokerRequest { broker_id };
    let gone = node.controller.unregister_broker(unregister(1)).await.unwrap();
    assert_eq!((gone.error_code, node.image().brokers().count()), (0, 0));
    let again = node.controller.unregister_broker(unregister(1)).await.unwrap();
    assert_eq!(again.error_code, ErrorCode::BrokerIdNotRegistered.code());
    node.controller.shutdown().await;
}

#[tokio::test]
async fn the_quorum_describes_itself() {
    let node = TestNode::start(Arc::new(SimFs::new())).await;
    node.join().await.unwrap();
    let request = |topic: &str, partition_index| DescribeQuorumRequest {
        topics: vec![describe_quorum_request::TopicData {
            topic_name: topic.to_owned(),
            partitions: vec![describe_quorum_request::PartitionData { partition_index }],
        }],
    };
    let response = node.controller.describe_quorum(&request("__cluster_metadata", 0));
    let partition = &response.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.leader_id, partition.leader_epoch), (0, 1, 1));
    assert_eq!(partition.high_watermark, node.controller.last_committed_offset().0 + 1);
    assert_eq!(partition.current_voters[0].log_end_offset, partition.high_watermark);
    assert!(partition.observers.is_empty());
    let other = node.controller.describe_quorum(&request("orders", 0));
    assert_eq!(other.topics[0].partitions[0].error_code, 3);

    let raft =
        |attribute: &str| node.registry.read("kafka.server:type=raft-metrics", attribute).unwrap();
    let end = Value::Long(partition.high_watermark);
    assert_eq!((raft("high-watermark"), raft("log-end-offset")), (end.clone(), end));
    assert_eq!(raft("current-state"), Value::text("leader"));
    assert_eq!((raft("current-leader"), raft("current-vote")), (Value::Long(1), Value::Long(1)));
    assert_eq!((raft("current-epoch"), raft("log-end-epoch")), (Value::Long(1), Value::Long(1)));
    assert_eq!(raft("number-of-voters"), Value::Long(1));
    node.controller.shutdown().await;
}

#[tokio::test]
async fn beans_follow_what_was_decided() {
    let node = TestNode::start(Arc::new(SimFs::new())).await;
    node.join().await.unwrap();
    let started = node.bean("EventQueueOperationsStartedCount");
    node.create("t", 4).await;
    node.controller.publisher().wait_for(node.controller.last_committed_offset()).await;
    let Some(Value::Long(before)) = started else { panic!("no count") };
    assert_eq!(node.bean("EventQueueOperationsStartedCount"), Some(Value::Long(before + 1)));
    assert_eq!(node.bean("GlobalPartitionCount"), Some(Value::Long(4)));
    assert_eq!(node.bean("ActiveBrokerCount"), Some(Value::Long(1)));
    assert_eq!(node.bean("NewActiveControllersCount"), Some(Value::Long(1)));
    assert_eq!(node.bean("BrokerRegistrationState,broker=1"), Some(Value::Long(30)));
    let since = node.bean("TimeSinceLastHeartbeatReceivedMs,broker=1");
    assert!(matches!(since, Some(Value::Long(0..=60_000))), "{since:?}");
    let offset = Value::Long(node.controller.last_committed_offset().0);
    assert_eq!(node.bean("LastAppliedRecordOffset"), Some(offset.clone()));
    assert_eq!(node.bean("LastCommittedRecordOffset"), Some(offset.clone()));
    let lag = node.bean("LastAppliedRecordLagMs");
    assert!(matches!(lag, Some(Value::Long(0..=60_000))), "{lag:?}");
    let read = |name: &str, attribute: &str| node.registry.read(name, attribute).unwrap();
    let broker = "kafka.server:type=broker-metadata-metrics";
    assert_eq!(read(broker, "last-applied-record-offset"), offset);
    assert_eq!(read(broker, "metadata-apply-error-count"), Value::Long(0));
    let loader = "kafka.server:type=MetadataLoader,name=";
    assert_eq!(read(&format!("{loader}CurrentMetadataVersion"), "Value"), Value::Long(30));
    assert_eq!(read(&format!("{loader}CurrentControllerId"), "Value"), Value::Long(1));
    let level = format!("{loader}FinalizedLevel,featureName=groupVersion");
    assert_eq!(read(&level, "Value"), Value::Long(1));
    let supported = "kafka.server:type=node-metrics,feature-name=metadata-version";
    assert_eq!(read(supported, "maximum-supported-level"), Value::Long(30));
    let log = "kafka.log:type=Log,name=LogEndOffset,topic=__cluster_metadata,partition=0";
    assert_eq!(read(log, "Value"), Value::Long(node.controller.last_committed_offset().0 + 1));
    let sizes = "kafka.server:type=BrokerMetadataListener,name=MetadataBatchSizes";
    assert!(matches!(read(sizes, "Count"), Value::Long(1..)));
    node.controller.shutdown().await;
}

#[tokio::test]
async fn an_idle_cluster_gives_a_sign_of_life() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new());
    let mut settings = ControllerSettings::new(BrokerId(1), "cluster");
    settings.max_idle_interval_ms = 1;
    let registry = Registry::new(Clock::real());
    let options =
        ControllerOptions::new(settings, Arc::new(Permissive), fs, Path::new(DIR).into(), registry);
    let controller = Controller::start(options).await.unwrap();
    // Features and the controller's registration come first, then one record after the other.
    controller.publisher().wait_for(Offset(10)).await;
    controller.shutdown().await;
}

#[tokio::test]
async fn a_decision_that_is_too_large_is_refused_alone() {
    let fs = Arc::new(SimFs::new());
    let node = TestNode::start(fs.clone()).await;
    node.join().await.unwrap();
    let listener = Listener { host: "h".repeat(30_000), ..Listener::default() };
    let huge = BrokerRegistrationRequest {
        broker_id: 2,
        log_dirs: vec![TopicId::random()],
        listeners: vec![listener; 1_200],
        ..node.registration()
    };
    let (refused, made) = tokio::join!(node.controller.register_broker(huge), node.create("t", 1));
    assert!(refused.is_err());
    assert_eq!(made, (0, None));
    node.controller.shutdown().await;
    let again = TestNode::start(fs).await;
    again.join().await.unwrap();
    assert_eq!((again.image().brokers().count(), again.image().topic_count()), (1, 1));
    again.controller.shutdown().await;
}

#[tokio::test]
async fn a_long_log_is_applied_whole_at_start() {
    let fs = Arc::new(SimFs::new());
    let node = TestNode::start(fs.clone()).await;
    node.join().await.unwrap();
    node.create("t", 1).await;
    // Twelve megabytes, in two segments, without a snapshot.
    for step in 0..20 {
        let configs = (0..20).map(|key| AlterableConfig {
            name: format!("key{key}"),
            config_operation: 0,
            value: Some(format!("{step:030000}")),
        });
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: "t".to_owned(),
            configs: configs.collect(),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            ..IncrementalAlterConfigsRequest::default()
        };
        let response = node.controller.incremental_alter_configs(request).await.unwrap();
        assert_eq!(response.responses[0].error_code, 0);
    }
    let figures = node.controller.0.quorum.log_figures();
    assert!(figures.segments == 2 && figures.size_bytes > 12_000_000, "{figures:?}");
    node.controller.shutdown().await;
    let again = TestNode::start(fs).await;
    again.join().await.unwrap();
    let resource = ConfigResource::topic("t");
    let value = again.image().config_value(&resource, "key19").map(str::len);
    assert_eq!(value, Some(30_000));
    again.controller.shutdown().await;
}
