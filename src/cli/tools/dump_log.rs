//! `kafka-dump-log`: what lies in segment files (org.apache.kafka.tools.DumpLogSegments).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use pharos_protocol::batch::{
    BatchHeader, ControlRecord, LOG_OVERHEAD, MAGIC_V2, Record, RecordBatch, TimestampType,
    sequence_plus,
};

use crate::args::{Args, Spec, maybe, switch, value};
use crate::io::Io;

/// Most bytes that one compressed batch may grow to.
const MAX_UNCOMPRESSED_BYTES: u64 = 1 << 30;
/// Bytes of one entry of an offset index and of a time index.
const INDEX_ENTRY: usize = 8;
const TIME_INDEX_ENTRY: usize = 12;

/// What the tool takes.
pub const SPEC: Spec = Spec {
    about: "This tool helps to parse a log file and dump its contents to the console, useful for \
            debugging a seemingly corrupt log segment.",
    commands: &[],
    flags: &[
        value("files", "String: file1, file2, ...", "The files, separated by commas."),
        switch("print-data-log", "Show the records too."),
        switch("deep-iteration", "Look into the records of each batch."),
        value("max-bytes", "Integer: size", "Read at most so many bytes of each log."),
        value("max-message-size", "Integer: size", "Without effect: batches of any size are read."),
        switch("index-sanity-check", "Only check the index files."),
        switch("verify-index-only", "Only check the index files against the log."),
        switch("skip-record-metadata", "Leave the metadata of records out."),
        maybe("offsets-decoder", "", "Decode records of __consumer_offsets (comes later)."),
        maybe(
            "transaction-log-decoder",
            "",
            "Decode records of __transaction_state (comes later).",
        ),
        maybe("cluster-metadata-decoder", "", "Decode records of the metadata log (comes later)."),
        maybe("remote-log-metadata-decoder", "", "Decode records of tiered storage (comes later)."),
        maybe("share-group-state-decoder", "", "Decode records of share groups (comes later)."),
        value("key-decoder-class", "String", "Only plain text is built in."),
        value("value-decoder-class", "String", "Only plain text is built in."),
    ],
};

/// Runs the tool.
pub fn run(args: &Args, io: &mut Io<'_>) -> Result<i32> {
    for decoder in SPEC.flags.iter().map(|flag| flag.name).filter(|name| name.ends_with("-decoder"))
    {
        if args.has(decoder) {
            bail!("--{decoder} is not here yet: decoded records come later");
        }
    }
    for file in args.required("files")?.split(',').map(str::trim) {
        io.line(format!("Dumping {file}"))?;
        let path = Path::new(file);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("log") => log(path, args, io)?,
            Some("index") => index(path, args, io)?,
            Some("timeindex") => time_index(path, args, io)?,
            _ => io.warn(format!("Ignoring unknown file {file}")),
        }
    }
    Ok(0)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn log(path: &Path, args: &Args, io: &mut Io<'_>) -> Result<()> {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let Ok(start) = name.split('-').next().unwrap_or_default().parse::<i64>() else {
        bail!("{} is no segment: its name does not begin with an offset", path.display());
    };
    io.line(format!("Log starting offset: {start}"))?;
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = file.metadata()?.len();
    let limit: u64 = args.parsed("max-bytes")?.unwrap_or(u64::MAX);
    let mut input = BufReader::new(file);
    let mut position = 0;
    while position < size.min(limit) {
        let Some(bytes) = next_batch(&mut input, size - position)? else { break };
        let Ok((batch, _)) = RecordBatch::split(&bytes) else { break };
        io.line(batch_line(batch.header(), position, batch.check_crc().is_ok()))?;
        if args.has("print-data-log") || args.has("deep-iteration") {
            records(&batch, args, io)?;
        }
        position += bytes.len() as u64;
    }
    if position < size.min(limit) {
        io.line(format!(
            "Found {} invalid bytes at the end of {}",
            size - position,
            path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
        ))?;
    }
    Ok(())
}

/// The bytes of the next batch; none when its length cannot be true. `left` bytes remain.
fn next_batch(input: &mut impl Read, left: u64) -> Result<Option<Vec<u8>>> {
    let mut front = [0; LOG_OVERHEAD];
    if left < front.len() as u64 {
        return Ok(None);
    }
    input.read_exact(&mut front)?;
    let [.., a, b, c, d] = front;
    let body = i32::from_be_bytes([a, b, c, d]);
    let Ok(body) = u64::try_from(body) else { return Ok(None) };
    if body + LOG_OVERHEAD as u64 > left {
        return Ok(None);
    }
    let mut bytes = front.to_vec();
    input.take(body).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
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
        time_name(header.timestamp_type()),
        header.max_timestamp,
        header.total_len(),
        MAGIC_V2,
        header.codec().map_or("unknown", |codec| codec.name()),
        header.crc
    )
}

fn time_name(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn records(batch: &RecordBatch<'_>, args: &Args, io: &mut Io<'_>) -> Result<()> {
    let open = match batch.open(MAX_UNCOMPRESSED_BYTES) {
        Ok(open) => open,
        Err(error) => {
            io.line(format!("| the records cannot be read: {error}"))?;
            return Ok(());
        }
    };
    for (index, record) in (0..).zip(open.records()) {
        match record {
            Ok(record) => io.line(record_line(batch.header(), index, &record, args))?,
            Err(error) => io.line(format!("| the record cannot be read: {error}"))?,
        }
    }
    Ok(())
}

fn record_line(header: &BatchHeader, index: i32, record: &Record<'_>, args: &Args) -> String {
    let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
    let mut line = String::from("|");
    if !args.has("skip-record-metadata") {
        let keys: Vec<_> =
            record.headers.iter().map(|header| String::from_utf8_lossy(header.key)).collect();
        let sequence = match header.base_sequence {
            -1 => -1,
            base => sequence_plus(base, index),
        };
        let _ = write!(
            line,
            " offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]",
            record.offset,
            time_name(header.timestamp_type()),
            record.timestamp,
            size(record.key),
            size(record.value),
            keys.join(",")
        );
    }
    if header.is_control() {
        match ControlRecord::read(record.key, record.value) {
            Ok(ControlRecord::Abort { coordinator_epoch }) => {
                let _ = write!(line, " endTxnMarker: ABORT coordinatorEpoch: {coordinator_epoch}");
            }
            Ok(ControlRecord::Commit { coordinator_epoch }) => {
                let _ = write!(line, " endTxnMarker: COMMIT coordinatorEpoch: {coordinator_epoch}");
            }
            Ok(_) => line.push_str(" controlType: metadata"),
            Err(error) => {
                let _ = write!(line, " controlType: unreadable ({error})");
            }
        }
    } else if args.has("print-data-log") {
        for (name, bytes) in [("key", record.key), ("payload", record.value)] {
            if let Some(bytes) = bytes {
                let _ = write!(line, " {name}: {}", String::from_utf8_lossy(bytes));
            }
        }
    }
    line
}

/// The offset that an index file's name begins with.
fn base_offset(path: &Path) -> i64 {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    name.parse().unwrap_or(0)
}

fn index(path: &Path, args: &Args, io: &mut Io<'_>) -> Result<()> {
    let bytes = read(path)?;
    let base = base_offset(path);
    let (entries, rest) = bytes.as_chunks::<INDEX_ENTRY>();
    let mut last = -1;
    for (number, [a, b, c, d, e, f, g, h]) in (0..).zip(entries) {
        let relative = i32::from_be_bytes([*a, *b, *c, *d]);
        let position = i32::from_be_bytes([*e, *f, *g, *h]);
        // Files are filled with zeros up to their full size while the segment is active.
        if relative <= last || (number > 0 && position == 0) {
            break;
        }
        last = relative;
        if !args.has("index-sanity-check") {
            io.line(format!("offset: {} position: {position}", base + i64::from(relative)))?;
        }
    }
    sanity(path, rest, args, io)
}

fn time_index(path: &Path, args: &Args, io: &mut Io<'_>) -> Result<()> {
    let bytes = read(path)?;
    let base = base_offset(path);
    let (entries, rest) = bytes.as_chunks::<TIME_INDEX_ENTRY>();
    let mut last = i64::MIN;
    for [t0, t1, t2, t3, t4, t5, t6, t7, a, b, c, d] in entries {
        let timestamp = i64::from_be_bytes([*t0, *t1, *t2, *t3, *t4, *t5, *t6, *t7]);
        let relative = i32::from_be_bytes([*a, *b, *c, *d]);
        if timestamp < last || (last != i64::MIN && timestamp == 0) {
            break;
        }
        last = timestamp;
        if !args.has("index-sanity-check") {
            io.line(format!("timestamp: {timestamp} offset: {}", base + i64::from(relative)))?;
        }
    }
    sanity(path, rest, args, io)
}

fn sanity(path: &Path, rest: &[u8], args: &Args, io: &mut Io<'_>) -> Result<()> {
    if !rest.is_empty() {
        bail!("{} ends inside an entry: {} bytes too many", path.display(), rest.len());
    }
    if args.has("index-sanity-check") {
        io.line(format!("{} passed sanity check.", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord};

    use crate::testing::run;

    #[test]
    fn a_segment_looks_as_kafka_prints_it() {
        let options = BatchOptions {
            partition_leader_epoch: 0,
            producer_id: 2,
            producer_epoch: 0,
            base_sequence: 0,
            ..BatchOptions::default()
        };
        let mut builder = BatchBuilder::new(options);
        for (key, value, timestamp) in
            [("k2", "v2", 1_795_258_393_215), ("k5", "v5", 1_795_258_393_216)]
        {
            let record = NewRecord {
                timestamp,
                key: Some(key.as_bytes()),
                value: Some(value.as_bytes()),
                headers: &[],
            };
            builder.push(&record).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("00000000000000000000.log");
        let mut bytes = builder.build().unwrap().to_vec();
        bytes.extend([0; 5]);
        std::fs::write(&file, bytes).unwrap();
        let ran = run(&format!("dump-log --files {} --print-data-log", file.display()), "");
        // Captured from kafka-dump-log.sh of 4.3.1, but for the torn end.
        let expected = format!(
            "Dumping {}\n\
             Log starting offset: 0\n\
             baseOffset: 0 lastOffset: 1 count: 2 baseSequence: 0 lastSequence: 1 producerId: 2 producerEpoch: 0 partitionLeaderEpoch: 0 isTransactional: false isControl: false deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 1795258393216 size: 83 magic: 2 compresscodec: none crc: 1020693890 isvalid: true\n\
             | offset: 0 CreateTime: 1795258393215 keySize: 2 valueSize: 2 sequence: 0 headerKeys: [] key: k2 payload: v2\n\
             | offset: 1 CreateTime: 1795258393216 keySize: 2 valueSize: 2 sequence: 1 headerKeys: [] key: k5 payload: v5\n\
             Found 5 invalid bytes at the end of 00000000000000000000.log\n",
            file.display()
        );
        assert_eq!((ran.code, ran.out), (0, expected));
    }

    #[test]
    fn indexes_end_where_the_zeros_begin() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("00000000000000000100.index");
        let entries: [[i32; 2]; 4] = [[0, 0], [7, 4096], [0, 0], [0, 0]];
        let bytes: Vec<u8> = entries.iter().flatten().flat_map(|n| n.to_be_bytes()).collect();
        std::fs::write(&file, bytes).unwrap();
        let ran = run(&format!("dump-log --files {}", file.display()), "");
        assert!(
            ran.out.ends_with("offset: 100 position: 0\noffset: 107 position: 4096\n"),
            "{}",
            ran.out
        );
        let ran = run("dump-log --files /nonexistent/nope.log", "");
        assert_eq!(ran.code, 1);
    }
}
