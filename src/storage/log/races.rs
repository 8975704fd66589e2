//! What is deleted or replaced while somebody looks for something in it.

use std::io;

use super::tests::{Bench, batch, contents, leader, small_segments};
use super::*;
use crate::clean::tests::{compacted, put};
use crate::clean::{Cleaner, CleanerOptions};
use crate::fs::{Eventful, Fault, Op};

fn open(bench: &Bench) -> (Arc<Log>, Eventful) {
    let fs = Eventful::new(Arc::new(bench.fs.clone()));
    let partition = TopicPartition::new("t", 0);
    let shared = Arc::new(fs.clone());
    let mut options = LogOptions::alone(shared, "/data/t-0", partition, bench.clock.clone());
    options.config = bench.config.clone();
    (Log::open(options).unwrap().0, fs)
}

/// Closes all files, and lets the first segment be deleted just before its log is opened again.
fn delete_the_first(log: &Arc<Log>, fs: &Eventful) {
    let segments = log.segments_snapshot();
    segments.iter().for_each(|segment| segment.close_files());
    let (log, end) = (log.clone(), Offset(segments[1].base_offset));
    fs.before_opening(&names::segment(0, names::LOG), move || {
        log.set_high_watermark(log.log_end_offset());
        log.delete_records_to(end);
        assert_eq!(log.apply_retention().unwrap().segments, 1);
        Ok(())
    });
}

#[test]
fn a_time_is_found_though_its_segment_goes() {
    let bench = Bench::new(LogConfig { retention_ms: -1, ..small_segments() });
    let (log, fs) = open(&bench);
    for n in 0..50 {
        log.append(&batch(n, &["value"]), &leader(0)).unwrap();
    }
    delete_the_first(&log, &fs);
    let found = log.offset_for_timestamp(0).unwrap().unwrap();
    assert!(fs.has_happened());
    assert_eq!(found.offset, log.log_start_offset());
    assert!(found.offset.0 > 0 && !log.home().is_offline());
}

/// A log with something to clean, and one record behind it.
fn fill(log: &Log) {
    for n in 0..60 {
        put(log, &format!("key-{}", n % 7), Some("value"));
    }
    log.roll().unwrap();
    put(log, "active", Some("last"));
    log.flush().unwrap();
}

#[test]
fn a_cleaning_begins_anew_when_a_segment_goes() {
    let bench = Bench::new(compacted());
    let (log, fs) = open(&bench);
    fill(&log);
    delete_the_first(&log, &fs);
    let cleaner = Cleaner::new(CleanerOptions::default(), bench.clock.clone());
    cleaner.run(std::slice::from_ref(&log), &|_| true, &|_, _| {});
    assert!(fs.has_happened());
    assert_eq!((cleaner.uncleanable(), cleaner.stats().cleanings), (vec![], 0));
    cleaner.run(std::slice::from_ref(&log), &|_| true, &|_, _| {});
    assert_eq!((cleaner.uncleanable(), cleaner.stats().cleanings), (vec![], 1));
}

#[test]
fn a_swap_that_stops_half_way_is_the_end_of_its_directory() {
    let bench = Bench::new(compacted());
    let (log, _) = open(&bench);
    fill(&log);
    bench.fs.fail(Fault {
        op: Op::Rename,
        path: names::SWAP.to_owned(),
        error: io::ErrorKind::StorageFull,
        after: 0,
        times: 1,
    });
    let cleaner = Cleaner::new(CleanerOptions::default(), bench.clock.clone());
    cleaner.run(std::slice::from_ref(&log), &|_| true, &|_, _| {});
    assert!(log.home().is_offline(), "its readers would wait for ever");
    // The next start completes it.
    let recovery_point = log.recovery_point();
    bench.fs.restart();
    let (log, report) = Log::open(LogOptions { recovery_point, ..bench.options() }).unwrap();
    assert_eq!((report.truncated_bytes, log.log_end_offset()), (0, Offset(61)));
    assert_eq!(contents(&log, 60), [(60, "last".to_owned())]);
}
