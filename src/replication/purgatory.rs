//! Operations that wait for a partition: fetches for bytes, produces for the high watermark.
//!
//! Every partition carries [`WatchList`]s; an operation puts itself on the lists of all the
//! partitions it waits for and holds a running count of what is still missing, so progress on one
//! partition costs a subtraction and never a re-read of the others. An operation completes exactly
//! once; its entries on other lists are removed lazily. Time-outs are the runtime's timer.
//!
//! It refuses to know what is waited for: amounts are plain numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Entries that a list may hold before finished ones are swept out of it.
const SWEEP_FROM: usize = 8;

/// The operations of one kind that wait now, over all lists.
#[derive(Clone, Debug, Default)]
pub struct Purgatory(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    entries: AtomicUsize,
    waiting: AtomicUsize,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// What was missing arrived, or the partition forced an answer.
    Completed,
    /// The time ran out first.
    TimedOut,
}

#[derive(Debug)]
struct Operation {
    missing: AtomicI64,
    done: AtomicBool,
    wake: Notify,
    counts: Arc<Counts>,
}

impl Operation {
    /// Ends the operation; true for the one caller that did.
    fn finish(&self) -> bool {
        if self.done.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.counts.waiting.fetch_sub(1, Ordering::AcqRel);
        self.wake.notify_one();
        true
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    fn subtract(&self, amount: i64) {
        if self.missing.fetch_sub(amount, Ordering::AcqRel) <= amount {
            self.finish();
        }
    }
}

impl Purgatory {
    /// Begins an operation that completes when `missing` units have arrived on its lists.
    pub fn begin(&self, missing: i64) -> Wait {
        self.0.waiting.fetch_add(1, Ordering::AcqRel);
        Wait(Arc::new(Operation {
            missing: AtomicI64::new(missing),
            done: AtomicBool::new(false),
            wake: Notify::new(),
            counts: self.0.clone(),
        }))
    }

    /// Entries on all lists, finished ones that were not swept yet included
    /// (`DelayedOperationPurgatory,name=PurgatorySize`).
    pub fn size(&self) -> usize {
        self.0.entries.load(Ordering::Acquire)
    }

    /// Operations that wait now (`DelayedOperationPurgatory,name=NumDelayedOperations`).
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Acquire)
    }
}

/// One waiting operation. Dropping it ends the wait.
#[derive(Debug)]
pub struct Wait(Arc<Operation>);

impl Wait {
    /// Takes `amount` off what is missing: what the caller found after it put itself on the lists.
    pub fn credit(&self, amount: i64) {
        self.0.subtract(amount);
    }

    /// Waits until the operation completes, `limit` at most.
    pub async fn run(self, limit: Duration) -> Waited {
        if self.0.is_done() {
            return Waited::Completed;
        }
        match tokio::time::timeout(limit, self.0.wake.notified()).await {
            Ok(()) => Waited::Completed,
            // The last moment may have completed it after all.
            Err(_) if !self.0.finish() => Waited::Completed,
            Err(_) => Waited::TimedOut,
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The operations that wait for one partition.
#[derive(Debug, Default)]
pub struct WatchList(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    list: Vec<Entry>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Entry {
    operation: Arc<Operation>,
    threshold: i64,
}

impl Entries {
    fn sweep(&mut self) {
        let before = self.list.len();
        let counts = self.list.first().map(|entry| entry.operation.counts.clone());
        self.list.retain(|entry| !entry.operation.is_done());
        if let Some(counts) = counts {
            counts.entries.fetch_sub(before - self.list.len(), Ordering::AcqRel);
        }
        self.sweep_at = (self.list.len() * 2).max(SWEEP_FROM);
        if self.list.is_empty() {
            self.list = Vec::new();
        }
    }
}

impl WatchList {
    /// Puts `wait` on this list. `threshold` is the value that [`WatchList::reached`] compares
    /// with; operations that count amounts pass 0.
    ///
    /// Whoever watches looks once more at the partition afterwards: what happened before the entry
    /// stood on the list woke nobody.
    pub fn watch(&self, wait: &Wait, threshold: i64) {
        let mut entries = self.0.lock();
        if entries.list.len() >= entries.sweep_at.max(SWEEP_FROM) {
            entries.sweep();
        }
        wait.0.counts.entries.fetch_add(1, Ordering::AcqRel);
        entries.list.push(Entry { operation: wait.0.clone(), threshold });
    }

    /// Tells every waiting operation that `amount` more has arrived.
    pub fn arrived(&self, amount: i64) {
        let mut entries = self.0.lock();
        if entries.list.is_empty() {
            return;
        }
        for entry in &entries.list {
            entry.operation.subtract(amount);
        }
        entries.sweep();
    }

    /// Takes one off each operation whose threshold is at most `value`, once per entry.
    pub fn reached(&self, value: i64) {
        let mut entries = self.0.lock();
        if entries.list.is_empty() {
            return;
        }
        let mut removed = 0;
        let counts = entries.list.first().map(|entry| entry.operation.counts.clone());
        entries.list.retain(|entry| {
            let reached = entry.threshold <= value;
            if reached {
                entry.operation.subtract(1);
                removed += 1;
            }
            !reached
        });
        if let Some(counts) = counts {
            counts.entries.fetch_sub(removed, Ordering::AcqRel);
        }
    }

    /// Completes every operation on the list: the partition changed so that waiting on is wrong.
    pub fn force(&self) {
        let mut entries = self.0.lock();
        for entry in &entries.list {
            entry.operation.finish();
        }
        entries.sweep();
    }
}

impl Drop for WatchList {
    fn drop(&mut self) {
        self.force();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn an_operation_completes_when_its_lists_bring_what_is_missing() {
        let purgatory = Purgatory::default();
        let (first, second) = (WatchList::default(), WatchList::default());
        let wait = purgatory.begin(100);
        first.watch(&wait, 0);
        second.watch(&wait, 0);
        assert_eq!((purgatory.size(), purgatory.waiting()), (2, 1));
        first.arrived(60);
        assert_eq!(purgatory.waiting(), 1);
        second.arrived(40);
        assert_eq!(wait.run(LONG).await, Waited::Completed);
        first.arrived(1);
        assert_eq!((purgatory.size(), purgatory.waiting()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn thresholds_count_once_per_list() {
        let purgatory = Purgatory::default();
        let (first, second) = (WatchList::default(), WatchList::default());
        let wait = purgatory.begin(2);
        first.watch(&wait, 10);
        second.watch(&wait, 20);
        first.reached(9);
        first.reached(10);
        first.reached(11);
        assert_eq!(purgatory.waiting(), 1);
        second.reached(25);
        assert_eq!(purgatory.waiting(), 0);
        assert_eq!(purgatory.size(), 0);
        assert_eq!(wait.run(LONG).await, Waited::Completed);
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_out_and_dropping_cancels() {
        let purgatory = Purgatory::default();
        let list = WatchList::default();
        let wait = purgatory.begin(1);
        list.watch(&wait, 0);
        assert_eq!(wait.run(Duration::from_millis(500)).await, Waited::TimedOut);
        let wait = purgatory.begin(1);
        list.watch(&wait, 0);
        drop(wait);
        assert_eq!(purgatory.waiting(), 0);
        list.force();
        assert_eq!(purgatory.size(), 0);
    }

    #[test]
    fn an_idle_list_does_not_grow_with_finished_operations() {
        let purgatory = Purgatory::default();
        let list = WatchList::default();
        for _ in 0..10_000 {
            let wait = purgatory.begin(1);
            list.watch(&wait, 0);
        }
        assert!(purgatory.size() <= 2 * SWEEP_FROM, "{}", purgatory.size());
    }

    #[tokio::test(start_paused = true)]
    async fn a_credit_after_watching_completes_at_once() {
        let purgatory = Purgatory::default();
        let wait = purgatory.begin(5);
        wait.credit(5);
        assert_eq!(wait.run(LONG).await, Waited::Completed);
    }
}
