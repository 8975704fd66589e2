//! The committed offsets of one shard, in memory.
//!
//! Each partition has its newest commit and, until the log's high watermark has passed that, the
//! one before it: readers see what is committed, decisions look at what is newest. It changes by
//! replayed records alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use pharos_base::TopicId;
use smallvec::SmallVec;

use super::transactions::Transactions;
use crate::wire::OffsetCommitValue;

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The next offset that the group will read.
    pub offset: i64,
    /// Leader epoch of the last record read; -1 when unknown.
    pub leader_epoch: i32,
    /// The client's own words.
    pub metadata: Arc<str>,
    /// Wall time of the commit, milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// When it expires, if the client said so (OffsetCommit v2-4).
    pub expire_timestamp_ms: Option<i64>,
    /// Id of the topic; zero when unknown.
    pub topic_id: TopicId,
    /// Offset of the record that holds it.
    pub record_offset: i64,
}

impl Commit {
    pub(crate) fn load(record_offset: i64, value: OffsetCommitValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.into(),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: Some(value.expire_timestamp).filter(|at_ms| *at_ms != -1),
            topic_id: value.topic_id,
            record_offset,
        }
    }
}

/// What one record said about a partition; `None` if it was a tombstone.
#[derive(Clone, Debug)]
struct Version {
    record_offset: i64,
    commit: Option<Commit>,
}

/// Versions by rising record offset; the last is the newest.
type Slot = SmallVec<[Version; 1]>;
type Topics = BTreeMap<Arc<str>, BTreeMap<i32, Slot>>;

/// The offsets of all groups of one shard.
#[derive(Debug, Default)]
pub(crate) struct OffsetStore {
    groups: HashMap<Arc<str>, Topics>,
    pub(crate) transactions: Transactions,
    /// Records below this offset are committed.
    high_watermark: i64,
    /// Slots whose newest version is not committed, by rising record offset.
    uncommitted: VecDeque<(i64, Arc<str>, Arc<str>, i32)>,
    len: usize,
}

impl OffsetStore {
    /// Number of partitions with a commit, over all groups.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Records below `high_watermark` are committed now. It never goes back.
    pub(crate) fn commit_up_to(&mut self, high_watermark: i64) {
        self.high_watermark = self.high_watermark.max(high_watermark);
        while let Some((record_offset, ..)) = self.uncommitted.front() {
            if *record_offset >= self.high_watermark {
                break;
            }
            if let Some((_, group, topic, partition)) = self.uncommitted.pop_front() {
                self.trim(&group, &topic, partition);
            }
        }
    }

    /// Takes over what a record at `record_offset` said.
    pub(crate) fn put(
        &mut self,
        record_offset: i64,
        (group, topic, partition): (&Arc<str>, &Arc<str>, i32),
        commit: Option<Commit>,
    ) {
        let high_watermark = self.high_watermark;
        let is_commit = commit.is_some();
        if !is_commit && self.latest(group, topic, partition).is_none() {
            return;
        }
        let topics = self.groups.entry(group.clone()).or_default();
        let partitions = match topics.get_mut(topic) {
            Some(partitions) => partitions,
            None => topics.entry(topic.clone()).or_default(),
        };
        let slot = partitions.entry(partition).or_default();
        let was_commit = slot.last().is_some_and(|version| version.commit.is_some());
        slot.push(Version { record_offset, commit });
        self.len = (self.len + usize::from(is_commit)).saturating_sub(usize::from(was_commit));
        if record_offset < high_watermark {
            self.trim(group, topic, partition);
        } else {
            let place = (record_offset, group.clone(), topic.clone(), partition);
            self.uncommitted.push_back(place);
        }
    }

    /// The newest commit, committed to the log's replicas or not.
    pub(crate) fn latest(&self, group: &str, topic: &str, partition: i32) -> Option<&Commit> {
        self.slot(group, topic, partition)?.last()?.commit.as_ref()
    }

    /// What readers see.
    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<&Commit> {
        visible(self.slot(group, topic, partition)?, self.high_watermark)
    }

    /// All that readers see of a group, by topic and partition.
    pub(crate) fn committed_of(
        &self,
        group: &str,
    ) -> impl Iterator<Item = (&Arc<str>, i32, &Commit)> {
        let high_watermark = self.high_watermark;
        self.slots(group).filter_map(move |(topic, partition, slot)| {
            visible(slot, high_watermark).map(|commit| (topic, partition, commit))
        })
    }

    /// The newest commits of a group, by topic and partition.
    pub(crate) fn latest_of(&self, group: &str) -> impl Iterator<Item = (&Arc<str>, i32, &Commit)> {
        self.slots(group).filter_map(|(topic, partition, slot)| {
            let commit = slot.last()?.commit.as_ref()?;
            Some((topic, partition, commit))
        })
    }

    /// Groups that have or had commits.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn slots(&self, group: &str) -> impl Iterator<Item = (&Arc<str>, i32, &Slot)> {
        self.groups.get(group).into_iter().flatten().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, slot)| (topic, *partition, slot))
        })
    }

    fn slot(&self, group: &str, topic: &str, partition: i32) -> Option<&Slot> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// Forgets the versions that no reader can see any more, and empty places with them.
    fn trim(&mut self, group: &str, topic: &str, partition: i32) {
        let high_watermark = self.high_watermark;
        let Some(topics) = self.groups.get_mut(group) else { return };
        let Some(partitions) = topics.get_mut(topic) else { return };
        let Some(slot) = partitions.get_mut(&partition) else { return };
        let committed = slot.iter().rposition(|version| version.record_offset < high_watermark);
        slot.drain(..committed.unwrap_or(0));
        let gone = slot.iter().all(|version| version.commit.is_none());
        if gone && slot.last().is_none_or(|version| version.record_offset < high_watermark) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                topics.remove(topic);
            }
            if topics.is_empty() {
                self.groups.remove(group);
            }
        }
    }
}

fn visible(slot: &Slot, high_watermark: i64) -> Option<&Commit> {
    let newest = slot.iter().rev().find(|version| version.record_offset < high_watermark)?;
    newest.commit.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(record_offset: i64, offset: i64) -> Option<Commit> {
        let value = OffsetCommitValue { offset, ..OffsetCommitValue::default() };
        Some(Commit::load(record_offset, value))
    }

    #[test]
    fn readers_see_what_is_committed_and_decisions_what_is_newest() {
        let (group, topic): (Arc<str>, Arc<str>) = ("g".into(), "t".into());
        let mut store = OffsetStore::default();
        let place = (&group, &topic, 0);
        let seen = |store: &OffsetStore| {
            let offset = |commit: Option<&Commit>| commit.map(|commit| commit.offset);
            (offset(store.committed("g", "t", 0)), offset(store.latest("g", "t", 0)), store.len())
        };
        store.put(5, place, commit(5, 100));
        assert_eq!(seen(&store), (None, Some(100), 1));
        store.commit_up_to(6);
        store.put(6, place, commit(6, 200));
        store.put(7, place, None);
        assert_eq!(seen(&store), (Some(100), None, 0));
        store.commit_up_to(7);
        assert_eq!(seen(&store), (Some(200), None, 0));
        store.commit_up_to(8);
        assert_eq!(seen(&store), (None, None, 0));
        assert_eq!(store.groups().count(), 0);
    }

    #[test]
    fn what_is_loaded_below_the_high_watermark_is_committed() {
        let (group, topic): (Arc<str>, Arc<str>) = ("g".into(), "t".into());
        let mut store = OffsetStore::default();
        store.commit_up_to(100);
        for record_offset in 0..50 {
            store.put(record_offset, (&group, &topic, 1), commit(record_offset, record_offset));
        }
        assert_eq!(store.committed_of("g").count(), 1);
        assert_eq!(store.latest_of("g").next().map(|(_, _, commit)| commit.offset), Some(49));
        assert!(store.uncommitted.is_empty());
        store.put(60, (&group, &topic, 1), None);
        assert_eq!(store.groups().count(), 0);
    }
}
