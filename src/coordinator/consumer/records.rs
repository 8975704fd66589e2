//! The records of consumer groups, made from members and groups.

use std::sync::Arc;

use super::group::{ConsumerGroup, ResolvedRegex};
use super::member::{Assignment, ConsumerMember};
use crate::record::Record;
use crate::wire::consumer_group_target_assignment_member_value::TopicPartition;
use crate::wire::{
    ConsumerGroupMetadataValue, ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataValue,
};

pub(crate) fn epoch(group: &Arc<str>, epoch: i32, metadata_hash: i64) -> Record {
    let value = ConsumerGroupMetadataValue { epoch, metadata_hash };
    Record::Consumer { group: group.clone(), value: Some(value) }
}

pub(crate) fn member(group: &Arc<str>, member: &ConsumerMember) -> Record {
    Record::ConsumerMember {
        group: group.clone(),
        member: member.id.clone(),
        value: Some(member.metadata()),
    }
}

pub(crate) fn current(group: &Arc<str>, member: &ConsumerMember) -> Record {
    Record::ConsumerCurrent {
        group: group.clone(),
        member: member.id.clone(),
        value: Some(member.current()),
    }
}

pub(crate) fn target(group: &Arc<str>, member: &Arc<str>, target: &Assignment) -> Record {
    let topics = target.iter().map(|(topic_id, partitions)| TopicPartition {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions: topics.collect() };
    Record::ConsumerTarget { group: group.clone(), member: member.clone(), value: Some(value) }
}

pub(crate) fn target_epoch(group: &Arc<str>, epoch: i32, now_ms: i64) -> Record {
    let value = ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: epoch,
        assignment_timestamp: now_ms,
    };
    Record::ConsumerTargetEpoch { group: group.clone(), value: Some(value) }
}

pub(crate) fn regex(group: &Arc<str>, regex: &Arc<str>, resolved: &ResolvedRegex) -> Record {
    let value = ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().cloned().collect(),
        version: resolved.version,
        timestamp: resolved.timestamp_ms,
    };
    Record::ConsumerRegex { group: group.clone(), regex: regex.clone(), value: Some(value) }
}

pub(crate) fn regex_tombstone(group: &Arc<str>, regex: &str) -> Record {
    Record::ConsumerRegex { group: group.clone(), regex: regex.into(), value: None }
}

/// What removes a member. The order matters to whoever replays: it gives up its partitions first.
pub(crate) fn member_tombstones(group: &Arc<str>, member: &Arc<str>) -> [Record; 3] {
    let (group, member) = (group.clone(), member.clone());
    [
        Record::ConsumerCurrent { group: group.clone(), member: member.clone(), value: None },
        Record::ConsumerTarget { group: group.clone(), member: member.clone(), value: None },
        Record::ConsumerMember { group, member, value: None },
    ]
}

/// What removes a group with all that belongs to it (`ConsumerGroup.createGroupTombstoneRecords`).
pub(crate) fn group_tombstones(group: &ConsumerGroup) -> Vec<Record> {
    let id = &group.id;
    let mut records = Vec::new();
    for member in group.members.keys() {
        let (group, member) = (id.clone(), member.clone());
        records.push(Record::ConsumerCurrent { group, member, value: None });
    }
    for member in group.members.keys() {
        let (group, member) = (id.clone(), member.clone());
        records.push(Record::ConsumerTarget { group, member, value: None });
    }
    records.push(Record::ConsumerTargetEpoch { group: id.clone(), value: None });
    for member in group.members.keys() {
        let (group, member) = (id.clone(), member.clone());
        records.push(Record::ConsumerMember { group, member, value: None });
    }
    for expression in group.regexes.keys() {
        records.push(regex_tombstone(id, expression));
    }
    if group.has_topics_record {
        records.push(Record::ConsumerTopics { group: id.clone(), deleted: true });
    }
    records.push(Record::Consumer { group: id.clone(), value: None });
    records
}

/// What makes a group as it is from nothing (`ConsumerGroup.createConsumerGroupRecords`).
pub(crate) fn whole_group(group: &ConsumerGroup, now_ms: i64) -> Vec<Record> {
    let id = &group.id;
    let empty = Assignment::new();
    let mut records: Vec<Record> = group.members.values().map(|known| member(id, known)).collect();
    records.push(epoch(id, group.epoch, group.metadata_hash));
    for known in group.members.keys() {
        records.push(target(id, known, group.targets.get(known).unwrap_or(&empty)));
    }
    records.push(target_epoch(id, group.assignment_epoch, now_ms));
    records.extend(group.members.values().map(|known| current(id, known)));
    records
}
