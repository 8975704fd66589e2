//! What of a log is dirty, whether it should be cleaned now, and which segments become one. Pure.
//!
//! Rules of `LogCleanerManager` and `Cleaner.groupSegmentsBySize` in apache/kafka.

use std::ops::Range;

use crate::config::LogConfig;

/// What is known of one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentFacts {
    pub(crate) base_offset: i64,
    pub(crate) size: u64,
    /// Largest timestamp, or when it was made.
    pub(crate) newest_ms: i64,
    /// Timestamp of the first batch, if it has one.
    pub(crate) first_ms: Option<i64>,
}

/// What is known of one log.
#[derive(Clone, Debug)]
pub(crate) struct LogFacts {
    /// All segments by rising base offset; the last one is active.
    pub(crate) segments: Vec<SegmentFacts>,
    pub(crate) log_start: i64,
    pub(crate) log_end: i64,
    /// Where decided and replicated records end.
    pub(crate) last_stable: i64,
    /// How far it was cleaned before.
    pub(crate) cleaned_to: Option<i64>,
}

/// What could be cleaned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dirty {
    pub(crate) first_dirty: i64,
    pub(crate) first_uncleanable: i64,
    pub(crate) clean_bytes: u64,
    pub(crate) dirty_bytes: u64,
    /// How long `max.compaction.lag.ms` is overdue; 0 when it is not.
    pub(crate) overdue_ms: i64,
}

impl Dirty {
    /// Dirty part of all that is closed.
    pub(crate) fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 { 0.0 } else { self.dirty_bytes as f64 / total as f64 }
    }

    /// Whether it is time to clean.
    pub(crate) fn is_due(&self, config: &LogConfig) -> bool {
        self.dirty_bytes > 0
            && (self.overdue_ms > 0 || self.ratio() > config.min_cleanable_dirty_ratio)
    }
}

/// What of the log could be cleaned at `now_ms`.
pub(crate) fn assess(facts: &LogFacts, config: &LogConfig, now_ms: i64) -> Dirty {
    let in_range = |offset: &i64| (facts.log_start..=facts.log_end).contains(offset);
    let first_dirty = facts.cleaned_to.filter(in_range).unwrap_or(facts.log_start);
    let closed = facts.segments.split_last().map_or(&[][..], |(_, closed)| closed);
    let active_base = facts.segments.last().map_or(facts.log_end, |segment| segment.base_offset);
    let ends = closed.iter().skip(1).map(|s| s.base_offset).chain([active_base]);
    let mut first_uncleanable = active_base.min(facts.last_stable);
    if config.min_compaction_lag_ms > 0 {
        let young_from = now_ms.saturating_sub(config.min_compaction_lag_ms);
        let young = closed
            .iter()
            .zip(ends.clone())
            .find(|(segment, end)| *end > first_dirty && segment.newest_ms > young_from);
        if let Some((segment, _)) = young {
            first_uncleanable = first_uncleanable.min(segment.base_offset);
        }
    }
    let first_uncleanable = first_uncleanable.max(first_dirty);
    let mut dirty =
        Dirty { first_dirty, first_uncleanable, clean_bytes: 0, dirty_bytes: 0, overdue_ms: 0 };
    let clean_until = now_ms.saturating_sub(config.max_compaction_lag_ms);
    for (segment, end) in closed.iter().zip(ends) {
        if end <= first_dirty {
            dirty.clean_bytes += segment.size;
        } else if segment.base_offset < first_uncleanable {
            dirty.dirty_bytes += segment.size;
            let first_ms = segment.first_ms.unwrap_or(segment.newest_ms);
            dirty.overdue_ms = dirty.overdue_ms.max(clean_until.saturating_sub(first_ms));
        }
    }
    dirty
}

/// Groups the segments that begin before `end` so that each group fits into one.
pub(crate) fn group(segments: &[SegmentFacts], end: i64, config: &LogConfig) -> Vec<Range<usize>> {
    let closed = segments.len().saturating_sub(1);
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut bytes, mut base) = (0u64, 0i64);
    for (index, segment) in segments.iter().enumerate().take(closed) {
        if segment.base_offset >= end {
            break;
        }
        let next_base = segments.get(index + 1).map_or(end, |next| next.base_offset);
        let fits = bytes + segment.size <= u64::from(config.segment_bytes)
            && next_base.saturating_sub(base) <= i64::from(i32::MAX);
        match groups.last_mut() {
            Some(group) if fits => group.end = index + 1,
            _ => {
                groups.push(index..index + 1);
                (bytes, base) = (0, segment.base_offset);
            }
        }
        bytes += segment.size;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(bases: &[(i64, u64, i64)], cleaned_to: Option<i64>) -> LogFacts {
        let segment = |&(base_offset, size, newest_ms): &(i64, u64, i64)| SegmentFacts {
            base_offset,
            size,
            newest_ms,
            first_ms: Some(newest_ms - 10),
        };
        let segments = bases.iter().map(segment).collect();
        LogFacts { segments, log_start: 0, log_end: 100, last_stable: 100, cleaned_to }
    }

    #[test]
    fn dirty_ranges() {
        let logs = [(0, 100, 1000), (20, 100, 2000), (40, 100, 3000), (60, 50, 4000)];
        let config = LogConfig::default();
        let dirty = assess(&facts(&logs, None), &config, 5000);
        assert_eq!((dirty.first_dirty, dirty.first_uncleanable), (0, 60));
        assert_eq!((dirty.clean_bytes, dirty.dirty_bytes), (0, 300));
        let dirty = assess(&facts(&logs, Some(40)), &config, 5000);
        assert_eq!((dirty.clean_bytes, dirty.dirty_bytes), (200, 100));
        assert!(!dirty.is_due(&config));
        // A checkpoint out of range counts for nothing.
        assert_eq!(assess(&facts(&logs, Some(1000)), &config, 5000).first_dirty, 0);
        let lag = LogConfig { min_compaction_lag_ms: 2500, ..LogConfig::default() };
        assert_eq!(assess(&facts(&logs, None), &lag, 5000).first_uncleanable, 40);
        let lag = LogConfig { max_compaction_lag_ms: 1500, ..LogConfig::default() };
        let dirty = assess(&facts(&logs, Some(40)), &lag, 5000);
        assert_eq!(dirty.overdue_ms, 510);
        assert!(dirty.is_due(&lag));
        let undecided = LogFacts { last_stable: 30, ..facts(&logs, None) };
        assert_eq!(assess(&undecided, &config, 5000).first_uncleanable, 30);
    }

    #[test]
    fn groups_fit_into_a_segment() {
        let logs = [(0, 60, 1), (20, 30, 1), (40, 30, 1), (60, 50, 1), (80, 10, 1)];
        let config = LogConfig { segment_bytes: 100, ..LogConfig::default() };
        let segments = facts(&logs, None).segments;
        assert_eq!(group(&segments, 100, &config), [0..2, 2..4]);
        assert_eq!(group(&segments, 41, &config), [0..2, 2..3]);
    }
}
