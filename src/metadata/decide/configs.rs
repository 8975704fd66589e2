//! IncrementalAlterConfigs (API 44) and AlterConfigs (API 33): what is set on topics, brokers,
//! groups and client-metrics subscriptions. What a value may be is asked of [`super::ConfigRules`].

use std::collections::{BTreeMap, HashMap, HashSet};

use pharos_base::BrokerId;

use super::{ApiError, Decision, Facts, Room, outcome, topic_name};
use crate::image::{ConfigMap, ConfigResource, ConfigResourceType, config_record};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, alter_configs_response, incremental_alter_configs_request,
    incremental_alter_configs_response,
};

/// Longest value that a ConfigRecord holds.
const MAX_VALUE_BYTES: usize = i16::MAX as usize;

/// Decides an IncrementalAlterConfigs request: resources are independent of each other.
pub(crate) fn decide_incremental(
    facts: &Facts<'_>,
    request: &IncrementalAlterConfigsRequest,
) -> Decision<IncrementalAlterConfigsResponse> {
    let resources = request.resources.iter().map(|resource| {
        let change = Change::Incremental(&resource.configs);
        (resource.resource_type, resource.resource_name.as_str(), change)
    });
    let (mut records, results) = alter_all(facts, resources);
    let mut response = IncrementalAlterConfigsResponse::default();
    for ((resource_type, resource_name), result) in results {
        let (error_code, error_message) = outcome(result);
        response.responses.push(incremental_alter_configs_response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response }
}

/// Decides an AlterConfigs request: what it names replaces all that was set on a resource.
pub(crate) fn decide_replacing(
    facts: &Facts<'_>,
    request: &AlterConfigsRequest,
) -> Decision<AlterConfigsResponse> {
    let resources = request.resources.iter().map(|resource| {
        let values = resource.configs.iter().map(|it| (it.name.as_str(), it.value.as_deref()));
        let change = Change::Replacing(values.collect());
        (resource.resource_type, resource.resource_name.as_str(), change)
    });
    let (mut records, results) = alter_all(facts, resources);
    let mut response = AlterConfigsResponse::default();
    for ((resource_type, resource_name), result) in results {
        let (error_code, error_message) = outcome(result);
        response.responses.push(alter_configs_response::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type,
            resource_name,
        });
    }
    if request.validate_only {
        records.clear();
    }
    Decision { records, response }
}

/// Decides to set a value unless there is one: what the cluster makes for itself, once.
pub(crate) fn decide_once(
    facts: &Facts<'_>,
    resource: &ConfigResource,
    key: &str,
    value: &str,
) -> Decision<()> {
    let set = facts.image.config(resource).is_some_and(|values| values.contains_key(key));
    let record = (!set).then(|| config_record(resource, key, Some(value)));
    Decision { records: record.into_iter().collect(), response: () }
}

enum Change<'a> {
    Incremental(&'a [incremental_alter_configs_request::AlterableConfig]),
    Replacing(BTreeMap<&'a str, Option<&'a str>>),
}

type Results = Vec<((i8, String), Result<(), ApiError>)>;

fn alter_all<'a>(
    facts: &Facts<'_>,
    resources: impl Iterator<Item = (i8, &'a str, Change<'a>)> + Clone,
) -> (Vec<MetadataRecord>, Results) {
    let mut counts: HashMap<(i8, &str), usize> = HashMap::new();
    for (kind, name, _) in resources.clone() {
        *counts.entry((kind, name)).or_default() += 1;
    }
    let mut records = Vec::new();
    let mut results = Vec::new();
    let mut room = Room::default();
    for (kind, name, change) in resources {
        let result = match counts.get_mut(&(kind, name)) {
            Some(1) => alter(facts, kind, name, &change, &mut room),
            // Answered once, however often it is named.
            Some(count @ 2..) => {
                *count = 0;
                Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate resource."))
            }
            _ => continue,
        };
        let result = result.map(|new| records.extend(new));
        results.push(((kind, name.to_owned()), result));
    }
    (records, results)
}

fn alter(
    facts: &Facts<'_>,
    kind: i8,
    name: &str,
    change: &Change<'_>,
    room: &mut Room,
) -> Result<Vec<MetadataRecord>, ApiError> {
    let kind = ConfigResourceType::from_code(kind).ok_or_else(|| {
        let message = format!("Unknown resource type {kind}.");
        ApiError::new(ErrorCode::UnsupportedVersion, message)
    })?;
    let resource = ConfigResource::new(kind, name);
    check_resource(facts, &resource)?;
    let before = facts.image.config(&resource).map(|values| (**values).clone()).unwrap_or_default();
    let mut after = before.clone();
    let altered = match change {
        Change::Incremental(configs) => incremental(facts, kind, configs, &mut after)?,
        Change::Replacing(values) => {
            after.retain(|key, _| facts.rules.stays(kind, key));
            replace(values, &mut after)?
        }
    };
    check_lengths(&after)?;
    facts.rules.validate(&resource, &after, &before)?;
    // A broker's keys are recorded even when they stay: that makes the broker read its files again
    // (KAFKA-14136).
    let told = kind == ConfigResourceType::Broker;
    let records: Vec<_> = altered
        .into_iter()
        .filter(|key| told || before.get(*key) != after.get(*key))
        .map(|key| config_record(&resource, key, after.get(key).map(String::as_str)))
        .collect();
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let known: HashSet<&str> = records.iter().filter_map(config_key).collect();
    let implied: Vec<_> = gone
        .filter(|key| !known.contains(key.as_str()))
        .map(|key| config_record(&resource, key, None))
        .collect();
    let records: Vec<_> = records.into_iter().chain(implied).collect();
    room.take(&records)?;
    Ok(records)
}

/// Each value came within the limit, but what was appended to a list may have gone beyond it.
fn check_lengths(values: &ConfigMap) -> Result<(), ApiError> {
    match values.iter().find(|(_, value)| value.len() > MAX_VALUE_BYTES) {
        None => Ok(()),
        Some((key, value)) => {
            let message = format!(
                "The value of {key} would take {} bytes, more than the {MAX_VALUE_BYTES} of a \
                 record.",
                value.len()
            );
            Err(ApiError::new(ErrorCode::InvalidConfig, message))
        }
    }
}

fn config_key(record: &MetadataRecord) -> Option<&str> {
    match record {
        MetadataRecord::Config(record) => Some(&record.name),
        _ => None,
    }
}

/// The name must be one of its kind, and what it names must exist.
fn check_resource(facts: &Facts<'_>, resource: &ConfigResource) -> Result<(), ApiError> {
    let invalid = |reason: &str| Err(ApiError::new(ErrorCode::InvalidRequest, reason));
    let name = &*resource.name;
    match resource.kind {
        ConfigResourceType::Topic if name.is_empty() => {
            invalid("Default topic resources are not allowed.")
        }
        ConfigResourceType::Topic => match topic_name::reason_invalid(name) {
            Some(reason) => Err(ApiError::new(ErrorCode::InvalidTopicException, reason)),
            None if facts.image.topic_id(name).is_none() => Err(ApiError::new(
                ErrorCode::UnknownTopicOrPartition,
                format!("The topic '{name}' does not exist."),
            )),
            None => Ok(()),
        },
        ConfigResourceType::Broker if name.is_empty() => Ok(()),
        ConfigResourceType::Broker => match name.parse::<i32>() {
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
            Ok(id) if id < 0 => invalid("Invalid negative broker ID."),
            Ok(id) if is_node(facts, BrokerId(id)) => Ok(()),
            Ok(id) => Err(ApiError::new(
                ErrorCode::BrokerIdNotRegistered,
                format!("No node with id {id} found."),
            )),
        },
        ConfigResourceType::Group if name.is_empty() => {
            invalid("Default group resources are not allowed.")
        }
        ConfigResourceType::ClientMetrics if name.is_empty() => {
            invalid("Subscription name can't be empty")
        }
        ConfigResourceType::Group | ConfigResourceType::ClientMetrics => Ok(()),
        ConfigResourceType::BrokerLogger => invalid("Unknown resource type BROKER_LOGGER"),
    }
}

fn is_node(facts: &Facts<'_>, id: BrokerId) -> bool {
    id == facts.settings.node_id
        || facts.image.broker(id).is_some()
        || facts.image.controllers().any(|controller| controller.id == id)
}

/// Carries out set, delete, append and subtract in their order; returns the keys that they name.
fn incremental<'a>(
    facts: &Facts<'_>,
    kind: ConfigResourceType,
    configs: &'a [incremental_alter_configs_request::AlterableConfig],
    after: &mut ConfigMap,
) -> Result<Vec<&'a str>, ApiError> {
    let mut keys = Vec::with_capacity(configs.len());
    let mut seen = HashSet::new();
    for config in configs {
        let key = config.name.as_str();
        if !seen.insert(key) {
            let message = format!("Error due to duplicate config keys: {key}");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        keys.push(key);
        let operation = Operation::from_code(config.config_operation).ok_or_else(|| {
            let message = format!("Unknown operation type {}.", config.config_operation);
            ApiError::new(ErrorCode::InvalidRequest, message)
        })?;
        if operation == Operation::Delete {
            after.remove(key);
            continue;
        }
        let value = config.value.as_deref().ok_or_else(|| {
            let message = format!("Null value not supported for : {key}");
            ApiError::new(ErrorCode::InvalidRequest, message)
        })?;
        let value = match operation {
            Operation::Set | Operation::Delete => value.to_owned(),
            Operation::Append | Operation::Subtract => {
                changed_list(facts, kind, key, (operation, value), after.get(key))?
            }
        };
        after.insert(key.to_owned(), value);
    }
    Ok(keys)
}

/// `AlterConfigOp.OpType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl Operation {
    fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Set),
            1 => Some(Self::Delete),
            2 => Some(Self::Append),
            3 => Some(Self::Subtract),
            _ => None,
        }
    }
}

fn changed_list(
    facts: &Facts<'_>,
    kind: ConfigResourceType,
    key: &str,
    (operation, value): (Operation, &str),
    current: Option<&String>,
) -> Result<String, ApiError> {
    if !facts.rules.is_list(kind, key) {
        let verb = if operation == Operation::Append { "APPEND" } else { "SUBTRACT" };
        let message = format!("Can't {verb} to key {key} because its type is not LIST.");
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    let current = current.cloned().or_else(|| facts.rules.default_value(kind, key));
    let current = current.unwrap_or_default();
    let mut items: Vec<&str> = current.split(',').filter(|item| !item.is_empty()).collect();
    if operation == Operation::Append {
        let mut present: HashSet<&str> = items.iter().copied().collect();
        items.extend(value.split(',').filter(|item| present.insert(item)));
    } else {
        // Each mention takes one entry, as Java's `List.remove` does.
        let mut less: HashMap<&str, usize> = HashMap::new();
        for item in value.split(',') {
            *less.entry(item).or_default() += 1;
        }
        items.retain(|item| match less.get_mut(item) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        });
    }
    Ok(items.join(","))
}

fn replace<'a>(
    values: &BTreeMap<&'a str, Option<&'a str>>,
    after: &mut ConfigMap,
) -> Result<Vec<&'a str>, ApiError> {
    for (key, value) in values {
        let value = value.ok_or_else(|| {
            let message = format!("Null value not supported for : {key}");
            ApiError::new(ErrorCode::InvalidRequest, message)
        })?;
        after.insert((*key).to_owned(), value.to_owned());
    }
    Ok(values.keys().copied().collect())
}
