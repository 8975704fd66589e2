//! Topics: list, describe, create, widen, delete.

use std::collections::{BTreeMap, BTreeSet};

use pharos_base::{BrokerId, LeaderEpoch, PartitionId, TopicId};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use pharos_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use pharos_protocol::messages::delete_topics_request::DeleteTopicState;
use pharos_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use pharos_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
use pharos_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, MetadataRequest,
};

use super::Admin;
use crate::cluster::Target;
use crate::error::{ClientError, Result};
use crate::metadata::TopicMetadata;

/// First version of DeleteTopics that takes ids.
const DELETE_BY_ID_FROM: i16 = 6;

/// A topic to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Partitions; the cluster's default when absent.
    pub partitions: Option<i32>,
    /// Replicas of each partition; the cluster's default when absent.
    pub replication_factor: Option<i16>,
    /// Replicas of each partition by hand; then the two above must be absent.
    pub assignments: Vec<Vec<BrokerId>>,
    /// Configuration.
    pub configs: Vec<(String, String)>,
}

/// A topic by name or id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicName {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// One partition as described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Index.
    pub partition: PartitionId,
    /// Leader, if there is one.
    pub leader: Option<BrokerId>,
    /// Epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Replicas, the preferred one first.
    pub replicas: Vec<BrokerId>,
    /// Replicas in sync.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas (KIP-966); None where the broker does not tell.
    pub elr: Option<Vec<BrokerId>>,
    /// The last known eligible leader replicas; None where the broker does not tell.
    pub last_known_elr: Option<Vec<BrokerId>>,
}

/// Outcomes by the name of the topic.
type Described = BTreeMap<String, Result<TopicDescription>>;

/// A topic as described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id; zero where the broker does not tell.
    pub id: TopicId,
    /// True for the cluster's own topics.
    pub internal: bool,
    /// Its partitions by index.
    pub partitions: Vec<PartitionDescription>,
}

impl Admin {
    /// Names of all topics in order, with whether they are internal.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub async fn list_topics(&self) -> Result<Vec<(String, bool)>> {
        let ask = || self.cluster.refresh(None, false);
        let metadata = self.cluster.retry("listing topics", ask).await?;
        let mut topics: Vec<_> =
            metadata.topics.iter().map(|(name, topic)| (name.clone(), topic.internal)).collect();
        topics.sort();
        Ok(topics)
    }

    /// Describes topics by name, at most `page` partitions per answer. The outcomes are in the order
    /// of `names`.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub async fn describe_topics(
        &self,
        names: &[String],
        page: i32,
    ) -> Result<Vec<(String, Result<TopicDescription>)>> {
        let described =
            self.cluster.retry("describing topics", || self.describe_paged(names, page)).await;
        let topics = match described {
            Err(ClientError::Unsupported { .. }) => self.describe_by_metadata(names).await?,
            other => other?,
        };
        let find = |name: &String| {
            let missing = || {
                Err(ClientError::Broker { code: ErrorCode::UnknownTopicOrPartition, message: None })
            };
            (name.clone(), topics.get(name).cloned().unwrap_or_else(missing))
        };
        Ok(names.iter().map(find).collect())
    }

    async fn describe_paged(&self, names: &[String], page: i32) -> Result<Described> {
        let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let mut cursor: Option<Cursor> = None;
        let mut topics = Described::new();
        loop {
            let from = cursor.as_ref().map_or("", |cursor| &cursor.topic_name);
            let rest = wanted.range(from..).map(|name| (*name).to_owned());
            let request = DescribeTopicPartitionsRequest {
                topics: rest.map(|name| TopicRequest { name }).collect(),
                response_partition_limit: page,
                cursor: cursor.clone(),
            };
            let response: DescribeTopicPartitionsResponse =
                self.cluster.call(Target::Any, &request).await?;
            // What was not asked for would be kept for nobody.
            let asked = response
                .topics
                .into_iter()
                .filter(|topic| topic.name.as_deref().is_some_and(|name| wanted.contains(name)));
            asked.for_each(|topic| add_page(&mut topics, topic));
            let Some(next) = response.next_cursor else { return Ok(topics) };
            let place = (next.topic_name.as_str(), next.partition_index);
            let before = cursor.as_ref().map(|it| (it.topic_name.as_str(), it.partition_index));
            if before.is_some_and(|before| place <= before) {
                return Err(ClientError::Usage(
                    "the description of the topics does not end: its cursor stands still"
                        .to_owned(),
                ));
            }
            cursor =
                Some(Cursor { topic_name: next.topic_name, partition_index: next.partition_index });
        }
    }

    async fn describe_by_metadata(&self, names: &[String]) -> Result<Described> {
        let ask = || self.cluster.refresh(Some(names), false);
        let metadata = self.cluster.retry("describing topics", ask).await?;
        let topics = names.iter().filter_map(|name| {
            let topic = metadata.topics.get(name)?;
            Some((name.clone(), from_metadata(name, topic)))
        });
        Ok(topics.collect())
    }

    /// Describes topics by id.
    ///
    /// # Errors
    /// When no broker answers in time, or one of the ids is unknown.
    pub async fn describe_topics_by_id(&self, ids: &[TopicId]) -> Result<Vec<TopicDescription>> {
        use pharos_protocol::messages::metadata_request::MetadataRequestTopic;
        let topics = ids.iter().map(|id| MetadataRequestTopic { topic_id: *id, name: None });
        let request = MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let response =
            self.cluster.call_retrying("describing topics", Target::Any, &request).await?;
        let mut names = Vec::new();
        for topic in &response.topics {
            ClientError::check(topic.error_code, None)?;
            names.extend(topic.name.clone());
        }
        let described = self.describe_topics(&names, 2000).await?;
        described.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Creates topics; outcomes by name.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<(String, Result<()>)>> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        self.cluster
            .retry("creating topics", || async {
                let response = self.cluster.call(Target::Any, &request).await?;
                let outcomes = response.topics.into_iter().map(|topic| {
                    let message = topic.error_message.as_deref();
                    (topic.name.clone(), ClientError::check(topic.error_code, message))
                });
                retry_if_moved(outcomes.collect())
            })
            .await
    }

    /// Raises the number of partitions of a topic to `count`; new ones may be placed by hand.
    ///
    /// # Errors
    /// When it is refused or no broker answers in time.
    pub async fn create_partitions(
        &self,
        topic: &str,
        count: i32,
        assignments: Option<Vec<Vec<BrokerId>>>,
    ) -> Result<()> {
        let place = |brokers: Vec<BrokerId>| CreatePartitionsAssignment {
            broker_ids: brokers.into_iter().map(|broker| broker.0).collect(),
        };
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: topic.to_owned(),
                count,
                assignments: assignments.map(|list| list.into_iter().map(place).collect()),
            }],
            timeout_ms: self.timeout_ms(),
            validate_only: false,
        };
        self.cluster
            .retry("creating partitions", || async {
                let response = self.cluster.call(Target::Any, &request).await?;
                response.results.iter().try_for_each(|result| {
                    ClientError::check(result.error_code, result.error_message.as_deref())
                })
            })
            .await
    }

    /// Deletes topics; outcomes by name (by id where that was given).
    ///
    /// # Errors
    /// When no broker answers in time, or ids are given to one that takes only names.
    pub async fn delete_topics(&self, topics: &[TopicName]) -> Result<Vec<(String, Result<()>)>> {
        self.cluster
            .retry("deleting topics", || async {
                let build = |version| self.delete_request(topics, version);
                let (response, _) =
                    self.cluster.call_versioned(Target::Any, i16::MAX, build).await?;
                let outcomes = response.responses.into_iter().map(|topic| {
                    let name = topic.name.unwrap_or_else(|| topic.topic_id.to_string());
                    let message = topic.error_message.as_deref();
                    (name, ClientError::check(topic.error_code, message))
                });
                retry_if_moved(outcomes.collect())
            })
            .await
    }

    fn delete_request(&self, topics: &[TopicName], version: i16) -> Result<DeleteTopicsRequest> {
        let mut request =
            DeleteTopicsRequest { timeout_ms: self.timeout_ms(), ..Default::default() };
        for topic in topics {
            match topic {
                TopicName::Name(name) if version < DELETE_BY_ID_FROM => {
                    request.topic_names.push(name.clone());
                }
                TopicName::Name(name) => request
                    .topics
                    .push(DeleteTopicState { name: Some(name.clone()), topic_id: TopicId::ZERO }),
                TopicName::Id(id) if version >= DELETE_BY_ID_FROM => {
                    request.topics.push(DeleteTopicState { name: None, topic_id: *id });
                }
                TopicName::Id(_) => {
                    return Err(ClientError::Usage(
                        "this broker deletes topics by name only".to_owned(),
                    ));
                }
            }
        }
        Ok(request)
    }

    /// Reassignments under way.
    ///
    /// # Errors
    /// When it is refused or no broker answers in time.
    pub async fn list_reassignments(&self) -> Result<ListPartitionReassignmentsResponse> {
        let request =
            ListPartitionReassignmentsRequest { timeout_ms: self.timeout_ms(), topics: None };
        let response =
            self.cluster.call_retrying("listing reassignments", Target::Any, &request).await?;
        ClientError::check(response.error_code, response.error_message.as_deref())?;
        Ok(response)
    }
}

/// A request that all of its entries say went to the wrong broker, or too early, is sent again.
fn retry_if_moved(outcomes: Vec<(String, Result<()>)>) -> Result<Vec<(String, Result<()>)>> {
    for (_, outcome) in &outcomes {
        if let Err(error) = outcome
            && matches!(
                error.code(),
                Some(ErrorCode::NotController | ErrorCode::CoordinatorNotAvailable)
            )
        {
            return Err(error.clone());
        }
    }
    Ok(outcomes)
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let by_hand = !topic.assignments.is_empty();
    let assignment = |(index, brokers): (i32, &Vec<BrokerId>)| CreatableReplicaAssignment {
        partition_index: index,
        broker_ids: brokers.iter().map(|broker| broker.0).collect(),
    };
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
    };
    CreatableTopic {
        name: topic.name.clone(),
        num_partitions: topic.partitions.filter(|_| !by_hand).unwrap_or(-1),
        replication_factor: topic.replication_factor.filter(|_| !by_hand).unwrap_or(-1),
        assignments: (0..).zip(&topic.assignments).map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
    }
}

fn ids(list: &[i32]) -> Vec<BrokerId> {
    list.iter().copied().map(BrokerId).collect()
}

/// Adds the partitions of one page to what earlier pages told of the topic.
fn add_page(topics: &mut Described, page: DescribeTopicPartitionsResponseTopic) {
    let name = page.name.unwrap_or_default();
    let partitions = page.partitions.iter().map(|p| PartitionDescription {
        partition: PartitionId(p.partition_index),
        leader: (p.leader_id >= 0).then_some(BrokerId(p.leader_id)),
        leader_epoch: LeaderEpoch(p.leader_epoch),
        replicas: ids(&p.replica_nodes),
        isr: ids(&p.isr_nodes),
        elr: Some(ids(p.eligible_leader_replicas.as_deref().unwrap_or_default())),
        last_known_elr: Some(ids(p.last_known_elr.as_deref().unwrap_or_default())),
    });
    if let Some(Ok(topic)) = topics.get_mut(&name) {
        topic.partitions.extend(partitions);
        return;
    }
    let outcome = ClientError::check(page.error_code, None).map(|()| TopicDescription {
        name: name.clone(),
        id: page.topic_id,
        internal: page.is_internal,
        partitions: partitions.collect(),
    });
    topics.insert(name, outcome);
}

fn from_metadata(name: &str, topic: &TopicMetadata) -> Result<TopicDescription> {
    ClientError::check(topic.error.code(), None)?;
    let partitions = topic.partitions.iter().map(|p| PartitionDescription {
        partition: p.partition,
        leader: (p.leader.0 >= 0).then_some(p.leader),
        leader_epoch: p.leader_epoch,
        replicas: p.replicas.clone(),
        isr: p.isr.clone(),
        elr: None,
        last_known_elr: None,
    });
    Ok(TopicDescription {
        name: name.to_owned(),
        id: topic.id,
        internal: topic.internal,
        partitions: partitions.collect(),
    })
}
