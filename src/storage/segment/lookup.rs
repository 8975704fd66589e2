//! Finding sound batches in a segment, for recovery, truncation and cleaning. What an index says is
//! checked against the batch that it points to; a wrong entry costs a longer search, nothing else.

use std::collections::VecDeque;
use std::io;

use super::{NO_TIMESTAMP, Recent, Segment, TimestampAt};
use crate::index::{AbortedTxn, OffsetEntry};
use crate::names;
use crate::scan::{Found, Scan};

impl Segment {
    /// Epoch of the first batch, if there is one.
    pub(crate) fn first_epoch(&self) -> io::Result<Option<i32>> {
        let found = self.found_at(0, self.size())?;
        Ok(found.map(|found| found.header.partition_leader_epoch))
    }

    /// The largest timestamp of the batches that end at or after `from`, and the last offset of the
    /// first batch that has it; −1 without.
    pub(crate) fn max_timestamp_from(&self, from: i64) -> io::Result<TimestampAt> {
        let known = self.max_timestamp();
        if known.offset >= from {
            return Ok(known);
        }
        let mut latest = TimestampAt { timestamp: NO_TIMESTAMP, offset: from };
        let size = self.size();
        let Some(start) = self.locate(from, size)? else { return Ok(latest) };
        let file = self.file()?;
        let mut scan = Scan::headers(file.as_ref(), start.position, size);
        while let Some(found) = scan.next()? {
            let TimestampAt { timestamp, .. } = latest;
            if found.header.max_timestamp > timestamp {
                let (timestamp, offset) = (found.header.max_timestamp, found.header.last_offset());
                latest = TimestampAt { timestamp, offset };
            }
        }
        Ok(latest)
    }

    /// The first batch that ends at or after `target`, within the first `size` bytes.
    pub(crate) fn locate(&self, target: i64, size: u64) -> io::Result<Option<Found>> {
        // Appends need the lock: it is not held while a disk may be waited for.
        let index = {
            let indexes = self.indexes.lock();
            recent_at(&indexes.recent, target).ok_or_else(|| indexes.offset.clone())
        };
        let index = match index {
            Ok(recent) => return self.found_at(recent.position, size),
            Err(index) => index,
        };
        let relative = self.relative(target);
        let order = |entry: &OffsetEntry| entry.relative_offset.cmp(&relative);
        let floor = self.with_place(|place| index.floor(place, order))?;
        let start = floor.map_or(0, |entry| u64::from(entry.position));
        let file = self.file()?;
        let mut scan = Scan::headers(file.as_ref(), self.trusted_start(start, target)?, size);
        while let Some(found) = scan.next()? {
            if found.header.last_offset() >= target {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Where a batch begins that lies about `bytes` before the end, or the first one.
    pub(crate) fn position_near_end(&self, bytes: u64) -> io::Result<u64> {
        let target = u32::try_from(self.size().saturating_sub(bytes)).unwrap_or(u32::MAX);
        let order = |entry: &OffsetEntry| entry.position.cmp(&target);
        let floor = {
            let indexes = self.indexes.lock();
            self.with_place(|place| indexes.offset.floor(place, order))?
        };
        let Some(entry) = floor else { return Ok(0) };
        let offset = self.base_offset.saturating_add(i64::from(entry.relative_offset));
        self.trusted_start(u64::from(entry.position), offset)
    }

    pub(super) fn found_at(&self, position: u64, size: u64) -> io::Result<Option<Found>> {
        let file = self.file()?;
        Scan::headers(file.as_ref(), position, size).next()
    }

    /// `position` if an index told the truth about it, or else the start: a batch that begins at or
    /// before `target` must lie there.
    fn trusted_start(&self, position: u64, target: i64) -> io::Result<u64> {
        if position == 0 {
            return Ok(0);
        }
        let sound = self.found_at(position, self.size())?.is_some_and(|found| {
            let base = found.header.base_offset;
            base >= self.base_offset && base <= target
        });
        if !sound {
            let path = self.path(names::OFFSET_INDEX);
            tracing::warn!(path = %path.display(), position, "an index entry is wrong; searching without it");
        }
        Ok(if sound { position } else { 0 })
    }

    /// The offset after the last batch, read from the file.
    pub(crate) fn read_next_offset(&self) -> io::Result<i64> {
        let size = self.size();
        let last = self.indexes.lock().offset.last();
        let start = last.map_or(0, |entry| u64::from(entry.position));
        let file = self.file()?;
        for start in [start, 0] {
            let mut scan = Scan::headers(file.as_ref(), start, size);
            let mut next = self.base_offset;
            while let Some(found) = scan.next()? {
                next = found.header.next_offset();
            }
            if !scan.is_torn() {
                return Ok(next);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Whether the index of aborted transactions holds this one.
    pub(crate) fn has_aborted(&self, entry: &AbortedTxn) -> io::Result<bool> {
        Ok(self.aborted()?.iter().any(|known| known.last_offset == entry.last_offset))
    }
}

pub(super) fn recent_at(recent: &VecDeque<Recent>, target: i64) -> Option<Recent> {
    if target < recent.front()?.base_offset {
        return None;
    }
    let index = recent.partition_point(|batch| batch.last_offset < target);
    recent.get(index).copied()
}

pub(super) fn recent_ending(recent: &VecDeque<Recent>, limit: u64) -> Option<Recent> {
    let above = recent.partition_point(|batch| batch.position + u64::from(batch.len) <= limit);
    recent.get(above.checked_sub(1)?).copied()
}
