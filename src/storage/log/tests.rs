//! Behaviour of one log on the simulated file system.

use std::path::Path;

use bytes::Bytes;
use pharos_base::{ClockHand, ProducerId};
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord, Origin, batches};

use super::*;
use crate::fs::{Fs, SimFs};

const NOW: i64 = 1_700_000_000_000;

pub(crate) struct Bench {
    pub(crate) fs: SimFs,
    pub(crate) clock: Clock,
    pub(crate) hand: ClockHand,
    pub(crate) config: LogConfig,
}

impl Bench {
    pub(crate) fn new(config: LogConfig) -> Self {
        let fs = SimFs::new();
        let (clock, hand) = Clock::simulated(NOW);
        Self { fs, clock, hand, config }
    }

    pub(crate) fn options(&self) -> LogOptions {
        let fs = Arc::new(self.fs.clone());
        let partition = TopicPartition::new("t", 0);
        let mut options = LogOptions::alone(fs, "/data/t-0", partition, self.clock.clone());
        options.config = self.config.clone();
        options
    }

    pub(crate) fn open(&self) -> Arc<Log> {
        Log::open(self.options()).unwrap().0
    }
}

pub(crate) fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 1000, index_interval_bytes: 100, ..LogConfig::default() }
}

pub(crate) fn leader(epoch: i32) -> AppendOptions {
    AppendOptions { origin: Origin::Client, leader_epoch: LeaderEpoch(epoch) }
}

/// A batch of values with timestamps from `time` on.
pub(crate) fn batch(time: i64, values: &[&str]) -> Bytes {
    producer_batch(time, values, -1, -1, -1)
}

pub(crate) fn producer_batch(
    time: i64,
    values: &[&str],
    producer_id: i64,
    epoch: i16,
    sequence: i32,
) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: ProducerId(producer_id).0,
        producer_epoch: epoch,
        base_sequence: sequence,
        ..BatchOptions::default()
    });
    for (index, value) in values.iter().enumerate() {
        let record = NewRecord {
            timestamp: time + index as i64,
            key: Some(value.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        builder.push(&record).unwrap();
    }
    builder.build().unwrap()
}

/// All records from `from` on, as (offset, value).
pub(crate) fn contents(log: &Log, from: i64) -> Vec<(i64, String)> {
    let mut records = Vec::new();
    let mut next = Offset(from);
    loop {
        let slice = log.read(next, 300, log.log_end_offset(), true).unwrap();
        if slice.is_empty() {
            return records;
        }
        for batch in batches(&slice.read_to_bytes().unwrap()) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            for record in batch.open(1 << 20).unwrap().records() {
                let record = record.unwrap();
                if record.offset >= from {
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    records.push((record.offset, value));
                }
            }
            next = Offset(batch.header().next_offset());
        }
    }
}

#[test]
fn what_is_appended_is_read() {
    let bench = Bench::new(small_segments());
    let log = bench.open();
    let mut expected = Vec::new();
    for n in 0..100 {
        let values = [format!("a{n}"), format!("b{n}")];
        let info = log.append(&batch(NOW + n, &[&values[0], &values[1]]), &leader(0)).unwrap();
        assert_eq!((info.first_offset.0, info.last_offset.0), (2 * n, 2 * n + 1));
        for (index, value) in values.into_iter().enumerate() {
            expected.push((2 * n + index as i64, value));
        }
    }
    assert!(log.segment_count() > 5);
    for from in [0, 1, 2, 37, 100, 199, 200] {
        assert_eq!(contents(&log, from), expected[from as usize..], "{from}");
    }
    assert!(log.read(Offset(201), 1, Offset(300), true).is_err());
    // Reopened without a clean stop, everything is there.
    drop(log);
    bench.fs.restart();
    let (log, report) = Log::open(bench.options()).unwrap();
    assert_eq!(report.truncated_bytes, 0);
    assert_eq!(contents(&log, 0), expected);
    log.close().unwrap();
    let clean = LogOptions { clean: true, ..bench.options() };
    let (log, report) = Log::open(clean).unwrap();
    assert_eq!(report.recovered_segments, 0);
    assert_eq!(contents(&log, 0), expected);
    assert!(bench.fs.list(Path::new("/data/t-0")).unwrap().len() > 10);
}

#[test]
fn retention_by_time_and_size() {
    let bench = Bench::new(LogConfig { retention_ms: 60_000, ..small_segments() });
    let log = bench.open();
    for n in 0..50 {
        bench.hand.advance(std::time::Duration::from_secs(2));
        let now = bench.clock.now_ms();
        log.append(&batch(now, &[&format!("value {n}")]), &leader(0)).unwrap();
    }
    assert_eq!(log.apply_retention().unwrap().segments, 0, "nothing is below the high watermark");
    log.set_high_watermark(log.log_end_offset());
    let report = log.apply_retention().unwrap();
    assert!(report.segments > 0 && !report.files.is_empty());
    let start = log.log_start_offset().0;
    // 60 s hold 30 of the records, and the segment with the oldest of them stays whole.
    assert!((8..=20).contains(&start), "{start}");
    assert_eq!(contents(&log, start).len() as i64, 50 - start);

    log.set_config(LogConfig { retention_ms: -1, retention_bytes: 1500, ..small_segments() });
    log.apply_retention().unwrap();
    assert!((1500..2500).contains(&log.size_bytes()), "{}", log.size_bytes());

    // An aged log is emptied; offsets go on.
    log.set_config(LogConfig { retention_ms: 1, ..small_segments() });
    bench.hand.advance(std::time::Duration::from_secs(10));
    log.apply_retention().unwrap();
    assert_eq!((log.log_start_offset(), log.size_bytes()), (Offset(50), 0));
    let info = log.append(&batch(NOW, &["again"]), &leader(0)).unwrap();
    assert_eq!(info.first_offset, Offset(50));
}
