//! How much may be remembered, and in which order names are left out.

/// A name that was left out is taken in again after so long, to see whether it has become smaller.
const TRY_AGAIN_MS: i64 = 60 * 60 * 1000;

/// What a name is remembered for. What is less needed is greater, and left out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Use {
    /// Alert rules read it.
    Rules,
    /// A list shows it.
    Lists,
    /// A chart draws it.
    #[default]
    Charts,
}

/// A name that is not kept.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// What it took.
    pub(super) bytes: usize,
    pub(super) since_ms: i64,
}

impl LeftOut {
    pub(super) fn is_old(&self, now_ms: i64) -> bool {
        now_ms - self.since_ms >= TRY_AGAIN_MS
    }
}

/// Bytes that there are, and bytes that are taken.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) budget: usize,
    pub(super) taken: usize,
}

impl Room {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, taken: 0 }
    }

    /// Takes so many bytes, if they are there.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.taken + bytes <= self.budget;
        if fits {
            self.taken += bytes;
        }
        fits
    }

    /// What is taken, counted anew.
    pub(super) fn count(&mut self, bytes: usize) {
        self.taken = bytes;
    }

    /// Whether with so many bytes taken the next look may find no place.
    pub(super) fn is_short(&self, bytes: usize) -> bool {
        bytes > self.budget / 8 * 7
    }

    /// Whether so many bytes are worth to be saved.
    pub(super) fn is_much(&self, bytes: usize) -> bool {
        bytes > self.budget / 100
    }

    /// Whether so many bytes would leave enough.
    pub(super) fn has(&self, bytes: usize) -> bool {
        bytes < self.budget / 4 * 3
    }
}
