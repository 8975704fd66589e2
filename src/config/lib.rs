//! One row per configuration key, and the files, environment and flags that feed the rows.
//!
//! A value is read by its row (`config.get(&rows::NUM_PARTITIONS)`), so that a key without a row
//! cannot be read, and a row fixes the type. Everything is checked before anything starts.

mod admin_rules;
mod alter;
mod broker;
mod check;
mod derived;
mod describe;
pub mod docs;
mod endpoints;
mod environment;
mod error;
mod group;
mod identity;
mod listener;
mod per_listener;
pub mod properties;
mod row;
pub mod rows;
mod rules;
mod sources;
mod topic;
mod up;
mod validation;
mod value;
mod warnings;

#[cfg(test)]
mod tests;

pub use alter::{Altered, Change, Operation, Refusal, Target};
pub use broker::{BrokerConfig, Overrides};
pub use check::{CLIENT_MATCH_NAMES, Check, Expected};
pub use describe::{ConfigSource, Described, Resource, Synonym};
pub use endpoints::{Advertised, Endpoints, Listener, Roles, SecurityProtocol};
pub use environment::variable_of;
pub use error::{ConfigError, Origin, Shown, Warning};
pub use group::{ClientMetricsConfig, GroupConfig};
pub use listener::{Address, Voter, parse_host_port};
pub use pharos_base::{HIDDEN, Secret};
pub use row::{Default, Effect, Importance, Key, Kind, Row, Supplier, Update};
pub use sources::{Mode, Setting, Sources};
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub use up::{UP_DEFAULTS, UpDefault};
pub use value::{Class, List, Password, Text, Typed, Value};
pub use warnings::nearest_key;
