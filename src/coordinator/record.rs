//! The records of `__consumer_offsets`, one variant per kind of key.
//!
//! It owns which kinds exist and which version of each value is written; bytes are made in
//! [`crate::codec`]. Keys of share and streams groups are known to be skipped.

use std::sync::Arc;

use crate::wire::{
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataValue,
    GroupMetadataValue, OffsetCommitValue,
};

/// One record. A `value` of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A committed offset (`OffsetCommit`, key ids 0 and 1).
    Offset {
        /// Group that committed.
        group: Arc<str>,
        /// Name of the topic.
        topic: Arc<str>,
        /// Partition of the topic.
        partition: i32,
        /// The commit.
        value: Option<OffsetCommitValue>,
    },
    /// A generation of a classic group (`GroupMetadata`, key id 2).
    Classic {
        /// The group.
        group: Arc<str>,
        /// Its members and their assignments.
        value: Option<GroupMetadataValue>,
    },
    /// Epoch of a consumer group (`ConsumerGroupMetadata`, key id 3).
    Consumer {
        /// The group.
        group: Arc<str>,
        /// Its epoch.
        value: Option<ConsumerGroupMetadataValue>,
    },
    /// Topic facts of a consumer group as Kafka before 4.1 stored them
    /// (`ConsumerGroupPartitionMetadata`, key id 4). Read, never written but as a tombstone.
    ConsumerTopics {
        /// The group.
        group: Arc<str>,
        /// Whether it is a tombstone.
        deleted: bool,
    },
    /// A member of a consumer group (`ConsumerGroupMemberMetadata`, key id 5).
    ConsumerMember {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
        /// What it subscribes to and who it is.
        value: Option<ConsumerGroupMemberMetadataValue>,
    },
    /// Epoch of a target assignment (`ConsumerGroupTargetAssignmentMetadata`, key id 6).
    ConsumerTargetEpoch {
        /// The group.
        group: Arc<str>,
        /// The epoch.
        value: Option<ConsumerGroupTargetAssignmentMetadataValue>,
    },
    /// What a member shall own (`ConsumerGroupTargetAssignmentMember`, key id 7).
    ConsumerTarget {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
        /// The partitions.
        value: Option<ConsumerGroupTargetAssignmentMemberValue>,
    },
    /// What a member owns now (`ConsumerGroupCurrentMemberAssignment`, key id 8).
    ConsumerCurrent {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
        /// Its epoch and partitions.
        value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
    },
    /// Topics that a regular expression matched (`ConsumerGroupRegularExpression`, key id 16).
    ConsumerRegex {
        /// The group.
        group: Arc<str>,
        /// The expression.
        regex: Arc<str>,
        /// The topics.
        value: Option<ConsumerGroupRegularExpressionValue>,
    },
}

/// Leaves as many records as surely fit into one batch of `__consumer_offsets` (1 MiB unless
/// configured); whether any had to go.
pub(crate) fn cut_to_batch(records: &mut Vec<Record>) -> bool {
    let mut bytes = 0;
    let fits = |record: &Record| {
        bytes += record.key_len() + RECORD_OVERHEAD_BYTES;
        bytes <= MAX_TOMBSTONE_BATCH_BYTES
    };
    // One always goes: a key alone cannot be longer than two strings.
    let count = records.iter().map(fits).take_while(|fits| *fits).count().max(1);
    let cut = count < records.len();
    records.truncate(count);
    cut
}

/// Bytes of one batch of tombstones.
const MAX_TOMBSTONE_BATCH_BYTES: usize = 512 * 1024;

/// What a record takes beside the strings of its key, at most.
const RECORD_OVERHEAD_BYTES: usize = 48;

impl Record {
    /// Bytes of the strings of the key.
    fn key_len(&self) -> usize {
        let second = match self {
            Self::Offset { topic, .. } => topic.len(),
            Self::ConsumerMember { member, .. }
            | Self::ConsumerTarget { member, .. }
            | Self::ConsumerCurrent { member, .. } => member.len(),
            Self::ConsumerRegex { regex, .. } => regex.len(),
            Self::Classic { .. }
            | Self::Consumer { .. }
            | Self::ConsumerTopics { .. }
            | Self::ConsumerTargetEpoch { .. } => 0,
        };
        self.group().len() + second
    }

    /// The group that the record is about.
    pub fn group(&self) -> &Arc<str> {
        match self {
            Self::Offset { group, .. }
            | Self::Classic { group, .. }
            | Self::Consumer { group, .. }
            | Self::ConsumerTopics { group, .. }
            | Self::ConsumerMember { group, .. }
            | Self::ConsumerTargetEpoch { group, .. }
            | Self::ConsumerTarget { group, .. }
            | Self::ConsumerCurrent { group, .. }
            | Self::ConsumerRegex { group, .. } => group,
        }
    }
}
