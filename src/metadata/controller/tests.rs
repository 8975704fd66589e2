use std::path::Path;

use pharos_base::PartitionId;
use pharos_base::TopicId;
use pharos_metrics::{Registry, Value};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::broker_registration_request::Feature;
use pharos_protocol::messages::create_topics_request::CreatableTopic;
use pharos_protocol::messages::create_topics_response::CreatableTopicConfigs;
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
        let dir = Path::new(DIR).to_owned();
        let formatted = open_directories(
            &*fs,
            &FormatOptions {
                node_id: BrokerId(1),
                cluster_id: None,
                log_dirs: vec![dir.clone()],
                metadata_log_dir: dir.clone(),
            },
        )
        .map_err(|error| error.to_string())?;
        let mut settings = ControllerSettings::new(BrokerId(1), formatted.cluster_id.clone());
        // Tests count records.
        settings.max_idle_interval_ms = 0;
        let registry = Registry::new(Clock::real());
        let files: Arc<dyn Fs> = fs.clone();
        let options =
            ControllerOptions::new(settings, Arc::new(Permissive), files, dir, registry.clone());
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
        let response = self.controller.create_topics(request).await.unwrap();
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
