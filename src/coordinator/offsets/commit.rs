//! OffsetCommit v2-10.
//!
//! - v2-4: the client may say how long the offsets are kept
//! - v6: leader epochs
//! - v7: static members
//! - v9: member epochs of the consumer protocol; an unknown group is GROUP_ID_NOT_FOUND
//! - v10: topics by id

use std::sync::Arc;

use pharos_base::TopicId;

use crate::classic;
use crate::classic::ClassicGroup;
use crate::classic::group::Phase;
use crate::event::{Context, Token};
use crate::group::Group;
use crate::record::Record;
use crate::response::Response;
use crate::step::Step;
use crate::topics::Topic;
use crate::wire::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use crate::wire::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::wire::{ErrorCode, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitValue};

/// The same answer for every partition that the request names.
pub(crate) fn refusal(request: &OffsetCommitRequest, error: ErrorCode) -> Response {
    let topics = request.topics.iter().map(|topic| refused_topic(topic, error));
    Response::OffsetCommit(OffsetCommitResponse {
        topics: topics.collect(),
        ..OffsetCommitResponse::default()
    })
}

fn refused_topic(topic: &OffsetCommitRequestTopic, error: ErrorCode) -> OffsetCommitResponseTopic {
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|asked| outcome(asked, Err(error))).collect(),
    }
}

/// The topic that a request means.
fn known<'a>(
    step: &Step<'a>,
    by_id: bool,
    topic: &OffsetCommitRequestTopic,
) -> Result<&'a Topic, ErrorCode> {
    match by_id {
        true => step.topics.by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId),
        false => step.topics.get(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition),
    }
}

/// Commits offsets for `group`; `None` if there is no such group, and the commit may make one.
pub(crate) fn commit(
    group: Option<&mut Group>,
    step: &mut Step<'_>,
    token: Token,
    context: &Context,
    request: OffsetCommitRequest,
) {
    let by_id = context.api_version >= 10;
    if let Err(error) = validate(group.as_deref(), step, context, &request) {
        // A topic that nobody knows is told first: Kafka never asks the group about it.
        let topics = request
            .topics
            .iter()
            .map(|topic| refused_topic(topic, known(step, by_id, topic).err().unwrap_or(error)));
        let answer =
            OffsetCommitResponse { topics: topics.collect(), ..OffsetCommitResponse::default() };
        return step.reply(token, Response::OffsetCommit(answer));
    }
    // A classic member that commits lives.
    if let Some(Group::Classic(group)) = group
        && matches!(group.phase, Phase::Stable | Phase::PreparingRebalance { .. })
    {
        classic::rebalance::await_heartbeat(group, step, &request.member_id);
    }
    let group_id: Arc<str> = request.group_id.as_str().into();
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let scope = Scope {
            group: &group_id,
            by_id,
            // Retention that is not asked for is -1; the broker's own applies then.
            expire_timestamp: match request.retention_time_ms {
                -1 => -1,
                retention_ms => step.now.wall_ms.saturating_add(retention_ms),
            },
        };
        topics.push(commit_topic(step, &scope, topic, &mut records));
    }
    step.tally.offsets_committed(records.len());
    let answer = OffsetCommitResponse { topics, ..OffsetCommitResponse::default() };
    step.write_and_reply(records, token, Response::OffsetCommit(answer));
}

struct Scope<'a> {
    group: &'a Arc<str>,
    by_id: bool,
    expire_timestamp: i64,
}

fn commit_topic(
    step: &Step<'_>,
    scope: &Scope<'_>,
    topic: OffsetCommitRequestTopic,
    records: &mut Vec<Record>,
) -> OffsetCommitResponseTopic {
    let known = known(step, scope.by_id, &topic);
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for asked in topic.partitions {
        let result = match known {
            Err(unknown) => Err(unknown),
            Ok(topic) if !topic.has_partition(asked.partition_index) => {
                Err(ErrorCode::UnknownTopicOrPartition)
            }
            Ok(_) if is_too_long(step, asked.committed_metadata.as_deref()) => {
                Err(ErrorCode::OffsetMetadataTooLarge)
            }
            Ok(_) => Ok(()),
        };
        partitions.push(outcome(&asked, result));
        if let (Ok(known), Ok(())) = (known, result) {
            records.push(Record::Offset {
                group: scope.group.clone(),
                topic: known.name.clone(),
                partition: asked.partition_index,
                value: Some(value(step, scope, asked, known.id)),
            });
        }
    }
    OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions }
}

fn value(
    step: &Step<'_>,
    scope: &Scope<'_>,
    asked: OffsetCommitRequestPartition,
    topic_id: TopicId,
) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: asked.committed_offset,
        leader_epoch: asked.committed_leader_epoch,
        metadata: asked.committed_metadata.unwrap_or_default(),
        commit_timestamp: step.now.wall_ms,
        expire_timestamp: scope.expire_timestamp,
        topic_id,
    }
}

fn outcome(
    asked: &OffsetCommitRequestPartition,
    result: Result<(), ErrorCode>,
) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition {
        partition_index: asked.partition_index,
        error_code: result.err().unwrap_or(ErrorCode::None).code(),
    }
}

/// Kafka counts characters, not bytes, whatever the key's name says.
fn is_too_long(step: &Step<'_>, metadata: Option<&str>) -> bool {
    let limit = step.config.offset_metadata_max_size;
    metadata.is_some_and(|text| text.len() > limit && text.encode_utf16().count() > limit)
}

fn validate(
    group: Option<&Group>,
    step: &Step<'_>,
    context: &Context,
    request: &OffsetCommitRequest,
) -> Result<(), ErrorCode> {
    let epoch = request.generation_id_or_member_epoch;
    match group {
        // A consumer without group management, or an administrator: any group will do.
        None if epoch < 0 => Ok(()),
        None if context.api_version >= 9 => Err(ErrorCode::GroupIdNotFound),
        None => Err(ErrorCode::IllegalGeneration),
        Some(Group::Classic(group)) => validate_classic(group, request),
        Some(Group::Consumer(group)) => {
            group.validate_commit(step.topics, context.api_version, request)
        }
    }
}

/// `ClassicGroup.validateOffsetCommit` in apache/kafka.
fn validate_classic(group: &ClassicGroup, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
    let epoch = request.generation_id_or_member_epoch;
    let instance_id = request.group_instance_id.as_deref();
    if epoch < 0 && group.phase == Phase::Empty {
        return Ok(());
    }
    if epoch < 0 && request.member_id.is_empty() && instance_id.is_none() {
        return Err(ErrorCode::UnknownMemberId);
    }
    classic::validate_member(group, &request.member_id, instance_id)?;
    if epoch != group.generation {
        return Err(ErrorCode::IllegalGeneration);
    }
    if group.phase == Phase::CompletingRebalance {
        return Err(ErrorCode::RebalanceInProgress);
    }
    Ok(())
}
