//! Cleaning whole logs: what stays, what a crash at every step leaves, and that readers see nothing
//! of it.

use std::collections::BTreeMap;
use std::time::Duration;

use pharos_base::{LeaderEpoch, TopicPartition};
use pharos_protocol::batch::{BatchBuilder, BatchOptions, NewRecord, Origin, batches};

use super::*;
use crate::config::{CleanupPolicy, LogConfig};
use crate::log::tests::Bench;
use crate::log::{AppendOptions, LogOptions};

pub(crate) fn compacted() -> LogConfig {
    LogConfig {
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        segment_bytes: 1000,
        index_interval_bytes: 100,
        min_cleanable_dirty_ratio: 0.01,
        delete_retention_ms: 1000,
        ..LogConfig::default()
    }
}

pub(crate) fn put(log: &Log, key: &str, value: Option<&str>) {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let record = NewRecord {
        timestamp: 1_700_000_000_000,
        key: Some(key.as_bytes()),
        value: value.map(str::as_bytes),
        headers: &[],
    };
    builder.push(&record).unwrap();
    let options = AppendOptions { origin: Origin::Client, leader_epoch: LeaderEpoch(0) };
    log.append(&builder.build().unwrap(), &options).unwrap();
    log.set_high_watermark(log.log_end_offset());
}

/// Offset and value of the records of each key, tombstones as `None`.
fn records(log: &Log) -> BTreeMap<String, Vec<(i64, Option<String>)>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let mut next = log.log_start_offset();
    loop {
        let slice = log.read(next, 10_000, log.log_end_offset(), true).unwrap();
        if slice.is_empty() {
            return found;
        }
        for batch in batches(&slice.read_to_bytes().unwrap()) {
            let batch = batch.unwrap();
            batch.check_crc().unwrap();
            next = Offset(batch.header().next_offset());
            for record in batch.open(1 << 20).unwrap().records() {
                let record = record.unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let entry = (record.offset, record.value.map(text));
                found.entry(text(record.key.unwrap())).or_default().push(entry);
            }
        }
    }
}

fn fill(log: &Log) -> BTreeMap<String, (i64, Option<String>)> {
    let mut last = BTreeMap::new();
    for n in 0..120 {
        let key = format!("key-{}", n % 7);
        let value = (n % 13 != 0).then(|| format!("value {n}"));
        put(log, &key, value.as_deref());
        last.insert(key, (n, value));
    }
    log.roll().unwrap();
    put(log, "active", Some("x"));
    last.insert("active".into(), (120, Some("x".into())));
    last
}

fn cleaner(bench: &Bench) -> Cleaner {
    Cleaner::new(CleanerOptions::default(), bench.clock.clone())
}

fn flush(logs: &[&Arc<Log>]) -> bool {
    logs.iter().all(|log| log.flush().is_ok())
}

#[test]
fn only_last_values_stay_and_tombstones_go_in_time() {
    let bench = Bench::new(compacted());
    let log = bench.open();
    let last = fill(&log);
    let cleaner = cleaner(&bench);
    let before = log.size_bytes();
    let logs = [log.clone()];
    cleaner.run(&logs, &flush, &|_, files| assert!(!files.is_empty()));
    assert!(log.size_bytes() < before / 3, "{} {before}", log.size_bytes());
    assert_eq!(cleaner.cleaned_to(log.partition()), Some(Offset(120)));
    let found = records(&log);
    for (key, value) in &last {
        assert_eq!(found[key], std::slice::from_ref(value), "{key}");
    }
    assert!(last.values().any(|(_, value)| value.is_none()), "no tombstone in the test");
    assert_eq!(cleaner.stats().cleanings, 1);
    // Later the tombstones go too, once there is something to clean.
    bench.hand.advance(Duration::from_secs(2));
    put(&log, "key-new", Some("y"));
    log.roll().unwrap();
    put(&log, "active", Some("z"));
    cleaner.run(&logs, &flush, &|_, _| {});
    let found = records(&log);
    assert!(found.iter().all(|(key, all)| key == "active" || all.iter().all(|r| r.1.is_some())));
    assert_eq!(log.log_end_offset(), Offset(123));
    // All of it is there after a restart.
    drop(logs);
    bench.fs.restart();
    let (log, report) = Log::open(bench.options()).unwrap();
    assert_eq!(report.truncated_bytes, 0);
    assert_eq!(records(&log), found);
}

#[test]
fn a_crash_at_any_step_loses_and_revives_nothing() {
    for lost in [None, Some(7), Some(8)] {
        let mut step = 0;
        loop {
            let bench = Bench::new(compacted());
            let log = bench.open();
            let last = fill(&log);
            log.flush().unwrap();
            bench.fs.kill_after(step);
            cleaner(&bench).run(std::slice::from_ref(&log), &flush, &|_, _| {});
            let survived = !bench.fs.was_killed();
            match lost {
                None => bench.fs.restart(),
                Some(seed) => bench.fs.lose_power(seed + step),
            }
            let options = LogOptions { recovery_point: Offset(121), ..bench.options() };
            let (log, report) = Log::open(options).unwrap();
            assert_eq!(report.truncated_bytes, 0, "step {step}");
            assert_eq!(log.log_end_offset(), Offset(121), "step {step}");
            let found = records(&log);
            for (key, value) in &last {
                assert_eq!(found[key].last(), Some(value), "{key} at step {step}");
            }
            if survived {
                assert!(found.values().all(|all| all.len() == 1));
                break;
            }
            step += 1;
        }
        assert!(step > 10, "{step}");
    }
}

#[test]
fn a_small_buffer_cleans_in_several_rounds() {
    let bench = Bench::new(compacted());
    let log = bench.open();
    let last = fill(&log);
    let options =
        CleanerOptions { dedupe_buffer_bytes: 48 * 3, load_factor: 1.0, ..Default::default() };
    let cleaner = Cleaner::new(options, bench.clock.clone());
    let mut before = Offset(0);
    loop {
        cleaner.run(std::slice::from_ref(&log), &flush, &|_, _| {});
        let reached = cleaner.cleaned_to(log.partition()).unwrap();
        if reached == before {
            break;
        }
        before = reached;
    }
    let found = records(&log);
    for (key, value) in &last {
        assert_eq!(found[key].last(), Some(value), "{key}");
    }
    assert_eq!(log.partition(), &TopicPartition::new("t", 0));
}
