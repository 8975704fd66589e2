//! The broker that keeps a group: finding it, asking it, offsets in its hands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_base::{BrokerId, Offset, TopicPartition};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use pharos_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use pharos_protocol::messages::{
    FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest, OffsetFetchResponse,
};

use crate::cluster::{Cluster, Target};
use crate::error::{ClientError, Result, error_code};
use crate::wire::Request;

/// Newest versions of OffsetCommit and OffsetFetch that name topics instead of ids.
const NAMES_UP_TO: i16 = 9;
/// First version of OffsetFetch for several groups.
const GROUPS_FROM: i16 = 8;
/// First version of FindCoordinator for several keys.
const KEYS_FROM: i16 = 4;

/// A committed position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next record to read.
    pub offset: Offset,
    /// Epoch of the last record that was read; -1 when unknown.
    pub leader_epoch: i32,
    /// Words of whoever committed.
    pub metadata: String,
}

impl Committed {
    /// A position without more.
    pub fn at(offset: Offset) -> Self {
        Self { offset, leader_epoch: -1, metadata: String::new() }
    }
}

/// On whose behalf a group is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Member id; empty outside the group.
    pub member_id: String,
    /// Generation or member epoch; -1 outside the group.
    pub generation: i32,
    /// Name of a static member.
    pub instance_id: Option<String>,
}

impl Identity {
    /// Nobody in the group: tools, and consumers that assign themselves.
    pub fn outsider() -> Self {
        Self { generation: -1, ..Self::default() }
    }
}

/// A group's coordinator, found when needed.
#[derive(Clone)]
pub struct Coordinator {
    cluster: Cluster,
    group_id: Arc<str>,
    known: Arc<Mutex<Option<BrokerId>>>,
}

impl Coordinator {
    /// The coordinator of `group_id`.
    pub fn new(cluster: Cluster, group_id: &str) -> Self {
        Self { cluster, group_id: group_id.into(), known: Arc::default() }
    }

    /// The group.
    pub fn group_id(&self) -> &str {
        &self.group_id
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Forgets the broker, so that the next call looks again.
    pub fn forget(&self) {
        *self.known.lock() = None;
    }

    /// The broker, asked for once unless it is known.
    ///
    /// # Errors
    /// When no broker answers, or none is available yet (retriable).
    pub async fn find(&self) -> Result<BrokerId> {
        if let Some(id) = *self.known.lock() {
            return Ok(id);
        }
        let build = |version: i16| {
            let mut request = FindCoordinatorRequest::default();
            if version >= KEYS_FROM {
                request.coordinator_keys = vec![self.group_id.to_string()];
            } else {
                request.key = self.group_id.to_string();
            }
            Ok(request)
        };
        let (response, version) = self.cluster.call_versioned(Target::Any, i16::MAX, build).await?;
        let (id, code, message) = if version >= KEYS_FROM {
            let Some(found) = response.coordinators.into_iter().next() else {
                return Err(unavailable());
            };
            (found.node_id, found.error_code, found.error_message)
        } else {
            (response.node_id, response.error_code, response.error_message)
        };
        ClientError::check(code, message.as_deref())?;
        let id = BrokerId(id);
        if !self.cluster.metadata().brokers.contains_key(&id) {
            self.cluster.refresh(Some(&[]), false).await?;
        }
        *self.known.lock() = Some(id);
        Ok(id)
    }

    /// Sends one request to the coordinator; a broken connection makes it be looked for again.
    ///
    /// # Errors
    /// As [`Cluster::call`].
    pub async fn call<Q: Request>(&self, request: &Q) -> Result<Q::Response> {
        let target = Target::Coordinator(self.find().await?);
        self.forgetting(self.cluster.call(target, request).await)
    }

    /// As [`Self::call`], for requests that wait at the coordinator.
    pub(crate) async fn call_within<Q: Request>(
        &self,
        timeout: Duration,
        request: &Q,
    ) -> Result<Q::Response> {
        let target = Target::Coordinator(self.find().await?);
        self.forgetting(self.cluster.call_within(target, timeout, request).await)
    }

    /// As [`Self::call`], in at most version `cap`.
    pub(crate) async fn call_versioned<Q: Request>(
        &self,
        cap: i16,
        build: impl FnOnce(i16) -> Result<Q>,
    ) -> Result<(Q::Response, i16)> {
        let target = Target::Coordinator(self.find().await?);
        self.forgetting(self.cluster.call_versioned(target, cap, build).await)
    }

    fn forgetting<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.notice(error);
        }
        outcome
    }

    /// Forgets the coordinator when `error` says that it has moved or gone.
    pub(crate) fn notice(&self, error: &ClientError) {
        let moved = matches!(
            error.code(),
            Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
        );
        if moved || error.is_connection() || matches!(error, ClientError::UnknownBroker { .. }) {
            self.forget();
        }
    }

    /// Checks an answer's code, forgetting the coordinator when it has moved.
    pub(crate) fn check(&self, code: i16) -> Result<()> {
        self.forgetting(ClientError::check(code, None))
    }

    /// Commits positions, once.
    ///
    /// # Errors
    /// Of the call. Each partition's own error is in the result.
    pub async fn commit(
        &self,
        identity: &Identity,
        offsets: &HashMap<TopicPartition, Committed>,
    ) -> Result<HashMap<TopicPartition, ErrorCode>> {
        let request = OffsetCommitRequest {
            group_id: self.group_id.to_string(),
            generation_id_or_member_epoch: identity.generation,
            member_id: identity.member_id.clone(),
            group_instance_id: identity.instance_id.clone(),
            topics: commit_topics(offsets),
            ..Default::default()
        };
        let (response, _) = self.call_versioned(NAMES_UP_TO, |_| Ok(request)).await?;
        let mut result = HashMap::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                let code = error_code(partition.error_code);
                if code != ErrorCode::None {
                    self.notice(&ClientError::Broker { code, message: None });
                }
                let name = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                result.insert(name, code);
            }
        }
        Ok(result)
    }

    /// Committed positions: of `partitions`, or of all with `None`. Those without are left out.
    ///
    /// # Errors
    /// Of the call, of the group, or of the first partition that has one.
    pub async fn committed(
        &self,
        identity: &Identity,
        partitions: Option<&[TopicPartition]>,
        require_stable: bool,
    ) -> Result<HashMap<TopicPartition, Committed>> {
        let topics = partitions.map(by_topic);
        let build = |version: i16| {
            if version < GROUPS_FROM {
                return Err(ClientError::Unsupported {
                    broker: "coordinator".to_owned(),
                    api: "OffsetFetch",
                });
            }
            let mut group = OffsetFetchRequestGroup {
                group_id: self.group_id.to_string(),
                topics: topics.map(|topics| topics.into_iter().map(fetch_topic).collect()),
                ..Default::default()
            };
            if !identity.member_id.is_empty() && version > GROUPS_FROM {
                group.member_id = Some(identity.member_id.clone());
                group.member_epoch = identity.generation;
            }
            Ok(OffsetFetchRequest { groups: vec![group], require_stable, ..Default::default() })
        };
        let (response, _) = self.call_versioned(NAMES_UP_TO, build).await?;
        self.forgetting(read_committed_offsets(&response))
    }
}

fn unavailable() -> ClientError {
    ClientError::Broker { code: ErrorCode::CoordinatorNotAvailable, message: None }
}

/// Groups partitions by topic, in order.
pub(crate) fn by_topic(partitions: &[TopicPartition]) -> Vec<(String, Vec<i32>)> {
    let mut sorted = partitions.to_vec();
    sorted.sort();
    let mut topics: Vec<(String, Vec<i32>)> = Vec::new();
    for partition in sorted {
        match topics.last_mut() {
            Some((topic, list)) if **topic == *partition.topic => list.push(partition.partition.0),
            _ => topics.push((partition.topic.to_string(), vec![partition.partition.0])),
        }
    }
    topics
}

fn fetch_topic((name, partition_indexes): (String, Vec<i32>)) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics { name, partition_indexes, ..Default::default() }
}

fn commit_topics(offsets: &HashMap<TopicPartition, Committed>) -> Vec<OffsetCommitRequestTopic> {
    let partitions: Vec<_> = offsets.keys().cloned().collect();
    let entry = |topic: &str, index: i32| {
        let committed = offsets.get(&TopicPartition::new(topic, index))?;
        Some(OffsetCommitRequestPartition {
            partition_index: index,
            committed_offset: committed.offset.0,
            committed_leader_epoch: committed.leader_epoch,
            committed_metadata: Some(committed.metadata.clone()),
        })
    };
    by_topic(&partitions)
        .into_iter()
        .map(|(name, indexes)| OffsetCommitRequestTopic {
            partitions: indexes.into_iter().filter_map(|index| entry(&name, index)).collect(),
            name,
            ..Default::default()
        })
        .collect()
}

fn read_committed_offsets(
    response: &OffsetFetchResponse,
) -> Result<HashMap<TopicPartition, Committed>> {
    let mut result = HashMap::new();
    for group in &response.groups {
        ClientError::check(group.error_code, None)?;
        for topic in &group.topics {
            for partition in &topic.partitions {
                ClientError::check(partition.error_code, None)?;
                if partition.committed_offset < 0 {
                    continue;
                }
                let name = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                let committed = Committed {
                    offset: Offset(partition.committed_offset),
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.metadata.clone().unwrap_or_default(),
                };
                result.insert(name, committed);
            }
        }
    }
    Ok(result)
}
