//! One file per API. A handler takes what it needs of the broker, a decoded request and gives the
//! response; framing, encoding and counting are dispatch's.

pub mod api_versions;
pub mod delete_records;
pub mod describe_acls;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod fetch;
pub mod find_coordinator;
pub mod groups;
pub mod init_producer_id;
pub mod list_config_resources;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod telemetry;
pub mod topics;
pub mod transactions;
