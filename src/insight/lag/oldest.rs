//! The oldest record that a group has not committed, and since when it waits.
//!
//! Only data records count: control batches, records of aborted transactions and offsets that
//! compaction emptied make nobody wait. Finding out may read the log, so [`search`] runs when a
//! commit or the log start has moved, and its answer is kept in an [`Oldest`]. What was appended
//! after the last search is dated by the log's index of append times, which is in memory.

use std::os::unix::fs::FileExt;
use std::time::UNIX_EPOCH;

use pharos_base::Offset;
use pharos_protocol::batch::{BatchHeader, HEADER_LEN, RecordBatch, TimestampType};
use pharos_storage::{Log, LogSlice};

/// Batches that one search looks at; the next search goes on from there.
const MAX_BATCHES_PER_SEARCH: usize = 256;
/// Largest decompressed size of a batch that is opened to see which records compaction left.
const MAX_BATCH_BYTES: u64 = 64 << 20;

/// What is known of the records from some offset on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oldest {
    /// Where the search began.
    from: i64,
    /// No data record lies in `from..searched_to`.
    searched_to: i64,
    found: Option<Waiting>,
}

/// A stretch of records that were appended together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    /// The last offset that shares the time of append.
    last_offset: i64,
    appended_ms: i64,
}

/// What may be concluded without reading the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// No record waits.
    Nothing,
    /// The oldest record waits since then.
    Since(i64),
    /// Nothing is known of the records from this offset on.
    Unknown(i64),
}

impl Oldest {
    fn answer(&self, from: i64, high_watermark: i64) -> Answer {
        if from >= high_watermark {
            return Answer::Nothing;
        }
        if from < self.from {
            return Answer::Unknown(from);
        }
        match self.found {
            Some(found) if from <= found.last_offset => Answer::Since(found.appended_ms),
            Some(_) => Answer::Unknown(from),
            None if self.searched_to >= high_watermark => Answer::Nothing,
            None => Answer::Unknown(from.max(self.searched_to)),
        }
    }

    /// Since when the oldest data record at or after `from` waits, in ms since 1970; `None` when
    /// none waits. Reads no log.
    pub(crate) fn waiting_since(&self, log: &Log, from: Offset) -> Option<i64> {
        match self.answer(from.0, log.high_watermark().0) {
            Answer::Nothing => None,
            Answer::Since(appended_ms) => Some(appended_ms),
            Answer::Unknown(offset) => {
                Some(log.append_time_at(Offset(offset)).unwrap_or(log.opened_ms()))
            }
        }
    }

    /// Brings the knowledge up to the high watermark. May read the log.
    pub(crate) fn search(self, log: &Log, from: Offset) -> Self {
        let high_watermark = log.high_watermark();
        match self.answer(from.0, high_watermark.0) {
            Answer::Nothing if from >= high_watermark => {
                Self { from: from.0, searched_to: from.0, found: None }
            }
            Answer::Nothing | Answer::Since(_) => self,
            Answer::Unknown(offset) => {
                let (searched_to, found) = search(log, Offset(offset), high_watermark);
                Self { from: from.0, searched_to, found }
            }
        }
    }
}

/// Looks for the first data record in `from..upto`; tells how far it looked. What cannot be read
/// stays unknown: whoever reads records meets the same failure, and storage tells of it.
fn search(log: &Log, from: Offset, upto: Offset) -> (i64, Option<Waiting>) {
    let mut at = from;
    for _ in 0..MAX_BATCHES_PER_SEARCH {
        if at >= upto {
            break;
        }
        let Ok(slice) = log.read(at, 0, upto, true) else { break };
        if slice.is_empty() {
            // Compaction left nothing up to there.
            return (upto.0, None);
        }
        let Some(header) = header_of(&slice) else { break };
        if let Some(last_offset) = data_from(log, &header, &slice, at) {
            let appended_ms = appended_ms(log, &header, &slice);
            return (at.0, Some(Waiting { last_offset, appended_ms }));
        }
        at = Offset(header.next_offset()).max(at.plus(1));
    }
    (at.0, None)
}

fn header_of(slice: &LogSlice) -> Option<BatchHeader> {
    let Some(file) = slice.raw_file() else {
        return BatchHeader::read(&slice.read_to_bytes().ok()?).ok();
    };
    let mut bytes = [0; HEADER_LEN];
    file.read_exact_at(&mut bytes, slice.position()).ok()?;
    BatchHeader::read(&bytes).ok()
}

/// Whether the batch holds a data record at or after `from`; if so, the last offset of which that
/// is certain.
fn data_from(log: &Log, header: &BatchHeader, slice: &LogSlice, from: Offset) -> Option<i64> {
    if header.is_control() || header.count == 0 || is_aborted(log, header) {
        return None;
    }
    if header.count.checked_sub(1) == Some(header.last_offset_delta) {
        return Some(header.last_offset());
    }
    // Compaction took records out of it.
    if header.base_offset >= from.0 {
        return Some(header.base_offset.max(from.0));
    }
    let bytes = slice.read_to_bytes().ok()?;
    let (batch, _) = RecordBatch::split(&bytes).ok()?;
    let open = batch.open(MAX_BATCH_BYTES).ok()?;
    let first = open.records().map_while(Result::ok).find(|record| record.offset >= from.0);
    first.map(|record| record.offset)
}

fn is_aborted(log: &Log, header: &BatchHeader) -> bool {
    if !header.is_transactional() {
        return false;
    }
    let (first, next) = (header.base_offset, header.next_offset());
    // The index is by transactions: one that begins before the batch may end behind it.
    let aborted = log.aborted_transactions(Offset(first), Offset(next)).unwrap_or_default();
    aborted.iter().any(|of| {
        of.producer_id == header.producer_id && of.first_offset <= first && first <= of.last_offset
    })
}

/// When a batch was appended: by its own timestamp if that is the broker's; else by the log's
/// index; for what is older than this process by the file, which was not written later than that.
fn appended_ms(log: &Log, header: &BatchHeader, slice: &LogSlice) -> i64 {
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return header.max_timestamp;
    }
    log.append_time_at(Offset(header.base_offset)).unwrap_or_else(|| {
        let modified = slice.raw_file().and_then(|file| file.metadata().ok()?.modified().ok());
        let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified_ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
        modified_ms.map_or(log.opened_ms(), |ms| ms.min(log.opened_ms()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_without_reading() {
        let clean = Oldest { from: 10, searched_to: 12, found: None };
        let waiting = Waiting { last_offset: 20, appended_ms: 7 };
        let found = Oldest { from: 10, searched_to: 12, found: Some(waiting) };
        let cases = [
            (clean, 10, 10, Answer::Nothing),
            (clean, 10, 12, Answer::Nothing),
            (clean, 11, 13, Answer::Unknown(12)),
            (clean, 13, 14, Answer::Unknown(13)),
            (clean, 9, 12, Answer::Unknown(9)),
            (found, 10, 30, Answer::Since(7)),
            (found, 20, 30, Answer::Since(7)),
            (found, 21, 30, Answer::Unknown(21)),
            (found, 9, 30, Answer::Unknown(9)),
            (found, 30, 30, Answer::Nothing),
        ];
        for (oldest, from, high_watermark, expected) in cases {
            assert_eq!(oldest.answer(from, high_watermark), expected, "{oldest:?} {from}");
        }
    }
}
