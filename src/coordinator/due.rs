//! What is due: sessions, rebalances, syncs, and offsets that expire.

use crate::classic::{self, ClassicGroup};
use crate::consumer::ConsumerGroup;
use crate::dispatch::fence;
use crate::event::{Now, Output, Then};
use crate::group::Group;
use crate::list;
use crate::offsets::expire;
use crate::rebalances::RebalanceReason;
use crate::record::{Record, cut_to_batch};
use crate::shard::Shard;
use crate::step::Step;
use crate::timers::Timer;

/// When the next round of expiry follows one that was cut short.
const EXPIRE_NEXT_ROUND_MS: i64 = 1_000;

/// A group that somebody is about to join is not empty of all.
fn has_pending_joins(group: &Group) -> bool {
    match group {
        Group::Classic(group) => !group.pending_joins.is_empty(),
        Group::Consumer(_) => false,
    }
}

impl Shard {
    pub(crate) fn on_timer(&mut self, now: Now, timer: Timer) -> Output {
        let id = match &timer {
            Timer::ExpireOffsets => return self.expire(now),
            Timer::ClassicJoin(id)
            | Timer::ClassicInitialJoin(id)
            | Timer::ClassicSync(id)
            | Timer::ClassicSession(id, _)
            | Timer::ConsumerSession(id, _)
            | Timer::ConsumerRebalance(id, _)
            | Timer::ConsumerJoin(id, _)
            | Timer::ConsumerSync(id, _) => id.clone(),
        };
        let mut step = self.kit.step(now);
        match self.groups.get_mut(&id).map(|entry| &mut entry.group) {
            Some(Group::Classic(group)) => on_classic_timer(group, &mut step, &timer),
            Some(Group::Consumer(group)) => on_consumer_timer(group, &mut step, &timer),
            None => {}
        }
        let (output, reason) = step.done();
        self.settle(now, &id, reason);
        output
    }

    /// Deletes what expired, and groups that are left without anything. What does not fit
    /// one batch follows soon.
    fn expire(&mut self, now: Now) -> Output {
        let mut step = self.kit.step(now);
        let mut records: Vec<Record> = Vec::new();
        let mut delay_ms = step.config.offsets_retention_check_interval_ms;
        for (id, entry) in &self.groups {
            let (expired, nothing_left) = expire::expired(&entry.group, id, &self.offsets, &step);
            records.extend(expired);
            if nothing_left && entry.group.is_empty() && !has_pending_joins(&entry.group) {
                records.extend(list::group_tombstones(id, &entry.group));
            }
        }
        if cut_to_batch(&mut records) {
            delay_ms = EXPIRE_NEXT_ROUND_MS;
        }
        let offsets = records.iter().filter(|record| matches!(record, Record::Offset { .. }));
        step.tally.offsets_expired(offsets.count());
        let at_ms = now.monotonic_ms.saturating_add(delay_ms);
        step.timers.set(Timer::ExpireOffsets, at_ms);
        if !records.is_empty() {
            step.write(records, Then::Reply(Vec::new()));
        }
        step.output
    }
}

fn on_classic_timer(group: &mut ClassicGroup, step: &mut Step<'_>, timer: &Timer) {
    match timer {
        Timer::ClassicJoin(_) => classic::rebalance::on_join_timeout(group, step),
        Timer::ClassicInitialJoin(_) => classic::rebalance::on_initial_delay(group, step),
        Timer::ClassicSync(_) => classic::sync::on_sync_timeout(group, step),
        Timer::ClassicSession(_, member) => {
            classic::rebalance::on_session_timeout(group, step, member);
        }
        _ => {}
    }
}

fn on_consumer_timer(group: &mut ConsumerGroup, step: &mut Step<'_>, timer: &Timer) {
    let (member, why) = match timer {
        Timer::ConsumerSession(_, member) => (member, "was not heard of in time"),
        Timer::ConsumerJoin(_, member) => (member, "did not join again in time"),
        Timer::ConsumerSync(_, member) => (member, "did not sync in time"),
        Timer::ConsumerRebalance(_, member) => (member, "did not give up its partitions in time"),
        _ => return,
    };
    let Some(known) = group.members.get(member) else { return };
    if matches!(timer, Timer::ConsumerRebalance(..)) && known.revoking.is_empty() {
        return;
    }
    tracing::info!(group = %group.id, %member, "member {why}");
    let reason = match timer {
        Timer::ConsumerSession(..) => RebalanceReason::SessionTimeout,
        _ => RebalanceReason::RebalanceTimeout,
    };
    fence(group, step, member, (reason, Vec::new()));
}
