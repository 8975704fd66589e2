//! One shard: the groups of one partition of `__consumer_offsets`.
//!
//! A pure state machine. [`Shard::handle`] looks at an event and says what to write and whom to
//! answer; [`Shard::appended`] takes the written records over with [`Shard::replay`], the function
//! that also loads the log. It refuses to read clocks, to wait, and to know how logs are written.

use std::collections::HashMap;
use std::sync::Arc;

use crate::classic;
use crate::classic::join::Join;
use crate::config::Config;
use crate::consumer;
use crate::event::{Event, Now, Output, Then, Token, Write, append_error};
use crate::group::Group;
use crate::limits::MAX_GROUPS;
use crate::offsets::{OffsetStore, delete};
use crate::rebalances::{RebalanceCause, RebalanceReason, Rebalances};
use crate::record::{Record, cut_to_batch};
use crate::response::Response;
use crate::step::Kit;
use crate::timers::{Timer, Timers};
use crate::topics::Topics;
use crate::view::{GroupState, Tally};
use crate::wire::ErrorCode;

/// A group and how metrics last counted it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) group: Group,
    pub(crate) counted: Option<GroupState>,
    /// Offset of the last record about the group: what answers about it must wait for.
    pub(crate) last_record: Option<i64>,
    pub(crate) rebalances: Rebalances,
    /// Where the last of them came from.
    pub(crate) last_cause: Option<RebalanceCause>,
}

impl Entry {
    pub(crate) fn new(group: Group) -> Self {
        let rebalances = Rebalances::default();
        Self { group, counted: None, last_record: None, rebalances, last_cause: None }
    }
}

/// The groups and offsets of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Shard {
    pub(crate) groups: HashMap<Arc<str>, Entry>,
    pub(crate) offsets: OffsetStore,
    /// What transitions use besides.
    pub(crate) kit: Kit,
    counted_offsets: usize,
}

impl Shard {
    /// An empty shard. Load it with [`Self::replay`], then call [`Self::loaded`].
    pub fn new(config: Arc<Config>, topics: Arc<Topics>, tally: Tally) -> Self {
        Self {
            groups: HashMap::new(),
            offsets: OffsetStore::default(),
            kit: Kit { config, topics, timers: Timers::default(), tally },
            counted_offsets: 0,
        }
    }

    /// Records below `high_watermark` are committed: readers may see them. To be called before a
    /// load and whenever it moves; it never goes back.
    pub fn committed_up_to(&mut self, high_watermark: i64) {
        self.offsets.commit_up_to(high_watermark);
    }

    /// Other topics from now on.
    pub fn set_topics(&mut self, topics: Arc<Topics>) {
        self.kit.topics = topics;
    }

    /// Other settings from now on.
    pub fn set_config(&mut self, config: Arc<Config>) {
        self.kit.config = config;
    }

    /// Everything that the log holds has been replayed: deadlines begin now.
    pub fn loaded(&mut self, now: Now) {
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for id in ids {
            self.start_sessions(now, &id);
            self.settle(now, &id, None);
        }
        self.recount_offsets();
        let check_ms = self.kit.config.offsets_retention_check_interval_ms;
        self.kit.timers.set(Timer::ExpireOffsets, now.monotonic_ms.saturating_add(check_ms));
    }

    /// The shard moves away or is stopped: whoever waits is told to look for the coordinator.
    /// Nothing is left in it afterwards, nor in the figures that it kept.
    pub fn unload(&mut self) -> Output {
        let mut step = self.kit.step(Now::default());
        for entry in self.groups.values_mut() {
            if let Group::Classic(group) = &mut entry.group {
                classic::refuse_all(group, &mut step, ErrorCode::NotCoordinator);
            }
        }
        let output = step.output;
        for entry in self.groups.values() {
            self.kit.tally.group_moved(entry.counted, None);
        }
        self.kit.tally.offsets_moved(self.counted_offsets, 0);
        self.counted_offsets = 0;
        self.groups.clear();
        self.offsets.clear();
        self.kit.timers.clear();
        output
    }

    /// Reacts to an event. If the output asks for a write, that comes back through
    /// [`Self::appended`] or [`Self::failed`] before anything else.
    pub fn handle(&mut self, now: Now, event: Event) -> Output {
        match event {
            Event::Request { token, context, request } => {
                self.request(now, token, &context, request)
            }
            Event::TopicsDeleted(topics) => {
                let mut records = delete::all_of_topics(&self.offsets, &topics);
                let rest = cut_to_batch(&mut records);
                let mut step = self.kit.step(now);
                if rest {
                    let event = Box::new(Event::TopicsDeleted(topics));
                    step.write(records, Then::Again { event, refused: None });
                } else if !records.is_empty() {
                    step.write(records, Then::Reply(Vec::new()));
                }
                step.output
            }
        }
    }

    /// When something is due next, in monotonic milliseconds.
    pub fn next_deadline(&self) -> Option<i64> {
        self.kit.timers.next()
    }

    /// Does the first of what is due. To be called again until [`Self::next_deadline`] lies ahead.
    pub fn on_deadline(&mut self, now: Now) -> Output {
        match self.kit.timers.pop(now.monotonic_ms) {
            Some(timer) => self.on_timer(now, timer),
            None => Output::default(),
        }
    }

    /// The records of `write` are in the log from `base_offset` on, in their order.
    pub fn appended(&mut self, now: Now, write: Write, base_offset: i64) -> Output {
        let Write { records, then, cause } = write;
        let fenced = self.before_replay(now, &then);
        let mut offset = base_offset;
        let mut touched: Vec<Arc<str>> = Vec::new();
        for record in records {
            if touched.last() != Some(record.group()) {
                touched.push(record.group().clone());
            }
            self.replay(offset, None, record);
            offset = offset.saturating_add(1);
        }
        let last = offset.saturating_sub(1);
        let (mut output, followed) = self.after_append(now, then, last);
        let cause = cause.or(followed);
        output.replies.splice(0..0, fenced);
        for id in touched {
            if let Some(entry) = self.groups.get_mut(&id) {
                entry.last_record = Some(last);
            }
            self.settle(now, &id, cause.clone());
        }
        self.recount_offsets();
        output
    }

    /// The records of `write` could not be appended: nothing happened, and whoever asked is told.
    pub fn failed(&mut self, now: Now, write: Write, error: ErrorCode) -> Output {
        let error = append_error(error);
        let mut step = self.kit.step(now);
        match write.then {
            Then::Reply(replies) | Then::Downgraded { replies, .. } => {
                for (token, response) in replies {
                    step.reply(token, response.failed(error));
                }
                // What had been looked at is looked at again.
                for id in write.records.iter().map(Record::group) {
                    if let Some(Group::Consumer(group)) =
                        self.groups.get_mut(id).map(|entry| &mut entry.group)
                    {
                        group.checked_version = None;
                    }
                }
            }
            Then::Emptied { group: id, replies } => {
                for (token, response) in replies {
                    step.reply(token, response.failed(error));
                }
                if let Some(Group::Classic(group)) = self.groups.get(&id).map(|entry| &entry.group)
                {
                    classic::rebalance::on_empty_failed(group, &mut step);
                }
            }
            Then::Again { refused, .. } => {
                if let Some((token, response)) = refused {
                    step.reply(token, response.failed(error));
                }
            }
            Then::Replaced(replaced) => {
                step.reply(replaced.token, classic::join::refusal("", error));
            }
            Then::Assigned { group: id, generation } => {
                if let Some(Group::Classic(group)) =
                    self.groups.get_mut(&id).map(|entry| &mut entry.group)
                    && group.generation == generation
                {
                    classic::sync::on_assign_failed(group, &mut step, error);
                }
                let (output, reason) = step.done();
                self.settle(now, &id, reason);
                return output;
            }
        }
        step.output
    }

    fn before_replay(&mut self, now: Now, then: &Then) -> Vec<crate::event::Reply> {
        let Then::Replaced(replaced) = then else { return Vec::new() };
        let mut step = self.kit.step(now);
        if let Some(Group::Classic(group)) =
            self.groups.get_mut(&replaced.group).map(|entry| &mut entry.group)
        {
            classic::replace::before_replaced(group, &mut step, replaced);
        }
        step.output.replies
    }

    fn after_append(
        &mut self,
        now: Now,
        then: Then,
        last: i64,
    ) -> (Output, Option<RebalanceCause>) {
        let mut step = self.kit.step(now);
        match then {
            Then::Reply(replies) | Then::Emptied { replies, .. } => {
                for (token, response) in replies {
                    step.reply_after(token, Some(last), response);
                }
            }
            Then::Again { event, .. } => return (self.handle(now, *event), None),
            Then::Assigned { group: id, generation } => {
                if let Some(Group::Classic(group)) =
                    self.groups.get_mut(&id).map(|entry| &mut entry.group)
                    && group.generation == generation
                {
                    classic::sync::on_assigned(group, &mut step, last);
                }
            }
            Then::Replaced(replaced) => {
                if let Some(Group::Classic(group)) =
                    self.groups.get_mut(&replaced.group).map(|entry| &mut entry.group)
                {
                    classic::replace::on_replaced(group, &mut step, &replaced, last);
                }
            }
            Then::Downgraded { group: id, rebalance, replies } => {
                for (token, response) in replies {
                    step.reply_after(token, Some(last), response);
                }
                if let Some(Group::Classic(group)) =
                    self.groups.get_mut(&id).map(|entry| &mut entry.group)
                {
                    for member in group.member_ids() {
                        classic::rebalance::await_heartbeat(group, &mut step, &member);
                        step.cancel_consumer_member(&id, &member);
                    }
                    if rebalance {
                        classic::rebalance::prepare(group, &mut step, RebalanceReason::Leave);
                    }
                }
            }
        }
        step.done()
    }

    /// Deadlines of a group's members, as if all had just been heard of.
    fn start_sessions(&mut self, now: Now, id: &Arc<str>) {
        let mut step = self.kit.step(now);
        match self.groups.get(id).map(|entry| &entry.group) {
            Some(Group::Classic(group)) => {
                for member in group.member_ids() {
                    classic::rebalance::await_heartbeat(group, &mut step, &member);
                }
            }
            Some(Group::Consumer(group)) => {
                for member in group.members.values() {
                    let timeout_ms = match &member.classic {
                        Some(classic) => classic.session_timeout_ms,
                        None => step.config.session_timeout_ms(id),
                    };
                    let session = Timer::ConsumerSession(id.clone(), member.id.clone());
                    step.schedule(session, timeout_ms);
                    consumer::heartbeat::await_revocation(group, &mut step, member);
                }
            }
            None => {}
        }
    }

    /// Tells the figures in which state a group is now, and whether a rebalance began or ended.
    pub(crate) fn settle(&mut self, now: Now, id: &Arc<str>, cause: Option<RebalanceCause>) {
        let Some(entry) = self.groups.get_mut(id) else { return };
        let state = entry.group.state();
        if let Some(cause) = cause {
            entry.rebalances.begin(cause.reason, now.monotonic_ms);
            entry.last_cause = Some(cause);
        }
        let ended = state.is_settled().then(|| entry.rebalances.end(now.monotonic_ms)).flatten();
        if let Some(took_ms) = ended {
            self.kit.tally.rebalance_took(state, took_ms);
        }
        if entry.counted != Some(state) {
            self.kit.tally.group_moved(entry.counted, Some(state));
            entry.counted = Some(state);
        }
    }

    pub(crate) fn recount_offsets(&mut self) {
        let now = self.offsets.len();
        self.kit.tally.offsets_moved(self.counted_offsets, now);
        self.counted_offsets = now;
    }

    pub(crate) fn has_room(&self) -> bool {
        self.groups.len() < MAX_GROUPS
    }

    /// JoinGroup on a group that is there, and classic.
    pub(crate) fn join_classic(&mut self, now: Now, join: Join<'_>) -> Output {
        let id: Arc<str> = join.request.group_id.as_str().into();
        let mut step = self.kit.step(now);
        if let Some(Group::Classic(group)) = self.groups.get_mut(&id).map(|entry| &mut entry.group)
        {
            classic::join::join(group, &mut step, join);
        }
        let (output, reason) = step.done();
        self.settle(now, &id, reason);
        output
    }
}

/// An answer that needs no look at any group.
pub(crate) fn answer(token: Token, response: Response) -> Output {
    let reply = crate::event::Reply { token, after: None, response };
    Output { replies: vec![reply], write: None }
}
