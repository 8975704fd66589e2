//! kill -9 at seeded moments, counted in acknowledged operations; after each the next start needs
//! no help and nothing acknowledged is missing. Data of one life pass through several kills, also
//! through kills of the recovery itself.
//!
//! `PHAROS_FULL` runs all points, `PHAROS_SEED` another sequence of them.

use std::sync::{Condvar, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::crash_check::check;
use crate::crash_model::Model;
use crate::start_process::{HANG_GUARD, Launch, Server};

/// Kills of the short and of the full run.
const POINTS: (u64, u64) = (10, 50);
/// Kills that one directory goes through.
const KILLS_PER_LIFE: u64 = 10;
/// Operations that are acknowledged before a kill, at most.
const MAX_OPERATIONS: u64 = 600;

/// Operations that were acknowledged, over all workers.
#[derive(Debug, Default)]
pub struct Progress {
    count: Mutex<u64>,
    grown: Condvar,
}

impl Progress {
    /// Counts one.
    pub fn acknowledged(&self) {
        *self.count.lock().unwrap() += 1;
        self.grown.notify_all();
    }

    fn wait_for(&self, wanted: u64) {
        let count = self.count.lock().unwrap();
        let waited = self.grown.wait_timeout_while(count, HANG_GUARD, |count| *count < wanted);
        let (count, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "only {count} of {wanted} operations were acknowledged");
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let (short, full) = POINTS;
    let points = if std::env::var_os("PHAROS_FULL").is_some() { full } else { short };
    let seed = std::env::var("PHAROS_SEED").map_or(20_261_121, |seed| seed.parse().unwrap());
    println!("PHAROS_SEED={seed}, {points} points");
    for life in 0..points / KILLS_PER_LIFE {
        live(seed + life);
    }
}

/// Small segments, an eager cleaner, frequent checkpoints and snapshots: so that a kill meets them.
fn launch(home: &std::path::Path) -> Launch {
    let overrides = [
        "offsets.topic.num.partitions=4",
        "log.initial.task.delay.ms=0",
        "log.cleaner.backoff.ms=40",
        "log.flush.offset.checkpoint.interval.ms=60",
        "log.flush.start.offset.checkpoint.interval.ms=60",
        "replica.high.watermark.checkpoint.interval.ms=60",
        "log.flush.scheduler.interval.ms=50",
        "log.retention.check.interval.ms=100",
        "log.segment.delete.delay.ms=20",
        "log.index.interval.bytes=200",
        "metadata.log.max.record.bytes.between.snapshots=1500",
        "group.consumer.max.session.timeout.ms=600000",
        "group.consumer.session.timeout.ms=600000",
    ];
    let up = Launch::up(home).env("PHAROS_LOG", "info");
    overrides.iter().fold(up, |launch, pair| launch.with(pair))
}

fn live(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let launch = launch(home.path());
    let mut server = launch.start();
    let mut model = Model::prepare(&server);
    for point in 0..KILLS_PER_LIFE {
        let calls = server.calls();
        let operations = random.random_range(1..MAX_OPERATIONS);
        println!("life {seed}, point {point}: kill after {operations} operations");
        let progress = Progress::default();
        std::thread::scope(|scope| {
            model.work(scope, &server, &progress);
            progress.wait_for(operations);
            server.kill();
        });
        for _ in 0..random.random_range(0..3) {
            let calls = random.random_range(0..calls);
            println!("life {seed}, point {point}: kill the recovery after {calls} calls");
            launch.spawn().kill_after_calls(calls);
        }
        server = launch.start();
        check_log(&server);
        check(&mut model, &server);
    }
    model.finish(&server);
    println!("life {seed}: {}", model.summary());
}

/// One line tells what recovery did, and nothing is an error.
fn check_log(server: &Server) {
    let log = server.log();
    let recovered = log.matches("recovered logs after an unclean stop").count();
    assert_eq!(recovered, 1, "{log}");
    let unexpected = log.lines().find(|line| {
        // What the kill tore is told, and made again from the batches.
        let is_torn = line.contains("cut off what is no sound batch")
            || line.contains("producer snapshot is damaged; removed");
        (line.contains("WARN") && !is_torn) || line.contains("ERROR")
    });
    assert_eq!(unexpected, None, "{log}");
}
