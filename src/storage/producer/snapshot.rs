//! The bytes of a `.snapshot` file: producer state as of the offset in the file's name.
//!
//! Version 1 of `ProducerStateManager` in apache/kafka: int16 version, uint32 CRC-32C of what
//! follows it, int32 count, 46 bytes per producer with its last batch only.

use std::collections::VecDeque;

use super::{ProducerEntry, RememberedBatch};

const VERSION: i16 = 1;
const ENTRY_LEN: usize = 46;
/// Version and checksum.
const CRC_END: usize = 6;
const HEADER_LEN: usize = 10;

/// Writes the snapshot of `entries`.
pub(crate) fn encode(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + entries.len() * ENTRY_LEN);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    let count = i32::try_from(entries.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for entry in entries {
        let last = entry.batches.back();
        out.extend_from_slice(&entry.producer_id.to_be_bytes());
        out.extend_from_slice(&entry.epoch.to_be_bytes());
        out.extend_from_slice(&entry.last_sequence().to_be_bytes());
        out.extend_from_slice(&entry.last_offset().to_be_bytes());
        out.extend_from_slice(&last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.txn_first_offset.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc32c::crc32c(out.get(CRC_END..).unwrap_or_default());
    if let Some(field) = out.get_mut(2..CRC_END) {
        field.copy_from_slice(&crc.to_be_bytes());
    }
    out
}

/// Reads a snapshot; `None` when it is damaged or of another version.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<ProducerEntry>> {
    let version = i16::from_be_bytes(bytes.get(..2)?.try_into().ok()?);
    let crc = u32::from_be_bytes(bytes.get(2..CRC_END)?.try_into().ok()?);
    if version != VERSION || crc != crc32c::crc32c(bytes.get(CRC_END..)?) {
        return None;
    }
    let count = i32::from_be_bytes(bytes.get(CRC_END..HEADER_LEN)?.try_into().ok()?);
    let entries = bytes.get(HEADER_LEN..)?;
    if usize::try_from(count).ok()?.checked_mul(ENTRY_LEN)? != entries.len() {
        return None;
    }
    entries.chunks_exact(ENTRY_LEN).map(decode_entry).collect()
}

fn decode_entry(bytes: &[u8]) -> Option<ProducerEntry> {
    let long = |at: usize| Some(i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let int = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let epoch = i16::from_be_bytes(bytes.get(8..10)?.try_into().ok()?);
    let (last_sequence, last_offset, offset_delta) = (int(10)?, long(14)?, int(22)?);
    let (timestamp, coordinator_epoch, first) = (long(26)?, int(34)?, long(38)?);
    let mut batches = VecDeque::new();
    if last_offset >= 0 {
        batches.push_back(RememberedBatch { last_sequence, last_offset, offset_delta, timestamp });
    }
    Some(ProducerEntry {
        producer_id: long(0)?,
        epoch,
        coordinator_epoch,
        last_timestamp: timestamp,
        txn_first_offset: (first >= 0).then_some(first),
        batches,
    })
}
