//! Partition directories that Apache Kafka 4.3.1 wrote: they open here, and what is built again from
//! their batches is byte for byte what Kafka had built.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pharos_base::{Clock, LeaderEpoch, Offset, TopicPartition};
use tempfile::TempDir;

use super::{LoadReport, Log, LogOptions};
use crate::config::{CleanupPolicy, LogConfig};
use crate::error::StorageError;
use crate::fs::RealFs;
use crate::names;
use crate::scan::Scan;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/segments");

/// Name, offset of its end, compacted.
const LOGS: [(&str, i64, bool); 6] = [
    ("golden-0", 95, false),
    ("golden-append-time-0", 30, false),
    ("golden-compacted-0", 91, true),
    ("__consumer_offsets-0", 18, true),
    ("__transaction_state-1", 4, true),
    ("__transaction_state-2", 9, true),
];

pub(super) fn copy(name: &str, keep: impl Fn(&str) -> bool) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(name);
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(Path::new(GOLDEN).join(name)).unwrap() {
        let entry = entry.unwrap();
        if keep(entry.file_name().to_str().unwrap()) {
            fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
        }
    }
    (home, dir)
}

fn open(dir: &Path, compact: bool, clean: bool) -> (Arc<Log>, LoadReport) {
    try_open(dir, compact, clean).unwrap()
}

pub(super) fn try_open(
    dir: &Path,
    compact: bool,
    clean: bool,
) -> Result<(Arc<Log>, LoadReport), StorageError> {
    let name = dir.file_name().unwrap().to_str().unwrap();
    let partition = names::parse_partition_dir(name).unwrap();
    let options = LogOptions {
        clean,
        config: LogConfig {
            cleanup_policy: CleanupPolicy { delete: !compact, compact },
            // The internal topics were made with the default.
            index_interval_bytes: if name.starts_with("__") { 4096 } else { 100 },
            segment_index_bytes: 4096,
            ..LogConfig::default()
        },
        ..LogOptions::alone(Arc::new(RealFs), dir, partition, Clock::real())
    };
    Log::open(options)
}

fn headers(log: &Log) -> usize {
    let mut count = 0;
    for segment in log.segments.load().iter() {
        let file = segment.file().unwrap();
        let mut scan = Scan::verify(file.as_ref(), 0, segment.size());
        while scan.next().unwrap().is_some() {
            count += 1;
        }
        assert!(!scan.is_torn());
    }
    count
}

#[test]
fn they_open_after_a_clean_stop() {
    for (name, end, compact) in LOGS {
        let (_home, dir) = copy(name, |_| true);
        let (log, report) = open(&dir, compact, true);
        assert_eq!(report, LoadReport::default(), "{name}");
        assert_eq!(log.log_end_offset(), Offset(end), "{name}");
        assert!(headers(&log) > 3, "{name}");
        assert_ne!(log.topic_id(), pharos_base::TopicId::ZERO, "{name}");
    }
}

#[test]
fn what_is_built_again_is_what_kafka_built() {
    for (name, end, compact) in LOGS {
        // Kafka's snapshots know more than the batches of a compacted log can tell.
        let (_home, dir) = copy(name, |file| !file.ends_with(".snapshot") || compact);
        let (log, report) = open(&dir, compact, false);
        assert_eq!(report.truncated_bytes, 0, "{name}");
        assert_eq!(log.log_end_offset(), Offset(end), "{name}");
        log.close().unwrap();
        for entry in fs::read_dir(Path::new(GOLDEN).join(name)).unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().into_string().unwrap();
            let last_snapshot = file == format!("{end:020}.snapshot");
            if file.ends_with(".snapshot") && !last_snapshot {
                continue;
            }
            // Kafka was stopped while these segments were active: it added the last timestamp, and
            // forgot the bytes since the last index entry.
            let active = match name {
                "golden-0" => file.starts_with("00000000000000000061."),
                _ => name == "__transaction_state-2" && file.ends_with(".timeindex"),
            };
            if active {
                continue;
            }
            // An epoch without a record is forgotten at a start, as Kafka does.
            if name != "golden-0" && file == names::EPOCHS {
                continue;
            }
            let ours = fs::read(dir.join(&file));
            let ours = ours.unwrap_or_else(|error| panic!("{name}/{file}: {error}"));
            let kafkas = fs::read(entry.path()).unwrap();
            assert!(ours == kafkas, "{name}/{file}: {ours:x?}\n{kafkas:x?}");
        }
    }
}

#[test]
fn transactions_and_epochs_of_kafka() {
    let (_home, dir) = copy("golden-0", |_| true);
    let (log, _) = open(&dir, false, true);
    log.set_high_watermark(Offset(95));
    let aborted = log.aborted_transactions(Offset(0), Offset(95)).unwrap();
    let found: Vec<_> = aborted.iter().map(|t| (t.producer_id, t.first_offset)).collect();
    assert_eq!(found, [(4, 54), (5, 58), (1002, 91)]);
    assert_eq!(log.aborted_transactions(Offset(62), Offset(91)).unwrap(), []);
    assert_eq!(log.last_stable_offset(), Offset(95));
    let end = log.end_offset_for_epoch(LeaderEpoch(0)).unwrap();
    assert_eq!(end.end_offset, Offset(77));
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(2)));
    let found = log.offset_for_timestamp(1_795_249_922_653).unwrap().unwrap();
    assert_eq!((found.offset, found.leader_epoch), (Offset(78), LeaderEpoch(2)));
    let (_home, dir) = copy("golden-append-time-0", |_| true);
    let (log, _) = open(&dir, false, true);
    let latest = log.offset_of_max_timestamp().unwrap().unwrap();
    assert!(latest.offset >= Offset(25), "{latest:?}");
    assert_eq!(log.partition(), &TopicPartition::new("golden-append-time", 0));
}

/// Their index is emptied when the segment is scanned, and snapshots do not tell of them.
#[test]
fn aborted_transactions_are_known_after_an_unclean_stop() {
    let (_home, dir) = copy("golden-0", |_| true);
    let (log, _) = open(&dir, false, false);
    let aborted = log.aborted_transactions(Offset(0), Offset(95)).unwrap();
    let found: Vec<_> = aborted.iter().map(|t| (t.producer_id, t.first_offset)).collect();
    assert_eq!(found, [(4, 54), (5, 58), (1002, 91)]);
}
