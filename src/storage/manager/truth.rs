//! The truth of the beans of logs, directories, recovery and the cleaner, on the simulated file
//! system and clock.

use std::time::Duration;

use pharos_base::{ClockHand, Offset, TopicId};
use pharos_metrics::catalog::{log as rows, native};
use pharos_metrics::truth;
use pharos_metrics::truth::{Claim, by, to};

use super::*;
use crate::clean::CleanerOptions;
use crate::config::CleanupPolicy;
use crate::fs::{Fault, Op, SimFs, Slow};
use crate::log::tests::{batch, leader};
use crate::metrics::{RecoveryBeans, StorageMetrics};

const NOW: i64 = 1_700_000_000_000;
const TAGS: &[(&str, &str)] = &[("topic", "t"), ("partition", "0")];

struct House {
    fs: SimFs,
    hand: ClockHand,
    manager: Arc<LogManager>,
}

impl House {
    /// Directories `/a` and `/b`, every topic with `config`.
    fn new(config: LogConfig, cleaner: CleanerOptions) -> Self {
        let (clock, hand) = Clock::simulated(NOW);
        let fs = SimFs::new();
        let options = ManagerOptions {
            config_of: Arc::new(move |_| config.clone()),
            cleaner,
            ..ManagerOptions::new(Arc::new(fs.clone()), clock)
        };
        let (manager, _) = LogManager::open(&["/a".into(), "/b".into()], options).unwrap();
        Self { fs, hand, manager }
    }

    fn registry(&self) -> &pharos_metrics::Registry {
        &self.manager.options().registry
    }

    fn log(&self) -> Arc<Log> {
        let partition = TopicPartition::new("t", 0);
        let config = (self.manager.options().config_of)("t");
        self.manager.get_or_create(&partition, Some(TopicId::random()), config).unwrap()
    }
}

fn value(row: &'static pharos_metrics::BeanRow, amount: f64) -> Claim {
    by(row, TAGS, "Value", amount)
}

#[test]
fn a_log_shows_its_size_segments_and_offsets() {
    let one = batch(NOW, &["a", "b", "c"]);
    let bytes = one.len() as f64;
    let config = LogConfig {
        segment_bytes: 2 * one.len() as u32,
        retention_bytes: 10 * one.len() as i64,
        ..LogConfig::default()
    };
    let house = House::new(config, CleanerOptions::default());
    let truth = truth!(house.registry());
    let born = truth.claims([value(&rows::LOG_NUM_LOG_SEGMENTS, 1.0)]);
    let log = house.log();
    born.hold();
    let grown = truth.claims([
        value(&rows::LOG_SIZE, 3.0 * bytes),
        value(&rows::LOG_LOG_END_OFFSET, 9.0),
        value(&rows::LOG_NUM_LOG_SEGMENTS, 1.0),
        value(&rows::LOG_RETENTION_SIZE_IN_PERCENT, 30.0),
    ]);
    for _ in 0..3 {
        log.append(&one, &leader(0)).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    grown.hold();
    let cut = truth.claims([value(&rows::LOG_LOG_START_OFFSET, 4.0)]);
    log.delete_records_to(Offset(4));
    cut.hold();
}

#[test]
fn flushes_are_counted_and_timed() {
    let house = House::new(LogConfig::default(), CleanerOptions::default());
    let truth = truth!(house.registry());
    let row = &rows::LOG_FLUSH_STATS_LOG_FLUSH_RATE_AND_TIME_MS;
    let log = house.log();
    log.append(&batch(NOW, &["a"]), &leader(0)).unwrap();
    let counted = truth.claims([by(row, &[], "Count", 1.0)]);
    log.flush().unwrap();
    counted.hold();
    let slow = truth.claims([by(row, &[], "Count", 1.0), to(row, &[], "Max", 1500.0)]);
    house.manager.metrics.flushed(Duration::from_millis(1500));
    slow.hold();
    // Several nodes of one process have figures of their own.
    let other = pharos_metrics::Registry::new(house.registry().clock().clone());
    StorageMetrics::new(&other).flushed(Duration::from_secs(9));
    let count =
        house.registry().read("kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs", "Count");
    assert_eq!(count, Some(pharos_metrics::Value::Long(2)));
}

#[test]
fn appends_and_flushes_are_timed_one_by_one() {
    let house = House::new(LogConfig::default(), CleanerOptions::default());
    let seconds = |row| house.registry().family(row).read(&[]);
    let log = house.log();
    let slow = |op, took| Slow { op, path: ".log".to_owned(), took, hand: house.hand.clone() };
    house.fs.slow(slow(Op::Write, Duration::from_millis(250)));
    house.fs.slow(slow(Op::Sync, Duration::from_millis(1500)));
    for _ in 0..3 {
        log.append(&batch(NOW, &["a"]), &leader(0)).unwrap();
    }
    assert_eq!(seconds(&native::PHAROS_LOG_APPEND_DURATION_SECONDS), Some(0.75));
    assert_eq!(seconds(&native::PHAROS_LOG_FLUSH_DURATION_SECONDS), Some(0.0));
    log.flush().unwrap();
    // What is on the disk already is not synced again.
    log.flush().unwrap();
    assert_eq!(seconds(&native::PHAROS_LOG_FLUSH_DURATION_SECONDS), Some(1.5));
    assert_eq!(seconds(&native::PHAROS_LOG_APPEND_DURATION_SECONDS), Some(0.75));
}

#[test]
fn directories_show_what_they_hold_and_have_left() {
    let house = House::new(LogConfig::default(), CleanerOptions::default());
    let read = |row, dir: &str| house.registry().family(row).read(&[dir]);
    let log = house.log();
    let home = log.home().path().to_string_lossy().into_owned();
    let other = if home == "/a" { "/b" } else { "/a" };
    let one = batch(NOW, &["a", "b"]);
    house.fs.set_free_bytes(Some(1 << 20));
    for _ in 0..3 {
        log.append(&one, &leader(0)).unwrap();
    }
    let held = 3.0 * one.len() as f64;
    assert_eq!(read(&native::PHAROS_LOG_DIR_SIZE_BYTES, &home), Some(held));
    assert_eq!(read(&native::PHAROS_LOG_DIR_SIZE_BYTES, other), Some(0.0));
    house.fs.set_free_bytes(Some(4096));
    assert_eq!(read(&native::PHAROS_LOG_DIR_FREE_BYTES, &home), Some(4096.0));
    assert_eq!(read(&native::PHAROS_LOG_DIR_ONLINE, &home), Some(1.0));
    let error = std::io::ErrorKind::Other;
    house.fs.fail(Fault { op: Op::Sync, path: home.clone(), error, after: 0, times: 1 });
    log.flush().unwrap_err();
    assert_eq!(read(&native::PHAROS_LOG_DIR_ONLINE, &home), Some(0.0));
    assert_eq!(read(&native::PHAROS_LOG_DIR_ONLINE, other), Some(1.0));
}

#[test]
fn directories_fail_and_are_cordoned() {
    let house = House::new(LogConfig::default(), CleanerOptions::default());
    let truth = truth!(house.registry());
    let log = house.log();
    let home = log.home().path().to_string_lossy().into_owned();
    let other = if home == "/a" { "/b" } else { "/a" };
    let cordoned = truth.claims([
        by(&rows::LOG_MANAGER_CORDONED_LOG_DIRECTORY_COUNT, &[], "Value", 1.0),
        to(&rows::LOG_MANAGER_LOG_DIRECTORY_CORDONED, &[("logDirectory", other)], "Value", 1.0),
    ]);
    house.manager.set_cordoned(vec![other.into()]);
    cordoned.hold();
    let failed = truth.claims([
        by(&rows::LOG_MANAGER_OFFLINE_LOG_DIRECTORY_COUNT, &[], "Value", 1.0),
        to(&rows::LOG_MANAGER_LOG_DIRECTORY_OFFLINE, &[("logDirectory", &home)], "Value", 1.0),
    ]);
    log.append(&batch(NOW, &["a"]), &leader(0)).unwrap();
    let error = std::io::ErrorKind::Other;
    house.fs.fail(Fault { op: Op::Sync, path: home, error, after: 0, times: 1 });
    log.flush().unwrap_err();
    failed.hold();
}

#[test]
fn recovery_tells_what_is_left() {
    let house = House::new(LogConfig::default(), CleanerOptions::default());
    let truth = truth!(house.registry());
    let home = house.manager.dirs().remove(0).home;
    let dir = home.path().to_string_lossy().into_owned();
    let logs = || by(&rows::LOG_MANAGER_REMAINING_LOGS_TO_RECOVER, &[("dir", &dir)], "Value", 3.0);
    let begun = truth.claims([logs()]);
    let beans = RecoveryBeans::new(house.registry(), &home, 3, 2);
    begun.hold();
    let tags: &[(&str, &str)] = &[("dir", &dir), ("threadNum", "1")];
    let row = &rows::LOG_MANAGER_REMAINING_SEGMENTS_TO_RECOVER;
    let scanning = truth.claims([to(row, tags, "Value", 5.0)]);
    beans.segments[1].store(5, Ordering::Relaxed);
    scanning.hold();
    drop(beans);
    assert!(house.registry().beans("kafka.log:type=LogManager,name=remaining").is_empty());
}

#[test]
fn the_cleaner_tells_what_it_did_and_could_not_do() {
    let one = batch(NOW, &["same"]);
    let bytes = one.len() as f64;
    let config = LogConfig {
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        segment_bytes: 5 * one.len() as u32,
        max_compaction_lag_ms: 1_000,
        ..LogConfig::default()
    };
    // Room for ten keys.
    let cleaner =
        CleanerOptions { dedupe_buffer_bytes: 480, load_factor: 1.0, ..CleanerOptions::default() };
    let house = House::new(config, cleaner);
    let truth = truth!(house.registry());
    let log = house.log();
    // Two closed segments, and one record in the active one.
    for _ in 0..11 {
        log.append(&one, &leader(0)).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    let gauge = |row, value| to(row, &[], "Value", value);
    let cleaned = truth.claims([
        gauge(&rows::LOG_CLEANER_MAX_CLEAN_TIME_SECS, 0.0),
        gauge(&rows::LOG_CLEANER_MANAGER_MAX_DIRTY_PERCENT, 100.0),
        gauge(&rows::LOG_CLEANER_MAX_COMPACTION_DELAY_SECS, 30.0),
        gauge(&rows::LOG_CLEANER_MAX_BUFFER_UTILIZATION_PERCENT, 10.0),
        // Ten batches were read twice, for their keys and to be copied, and one was written.
        gauge(&rows::LOG_CLEANER_CLEANER_RECOPY_PERCENT, 5.0),
        by(&rows::THROTTLER_CLEANER_IO, &[], "Count", 21.0 * bytes),
        value(&rows::LOG_SIZE, -9.0 * bytes),
    ]);
    house.hand.advance(Duration::from_secs(31));
    house.manager.run_due();
    cleaned.hold();
    let idle = truth.claims([by(
        &rows::LOG_CLEANER_MANAGER_TIME_SINCE_LAST_RUN_MS,
        &[],
        "Value",
        5_000.0,
    )]);
    house.hand.advance(Duration::from_secs(5));
    idle.hold();

    let home = log.home().path().to_string_lossy().into_owned();
    let tags: &[(&str, &str)] = &[("logDirectory", &home)];
    for _ in 0..5 {
        log.append(&one, &leader(0)).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    let size = log.size_bytes() as f64;
    let broken = truth.claims([
        by(&rows::LOG_CLEANER_MANAGER_UNCLEANABLE_PARTITIONS_COUNT, tags, "Value", 1.0),
        by(&rows::LOG_CLEANER_MANAGER_UNCLEANABLE_BYTES, tags, "Value", size),
    ]);
    // A bit of a record that is closed by now.
    let path = log.dir().join("00000000000000000010.log");
    house.fs.flip(&path, one.len() as u64 - 1, 0).unwrap();
    house.hand.advance(Duration::from_secs(31));
    house.manager.run_due();
    broken.hold();
}
