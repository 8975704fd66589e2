//! A member of a consumer group, as its records describe it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pharos_base::TopicId;

use crate::wire::consumer_group_current_member_assignment_value::TopicPartitions;
use crate::wire::consumer_group_member_metadata_value::ClassicMemberMetadata;
use crate::wire::{ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataValue};

/// Epoch of a heartbeat that joins.
pub(crate) const JOIN_EPOCH: i32 = 0;
/// Epoch of a heartbeat that leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// Epoch of a static member that is away for a while.
pub(crate) const LEAVE_STATIC_EPOCH: i32 = -2;

/// Partitions by topic.
pub(crate) type Assignment = BTreeMap<TopicId, BTreeSet<i32>>;
/// Partitions by topic, each with the member epoch at which it was assigned (KIP-1251).
pub(crate) type Owned = BTreeMap<TopicId, BTreeMap<i32, i32>>;

/// How far a member is on its way to the target assignment (`MemberState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has all of the target of its epoch.
    #[default]
    Stable,
    /// It has to give up partitions first.
    UnrevokedPartitions,
    /// Others have not given up yet what it shall get.
    UnreleasedPartitions,
    /// A state of a newer version.
    Unknown,
}

impl MemberState {
    fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

/// A member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConsumerMember {
    pub id: Arc<str>,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub topics: BTreeSet<String>,
    /// Empty: none.
    pub regex: String,
    pub assignor: Option<String>,
    /// There if the member speaks the classic protocol.
    pub classic: Option<ClassicMemberMetadata>,
    pub epoch: i32,
    pub previous_epoch: i32,
    pub state: MemberState,
    pub assigned: Owned,
    pub revoking: Owned,
}

impl ConsumerMember {
    /// A member that has nothing yet.
    pub(crate) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout_ms: -1,
            topics: BTreeSet::new(),
            regex: String::new(),
            assignor: None,
            classic: None,
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Owned::new(),
            revoking: Owned::new(),
        }
    }

    /// Takes over what is stored of who the member is.
    pub(crate) fn load_metadata(&mut self, value: ConsumerGroupMemberMetadataValue) {
        self.instance_id = value.instance_id;
        self.rack_id = value.rack_id;
        self.client_id = value.client_id;
        self.client_host = value.client_host;
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.topics = value.subscribed_topic_names.into_iter().collect();
        self.regex = value.subscribed_topic_regex.unwrap_or_default();
        self.assignor = value.server_assignor;
        self.classic = value.classic_member_metadata;
    }

    /// What is stored of who the member is.
    pub(crate) fn metadata(&self) -> ConsumerGroupMemberMetadataValue {
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: Some(self.regex.clone()),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.clone(),
            classic_member_metadata: self.classic.clone(),
        }
    }

    /// Takes over what is stored of what the member owns.
    pub(crate) fn load_current(&mut self, value: ConsumerGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::from_code(value.state);
        self.assigned = load_owned(value.assigned_partitions, value.member_epoch);
        self.revoking = load_owned(value.partitions_pending_revocation, value.member_epoch);
    }

    /// The member gave up everything, on its way out.
    pub(crate) fn clear_current(&mut self) {
        self.epoch = LEAVE_EPOCH;
        self.previous_epoch = LEAVE_EPOCH;
        self.state = MemberState::Stable;
        self.assigned.clear();
        self.revoking.clear();
    }

    /// What is stored of what the member owns.
    pub(crate) fn current(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned_partitions: store_owned(&self.assigned),
            partitions_pending_revocation: store_owned(&self.revoking),
        }
    }

    pub(crate) fn uses_classic_protocol(&self) -> bool {
        self.classic.is_some()
    }

    pub(crate) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// Goes on to `epoch`, remembering the one before.
    pub(crate) fn set_epoch(&mut self, epoch: i32) {
        self.previous_epoch = self.epoch;
        self.epoch = epoch;
    }

    /// All that the member holds: what it may read and what it has not given up yet.
    pub(crate) fn held(&self) -> impl Iterator<Item = (TopicId, i32)> {
        self.assigned.iter().chain(&self.revoking).flat_map(|(topic, partitions)| {
            partitions.keys().map(move |partition| (*topic, *partition))
        })
    }

    /// The epoch at which the member got a partition that it holds.
    pub(crate) fn assignment_epoch(&self, topic: TopicId, partition: i32) -> Option<i32> {
        let epoch_in = |owned: &Owned| owned.get(&topic)?.get(&partition).copied();
        epoch_in(&self.assigned).or_else(|| epoch_in(&self.revoking))
    }
}

fn load_owned(stored: Vec<TopicPartitions>, epoch: i32) -> Owned {
    let mut owned = Owned::new();
    for topic in stored {
        // Versions before 4.2 did not store when a partition was assigned.
        let epochs = topic.assignment_epochs.unwrap_or_default();
        let epochs = epochs.into_iter().chain(std::iter::repeat(epoch));
        owned.entry(topic.topic_id).or_default().extend(topic.partitions.into_iter().zip(epochs));
    }
    owned
}

fn store_owned(owned: &Owned) -> Vec<TopicPartitions> {
    owned
        .iter()
        .map(|(topic_id, partitions)| TopicPartitions {
            topic_id: *topic_id,
            partitions: partitions.keys().copied().collect(),
            assignment_epochs: Some(partitions.values().copied().collect()),
        })
        .collect()
}
