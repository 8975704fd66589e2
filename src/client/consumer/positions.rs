//! What a consumer is assigned, and how far it is in each partition. Pure.

use std::collections::HashMap;
use std::collections::{BTreeMap, BTreeSet};

use pharos_base::{Offset, TopicPartition};
use tokio::time::Instant;

use super::coordinator::Committed;

/// How far one partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The next record to hand out; None until it is known.
    pub position: Option<Offset>,
    /// Epoch of the last record that was handed out; None when the position was set by hand.
    pub epoch: Option<i32>,
    /// Ignore the committed offset and start by auto.offset.reset.
    pub reset: bool,
    /// Not fetched while set.
    pub paused: bool,
    /// Not fetched before this time, after an error.
    pub not_before: Option<Instant>,
    /// End of the log as the last fetch saw it.
    pub high_watermark: Option<Offset>,
    /// What was last committed from here.
    pub committed: Option<Offset>,
}

/// The assignment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    partitions: BTreeMap<TopicPartition, Progress>,
}

impl Positions {
    /// Replaces the assignment; partitions that stay keep their position.
    pub fn assign(&mut self, partitions: &BTreeSet<TopicPartition>) {
        self.partitions.retain(|partition, _| partitions.contains(partition));
        for partition in partitions {
            self.partitions.entry(partition.clone()).or_default();
        }
    }

    pub fn assigned(&self) -> BTreeSet<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    pub fn get(&self, partition: &TopicPartition) -> Option<&Progress> {
        self.partitions.get(partition)
    }

    pub fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut Progress> {
        self.partitions.get_mut(partition)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Progress)> {
        self.partitions.iter()
    }

    /// Moves to an offset.
    pub fn seek(&mut self, partition: &TopicPartition, to: Offset) {
        if let Some(progress) = self.partitions.get_mut(partition) {
            progress.position = Some(to);
            progress.epoch = None;
            progress.reset = false;
        }
    }

    /// Moves behind records whose last one has this epoch; an epoch of none leaves it as it is.
    pub fn advance(&mut self, partition: &TopicPartition, to: Offset, epoch: Option<i32>) {
        if let Some(progress) = self.partitions.get_mut(partition) {
            progress.position = Some(to);
            progress.epoch = epoch.or(progress.epoch);
            progress.reset = false;
        }
    }

    /// Forgets the position: auto.offset.reset decides anew.
    pub fn reset(&mut self, partition: &TopicPartition) {
        if let Some(progress) = self.partitions.get_mut(partition) {
            progress.position = None;
            progress.reset = true;
        }
    }

    /// Partitions without a position; those that want the committed offset first.
    pub fn without_position(&self) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
        let missing = self.partitions.iter().filter(|(_, progress)| progress.position.is_none());
        let (reset, committed): (Vec<_>, Vec<_>) = missing.partition(|(_, p)| p.reset);
        let names = |list: Vec<(&TopicPartition, &Progress)>| {
            list.into_iter().map(|(partition, _)| partition.clone()).collect()
        };
        (names(committed), names(reset))
    }

    /// Positions that are ahead of what was committed, of all partitions or some.
    pub fn to_commit(
        &self,
        only: Option<&BTreeSet<TopicPartition>>,
    ) -> HashMap<TopicPartition, Committed> {
        let wanted = |partition: &TopicPartition| only.is_none_or(|only| only.contains(partition));
        self.partitions
            .iter()
            .filter(|(partition, progress)| {
                wanted(partition) && progress.position != progress.committed
            })
            .filter_map(|(partition, progress)| {
                let mut position = Committed::at(progress.position?);
                position.leader_epoch = progress.epoch.unwrap_or(position.leader_epoch);
                Some((partition.clone(), position))
            })
            .collect()
    }
}
