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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_for_many_survives_a_power_failure() {
    let bench = Bench::new(LogConfig { flush_messages: 1, ..small_segments() });
    let log = bench.open();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..64 {
        let log = log.clone();
        tasks.spawn(async move {
            let info = log.append(&batch(NOW, &[&format!("{n}")]), &leader(0)).unwrap();
            assert!(info.flush_due);
            log.flushed(info.last_offset.plus(1)).await.unwrap();
            (info.first_offset.0, n.to_string())
        });
    }
    let mut expected = tasks.join_all().await;
    expected.sort();
    assert_eq!(log.recovery_point(), Offset(64));
    bench.fs.lose_power(1);
    assert_eq!(contents(&bench.open(), 0), expected);
}

#[test]
fn what_lies_in_sealed_segments_is_flushed_alone() {
    let bench = Bench::new(small_segments());
    let log = bench.open();
    let mut rolled = 0;
    let mut last = Offset(0);
    for n in 0..40 {
        let info = log.append(&batch(NOW + n, &["a", "b"]), &leader(0)).unwrap();
        if info.rolled {
            rolled += 1;
            last = info.first_offset;
        }
    }
    assert!(rolled > 2, "{rolled}");
    assert_eq!(log.recovery_point(), Offset(0));
    log.flush_sealed_in_background();
    while log.recovery_point() == Offset(0) {
        std::thread::yield_now();
    }
    assert_eq!(log.recovery_point(), last);
    drop(log);
    // What was flushed is there after a power failure, whatever becomes of the rest.
    bench.fs.lose_power(1);
    let log = bench.open();
    assert!(log.log_end_offset() >= last, "{} {last}", log.log_end_offset());
}

#[test]
fn a_follower_takes_what_the_leader_wrote_as_it_is() {
    let bench = Bench::new(small_segments());
    let log = bench.open();
    for n in 0..20 {
        log.append(&batch(NOW + n, &["a", "b"]), &leader(i32::from(n > 9))).unwrap();
    }
    let other = Bench::new(small_segments());
    let follower = other.open();
    let options = AppendOptions { origin: Origin::Replication, leader_epoch: LeaderEpoch(-1) };
    loop {
        let next = follower.log_end_offset();
        let slice = log.read(next, 500, log.log_end_offset(), true).unwrap();
        if slice.is_empty() {
            break;
        }
        let bytes = slice.read_to_bytes().unwrap();
        follower.append(&bytes, &options).unwrap();
        let again = follower.append(&bytes, &options).unwrap_err();
        assert!(matches!(again, AppendError::OffsetGap { .. }), "{again}");
    }
    assert_eq!(contents(&follower, 0), contents(&log, 0));
    assert_eq!(follower.epochs(), log.epochs());
    let end = follower.end_offset_for_epoch(LeaderEpoch(0)).unwrap();
    assert_eq!((end.epoch, end.end_offset), (LeaderEpoch(0), Offset(20)));
    follower.truncate_fully_and_start_at(Offset(1000)).unwrap();
    assert_eq!(follower.log_start_offset(), Offset(1000));
    assert_eq!(follower.log_end_offset(), Offset(1000));
    assert!(follower.epochs().is_empty());
}

#[test]
fn a_stale_leader_and_hostile_batches_are_refused() {
    let bench = Bench::new(LogConfig { max_message_bytes: 200, ..small_segments() });
    let log = bench.open();
    log.append(&batch(NOW, &["x"]), &leader(5)).unwrap();
    let stale = log.append(&batch(NOW, &["x"]), &leader(4)).unwrap_err();
    assert!(matches!(stale, AppendError::StaleLeader { .. }), "{stale}");
    let good = batch(NOW, &["x"]);
    let large = "y".repeat(200);
    let cases: [(&str, Vec<u8>); 6] = [
        ("0 batches", Vec::new()),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("CRC", [&good[..good.len() - 1], &[9]].concat()),
        ("magic", [&good[..16], &[1], &good[17..]].concat()),
        ("at most 200", batch(NOW, &[&large]).to_vec()),
        ("timestamp", batch(NOW + 86_400_000, &["x"]).to_vec()),
    ];
    for (expected, bytes) in cases {
        let error = log.append(&bytes, &leader(5)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(log.log_end_offset(), Offset(1), "{expected}");
    }
    for cut in 0..good.len() {
        log.append(&good[..cut], &leader(5)).unwrap_err();
    }
}

#[test]
fn segments_roll_by_time_and_by_a_full_index() {
    let hour = std::time::Duration::from_secs(3600);
    let bench = Bench::new(LogConfig { segment_ms: 1_800_000, ..LogConfig::default() });
    let log = bench.open();
    log.append(&batch(NOW, &["x"]), &leader(0)).unwrap();
    bench.hand.advance(hour);
    // The batches' own time counts when they have one.
    log.append(&batch(NOW + 1, &["x"]), &leader(0)).unwrap();
    assert_eq!(log.segment_count(), 1);
    log.append(&batch(bench.clock.now_ms(), &["x"]), &leader(0)).unwrap();
    assert_eq!(log.segment_count(), 2);
    let config =
        LogConfig { segment_index_bytes: 64, index_interval_bytes: 0, ..LogConfig::default() };
    log.set_config(config);
    for _ in 0..20 {
        log.append(&batch(bench.clock.now_ms(), &["x"]), &leader(0)).unwrap();
    }
    assert!(log.segment_count() > 3, "{}", log.segment_count());
    assert_eq!(contents(&log, 0).len(), 23);
}

#[test]
fn the_topics_clock_and_codec_apply() {
    use crate::config::StoredCompression;
    use pharos_protocol::batch::TimestampType;
    let bench = Bench::new(LogConfig {
        message_timestamp_type: TimestampType::LogAppendTime,
        compression: StoredCompression::Gzip(-1),
        preallocate: true,
        ..small_segments()
    });
    let log = bench.open();
    for n in 0..20 {
        bench.hand.advance(std::time::Duration::from_secs(1));
        let info = log.append(&batch(5, &["some value", "other"]), &leader(0)).unwrap();
        assert_eq!(info.log_append_time, Some(NOW + (n + 1) * 1000));
        assert_eq!(log.append_time_at(info.first_offset), info.log_append_time);
    }
    assert_eq!(contents(&log, 0).len(), 40);
    let found = log.offset_for_timestamp(NOW + 9500).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (Offset(18), NOW + 10_000));
    let bytes = log.read(Offset(0), 1, Offset(40), true).unwrap().read_to_bytes().unwrap();
    let header = *batches(&bytes).next().unwrap().unwrap().header();
    assert_eq!(header.codec(), Some(pharos_protocol::compression::Codec::Gzip));
    bench.fs.restart();
    assert_eq!(contents(&bench.open(), 0).len(), 40);
}

#[test]
fn what_the_topics_codec_makes_too_large_is_refused() {
    use crate::config::StoredCompression;
    use pharos_protocol::batch::BatchError;
    use pharos_protocol::compression::Codec;
    let value = [b'x'; 5000];
    let options = BatchOptions { codec: Codec::Gzip, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    builder.push(&NewRecord { timestamp: NOW, value: Some(&value), ..Default::default() }).unwrap();
    let sent = builder.build().unwrap();
    let store = |compression, max_message_bytes| {
        let config = LogConfig { compression, max_message_bytes, ..LogConfig::default() };
        Bench::new(config).open().append(&sent, &leader(0))
    };
    let snappy = StoredCompression::Snappy;
    let stored = u32::try_from(store(snappy, 100_000).unwrap().bytes).unwrap();
    assert!(stored as usize > sent.len(), "{stored} bytes");
    assert!(store(snappy, stored).is_ok());
    let refused = store(snappy, stored - 1);
    assert!(matches!(refused, Err(AppendError::Batch(BatchError::TooLarge { .. }))), "{refused:?}");
    // Nothing larger than what may be stored is even unpacked.
    let refused = store(StoredCompression::Uncompressed, 1000);
    let is_limited =
        matches!(refused, Err(AppendError::Batch(BatchError::OutputLimit { limit: 1000 })));
    assert!(is_limited, "{refused:?}");
    assert!(store(StoredCompression::Uncompressed, 6000).is_ok());
}

#[test]
fn a_flush_that_meets_a_cleaned_segment_harms_no_directory() {
    let bench = Bench::new(small_segments());
    let log = bench.open();
    for _ in 0..20 {
        log.append(&batch(NOW, &["some value"]), &leader(0)).unwrap();
    }
    log.segments_snapshot().first().unwrap().retire();
    log.flush().unwrap();
    assert!(!log.home().is_offline());
}

/// A batch of a transaction of producer 7.
fn transactional(sequence: i32) -> Bytes {
    let options = BatchOptions { transactional: true, ..of_producer(sequence) };
    one_record(options, None, b"value")
}

/// The marker that aborts the transaction of producer 7.
fn abort_marker() -> Bytes {
    let options = BatchOptions { transactional: true, control: true, ..of_producer(-1) };
    // Versions 0, the type of an abort, and the coordinator's epoch.
    one_record(options, Some(&[0, 0, 0, 0]), &[0, 0, 0, 0, 0, 1])
}

fn of_producer(base_sequence: i32) -> BatchOptions {
    BatchOptions { producer_id: 7, producer_epoch: 0, base_sequence, ..BatchOptions::default() }
}

fn one_record(options: BatchOptions, key: Option<&[u8]>, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    builder.push(&NewRecord { timestamp: NOW, key, value: Some(value), headers: &[] }).unwrap();
    builder.build().unwrap()
}

#[test]
fn an_abort_that_finds_no_room_for_its_index_entry_is_told_from_memory() {
    use crate::fs::{Fault, Op};
    let bench = Bench::new(LogConfig::default());
    let log = bench.open();
    log.append(&transactional(0), &leader(0)).unwrap();
    let (path, error) = (".txnindex".to_owned(), std::io::ErrorKind::StorageFull);
    bench.fs.fail(Fault { op: Op::Write, path, error, after: 0, times: 1 });
    let coordinator = AppendOptions { origin: Origin::Coordinator, leader_epoch: LeaderEpoch(0) };
    let info = log.append(&abort_marker(), &coordinator).unwrap();
    assert_eq!((info.first_offset, log.log_end_offset()), (Offset(1), Offset(2)));
    let aborted = |log: &Log| {
        let found = log.aborted_transactions(Offset(0), Offset(2)).unwrap();
        found.iter().map(|entry| (entry.first_offset, entry.last_offset)).collect::<Vec<_>>()
    };
    assert_eq!(aborted(&log), [(0, 1)]);
    // What follows gets the next offset, and the entry is there after a clean stop.
    let next = log.append(&batch(NOW, &["next"]), &leader(0)).unwrap();
    assert_eq!(next.first_offset, Offset(2));
    log.close().unwrap();
    let (log, report) = Log::open(LogOptions { clean: true, ..bench.options() }).unwrap();
    assert_eq!((report.recovered_segments, log.log_end_offset()), (0, Offset(3)));
    assert_eq!(aborted(&log), [(0, 1)]);
}
