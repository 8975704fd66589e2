//! kill -9 at moments that are aimed at, and at seeded ones, counted in acknowledged operations;
//! after each the next start needs no help and nothing acknowledged is missing. Data of one life
//! pass through several kills, also through kills of the recovery itself.
//!
//! `PHAROS_FULL` runs all points, `PHAROS_SEED` another sequence of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::crash_aim::{Moment, Target};
use crate::crash_check::{check, is_group_commit};
use crate::crash_model::Model;
use crate::start_process::{Guard, HANG_GUARD, Launch, Server};

/// Kills of the short and of the full run, at least: moments that were missed are aimed at again.
const POINTS: (usize, usize) = (12, 50);
/// Kills that one directory goes through.
const KILLS_PER_LIFE: usize = 12;
/// Operations that are acknowledged before a kill, at most.
const MAX_OPERATIONS: u64 = 600;
/// Most kills that are spent on one moment.
const MAX_TRIES: usize = 20;

/// Operations that were acknowledged, over all workers.
#[derive(Debug, Default)]
pub struct Progress {
    told: Mutex<Told>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    operations: u64,
    /// Records of producers, by their ids.
    records: BTreeMap<i64, u64>,
}

impl Progress {
    /// Counts one.
    pub fn acknowledged(&self) {
        self.told.lock().unwrap().operations += 1;
        self.grown.notify_all();
    }

    /// Counts one by which a producer knows of so many records.
    pub fn acknowledged_to(&self, producer_id: i64, records: u64) {
        self.told.lock().unwrap().records.insert(producer_id, records);
        self.acknowledged();
    }

    /// Of how many producers there are more records than they know of. Those that were told nothing
    /// yet do not count.
    pub fn waiting(&self, written: &BTreeMap<i64, u64>) -> usize {
        let told = self.told.lock().unwrap();
        let waits =
            |(id, end): &(&i64, &u64)| told.records.get(id).is_some_and(|known| known < *end);
        written.iter().filter(waits).count()
    }

    fn wait_for(&self, wanted: u64) {
        let mut told = self.told.lock().unwrap();
        while told.operations < wanted {
            let before = told.operations;
            let stands = |told: &mut Told| told.operations == before;
            let (grown, timeout) = self.grown.wait_timeout_while(told, HANG_GUARD, stands).unwrap();
            assert!(!timeout.timed_out(), "only {before} of {wanted} operations were acknowledged");
            told = grown;
        }
    }
}

/// What was aimed at and met.
#[derive(Debug, Default)]
struct Score {
    kills: usize,
    tries: BTreeMap<Moment, usize>,
    met: BTreeMap<Moment, usize>,
}

impl Score {
    /// The moments in turn and, as often, none: a kill anywhere. Once there were enough kills, only
    /// the moments that were not met.
    fn next_aim(&self, points: usize) -> Option<Option<Moment>> {
        let turn = self.kills % (Moment::ALL.len() + 1);
        if self.kills < points {
            return Some(Moment::ALL.get(turn).copied());
        }
        let missed = Moment::ALL.into_iter().find(|moment| !self.met.contains_key(moment))?;
        let tries = self.tries.get(&missed).copied().unwrap_or(0);
        assert!(tries < MAX_TRIES, "{missed:?} was not met: {self:?}");
        Some(Some(missed))
    }

    fn count(&mut self, aim: Option<Moment>, met: bool) {
        self.kills += 1;
        if let Some(moment) = aim {
            *self.tries.entry(moment).or_default() += 1;
            *self.met.entry(moment).or_default() += usize::from(met);
            self.met.retain(|_, count| *count > 0);
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let (short, full) = POINTS;
    let points = if std::env::var_os("PHAROS_FULL").is_some() { full } else { short };
    let seed = std::env::var("PHAROS_SEED").map_or(20_261_121, |seed| seed.parse().unwrap());
    println!("PHAROS_SEED={seed}, {points} points");
    let mut score = Score::default();
    let mut life = 0;
    while score.next_aim(points).is_some() {
        live(seed + life, points, &mut score);
        life += 1;
    }
    println!("{} kills, met {:?} of {:?}", score.kills, score.met, score.tries);
}

/// Small segments, an eager cleaner, frequent checkpoints and snapshots: so that a kill meets them.
fn launch(home: &Path) -> Launch {
    let overrides = [
        "offsets.topic.num.partitions=4",
        "log.initial.task.delay.ms=0",
        "log.cleaner.backoff.ms=40",
        "log.cleaner.io.max.bytes.per.second=300000",
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
    let up = Launch::up(home).env("PHAROS_LOG", "info,openraft=error");
    overrides.iter().fold(up, |launch, pair| launch.with(pair))
}

/// A broker and its clients through several kills.
struct Life {
    launch: Launch,
    data: PathBuf,
    random: StdRng,
    model: Model,
    server: Server,
}

fn live(seed: u64, points: usize, score: &mut Score) {
    let home = tempfile::tempdir().unwrap();
    let launch = launch(home.path());
    let server = launch.start();
    let model = Model::prepare(&server);
    let random = StdRng::seed_from_u64(seed);
    let mut life = Life { launch, data: home.path().join("pharos-data"), random, model, server };
    for point in 0..KILLS_PER_LIFE {
        let Some(aim) = score.next_aim(points) else { break };
        println!("life {seed}, point {point}: aim at {aim:?}");
        let met = life.pass(aim);
        score.count(aim, met);
    }
    life.model.finish(&life.server);
    check(&mut life.model, &life.server, &life.data);
    println!("life {seed}: {}", life.model.summary());
}

impl Life {
    /// Works, is killed, starts again and is checked; whether the kill met what it was aimed at.
    fn pass(&mut self, aim: Option<Moment>) -> bool {
        let calls = self.server.calls();
        let operations = self.random.random_range(1..MAX_OPERATIONS);
        let mut met = self.work_and_die(operations, aim.filter(|moment| !moment.is_of_start()));
        if let Some(moment) = aim.filter(|moment| moment.is_of_start()) {
            let skipped = self.random.random_range(0..moment.signs());
            let watch = moment.watch(&self.data);
            met = moment.strike_start(self.launch.spawn(), &watch, skipped);
        }
        for _ in 0..self.random.random_range(0..3) {
            let calls = self.random.random_range(0..calls);
            println!("  and the start after {calls} calls");
            self.launch.spawn().kill_after_calls(calls);
        }
        self.server = self.launch.start();
        check_log(&self.server);
        if aim == Some(Moment::GroupCommit) {
            met &= is_group_commit(&self.model, &self.server);
        }
        check(&mut self.model, &self.server, &self.data);
        println!("  killed after {operations} operations{}", if met { ", met" } else { "" });
        met
    }

    fn work_and_die(&mut self, operations: u64, aim: Option<Moment>) -> bool {
        let skipped = aim.map_or(0, |moment| self.random.random_range(0..moment.signs()));
        let progress = Progress::default();
        let (model, server, data) = (&mut self.model, &mut self.server, &self.data);
        std::thread::scope(|scope| {
            model.work(scope, server, &progress, aim == Some(Moment::Append));
            let mortal = Mortal(server.process());
            progress.wait_for(operations);
            let target = Target { data, progress: &progress };
            aim.is_some_and(|moment| moment.strike(mortal.0, &target, skipped))
        })
    }
}

/// A process that ends with this: the clients would go on for ever.
struct Mortal<'a>(&'a mut Guard);

impl Drop for Mortal<'_> {
    fn drop(&mut self) {
        self.0.strike();
        self.0.bury();
    }
}

/// One line tells what recovery did, and nothing is an error.
fn check_log(server: &Server) {
    let log = server.log();
    let recovered = log.matches("recovered logs after an unclean stop").count();
    assert_eq!(recovered, 1, "{log}");
    let unexpected = server.complaints().into_iter().find(|line| {
        // What the kill tore is told, and made again from the batches.
        let is_torn = line.contains("cut off what is no sound batch")
            || line.contains("producer snapshot is damaged; removed");
        !(line.contains(" WARN ") && is_torn)
    });
    assert_eq!(unexpected, None, "{log}");
}
