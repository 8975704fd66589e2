//! A group as its coordinator sees it at one moment: what lag is told.

use std::sync::Arc;

use pharos_base::{Offset, PartitionId};
use pharos_coordinator::{GroupView, Shard};

/// A group and its committed offsets. Taken while the shard is locked, looked at afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// Members, state, generation.
    pub group: GroupView,
    /// By topic and partition.
    pub offsets: Vec<CommittedOffset>,
}

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Index of the partition.
    pub partition: PartitionId,
    /// The next offset that the group will read.
    pub offset: Offset,
    /// When it was committed, in ms since 1970.
    pub committed_ms: i64,
}

impl GroupSnapshot {
    /// The group `id` of a shard; `None` when it has none of that id.
    pub fn of(shard: &Shard, id: &str) -> Option<Self> {
        shard.group(id).map(|group| Self::with(shard, group))
    }

    /// All groups of a shard.
    pub fn all(shard: &Shard) -> impl Iterator<Item = Self> {
        shard.groups().map(|group| Self::with(shard, group))
    }

    fn with(shard: &Shard, group: GroupView) -> Self {
        let committed =
            shard.committed(&group.id).map(|(topic, partition, commit)| CommittedOffset {
                topic: topic.clone(),
                partition: PartitionId(partition),
                offset: Offset(commit.offset),
                committed_ms: commit.commit_timestamp_ms,
            });
        Self { offsets: committed.collect(), group }
    }
}
