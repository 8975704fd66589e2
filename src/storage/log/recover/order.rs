//! Whether offsets and epochs of batches follow one another, and which batch lies when they do not.
//! Pure.
//!
//! A wrong offset or epoch is seen only when the next batch comes: if the batch before had jumped
//! ahead, it was that one that lied, otherwise it is the new one.

use crate::scan::Found;

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It follows.
    Go,
    /// The sound part ended, here or one batch before.
    Stop,
}

/// A place in a segment: bytes, and the offset that comes next there.
type Place = (u64, i64);

/// The order of one segment's batches.
#[derive(Debug)]
pub(super) struct Order {
    /// Where the next batch begins if it is dense.
    end: Place,
    epoch: i32,
    /// Where the last batch began, if it left a gap of offsets before it.
    gap: Option<Place>,
    /// Where the last batch began, if its epoch was above the one before.
    risen: Option<Place>,
    /// No gaps may be.
    dense: bool,
}

impl Order {
    /// The order of a segment; `dense` when its topic was never compacted.
    pub(super) fn new(base_offset: i64, dense: bool) -> Self {
        Self { end: (0, base_offset), epoch: -1, gap: None, risen: None, dense }
    }

    /// Looks at the next batch.
    pub(super) fn step(&mut self, found: &Found) -> Step {
        let header = &found.header;
        if header.base_offset < self.end.1 {
            if let Some(liar) = self.gap {
                self.end = liar;
            }
            return Step::Stop;
        }
        if header.partition_leader_epoch < self.epoch {
            if let Some(liar) = self.risen {
                self.end = liar;
            }
            return Step::Stop;
        }
        let gap = header.base_offset > self.end.1;
        if gap && self.dense {
            return Step::Stop;
        }
        self.gap = gap.then_some(self.end);
        let first = self.end.0 == 0;
        let risen = header.partition_leader_epoch > self.epoch && !first;
        self.risen = risen.then_some(self.end);
        self.epoch = header.partition_leader_epoch;
        self.end = (found.end(), header.next_offset());
        Step::Go
    }

    /// Where the sound part ends.
    pub(super) fn sound_end(&self) -> Place {
        self.end
    }
}
