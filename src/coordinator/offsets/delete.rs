//! OffsetDelete v0, and the offsets of topics and groups that are deleted.

use std::collections::HashSet;
use std::sync::Arc;

use super::store::OffsetStore;
use crate::event::Token;
use crate::group::Group;
use crate::record::Record;
use crate::response::Response;
use crate::step::Step;
use crate::wire::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::wire::{ErrorCode, OffsetDeleteRequest, OffsetDeleteResponse};

/// The record that deletes an offset.
pub(crate) fn tombstone(group: &Arc<str>, topic: &Arc<str>, partition: i32) -> Record {
    Record::Offset { group: group.clone(), topic: topic.clone(), partition, value: None }
}

/// Deletes offsets of topics that no member reads.
pub(crate) fn delete(
    group: Option<&Group>,
    store: &OffsetStore,
    step: &mut Step<'_>,
    token: Token,
    request: OffsetDeleteRequest,
) {
    let named = if request.group_id.is_empty() { Err(ErrorCode::InvalidGroupId) } else { Ok(()) };
    let valid = named.and_then(|()| group.ok_or(ErrorCode::GroupIdNotFound)).and_then(|group| {
        group.validate_offset_delete()?;
        Ok(group)
    });
    let group = match valid {
        Ok(group) => group,
        Err(error) => {
            let answer = OffsetDeleteResponse { error_code: error.code(), ..Default::default() };
            return step.reply(token, Response::OffsetDelete(answer));
        }
    };
    let group_id: Arc<str> = request.group_id.into();
    let mut records = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let known = step.topics.get(&asked.name);
        let error = if known.is_none() {
            ErrorCode::UnknownTopicOrPartition
        } else if group.is_subscribed(&asked.name) {
            ErrorCode::GroupSubscribedToTopic
        } else {
            ErrorCode::None
        };
        let topic: Arc<str> = asked.name.as_str().into();
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in asked.partitions {
            let index = partition.partition_index;
            let error = match known {
                Some(topic) if !topic.has_partition(index) => ErrorCode::UnknownTopicOrPartition,
                _ => error,
            };
            let exists = store.latest(&group_id, &topic, index).is_some()
                || store.transactions.is_pending(&group_id, &topic, index);
            if error == ErrorCode::None && exists {
                records.push(tombstone(&group_id, &topic, index));
            }
            partitions.push(OffsetDeleteResponsePartition {
                partition_index: index,
                error_code: error.code(),
            });
        }
        topics.push(OffsetDeleteResponseTopic { name: asked.name, partitions });
    }
    step.tally.offsets_deleted(records.len());
    let answer = OffsetDeleteResponse { topics, ..OffsetDeleteResponse::default() };
    step.write_and_reply(records, token, Response::OffsetDelete(answer));
}

/// Tombstones for all offsets of a group that is deleted, pending ones too.
pub(crate) fn all_of_group(store: &OffsetStore, group: &Arc<str>) -> Vec<Record> {
    let mut places: Vec<(Arc<str>, i32)> =
        store.latest_of(group).map(|(topic, partition, _)| (topic.clone(), partition)).collect();
    places.extend(store.transactions.pending_of(group));
    places.sort();
    places.dedup();
    places.iter().map(|(topic, partition)| tombstone(group, topic, *partition)).collect()
}

/// Tombstones for all offsets of topics that are deleted.
pub(crate) fn all_of_topics(store: &OffsetStore, topics: &[Arc<str>]) -> Vec<Record> {
    let gone: HashSet<&str> = topics.iter().map(|topic| &**topic).collect();
    let mut records = Vec::new();
    for group in store.groups() {
        for (topic, partition, _) in store.latest_of(group) {
            if gone.contains(&**topic) {
                records.push(tombstone(group, topic, partition));
            }
        }
    }
    records
}
