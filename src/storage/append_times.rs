//! When offsets were appended, by the broker's clock: a sparse memory that gives lag in seconds.
//!
//! At most one entry a second and a bounded number in all; older stretches become coarser instead
//! of being forgotten. Lost at a restart: then the time of the start stands for what was before.

use std::collections::VecDeque;

/// Entries kept; at most 16 bytes each.
const MAX_ENTRIES: usize = 256;
/// Least distance of two entries, in ms.
const MIN_STEP_MS: i64 = 1000;

/// Offsets with the time at which the record there was appended.
#[derive(Debug, Default)]
pub(crate) struct AppendTimes {
    entries: VecDeque<(i64, i64)>,
}

impl AppendTimes {
    /// Notes that records from `offset` on were appended at `now_ms`.
    pub(crate) fn note(&mut self, offset: i64, now_ms: i64) {
        if let Some((_, last_ms)) = self.entries.back()
            && now_ms < last_ms.saturating_add(MIN_STEP_MS)
        {
            return;
        }
        if self.entries.len() >= MAX_ENTRIES {
            self.thin_out();
        }
        self.entries.push_back((offset, now_ms));
    }

    /// Keeps the newer half as it is and every second entry of the older half.
    fn thin_out(&mut self) {
        let half = self.entries.len() / 2;
        let mut index = 0;
        self.entries.retain(|_| {
            index += 1;
            index > half || index % 2 == 1
        });
    }

    /// When the record at `offset` was appended, at most `MIN_STEP_MS` too early while it is
    /// recent; `None` when nothing is known of it.
    pub(crate) fn at(&self, offset: i64) -> Option<i64> {
        let above = self.entries.partition_point(|(known, _)| *known <= offset);
        self.entries.get(above.checked_sub(1)?).map(|(_, ms)| *ms)
    }

    /// Forgets what lies at or after `end`.
    pub(crate) fn truncate(&mut self, end: i64) {
        self.entries.retain(|(offset, _)| *offset < end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_a_second_and_no_more_than_the_limit() {
        let mut times = AppendTimes::default();
        for tick in 0..100_000i64 {
            times.note(tick, tick * 100);
        }
        assert!(times.entries.len() <= MAX_ENTRIES);
        let last = 99_999;
        assert!(last * 100 - times.at(last).unwrap() < 1000);
        assert_eq!(times.at(5), Some(0));
        assert_eq!(times.at(-1), None);
        times.truncate(10);
        assert_eq!(times.at(last), Some(0));
    }
}
