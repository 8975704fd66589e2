//! Which bytes of a segment of the metadata log are sound, and where each entry lies.

use pharos_protocol::batch::{HEADER_LEN, RecordBatch};

use super::LogId;
use super::entry::begins_term;

/// One entry's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub log_id: LogId,
    pub base_offset: i64,
    pub next_offset: i64,
    /// Base offset of the segment that holds it.
    pub segment: i64,
    pub position: u64,
    pub len: u32,
}

/// A walk over a segment's batches up to the first that is not sound.
pub(super) struct Scan {
    pub next_offset: i64,
    /// Of the last batch; `None` before the first.
    pub term: Option<u64>,
    pub position: u64,
    pub slots: Vec<Slot>,
}

impl Scan {
    /// Goes on to the end of `bytes`, or says what is wrong with the batch at `position`.
    pub fn run(&mut self, bytes: &[u8], segment: i64) -> Result<(), String> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (batch, behind) = RecordBatch::split(rest).map_err(|error| error.to_string())?;
            batch.check_crc().map_err(|error| error.to_string())?;
            let header = batch.header();
            if header.base_offset != self.next_offset {
                let (found, expected) = (header.base_offset, self.next_offset);
                return Err(format!("offset {found} stands where {expected} is expected"));
            }
            let epoch = header.partition_leader_epoch;
            let term = u64::try_from(epoch).map_err(|_| format!("the epoch is {epoch}"))?;
            // A term begins with its leader's own entry: the epoch lies outside the checksum.
            if let Some(before) = self.term
                && (term < before || (term > before && !begins_term(&batch)))
            {
                return Err(format!("epoch {term} stands where {before} is expected"));
            }
            let len = batch.total_len();
            self.slots.push(Slot {
                log_id: LogId::new(openraft::CommittedLeaderId::new(term, 0), 0),
                base_offset: header.base_offset,
                next_offset: header.next_offset(),
                segment,
                position: self.position,
                len: u32::try_from(len).unwrap_or(u32::MAX),
            });
            self.next_offset = header.next_offset();
            self.term = Some(term);
            self.position += len as u64;
            rest = behind;
        }
        Ok(())
    }

    /// Whether the unsound place is followed by a batch that was written whole, later: then it is
    /// no torn write.
    pub fn sound_batch_behind(&self, bytes: &[u8]) -> bool {
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        // Not only where the unsound batch claims to end: its length may be what was damaged.
        (1..rest.len().saturating_sub(HEADER_LEN)).any(|skip| {
            let candidate = rest.get(skip..).unwrap_or_default();
            RecordBatch::split(candidate).is_ok_and(|(batch, _)| {
                batch.header().base_offset > self.next_offset - 1 && batch.check_crc().is_ok()
            })
        })
    }
}
