//! ElectLeaders (API 43), and the elections that the controller makes by itself.

use pharos_base::PartitionId;

use super::{ApiError, Decision, Facts, outcome};
use crate::election::{Election, PartitionChange};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use pharos_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

/// Most elections of one rebalancing step (`QuorumController` by way of
/// `ReplicationControlManager.MAX_ELECTIONS_PER_IMBALANCE`).
const MAX_ELECTIONS_PER_STEP: usize = 1_000;

/// Decides a request; null partitions ask for all, and then only those that changed or failed are
/// answered.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &ElectLeadersRequest,
) -> Decision<ElectLeadersResponse> {
    let mut response = ElectLeadersResponse::default();
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        _ => {
            response.error_code = ErrorCode::InvalidRequest.code();
            return Decision::only(response);
        }
    };
    let mut records = Vec::new();
    let mut answer = |topic: &str, partitions: &[i32], all: bool| {
        let mut results = Vec::new();
        for partition in partitions {
            let elected = elect(facts, topic, PartitionId(*partition), election);
            let needless = elected.as_ref().is_err_and(|e| e.code == ErrorCode::ElectionNotNeeded);
            let (error_code, error_message) = outcome(elected.map(|record| records.push(record)));
            if !(all && needless) {
                results.push(PartitionResult {
                    partition_id: *partition,
                    error_code,
                    error_message,
                });
            }
        }
        response
            .replica_election_results
            .push(ReplicaElectionResult { topic: topic.to_owned(), partition_result: results });
    };
    match &request.topic_partitions {
        Some(topics) => {
            for topic in topics {
                answer(&topic.topic, &topic.partitions, false);
            }
        }
        None => {
            for topic in facts.image.topics() {
                let partitions: Vec<i32> = topic.partitions().map(|(id, _)| id.0).collect();
                answer(&topic.name, &partitions, true);
            }
        }
    }
    Decision { records, response }
}

fn elect(
    facts: &Facts<'_>,
    topic: &str,
    id: PartitionId,
    election: Election,
) -> Result<MetadataRecord, ApiError> {
    let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
    let image =
        facts.image.topic(topic).ok_or_else(|| unknown(format!("No such topic as {topic}")))?;
    let partition =
        image.partition(id).ok_or_else(|| unknown(format!("No such partition as {topic}-{id}")))?;
    let needless = match election {
        Election::Preferred => partition.has_preferred_leader(),
        Election::Online | Election::Unclean => partition.has_leader(),
    };
    if needless {
        return Err(ErrorCode::ElectionNotNeeded.into());
    }
    let change = PartitionChange::new(image.id, id, partition, election);
    let record = change.build(|broker| facts.may_lead(partition, broker));
    record.map(MetadataRecord::PartitionChange).ok_or_else(|| {
        match election {
            Election::Preferred => ErrorCode::PreferredLeaderNotAvailable,
            Election::Online | Election::Unclean => ErrorCode::EligibleLeadersNotAvailable,
        }
        .into()
    })
}

/// Gives partitions back to their preferred leaders where these are in sync and active
/// (`auto.leader.rebalance.enable`).
pub(crate) fn balance(facts: &Facts<'_>) -> Vec<MetadataRecord> {
    if facts.image.partition_counts().without_preferred_leader == 0 {
        return Vec::new();
    }
    let mut records = Vec::new();
    for topic in facts.image.topics() {
        for (id, partition) in topic.partitions() {
            if records.len() < MAX_ELECTIONS_PER_STEP && !partition.has_preferred_leader() {
                let change = PartitionChange::new(topic.id, id, partition, Election::Preferred);
                let record = change.build(|broker| facts.may_lead(partition, broker));
                records.extend(record.map(MetadataRecord::PartitionChange));
            }
        }
    }
    records
}
