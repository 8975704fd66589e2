//! Torn tails, flipped bits, kills and power failures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::tests::{Bench, contents, leader, producer_batch, small_segments};
use super::{Log, LogConfig, LogOptions};
use crate::checkpoint::EpochEntry;
use crate::config::CleanupPolicy;
use crate::fs::{Fs, Open, read_file};
use pharos_base::{LeaderEpoch, Offset};

const NOW: i64 = 1_700_000_000_000;

/// A log of several segments with two epochs and a producer.
fn filled(bench: &Bench) -> Vec<(i64, String)> {
    let log = bench.open();
    for n in 0..30 {
        let epoch = if n < 20 { 0 } else { 3 };
        let values = [format!("value {n}"), format!("more {n}")];
        let records = producer_batch(NOW + n, &[&values[0], &values[1]], 7, 0, 2 * n as i32);
        log.append(&records, &leader(epoch)).unwrap();
    }
    assert!(log.segment_count() > 3);
    log.close().unwrap();
    contents_of(&bench.open())
}

fn contents_of(log: &Log) -> Vec<(i64, String)> {
    contents(log, log.log_start_offset().0)
}

fn files(bench: &Bench) -> Vec<(PathBuf, u64)> {
    let dir = Path::new("/data/t-0");
    let entries = bench.fs.list(dir).unwrap();
    entries.into_iter().map(|entry| (dir.join(entry.name), entry.len)).collect()
}

#[test]
fn a_torn_tail_is_cut_at_every_byte_of_the_last_two_batches() {
    let bench = Bench::new(LogConfig { segment_bytes: 1 << 20, ..small_segments() });
    let log = bench.open();
    let mut ends = Vec::new();
    for n in 0..10 {
        let records = producer_batch(NOW, &[&format!("value {n}")], 7, 0, n);
        log.append(&records, &leader(0)).unwrap();
        ends.push(log.size_bytes());
    }
    let path = log.dir().join("00000000000000000000.log");
    let whole = read_file(&bench.fs, &path, 1 << 20).unwrap();
    drop(log);
    for len in ends[7]..=ends[9] {
        for filler in [0u64, 100] {
            let file = bench.fs.open(&path, Open::Truncate).unwrap();
            let kept = &whole[..len as usize];
            file.write_at(&mut [std::io::IoSlice::new(kept)], 0).unwrap();
            file.set_len(len + filler).unwrap();
            // Zeros may be just what was torn off.
            let held = read_file(&bench.fs, &path, 1 << 20).unwrap();
            let is_whole = |end: &&u64| held.starts_with(&whole[..**end as usize]);
            let batches = ends.iter().take_while(is_whole).count();
            let (log, report) = Log::open(bench.options()).unwrap();
            assert_eq!(log.log_end_offset(), Offset(batches as i64), "{len}");
            assert_eq!(contents_of(&log).len(), batches);
            assert_eq!(report.truncated_bytes, len + filler - ends[batches - 1]);
            // The producer goes on where its last whole batch ended.
            let next = producer_batch(NOW, &["next"], 7, 0, batches as i32);
            let info = log.append(&next, &leader(0)).unwrap();
            assert_eq!(info.first_offset, Offset(batches as i64));
        }
    }
}

/// Flips one bit of each file, every `step` bytes, and opens the log after an unclean stop.
fn flip_all(config: LogConfig, step: usize, check: impl Fn(&Path, u64, &Log, &[(i64, String)])) {
    let count = {
        let bench = Bench::new(config.clone());
        filled(&bench);
        files(&bench).len()
    };
    for index in 0..count {
        let mut byte = 0;
        loop {
            let bench = Bench::new(config.clone());
            let expected = filled(&bench);
            let (path, len) = files(&bench)[index].clone();
            if byte >= len {
                break;
            }
            bench.fs.flip(&path, byte, (byte % 8) as u8).unwrap();
            bench.fs.restart();
            if let Ok((log, _)) = Log::open(bench.options()) {
                check(&path, byte, &log, &expected);
            } else {
                assert!(path.ends_with("partition.metadata"), "{}", path.display());
            }
            byte += step as u64;
        }
    }
}

#[test]
fn a_flipped_bit_is_never_served() {
    for compact in [false, true] {
        let cleanup_policy = CleanupPolicy { delete: !compact, compact };
        let config = LogConfig { cleanup_policy, ..small_segments() };
        flip_all(config, 7, |path, byte, log, expected| {
            let found = contents_of(log);
            let place = format!("{} byte {byte}", path.display());
            assert_eq!(found, expected[..found.len()], "{place}");
            if path.extension().is_none_or(|extension| extension != "log") {
                assert_eq!(found.len(), expected.len(), "{place}");
            }
            let epochs: Vec<_> = log.epochs().iter().map(|entry| entry.epoch.0).collect();
            let is_log = path.extension().is_some_and(|extension| extension == "log");
            assert!(is_log || epochs == [0, 3], "{place}: {epochs:?}");
            let epochs_known = [0, 3].starts_with(&epochs) || epochs.is_empty();
            assert!(epochs_known, "{place}: {epochs:?}");
        });
    }
}

#[test]
fn a_flipped_bit_in_an_index_is_seen_when_it_is_used() {
    let bench = Bench::new(small_segments());
    let expected = filled(&bench);
    let indexes: Vec<_> = files(&bench)
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "index" || e == "timeindex"))
        .collect();
    for (path, len) in indexes {
        for byte in 0..len {
            bench.fs.flip(&path, byte, (byte % 8) as u8).unwrap();
            let options = LogOptions { clean: true, ..bench.options() };
            let (log, _) = Log::open(options).unwrap();
            for from in 0..60 {
                let found = contents(&log, from);
                assert_eq!(found, expected[from as usize..], "{} byte {byte}", path.display());
            }
            drop(log);
            bench.fs.flip(&path, byte, (byte % 8) as u8).unwrap();
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Append(u8),
    Roll,
    Flush,
    Truncate(u8),
    DeleteRecords(u8),
    Retention,
    CloseAndOpen,
    Kill,
    LosePower(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (1u8..5).prop_map(Act::Append),
        1 => Just(Act::Roll),
        2 => Just(Act::Flush),
        1 => any::<u8>().prop_map(Act::Truncate),
        1 => any::<u8>().prop_map(Act::DeleteRecords),
        1 => Just(Act::Retention),
        1 => Just(Act::CloseAndOpen),
        1 => Just(Act::Kill),
        1 => any::<u64>().prop_map(Act::LosePower),
    ]
}

/// What the log must hold.
#[derive(Default)]
struct Model {
    records: Vec<(i64, String)>,
    start: i64,
    end: i64,
    durable: i64,
    sequence: i32,
    written: u64,
}

struct World {
    bench: Bench,
    log: Arc<Log>,
    model: Model,
}

impl World {
    fn new() -> Self {
        let retention_bytes = 2000;
        let bench = Bench::new(LogConfig { retention_bytes, ..small_segments() });
        let log = bench.open();
        Self { bench, log, model: Model::default() }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Append(count) => self.append(*count),
            Act::Roll => self.log.roll().unwrap(),
            Act::Flush => {
                self.log.flush().unwrap();
                self.model.durable = self.model.end;
            }
            Act::Truncate(part) => {
                let span = self.model.end - self.model.start;
                let offset = self.model.start + span * i64::from(*part) / 255;
                self.log.truncate_to(Offset(offset)).unwrap();
                let end = self.log.log_end_offset().0;
                assert!(end <= offset && offset - end < 5, "whole batches go");
                self.truncated(end);
            }
            Act::DeleteRecords(part) => {
                self.log.set_high_watermark(self.log.log_end_offset());
                let span = self.model.end - self.model.start;
                let offset = self.model.start + span * i64::from(*part) / 255;
                assert_eq!(self.log.delete_records_to(Offset(offset)), Offset(offset));
                self.model.start = offset;
            }
            Act::Retention => {
                self.log.set_high_watermark(self.log.log_end_offset());
                self.log.apply_retention().unwrap();
                let start = self.log.log_start_offset().0;
                assert!(start >= self.model.start);
                self.model.start = start;
            }
            Act::CloseAndOpen => {
                self.log.close().unwrap();
                self.reopen(true);
                self.model.durable = self.model.end;
            }
            Act::Kill => {
                self.bench.fs.restart();
                self.reopen(false);
            }
            Act::LosePower(seed) => {
                self.bench.fs.lose_power(*seed);
                self.reopen(false);
            }
        }
        self.check();
    }

    fn append(&mut self, count: u8) {
        let values: Vec<String> =
            (0..count).map(|n| format!("record {}", self.model.written + u64::from(n))).collect();
        let texts: Vec<&str> = values.iter().map(String::as_str).collect();
        let records = producer_batch(NOW, &texts, 7, 0, self.model.sequence);
        let info = self.log.append(&records, &leader(1)).unwrap();
        assert_eq!(info.first_offset.0, self.model.end);
        assert!(self.log.append(&records, &leader(1)).unwrap().duplicate);
        self.model.written += u64::from(count);
        self.model.sequence += i32::from(count);
        for value in values {
            self.model.records.push((self.model.end, value));
            self.model.end += 1;
        }
    }

    /// The end may have gone back: the producer must start where the log says it is.
    fn truncated(&mut self, end: i64) {
        self.model.end = end;
        self.model.records.retain(|(offset, _)| *offset < end);
        self.model.durable = self.model.durable.min(end);
        let states = self.log.producer_states();
        self.model.sequence = states.first().map_or(0, |state| state.last_sequence() + 1);
    }

    fn reopen(&mut self, clean: bool) {
        let options = LogOptions {
            clean,
            recovery_point: Offset(self.model.durable),
            log_start_offset: Offset(self.model.start),
            ..self.bench.options()
        };
        self.log = Log::open(options).unwrap().0;
        let end = self.log.log_end_offset().0;
        assert!(end >= self.model.durable, "{end} {}", self.model.durable);
        self.truncated(end.min(self.model.end));
        if end > self.model.end {
            // Everything up to a log start that was noted before it was durable was lost.
            assert_eq!(end, self.model.start);
        }
        self.model.end = end;
    }

    fn check(&self) {
        let model = &self.model;
        assert_eq!(self.log.log_end_offset().0, model.end);
        assert_eq!(self.log.log_start_offset().0, model.start);
        let kept = model.records.iter().filter(|(offset, _)| *offset >= model.start);
        let kept: Vec<_> = kept.cloned().collect();
        assert_eq!(contents_of(&self.log), kept);
        let stamp = self.log.offset_of_max_timestamp().unwrap();
        assert_eq!(stamp.is_some(), !kept.is_empty());
        assert!(stamp.is_none_or(|stamp| stamp.offset >= self.log.log_start_offset()));
    }
}

/// Cases of the property, unless `PROPTEST_CASES` says how many.
fn cases() -> u32 {
    let usual = if std::env::var_os("PHAROS_FULL").is_some() { 1000 } else { 80 };
    std::env::var("PROPTEST_CASES").map_or(usual, |count| count.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_what_was_put_in(acts in proptest::collection::vec(act(), 1..60)) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
    }
}

#[test]
fn a_kill_at_any_change_loses_no_acknowledged_record() {
    for power in [None, Some(11), Some(12), Some(13)] {
        let mut step = 0;
        loop {
            let bench = Bench::new(LogConfig { flush_messages: 1, ..small_segments() });
            bench.fs.kill_after(step);
            let mut acknowledged = Vec::new();
            let opened = Log::open(bench.options());
            if let Ok((log, _)) = &opened {
                for n in 0..25i32 {
                    let value = format!("value {n}");
                    let records = producer_batch(NOW, &[&value], 7, 0, n);
                    let epoch = if n < 15 { 0 } else { 1 };
                    let Ok(info) = log.append(&records, &leader(epoch)) else { break };
                    if power.is_some() && (!info.flush_due || log.flush().is_err()) {
                        break;
                    }
                    acknowledged.push((info.first_offset.0, value));
                }
            }
            let survived = !bench.fs.was_killed();
            match power {
                None => bench.fs.restart(),
                Some(seed) => bench.fs.lose_power(seed + step),
            }
            drop(opened);
            let (log, _) = Log::open(bench.options()).unwrap();
            let found = contents_of(&log);
            assert!(found.len() <= acknowledged.len() + 1, "step {step}");
            assert_eq!(found[..acknowledged.len()], acknowledged, "step {step}");
            // The producer tries its last batch again, and no record is there twice.
            let next = acknowledged.len() as i32;
            let again = producer_batch(NOW, &[&format!("value {next}")], 7, 0, next);
            log.append(&again, &leader(1)).unwrap();
            assert_eq!(contents_of(&log).len(), acknowledged.len() + 1, "step {step}");
            if survived {
                break;
            }
            step += 1;
        }
        assert!(step > 30, "{step}");
    }
}

#[test]
fn a_damaged_epoch_checkpoint_is_made_again_from_the_batches() {
    let bench = Bench::new(small_segments());
    let expected = filled(&bench);
    let path = Path::new("/data/t-0/leader-epoch-checkpoint");
    bench.fs.open(path, Open::Truncate).unwrap();
    let clean = LogOptions { clean: true, ..bench.options() };
    let (log, report) = Log::open(clean).unwrap();
    let entry =
        |epoch, start| EpochEntry { epoch: LeaderEpoch(epoch), start_offset: Offset(start) };
    assert_eq!(log.epochs(), [entry(0, 0), entry(3, 40)]);
    assert!(report.recovered_segments > 3);
    assert_eq!(contents_of(&log), expected);
}

/// Found by kills: a segment was begun while batches were in flight, and of those before it the
/// snapshot knew only the last.
#[test]
fn a_producer_may_send_its_last_batches_again_after_a_kill() {
    for (rolled_at, durable_to) in (0..9).flat_map(|n| [(n, 0), (n, n), (n, 9)]) {
        let bench = Bench::new(LogConfig { segment_bytes: 1 << 20, ..small_segments() });
        let log = bench.open();
        let one = |n: i32| producer_batch(NOW, &[&format!("value {n}")], 7, 0, n);
        for n in 0..9 {
            if n == rolled_at {
                log.roll().unwrap();
            }
            log.append(&one(n), &leader(0)).unwrap();
        }
        drop(log);
        bench.fs.restart();
        let recovery_point = Offset(i64::from(durable_to));
        let options = LogOptions { recovery_point, ..bench.options() };
        let (log, _) = Log::open(options).unwrap();
        for n in 4..9 {
            let info = log.append(&one(n), &leader(0)).unwrap();
            let place = format!("batch {n}, rolled at {rolled_at}, durable to {durable_to}");
            assert!(info.duplicate && info.first_offset == Offset(i64::from(n)), "{place}");
        }
        assert!(!log.append(&one(9), &leader(0)).unwrap().duplicate);
    }
}

/// Found by the property above.
#[test]
fn a_power_loss_after_a_truncation_keeps_the_largest_timestamp() {
    let mut world = World::new();
    for act in [
        Act::LosePower(11_742_787_161_111_713_588),
        Act::Kill,
        Act::Kill,
        Act::Append(1),
        Act::Flush,
        Act::Append(3),
        Act::Append(4),
        Act::Append(3),
        Act::Append(1),
        Act::Append(3),
        Act::Roll,
        Act::Truncate(187),
        Act::Truncate(24),
        Act::Roll,
        Act::CloseAndOpen,
        Act::Append(1),
        Act::CloseAndOpen,
        Act::LosePower(4_734_406_280_972_476_460),
    ] {
        world.act(&act);
    }
}

/// Found by the property above: a tail that a truncation took away came back with the power.
#[test]
fn a_tail_that_comes_back_does_not_overlap_the_next_segment() {
    let mut world = World::new();
    for act in [
        Act::Append(2),
        Act::Append(1),
        Act::Roll,
        Act::LosePower(5_056_928_449_051_476_390),
        Act::Truncate(170),
        Act::Append(1),
        Act::Truncate(170),
        Act::Roll,
        Act::Append(1),
        Act::Roll,
        Act::LosePower(10_215_987_832_930_835_209),
        Act::Append(2),
        Act::LosePower(13_235_542_761_533_990_490),
    ] {
        world.act(&act);
    }
}

/// Found by the property above: a log that begins behind what was lost keeps its place when a clean
/// start has to look for its epochs.
#[test]
fn a_scan_after_a_clean_stop_finds_no_loss() {
    let mut world = World::new();
    for act in [
        Act::Append(1),
        Act::Append(1),
        Act::Append(1),
        Act::Roll,
        Act::DeleteRecords(170),
        Act::LosePower(4_484_570_044_614_633_035),
        Act::Kill,
        Act::CloseAndOpen,
    ] {
        world.act(&act);
    }
    world.log.close().unwrap();
    world.bench.fs.remove_file(Path::new("/data/t-0/leader-epoch-checkpoint")).unwrap();
    world.reopen(true);
    world.check();
}

#[test]
fn a_sequence_that_went_back_is_not_taken_for_a_batch_of_before() {
    let mut world = World::new();
    let acts = [
        Act::Append(1),
        Act::Roll,
        Act::Append(1),
        Act::Roll,
        Act::Append(4),
        Act::Append(4),
        Act::CloseAndOpen,
        Act::Append(1),
        Act::Roll,
        Act::Append(1),
        Act::Append(1),
        Act::Append(1),
        Act::Append(1),
        Act::DeleteRecords(187),
        Act::LosePower(13_355_668_571_738_823_849),
        Act::Flush,
        Act::Append(1),
        Act::Append(3),
        Act::DeleteRecords(192),
        Act::Append(2),
        Act::LosePower(1_829_409_189_937_040_508),
        Act::Append(4),
        Act::Append(1),
        Act::Truncate(32),
        Act::Append(4),
    ];
    for act in &acts {
        world.act(act);
    }
}
