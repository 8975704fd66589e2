//! Where a group stands in one partition: what a scrape reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use pharos_base::{Clock, Offset};
use pharos_replication::Partition;

use super::oldest::Oldest;

/// A committed offset beside the partition that it is of. Shared with the series that show it.
#[derive(Debug)]
pub(super) struct Position {
    clock: Clock,
    partition: Arc<Partition>,
    committed: AtomicI64,
    oldest: Mutex<Oldest>,
    /// Up to where deleted records were counted, read or not.
    counted_to: AtomicI64,
    /// Records that were deleted unread.
    expired: AtomicU64,
}

impl Position {
    pub(super) fn new(clock: Clock, partition: Arc<Partition>, committed: Offset) -> Self {
        let counted_to = AtomicI64::new(partition.log().log_start_offset().0);
        Self {
            clock,
            partition,
            committed: AtomicI64::new(committed.0),
            oldest: Mutex::default(),
            counted_to,
            expired: AtomicU64::new(0),
        }
    }

    /// Whether the partition is still led from here.
    pub(super) fn is_led(&self) -> bool {
        self.partition.role().leads
    }

    /// Moves to `offset`. Returns as [`Self::expired`]: what was deleted before this commit was
    /// lost, although the group has passed it now.
    pub(super) fn commit(&self, offset: Offset) -> u64 {
        let unread = self.expired();
        self.committed.store(offset.0, Ordering::Release);
        unread
    }

    fn committed(&self) -> Offset {
        Offset(self.committed.load(Ordering::Acquire))
    }

    /// The first offset that may still be read.
    fn next(&self) -> Offset {
        self.committed().max(self.partition.log().log_start_offset())
    }

    /// High watermark minus the committed offset, as kafka-consumer-groups prints it.
    pub(super) fn lag(&self) -> i64 {
        self.partition.high_watermark().since(self.committed())
    }

    /// Age of the oldest record that is not committed, in seconds; 0 without one.
    pub(super) fn lag_seconds(&self) -> f64 {
        let oldest = *self.oldest.lock();
        let since = oldest.waiting_since(self.partition.log(), self.next());
        since.map_or(0.0, |ms| seconds(self.clock.now_ms().saturating_sub(ms).max(0)))
    }

    /// Finds the oldest record that waits, reading the log if need be.
    pub(super) fn resolve(&self) {
        let known = *self.oldest.lock();
        let found = known.search(self.partition.log(), self.next());
        if found != known {
            *self.oldest.lock() = found;
        }
    }

    /// How many records were deleted unread since the last call.
    pub(super) fn expired(&self) -> u64 {
        let start = self.partition.log().log_start_offset().0;
        let counted_to = self.counted_to.fetch_max(start, Ordering::AcqRel);
        let unread = start.saturating_sub(counted_to.max(self.committed().0));
        let unread = u64::try_from(unread).unwrap_or(0);
        self.expired.fetch_add(unread, Ordering::Relaxed);
        unread
    }

    /// How many records were deleted unread so far.
    pub(super) fn all_expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }
}

/// Milliseconds as seconds.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
