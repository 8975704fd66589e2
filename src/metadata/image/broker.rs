//! Registrations: what a broker or a controller said of itself when it joined.

use pharos_base::{BrokerId, TopicId};

use pharos_protocol::messages::controller_registration_request::{Feature, Listener};
use pharos_protocol::messages::register_broker_record::{BrokerEndpoint, BrokerFeature};
use pharos_protocol::messages::register_controller_record::{
    ControllerEndpoint, ControllerFeature,
};
use pharos_protocol::messages::{
    ControllerRegistrationRequest, RegisterBrokerRecord, RegisterControllerRecord,
};

/// An address that a node advertises on one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the listener.
    pub name: String,
    /// Host that clients are to connect to.
    pub host: String,
    /// Port that clients are to connect to.
    pub port: u16,
    /// Number of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// Levels of a feature that a node can work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// Name of the feature.
    pub name: String,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// What a registered broker may do, with Kafka's numbers of the bean BrokerRegistrationState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum RegistrationState {
    /// It takes no part.
    Fenced = 10,
    /// It is handing over its leaderships.
    ControlledShutdown = 20,
    /// It leads and follows.
    Active = 30,
}

/// A broker as the metadata log knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// Its `node.id`.
    pub id: BrokerId,
    /// Fences older lives of the same broker: the offset at which this registration was decided.
    pub epoch: i64,
    /// Chosen anew by each process.
    pub incarnation_id: TopicId,
    /// Where it can be reached.
    pub endpoints: Vec<Endpoint>,
    /// Features that it can work with.
    pub features: Vec<VersionRange>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether it is kept out of leaderships and in-sync sets.
    pub fenced: bool,
    /// Whether it is handing over before it stops.
    pub in_controlled_shutdown: bool,
    /// Ids of its log directories that work.
    pub log_dirs: Vec<TopicId>,
    /// Ids of its log directories that get no new replicas (KIP-1066); `None` until it has said so.
    pub cordoned_log_dirs: Option<Vec<TopicId>>,
}

impl BrokerRegistration {
    /// Whether a directory takes new replicas, as far as it has said (`hasUncordonedDirs`).
    pub fn takes_replicas(&self) -> bool {
        let Some(cordoned) = &self.cordoned_log_dirs else { return true };
        self.log_dirs.is_empty() || self.log_dirs.iter().any(|dir| !cordoned.contains(dir))
    }

    /// What it may do.
    pub fn state(&self) -> RegistrationState {
        if self.fenced {
            RegistrationState::Fenced
        } else if self.in_controlled_shutdown {
            RegistrationState::ControlledShutdown
        } else {
            RegistrationState::Active
        }
    }

    /// Whether it may lead partitions.
    pub fn is_active(&self) -> bool {
        self.state() == RegistrationState::Active
    }

    /// Its address on a listener.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.name == listener)
    }

    /// The range of a feature; `None` when it does not know the feature.
    pub fn feature(&self, name: &str) -> Option<&VersionRange> {
        self.features.iter().find(|range| range.name == name)
    }

    /// The record that makes this registration.
    pub fn to_record(&self) -> RegisterBrokerRecord {
        RegisterBrokerRecord {
            broker_id: self.id.0,
            is_migrating_zk_broker: false,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            end_points: self.endpoints.iter().map(Endpoint::to_broker).collect(),
            features: self.features.iter().map(VersionRange::to_broker).collect(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs.clone(),
            cordoned_log_dirs: self.cordoned_log_dirs.clone(),
        }
    }
}

impl From<&RegisterBrokerRecord> for BrokerRegistration {
    fn from(record: &RegisterBrokerRecord) -> Self {
        Self {
            id: BrokerId(record.broker_id),
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record
                .end_points
                .iter()
                .map(|end| Endpoint {
                    name: end.name.clone(),
                    host: end.host.clone(),
                    port: end.port,
                    security_protocol: end.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|feature| VersionRange {
                    name: feature.name.clone(),
                    min: feature.min_supported_version,
                    max: feature.max_supported_version,
                })
                .collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: record.log_dirs.clone(),
            cordoned_log_dirs: record.cordoned_log_dirs.clone(),
        }
    }
}

/// A controller as the metadata log knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerRegistration {
    /// Its `node.id`.
    pub id: BrokerId,
    /// Chosen anew by each process.
    pub incarnation_id: TopicId,
    /// Where it can be reached.
    pub endpoints: Vec<Endpoint>,
    /// Features that it can work with.
    pub features: Vec<VersionRange>,
}

impl ControllerRegistration {
    /// The record that makes this registration.
    pub fn to_record(&self) -> RegisterControllerRecord {
        RegisterControllerRecord {
            controller_id: self.id.0,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: false,
            end_points: self.endpoints.iter().map(Endpoint::to_controller).collect(),
            features: self.features.iter().map(VersionRange::to_controller).collect(),
        }
    }
}

impl ControllerRegistration {
    /// The request by which a controller makes itself known.
    pub fn to_request(&self) -> ControllerRegistrationRequest {
        let listeners = self.endpoints.iter().map(|endpoint| Listener {
            name: endpoint.name.clone(),
            host: endpoint.host.clone(),
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        });
        let features = self.features.iter().map(|feature| Feature {
            name: feature.name.clone(),
            min_supported_version: feature.min,
            max_supported_version: feature.max,
        });
        ControllerRegistrationRequest {
            controller_id: self.id.0,
            incarnation_id: self.incarnation_id,
            zk_migration_ready: false,
            listeners: listeners.collect(),
            features: features.collect(),
        }
    }
}

impl From<&RegisterControllerRecord> for ControllerRegistration {
    fn from(record: &RegisterControllerRecord) -> Self {
        Self {
            id: BrokerId(record.controller_id),
            incarnation_id: record.incarnation_id,
            endpoints: record
                .end_points
                .iter()
                .map(|end| Endpoint {
                    name: end.name.clone(),
                    host: end.host.clone(),
                    port: end.port,
                    security_protocol: end.security_protocol,
                })
                .collect(),
            features: record
                .features
                .iter()
                .map(|feature| VersionRange {
                    name: feature.name.clone(),
                    min: feature.min_supported_version,
                    max: feature.max_supported_version,
                })
                .collect(),
        }
    }
}

impl Endpoint {
    fn to_broker(&self) -> BrokerEndpoint {
        BrokerEndpoint {
            name: self.name.clone(),
            host: self.host.clone(),
            port: self.port,
            security_protocol: self.security_protocol,
        }
    }

    fn to_controller(&self) -> ControllerEndpoint {
        ControllerEndpoint {
            name: self.name.clone(),
            host: self.host.clone(),
            port: self.port,
            security_protocol: self.security_protocol,
        }
    }
}

impl VersionRange {
    /// The levels from `min` to `max` of the feature `name`.
    pub fn new(name: &str, min: i16, max: i16) -> Self {
        Self { name: name.to_owned(), min, max }
    }

    fn to_broker(&self) -> BrokerFeature {
        BrokerFeature {
            name: self.name.clone(),
            min_supported_version: self.min,
            max_supported_version: self.max,
        }
    }

    fn to_controller(&self) -> ControllerFeature {
        ControllerFeature {
            name: self.name.clone(),
            min_supported_version: self.min,
            max_supported_version: self.max,
        }
    }
}
