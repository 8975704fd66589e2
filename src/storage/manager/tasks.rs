//! What runs in the background, and when. The times are data; [`LogManager::run_due`] acts. Each
//! directory has a schedule of its own, so that none waits for the disk of another.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::{Dir, Doomed, LogManager, ManagerOptions};
use crate::disk::LogDir;
use crate::error::StorageError;
use crate::log::Log;

/// How long after a removal for which there was no room, or no file handle, it is tried again.
const REMOVE_AGAIN_MS: i64 = 60_000;

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Retention,
    Flush,
    RecoveryPoints,
    LogStarts,
    HighWatermarks,
    Producers,
    Remove,
}

/// When each task of a directory is due next.
#[derive(Debug)]
pub(super) struct Schedule(Vec<(Task, Interval)>);

/// What is done every so often.
#[derive(Debug)]
pub(super) struct Interval {
    every_ms: i64,
    due_ms: i64,
}

impl Interval {
    /// Due for the first time at `due_ms`.
    pub(super) fn new(every_ms: i64, due_ms: i64) -> Self {
        Self { every_ms: every_ms.max(1), due_ms }
    }

    /// Another pause; one that is shorter counts from now.
    pub(super) fn set_pause(&mut self, every_ms: i64, now_ms: i64) {
        if self.every_ms != every_ms.max(1) {
            self.every_ms = every_ms.max(1);
            self.due_ms = self.due_ms.min(now_ms.saturating_add(self.every_ms));
        }
    }

    /// Whether it is due; the next time is set then.
    fn take_due(&mut self, now_ms: i64) -> bool {
        let is_due = self.due_ms <= now_ms;
        if is_due {
            self.due_ms = now_ms.saturating_add(self.every_ms);
        }
        is_due
    }
}

/// What becomes due.
pub(super) trait Due {
    /// Time until it is, in ms; negative when it is overdue.
    fn next_in(&self, now_ms: i64) -> i64;
}

impl Due for Interval {
    fn next_in(&self, now_ms: i64) -> i64 {
        self.due_ms.saturating_sub(now_ms)
    }
}

impl Due for Schedule {
    fn next_in(&self, now_ms: i64) -> i64 {
        self.0.iter().map(|(_, interval)| interval.next_in(now_ms)).min().unwrap_or(i64::MAX)
    }
}

impl Schedule {
    /// The work of one directory.
    pub(super) fn new(options: &ManagerOptions) -> Self {
        let now_ms = options.clock.now_ms();
        let first = now_ms.saturating_add(options.initial_task_delay_ms);
        let tasks = [
            (Task::Retention, options.retention_check_interval_ms),
            (Task::Flush, options.flush_scheduler_interval_ms),
            (Task::RecoveryPoints, options.recovery_point_checkpoint_interval_ms),
            (Task::LogStarts, options.log_start_checkpoint_interval_ms),
            (Task::HighWatermarks, options.high_watermark_checkpoint_interval_ms),
            (Task::Producers, options.producer_id_expiration_check_interval_ms),
            (Task::Remove, 1000),
        ];
        let interval = |(task, every_ms)| {
            let early = matches!(task, Task::HighWatermarks | Task::Remove | Task::Flush);
            (task, Interval::new(every_ms, if early { now_ms } else { first }))
        };
        Self(tasks.map(interval).into())
    }

    /// The tasks that are due, with their next time set.
    fn take_due(&mut self, now_ms: i64) -> Vec<Task> {
        let due = self.0.iter_mut().filter_map(|(task, it)| it.take_due(now_ms).then_some(*task));
        due.collect()
    }
}

impl LogManager {
    /// Does the background work that is due, one directory after the other. Blocks on the disks.
    pub fn run_due(&self) {
        self.dirs.iter().for_each(|dir| self.run_due_in(dir));
        self.clean_if_due();
    }

    /// Does the work of one directory that is due. Blocks on its disk and no other.
    pub(super) fn run_due_in(&self, dir: &Dir) {
        let due = dir.schedule.lock().take_due(self.options.clock.now_ms());
        for task in due {
            if dir.home.is_offline() {
                return;
            }
            match task {
                Task::Retention => self.apply_retention(&dir.home),
                Task::Flush => self.flush_due(&dir.home),
                Task::RecoveryPoints => {
                    self.checkpoint_recovery_points(dir);
                }
                Task::LogStarts => self.checkpoint_log_start_offsets(dir),
                Task::HighWatermarks => self.checkpoint_high_watermarks(dir),
                Task::Producers => self.expire_producers(&dir.home),
                Task::Remove => self.remove_doomed(&dir.home),
            }
        }
    }

    pub(super) fn clean_if_due(&self) {
        if self.cleaning.lock().take_due(self.options.clock.now_ms()) {
            self.clean_due();
        }
    }

    /// The logs of one directory.
    pub(super) fn logs_in(&self, home: &Arc<LogDir>) -> Vec<Arc<Log>> {
        let logs = self.logs.read();
        logs.values().filter(|log| Arc::ptr_eq(log.home(), home)).cloned().collect()
    }

    /// Retention on every log of a directory whose policy does not leave it to the cleaner.
    fn apply_retention(&self, home: &Arc<LogDir>) {
        for log in self.logs_in(home) {
            if home.is_offline() {
                return;
            }
            match log.apply_retention() {
                Ok(report) if report.segments > 0 => {
                    tracing::debug!(log = %log.partition(), segments = report.segments,
                        bytes = report.bytes, "old segments deleted");
                    self.doom(&log, report.files);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(log = %log.partition(), %error, "retention failed"),
            }
        }
    }

    pub(crate) fn doom(&self, log: &Log, paths: Vec<PathBuf>) {
        let delay = log.config().file_delete_delay_ms;
        let due_ms = self.options.clock.now_ms().saturating_add(delay);
        let home = log.home().clone();
        self.doomed.lock().push(Doomed { home, paths, is_dir: false, due_ms });
    }

    fn flush_due(&self, home: &Arc<LogDir>) {
        for log in self.logs_in(home) {
            if log.is_flush_due() {
                log.flush_in_background();
            }
        }
    }

    fn expire_producers(&self, home: &Arc<LogDir>) {
        let ms = self.producer_id_expiration_ms.load(Ordering::Relaxed);
        for log in self.logs_in(home) {
            log.expire_producers(ms);
        }
    }

    /// Cleans the dirtiest logs, one after the other, until none is dirty enough.
    pub fn clean_due(&self) {
        let before = self.cleaner.stats().io_bytes;
        let prepare = |logs: &[&Arc<Log>]| {
            for log in logs {
                if let Err(error) = log.flush() {
                    tracing::debug!(log = %log.partition(), %error, "not cleaned");
                }
            }
            // Of their own disks, and of no other.
            let is_home = |dir: &&Dir| logs.iter().any(|log| Arc::ptr_eq(log.home(), &dir.home));
            self.dirs.iter().filter(is_home).all(|dir| self.checkpoint_recovery_points(dir))
        };
        let homes: Mutex<Vec<Arc<LogDir>>> = Mutex::default();
        let done = |log: &Log, files: Vec<PathBuf>| {
            self.doom(log, files);
            homes.lock().push(log.home().clone());
        };
        self.cleaner.run(&self.logs(), &prepare, &done);
        if let Some(beans) = self.beans.get() {
            beans.cleaner_io.mark(self.cleaner.stats().io_bytes.saturating_sub(before));
        }
        let homes = homes.into_inner();
        let is_home = |dir: &&Dir| homes.iter().any(|home| Arc::ptr_eq(home, &dir.home));
        self.dirs.iter().filter(is_home).for_each(|dir| self.checkpoint_cleaner_offsets(dir));
    }

    /// Removes deleted directories and files of a log directory whose delay has passed.
    fn remove_doomed(&self, home: &Arc<LogDir>) {
        let now_ms = self.options.clock.now_ms();
        let due: Vec<Doomed> = {
            let mut doomed = self.doomed.lock();
            let (due, later) = doomed
                .drain(..)
                .partition(|item| item.due_ms <= now_ms && Arc::ptr_eq(&item.home, home));
            *doomed = later;
            due
        };
        for mut item in due {
            if !item.home.is_offline() && !self.remove(&item) {
                item.due_ms = now_ms.saturating_add(REMOVE_AGAIN_MS);
                self.doomed.lock().push(item);
            }
        }
    }

    /// Whether nothing of it is left to be tried again.
    fn remove(&self, item: &Doomed) -> bool {
        let fs = &self.options.fs;
        let mut done = true;
        for path in &item.paths {
            let removed = if item.is_dir { fs.remove_dir_all(path) } else { fs.remove_file(path) };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let error = StorageError::io("remove", path, error);
                    if error.is_of_disk() {
                        item.home.fail(&error);
                    } else {
                        tracing::warn!(%error, "it is tried again");
                        done = false;
                    }
                }
                _ => {}
            }
        }
        done
    }
}
