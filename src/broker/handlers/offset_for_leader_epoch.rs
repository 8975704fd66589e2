//! OffsetForLeaderEpoch, versions 2–4: where the records of a leader's epoch end, so that clients
//! and followers find out whether their log parted from the leader's.

use pharos_base::{LeaderEpoch, PartitionId};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use pharos_protocol::messages::{OffsetForLeaderEpochRequestRef, OffsetForLeaderEpochResponse};
use pharos_replication::Replicas;

use crate::context::{Answer, AnswerError, RequestContext};
use crate::errors;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    replicas: &Replicas,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = OffsetForLeaderEpochRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(replicas, &request))
}

/// Answers every partition.
fn handle(
    replicas: &Replicas,
    request: &OffsetForLeaderEpochRequestRef<'_>,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let current = LeaderEpoch(asked.current_leader_epoch);
            let end = end_of(
                replicas,
                topic.topic,
                PartitionId(asked.partition),
                current,
                LeaderEpoch(asked.leader_epoch),
            );
            let (error, leader_epoch, end_offset) = match end {
                Ok((epoch, offset)) => (ErrorCode::None, epoch, offset),
                Err(error) => (error, -1, -1),
            };
            EpochEndOffset {
                error_code: error.code(),
                partition: asked.partition,
                leader_epoch,
                end_offset,
            }
        });
        OffsetForLeaderTopicResult {
            topic: topic.topic.to_owned(),
            partitions: partitions.collect(),
        }
    });
    OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..OffsetForLeaderEpochResponse::default()
    }
}

fn end_of(
    replicas: &Replicas,
    topic: &str,
    partition: PartitionId,
    current: LeaderEpoch,
    asked: LeaderEpoch,
) -> Result<(i32, i64), ErrorCode> {
    let partition =
        replicas.find(topic, partition).map_err(|missing| errors::of_missing(&missing).code)?;
    partition.check_leader(current).map_err(|error| errors::of_partition(&error).code)?;
    Ok(partition.end_of_epoch(asked).map_or((-1, -1), |(epoch, end)| (epoch.0, end.0)))
}
