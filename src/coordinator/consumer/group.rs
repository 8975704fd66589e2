//! A consumer group, as its records describe it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use pharos_base::TopicId;

use super::member::{Assignment, ConsumerMember};
use crate::record::Record;
use crate::view::GroupState;
use crate::wire::ConsumerGroupRegularExpressionValue;

/// The topics that a regular expression matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedRegex {
    pub topics: Arc<BTreeSet<String>>,
    /// Version of the topics that it was matched against.
    pub version: i64,
    /// Wall time of that.
    pub timestamp_ms: i64,
}

/// A consumer group.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroup {
    pub id: Arc<str>,
    /// Grows when the target assignment has to be made anew.
    pub epoch: i32,
    /// Hash over the facts of all subscribed topics.
    pub metadata_hash: i64,
    /// Epoch of the target assignment.
    pub assignment_epoch: i32,
    /// Wall time of the target assignment; 0 if unknown.
    pub assignment_timestamp_ms: i64,
    /// In order of joining.
    pub members: IndexMap<Arc<str>, ConsumerMember>,
    pub targets: HashMap<Arc<str>, Assignment>,
    pub regexes: BTreeMap<Arc<str>, ResolvedRegex>,
    /// Kafka before 4.1 left a record that has to be deleted.
    pub has_topics_record: bool,
    /// Member ids by instance id.
    pub statics: HashMap<String, Arc<str>>,
    owners: HashMap<(TopicId, i32), Arc<str>>,
    /// Version of the topics that `metadata_hash` was last compared with. Not stored.
    pub checked_version: Option<i64>,
}

impl ConsumerGroup {
    /// A group without members.
    pub(crate) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            epoch: 0,
            metadata_hash: 0,
            assignment_epoch: 0,
            assignment_timestamp_ms: 0,
            members: IndexMap::new(),
            targets: HashMap::new(),
            regexes: BTreeMap::new(),
            has_topics_record: false,
            statics: HashMap::new(),
            owners: HashMap::new(),
            checked_version: None,
        }
    }

    /// Takes over one record. Tombstones of the group itself are the shard's business.
    pub(crate) fn replay(&mut self, record: Record) {
        match record {
            Record::Consumer { value: Some(value), .. } => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
            }
            Record::ConsumerTopics { deleted, .. } => self.has_topics_record = !deleted,
            Record::ConsumerMember { member, value: Some(value), .. } => {
                let mut loaded = self.take_or_new(&member);
                loaded.load_metadata(value);
                if let Some(instance_id) = &loaded.instance_id {
                    self.statics.insert(instance_id.clone(), member);
                }
                self.put(loaded);
            }
            Record::ConsumerMember { member, value: None, .. } => self.remove(&member),
            Record::ConsumerTargetEpoch { value, .. } => {
                let (epoch, timestamp_ms) = value
                    .map_or((-1, 0), |value| (value.assignment_epoch, value.assignment_timestamp));
                self.assignment_epoch = epoch;
                self.assignment_timestamp_ms = timestamp_ms;
            }
            Record::ConsumerTarget { member, value: Some(value), .. } => {
                let target = value.topic_partitions.into_iter().map(|topic| {
                    (topic.topic_id, topic.partitions.into_iter().collect::<BTreeSet<_>>())
                });
                self.targets.insert(member, target.collect());
            }
            Record::ConsumerTarget { member, value: None, .. } => {
                self.targets.remove(&member);
            }
            Record::ConsumerCurrent { member, value: Some(value), .. } => {
                let mut loaded = self.take_or_new(&member);
                loaded.load_current(value);
                self.put(loaded);
            }
            Record::ConsumerCurrent { member, value: None, .. } => {
                if let Some(known) = self.members.get(&member) {
                    let mut left = known.clone();
                    left.clear_current();
                    self.disown(&member);
                    self.put(left);
                }
            }
            Record::ConsumerRegex { regex, value, .. } => self.replay_regex(regex, value),
            Record::Consumer { value: None, .. }
            | Record::Classic { .. }
            | Record::Offset { .. } => {}
        }
    }

    fn replay_regex(
        &mut self,
        regex: Arc<str>,
        value: Option<ConsumerGroupRegularExpressionValue>,
    ) {
        match value {
            Some(value) => {
                let resolved = ResolvedRegex {
                    topics: Arc::new(value.topics.into_iter().collect()),
                    version: value.version,
                    timestamp_ms: value.timestamp,
                };
                self.regexes.insert(regex, resolved);
            }
            None => {
                self.regexes.remove(&regex);
            }
        }
    }

    fn take_or_new(&mut self, id: &Arc<str>) -> ConsumerMember {
        self.disown(id);
        self.members.get(id).cloned().unwrap_or_else(|| ConsumerMember::new(id.clone()))
    }

    fn put(&mut self, member: ConsumerMember) {
        for place in member.held() {
            self.owners.insert(place, member.id.clone());
        }
        self.members.insert(member.id.clone(), member);
    }

    fn remove(&mut self, id: &str) {
        self.disown(id);
        let Some(member) = self.members.shift_remove(id) else { return };
        if let Some(instance_id) = &member.instance_id {
            // A replaced static member has left its place to another one already.
            if self.statics.get(instance_id).is_some_and(|current| **current == *id) {
                self.statics.remove(instance_id);
            }
        }
    }

    fn disown(&mut self, id: &str) {
        let Some(member) = self.members.get(id) else { return };
        for place in member.held() {
            if self.owners.get(&place).is_some_and(|owner| **owner == *id) {
                self.owners.remove(&place);
            }
        }
    }

    /// Who holds a partition, to read it or until it has given it up.
    pub(crate) fn owner(&self, topic: TopicId, partition: i32) -> Option<&Arc<str>> {
        self.owners.get(&(topic, partition))
    }

    /// The member with that instance id.
    pub(crate) fn static_member(&self, instance_id: &str) -> Option<&ConsumerMember> {
        self.members.get(self.statics.get(instance_id)?)
    }

    /// The target of a member, or of the static member in whose place it comes.
    pub(crate) fn target_of(&self, member: &ConsumerMember) -> Assignment {
        let own = self.targets.get(&member.id);
        let inherited = || {
            let previous = self.statics.get(member.instance_id.as_ref()?)?;
            self.targets.get(previous)
        };
        own.or_else(inherited).cloned().unwrap_or_default()
    }

    /// `Empty`, `Assigning`, `Reconciling` or `Stable`.
    pub(crate) fn state(&self) -> GroupState {
        if self.members.is_empty() {
            GroupState::ConsumerEmpty
        } else if self.epoch > self.assignment_epoch {
            GroupState::ConsumerAssigning
        } else if self.members.values().all(|member| member.is_reconciled_to(self.assignment_epoch))
        {
            GroupState::ConsumerStable
        } else {
            GroupState::ConsumerReconciling
        }
    }

    /// Number of members that speak the classic protocol.
    pub(crate) fn classic_member_count(&self) -> usize {
        self.members.values().filter(|member| member.uses_classic_protocol()).count()
    }

    /// Number of members that subscribe by `regex`.
    pub(crate) fn regex_member_count(&self, regex: &str) -> usize {
        self.members.values().filter(|member| member.regex == regex).count()
    }

    /// Whether a member reads `topic`.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.topics.contains(topic))
            || self.members.values().filter(|member| !member.regex.is_empty()).any(|member| {
                self.regexes
                    .get(member.regex.as_str())
                    .is_some_and(|resolved| resolved.topics.contains(topic))
            })
    }
}
