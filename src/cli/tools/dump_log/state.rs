//! `.snapshot`, the state of producers, and `.txnindex`, aborted transactions.

use std::path::Path;

use anyhow::{Result, bail};
use pharos_protocol::Message;
use pharos_protocol::messages::ProducerSnapshot;

use super::read;
use crate::io::Io;

/// Bytes of the version and the checksum in front of what the checksum is of.
const CHECKED_FROM: usize = 6;
/// Bytes of an aborted transaction.
const ABORTED: usize = 34;

/// Shows the state of producers; what is damaged is told on stderr, as in Kafka.
pub fn dump_producers(path: &Path, io: &mut Io<'_>) -> Result<()> {
    let bytes = read(path)?;
    let damaged =
        |what: &str| format!("Snapshot failed schema validation: {}: {what}", path.display());
    let Some((version, body)) = bytes.split_first_chunk() else {
        io.warn(damaged("it is too short"));
        return Ok(());
    };
    let snapshot = match ProducerSnapshot::decode(body, i16::from_be_bytes(*version)) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            io.warn(damaged(&error.to_string()));
            return Ok(());
        }
    };
    let computed = crc32c::crc32c(bytes.get(CHECKED_FROM..).unwrap_or_default());
    if computed != snapshot.crc {
        io.warn(format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {}, computed crc: {computed}",
            snapshot.crc
        ));
        return Ok(());
    }
    for entry in &snapshot.producer_entries {
        let first = match entry.current_txn_first_offset {
            first if first < 0 => "OptionalLong.empty".to_owned(),
            first => format!("OptionalLong[{first}]"),
        };
        let mut line = format!(
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {first} \
             lastTimestamp: {}",
            entry.producer_id, entry.epoch, entry.coordinator_epoch, entry.timestamp
        );
        if entry.last_offset >= 0 {
            line.push_str(&format!(
                " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                first_sequence(entry.last_sequence, entry.offset_delta),
                entry.last_sequence,
                entry.last_offset,
                entry.offset_delta,
                entry.timestamp
            ));
        }
        io.line(line)?;
    }
    Ok(())
}

/// Sequences begin again at 0 behind the greatest number (`DefaultRecordBatch.decrementSequence`).
fn first_sequence(last: i32, delta: i32) -> i32 {
    last.wrapping_sub(delta) & i32::MAX
}

/// Shows aborted transactions.
pub fn dump_aborted(path: &Path, io: &mut Io<'_>) -> Result<()> {
    let bytes = read(path)?;
    let (entries, rest) = bytes.as_chunks::<ABORTED>();
    for entry in entries {
        let (version, numbers) = entry.split_at(2);
        let version = version.iter().fold(0, |n, byte| n << 8 | i32::from(*byte));
        let (numbers, _) = numbers.as_chunks::<8>();
        let numbers: Vec<i64> = numbers.iter().map(|b| i64::from_be_bytes(*b)).collect();
        if let [producer, first, last, stable] = numbers.as_slice() {
            io.line(format!(
                "version: {version} producerId: {producer} firstOffset: {first} lastOffset: {last} \
                 lastStableOffset: {stable}"
            ))?;
        }
    }
    if !rest.is_empty() {
        bail!("{} ends inside an entry: {} bytes too many", path.display(), rest.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::first_sequence;

    #[test]
    fn sequences_wrap() {
        assert_eq!((first_sequence(9, 4), first_sequence(1, 3)), (5, i32::MAX - 1));
    }
}
