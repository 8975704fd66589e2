//! Offsets that nobody has used for the retention time, and groups that are empty of all.

use std::sync::Arc;

use super::delete::tombstone;
use super::store::{Commit, OffsetStore};
use crate::classic::group::Phase;
use crate::group::Group;
use crate::record::Record;
use crate::step::Step;

/// From when on the retention of a group's offsets counts
/// (`Group.offsetExpirationCondition`): the commit, or the moment that the group became empty.
enum Since {
    Commit,
    Empty(i64),
}

fn since(group: &Group) -> Option<Since> {
    let group = match group {
        Group::Consumer(_) => return Some(Since::Commit),
        Group::Classic(group) => group,
    };
    if group.protocol_type.is_none() {
        return Some(Since::Commit);
    }
    match group.phase {
        // Records of old versions do not tell since when a group is empty.
        Phase::Empty => Some(group.phase_since_ms.map_or(Since::Commit, Since::Empty)),
        Phase::Stable if group.uses_consumer_protocol() && group.subscribed_topics.is_some() => {
            Some(Since::Commit)
        }
        _ => None,
    }
}

/// Tombstones for what expired in one group, and whether the group has no offsets left then.
pub(crate) fn expired(
    group: &Group,
    group_id: &Arc<str>,
    store: &OffsetStore,
    step: &Step<'_>,
) -> (Vec<Record>, bool) {
    let mut records = Vec::new();
    let mut any_left = store.transactions.is_open(group_id);
    let Some(since) = since(group) else {
        return (records, store.latest_of(group_id).next().is_none());
    };
    for (topic, partition, commit) in store.latest_of(group_id) {
        let in_use =
            group.is_subscribed(topic) || store.transactions.is_pending(group_id, topic, partition);
        if !in_use && is_expired(commit, &since, step) {
            records.push(tombstone(group_id, topic, partition));
        } else {
            any_left = true;
        }
    }
    (records, !any_left)
}

fn is_expired(commit: &Commit, since: &Since, step: &Step<'_>) -> bool {
    if let Some(expire_timestamp_ms) = commit.expire_timestamp_ms {
        // The client said when (OffsetCommit v2-4): that stands.
        return step.now.wall_ms >= expire_timestamp_ms;
    }
    let since_ms = match since {
        Since::Commit => commit.commit_timestamp_ms,
        Since::Empty(at_ms) => *at_ms,
    };
    step.now.wall_ms.saturating_sub(since_ms) >= step.config.offsets_retention_ms
}
