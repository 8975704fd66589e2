//! AlterPartition (API 56): a leader tells which replicas are in sync.

use pharos_base::{BrokerId, PartitionId};

use super::{Decision, Facts};
use crate::election::{Election, PartitionChange};
use crate::image::{MetadataDelta, PartitionRegistration, RecoveryState, to_ids};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::alter_partition_request::{self as request, BrokerState};
use pharos_protocol::messages::alter_partition_response as response;
use pharos_protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// Decides a request. Version 2 names replicas in `new_isr`, later ones with their broker epochs.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &AlterPartitionRequest,
    version: i16,
) -> Decision<AlterPartitionResponse> {
    let broker = BrokerId(request.broker_id);
    if let Err(code) = super::brokers::check_epoch(facts.image, broker, request.broker_epoch) {
        return Decision::only(AlterPartitionResponse {
            error_code: code.code(),
            ..AlterPartitionResponse::default()
        });
    }
    let mut records = Vec::new();
    // A partition that is named twice meets what its first mention left.
    let mut image = facts.image.clone();
    let mut answer = AlterPartitionResponse::default();
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let facts = Facts { image: &image, ..*facts };
            let changed = alter(&facts, broker, topic, partition, version);
            let result = changed.and_then(|record| {
                if let Some(record) = record {
                    let record = MetadataRecord::PartitionChange(record);
                    let applied = image.apply(&record, &mut MetadataDelta::default());
                    applied.map_err(|_| ErrorCode::UnknownServerError)?;
                    records.push(record);
                }
                let id = PartitionId(partition.partition_index);
                let after = image.topic_by_id(topic.topic_id).and_then(|it| it.partition(id));
                after.map(|after| told(id, after)).ok_or(ErrorCode::UnknownTopicOrPartition)
            });
            partitions.push(result.unwrap_or_else(|code| response::PartitionData {
                partition_index: partition.partition_index,
                error_code: code.code(),
                ..response::PartitionData::default()
            }));
        }
        answer.topics.push(response::TopicData { topic_id: topic.topic_id, partitions });
    }
    Decision { records, response: answer }
}

fn told(id: PartitionId, partition: &PartitionRegistration) -> response::PartitionData {
    response::PartitionData {
        partition_index: id.0,
        error_code: ErrorCode::None.code(),
        leader_id: partition.leader.0,
        leader_epoch: partition.leader_epoch.0,
        isr: to_ids(&partition.isr),
        leader_recovery_state: partition.leader_recovery_state as i8,
        partition_epoch: partition.partition_epoch,
    }
}

fn alter(
    facts: &Facts<'_>,
    broker: BrokerId,
    topic: &request::TopicData,
    data: &request::PartitionData,
    version: i16,
) -> Result<Option<pharos_protocol::messages::PartitionChangeRecord>, ErrorCode> {
    let image = facts.image.topic_by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    let id = PartitionId(data.partition_index);
    let partition = image.partition(id).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_epochs(broker, partition, data)?;
    let states = if version < 3 { without_epochs(data) } else { data.new_isr_with_epochs.clone() };
    let isr: Vec<BrokerId> = states.iter().map(|state| BrokerId(state.broker_id)).collect();
    let recovery = check_isr(partition, data, &isr)?;
    if states.iter().any(|state| !is_eligible(facts, state)) {
        return Err(ErrorCode::IneligibleReplica);
    }
    let unclean = facts.unclean_election_enabled(&image.name);
    let election = if unclean { Election::Unclean } else { Election::Online };
    let mut change = PartitionChange::new(image.id, id, partition, election);
    change.target_isr = isr;
    change.target_recovery_state = recovery;
    Ok(change.build(|broker| facts.may_lead(partition, broker)))
}

/// Stale requests are fenced; one from the future means that this controller is behind.
fn check_epochs(
    broker: BrokerId,
    partition: &PartitionRegistration,
    data: &request::PartitionData,
) -> Result<(), ErrorCode> {
    if data.leader_epoch > partition.leader_epoch.0
        || data.partition_epoch > partition.partition_epoch
    {
        return Err(ErrorCode::NotController);
    }
    if data.leader_epoch < partition.leader_epoch.0 {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if broker != partition.leader {
        return Err(ErrorCode::InvalidRequest);
    }
    if data.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    Ok(())
}

/// The set must be replicas, each once, with the leader among them; recovery only ends.
fn check_isr(
    partition: &PartitionRegistration,
    data: &request::PartitionData,
    isr: &[BrokerId],
) -> Result<RecoveryState, ErrorCode> {
    let mut sorted = isr.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let of_replicas = isr.iter().all(|broker| partition.replicas.contains(broker));
    if sorted.len() != isr.len() || !of_replicas || !isr.contains(&partition.leader) {
        return Err(ErrorCode::InvalidRequest);
    }
    let recovery =
        RecoveryState::from_code(data.leader_recovery_state).ok_or(ErrorCode::InvalidRequest)?;
    let begins = partition.leader_recovery_state == RecoveryState::Recovered;
    if recovery == RecoveryState::Recovering && (begins || isr.len() > 1) {
        return Err(ErrorCode::InvalidRequest);
    }
    Ok(recovery)
}

fn without_epochs(data: &request::PartitionData) -> Vec<BrokerState> {
    let states = data.new_isr.iter();
    states.map(|id| BrokerState { broker_id: *id, broker_epoch: -1 }).collect()
}

fn is_eligible(facts: &Facts<'_>, state: &BrokerState) -> bool {
    facts.image.broker(BrokerId(state.broker_id)).is_some_and(|broker| {
        broker.is_active() && (state.broker_epoch == -1 || state.broker_epoch == broker.epoch)
    })
}
