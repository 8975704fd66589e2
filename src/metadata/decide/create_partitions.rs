//! CreatePartitions (API 37): a topic grows, never shrinks.

use std::collections::HashMap;

use pharos_base::PartitionId;

use super::create_topics::{all_fenced, check_assignment, new_partition, new_partitions};
use super::{ApiError, Decision, Facts, PartitionQuota, Room, outcome};
use crate::image::{PartitionRegistration, TopicImage};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use pharos_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use pharos_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

/// Decides a whole request: topics are independent of each other.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &CreatePartitionsRequest,
    quota: &PartitionQuota,
) -> Decision<CreatePartitionsResponse> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut room = Room::default();
    let mut response = CreatePartitionsResponse::default();
    let mut answer = |name: &str, result: Result<(), ApiError>| {
        let (error_code, error_message) = outcome(result);
        response.results.push(CreatePartitionsTopicResult {
            name: name.to_owned(),
            error_code,
            error_message,
        });
    };
    for topic in &request.topics {
        match counts.get_mut(topic.name.as_str()) {
            Some(1) => {
                let grown = grow(facts, topic, &mut room, quota);
                answer(&topic.name, grown.map(|new| records.extend(new)));
            }
            // Answered once, however often it is named.
            Some(count @ 2..) => {
                *count = 0;
                let reason = "Duplicate topic name.";
                answer(&topic.name, Err(ApiError::new(ErrorCode::InvalidRequest, reason)));
            }
            _ => {}
        }
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response }
}

fn grow(
    facts: &Facts<'_>,
    request: &CreatePartitionsTopic,
    room: &mut Room,
    quota: &PartitionQuota,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let topic = facts.image.topic(&request.name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let additional = additional(topic, request.count)?;
    room.check_count(additional)?;
    let factor = topic.replication_factor();
    if let Some(assignments) = &request.assignments
        && assignments.len() != additional
    {
        let message = format!(
            "Attempted to add {additional} additional partition(s), but only {} \
                 assignment(s) were specified.",
            assignments.len()
        );
        return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    quota.take(additional)?;
    let partitions = match &request.assignments {
        None => new_partitions(facts, additional, i16::try_from(factor).unwrap_or(i16::MAX))?,
        Some(assignments) => {
            let replicas = assignments.iter().map(|assignment| &assignment.broker_ids[..]);
            assigned(facts, topic, factor, replicas)?
        }
    };
    let first = i32::try_from(topic.partition_count()).unwrap_or(i32::MAX);
    let records = (first..).zip(partitions).map(|(id, partition)| {
        MetadataRecord::Partition(partition.to_record(topic.id, PartitionId(id)))
    });
    let records: Vec<_> = records.collect();
    room.take(&records)?;
    Ok(records)
}

fn additional(topic: &TopicImage, count: i32) -> Result<usize, ApiError> {
    let present = topic.partition_count();
    let wanted = usize::try_from(count).unwrap_or(0);
    if i64::from(count) == i64::try_from(present).unwrap_or(i64::MAX) {
        let message = format!("Topic already has {present} partition(s).");
        return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    }
    wanted.checked_sub(present).ok_or_else(|| {
        let message = format!(
            "The topic {} currently has {present} partition(s); {count} would not be an increase.",
            topic.name
        );
        ApiError::new(ErrorCode::InvalidPartitions, message)
    })
}

fn assigned<'a>(
    facts: &Facts<'_>,
    topic: &TopicImage,
    factor: usize,
    assignments: impl Iterator<Item = &'a [i32]>,
) -> Result<Vec<PartitionRegistration>, ApiError> {
    let first = i64::try_from(topic.partition_count()).unwrap_or(i64::MAX);
    let partitions = (first..).zip(assignments).map(|(id, broker_ids)| {
        let replicas = check_assignment(facts, broker_ids, Some(factor))?;
        new_partition(facts, replicas).ok_or_else(|| all_fenced(id))
    });
    partitions.collect()
}
