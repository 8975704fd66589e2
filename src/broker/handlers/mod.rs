//! One file per API. A handler is given the two or three services that it uses, the context of the
//! request and its body, and gives the answer; framing, the table of versions and counting are
//! dispatch's.

pub mod alter_client_quotas;
pub mod alter_configs;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod elect_leaders;
pub mod fetch;
pub mod find_coordinator;
pub mod get_telemetry_subscriptions;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod push_telemetry;
pub mod sync_group;
pub mod unregister_broker;
pub mod update_features;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::apis::SERVED;

    /// `DescribeQuorum` is in `describe_quorum.rs`.
    fn file_of(name: &str) -> String {
        let mut file = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !file.is_empty() {
                file.push('_');
            }
            file.extend(letter.to_lowercase());
        }
        file + ".rs"
    }

    #[test]
    fn every_file_opens_with_the_versions_that_are_served() {
        for row in SERVED {
            let name = row.key.name();
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("handlers").join(file_of(name));
            let text = std::fs::read_to_string(&path).unwrap();
            let (first, last) = (row.versions.start(), row.versions.end());
            let versions = if first == last {
                format!("version {first}")
            } else {
                format!("versions {first}–{last}")
            };
            let head = format!("//! {name}, {versions}");
            assert!(text.starts_with(&head), "{} does not open with {head:?}", path.display());
        }
    }
}
