//! CreateTopics (API 19): names, configuration, assignments; each topic is made whole or refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use pharos_base::{BrokerId, LeaderEpoch, PartitionId, TopicId};

use super::topic_name::{self, CLUSTER_METADATA_TOPIC};
use super::{ApiError, Decision, Facts, MAX_RECORDS_PER_REQUEST, PartitionQuota, Room};
use crate::image::{
    ConfigMap, ConfigResource, PartitionRegistration, RecoveryState, config_record,
};
use crate::placement::place;
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic,
};
use pharos_protocol::messages::create_topics_response::CreatableTopicResult;
use pharos_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse, TopicRecord};

/// Decides a whole request: topics are independent of each other, but for the limits of a request
/// (`ReplicationControlManager.validateTotalNumberOfPartitions`, `BoundedList`), which refuse it whole.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &CreateTopicsRequest,
    quota: &PartitionQuota,
) -> Decision<CreateTopicsResponse> {
    let partitions = request.topics.iter().map(|topic| count_partitions(facts, topic));
    if partitions.fold(0, usize::saturating_add) > MAX_RECORDS_PER_REQUEST {
        return refused_whole(request, "Excessively large number of partitions per request.");
    }
    let mut records = Vec::new();
    let mut response = CreateTopicsResponse::default();
    let mut collisions = Collisions::new(facts, &request.topics);
    let (unique, duplicates) = split_duplicates(&request.topics);
    let mut room = Room::default();
    for (index, topic) in unique.into_iter().enumerate() {
        let facts = Facts { chance: facts.chance.wrapping_add(index as u64), ..*facts };
        let made = make(&facts, topic, &mut collisions, &mut room, quota);
        response.topics.push(match made {
            Ok((new, result)) => {
                records.extend(new);
                result
            }
            Err(error) if error.code == ErrorCode::PolicyViolation => {
                return refused_whole(request, &error.message.unwrap_or_default());
            }
            Err(error) => refused(&topic.name, error),
        });
    }
    for name in duplicates {
        let error = ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name.");
        response.topics.push(refused(name, error));
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response }
}

/// Partitions that a topic asks for; impossible numbers are refused by their own error later.
fn count_partitions(facts: &Facts<'_>, topic: &CreatableTopic) -> usize {
    let count = match topic.num_partitions {
        _ if !topic.assignments.is_empty() => return topic.assignments.len(),
        -1 => facts.settings.default_num_partitions,
        count => count,
    };
    usize::try_from(count).unwrap_or(0)
}

fn refused_whole(request: &CreateTopicsRequest, why: &str) -> Decision<CreateTopicsResponse> {
    let error = || ApiError::new(ErrorCode::PolicyViolation, why);
    let topics = request.topics.iter().map(|topic| refused(&topic.name, error()));
    let response = CreateTopicsResponse { topics: topics.collect(), ..Default::default() };
    Decision { records: Vec::new(), response }
}

/// Topics that are named once, and the names of the others.
fn split_duplicates(topics: &[CreatableTopic]) -> (Vec<&CreatableTopic>, BTreeSet<&str>) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for topic in topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let once = |topic: &&CreatableTopic| counts.get(topic.name.as_str()) == Some(&1);
    let unique = topics.iter().filter(once).collect();
    let duplicates = counts.iter().filter(|(_, count)| **count > 1).map(|(name, _)| *name);
    (unique, duplicates.collect())
}

fn refused(name: &str, error: ApiError) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        error_code: error.code.code(),
        error_message: error.message,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    }
}

/// Names of topics as metrics show them, for those that can be mixed up. Built once per request
/// and only when a new name needs it.
struct Collisions(HashMap<String, Arc<str>>);

impl Collisions {
    fn new(facts: &Facts<'_>, topics: &[CreatableTopic]) -> Self {
        let mut known = HashMap::new();
        if topics.iter().any(|topic| topic_name::may_collide(&topic.name)) {
            let names = facts.image.topics().map(|topic| &topic.name);
            known.extend(
                names
                    .filter(|name| topic_name::may_collide(name))
                    .map(|name| (topic_name::normalized(name), name.clone())),
            );
        }
        Self(known)
    }
}

type Made = (Vec<MetadataRecord>, CreatableTopicResult);

fn make(
    facts: &Facts<'_>,
    topic: &CreatableTopic,
    collisions: &mut Collisions,
    room: &mut Room,
    quota: &PartitionQuota,
) -> Result<Made, ApiError> {
    check_name(facts, &topic.name, collisions)?;
    let configs = check_configs(facts, topic)?;
    let partitions = if topic.assignments.is_empty() {
        place_partitions(facts, topic, room)?
    } else {
        assigned_partitions(facts, topic)?
    };
    quota.take(partitions.len())?;
    let topic_id = TopicId::random();
    let mut records =
        vec![MetadataRecord::Topic(TopicRecord { name: topic.name.clone(), topic_id })];
    let resource = ConfigResource::topic(topic.name.as_str());
    records.extend(configs.iter().map(|(key, value)| config_record(&resource, key, Some(value))));
    let result = CreatableTopicResult {
        name: topic.name.clone(),
        topic_id,
        error_code: ErrorCode::None.code(),
        error_message: None,
        topic_config_error_code: ErrorCode::None.code(),
        num_partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
        replication_factor: partitions
            .first()
            .map_or(-1, |partition| i16::try_from(partition.replicas.len()).unwrap_or(i16::MAX)),
        configs: Some(facts.rules.effective_topic_configs(facts.image, &configs)),
    };
    records.extend((0..).zip(&partitions).map(|(id, partition)| {
        MetadataRecord::Partition(partition.to_record(topic_id, PartitionId(id)))
    }));
    room.take(&records)?;
    if topic_name::may_collide(&topic.name) {
        let name = Arc::from(topic.name.as_str());
        collisions.0.insert(topic_name::normalized(&topic.name), name);
    }
    Ok((records, result))
}

fn check_name(facts: &Facts<'_>, name: &str, collisions: &Collisions) -> Result<(), ApiError> {
    if name == CLUSTER_METADATA_TOPIC {
        let message = format!("Creation of internal topic {name} is prohibited.");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    if let Some(reason) = topic_name::reason_invalid(name) {
        return Err(ApiError::new(ErrorCode::InvalidTopicException, reason));
    }
    if facts.image.topic_id(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(ApiError::new(ErrorCode::TopicAlreadyExists, message));
    }
    if topic_name::may_collide(name)
        && let Some(other) = collisions.0.get(&topic_name::normalized(name))
    {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(ApiError::new(ErrorCode::InvalidTopicException, message));
    }
    Ok(())
}

fn check_configs(facts: &Facts<'_>, topic: &CreatableTopic) -> Result<ConfigMap, ApiError> {
    let nulls: Vec<&str> = topic
        .configs
        .iter()
        .filter(|config| config.value.is_none())
        .map(|config| config.name.as_str())
        .collect();
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let configs: ConfigMap = topic
        .configs
        .iter()
        .filter_map(|config| Some((config.name.clone(), config.value.clone()?)))
        .collect();
    if !configs.is_empty() {
        let resource = ConfigResource::topic(topic.name.as_str());
        facts.rules.validate(&resource, &configs, &ConfigMap::new())?;
    }
    Ok(configs)
}

fn place_partitions(
    facts: &Facts<'_>,
    topic: &CreatableTopic,
    room: &Room,
) -> Result<Vec<PartitionRegistration>, ApiError> {
    if topic.replication_factor < -1 || topic.replication_factor == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    if topic.num_partitions < -1 || topic.num_partitions == 0 {
        return Err(ApiError::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    }
    let factor = match topic.replication_factor {
        -1 => facts.settings.default_replication_factor,
        factor => factor,
    };
    let partitions = count_partitions(facts, topic);
    room.check_count(partitions)?;
    new_partitions(facts, partitions, factor)
}

/// Places new partitions and makes them ready to be recorded; also for CreatePartitions.
pub(super) fn new_partitions(
    facts: &Facts<'_>,
    partitions: usize,
    factor: i16,
) -> Result<Vec<PartitionRegistration>, ApiError> {
    let unable = |reason: &str| {
        let message = format!("Unable to replicate the partition {factor} time(s): {reason}");
        ApiError::new(ErrorCode::InvalidReplicationFactor, message)
    };
    let placed = place(&facts.usable_brokers(), partitions, factor, facts.chance)
        .map_err(|error| unable(&error.to_string()))?;
    let registered = placed.into_iter().map(|replicas| {
        new_partition(facts, replicas)
            .ok_or_else(|| unable("All brokers are currently fenced or in controlled shutdown."))
    });
    registered.collect()
}

/// A partition at its beginning; `None` when no replica's broker is active.
pub(super) fn new_partition(
    facts: &Facts<'_>,
    replicas: Vec<BrokerId>,
) -> Option<PartitionRegistration> {
    let isr: Vec<_> = replicas.iter().copied().filter(|id| facts.is_active(*id)).collect();
    Some(PartitionRegistration {
        directories: replicas.iter().map(|id| facts.default_directory(*id)).collect(),
        leader: *isr.first()?,
        replicas,
        isr,
        removing_replicas: Vec::new(),
        adding_replicas: Vec::new(),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        leader_recovery_state: RecoveryState::Recovered,
    })
}

fn assigned_partitions(
    facts: &Facts<'_>,
    topic: &CreatableTopic,
) -> Result<Vec<PartitionRegistration>, ApiError> {
    let manual = "A manual partition assignment was specified, but";
    if topic.replication_factor != -1 {
        let message = format!("{manual} replication factor was not set to -1.");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    if topic.num_partitions != -1 {
        let message = format!("{manual} numPartitions was not set to -1.");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    let mut partitions = BTreeMap::new();
    let mut factor = None;
    for assignment in &topic.assignments {
        let CreatableReplicaAssignment { partition_index, broker_ids } = assignment;
        let replicas = check_assignment(facts, broker_ids, factor)?;
        factor = Some(broker_ids.len());
        let partition = new_partition(facts, replicas)
            .ok_or_else(|| all_fenced(i64::from(*partition_index)))?;
        if partitions.insert(*partition_index, partition).is_some() {
            let message = format!(
                "Found multiple manual partition assignments for partition {partition_index}"
            );
            return Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message));
        }
    }
    if !(0..).zip(partitions.keys()).all(|(index, id)| index == *id) {
        return Err(ApiError::new(
            ErrorCode::InvalidReplicaAssignment,
            "partitions should be a consecutive 0-based integer sequence",
        ));
    }
    Ok(partitions.into_values().collect())
}

/// The refusal of an assignment that only names brokers which cannot lead.
pub(super) fn all_fenced(partition: i64) -> ApiError {
    ApiError::new(
        ErrorCode::InvalidReplicaAssignment,
        format!(
            "All brokers specified in the manual partition assignment for partition {partition} \
             are fenced or in controlled shutdown."
        ),
    )
}

/// Checks the replicas that a request names for one partition; also for CreatePartitions.
pub(super) fn check_assignment(
    facts: &Facts<'_>,
    broker_ids: &[i32],
    factor: Option<usize>,
) -> Result<Vec<BrokerId>, ApiError> {
    let refuse = |rest: String| {
        let message = format!("The manual partition assignment includes {rest}");
        Err(ApiError::new(ErrorCode::InvalidReplicaAssignment, message))
    };
    if broker_ids.is_empty() {
        return refuse("an empty replica list.".to_owned());
    }
    let mut sorted = broker_ids.to_vec();
    sorted.sort_unstable();
    let mut previous = None;
    for id in sorted {
        if facts.image.broker(BrokerId(id)).is_none() {
            return refuse(format!("broker {id}, but no such broker is registered."));
        }
        if previous == Some(id) {
            return refuse(format!("the broker {id} more than once."));
        }
        previous = Some(id);
    }
    let count = broker_ids.len();
    match factor {
        Some(factor) if factor != count => refuse(format!(
            "a partition with {count} replica(s), but this is not consistent with previous \
             partitions, which have {factor} replica(s)."
        )),
        _ => Ok(broker_ids.iter().copied().map(BrokerId).collect()),
    }
}
