//! The broker: wires storage, network, metadata, replication and groups together and answers each
//! API of the Kafka protocol. One file per API in `handlers/`; what is decided elsewhere stays
//! there.

mod apis;
mod authorizer;
mod auto_topics;
mod beans;
mod client_telemetry;
mod config_page;
mod config_rules;
mod context;
mod delayed_metrics;
mod directories;
mod dispatch;
mod errors;
mod events_page;
mod features;
mod fetch_session;
mod forward;
mod group_requests;
mod groups;
mod handlers;
mod hot_keys;
mod insight;
mod leaders;
mod lifecycle;
mod live_config;
mod members_page;
mod node;
mod partition_results;
mod producer_ids;
mod quotas;
mod reload;
mod request_metrics;
mod request_series;
mod security_files;
mod services;
mod settings;
mod slow_requests;
mod standings_page;
mod topic_metrics;
mod topics;
mod traces;
#[cfg(test)]
mod truth;
mod view;

pub use apis::{SERVED, ServedApi};
pub use lifecycle::LifecycleError;
pub use node::{AddPages, Node, NodeOptions, NodeParts, ServedListener, StartError};
