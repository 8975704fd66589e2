//! The cluster itself: nodes, log directories, features, the metadata quorum.

use pharos_base::{BrokerId, TopicPartition};
use pharos_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use pharos_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use pharos_protocol::messages::update_features_request::FeatureUpdateKey;
use pharos_protocol::messages::{
    DescribeClusterRequest, DescribeLogDirsRequest, DescribeQuorumRequest, DescribeQuorumResponse,
    UnregisterBrokerRequest, UpdateFeaturesRequest,
};

use super::Admin;
use crate::cluster::Target;
use crate::config::HostPort;
use crate::consumer::coordinator::by_topic;
use crate::error::{ClientError, Result};
use crate::versions::ApiVersions;

/// Where the metadata quorum keeps its log.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// `node.id`.
    pub id: BrokerId,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: i32,
    /// Rack.
    pub rack: Option<String>,
    /// True while it may not lead (KIP-1073).
    pub fenced: bool,
}

/// The cluster as described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDescription {
    /// `cluster.id`.
    pub cluster_id: String,
    /// Controller, or the broker that stands for it.
    pub controller: BrokerId,
    /// Nodes.
    pub nodes: Vec<ClusterNode>,
}

/// One log directory of a broker.
#[derive(Clone, Debug)]
pub struct DescribedLogDir {
    /// Its path.
    pub path: String,
    /// What is wrong with it.
    pub error: Option<ClientError>,
    /// Its partitions: size in bytes, lag in records, whether it is to replace another replica.
    pub partitions: Vec<(TopicPartition, i64, i64, bool)>,
}

/// A change of one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Its name.
    pub name: String,
    /// The new level; 0 disables it.
    pub level: i16,
    /// 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
    pub upgrade_type: i8,
}

impl Admin {
    /// Describes the cluster; brokers, or controllers when those were given to bootstrap.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn describe_cluster(&self, include_fenced: bool) -> Result<ClusterDescription> {
        let endpoint_type = if self.cluster.config().bootstrap_controllers { 2 } else { 1 };
        let build = |version: i16| {
            let mut request = DescribeClusterRequest::default();
            if version >= 1 {
                request.endpoint_type = endpoint_type;
            }
            if version >= 2 {
                request.include_fenced_brokers = include_fenced;
            } else if include_fenced {
                return Err(ClientError::Usage(
                    "this broker does not list fenced brokers".to_owned(),
                ));
            }
            Ok(request)
        };
        let ask = || self.cluster.call_versioned(Target::Any, i16::MAX, build);
        let (response, _) = self.cluster.retry("describing the cluster", ask).await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        let nodes = response.brokers.into_iter().map(|broker| ClusterNode {
            id: BrokerId(broker.broker_id),
            host: broker.host,
            port: broker.port,
            rack: broker.rack,
            fenced: broker.is_fenced,
        });
        Ok(ClusterDescription {
            cluster_id: response.cluster_id,
            controller: BrokerId(response.controller_id),
            nodes: nodes.collect(),
        })
    }

    /// Removes the registration of a broker.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn unregister_broker(&self, id: BrokerId) -> Result<()> {
        let request = UnregisterBrokerRequest { broker_id: id.0 };
        let response =
            self.cluster.call_retrying("unregistering a broker", Target::Any, &request).await?;
        ClientError::check(response.error_code, response.error_message.as_deref())
    }

    /// What one broker offers, asked on a fresh or open connection.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn api_versions(&self, target: Target) -> Result<ApiVersions> {
        Ok(self.cluster.connection(target).await?.versions().clone())
    }

    /// What any broker offers, asked with retries.
    ///
    /// # Errors
    /// When nobody answers in time.
    pub async fn features(&self) -> Result<ApiVersions> {
        self.cluster.retry("describing features", || self.api_versions(Target::Any)).await
    }

    /// Changes features; the error is of the whole request.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn update_features(&self, updates: &[FeatureUpdate], dry_run: bool) -> Result<()> {
        let key = |update: &FeatureUpdate| FeatureUpdateKey {
            feature: update.name.clone(),
            max_version_level: update.level,
            upgrade_type: update.upgrade_type,
            ..Default::default()
        };
        let request = UpdateFeaturesRequest {
            timeout_ms: self.timeout_ms(),
            feature_updates: updates.iter().map(key).collect(),
            validate_only: dry_run,
        };
        let response =
            self.cluster.call_retrying("updating features", Target::Any, &request).await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        response.results.iter().try_for_each(|result| {
            ClientError::check(result.error_code, result.error_message.as_deref())
        })
    }

    /// State of the metadata quorum, with the broker's time-outs and addresses where it tells.
    ///
    /// # Errors
    /// When it is refused or nobody answers in time.
    pub async fn describe_quorum(&self) -> Result<DescribeQuorumResponse> {
        let request = DescribeQuorumRequest {
            topics: vec![TopicData {
                topic_name: METADATA_TOPIC.to_owned(),
                partitions: vec![PartitionData { partition_index: 0 }],
            }],
        };
        let ask = || async {
            let response = self.cluster.call(Target::Any, &request).await?;
            ClientError::check(response.error_code, response.error_message.as_deref())?;
            for partition in response.topics.iter().flat_map(|topic| &topic.partitions) {
                ClientError::check(partition.error_code, partition.error_message.as_deref())?;
            }
            Ok(response)
        };
        self.cluster.retry("describing the quorum", ask).await
    }

    /// Log directories of one broker, with the replicas of `partitions` or of all.
    ///
    /// # Errors
    /// When it is refused or the broker does not answer in time.
    pub async fn describe_log_dirs(
        &self,
        broker: BrokerId,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<DescribedLogDir>> {
        let topics = partitions.map(|partitions| {
            let topic = |(topic, partitions)| DescribableLogDirTopic { topic, partitions };
            by_topic(partitions).into_iter().map(topic).collect()
        });
        let request = DescribeLogDirsRequest { topics };
        let target = Target::Broker(broker);
        let response =
            self.cluster.call_retrying("describing log directories", target, &request).await?;
        ClientError::check(response.error_code, None)?;
        let dirs = response.results.into_iter().map(|dir| DescribedLogDir {
            error: ClientError::from_code(dir.error_code, None),
            partitions: dir
                .topics
                .iter()
                .flat_map(|topic| {
                    topic.partitions.iter().map(|p| {
                        let name = TopicPartition::new(topic.name.as_str(), p.partition_index);
                        (name, p.partition_size, p.offset_lag, p.is_future_key)
                    })
                })
                .collect(),
            path: dir.log_dir,
        });
        Ok(dirs.collect())
    }

    /// The bootstrap list, as given.
    pub fn bootstrap(&self) -> &[HostPort] {
        &self.cluster.config().bootstrap
    }
}
