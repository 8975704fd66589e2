//! What recovery and truncation do to a segment: cutting it, and making its indexes anew.

use std::io;
use std::sync::atomic::Ordering;

use super::{NO_TIMESTAMP, Segment};
use crate::index::Index;
use crate::scan::{Found, Scan};

impl Segment {
    /// Cuts the file to `size` bytes and the indexes to the offsets below `offset`.
    pub(crate) fn truncate(&self, size: u64, offset: i64) -> io::Result<()> {
        let mut indexes = self.indexes.lock();
        self.file()?.set_len(size)?;
        self.size.store(size, Ordering::Release);
        indexes.recent.clear();
        let last = offset - 1 - self.base_offset;
        self.with_place(|place| {
            indexes.offset.truncate(place, |e| i64::from(e.relative_offset).cmp(&last))?;
            indexes.time.truncate(place, |e| i64::from(e.relative_offset).cmp(&last))?;
            indexes.aborted.truncate(place, |e| e.last_offset.cmp(&(offset - 1)))
        })?;
        let last = indexes.offset.last().map_or(0, |entry| u64::from(entry.position));
        indexes.bytes_since_entry = size.saturating_sub(last);
        drop(indexes);
        self.first_timestamp.store(NO_TIMESTAMP, Ordering::Release);
        self.recompute_max_timestamp()
    }

    /// Finds the largest timestamp again: after a truncation, or when the time index turned out to
    /// tell of a batch that is not there (a power loss may bring back what a truncation took away).
    pub(crate) fn recompute_max_timestamp(&self) -> io::Result<()> {
        let entry = self.indexes.lock().time.last();
        let (mut timestamp, mut offset) = (NO_TIMESTAMP, self.base_offset);
        let size = self.size();
        let mut start = None;
        if let Some(entry) = entry {
            let at = self.base_offset + i64::from(entry.relative_offset);
            start = self
                .locate(at, size)?
                .filter(|found| found.header.max_timestamp == entry.timestamp);
            if start.is_some() {
                (timestamp, offset) = (entry.timestamp, at);
            }
        }
        let file = self.file()?;
        let mut scan = Scan::headers(file.as_ref(), start.map_or(0, |found| found.position), size);
        while let Some(found) = scan.next()? {
            if found.header.max_timestamp > timestamp {
                (timestamp, offset) = (found.header.max_timestamp, found.header.last_offset());
            }
        }
        self.max_timestamp.store(timestamp, Ordering::Release);
        self.offset_of_max_timestamp.store(offset, Ordering::Release);
        Ok(())
    }

    /// Empties the indexes and lets `scan` fill them again; see [`Rebuild`].
    pub(crate) fn rebuild(&self) -> io::Result<Rebuild<'_>> {
        let mut indexes = self.indexes.lock();
        self.with_place(|place| {
            // Made anew, since what is there may not even be a whole number of entries.
            indexes.offset = Index::create(place)?;
            indexes.time = Index::create(place)?;
            let stale = indexes.had_aborted_file || indexes.aborted.len() > 0;
            indexes.aborted = if stale { Index::create(place)? } else { Index::absent() };
            io::Result::Ok(())
        })?;
        indexes.bytes_since_entry = 0;
        indexes.recent.clear();
        drop(indexes);
        self.max_timestamp.store(NO_TIMESTAMP, Ordering::Release);
        self.offset_of_max_timestamp.store(self.base_offset, Ordering::Release);
        self.first_timestamp.store(NO_TIMESTAMP, Ordering::Release);
        Ok(Rebuild { segment: self })
    }
}

/// Indexes being filled again while the batches of a segment pass by.
pub(crate) struct Rebuild<'a> {
    segment: &'a Segment,
}

impl Rebuild<'_> {
    /// Takes up the next batch.
    pub(crate) fn note(&self, found: &Found, index_interval_bytes: u32) -> io::Result<()> {
        let mut indexes = self.segment.indexes.lock();
        self.segment.note(&mut indexes, found.position, &found.header, index_interval_bytes)
    }
}
