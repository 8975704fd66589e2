//! Offsets of transactions that are open: seen by nobody until their marker says so.
//!
//! Records with a producer id are kept apart; the marker that ends the transaction moves or drops
//! them (`OffsetMetadataManager.replayEndTransactionMarker`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::store::{Commit, OffsetStore};

type Place = (Arc<str>, Arc<str>, i32);

/// Pending offsets by producer id.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    pending: HashMap<i64, BTreeMap<Place, Commit>>,
    producers: HashMap<Arc<str>, HashSet<i64>>,
}

impl Transactions {
    /// A record of an open transaction.
    pub(crate) fn put(&mut self, producer_id: i64, place: Place, commit: Commit) {
        self.producers.entry(place.0.clone()).or_default().insert(producer_id);
        self.pending.entry(producer_id).or_default().insert(place, commit);
    }

    /// A tombstone takes pending offsets of the partition with it.
    pub(crate) fn remove(&mut self, group: &Arc<str>, topic: &Arc<str>, partition: i32) {
        let Some(producers) = self.producers.get(group) else { return };
        let place = (group.clone(), topic.clone(), partition);
        for producer_id in producers {
            if let Some(pending) = self.pending.get_mut(producer_id) {
                pending.remove(&place);
            }
        }
    }

    /// Whether a partition's offset may change when a transaction ends.
    pub(crate) fn is_pending(&self, group: &Arc<str>, topic: &Arc<str>, partition: i32) -> bool {
        let Some(producers) = self.producers.get(group) else { return false };
        let place = (group.clone(), topic.clone(), partition);
        producers.iter().any(|producer_id| {
            self.pending.get(producer_id).is_some_and(|pending| pending.contains_key(&place))
        })
    }

    /// Whether a group takes part in any open transaction.
    pub(crate) fn is_open(&self, group: &str) -> bool {
        self.producers.contains_key(group)
    }

    /// Partitions of a group with pending offsets.
    pub(crate) fn pending_of(&self, group: &str) -> Vec<(Arc<str>, i32)> {
        let producers = self.producers.get(group).into_iter().flatten();
        let places = producers.filter_map(|id| self.pending.get(id)).flat_map(BTreeMap::keys);
        places.filter(|place| *place.0 == *group).map(|place| (place.1.clone(), place.2)).collect()
    }

    fn take(&mut self, producer_id: i64) -> BTreeMap<Place, Commit> {
        self.producers.retain(|_, producers| {
            producers.remove(&producer_id);
            !producers.is_empty()
        });
        self.pending.remove(&producer_id).unwrap_or_default()
    }
}

impl OffsetStore {
    /// The marker at `record_offset` ended the transaction of `producer_id`. A commit that was
    /// written later than the pending one stays: it is the newer one.
    pub(crate) fn end_transaction(&mut self, record_offset: i64, producer_id: i64, commits: bool) {
        let pending = self.transactions.take(producer_id);
        if !commits {
            return;
        }
        for ((group, topic, partition), commit) in pending {
            let latest = self.latest(&group, &topic, partition);
            if latest.is_none_or(|latest| latest.record_offset < commit.record_offset) {
                self.put(record_offset, (&group, &topic, partition), Some(commit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::OffsetCommitValue;

    fn commit(record_offset: i64, offset: i64) -> Commit {
        Commit::load(record_offset, OffsetCommitValue { offset, ..OffsetCommitValue::default() })
    }

    #[test]
    fn pending_offsets_come_with_the_commit_marker_only() {
        for (commits, expected) in [(true, Some(7)), (false, None)] {
            let mut store = OffsetStore::default();
            store.commit_up_to(100);
            let (group, topic): (Arc<str>, Arc<str>) = ("g".into(), "t".into());
            store.transactions.put(9, (group.clone(), topic.clone(), 0), commit(1, 7));
            assert!(store.transactions.is_pending(&group, &topic, 0));
            assert_eq!(store.latest("g", "t", 0), None);
            store.end_transaction(2, 9, commits);
            assert_eq!(store.latest("g", "t", 0).map(|commit| commit.offset), expected);
            assert!(!store.transactions.is_open("g"));
        }
    }

    #[test]
    fn a_later_commit_outside_of_the_transaction_wins() {
        let mut store = OffsetStore::default();
        store.commit_up_to(100);
        let (group, topic): (Arc<str>, Arc<str>) = ("g".into(), "t".into());
        store.transactions.put(9, (group.clone(), topic.clone(), 0), commit(1, 7));
        store.put(2, (&group, &topic, 0), Some(commit(2, 5)));
        store.end_transaction(3, 9, true);
        assert_eq!(store.latest("g", "t", 0).map(|commit| commit.offset), Some(5));
    }
}
