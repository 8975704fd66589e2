//! A group of the classic protocol: its members, its generation, who waits for what.
//!
//! Stored are generation, protocol, leader, and members with their assignments; only
//! [`ClassicGroup::load`] changes these from the log. The phase, the parked requests and the ids
//! given out but not used yet live in memory alone, as in Kafka: a new coordinator starts from the
//! stored generation and members that miss an answer join again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use super::member::Member;
use crate::embedded;
use crate::event::Token;
use crate::record::Record;
use crate::wire::GroupMetadataValue;
use crate::wire::join_group_request::JoinGroupRequestProtocol;
use crate::wire::join_group_response::JoinGroupResponseMember;

/// The protocol type of Kafka's consumers; others are opaque.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Where a classic group stands (`ClassicGroupState`). A dead group is one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// No members; offsets may remain.
    Empty,
    /// Members are awaited in JoinGroup.
    PreparingRebalance {
        /// The group was empty before: the initial delay applies.
        initial: bool,
    },
    /// The leader's assignment is awaited.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
}

impl Phase {
    /// The name that clients see.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance { .. } => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A classic group.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    pub id: Arc<str>,
    pub phase: Phase,
    /// Wall time of the last change of phase; unknown for records of Kafka before 2.1.
    pub phase_since_ms: Option<i64>,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Option<Arc<str>>,
    /// In order of joining.
    pub members: IndexMap<Arc<str>, Member>,
    /// Member ids by group instance id.
    pub statics: HashMap<String, Arc<str>>,
    /// Ids that were given out and not used yet.
    pub pending_joins: HashSet<Arc<str>>,
    /// Members of this generation that have not synced.
    pub pending_syncs: HashSet<Arc<str>>,
    /// Someone joined while the initial delay ran.
    pub new_member_added: bool,
    /// How much longer the initial delay may get.
    pub initial_delay_left_ms: i32,
    /// Topics of all members, if the protocol type is "consumer" and the metadata readable.
    pub subscribed_topics: Option<HashSet<String>>,
    awaiting_join: usize,
    /// Number of members that know a protocol.
    supporters: HashMap<String, usize>,
}

impl ClassicGroup {
    /// An empty group without a protocol type: what committing offsets alone makes.
    pub(crate) fn new(id: Arc<str>, now_ms: i64) -> Self {
        Self {
            id,
            phase: Phase::Empty,
            phase_since_ms: Some(now_ms),
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: IndexMap::new(),
            statics: HashMap::new(),
            pending_joins: HashSet::new(),
            pending_syncs: HashSet::new(),
            new_member_added: false,
            initial_delay_left_ms: 0,
            subscribed_topics: None,
            awaiting_join: 0,
            supporters: HashMap::new(),
        }
    }

    /// Takes over a stored generation. Members that are known keep what is not stored: parked
    /// requests, and further protocols if the chosen one is unchanged.
    pub(crate) fn load(&mut self, stored: GroupMetadataValue) {
        let mut known = std::mem::take(&mut self.members);
        self.statics.clear();
        self.supporters.clear();
        self.awaiting_join = 0;
        self.leader = None;
        self.generation = stored.generation;
        self.protocol_type = Some(stored.protocol_type).filter(|kind| !kind.is_empty());
        self.protocol = stored.protocol;
        self.phase_since_ms =
            Some(stored.current_state_timestamp).filter(|timestamp| *timestamp != -1);
        let protocol = self.protocol.clone();
        for stored in stored.members {
            let mut member = Member::load(stored, protocol.as_deref());
            if let Some(old) = known.swap_remove(&member.id) {
                member.join = old.join;
                member.sync = old.sync;
                member.is_new = old.is_new;
                if old.metadata(protocol.as_deref()) == member.metadata(protocol.as_deref()) {
                    member.protocols = old.protocols;
                }
            }
            self.add(member);
        }
        self.phase = if self.members.is_empty() { Phase::Empty } else { Phase::Stable };
        self.leader = stored.leader.map(Arc::from);
        self.subscribed_topics = self.compute_subscribed_topics();
    }

    /// The record of this generation with these assignments.
    pub(crate) fn record(&self, assignments: &HashMap<Arc<str>, Bytes>) -> Record {
        let protocol = self.protocol.as_deref();
        let members = self.members.values().map(|member| {
            member.store(protocol, assignments.get(&member.id).cloned().unwrap_or_default())
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.as_ref().map(ToString::to_string),
            current_state_timestamp: self.phase_since_ms.unwrap_or(-1),
            members: members.collect(),
        };
        Record::Classic { group: self.id.clone(), value: Some(value) }
    }

    /// The assignments of all members.
    pub(crate) fn assignments(&self) -> HashMap<Arc<str>, Bytes> {
        self.members.values().map(|member| (member.id.clone(), member.assignment.clone())).collect()
    }

    /// Goes into `phase` at `now_ms`, wall time.
    pub(crate) fn enter(&mut self, phase: Phase, now_ms: i64) {
        self.phase = phase;
        self.phase_since_ms = Some(now_ms);
    }

    /// Adds a member, or one that was removed before under another id.
    pub(crate) fn add(&mut self, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), member.id.clone());
        }
        if self.leader.is_none() {
            self.leader = Some(member.id.clone());
        }
        self.pending_joins.remove(&member.id);
        self.count(&member.protocols, true);
        self.awaiting_join += usize::from(member.join.is_some());
        self.members.insert(member.id.clone(), member);
    }

    /// Removes a member, or an id that was only given out.
    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        self.pending_joins.remove(id);
        self.pending_syncs.remove(id);
        let member = self.members.shift_remove(id)?;
        self.count(&member.protocols, false);
        self.awaiting_join = self.awaiting_join.saturating_sub(usize::from(member.join.is_some()));
        if let Some(instance_id) = &member.instance_id
            && self.statics.get(instance_id).is_some_and(|current| **current == *id)
        {
            self.statics.remove(instance_id);
        }
        if self.is_leader(id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Takes over what a member says when it joins again, and parks its request.
    pub(crate) fn update(&mut self, id: &str, change: MemberUpdate) {
        let Some(member) = self.members.get_mut(id) else { return };
        let before = usize::from(member.join.is_some());
        let after = usize::from(change.join.is_some());
        let old = std::mem::replace(&mut member.protocols, change.protocols.clone());
        member.rebalance_timeout_ms = change.rebalance_timeout_ms;
        member.session_timeout_ms = change.session_timeout_ms;
        member.join = change.join;
        self.awaiting_join = (self.awaiting_join + after).saturating_sub(before);
        self.count(&old, false);
        self.count(&change.protocols, true);
    }

    /// Gives the place of a static member, its assignment and its leadership to a new id.
    pub(crate) fn rename_member(&mut self, old_id: &str, new_id: &Arc<str>) {
        let leads = self.is_leader(old_id);
        let Some(mut member) = self.remove(old_id) else { return };
        member.id = new_id.clone();
        self.add(member);
        if leads {
            self.leader = Some(new_id.clone());
        }
    }

    /// Takes the parked JoinGroup of a member.
    pub(crate) fn take_join(&mut self, id: &str) -> Option<Token> {
        let token = self.members.get_mut(id)?.join.take()?;
        self.awaiting_join = self.awaiting_join.saturating_sub(1);
        Some(token)
    }

    /// Takes the parked SyncGroup of a member.
    pub(crate) fn take_sync(&mut self, id: &str) -> Option<Token> {
        self.members.get_mut(id)?.sync.take()
    }

    pub(crate) fn member_ids(&self) -> Vec<Arc<str>> {
        self.members.keys().cloned().collect()
    }

    pub(crate) fn is_leader(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// Number of members whose JoinGroup is parked.
    pub(crate) fn awaiting_join(&self) -> usize {
        self.awaiting_join
    }

    /// Whether nobody is missing for the next generation.
    pub(crate) fn has_all_joined(&self) -> bool {
        self.members.len() == self.awaiting_join && self.pending_joins.is_empty()
    }

    /// The longest rebalance timeout of the members.
    pub(crate) fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// Whether a member that brings these protocols fits to those who are there.
    pub(crate) fn supports(
        &self,
        protocol_type: &str,
        protocols: &[JoinGroupRequestProtocol],
    ) -> bool {
        if self.phase == Phase::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.is_common(&protocol.name))
    }

    /// The protocol that most members like best among those that all know
    /// (`ClassicGroup.selectProtocol`); among equals the one that the eldest prefers.
    pub(crate) fn select_protocol(&self) -> Option<String> {
        let mut votes: IndexMap<&str, usize> = IndexMap::new();
        for member in self.members.values() {
            if let Some(name) = member.vote(|name| self.is_common(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let mut best: Option<(&str, usize)> = None;
        for (name, count) in votes {
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((name, count));
            }
        }
        best.map(|(name, _)| name.to_owned())
    }

    /// All members as the leader gets them.
    pub(crate) fn join_members(&self) -> Vec<JoinGroupResponseMember> {
        let protocol = self.protocol.as_deref();
        let members = self.members.values().map(|member| JoinGroupResponseMember {
            member_id: member.id.to_string(),
            group_instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        });
        members.collect()
    }

    /// The topics of all members; `None` when the coordinator cannot know them.
    pub(crate) fn compute_subscribed_topics(&self) -> Option<HashSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(HashSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = HashSet::new();
        for member in self.members.values() {
            topics.extend(embedded::subscribed_topics(&member.metadata(Some(protocol)))?);
        }
        Some(topics)
    }

    /// Whether offsets of `topic` are in use. Consumers whose topics are unknown may use any.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.uses_consumer_protocol(),
        }
    }

    fn is_common(&self, protocol: &str) -> bool {
        self.supporters.get(protocol).copied().unwrap_or(0) == self.members.len()
    }

    fn count(&mut self, protocols: &[JoinGroupRequestProtocol], more: bool) {
        for protocol in protocols {
            let count = self.supporters.entry(protocol.name.clone()).or_default();
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.supporters.remove(&protocol.name);
            }
        }
    }
}

/// What a member says when it joins again.
pub(crate) struct MemberUpdate {
    pub protocols: Vec<JoinGroupRequestProtocol>,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub join: Option<Token>,
}
