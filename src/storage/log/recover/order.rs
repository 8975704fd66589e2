//! Whether offsets and epochs of batches follow one another, and which batch lies when they do not.
//! Pure.
//!
//! Neither lies inside a checksum. A wrong offset is seen when the next batch comes: if the batch
//! before had jumped ahead, it was that one that lied, otherwise it is the new one. A wrong epoch is
//! one that neither the epoch checkpoint nor a neighbour supports.

use crate::epochs::EpochCache;
use crate::scan::Found;
use pharos_base::Offset;

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

/// The segment behind the one that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) base_offset: i64,
    /// Epoch of its first batch.
    pub(super) epoch: Option<i32>,
}

/// The order of one segment's batches.
#[derive(Debug)]
pub(super) struct Order {
    /// The epochs of the checkpoint; `None` when there is no sound one.
    known: Option<EpochCache>,
    /// No gaps of offsets may be.
    dense: bool,
    /// Where the next batch begins if it is dense.
    end: Place,
    epoch: Option<i32>,
    /// Where the last batch began, if it left a gap of offsets before it.
    gap: Option<Place>,
    gaps: usize,
    /// Where the last batch began, if nothing supports its epoch yet.
    doubtful: Option<Place>,
}

impl Order {
    /// The order of a segment. `dense`: its topic was never compacted. `epoch`: of the batch before
    /// the segment.
    pub(super) fn new(
        base_offset: i64,
        dense: bool,
        known: Option<EpochCache>,
        epoch: Option<i32>,
    ) -> Self {
        Self { known, dense, end: (0, base_offset), epoch, gap: None, gaps: 0, doubtful: None }
    }

    /// Looks at the next batch.
    pub(super) fn step(&mut self, found: &Found) -> Step {
        let header = &found.header;
        let epoch = header.partition_leader_epoch;
        if header.base_offset < self.end.1 {
            return self.stop(self.gap);
        }
        let falls = self.epoch.is_some_and(|before| epoch < before);
        // Without a checkpoint a rise is believed unless the next epoch falls again.
        let changes = self.epoch != Some(epoch) && (falls || self.known.is_some());
        if changes && self.doubtful.is_some() {
            return self.stop(self.doubtful);
        }
        if falls {
            return Step::Stop;
        }
        let gap = header.base_offset > self.end.1;
        if gap && self.dense {
            return Step::Stop;
        }
        self.gap = gap.then_some(self.end);
        self.gaps += usize::from(gap);
        let supported = self.epoch == Some(epoch) || self.is_known(epoch, header.base_offset);
        self.doubtful = (!supported).then_some(self.end);
        self.epoch = Some(epoch);
        self.end = (found.end(), header.next_offset());
        Step::Go
    }

    /// Whether the checkpoint says that this epoch wrote `offset`. Of what lies before the log start
    /// it only knows that no later epoch did.
    fn is_known(&self, epoch: i32, offset: i64) -> bool {
        let Some(known) = &self.known else { return false };
        match known.epoch_of(Offset(offset)) {
            Some(wrote) => wrote.0 == epoch,
            None => known.entries().first().is_some_and(|first| epoch <= first.epoch.0),
        }
    }

    fn stop(&mut self, liar: Option<Place>) -> Step {
        self.end = liar.unwrap_or(self.end);
        self.doubtful = None;
        Step::Stop
    }

    /// All batches were seen; `next` is what comes behind the segment, if anything does.
    pub(super) fn finish(&mut self, next: Option<Next>) {
        // Cleaning leaves gaps, but not in the active segment; a follower of a cleaned log may have
        // some there, and fetches again what is cut.
        let jumped = match &next {
            Some(next) => self.end.1 > next.base_offset,
            None => self.gaps == 1,
        };
        let trusting = self.known.is_none();
        let supported = match next.and_then(|next| next.epoch) {
            Some(next) => self.epoch == Some(next) || trusting && self.epoch < Some(next),
            None => trusting,
        };
        if jumped && self.gap.is_some() {
            self.stop(self.gap);
        } else if !supported {
            self.stop(self.doubtful);
        }
    }

    /// Epoch of the last batch.
    pub(super) fn epoch(&self) -> Option<i32> {
        self.epoch
    }

    /// Where the sound part ends.
    pub(super) fn sound_end(&self) -> Place {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_base::LeaderEpoch;
    use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord, RecordBatch};

    /// Offsets and epochs of batches with one record each; where the sound part ends.
    fn run(batches: &[(i64, i32)], known: Option<&[(i32, i64)]>, dense: bool) -> i64 {
        let known = known.map(|entries| {
            let mut cache = EpochCache::default();
            for (epoch, start) in entries {
                cache.assign(LeaderEpoch(*epoch), Offset(*start));
            }
            cache
        });
        let mut order = Order::new(0, dense, known, None);
        let mut position = 0;
        for (base_offset, epoch) in batches {
            let options = BatchOptions {
                base_offset: *base_offset,
                partition_leader_epoch: *epoch,
                ..BatchOptions::default()
            };
            let mut builder = BatchBuilder::new(options);
            builder.push(&NewRecord::default()).unwrap();
            let bytes = builder.build().unwrap();
            let header = *RecordBatch::split(&bytes).unwrap().0.header();
            let found = Found { position, header };
            position = found.end();
            if order.step(&found) == Step::Stop {
                return order.sound_end().1;
            }
        }
        order.finish(None);
        order.sound_end().1
    }

    #[test]
    fn who_lies() {
        let known = Some(&[(0, 0), (3, 2)][..]);
        type Case<'a> = (&'a [(i64, i32)], Option<&'a [(i32, i64)]>, bool, i64);
        let cases: [Case<'_>; 13] = [
            (&[(0, 0), (1, 0), (2, 3), (3, 3)], known, true, 4),
            (&[(0, 0), (1, 0), (9, 3), (3, 3)], known, false, 2),
            (&[(0, 0), (1, 0), (2, 3), (1, 3)], known, false, 3),
            (&[(0, 0), (1, 0), (2, 3), (5, 3)], known, true, 3),
            (&[(0, 0), (1, 0), (2, 3), (5, 3)], known, false, 3),
            (&[(0, 0), (1, 0), (4, 3), (7, 3)], known, false, 8),
            // Wrong epochs: first, in the middle, last; above and below.
            (&[(0, 8), (1, 0), (2, 3), (3, 3)], known, true, 0),
            (&[(0, 0), (1, 8), (2, 3), (3, 3)], known, true, 1),
            (&[(0, 0), (1, 0), (2, 2), (3, 3)], known, true, 2),
            (&[(0, 0), (1, 0), (2, 3), (3, 8)], known, true, 3),
            // A wrong checkpoint yields to neighbours that agree.
            (&[(0, 0), (1, 0), (2, 4), (3, 4)], known, true, 4),
            (&[(0, 0), (1, 0), (2, 4), (3, 4)], None, true, 4),
            (&[(0, 0), (1, 0), (2, 0), (3, 3)], None, true, 4),
        ];
        for (batches, known, dense, expected) in cases {
            assert_eq!(run(batches, known, dense), expected, "{batches:?} {known:?} {dense}");
        }
    }
}
