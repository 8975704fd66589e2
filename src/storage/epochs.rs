//! Which leader epoch starts at which offset, kept in memory and in `leader-epoch-checkpoint`.
//!
//! Semantics of `LeaderEpochFileCache` in apache/kafka (KIP-101, KIP-279). Pure: whoever changes
//! it writes the checkpoint.

use pharos_base::{LeaderEpoch, Offset};

use crate::checkpoint::EpochEntry;

/// Epochs and their start offsets, both rising.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EpochCache(Vec<EpochEntry>);

/// An epoch and the offset after its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest known epoch that is not above the one asked for.
    pub epoch: LeaderEpoch,
    /// Offset after its last record.
    pub end_offset: Offset,
}

impl EpochCache {
    pub(crate) fn new(entries: Vec<EpochEntry>) -> Self {
        Self(entries)
    }

    pub(crate) fn entries(&self) -> &[EpochEntry] {
        &self.0
    }

    /// The epoch of the last entry.
    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.0.last().map(|entry| entry.epoch)
    }

    /// Notes that `epoch` starts at `start_offset`; `true` when that was news. Entries that
    /// contradict it (not below in epoch or offset) go.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch.0 < 0 || self.0.last().is_some_and(|last| last.epoch == epoch) {
            return false;
        }
        if self.0.iter().any(|known| known.epoch == epoch && known.start_offset <= start_offset) {
            return false;
        }
        self.0.retain(|known| known.epoch < epoch && known.start_offset < start_offset);
        self.0.push(EpochEntry { epoch, start_offset });
        true
    }

    /// Forgets epochs that start at or after `end`; `true` when that changed anything.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.start_offset < end);
        self.0.len() != before
    }

    /// Forgets epochs that ended before `start`; the one that holds it starts there now. `true`
    /// when that changed anything.
    pub(crate) fn truncate_from_start(&mut self, start: Offset) -> bool {
        let gone = self.0.partition_point(|entry| entry.start_offset <= start);
        let Some(last_gone) = gone.checked_sub(1) else { return false };
        let changed =
            self.0.get(last_gone).is_some_and(|e| last_gone > 0 || e.start_offset != start);
        self.0.drain(..last_gone);
        if let Some(first) = self.0.first_mut() {
            first.start_offset = start;
        }
        changed
    }

    /// End of the largest epoch not above `epoch`; `None` when nothing is known
    /// (`endOffsetFor`).
    pub(crate) fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        let latest = self.latest()?;
        if epoch.0 < 0 || epoch > latest {
            return None;
        }
        if epoch == latest {
            return Some(EpochEnd { epoch, end_offset: log_end });
        }
        let above = self.0.partition_point(|entry| entry.epoch <= epoch);
        let end_offset = self.0.get(above)?.start_offset;
        match above.checked_sub(1).and_then(|index| self.0.get(index)) {
            Some(entry) => Some(EpochEnd { epoch: entry.epoch, end_offset }),
            // An epoch before all known ones: it ended where the first known one starts.
            None => Some(EpochEnd { epoch, end_offset }),
        }
    }

    /// The epoch that wrote `offset`.
    pub(crate) fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.0.partition_point(|entry| entry.start_offset <= offset);
        Some(self.0.get(above.checked_sub(1)?)?.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> EpochCache {
        let mut cache = EpochCache::default();
        for (epoch, offset) in entries {
            cache.assign(LeaderEpoch(*epoch), Offset(*offset));
        }
        cache
    }

    #[test]
    fn ends_of_epochs() {
        let cache = cache(&[(2, 10), (4, 20), (7, 30)]);
        let cases = [
            (0, Some((0, 10))),
            (2, Some((2, 20))),
            (3, Some((2, 20))),
            (4, Some((4, 30))),
            (6, Some((4, 30))),
            (7, Some((7, 35))),
            (8, None),
            (-1, None),
        ];
        for (epoch, expected) in cases {
            let end = cache.end_of(LeaderEpoch(epoch), Offset(35));
            assert_eq!(end.map(|end| (end.epoch.0, end.end_offset.0)), expected, "{epoch}");
        }
        assert_eq!(cache.epoch_of(Offset(9)), None);
        assert_eq!(cache.epoch_of(Offset(29)), Some(LeaderEpoch(4)));
    }

    #[test]
    fn assigning_removes_what_contradicts() {
        assert_eq!(cache(&[(2, 10), (4, 20), (3, 15)]), cache(&[(2, 10), (3, 15)]));
        assert_eq!(cache(&[(2, 10), (4, 20), (5, 20)]), cache(&[(2, 10), (5, 20)]));
        assert_eq!(cache(&[(2, 10), (2, 15)]), cache(&[(2, 10)]));
    }

    #[test]
    fn truncation_at_both_ends() {
        let mut epochs = cache(&[(2, 10), (4, 20), (7, 30)]);
        assert!(epochs.truncate_from_end(Offset(30)));
        assert_eq!(epochs, cache(&[(2, 10), (4, 20)]));
        assert!(!epochs.truncate_from_start(Offset(5)));
        assert!(epochs.truncate_from_start(Offset(15)));
        assert_eq!(epochs, cache(&[(2, 15), (4, 20)]));
        assert!(epochs.truncate_from_start(Offset(20)));
        assert_eq!(epochs, cache(&[(4, 20)]));
        assert!(epochs.truncate_from_start(Offset(22)));
        assert_eq!(epochs, cache(&[(4, 22)]));
    }
}
