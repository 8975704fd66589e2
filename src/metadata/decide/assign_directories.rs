//! AssignReplicasToDirs (API 73, KIP-858): a broker with several log directories tells in which of
//! them its replicas lie, so that the failure of one takes only these offline.

use std::collections::HashSet;

use pharos_base::{BrokerId, PartitionId, TopicId};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::assign_replicas_to_dirs_response::{
    DirectoryData, PartitionData, TopicData,
};
use pharos_protocol::messages::{
    AssignReplicasToDirsRequest, AssignReplicasToDirsResponse, PartitionChangeRecord,
};

use super::{Decision, Facts, MAX_RECORDS_PER_REQUEST, has_directory};
use crate::record::MetadataRecord;

/// Decides a request: partitions are independent of each other.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &AssignReplicasToDirsRequest,
) -> Decision<AssignReplicasToDirsResponse> {
    let broker = BrokerId(request.broker_id);
    let mut response = AssignReplicasToDirsResponse::default();
    if let Err(code) = super::brokers::check_epoch(facts.image, broker, request.broker_epoch) {
        response.error_code = code.code();
        return Decision::only(response);
    }
    let mut records = Vec::new();
    let mut seen = HashSet::new();
    for directory in &request.directories {
        let topics = directory.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                let id = PartitionId(partition.partition_index);
                let place = Place { broker, directory: directory.id, topic: topic.topic_id, id };
                let code = if !seen.insert((topic.topic_id, id)) {
                    ErrorCode::InvalidRequest
                } else if records.len() >= MAX_RECORDS_PER_REQUEST {
                    ErrorCode::PolicyViolation
                } else {
                    assign(facts, &place)
                        .map(|record| records.extend(record))
                        .err()
                        .unwrap_or(ErrorCode::None)
                };
                PartitionData { partition_index: id.0, error_code: code.code() }
            });
            TopicData { topic_id: topic.topic_id, partitions: partitions.collect() }
        });
        let topics = topics.collect();
        response.directories.push(DirectoryData { id: directory.id, topics });
    }
    Decision { records, response }
}

struct Place {
    broker: BrokerId,
    directory: TopicId,
    topic: TopicId,
    id: PartitionId,
}

fn assign(facts: &Facts<'_>, place: &Place) -> Result<Option<MetadataRecord>, ErrorCode> {
    let topic = facts.image.topic_by_id(place.topic).ok_or(ErrorCode::UnknownTopicId)?;
    let partition = topic.partition(place.id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let index = partition.replicas.iter().position(|replica| *replica == place.broker);
    let index = index.ok_or(ErrorCode::NotLeaderOrFollower)?;
    let mut directories = partition.directories.clone();
    match directories.get_mut(index) {
        Some(directory) if *directory != place.directory => *directory = place.directory,
        _ => return Ok(None),
    }
    let online = facts.image.broker(place.broker).map_or(&[][..], |it| &it.log_dirs);
    let mut record = PartitionChangeRecord {
        partition_id: place.id.0,
        topic_id: place.topic,
        ..PartitionChangeRecord::default()
    };
    if !has_directory(online, Some(place.directory)) && partition.isr.contains(&place.broker) {
        // The directory broke before it was known what lies in it.
        let leaving = Some(place.broker);
        let change = facts.change_for(place.topic, &topic.name, place.id, partition, leaving);
        let may_lead = |other| other != place.broker && facts.may_lead(partition, other);
        record = change.build(may_lead).unwrap_or(record);
    }
    record.directories = Some(directories);
    Ok(Some(MetadataRecord::PartitionChange(record)))
}
