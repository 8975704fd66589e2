//! A place of a topic in which a partition is watched: how closely, and what has come that nobody
//! looked at. Every batch moves it, so it is numbers without a lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::budget::{self, Budget, Stream};

/// Half more than what is expected is as expected.
const TOLERANCE: u64 = 2;

/// How closely a partition is looked at, and what it brought since the last tick. Partitions that are
/// written to at the same time share no cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Place {
    /// One record in so many is looked at, of as many as are expected in this second.
    stride: AtomicU32,
    expected: AtomicU64,
    records: AtomicU64,
    /// See [`super::window::Volume`].
    variance: AtomicU64,
    coarsest: AtomicU32,
    dice: AtomicU64,
}

/// What came, and how closely it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) records: u64,
    /// Variance of what sampling makes of a key's count, at most.
    pub(super) variance: u64,
    /// Largest stride.
    pub(super) coarsest: u32,
}

impl Place {
    pub(super) fn new() -> Self {
        Self {
            stride: AtomicU32::new(1),
            expected: AtomicU64::new(0),
            records: AtomicU64::new(0),
            variance: AtomicU64::new(0),
            coarsest: AtomicU32::new(0),
            dice: AtomicU64::new(0),
        }
    }

    /// A partition begins, with dice of this seed.
    pub(super) fn begin(&self, seed: u64) {
        self.stride.store(1, Ordering::Relaxed);
        self.expected.store(0, Ordering::Relaxed);
        self.drain();
        self.dice.store(seed, Ordering::Relaxed);
    }

    /// One record in how many is to be looked at of a batch of so many.
    pub(super) fn stride(&self, coming: u64, budget: &Budget) -> u32 {
        let before = self.records.load(Ordering::Relaxed);
        let expected = self.expected.load(Ordering::Relaxed);
        let stride = self.stride.load(Ordering::Relaxed);
        if before.saturating_add(coming) <= expected.saturating_add(expected / TOLERANCE) {
            return stride;
        }
        budget.stride(Stream { coming, before }).max(stride)
    }

    /// A seed for the dice of one batch.
    pub(super) fn seed(&self) -> u64 {
        self.dice.fetch_add(super::sampler::GOLDEN, Ordering::Relaxed)
    }

    /// Counts a batch.
    pub(super) fn note(&self, taken: Taken, budget: &Budget) {
        if self.records.fetch_add(taken.records, Ordering::Relaxed) == 0 {
            budget.begins();
        }
        if taken.coarsest > 1 {
            self.variance.fetch_add(taken.variance, Ordering::Relaxed);
            if self.coarsest.load(Ordering::Relaxed) < taken.coarsest {
                self.coarsest.fetch_max(taken.coarsest, Ordering::Relaxed);
            }
        }
    }

    /// What came since the last time.
    pub(super) fn drain(&self) -> Taken {
        Taken {
            records: self.records.swap(0, Ordering::Relaxed),
            variance: self.variance.swap(0, Ordering::Relaxed),
            coarsest: self.coarsest.swap(0, Ordering::Relaxed),
        }
    }

    /// Expects as many records as came in the second that is over, or half of what was expected: what
    /// pauses goes on as before. Returns how many.
    pub(super) fn expect(&self, came: u64) -> u64 {
        let expected = came.max(self.expected.load(Ordering::Relaxed) / 2);
        self.expected.store(expected, Ordering::Relaxed);
        expected
    }

    /// Looks at as many of the records that are expected as the share is.
    pub(super) fn share(&self, share: f64) {
        let expected = self.expected.load(Ordering::Relaxed);
        self.stride.store(budget::expected_stride(expected, share), Ordering::Relaxed);
    }
}
