//! Records become state: the one way in which stored state changes, whether a record was just
//! appended or is loaded from the log.

use std::sync::Arc;

use crate::classic::ClassicGroup;
use crate::consumer::ConsumerGroup;
use crate::group::Group;
use crate::offsets::Commit;
use crate::record::Record;
use crate::shard::{Entry, Shard};

impl Shard {
    /// Takes one record over, at its offset in the log; `producer_id` if it belongs to a
    /// transaction. The only way in which stored state changes.
    pub fn replay(&mut self, offset: i64, producer_id: Option<i64>, record: Record) {
        match record {
            Record::Offset { group, topic, partition, value } => {
                let commit = value.map(|value| Commit::load(offset, value));
                if let Some(commit) = &commit {
                    self.groups.entry(group.clone()).or_insert_with(|| {
                        let made_ms = commit.commit_timestamp_ms;
                        Entry::new(Group::Classic(ClassicGroup::new(group.clone(), made_ms)))
                    });
                }
                match (producer_id, commit) {
                    (Some(producer_id), Some(commit)) => {
                        let place = (group, topic, partition);
                        self.offsets.transactions.put(producer_id, place, commit);
                    }
                    (_, commit) => {
                        if commit.is_none() {
                            self.offsets.transactions.remove(&group, &topic, partition);
                        }
                        self.offsets.put(offset, (&group, &topic, partition), commit);
                    }
                }
            }
            Record::Classic { group, value: Some(value) } => {
                let entry = self.groups.entry(group.clone()).or_insert_with(|| {
                    Entry::new(Group::Classic(ClassicGroup::new(group.clone(), 0)))
                });
                if let Group::Consumer(_) = &entry.group {
                    entry.group = Group::Classic(ClassicGroup::new(group, 0));
                }
                if let Group::Classic(group) = &mut entry.group {
                    group.load(value);
                }
            }
            Record::Classic { group, value: None } => self.remove(&group, true),
            Record::Consumer { group, value: None } => self.remove(&group, false),
            record => self.replay_consumer(record),
        }
    }

    /// A transaction marker at `offset` ended the transaction of `producer_id`.
    pub fn replay_end_transaction(&mut self, offset: i64, producer_id: i64, commits: bool) {
        self.offsets.end_transaction(offset, producer_id, commits);
        self.recount_offsets();
    }

    fn replay_consumer(&mut self, record: Record) {
        let id = record.group().clone();
        let creates = matches!(
            record,
            Record::Consumer { .. }
                | Record::ConsumerMember { value: Some(_), .. }
                | Record::ConsumerTarget { value: Some(_), .. }
                | Record::ConsumerTargetEpoch { value: Some(_), .. }
                | Record::ConsumerCurrent { value: Some(_), .. }
                | Record::ConsumerRegex { value: Some(_), .. }
        );
        let entry = match self.groups.get_mut(&id) {
            Some(entry) => entry,
            None if creates => self
                .groups
                .entry(id.clone())
                .or_insert(Entry::new(Group::Consumer(ConsumerGroup::new(id.clone())))),
            None => return,
        };
        if let Group::Classic(classic) = &entry.group {
            // A group that only offsets made gives way; any other has its tombstone before.
            if !creates || !classic.members.is_empty() {
                return;
            }
            entry.group = Group::Consumer(ConsumerGroup::new(id));
        }
        if let Group::Consumer(group) = &mut entry.group {
            group.replay(record);
        }
    }

    fn remove(&mut self, id: &Arc<str>, classic: bool) {
        let same_kind = self
            .groups
            .get(id)
            .is_some_and(|entry| matches!(entry.group, Group::Classic(_)) == classic);
        if same_kind && let Some(entry) = self.groups.remove(id) {
            self.kit.tally.group_moved(entry.counted, None);
        }
    }
}
