//! `.index` and `.timeindex`: their entries, checked against the log beside them.

use std::path::Path;

use anyhow::{Result, bail};
use pharos_protocol::batch::RecordBatch;

use super::batches::Batches;
use super::log::MAX_UNCOMPRESSED_BYTES;
use super::{Findings, absolute, base_offset, read};
use crate::args::Args;
use crate::io::Io;

/// Bytes of an entry: relative offset and position.
const ENTRY: usize = 8;
/// Bytes of an entry: timestamp and relative offset.
const TIME_ENTRY: usize = 12;

/// Offset and position of each entry.
fn entries(path: &Path, base: i64) -> Result<Vec<(i64, u64)>> {
    let bytes = read(path)?;
    let (entries, rest) = bytes.as_chunks::<ENTRY>();
    check_length("Index", path, &bytes, rest, ENTRY)?;
    let entry = |[a, b, c, d, e, f, g, h]: &[u8; ENTRY]| {
        let relative = i32::from_be_bytes([*a, *b, *c, *d]);
        (base.saturating_add(i64::from(relative)), u64::from(u32::from_be_bytes([*e, *f, *g, *h])))
    };
    Ok(entries.iter().map(entry).collect())
}

/// Timestamp and offset of each entry.
fn time_entries(path: &Path, base: i64) -> Result<Vec<(i64, i64)>> {
    let bytes = read(path)?;
    let (entries, rest) = bytes.as_chunks::<TIME_ENTRY>();
    check_length("Time index", path, &bytes, rest, TIME_ENTRY)?;
    let entry = |bytes: &[u8; TIME_ENTRY]| {
        let [t0, t1, t2, t3, t4, t5, t6, t7, a, b, c, d] = *bytes;
        let timestamp = i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        (timestamp, base.saturating_add(i64::from(i32::from_be_bytes([a, b, c, d]))))
    };
    Ok(entries.iter().map(entry).collect())
}

fn check_length(kind: &str, path: &Path, all: &[u8], rest: &[u8], entry: usize) -> Result<()> {
    if rest.is_empty() {
        return Ok(());
    }
    bail!(
        "{kind} file {} is corrupt, found {} bytes which is neither positive nor a multiple of \
         {entry}.",
        absolute(path),
        all.len()
    )
}

/// Shows an offset index.
pub fn dump(path: &Path, args: &Args, findings: &mut Findings, io: &mut Io<'_>) -> Result<()> {
    let base = base_offset(path)?;
    let entries = entries(path, base)?;
    let Some((last, _)) = entries.last() else {
        return Ok(io.line(format!("{} is empty.", path.display()))?);
    };
    if args.has("index-sanity-check") {
        if *last < base {
            bail!(
                "Corrupt index found, index file ({}) has non-zero size but the last offset is \
                 {last} which is less than the base offset {base}.",
                absolute(path)
            );
        }
        return Ok(io.line(format!("{} passed sanity check.", path.display()))?);
    }
    let log = path.with_extension("log");
    for (number, (offset, position)) in entries.iter().enumerate() {
        // Files are filled with zeros up to their full size while the segment is active.
        if *offset == base && number > 0 {
            break;
        }
        let found = Batches::open(&log, *position, u64::MAX)?.next()?;
        let found = found.as_ref().and_then(|(_, bytes)| RecordBatch::split(bytes).ok());
        let Some((batch, _)) = found else {
            bail!(
                "{} names position {position}, where {} has no batch",
                path.display(),
                log.display()
            )
        };
        let last_offset = batch.header().last_offset();
        if last_offset != *offset {
            findings.add(
                format!("Mismatches in :{}", absolute(path)),
                format!("  Index offset: {offset}, log offset: {last_offset}"),
            );
        }
        if !args.has("verify-index-only") {
            io.line(format!("offset: {offset} position: {position}"))?;
        }
    }
    Ok(())
}

/// Shows a time index.
pub fn dump_times(
    path: &Path,
    args: &Args,
    findings: &mut Findings,
    io: &mut Io<'_>,
) -> Result<()> {
    let base = base_offset(path)?;
    let entries = time_entries(path, base)?;
    if args.has("index-sanity-check") {
        check_order(path, base, &entries)?;
        return Ok(io.line(format!("{} passed sanity check.", path.display()))?);
    }
    let positions = self::entries(&path.with_extension("index"), base).unwrap_or_default();
    let mut before = -1;
    for (number, (timestamp, offset)) in entries.iter().enumerate() {
        if *offset == base && number > 0 {
            break;
        }
        let from = positions.iter().rev().find(|(indexed, _)| indexed <= offset);
        let from = from.map_or(0, |(_, position)| *position);
        match batch_at(&path.with_extension("log"), from, *offset)? {
            Some((last_offset, newest)) if last_offset == *offset => {
                if newest != *timestamp {
                    findings.add(
                        format!("Found timestamp mismatch in :{}", absolute(path)),
                        format!("  Index timestamp: {timestamp}, log timestamp: {newest}"),
                    );
                }
                if before >= *timestamp {
                    findings.add(
                        format!("Found out of order timestamp in :{}", absolute(path)),
                        format!(
                            "  Index timestamp: {timestamp}, Previously indexed timestamp: {before}"
                        ),
                    );
                }
            }
            other => findings.add(
                format!("The following indexed offsets are not found in :{}", absolute(path)),
                format!(
                    "Indexed offset: {offset}, found log offset: {}",
                    other.map_or(-1, |(last_offset, _)| last_offset)
                ),
            ),
        }
        if !args.has("verify-index-only") {
            io.line(format!("timestamp: {timestamp} offset: {offset}"))?;
        }
        before = *timestamp;
    }
    Ok(())
}

/// Last offset and newest timestamp of the first batch from `position` on that reaches `offset`.
fn batch_at(log: &Path, position: u64, offset: i64) -> Result<Option<(i64, i64)>> {
    let mut batches = Batches::open(log, position, u64::MAX)?;
    while let Some((_, bytes)) = batches.next()? {
        let Ok((batch, _)) = RecordBatch::split(&bytes) else { break };
        let last_offset = batch.header().last_offset();
        if last_offset >= offset {
            let open = batch.open(MAX_UNCOMPRESSED_BYTES)?;
            let newest = open.records().flatten().map(|record| record.timestamp).max();
            return Ok(Some((last_offset, newest.unwrap_or(-1))));
        }
    }
    Ok(None)
}

/// What a broker checks when it opens the file.
fn check_order(path: &Path, base: i64, entries: &[(i64, i64)]) -> Result<()> {
    let (Some((first_time, _)), Some((last_time, last_offset))) = (entries.first(), entries.last())
    else {
        return Ok(());
    };
    let found = format!(
        "Corrupt time index found, time index file ({}) has non-zero size but the last",
        absolute(path)
    );
    if last_time < first_time {
        bail!(
            "{found} timestamp is {last_time} which is less than the first timestamp {first_time}"
        );
    }
    if *last_offset < base {
        bail!("{found} offset is {last_offset} which is less than the first offset {base}");
    }
    Ok(())
}
