//! Deadlines as data: what is due when, without a clock.
//!
//! A key has at most one deadline; setting it again moves it. Times are monotonic milliseconds.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

/// What a deadline is for. Group first, so that a group's deadlines lie together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A classic rebalance stops waiting for members to join.
    ClassicJoin(Arc<str>),
    /// The first rebalance of a classic group may be put off further.
    ClassicInitialJoin(Arc<str>),
    /// Members of a classic generation must have synced.
    ClassicSync(Arc<str>),
    /// A classic member must have been heard of.
    ClassicSession(Arc<str>, Arc<str>),
    /// A member of a consumer group must have been heard of.
    ConsumerSession(Arc<str>, Arc<str>),
    /// A member of a consumer group must have given up its partitions.
    ConsumerRebalance(Arc<str>, Arc<str>),
    /// A classic member of a consumer group must have joined again.
    ConsumerJoin(Arc<str>, Arc<str>),
    /// A classic member of a consumer group must have synced.
    ConsumerSync(Arc<str>, Arc<str>),
    /// Offsets that nobody uses are looked for.
    ExpireOffsets,
}

/// The deadlines of one shard.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(i64, Timer)>,
    deadlines: HashMap<Timer, i64>,
}

impl Timers {
    /// Sets the deadline of `timer` to `at_ms`, whatever it was.
    pub(crate) fn set(&mut self, timer: Timer, at_ms: i64) {
        if let Some(old) = self.deadlines.insert(timer.clone(), at_ms) {
            if old == at_ms {
                return;
            }
            self.queue.remove(&(old, timer.clone()));
        }
        self.queue.insert((at_ms, timer));
    }

    /// Sets the deadline unless there is one.
    pub(crate) fn set_if_absent(&mut self, timer: Timer, at_ms: i64) {
        if !self.deadlines.contains_key(&timer) {
            self.set(timer, at_ms);
        }
    }

    pub(crate) fn cancel(&mut self, timer: &Timer) {
        if let Some(at_ms) = self.deadlines.remove(timer) {
            self.queue.remove(&(at_ms, timer.clone()));
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<i64> {
        self.queue.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the earliest timer that is due at `now_ms`.
    pub(crate) fn pop(&mut self, now_ms: i64) -> Option<Timer> {
        if self.next()? > now_ms {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.deadlines.remove(&timer);
        Some(timer)
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.deadlines.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(group: &str) -> Timer {
        Timer::ClassicJoin(group.into())
    }

    #[test]
    fn a_timer_has_one_deadline() {
        let mut timers = Timers::default();
        timers.set(join("a"), 10);
        timers.set(join("a"), 30);
        timers.set(join("b"), 20);
        timers.set_if_absent(join("b"), 5);
        assert_eq!(timers.len(), 2);
        assert_eq!(timers.pop(19), None);
        assert_eq!(timers.pop(20), Some(join("b")));
        assert_eq!(timers.next(), Some(30));
        timers.cancel(&join("a"));
        assert_eq!(timers.next(), None);
    }
}
