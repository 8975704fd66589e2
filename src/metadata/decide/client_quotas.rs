//! AlterClientQuotas (API 49): limits of users, client ids and addresses
//! (`ClientQuotaControlManager`).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ApiError, Decision, Facts, Room, outcome};
use crate::image::{CLIENT_ID, IP, QuotaEntity, QuotaName, USER, quota_record};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::alter_client_quotas_request::{self, OpData};
use pharos_protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use pharos_protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

/// Largest part of a whole number that is taken for an error of rounding.
const MAX_FRACTION: f64 = 1e-6;

/// What the value of a key may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Long,
    Double,
}

/// Keys of users and client ids (`QuotaConfig.userAndClientQuotaConfigs`).
const USER_KEYS: [(&str, Kind); 4] = [
    ("producer_byte_rate", Kind::Long),
    ("consumer_byte_rate", Kind::Long),
    ("request_percentage", Kind::Double),
    ("controller_mutation_rate", Kind::Double),
];

/// Keys of addresses (`QuotaConfig.ipConfigs`).
const IP_KEYS: [(&str, Kind); 1] = [("connection_creation_rate", Kind::Int)];

/// An entity as it was named, its types unchecked. Of a type that comes twice the last counts.
type Named<'a> = BTreeMap<&'a str, Option<&'a str>>;

/// Decides a whole request. `unknown_hosts` are the names among its addresses that are neither an
/// address nor have one: looking them up is no part of a decision.
pub(crate) fn decide(
    facts: &Facts<'_>,
    request: &AlterClientQuotasRequest,
    unknown_hosts: &HashSet<String>,
) -> Decision<AlterClientQuotasResponse> {
    let (mut records, mut room) = (Vec::new(), Room::default());
    let mut results: Vec<(Named<'_>, Result<(), ApiError>)> = Vec::new();
    let mut places: HashMap<Named<'_>, usize> = HashMap::new();
    for entry in &request.entries {
        let named: Named<'_> = entry
            .entity
            .iter()
            .map(|part| (&*part.entity_type, part.entity_name.as_deref()))
            .collect();
        let before = places.get(&named).copied();
        let result = if before.is_some() || has_duplicates(&entry.ops) {
            // What the entity's first entry decided stands all the same, as in Kafka.
            let message = format!("Ignoring duplicate entity {}", shown(&named));
            Err(ApiError::new(ErrorCode::InvalidRequest, message))
        } else {
            let altered = alter(facts, &named, &entry.ops, unknown_hosts);
            if altered.as_ref().is_ok_and(|new| room.take(new).is_err()) {
                return Decision::only(too_large(&request.entries));
            }
            altered.map(|new| records.extend(new))
        };
        match before.and_then(|at| results.get_mut(at)) {
            Some(slot) => slot.1 = result,
            None => {
                places.insert(named.clone(), results.len());
                results.push((named, result));
            }
        }
    }
    if request.validate_only {
        records.clear();
    }
    let entries = results.into_iter().map(|(named, result)| {
        let (error_code, error_message) = outcome(result);
        let entity = named.into_iter().map(|(kind, name)| answered(kind, name)).collect();
        EntryData { error_code, error_message, entity }
    });
    let response = AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() };
    Decision { records, response }
}

fn answered(kind: &str, name: Option<&str>) -> EntityData {
    EntityData { entity_type: kind.to_owned(), entity_name: name.map(str::to_owned) }
}

/// The answer to a request that would make too many records: the whole of it fails.
fn too_large(entries: &[alter_client_quotas_request::EntryData]) -> AlterClientQuotasResponse {
    let code = ErrorCode::PolicyViolation;
    let entries = entries.iter().map(|entry| EntryData {
        error_code: code.code(),
        error_message: Some(code.message().to_owned()),
        entity: entry
            .entity
            .iter()
            .map(|part| answered(&part.entity_type, part.entity_name.as_deref()))
            .collect(),
    });
    AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() }
}

fn has_duplicates(ops: &[OpData]) -> bool {
    let mut seen = HashSet::with_capacity(ops.len());
    !ops.iter().all(|op| seen.insert(&op.key))
}

/// An entity in Java's words.
fn shown(named: &Named<'_>) -> String {
    let parts = named.iter().map(|(kind, name)| format!("{kind}={}", name.unwrap_or("null")));
    format!("ClientQuotaEntity(entries={{{}}})", parts.collect::<Vec<_>>().join(", "))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

fn alter(
    facts: &Facts<'_>,
    named: &Named<'_>,
    ops: &[OpData],
    unknown_hosts: &HashSet<String>,
) -> Result<Vec<MetadataRecord>, ApiError> {
    if named.is_empty() {
        return Err(invalid("Invalid empty client quota entity"));
    }
    for (kind, name) in named {
        if ![USER, CLIENT_ID, IP].contains(kind) {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if *name == Some("") {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
    }
    let entity = QuotaEntity::from_parts(named.iter().map(|(kind, name)| (*kind, *name)))
        .map_err(|kind| invalid(format!("Unhandled client quota entity type: {kind}")))?;
    let keys = keys_of(&entity, unknown_hosts)?;
    let before = facts.image.quota(&entity);
    let mut records = Vec::new();
    for op in ops {
        let current = before.and_then(|limits| limits.get(&*op.key)).copied();
        if op.remove {
            if current.is_some() {
                records.push(quota_record(&entity, &op.key, None));
            }
            continue;
        }
        check_value(keys, &op.key, op.value)?;
        // By bits, as Java compares: a NaN stays what it is.
        if current.map(f64::to_bits) != Some(op.value.to_bits()) {
            records.push(quota_record(&entity, &op.key, Some(op.value)));
        }
    }
    Ok(records)
}

/// The keys that an entity may have; only some parts go together.
fn keys_of(
    entity: &QuotaEntity,
    unknown_hosts: &HashSet<String>,
) -> Result<&'static [(&'static str, Kind)], ApiError> {
    match &entity.ip {
        None => Ok(&USER_KEYS),
        Some(_) if entity.user.is_some() || entity.client_id.is_some() => Err(invalid(
            "Invalid quota entity combination, IP entity should\
             not be combined with User or ClientId",
        )),
        Some(QuotaName::Named(name)) if unknown_hosts.contains(&**name) => {
            Err(invalid(format!("{name} is not a valid IP or resolvable host.")))
        }
        Some(_) => Ok(&IP_KEYS),
    }
}

fn check_value(keys: &[(&str, Kind)], key: &str, value: f64) -> Result<(), ApiError> {
    let known = keys.iter().find(|(known, _)| *known == key);
    let Some((_, kind)) = known else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    if value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    #[expect(clippy::cast_precision_loss, reason = "Java compares with the limit as a double too")]
    let (max, name) = match kind {
        Kind::Double => return Ok(()),
        Kind::Int => (f64::from(i32::MAX), "an INT"),
        Kind::Long => (i64::MAX as f64, "a LONG"),
    };
    if value > max {
        return Err(invalid(format!("Proposed value for {key} is too large for {name}.")));
    }
    if (value % 1.0).abs() > MAX_FRACTION {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}
