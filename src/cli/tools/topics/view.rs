//! How a topic is described: one line for itself, one for each partition.

use std::collections::BTreeSet;

use pharos_base::{BrokerId, TopicId};
use pharos_client::admin::{ConfigEntry, ConfigSource, PartitionDescription, TopicDescription};
use pharos_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;

use crate::common::join_ids;

/// Which lines of a description are shown.
pub struct View {
    /// Partitions of any of them; all partitions without one.
    pub reports: Vec<&'static str>,
    /// Only topics with a configuration of their own, without partitions.
    pub overrides_only: bool,
    /// Brokers that are there.
    pub live: BTreeSet<BrokerId>,
}

impl View {
    /// The lines of one topic.
    pub fn lines<'a>(
        &self,
        topic: &TopicDescription,
        configs: &[ConfigEntry],
        moves: impl Fn(&PartitionDescription) -> Option<&'a OngoingPartitionReassignment>,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let own: Vec<String> = configs
            .iter()
            .filter(|entry| entry.source != ConfigSource::DEFAULT)
            .map(|entry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or("null")))
            .collect();
        let first = topic.partitions.first();
        if self.reports.is_empty() && (!self.overrides_only || !own.is_empty()) {
            let factor = first.map_or(0, |first| replication_factor(first, moves(first)));
            lines.push(header(topic, factor, &own));
        }
        if self.overrides_only {
            return lines;
        }
        let min_isr = configs
            .iter()
            .find(|entry| entry.name == "min.insync.replicas")
            .and_then(|entry| entry.value.as_ref()?.parse().ok())
            .unwrap_or(1);
        for partition in &topic.partitions {
            if self.shows(partition, min_isr, moves(partition)) {
                lines.push(partition_line(&topic.name, partition, moves(partition)));
            }
        }
        lines
    }

    fn shows(
        &self,
        partition: &PartitionDescription,
        min_isr: usize,
        moving: Option<&OngoingPartitionReassignment>,
    ) -> bool {
        let in_sync = partition.isr.len();
        let fits = |report: &str| match report {
            "under-replicated-partitions" => replication_factor(partition, moving) > in_sync,
            "unavailable-partitions" => {
                partition.leader.is_none_or(|leader| !self.live.contains(&leader))
            }
            "under-min-isr-partitions" => partition.leader.is_none() || in_sync < min_isr,
            _ => in_sync == min_isr,
        };
        self.reports.is_empty() || self.reports.iter().any(|report| fits(report))
    }
}

/// Replicas that the partition is to have, whatever is on the move.
fn replication_factor(
    partition: &PartitionDescription,
    moving: Option<&OngoingPartitionReassignment>,
) -> usize {
    match moving {
        Some(moving)
            if partition.replicas.iter().any(|replica| {
                moving.adding_replicas.contains(&replica.0)
                    || moving.removing_replicas.contains(&replica.0)
            }) =>
        {
            moving.replicas.len().saturating_sub(moving.adding_replicas.len())
        }
        _ => partition.replicas.len(),
    }
}

fn header(topic: &TopicDescription, replication_factor: usize, own: &[String]) -> String {
    let id = match topic.id {
        TopicId::ZERO => String::new(),
        id => format!("\tTopicId: {id}"),
    };
    format!(
        "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {replication_factor}\tConfigs: {}",
        topic.name,
        topic.partitions.len(),
        own.join(",")
    )
}

fn partition_line(
    topic: &str,
    partition: &PartitionDescription,
    moving: Option<&OngoingPartitionReassignment>,
) -> String {
    let leader = partition.leader.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let moves = moving.map_or_else(String::new, |moving| {
        let ids = |list: &[i32]| join_ids(&list.iter().copied().map(BrokerId).collect::<Vec<_>>());
        format!(
            "\tAdding Replicas: {}\tRemoving Replicas: {}",
            ids(&moving.adding_replicas),
            ids(&moving.removing_replicas)
        )
    });
    let known = |ids: &Option<Vec<BrokerId>>| {
        ids.as_ref().map_or_else(|| "N/A".to_owned(), |ids| join_ids(ids))
    };
    format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{moves}\tElr: \
         {}\tLastKnownElr: {}",
        partition.partition,
        join_ids(&partition.replicas),
        join_ids(&partition.isr),
        known(&partition.elr),
        known(&partition.last_known_elr)
    )
}
