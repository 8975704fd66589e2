//! Topics and partitions as the metadata log knows them.

use std::sync::Arc;

use imbl::OrdMap;
use pharos_base::{BrokerId, LeaderEpoch, PartitionId, TopicId};

use pharos_protocol::messages::PartitionRecord;

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, never used again.
    pub id: TopicId,
    pub(crate) partitions: OrdMap<PartitionId, Arc<PartitionRegistration>>,
}

impl TopicImage {
    /// A topic without partitions.
    pub fn new(name: impl Into<Arc<str>>, id: TopicId) -> Self {
        Self { name: name.into(), id, partitions: OrdMap::new() }
    }

    /// One partition.
    pub fn partition(&self, id: PartitionId) -> Option<&Arc<PartitionRegistration>> {
        self.partitions.get(&id)
    }

    /// All partitions by index.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &Arc<PartitionRegistration>)> {
        self.partitions.iter().map(|(id, partition)| (*id, partition))
    }

    /// Partitions from index `from` on: how a paged listing goes on.
    pub fn partitions_from(
        &self,
        from: PartitionId,
    ) -> impl Iterator<Item = (PartitionId, &Arc<PartitionRegistration>)> {
        self.partitions.range(from..).map(|(id, partition)| (*id, partition))
    }

    /// Number of partitions.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }

    /// Replicas of the first partition: what the topic's replication factor is taken to be.
    pub fn replication_factor(&self) -> usize {
        self.partitions.values().next().map_or(0, |partition| partition.replicas.len())
    }
}

/// Whether a leader may have lost records when it was elected
/// (`org.apache.kafka.metadata.LeaderRecoveryState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i8)]
pub enum RecoveryState {
    /// Elected from the in-sync replicas.
    #[default]
    Recovered = 0,
    /// Elected outside of them and not yet past that.
    Recovering = 1,
}

impl RecoveryState {
    /// The state with this number.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }
}

/// A partition: who holds it, who leads it, and the two epochs that fence stale requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRegistration {
    /// Brokers that hold it; the first is the preferred leader.
    pub replicas: Vec<BrokerId>,
    /// Log directory of each replica, in the order of `replicas`.
    pub directories: Vec<TopicId>,
    /// Replicas that are in sync.
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment takes away.
    pub removing_replicas: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding_replicas: Vec<BrokerId>,
    /// The leader; [`BrokerId::NONE`] when there is none.
    pub leader: BrokerId,
    /// Grows with each election.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change of the partition.
    pub partition_epoch: i32,
    /// Whether the leader was elected outside the in-sync replicas.
    pub leader_recovery_state: RecoveryState,
}

impl PartitionRegistration {
    /// Whether it has a leader.
    pub fn has_leader(&self) -> bool {
        self.leader != BrokerId::NONE
    }

    /// The first replica: who should lead.
    pub fn preferred_leader(&self) -> BrokerId {
        self.replicas.first().copied().unwrap_or(BrokerId::NONE)
    }

    /// Whether the preferred leader leads.
    pub fn has_preferred_leader(&self) -> bool {
        self.leader == self.preferred_leader()
    }

    /// Whether a reassignment goes on.
    pub fn is_reassigning(&self) -> bool {
        !self.adding_replicas.is_empty() || !self.removing_replicas.is_empty()
    }

    /// The log directory in which `broker` holds its replica.
    pub fn directory_of(&self, broker: BrokerId) -> Option<TopicId> {
        let index = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories.get(index).copied()
    }

    /// The record that makes this partition.
    pub fn to_record(&self, topic_id: TopicId, partition: PartitionId) -> PartitionRecord {
        PartitionRecord {
            partition_id: partition.0,
            topic_id,
            replicas: to_ids(&self.replicas),
            isr: to_ids(&self.isr),
            removing_replicas: to_ids(&self.removing_replicas),
            adding_replicas: to_ids(&self.adding_replicas),
            leader: self.leader.0,
            leader_recovery_state: self.leader_recovery_state as i8,
            leader_epoch: self.leader_epoch.0,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            ..PartitionRecord::default()
        }
    }
}

/// Plain numbers, as messages carry them.
pub(crate) fn to_ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

/// Newtypes from a message's plain numbers.
pub(crate) fn from_ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}
