//! The hands of a transition: what it may look at, and where its effects are collected.

use std::cell::Cell;
use std::sync::Arc;

use crate::config::Config;
use crate::event::{Now, Output, Reply, Then, Token, Write};
use crate::rebalances::{RebalanceCause, RebalanceReason};
use crate::record::Record;
use crate::response::Response;
use crate::timers::{Timer, Timers};
use crate::topics::Topics;
use crate::view::Tally;

/// Everything of a shard but its groups and offsets.
#[derive(Debug)]
pub(crate) struct Kit {
    pub config: Arc<Config>,
    pub topics: Arc<Topics>,
    pub timers: Timers,
    pub tally: Tally,
}

impl Kit {
    /// Lends it to one transition.
    pub(crate) fn step(&mut self, now: Now) -> Step<'_> {
        Step {
            now,
            config: &self.config,
            topics: &self.topics,
            timers: &mut self.timers,
            tally: &self.tally,
            output: Output::default(),
            blamed: Cell::new(None),
            cause: Cell::new(None),
        }
    }
}

/// A kind of deadline of one member.
type MemberTimer = fn(Arc<str>, Arc<str>) -> Timer;

/// A [`Kit`] on loan, at one moment, with what comes of it.
pub(crate) struct Step<'a> {
    pub now: Now,
    pub config: &'a Config,
    pub topics: &'a Topics,
    pub timers: &'a mut Timers,
    pub tally: &'a Tally,
    pub output: Output,
    /// The member that a rebalance comes from, should there be one.
    blamed: Cell<Option<Arc<str>>>,
    /// A rebalance that this transition set off.
    cause: Cell<Option<RebalanceCause>>,
}

impl Step<'_> {
    pub(crate) fn reply(&mut self, token: Token, response: Response) {
        self.output.replies.push(Reply { token, after: None, response });
    }

    /// A rebalance begins: counted now, or when what is written next is in the log.
    pub(crate) fn rebalances(&self, reason: RebalanceReason) {
        self.cause.set(Some(RebalanceCause { reason, member: self.blamed.take() }));
    }

    /// A rebalance that begins in this transition comes from this member.
    pub(crate) fn blames(&self, member: &str) {
        self.blamed.set(Some(member.into()));
    }

    /// The effects, and a rebalance that has begun without a write.
    pub(crate) fn done(self) -> (Output, Option<RebalanceCause>) {
        (self.output, self.cause.into_inner())
    }

    /// Answers once everything up to `after` is committed.
    pub(crate) fn reply_after(&mut self, token: Token, after: Option<i64>, response: Response) {
        self.output.replies.push(Reply { token, after, response });
    }

    /// Asks for `records` to be appended. A transition writes at most once.
    pub(crate) fn write(&mut self, records: Vec<Record>, then: Then) {
        debug_assert!(self.output.write.is_none(), "one write per transition");
        debug_assert!(!records.is_empty(), "a write has records");
        self.output.write = Some(Write { records, then, cause: self.cause.take() });
    }

    /// Writes `records` and answers when that is done; answers at once if there are none.
    pub(crate) fn write_and_reply(
        &mut self,
        records: Vec<Record>,
        token: Token,
        response: Response,
    ) {
        if records.is_empty() {
            self.reply(token, response);
        } else {
            self.write(records, Then::Reply(vec![(token, response)]));
        }
    }

    /// Sets `timer` to `delay_ms` from now.
    pub(crate) fn schedule(&mut self, timer: Timer, delay_ms: i32) {
        let at_ms = self.now.monotonic_ms.saturating_add(i64::from(delay_ms.max(0)));
        self.timers.set(timer, at_ms);
    }

    /// As [`Self::schedule`], unless the timer runs already.
    pub(crate) fn schedule_if_absent(&mut self, timer: Timer, delay_ms: i32) {
        let at_ms = self.now.monotonic_ms.saturating_add(i64::from(delay_ms.max(0)));
        self.timers.set_if_absent(timer, at_ms);
    }

    /// Stops everything that waits for a member of a consumer group.
    pub(crate) fn cancel_consumer_member(&mut self, group: &Arc<str>, member: &Arc<str>) {
        let kinds: [MemberTimer; 4] = [
            Timer::ConsumerSession,
            Timer::ConsumerRebalance,
            Timer::ConsumerJoin,
            Timer::ConsumerSync,
        ];
        for kind in kinds {
            self.timers.cancel(&kind(group.clone(), member.clone()));
        }
    }
}
