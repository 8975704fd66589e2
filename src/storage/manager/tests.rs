//! Directories, checkpoints, deletion, background work and beans, on the simulated file system.

use std::path::Path;
use std::time::Duration;

use pharos_base::{ClockHand, LeaderEpoch, Offset, TopicId};

use super::*;
use crate::config::CleanupPolicy;
use crate::error::StorageError;
use crate::fs::{Eventful, Fault, Op, RealFs, SimFs};
use crate::log::tests::{batch, contents, leader, producer_batch};
use crate::log::{AppendError, AppendOptions};
use crate::names;

const NOW: i64 = 1_700_000_000_000;

struct House {
    fs: SimFs,
    clock: Clock,
    hand: ClockHand,
}

impl House {
    fn new() -> Self {
        let (clock, hand) = Clock::simulated(NOW);
        Self { fs: SimFs::new(), clock, hand }
    }

    fn options(&self) -> ManagerOptions {
        ManagerOptions::new(Arc::new(self.fs.clone()), self.clock.clone())
    }

    fn open(&self) -> (Arc<LogManager>, OpenReport) {
        LogManager::open(&["/a".into(), "/b".into()], self.options()).unwrap()
    }
}

fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn create(manager: &LogManager, partition: &TopicPartition) -> Arc<Log> {
    let config = (manager.options().config_of)(&partition.topic);
    manager.get_or_create(partition, Some(TopicId::random()), config).unwrap()
}

fn read(manager: &LogManager, bean: &str) -> f64 {
    let value = manager.options().registry.read(bean, "Value");
    value.and_then(|value| value.as_f64()).unwrap_or_else(|| panic!("no bean {bean}"))
}

#[test]
fn logs_spread_over_directories_and_come_back() {
    let house = House::new();
    let (manager, report) = house.open();
    assert_eq!(report.logs, 0);
    for partition in 0..4 {
        let log = create(&manager, &tp("t", partition));
        for n in 0..=partition {
            log.append(&batch(NOW, &[&format!("{n}")]), &leader(0)).unwrap();
        }
        log.set_high_watermark(log.log_end_offset());
    }
    assert_eq!(manager.dirs().iter().map(|dir| dir.logs).collect::<Vec<_>>(), [2, 2]);
    let locked = LogManager::open(&["/a".into()], house.options()).unwrap_err();
    assert!(matches!(locked, StorageError::Locked { .. }), "{locked}");
    manager.get(&tp("t", 3)).unwrap().delete_records_to(Offset(2));
    manager.close(Some(17));
    drop(manager);
    house.fs.restart();
    let (manager, report) = house.open();
    assert_eq!((report.logs, report.unclean_dirs, report.recovered_segments), (4, 0, 0));
    let log = manager.get(&tp("t", 3)).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(2), Offset(4)));
    assert_eq!(log.high_watermark(), Offset(4));
    // Not closed this time: everything that may be undurable is scanned.
    drop((log, manager));
    house.fs.restart();
    let (manager, report) = house.open();
    assert_eq!((report.unclean_dirs, report.recovered_segments), (2, 4));
    assert_eq!(contents(&manager.get(&tp("t", 2)).unwrap(), 0).len(), 3);
}

#[test]
fn a_flush_that_meets_a_deletion_harms_no_directory() {
    let house = House::new();
    let (manager, _) = house.open();
    let log = create(&manager, &tp("t", 0));
    log.append(&batch(NOW, &["x"]), &leader(0)).unwrap();
    manager.delete(&tp("t", 0)).unwrap();
    let error = log.flush().unwrap_err();
    assert!(matches!(error, StorageError::Closed { .. }), "{error}");
    assert_eq!(manager.offline_dirs(), 0);
}

#[test]
fn a_log_of_another_topic_id_makes_room() {
    let house = House::new();
    let (manager, _) = house.open();
    let old = create(&manager, &tp("t", 0));
    old.append(&batch(NOW, &["old"]), &leader(0)).unwrap();
    let new = create(&manager, &tp("t", 0));
    assert_ne!(old.topic_id(), new.topic_id());
    assert_eq!(new.log_end_offset(), Offset(0));
    old.append(&batch(NOW, &["late"]), &leader(0)).unwrap_err();
    assert_eq!(manager.offline_dirs(), 0);
}

#[test]
fn a_deleted_log_can_be_made_again_at_once() {
    let house = House::new();
    let (manager, _) = house.open();
    let partition = tp("t", 0);
    let log = create(&manager, &partition);
    log.append(&batch(NOW, &["old"]), &leader(0)).unwrap();
    assert_eq!(read(&manager, "kafka.log:type=Log,name=LogEndOffset,topic=t,partition=0"), 1.0);
    manager.delete(&partition).unwrap();
    assert!(manager.options().registry.beans("kafka.log:type=Log,").is_empty());
    let refused = log.append(&batch(NOW, &["late"]), &leader(0)).unwrap_err();
    assert!(matches!(refused, AppendError::Storage(StorageError::Closed { .. })), "{refused}");
    assert_eq!(create(&manager, &partition).log_end_offset(), Offset(0));
    let doomed = |dir: &str| {
        let entries = house.fs.list(Path::new(dir)).unwrap_or_default();
        entries.iter().filter(|entry| entry.name.ends_with("-delete")).count()
    };
    assert_eq!(doomed("/a") + doomed("/b"), 1);
    house.hand.advance(Duration::from_secs(61));
    manager.run_due();
    assert_eq!(doomed("/a") + doomed("/b"), 0);
}

/// Names in a log directory that end with `ending`.
fn named(house: &House, ending: &str) -> Vec<String> {
    let entries = ["/a", "/b"].map(|dir| house.fs.list(Path::new(dir)).unwrap_or_default());
    let names = entries.into_iter().flatten().map(|entry| entry.name);
    names.filter(|name| name.ends_with(ending)).collect()
}

#[test]
fn what_a_killed_deletion_left_goes_at_the_next_start() {
    let house = House::new();
    let (manager, _) = house.open();
    for partition in 0..3 {
        create(&manager, &tp("t", partition)).append(&batch(NOW, &["x"]), &leader(0)).unwrap();
    }
    manager.delete(&tp("t", 0)).unwrap();
    manager.delete(&tp("t", 1)).unwrap();
    drop(manager);
    house.fs.restart();
    assert_eq!(named(&house, "-delete").len(), 2);
    let (manager, report) = house.open();
    assert_eq!((report.logs, report.offline_dirs), (1, 0));
    // No delay again: it is not known how long they have been there.
    manager.run_due();
    assert_eq!(named(&house, "-delete"), [""; 0]);
    assert!(manager.get(&tp("t", 2)).is_some());
}

/// A kill between making a log's directory and writing whose it is.
#[test]
fn a_log_without_a_name_gets_the_one_of_its_topic() {
    let house = House::new();
    let (manager, _) = house.open();
    let partition = tp("t", 0);
    let log = manager.get_or_create(&partition, None, LogConfig::default()).unwrap();
    assert_eq!(log.topic_id(), TopicId::ZERO);
    drop((log, manager));
    house.fs.restart();
    let (manager, _) = house.open();
    let mine = TopicId::random();
    let log = manager.get_or_create(&partition, Some(mine), LogConfig::default()).unwrap();
    log.append(&batch(NOW, &["mine"]), &leader(0)).unwrap();
    log.flush().unwrap();
    drop((log, manager));
    house.fs.lose_power(5);
    let (manager, _) = house.open();
    assert_eq!(manager.get(&partition).unwrap().topic_id(), mine);
    // The topic is deleted and made again, with no time to delete the log: it is not taken over.
    let log =
        manager.get_or_create(&partition, Some(TopicId::random()), LogConfig::default()).unwrap();
    assert_eq!(contents(&log, 0), []);
}

#[test]
fn a_log_of_no_topic_is_set_aside_and_kept() {
    let house = House::new();
    let (manager, _) = house.open();
    let log = create(&manager, &tp("t", 0));
    log.append(&batch(NOW, &["x"]), &leader(0)).unwrap();
    manager.set_aside(&tp("t", 0)).unwrap();
    log.append(&batch(NOW, &["late"]), &leader(0)).unwrap_err();
    assert!(manager.get(&tp("t", 0)).is_none());
    assert!(manager.options().registry.beans("kafka.log:type=Log,").is_empty());
    house.hand.advance(Duration::from_secs(100));
    manager.run_due();
    manager.close(None);
    drop((log, manager));
    house.fs.restart();
    let (manager, report) = house.open();
    assert_eq!((report.logs, report.offline_dirs), (0, 0));
    manager.run_due();
    let names = named(&house, "-stray");
    let [name] = &names[..] else { panic!("not one: {names:?}") };
    assert!(name.starts_with("t-0."), "{name}");
}

#[test]
fn damaged_checkpoints_count_as_absent() {
    let names = [
        names::RECOVERY_POINTS,
        names::LOG_START_OFFSETS,
        names::HIGH_WATERMARKS,
        names::CLEANER_OFFSETS,
    ];
    let contents_of: [&[u8]; 5] =
        [b"", b"0\n1\nt 0 2", b"\xa5\xa5\xa5\xa5", b"\0\0\0\0", b"9\n0\n"];
    for (name, content, clean) in names
        .iter()
        .flat_map(|name| contents_of.map(|content| (name, content)))
        .flat_map(|(name, content)| [true, false].map(|clean| (name, content, clean)))
    {
        let house = House::new();
        let (manager, _) = LogManager::open(&["/a".into()], house.options()).unwrap();
        let log = create(&manager, &tp("t", 0));
        for n in 0..4 {
            log.append(&batch(NOW, &[&format!("{n}")]), &leader(0)).unwrap();
        }
        log.set_high_watermark(Offset(4));
        log.flush().unwrap();
        if clean {
            manager.close(None);
        }
        drop((log, manager));
        house.fs.restart();
        let path = Path::new("/a").join(name);
        crate::fs::replace_file(&house.fs, &path, content).unwrap();
        let (manager, report) = LogManager::open(&["/a".into()], house.options()).unwrap();
        let place = format!("{name} {content:?} clean {clean}");
        assert_eq!((report.offline_dirs, report.truncated_bytes), (0, 0), "{place}");
        let log = manager.get(&tp("t", 0)).unwrap();
        assert_eq!(contents(&log, 0).len(), 4, "{place}");
        assert_eq!(log.log_start_offset(), Offset(0), "{place}");
    }
}

#[test]
fn logs_are_closed_with_as_many_threads_as_wanted() {
    for threads in [0, 1, 5, 1000] {
        let house = House::new();
        let (manager, _) = house.open();
        for partition in 0..20 {
            create(&manager, &tp("t", partition)).append(&batch(NOW, &["x"]), &leader(0)).unwrap();
        }
        manager.set_recovery_threads(threads);
        manager.close(None);
        for log in manager.logs() {
            log.append(&batch(NOW, &["late"]), &leader(0)).unwrap_err();
        }
        drop(manager);
        house.fs.restart();
        let (manager, report) = house.open();
        assert_eq!((report.logs, report.unclean_dirs, report.recovered_segments), (20, 0, 0));
        drop(manager);
    }
}

#[test]
fn a_failed_sync_takes_one_directory_offline() {
    let house = House::new();
    let (manager, _) = house.open();
    let logs = [create(&manager, &tp("t", 0)), create(&manager, &tp("t", 1))];
    assert_ne!(logs[0].home().path(), logs[1].home().path());
    for log in &logs {
        log.append(&batch(NOW, &["x"]), &leader(0)).unwrap();
    }
    let path = logs[0].dir().to_string_lossy().into_owned();
    let error = std::io::ErrorKind::Other;
    house.fs.fail(Fault { op: Op::Sync, path, error, after: 0, times: 1 });
    logs[0].flush().unwrap_err();
    // It would succeed now, but what the first one lost is gone.
    logs[0].flush().unwrap_err();
    let refused = logs[0].append(&batch(NOW, &["y"]), &leader(0)).unwrap_err();
    assert!(matches!(refused, AppendError::Storage(StorageError::Offline { .. })), "{refused}");
    logs[1].append(&batch(NOW, &["y"]), &leader(0)).unwrap();
    logs[1].flush().unwrap();
    assert_eq!(manager.offline_dirs(), 1);
    assert_eq!(read(&manager, "kafka.log:type=LogManager,name=OfflineLogDirectoryCount"), 1.0);
    // New logs go to the other one.
    let log = create(&manager, &tp("t", 2));
    assert_eq!(log.home().path(), logs[1].home().path());
    manager.close(None);
    house.fs.restart();
    let (manager, report) = house.open();
    assert_eq!((report.unclean_dirs, report.logs), (1, 3));
    assert_eq!(manager.offline_dirs(), 0);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let house = House::new();
    let (manager, _) = house.open();
    let log = create(&manager, &tp("t", 0));
    log.append(&batch(NOW, &["before"]), &leader(0)).unwrap();
    house.fs.set_free_bytes(Some(30));
    for _ in 0..3 {
        let refused = log.append(&batch(NOW, &["too much"]), &leader(0)).unwrap_err();
        let AppendError::Storage(error) = refused else { panic!("{refused}") };
        assert!(error.is_full(), "{error}");
        assert_eq!(contents(&log, 0).len(), 1, "reads go on");
    }
    house.fs.set_free_bytes(None);
    let info = log.append(&batch(NOW, &["after"]), &leader(0)).unwrap();
    assert_eq!(info.first_offset, Offset(1));
    assert_eq!(manager.offline_dirs(), 0);
    drop((log, manager));
    house.fs.restart();
    let (manager, report) = house.open();
    assert_eq!(report.truncated_bytes, 0);
    let values: Vec<_> = contents(&manager.get(&tp("t", 0)).unwrap(), 0);
    assert_eq!(values, [(0, "before".to_owned()), (1, "after".to_owned())]);
}

#[test]
fn damaged_checkpoints_cost_a_scan_and_no_record() {
    let names = [
        names::RECOVERY_POINTS,
        names::LOG_START_OFFSETS,
        names::HIGH_WATERMARKS,
        names::CLEANER_OFFSETS,
    ];
    for (name, clean) in names.into_iter().flat_map(|name| [(name, true), (name, false)]) {
        for byte in 0..14 {
            let house = House::new();
            let (manager, _) = LogManager::open(&["/a".into()], house.options()).unwrap();
            let log = create(&manager, &tp("t", 0));
            for n in 0..10 {
                log.append(&batch(NOW, &[&format!("{n}")]), &leader(0)).unwrap();
            }
            manager.close(None);
            house.fs.restart();
            if !clean {
                let _ = house.fs.remove_file(Path::new("/a/.kafka_cleanshutdown"));
            }
            house.fs.flip(&Path::new("/a").join(name), byte, (byte % 7) as u8).unwrap();
            let (manager, _) = LogManager::open(&["/a".into()], house.options()).unwrap();
            let log = manager.get(&tp("t", 0)).unwrap();
            assert_eq!(log.log_end_offset(), Offset(10), "{name} byte {byte}");
            assert_eq!(contents(&log, 0).len(), 10, "{name} byte {byte}");
        }
    }
}

#[test]
fn the_cleaner_runs_by_schedule_and_its_beans_tell() {
    let house = House::new();
    let compact = LogConfig {
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        segment_bytes: 500,
        ..LogConfig::default()
    };
    let config = compact.clone();
    let options =
        ManagerOptions { config_of: Arc::new(move |_| config.clone()), ..house.options() };
    let (manager, _) = LogManager::open(&["/a".into()], options).unwrap();
    let log = create(&manager, &tp("t", 0));
    for _ in 0..50 {
        log.append(&batch(NOW, &["same"]), &leader(0)).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    let before = log.size_bytes();
    let max_clean = "kafka.log:type=LogCleaner,name=max-clean-time-secs";
    assert!(read(&manager, max_clean) < -1e9);
    house.hand.advance(Duration::from_secs(31));
    manager.run_due();
    assert!(log.size_bytes() < before / 3);
    assert_eq!(read(&manager, max_clean), 0.0);
    assert_eq!(read(&manager, "kafka.log:type=LogCleanerManager,name=max-dirty-percent"), 100.0);
    let io = manager.options().registry.read("kafka.utils:type=Throttler,name=cleaner-io", "Count");
    assert!(io.and_then(|io| io.as_f64()).unwrap() > before as f64);
    assert!(read(&manager, "kafka.log:type=Log,name=Size,topic=t,partition=0") < before as f64);
    let path = Path::new("/a").join(names::CLEANER_OFFSETS);
    let offsets = crate::checkpoint::read_offsets(&house.fs, &path).unwrap();
    assert!(offsets[&tp("t", 0)] > Offset(40));
    // A killed process opens its logs before it knows their policy: what cleaning left out is not
    // taken for a loss behind which everything goes.
    let kept = contents(&log, 0);
    drop((log, manager));
    house.fs.restart();
    let (manager, report) = LogManager::open(&["/a".into()], house.options()).unwrap();
    assert_eq!((report.unclean_dirs, report.truncated_bytes), (1, 0));
    let log = manager.get(&tp("t", 0)).unwrap();
    assert_eq!(log.log_end_offset(), Offset(50));
    assert_eq!(contents(&log, 0), kept);
}

#[test]
fn producers_are_remembered_until_they_expire() {
    let house = House::new();
    let (manager, _) = house.open();
    let log = create(&manager, &tp("t", 0));
    let append = |sequence| {
        let options = AppendOptions { origin: crate::Origin::Client, leader_epoch: LeaderEpoch(0) };
        log.append(&producer_batch(house.clock.now_ms(), &["x"], 5, 0, sequence), &options)
    };
    append(0).unwrap();
    assert!(append(0).unwrap().duplicate);
    append(2).unwrap_err();
    append(1).unwrap();
    assert_eq!(log.producer_count(), 1);
    house.hand.advance(Duration::from_secs(86_401));
    manager.run_due();
    assert_eq!(log.producer_count(), 0);
    append(7).unwrap();
}

#[test]
fn many_partitions_keep_few_files_open() {
    let home = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::simulated(NOW);
    let mut options = ManagerOptions::new(Arc::new(RealFs), clock);
    options.max_open_files = 50;
    let (manager, _) = LogManager::open(&[home.path().into()], options).unwrap();
    for partition in 0..300 {
        let log = create(&manager, &tp("t", partition));
        log.append(&batch(NOW, &["x"]), &leader(0)).unwrap();
    }
    assert!(manager.files().open_count() <= 52, "{}", manager.files().open_count());
    for log in manager.logs() {
        assert_eq!(contents(&log, 0).len(), 1);
    }
    manager.close(None);
}

/// Creates, appends, rolls, deletes, cleans and checkpoints; returns what was acknowledged.
fn busy(manager: &LogManager, hand: &ClockHand, flush: bool) -> Vec<(TopicPartition, Vec<String>)> {
    let mut acknowledged: Vec<(TopicPartition, Vec<String>)> = Vec::new();
    for round in 0..6 {
        let partition = tp(if round % 2 == 0 { "keep" } else { "gone" }, round);
        let config = LogConfig { segment_bytes: 300, ..LogConfig::default() };
        let Ok(log) = manager.get_or_create(&partition, Some(TopicId::random()), config) else {
            return acknowledged;
        };
        let mut values = Vec::new();
        for n in 0..8 {
            let value = format!("{partition} {n}");
            if log.append(&batch(NOW, &[&value]), &leader(n / 4)).is_err() {
                break;
            }
            if flush && log.flush().is_err() {
                break;
            }
            values.push(value);
        }
        log.set_high_watermark(log.log_end_offset());
        hand.advance(Duration::from_secs(61));
        manager.run_due();
        if round % 2 == 1 {
            // From the first attempt on it may be gone or not.
            let _ = manager.delete(&partition);
        } else {
            acknowledged.push((partition, values));
        }
    }
    acknowledged
}

#[test]
fn a_kill_at_any_change_of_the_manager_loses_nothing() {
    for power in [None, Some(3)] {
        let mut step = 0;
        loop {
            let house = House::new();
            house.fs.kill_after(step);
            let opened = LogManager::open(&["/a".into(), "/b".into()], house.options());
            let acknowledged = match &opened {
                Ok((manager, _)) => {
                    let done = busy(manager, &house.hand, power.is_some());
                    manager.close(None);
                    done
                }
                Err(_) => Vec::new(),
            };
            let survived = !house.fs.was_killed();
            drop(opened);
            match power {
                None => house.fs.restart(),
                Some(seed) => house.fs.lose_power(seed + step),
            }
            let (manager, report) = house.open();
            assert_eq!(report.offline_dirs, 0, "step {step}");
            for (partition, values) in &acknowledged {
                let found = match manager.get(partition) {
                    Some(log) => contents(&log, 0),
                    None => Vec::new(),
                };
                let found: Vec<_> = found.into_iter().map(|(_, value)| value).collect();
                assert!(found.starts_with(values), "{partition} at step {step}: {found:?}");
            }
            if survived {
                assert_eq!(report.unclean_dirs, 0);
                break;
            }
            // Every seventh change, so that the whole takes little time.
            step += 7;
        }
        assert!(step > 100, "{step}");
    }
}

#[test]
fn a_process_without_file_handles_keeps_its_directories() {
    const EMFILE: i32 = 24;
    let house = House::new();
    let fs = Eventful::new(Arc::new(house.fs.clone()));
    let options = ManagerOptions { fs: Arc::new(fs.clone()), ..house.options() };
    let (manager, _) = LogManager::open(&["/a".into()], options).unwrap();
    create(&manager, &tp("t", 0));
    let without_handles = |name: &str| {
        fs.before_opening(name, || Err(std::io::Error::from_raw_os_error(EMFILE)));
    };
    without_handles("replication-offset-checkpoint.tmp");
    manager.run_due();
    assert!(fs.has_happened());
    without_handles("00000000000000000000.log");
    let refused = manager.get_or_create(&tp("u", 0), None, LogConfig::default()).unwrap_err();
    assert!(fs.has_happened() && refused.lacks_handles(), "{refused:?}");
    assert_eq!(
        refused.to_string(),
        "no file handle left to create /a/u-0/00000000000000000000.log: \
         raise the limit of open files (ulimit -n)"
    );
    assert_eq!(manager.offline_dirs(), 0);
    create(&manager, &tp("u", 0));

    // A sync that was not begun has lost nothing.
    let log = manager.get(&tp("t", 0)).unwrap();
    for name in ["leader-epoch-checkpoint", "t-0", "a"] {
        log.append(&batch(NOW, &["x"]), &leader(0)).unwrap();
        without_handles(name);
        let refused = log.flush().unwrap_err();
        assert!(fs.has_happened() && refused.lacks_handles(), "{name}: {refused:?}");
        assert!(log.recovery_point() < log.log_end_offset(), "{name}");
    }
    log.flush().unwrap();
    assert_eq!(log.recovery_point(), Offset(3));
    without_handles("a");
    manager.delete(&tp("u", 0)).unwrap();
    assert!(fs.has_happened());
    assert_eq!(manager.offline_dirs(), 0);
}

#[test]
fn a_start_without_file_handles_ends_and_the_next_one_finds_everything() {
    let house = House::new();
    let (manager, _) = house.open();
    let log = create(&manager, &tp("t", 0));
    log.append(&batch(NOW, &["x"]), &leader(0)).unwrap();
    manager.close(None);
    drop((log, manager));
    for name in [".lock", "a", "partition.metadata", "leader-epoch-checkpoint"] {
        house.fs.restart();
        let fs = Eventful::new(Arc::new(house.fs.clone()));
        fs.before_opening(name, || Err(std::io::Error::from_raw_os_error(23)));
        let options = ManagerOptions { fs: Arc::new(fs.clone()), ..house.options() };
        let dirs = ["/a".into(), "/b".into()];
        let refused = LogManager::open(&dirs, options).err().unwrap();
        assert!(fs.has_happened() && refused.lacks_handles(), "{name}: {refused:?}");
    }
    house.fs.restart();
    let (manager, report) = house.open();
    assert_eq!((report.logs, report.offline_dirs, report.truncated_bytes), (1, 0, 0));
    assert_eq!(contents(&manager.get(&tp("t", 0)).unwrap(), 0).len(), 1);
}

#[test]
fn a_cleaning_outlives_the_lack_of_a_file_handle() {
    let house = House::new();
    let fs = Eventful::new(Arc::new(house.fs.clone()));
    let config = LogConfig {
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        segment_bytes: 500,
        ..LogConfig::default()
    };
    let options = ManagerOptions {
        fs: Arc::new(fs.clone()),
        config_of: Arc::new(move |_| config.clone()),
        ..house.options()
    };
    let (manager, _) = LogManager::open(&["/a".into()], options).unwrap();
    let log = create(&manager, &tp("t", 0));
    for _ in 0..50 {
        log.append(&batch(NOW, &["same"]), &leader(0)).unwrap();
    }
    log.set_high_watermark(log.log_end_offset());
    log.flush().unwrap();
    let before = log.size_bytes();
    // The directory is synced when the cleaned segment has its name.
    fs.before_opening("t-0", || Err(std::io::Error::from_raw_os_error(24)));
    manager.clean_due();
    assert!(fs.has_happened() && log.size_bytes() < before / 3);
    assert_eq!((manager.offline_dirs(), manager.cleaner().uncleanable().len()), (0, 0));
    assert_eq!(contents(&log, 0).last().unwrap().0, 49);
    log.append(&batch(NOW, &["later"]), &leader(0)).unwrap();
    log.flush().unwrap();
}

/// Waits until the file is there.
async fn until_written(fs: &SimFs, dir: &str, name: &str) {
    let began = std::time::Instant::now();
    let is_there = || fs.list(Path::new(dir)).unwrap().iter().any(|entry| entry.name == name);
    while !is_there() {
        assert!(began.elapsed() < HANG_GUARD, "{dir} has no {name}");
        tokio::task::yield_now().await;
    }
}

/// How long a test waits for what must happen.
const HANG_GUARD: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_stands_still_delays_no_work_of_another() {
    let house = House::new();
    let fs = Eventful::new(Arc::new(house.fs.clone()));
    let options = ManagerOptions { fs: Arc::new(fs.clone()), ..house.options() };
    let (manager, _) = LogManager::open(&["/a".into(), "/b".into()], options).unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let file = names::HIGH_WATERMARKS;
    fs.before_opening(&format!("a/{file}.tmp"), move || {
        let _ = held.recv();
        Ok(())
    });
    let running = tokio::spawn(manager.clone().run());
    until_written(&house.fs, "/b", file).await;
    assert!(house.fs.list(Path::new("/a")).unwrap().iter().all(|entry| entry.name != file));
    drop(release);
    until_written(&house.fs, "/a", file).await;
    running.abort();
}

#[test]
fn a_full_volume_only_delays_a_removal() {
    let house = House::new();
    let (manager, _) = house.open();
    let log = create(&manager, &tp("t", 0));
    let home = log.home().path().to_path_buf();
    manager.delete(&tp("t", 0)).unwrap();
    let doomed = || house.fs.list(&home).unwrap().iter().any(|it| it.name.ends_with("-delete"));
    house.fs.fail(Fault {
        op: Op::Remove,
        path: "-delete".to_owned(),
        error: std::io::ErrorKind::StorageFull,
        after: 0,
        times: 1,
    });
    house.hand.advance(Duration::from_secs(3600));
    manager.run_due();
    assert!(doomed() && manager.offline_dirs() == 0);
    house.hand.advance(Duration::from_secs(60));
    manager.run_due();
    assert!(!doomed());
}
