//! What runs in the background, and when. The times are data; [`LogManager::run_due`] acts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Doomed, LogManager, ManagerOptions};
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
    Clean,
    Remove,
}

/// Tasks that wait for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All that takes little time.
    Quick,
    /// The cleaner.
    Cleaning,
}

impl Task {
    fn kind(self) -> Kind {
        if self == Self::Clean { Kind::Cleaning } else { Kind::Quick }
    }
}

/// When each task is due next.
#[derive(Debug)]
pub(super) struct Schedule(Vec<Slot>);

#[derive(Debug)]
struct Slot {
    task: Task,
    every_ms: i64,
    due_ms: i64,
}

impl Schedule {
    pub(super) fn new(options: &ManagerOptions) -> Self {
        let first = options.clock.now_ms().saturating_add(options.initial_task_delay_ms);
        let tasks = [
            (Task::Retention, options.retention_check_interval_ms),
            (Task::Flush, options.flush_scheduler_interval_ms),
            (Task::RecoveryPoints, options.recovery_point_checkpoint_interval_ms),
            (Task::LogStarts, options.log_start_checkpoint_interval_ms),
            (Task::HighWatermarks, options.high_watermark_checkpoint_interval_ms),
            (Task::Producers, options.producer_id_expiration_check_interval_ms),
            (Task::Clean, options.cleaner.backoff_ms),
            (Task::Remove, 1000),
        ];
        let slots = tasks.map(|(task, every_ms)| {
            // Kafka's cleaner does not wait for `log.initial.task.delay.ms` either.
            let early =
                matches!(task, Task::HighWatermarks | Task::Remove | Task::Flush | Task::Clean);
            let due_ms = if early { options.clock.now_ms() } else { first };
            Slot { task, every_ms: every_ms.max(1), due_ms }
        });
        Self(slots.into())
    }

    /// Another pause of the cleaner; one that is shorter counts from now.
    pub(super) fn set_cleaning(&mut self, every_ms: i64, now_ms: i64) {
        for slot in self.0.iter_mut().filter(|slot| slot.task == Task::Clean) {
            if slot.every_ms != every_ms.max(1) {
                slot.every_ms = every_ms.max(1);
                slot.due_ms = slot.due_ms.min(now_ms.saturating_add(slot.every_ms));
            }
        }
    }

    /// Time until the next task, in ms; negative when one is overdue.
    fn next_in(&self, kind: Kind, now_ms: i64) -> i64 {
        let slots = self.0.iter().filter(|slot| slot.task.kind() == kind);
        slots.map(|slot| slot.due_ms.saturating_sub(now_ms)).min().unwrap_or(i64::MAX)
    }

    /// The tasks that are due, with their next time set.
    fn take_due(&mut self, kind: Kind, now_ms: i64) -> Vec<Task> {
        let mut due = Vec::new();
        let is_due = |slot: &&mut Slot| slot.task.kind() == kind && slot.due_ms <= now_ms;
        for slot in self.0.iter_mut().filter(is_due) {
            slot.due_ms = now_ms.saturating_add(slot.every_ms);
            due.push(slot.task);
        }
        due
    }
}

impl LogManager {
    /// Time until background work of this kind is due, in ms.
    pub(super) fn next_task_in(&self, kind: Kind) -> i64 {
        self.schedule.lock().next_in(kind, self.options.clock.now_ms())
    }

    /// Does the background work that is due. Blocks on the disk.
    pub fn run_due(&self) {
        self.run_kind(Kind::Quick);
        self.run_kind(Kind::Cleaning);
    }

    pub(super) fn run_kind(&self, kind: Kind) {
        let due = self.schedule.lock().take_due(kind, self.options.clock.now_ms());
        for task in due {
            match task {
                Task::Retention => self.apply_retention(),
                Task::Flush => self.flush_due(),
                Task::RecoveryPoints => {
                    self.checkpoint_recovery_points();
                }
                Task::LogStarts => self.checkpoint_log_start_offsets(),
                Task::HighWatermarks => self.checkpoint_high_watermarks(),
                Task::Producers => self.expire_producers(),
                Task::Clean => self.clean_due(),
                Task::Remove => self.remove_doomed(),
            }
        }
    }

    /// Retention on every log whose policy does not leave it to the cleaner.
    pub fn apply_retention(&self) {
        for log in self.logs() {
            if log.home().is_offline() {
                continue;
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

    pub(crate) fn doom(&self, log: &Log, paths: Vec<std::path::PathBuf>) {
        let delay = log.config().file_delete_delay_ms;
        let due_ms = self.options.clock.now_ms().saturating_add(delay);
        let home = log.home().clone();
        self.doomed.lock().push(Doomed { home, paths, is_dir: false, due_ms });
    }

    fn flush_due(&self) {
        for log in self.logs() {
            if !log.home().is_offline() && log.is_flush_due() {
                log.flush_in_background();
            }
        }
    }

    fn expire_producers(&self) {
        let ms = self.producer_id_expiration_ms.load(Ordering::Relaxed);
        for log in self.logs() {
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
            self.checkpoint_recovery_points()
        };
        self.cleaner.run(&self.logs(), &prepare, &|log, files| self.doom(log, files));
        if let Some(beans) = self.beans.get() {
            beans.cleaner_io.mark(self.cleaner.stats().io_bytes.saturating_sub(before));
        }
        self.checkpoint_cleaner_offsets();
    }

    /// Removes deleted directories and files whose delay has passed.
    pub fn remove_doomed(&self) {
        let now_ms = self.options.clock.now_ms();
        let due: Vec<Doomed> = {
            let mut doomed = self.doomed.lock();
            let (due, later) = doomed.drain(..).partition(|item| item.due_ms <= now_ms);
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
