//! Finding batches for whoever reads records, by offset and by timestamp. Damage on the way is told as
//! Kafka tells it; an index that lies costs a longer search, nothing else.

use std::io;

use super::Segment;
use super::frames::{Frame, Frames};
use super::lookup::{recent_at, recent_ending};
use crate::error::DamagedAt;
use crate::index::{OffsetEntry, TimeEntry};
use crate::names;
use crate::scan::Found;
use crate::stamp::is_sane;

/// What a search by timestamp came to.
#[derive(Debug)]
pub(crate) enum Sought {
    /// A batch that claims to hold it.
    Batch(Found),
    /// There is none.
    Nothing,
    /// There is none before a batch that is not whole, behind which nobody can look.
    Cut,
}

impl Segment {
    /// The first batch that ends at or after `target`, within the first `size` bytes
    /// (`FileRecords.searchForOffsetFromPosition` in apache/kafka: what batches claim of their last
    /// offsets is only asked where it matters).
    pub(crate) fn find(&self, target: i64, size: u64) -> io::Result<Option<Found>> {
        // Appends need the lock: it is not held while a disk may be waited for.
        let index = {
            let indexes = self.indexes.lock();
            recent_at(&indexes.recent, target).ok_or_else(|| indexes.offset.clone())
        };
        let file = self.file()?;
        let index = match index {
            Ok(recent) => {
                let mut frames = Frames::new(file.as_ref(), recent.position, size);
                return frames.next()?.map(|frame| frames.header(&frame)).transpose();
            }
            Err(index) => index,
        };
        let relative = self.relative(target);
        let order = |entry: &OffsetEntry| entry.relative_offset.cmp(&relative);
        let floor = self.with_place(|place| index.floor(place, order))?;
        let start = self.start(floor.map(|entry| entry.position), target)?;
        let mut frames = Frames::new(file.as_ref(), start, size);
        let mut before: Option<Frame> = None;
        let at = loop {
            match frames.next()? {
                Some(frame) if frame.base_offset < target => before = Some(frame),
                at => break at,
            }
        };
        let exact = at.filter(|frame| frame.base_offset == target);
        if let (None, Some(before)) = (exact, before) {
            let found = frames.header(&before)?;
            if found.header.last_offset() >= target {
                return Ok(Some(found));
            }
        }
        at.map(|frame| frames.header(&frame)).transpose()
    }

    /// `position` if an index told the truth about it, or else the start: a batch that begins at or
    /// before `target` must lie there. If it is the batch that is damaged, the search from the start
    /// comes to it.
    fn start(&self, position: Option<u32>, target: i64) -> io::Result<u64> {
        let Some(position) = position.map(u64::from).filter(|position| *position > 0) else {
            return Ok(0);
        };
        if let Some(found) = self.found_at(position, self.size())? {
            let is_sound = (self.base_offset..=target).contains(&found.header.base_offset);
            if is_sound {
                return Ok(position);
            }
            let path = self.path(names::OFFSET_INDEX);
            tracing::warn!(path = %path.display(), position, "an index entry is wrong; searching without it");
        }
        Ok(0)
    }

    /// The largest end of a batch that is not above `limit`, starting from the batch at `start`, and
    /// that batch's last offset; `start`'s own position, and no offset, when the first batch does
    /// not fit. Damage ends the search: what lies before it can be read.
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
        let file = self.file()?;
        let size = self.size();
        let order = |entry: &OffsetEntry| u64::from(entry.position).cmp(&limit);
        let floor = self.with_place(|place| index.floor(place, order))?;
        // A wrong entry would end the walk at once, or lead to one that ends elsewhere than a batch.
        if let Some(floor) = floor.map(|entry| u64::from(entry.position)).filter(|at| *at > from) {
            let there = self.found_at(floor, size)?;
            if there.is_some_and(|there| there.header.base_offset > start.header.base_offset) {
                from = floor;
            }
        }
        let mut frames = Frames::new(file.as_ref(), from, size);
        let mut last = None;
        while let Some(frame) = or_damage(frames.next())? {
            if frame.end() > limit {
                break;
            }
            last = Some(frame);
        }
        let Some(last) = last else { return Ok((from, None)) };
        let newest = or_damage(frames.header(&last).map(Some))?;
        Ok((last.end(), newest.map(|found| found.header.last_offset())))
    }

    /// The first batch whose largest timestamp is at least `timestamp`, which ends at or after
    /// `from_offset` and begins at `from_position` or behind it.
    pub(crate) fn find_timestamp(
        &self,
        timestamp: i64,
        from_offset: i64,
        from_position: u64,
    ) -> io::Result<Sought> {
        let index = self.indexes.lock().time.clone();
        let order = |entry: &TimeEntry| entry.timestamp.cmp(&timestamp);
        let entry = self.with_place(|place| index.floor(place, order))?;
        let size = self.size();
        let mut start = 0;
        if let Some(entry) = entry.filter(|_| from_position == 0) {
            let offset = self.base_offset + i64::from(entry.relative_offset);
            // The entry says that this batch has exactly this timestamp; otherwise it is damaged.
            if let Some(found) = or_damage(self.find(offset, size))?
                && found.header.max_timestamp == entry.timestamp
            {
                start = found.position;
            }
        }
        let file = self.file()?;
        let mut frames = Frames::new(file.as_ref(), start.max(from_position), size);
        while let Some(frame) = frames.next()? {
            let found = frames.header(&frame)?;
            // Who claims nonsense of its offsets is opened, to see.
            let header = &found.header;
            let is_later = header.last_offset() >= from_offset || !is_sane(header);
            if header.max_timestamp >= timestamp && is_later {
                return Ok(Sought::Batch(found));
            }
        }
        Ok(if frames.is_cut() { Sought::Cut } else { Sought::Nothing })
    }
}

/// Nothing where there is damage.
fn or_damage<T>(found: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match found {
        Err(error) if DamagedAt::of(&error).is_some() => Ok(None),
        found => found,
    }
}
