//! What the cluster knows of itself: metadata records, the image they build, the quorum that orders
//! them, and the controller that decides them (placement, elections, registrations, features).
//!
//! It refuses partition data, sockets and configuration files: limits and defaults come in as
//! [`ControllerSettings`], Kafka's messages go in and out as the generated structs.

mod bootstrap;
mod controller;
mod decide;
mod election;
mod format;
pub mod image;
mod lease;
mod metrics;
pub mod placement;
mod publish;
mod quorum;
pub mod record;

pub use controller::{Controller, ControllerError, ControllerOptions, OnRegistered};
pub use decide::topic_name::{CLUSTER_METADATA_TOPIC, reason_invalid as topic_name_error};
pub use decide::{
    ApiError, ConfigRules, ControllerSettings, DIRECTORY_LOST, DIRECTORY_UNASSIGNED,
    MAX_RECORDS_PER_REQUEST, PartitionQuota, supported_features,
};
pub use format::{FormatError, FormatOptions, FormattedDirectories, open_directories};
pub use publish::{ImagePublisher, Subscriber};
pub use quorum::{METADATA_DIRECTORY, QuorumError, stored_image};
