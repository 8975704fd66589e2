//! Finding batches in a segment, by offset, position and timestamp. What an index says is checked
//! against the batch that it points to; a wrong entry costs a longer search, nothing else.

use std::collections::VecDeque;
use std::io;

use super::{NO_TIMESTAMP, Recent, Segment, TimestampAt};
use crate::index::{AbortedTxn, OffsetEntry, TimeEntry};
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

    fn found_at(&self, position: u64, size: u64) -> io::Result<Option<Found>> {
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

    /// The largest end of a batch that is not above `limit`, starting from the batch at `start`, and
    /// that batch's last offset; `start`'s own position, and no offset, when the first batch does
    /// not fit.
    pub(crate) fn last_end_before(
        &self,
        start: &Found,
        limit: u64,
    ) -> io::Result<(u64, Option<i64>)> {
        let mut from = start.position;
        let index = {
            let indexes = self.indexes.lock();
            if let Some(recent) = recent_ending(&indexes.recent, limit)
                && recent.position >= start.position
            {
                return Ok((recent.position + u64::from(recent.len), Some(recent.last_offset)));
            }
            indexes.offset.clone()
        };
        let order = |entry: &OffsetEntry| u64::from(entry.position).cmp(&limit);
        if let Some(floor) = self.with_place(|place| index.floor(place, order))? {
            from = from.max(u64::from(floor.position));
        }
        // A wrong entry would end the walk at once, or lead to one that ends elsewhere than a batch.
        if from != start.position {
            let offset = start.header.base_offset;
            let sound = self
                .found_at(from, self.size())?
                .is_some_and(|found| found.header.base_offset > offset);
            if !sound {
                from = start.position;
            }
        }
        let file = self.file()?;
        let mut scan = Scan::headers(file.as_ref(), from, self.size());
        let mut last = (from, None);
        while let Some(found) = scan.next()? {
            if found.end() > limit {
                break;
            }
            last = (found.end(), Some(found.header.last_offset()));
        }
        Ok(last)
    }

    /// The first batch whose largest timestamp is at least `timestamp`, at or after `from_offset`.
    pub(crate) fn locate_timestamp(
        &self,
        timestamp: i64,
        from_offset: i64,
    ) -> io::Result<Option<Found>> {
        let index = self.indexes.lock().time.clone();
        let order = |entry: &TimeEntry| entry.timestamp.cmp(&timestamp);
        let entry = self.with_place(|place| index.floor(place, order))?;
        let size = self.size();
        let mut start = 0;
        if let Some(entry) = entry {
            let offset = self.base_offset + i64::from(entry.relative_offset);
            // The entry says that this batch has exactly this timestamp; otherwise it is damaged.
            if let Some(found) = self.locate(offset, size)?
                && found.header.max_timestamp == entry.timestamp
            {
                start = found.position;
            }
        }
        let file = self.file()?;
        let mut scan = Scan::headers(file.as_ref(), start, size);
        while let Some(found) = scan.next()? {
            if found.header.max_timestamp >= timestamp && found.header.last_offset() >= from_offset
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
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

fn recent_at(recent: &VecDeque<Recent>, target: i64) -> Option<Recent> {
    if target < recent.front()?.base_offset {
        return None;
    }
    let index = recent.partition_point(|batch| batch.last_offset < target);
    recent.get(index).copied()
}

fn recent_ending(recent: &VecDeque<Recent>, limit: u64) -> Option<Recent> {
    let above = recent.partition_point(|batch| batch.position + u64::from(batch.len) <= limit);
    recent.get(above.checked_sub(1)?).copied()
}
