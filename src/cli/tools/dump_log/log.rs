//! `.log` and `.checkpoint`: batches and their records.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use pharos_protocol::batch::{
    BatchHeader, ControlRecord, MAGIC_V2, Record, RecordBatch, sequence_plus,
};

use super::batches::Batches;
use super::{Decoder, Findings, absolute, base_offset};
use crate::args::Args;
use crate::common::timestamp_name;
use crate::io::Io;
use crate::stored;

/// Most bytes that one compressed batch may grow to.
pub const MAX_UNCOMPRESSED_BYTES: u64 = 1 << 30;

/// What is shown.
pub struct Options {
    decoder: Decoder,
    records: bool,
    content: bool,
    metadata: bool,
    max_bytes: Option<u32>,
}

impl Options {
    /// As the flags say; a decoder asks for the content of records.
    pub fn parse(args: &Args) -> Result<Self> {
        let (decoder, given) = Decoder::parse(args)?;
        let content = given || args.has("print-data-log");
        Ok(Self {
            decoder,
            records: content || args.has("deep-iteration"),
            content,
            metadata: !args.has("skip-record-metadata"),
            max_bytes: args.parsed("max-bytes")?,
        })
    }
}

/// Shows the file.
pub fn dump(
    path: &Path,
    options: &Options,
    findings: &mut Findings,
    io: &mut Io<'_>,
) -> Result<()> {
    io.line(heading(path)?)?;
    let limit = options.max_bytes.map_or(u64::MAX, u64::from);
    let mut batches = Batches::open(path, 0, limit)?;
    let mut last_offset: i64 = -1;
    while let Some((position, bytes)) = batches.next()? {
        let Ok((batch, _)) = RecordBatch::split(&bytes) else { break };
        io.line(batch_line(batch.header(), position, batch.check_crc().is_ok()))?;
        if options.records {
            for offset in records(&batch, options, io)? {
                // That the first offset must be 0 is Kafka's.
                if offset != last_offset.saturating_add(1) {
                    findings.add(
                        format!("Non-consecutive offsets in {}", absolute(path)),
                        format!("  {last_offset} is followed by {offset}"),
                    );
                }
                last_offset = offset;
            }
        }
    }
    let trailing = batches.trailing();
    if trailing > 0 && options.max_bytes.is_none() {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        io.line(format!("Found {trailing} invalid bytes at the end of {name}"))?;
    }
    Ok(())
}

fn heading(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == "bootstrap.checkpoint" {
        return Ok("KRaft bootstrap snapshot".to_owned());
    }
    let Some(snapshot) = name.strip_suffix(".checkpoint") else {
        return Ok(format!("Log starting offset: {}", base_offset(path)?));
    };
    let numbers = snapshot.split_once('-').and_then(|(offset, epoch)| {
        Some((offset.parse::<i64>().ok()?, epoch.parse::<i32>().ok()?))
    });
    match numbers {
        Some((offset, epoch)) => Ok(format!("Snapshot end offset: {offset}, epoch: {epoch}")),
        None => anyhow::bail!("{} is no snapshot: its name is not offset-epoch", path.display()),
    }
}

fn batch_line(header: &BatchHeader, position: u64, valid: bool) -> String {
    let horizon = header
        .delete_horizon_ms()
        .map_or_else(|| "OptionalLong.empty".to_owned(), |ms| format!("OptionalLong[{ms}]"));
    format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} \
         producerEpoch: {} partitionLeaderEpoch: {} isTransactional: {} isControl: {} \
         deleteHorizonMs: {horizon} position: {position} {}: {} size: {} magic: {} compresscodec: \
         {} crc: {} isvalid: {valid}",
        header.base_offset,
        header.last_offset(),
        header.count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.partition_leader_epoch,
        header.is_transactional(),
        header.is_control(),
        timestamp_name(header.timestamp_type()),
        header.max_timestamp,
        header.total_len(),
        MAGIC_V2,
        header.codec().map_or("unknown", |codec| codec.name()),
        header.crc
    )
}

/// Shows the records of a batch; returns their offsets.
fn records(batch: &RecordBatch<'_>, options: &Options, io: &mut Io<'_>) -> Result<Vec<i64>> {
    let open = match batch.open(MAX_UNCOMPRESSED_BYTES) {
        Ok(open) => open,
        Err(error) => {
            io.line(format!("| the records cannot be read: {error}"))?;
            return Ok(Vec::new());
        }
    };
    let mut offsets = Vec::new();
    for (index, record) in (0..).zip(open.records()) {
        match record {
            Ok(record) => {
                io.line(record_line(batch.header(), index, &record, options)?)?;
                offsets.push(record.offset);
            }
            Err(error) => io.line(format!("| the record cannot be read: {error}"))?,
        }
    }
    Ok(offsets)
}

fn record_line(
    header: &BatchHeader,
    index: i32,
    record: &Record<'_>,
    options: &Options,
) -> Result<String> {
    let mut parts: Vec<String> = Vec::new();
    if options.metadata {
        parts.push(metadata(header, index, record));
        if header.is_control() {
            parts.push(control(record));
        }
    }
    if options.content && !header.is_control() {
        let (key, payload) = options.decoder.read(record)?;
        parts.extend(key.map(|key| format!("key: {key}")));
        parts.extend(payload.map(|payload| format!("payload: {payload}")));
    }
    // A line of which nothing is left is empty, as Kafka's.
    Ok(if parts.is_empty() { String::new() } else { format!("| {}", parts.join(" ")) })
}

fn metadata(header: &BatchHeader, index: i32, record: &Record<'_>) -> String {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
    let keys: Vec<_> =
        record.headers.iter().map(|header| String::from_utf8_lossy(header.key)).collect();
    let sequence = match header.base_sequence {
        -1 => -1,
        base => sequence_plus(base, index),
    };
    let mut text = format!("offset: {}", record.offset);
    let _ = write!(
        text,
        " {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
        timestamp_name(header.timestamp_type()),
        record.timestamp,
        size(record.key),
        size(record.value),
        keys.join(",")
    );
    text
}

fn control(record: &Record<'_>) -> String {
    let marker = |kind: &str, epoch: i32| format!("endTxnMarker: {kind} coordinatorEpoch: {epoch}");
    let message = |shown: &str, name: &str, value: &[u8]| match stored::control(name, value) {
        Ok(data) => format!("{shown} {data}"),
        Err(error) => format!("{shown} unreadable ({error})"),
    };
    match ControlRecord::read(record.key, record.value) {
        Ok(ControlRecord::Abort { coordinator_epoch }) => marker("ABORT", coordinator_epoch),
        Ok(ControlRecord::Commit { coordinator_epoch }) => marker("COMMIT", coordinator_epoch),
        Ok(ControlRecord::LeaderChange(value)) => {
            message("LeaderChange:", "LeaderChangeMessage", value)
        }
        Ok(ControlRecord::SnapshotHeader(value)) => {
            message("SnapshotHeader", "SnapshotHeaderRecord", value)
        }
        Ok(ControlRecord::SnapshotFooter(value)) => {
            message("SnapshotFooter", "SnapshotFooterRecord", value)
        }
        Ok(ControlRecord::KRaftVersion(value)) => {
            message("KRaftVersion", "KRaftVersionRecord", value)
        }
        Ok(ControlRecord::Voters(value)) => message("KRaftVoters", "VotersRecord", value),
        Ok(ControlRecord::Unknown { kind, .. }) => format!("controlType: UNKNOWN({kind})"),
        Err(error) => format!("controlType: unreadable ({error})"),
    }
}
