//! Reading: whole batches as a range of a segment's file.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use pharos_base::Offset;

use super::{Log, Segments};
use crate::error::{DamagedAt, ReadError, StorageError};
use crate::fs::{FsFile, read_full};
use crate::names;
use crate::segment::Segment;

/// Whole batches in one segment: bytes of a file that were not read yet.
#[derive(Clone)]
pub struct LogSlice {
    file: Option<Arc<dyn FsFile>>,
    position: u64,
    len: usize,
    newest: Option<i64>,
    segment: Option<Arc<Segment>>,
}

impl LogSlice {
    /// Nothing.
    pub fn empty() -> Self {
        Self { file: None, position: 0, len: 0, newest: None, segment: None }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the bytes start in the file.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The file of the operating system, for sendfile; `None` when empty or simulated.
    pub fn raw_file(&self) -> Option<&Arc<File>> {
        self.file.as_ref()?.raw()
    }

    /// The last offset in this slice; above it after a compaction at most. `None` when empty.
    pub fn newest_offset(&self) -> Option<Offset> {
        self.newest.map(Offset)
    }

    /// Reads the bytes. They stay what they were even if the log is truncated meanwhile, or the
    /// read fails with `UnexpectedEof`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn read_to_bytes(&self) -> io::Result<Bytes> {
        let Some(file) = &self.file else { return Ok(Bytes::new()) };
        let mut buf = vec![0; self.len];
        if read_full(file.as_ref(), &mut buf, self.position)? < self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Bytes::from(buf))
    }
}

impl fmt::Debug for LogSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.segment.as_ref().map(|segment| segment.base_offset);
        write!(f, "LogSlice(segment {base:?}, {} bytes at {})", self.len, self.position)
    }
}

/// What a reader asks of one segment after the other.
struct Want {
    from: i64,
    max_bytes: u64,
    upto: i64,
    min_one: bool,
}

impl Log {
    /// Whole batches from the one that holds `from`, up to `max_bytes`, of records below `upto` (the
    /// high watermark, the last stable offset or the log end). A first batch above `max_bytes` is
    /// returned if `min_one` says so. Empty when there is nothing below `upto`. Finding them may read
    /// an index and headers of batches; [`crate::fs::without_waiting`] keeps that off the disk.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] when `from` lies outside the log; [`StorageError::Damaged`] when no
    /// batch can be told where one should be. What is in a batch is not looked at.
    pub fn read(
        &self,
        from: Offset,
        max_bytes: usize,
        upto: Offset,
        min_one: bool,
    ) -> Result<LogSlice, ReadError> {
        self.check_usable()?;
        let (start, end) = (self.log_start_offset(), self.log_end_offset());
        if from < start || from > end {
            return Err(ReadError::OutOfRange { offset: from, start, end });
        }
        let upto = upto.min(end);
        if from >= upto {
            return Ok(LogSlice::empty());
        }
        let _span = tracing::debug_span!("log.read", log = %self.partition).entered();
        let want = Want { from: from.0, max_bytes: max_bytes as u64, upto: upto.0, min_one };
        loop {
            let segments = self.segments.load();
            let first = segments.partition_point(|segment| segment.base_offset <= from.0);
            let mut stale = false;
            for index in first.saturating_sub(1)..segments.len() {
                let Some(segment) = segments.get(index) else { break };
                if segment.base_offset >= upto.0 {
                    break;
                }
                let found = self.read_segment(&segments, index, &want);
                // The segment was deleted or cleaned meanwhile: look at those of now.
                stale = segment.is_retired();
                if stale {
                    break;
                }
                let path = segment.path(names::LOG);
                let found = found.map_err(|error| StorageError::io("read", &path, error));
                if let Some(slice) = self.guard(found)? {
                    return Ok(slice);
                }
            }
            if !stale {
                return Ok(LogSlice::empty());
            }
            self.check_usable()?;
            let start = self.log_start_offset();
            if from < start {
                return Err(ReadError::OutOfRange { offset: from, start, end });
            }
        }
    }

    /// `None`: nothing at or after `from` in this segment, look into the next.
    fn read_segment(
        &self,
        segments: &Segments,
        index: usize,
        want: &Want,
    ) -> io::Result<Option<LogSlice>> {
        let Some(segment) = segments.get(index) else { return Ok(None) };
        let (size, last_offset) = segment.published();
        // Whether batches at or beyond the bound may lie in this segment.
        let bounded = match (segments.get(index + 1), last_offset) {
            (Some(next), _) => next.base_offset > want.upto,
            (None, Some(last)) => last >= want.upto,
            (None, None) => self.log_end_offset().0 > want.upto,
        };
        let bound = match bounded {
            true => bound(segment, want.upto, size)?,
            false => Bound { limit: size, damage: None },
        };
        let limit = bound.limit;
        let Some(first) = segment.find(want.from, limit)? else {
            return bound.damage.map_or(Ok(None), Err);
        };
        let wanted = first.position.saturating_add(want.max_bytes);
        let (end, newest) = if wanted >= limit {
            let beyond = match segments.get(index + 1) {
                Some(next) => next.base_offset.min(want.upto),
                None => want.upto,
            };
            (limit, Some(beyond - 1))
        } else if first.end() > wanted {
            match want.min_one {
                true => (first.end(), Some(first.header.last_offset())),
                false => (first.position, None),
            }
        } else {
            segment.last_end_before(&first, wanted)?
        };
        Ok(Some(LogSlice {
            file: Some(segment.file()?),
            position: first.position,
            len: usize::try_from(end.saturating_sub(first.position)).unwrap_or(0),
            newest: newest.map(|newest| newest.min(want.upto - 1)),
            segment: Some(segment.clone()),
        }))
    }
}

/// How far a reader may look in a segment.
struct Bound {
    limit: u64,
    /// What stands there, if it is not known where the bound lies because of it.
    damage: Option<io::Error>,
}

/// Where the batch of `upto` begins. What lies before damage is before that, too.
fn bound(segment: &Segment, upto: i64, size: u64) -> io::Result<Bound> {
    match segment.find(upto, size) {
        Ok(found) => Ok(Bound { limit: found.map_or(size, |found| found.position), damage: None }),
        Err(error) => match DamagedAt::of(&error).map(|damage| damage.position) {
            Some(limit) => Ok(Bound { limit, damage: Some(error) }),
            None => Err(error),
        },
    }
}
