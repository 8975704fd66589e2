//! OffsetFetch v1-10.
//!
//! - v2: no topics means all
//! - v5: leader epochs
//! - v7: stable offsets may be required
//! - v8: several groups
//! - v9: member epochs of the consumer protocol
//! - v10: topics by id
//!
//! A shard answers one group; [`groups_of`] and [`response_of`] take requests apart and put
//! answers together.

use std::sync::Arc;

use pharos_base::TopicId;

use super::store::{Commit, OffsetStore};
use crate::event::Context;
use crate::group::Group;
use crate::topics::Topics;
use crate::wire::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use crate::wire::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::wire::{ErrorCode, OffsetFetchRequest, OffsetFetchResponse};

/// The groups of a request of any version, in the shape of v8.
pub fn groups_of(request: OffsetFetchRequest, api_version: i16) -> Vec<OffsetFetchRequestGroup> {
    if api_version >= 8 {
        return request.groups;
    }
    let topics = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
                ..OffsetFetchRequestTopics::default()
            })
            .collect()
    });
    vec![OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        ..OffsetFetchRequestGroup::default()
    }]
}

/// The answers of all groups as one answer of that version. Versions 0 and 1 have no place for an
/// error but the partitions, so `asked` says which these were.
pub fn response_of(
    mut groups: Vec<OffsetFetchResponseGroup>,
    asked: Option<&OffsetFetchRequestGroup>,
    api_version: i16,
) -> OffsetFetchResponse {
    if api_version >= 8 {
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let Some(mut group) = groups.pop() else { return OffsetFetchResponse::default() };
    if api_version < 2 && group.error_code != 0 {
        let code = group.error_code;
        let topics = asked.and_then(|asked| asked.topics.as_deref()).unwrap_or_default();
        group.topics = topics
            .iter()
            .map(|topic| OffsetFetchResponseTopics {
                name: topic.name.clone(),
                partitions: topic.partition_indexes.iter().map(|at| missing(*at, code)).collect(),
                ..OffsetFetchResponseTopics::default()
            })
            .collect();
    }
    OffsetFetchResponse {
        topics: group.topics.into_iter().map(to_v7).collect(),
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    }
}

fn to_v7(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    });
    OffsetFetchResponseTopic { name: topic.name, partitions: partitions.collect() }
}

/// One look at the offsets of one group.
pub(crate) struct Fetch<'a> {
    pub store: &'a OffsetStore,
    pub topics: &'a Topics,
    pub context: &'a Context,
    pub require_stable: bool,
}

impl Fetch<'_> {
    /// Answers for one group. A group that does not exist has no offsets, which is no error.
    pub(crate) fn answer(
        &self,
        group: Option<&Group>,
        request: OffsetFetchRequestGroup,
    ) -> OffsetFetchResponseGroup {
        let mut answer = OffsetFetchResponseGroup {
            group_id: request.group_id.clone(),
            ..OffsetFetchResponseGroup::default()
        };
        if let Some(Group::Consumer(group)) = group {
            let member_id = request.member_id.as_deref();
            if let Err(error) = group.validate_fetch(member_id, request.member_epoch) {
                answer.error_code = error.code();
                return answer;
            }
        }
        let group_id: Arc<str> = request.group_id.into();
        answer.topics = match request.topics {
            Some(topics) => topics.into_iter().map(|topic| self.some(&group_id, topic)).collect(),
            None => self.all(&group_id),
        };
        answer
    }

    fn by_id(&self) -> bool {
        self.context.api_version >= 10
    }

    fn some(&self, group: &Arc<str>, asked: OffsetFetchRequestTopics) -> OffsetFetchResponseTopics {
        let name: Option<Arc<str>> = if self.by_id() {
            self.topics.by_id(asked.topic_id).map(|topic| topic.name.clone())
        } else {
            Some(asked.name.as_str().into())
        };
        let partitions = asked.partition_indexes.iter().map(|index| match &name {
            Some(name) => self.partition(group, name, *index),
            None => missing(*index, ErrorCode::UnknownTopicId.code()),
        });
        OffsetFetchResponseTopics {
            partitions: partitions.collect(),
            name: asked.name,
            topic_id: asked.topic_id,
        }
    }

    fn all(&self, group: &Arc<str>) -> Vec<OffsetFetchResponseTopics> {
        let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
        for (topic, partition, _) in self.store.committed_of(group) {
            if topics.last().is_none_or(|last| *last.name != **topic) {
                let topic_id = self.topics.get(topic).map_or(TopicId::ZERO, |known| known.id);
                topics.push(OffsetFetchResponseTopics {
                    name: topic.to_string(),
                    topic_id,
                    partitions: Vec::new(),
                });
            }
            if let Some(last) = topics.last_mut() {
                last.partitions.push(self.partition(group, topic, partition));
            }
        }
        if self.by_id() {
            // A topic that is gone has no id to be named by.
            topics.retain(|topic| topic.topic_id != TopicId::ZERO);
        }
        topics
    }

    fn partition(
        &self,
        group: &Arc<str>,
        topic: &Arc<str>,
        index: i32,
    ) -> OffsetFetchResponsePartitions {
        if self.require_stable && self.store.transactions.is_pending(group, topic, index) {
            return missing(index, ErrorCode::UnstableOffsetCommit.code());
        }
        let commit = if self.require_stable {
            self.store.latest(group, topic, index)
        } else {
            self.store.committed(group, topic, index)
        };
        commit.map_or_else(|| missing(index, 0), |commit| found(index, commit))
    }
}

fn found(partition_index: i32, commit: &Commit) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: commit.offset,
        committed_leader_epoch: commit.leader_epoch,
        metadata: Some(commit.metadata.to_string()),
        error_code: 0,
    }
}

fn missing(partition_index: i32, error_code: i16) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code,
    }
}
