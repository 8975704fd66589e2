//! Brokers come, go and stay: BrokerRegistration (API 62), BrokerHeartbeat (63), UnregisterBroker
//! (64), and fencing when a lease ends. When each broker was last heard is kept by [`crate::lease`].

use std::collections::BTreeSet;

use pharos_base::{BrokerId, TopicId};

use super::{ApiError, Decision, Facts, is_reserved_directory};
use crate::image::{
    BrokerRegistration, Endpoint, METADATA_VERSION, MetadataImage, RegistrationState, VersionRange,
};
use crate::record::MetadataRecord;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::broker_registration_request::Feature;
use pharos_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationChangeRecord,
    BrokerRegistrationRequest, BrokerRegistrationResponse, UnregisterBrokerRecord,
    UnregisterBrokerResponse,
};

/// The metadata version that knows cordoned directories (IBP_4_3_IV0).
const CORDONING: i16 = 30;

/// Refuses a broker that is not registered, or whose registration is another life's.
pub(crate) fn check_epoch(
    image: &MetadataImage,
    broker: BrokerId,
    epoch: i64,
) -> Result<(), ErrorCode> {
    match image.broker(broker) {
        None => Err(ErrorCode::StaleBrokerEpoch),
        Some(registration) if registration.epoch != epoch => Err(ErrorCode::StaleBrokerEpoch),
        Some(_) => Ok(()),
    }
}

/// Decides a registration. `lease_holds` says that the broker of that id was heard of within its
/// session time-out by this very controller.
pub(crate) fn register(
    facts: &Facts<'_>,
    request: &BrokerRegistrationRequest,
    lease_holds: bool,
) -> Decision<BrokerRegistrationResponse> {
    match try_register(facts, request, lease_holds) {
        Ok(decision) => decision,
        Err(error) => {
            tracing::warn!(
                broker = request.broker_id,
                code = ?error.code,
                "refused the registration of a broker: {}",
                error.message.as_deref().unwrap_or("no further reason"),
            );
            Decision::only(BrokerRegistrationResponse {
                error_code: error.code.code(),
                ..BrokerRegistrationResponse::default()
            })
        }
    }
}

fn try_register(
    facts: &Facts<'_>,
    request: &BrokerRegistrationRequest,
    lease_holds: bool,
) -> Result<Decision<BrokerRegistrationResponse>, ApiError> {
    check_registration(facts, request)?;
    let id = BrokerId(request.broker_id);
    let existing = facts.image.broker(id);
    let mut records = Vec::new();
    let mut registration = registration(request);
    match existing {
        Some(existing) if existing.incarnation_id == request.incarnation_id => {
            registration.epoch = existing.epoch;
            registration.fenced = existing.fenced;
            registration.in_controlled_shutdown = existing.in_controlled_shutdown;
        }
        Some(existing) if lease_holds && !existing.in_controlled_shutdown => {
            let message = "Another broker is registered with that broker id.";
            return Err(ApiError::new(ErrorCode::DuplicateBrokerRegistration, message));
        }
        _ => {
            // A new life has forgotten what the old one led: others lead, or nobody until it is
            // unfenced; either way the leader epoch grows.
            facts.rebalance_for(Some(id), None, &mut records);
            let before = i64::try_from(records.len()).unwrap_or(i64::MAX);
            registration.epoch = facts.next_offset.saturating_add(before);
        }
    }
    let epoch = registration.epoch;
    records.push(MetadataRecord::RegisterBroker(registration.to_record()));
    let response =
        BrokerRegistrationResponse { broker_epoch: epoch, ..BrokerRegistrationResponse::default() };
    Ok(Decision { records, response })
}

fn check_registration(
    facts: &Facts<'_>,
    request: &BrokerRegistrationRequest,
) -> Result<(), ApiError> {
    if request.cluster_id != facts.settings.cluster_id {
        let message = format!(
            "Expected cluster ID {}, but got cluster ID {}",
            facts.settings.cluster_id, request.cluster_id
        );
        return Err(ApiError::new(ErrorCode::InconsistentClusterId, message));
    }
    if request.is_migrating_zk_broker {
        let message = "Controller does not support registering ZK brokers.";
        return Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message));
    }
    let invalid = |reason: &str| ApiError::new(ErrorCode::InvalidRegistration, reason);
    if request.broker_id < 0 {
        return Err(invalid("The broker id is negative"));
    }
    if request.log_dirs.is_empty() {
        return Err(invalid("No directories specified in request"));
    }
    if request.log_dirs.iter().any(|id| is_reserved_directory(*id)) {
        return Err(invalid("Reserved directory ID in request"));
    }
    let distinct: BTreeSet<&TopicId> = request.log_dirs.iter().collect();
    if distinct.len() != request.log_dirs.len() {
        return Err(invalid("Duplicate directory ID in request"));
    }
    facts.image.features().try_for_each(|(name, level)| {
        let range = request.features.iter().find(|feature| feature.name == name);
        check_feature(name, level, range)
    })
}

fn check_feature(name: &str, level: i16, range: Option<&Feature>) -> Result<(), ApiError> {
    let (min, max) = match range {
        Some(range) => (range.min_supported_version, range.max_supported_version),
        None if name == METADATA_VERSION => (1, 1),
        None => (0, 0),
    };
    if (min..=max).contains(&level) {
        return Ok(());
    }
    let message = format!(
        "Unable to register because the broker does not support finalized version {level} of \
         {name}. The broker wants a version between {min} and {max}, inclusive."
    );
    Err(ApiError::new(ErrorCode::UnsupportedVersion, message))
}

fn registration(request: &BrokerRegistrationRequest) -> BrokerRegistration {
    BrokerRegistration {
        id: BrokerId(request.broker_id),
        epoch: -1,
        incarnation_id: request.incarnation_id,
        endpoints: request
            .listeners
            .iter()
            .map(|listener| Endpoint {
                name: listener.name.clone(),
                host: listener.host.clone(),
                port: listener.port,
                security_protocol: listener.security_protocol,
            })
            .collect(),
        features: request
            .features
            .iter()
            .map(|it| {
                VersionRange::new(&it.name, it.min_supported_version, it.max_supported_version)
            })
            .collect(),
        rack: request.rack.clone(),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: request.log_dirs.clone(),
        cordoned_log_dirs: None,
    }
}

/// What a broker may do next; the order of the answers in a heartbeat's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextState {
    Fenced,
    Active,
    ControlledShutdown,
    ShutdownNow,
}

/// Facts of the lease that a heartbeat's answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatFacts {
    /// Offset up to which every other active broker has applied the log; `i64::MAX` without others.
    pub lowest_active_offset: i64,
    /// Offset at which this broker's controlled shutdown was recorded; −1 when it was not.
    pub controlled_shutdown_offset: i64,
}

/// Decides a heartbeat (`BrokerHeartbeatManager.calculateNextBrokerState`).
pub(crate) fn heartbeat(
    facts: &Facts<'_>,
    request: &BrokerHeartbeatRequest,
    lease: HeartbeatFacts,
) -> (Decision<BrokerHeartbeatResponse>, Option<NextState>) {
    let id = BrokerId(request.broker_id);
    if let Err(code) = check_epoch(facts.image, id, request.broker_epoch) {
        let response = BrokerHeartbeatResponse {
            error_code: code.code(),
            ..BrokerHeartbeatResponse::default()
        };
        return (Decision::only(response), None);
    }
    let Some(broker) = facts.image.broker(id) else {
        return (Decision::only(BrokerHeartbeatResponse::default()), None);
    };
    let next = next_state(facts.image, broker, request, lease);
    let mut records = Vec::new();
    if next != current_state(broker) {
        record_transition(facts, broker, next, &mut records);
    }
    offline_directories(facts, broker, request, &mut records);
    cordoned_directories(facts, broker, request, &mut records);
    let response = BrokerHeartbeatResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::None.code(),
        is_caught_up: request.current_metadata_offset >= broker.epoch,
        is_fenced: matches!(next, NextState::Fenced | NextState::ShutdownNow),
        should_shut_down: next == NextState::ShutdownNow,
    };
    (Decision { records, response }, Some(next))
}

fn current_state(broker: &BrokerRegistration) -> NextState {
    match broker.state() {
        RegistrationState::Fenced => NextState::Fenced,
        RegistrationState::ControlledShutdown => NextState::ControlledShutdown,
        RegistrationState::Active => NextState::Active,
    }
}

fn next_state(
    image: &MetadataImage,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
    lease: HeartbeatFacts,
) -> NextState {
    let leads = || {
        image.partition_counts().total > 0
            && image.topics().any(|topic| topic.partitions().any(|(_, it)| it.leader == broker.id))
    };
    match broker.state() {
        RegistrationState::Fenced if request.want_shut_down => NextState::ShutdownNow,
        // The epoch is the offset of its registration: it must have seen itself come in.
        RegistrationState::Fenced
            if !request.want_fence && request.current_metadata_offset >= broker.epoch =>
        {
            NextState::Active
        }
        RegistrationState::Fenced => NextState::Fenced,
        RegistrationState::Active => match (request.want_fence, request.want_shut_down) {
            (true, true) => NextState::ShutdownNow,
            (true, false) => NextState::Fenced,
            (false, true) if leads() => NextState::ControlledShutdown,
            (false, true) => NextState::ShutdownNow,
            (false, false) => NextState::Active,
        },
        RegistrationState::ControlledShutdown => {
            if !leads() && lease.controlled_shutdown_offset <= lease.lowest_active_offset {
                NextState::ShutdownNow
            } else {
                NextState::ControlledShutdown
            }
        }
    }
}

fn record_transition(
    facts: &Facts<'_>,
    broker: &BrokerRegistration,
    next: NextState,
    records: &mut Vec<MetadataRecord>,
) {
    match next {
        NextState::Fenced | NextState::ShutdownNow if broker.fenced => {}
        NextState::Fenced | NextState::ShutdownNow => records.extend(fence(facts, broker)),
        NextState::Active => {
            records.push(change(broker, |record| record.fenced = -1));
            facts.rebalance_for(None, Some(broker.id), records);
        }
        NextState::ControlledShutdown => {
            records.push(change(broker, |record| record.in_controlled_shutdown = 1));
            facts.rebalance_for(Some(broker.id), None, records);
        }
    }
}

fn change(
    broker: &BrokerRegistration,
    set: impl FnOnce(&mut BrokerRegistrationChangeRecord),
) -> MetadataRecord {
    let mut record = BrokerRegistrationChangeRecord {
        broker_id: broker.id.0,
        broker_epoch: broker.epoch,
        ..BrokerRegistrationChangeRecord::default()
    };
    set(&mut record);
    MetadataRecord::BrokerRegistrationChange(record)
}

/// Takes a broker out: other replicas lead what it led, then it is fenced.
pub(crate) fn fence(facts: &Facts<'_>, broker: &BrokerRegistration) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    facts.rebalance_for(Some(broker.id), None, &mut records);
    records.push(change(broker, |record| record.fenced = 1));
    records
}

/// Replicas in a directory that broke are out of sync; the broker keeps its other directories.
fn offline_directories(
    facts: &Facts<'_>,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
    records: &mut Vec<MetadataRecord>,
) {
    let offline = &request.offline_log_dirs;
    let (broken, working): (Vec<TopicId>, Vec<TopicId>) =
        broker.log_dirs.iter().partition(|id| offline.contains(id));
    if broken.is_empty() {
        return;
    }
    for topic in facts.image.topics() {
        for (id, partition) in topic.partitions() {
            let hit = partition.isr.contains(&broker.id)
                && partition.directory_of(broker.id).is_some_and(|dir| broken.contains(&dir));
            if hit {
                let change =
                    facts.change_for(topic.id, &topic.name, id, partition, Some(broker.id));
                let record =
                    change.build(|other| other != broker.id && facts.may_lead(partition, other));
                records.extend(record.map(MetadataRecord::PartitionChange));
            }
        }
    }
    records.push(change(broker, |record| record.log_dirs = working));
}

/// Which directories get no new replicas, when that is news
/// (`ReplicationControlManager.handleDirectoriesCordoned`).
fn cordoned_directories(
    facts: &Facts<'_>,
    broker: &BrokerRegistration,
    request: &BrokerHeartbeatRequest,
    records: &mut Vec<MetadataRecord>,
) {
    let Some(told) = &request.cordoned_log_dirs else { return };
    let set = |dirs: &[TopicId]| dirs.iter().copied().collect::<BTreeSet<_>>();
    let known = broker.cordoned_log_dirs.as_deref().map(set);
    if facts.image.metadata_version() >= CORDONING && known != Some(set(told)) {
        records.push(change(broker, |record| record.cordoned_log_dirs = Some(told.clone())));
    }
}

/// Decides UnregisterBroker: the broker is forgotten.
pub(crate) fn unregister(facts: &Facts<'_>, id: BrokerId) -> Decision<UnregisterBrokerResponse> {
    let Some(broker) = facts.image.broker(id) else {
        return Decision::only(UnregisterBrokerResponse {
            error_code: ErrorCode::BrokerIdNotRegistered.code(),
            error_message: Some(format!("Broker ID {id} is not currently registered")),
            ..UnregisterBrokerResponse::default()
        });
    };
    let mut records = Vec::new();
    facts.rebalance_for(Some(id), None, &mut records);
    records.push(MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
        broker_id: id.0,
        broker_epoch: broker.epoch,
    }));
    let response =
        UnregisterBrokerResponse { error_message: None, ..UnregisterBrokerResponse::default() };
    Decision { records, response }
}
