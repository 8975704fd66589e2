//! Writing the checkpoints of the log directories, and the clean stop.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use parking_lot::Mutex;
use pharos_base::Offset;

use super::load::{MAX_RECOVERY_THREADS, by_dir};
use super::{Dir, LogManager};
use crate::checkpoint::{OffsetMap, write_offsets};
use crate::error::{Context, StorageError};
use crate::fs::Open;
use crate::log::Log;
use crate::names;

impl LogManager {
    /// Writes `recovery-point-offset-checkpoint` of a directory; whether it was written.
    pub(super) fn checkpoint_recovery_points(&self, dir: &Dir) -> bool {
        self.write(dir, names::RECOVERY_POINTS, |log| Some(log.recovery_point()))
    }

    /// Writes `log-start-offset-checkpoint`: logs that start where their first segment does are left
    /// out, as in Kafka.
    pub(super) fn checkpoint_log_start_offsets(&self, dir: &Dir) {
        self.write(dir, names::LOG_START_OFFSETS, |log| {
            let start = log.log_start_offset();
            (start > log.first_base_offset()).then_some(start)
        });
    }

    /// Writes `replication-offset-checkpoint`, the high watermarks that the logs were told.
    pub(super) fn checkpoint_high_watermarks(&self, dir: &Dir) {
        self.write(dir, names::HIGH_WATERMARKS, |log| Some(log.high_watermark()));
    }

    /// Writes `cleaner-offset-checkpoint`.
    pub(super) fn checkpoint_cleaner_offsets(&self, dir: &Dir) {
        self.write(dir, names::CLEANER_OFFSETS, |log| self.cleaner.cleaned_to(log.partition()));
    }

    /// A directory whose checkpoint cannot be written goes offline, unless it is only full, or the
    /// process has no file handle left. Whether it was written, if it is online.
    fn write(&self, dir: &Dir, name: &str, offset: impl Fn(&Log) -> Option<Offset>) -> bool {
        if dir.home.is_offline() {
            return true;
        }
        let logs = self.logs_in(&dir.home);
        let offsets: OffsetMap =
            logs.iter().filter_map(|log| Some((log.partition().clone(), offset(log)?))).collect();
        let path = dir.home.path().join(name);
        let _writing = dir.checkpoints.lock();
        let written = write_offsets(self.options.fs.as_ref(), &path, &offsets);
        if let Err(error) = &written {
            self.checkpoint_failed(dir, error);
        }
        written.is_ok()
    }

    fn checkpoint_failed(&self, dir: &Dir, error: &StorageError) {
        if error.is_of_disk() {
            dir.home.fail(error);
        } else {
            tracing::warn!(%error, "checkpoint not written");
        }
    }

    /// The clean stop: flushes and closes every log, writes all checkpoints and, where nothing
    /// failed, the marker that lets the next start believe the tails without a scan.
    ///
    /// `broker_epoch` is kept in the marker for the next registration (KIP-966).
    pub fn close(&self, broker_epoch: Option<i64>) {
        let failed = self.close_logs();
        for dir in &self.dirs {
            self.checkpoint_recovery_points(dir);
            self.checkpoint_log_start_offsets(dir);
            self.checkpoint_high_watermarks(dir);
            self.checkpoint_cleaner_offsets(dir);
        }
        for dir in self.dirs.iter().filter(|dir| !dir.home.is_offline()) {
            if failed.iter().any(|log| Arc::ptr_eq(log.home(), &dir.home)) {
                continue;
            }
            if let Err(error) = self.mark_clean(dir, broker_epoch) {
                tracing::warn!(%error, "the next start will scan this directory");
            }
        }
        for dir in &self.dirs {
            dir._lock.lock().take();
        }
    }

    /// Closes the logs of every directory with a few threads; returns those that failed.
    fn close_logs(&self) -> Vec<Arc<Log>> {
        let threads = self.recovery_threads.load(Ordering::Relaxed).clamp(1, MAX_RECOVERY_THREADS);
        let failed = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for logs in by_dir(self.logs()).into_values() {
                let helpers = threads.min(logs.len());
                let queue = Arc::new(Mutex::new(logs));
                let failed = &failed;
                let close = move || {
                    loop {
                        let Some(log) = queue.lock().pop() else { return };
                        if !log.home().is_offline() && close_log(&log) {
                            failed.lock().push(log);
                        }
                    }
                };
                for index in 0..helpers {
                    let spawned = thread::Builder::new().spawn_scoped(scope, close.clone());
                    // Fewer threads only mean more time.
                    if spawned.is_err() && index == 0 {
                        close();
                    }
                }
            }
        });
        failed.into_inner()
    }

    fn mark_clean(&self, dir: &Dir, broker_epoch: Option<i64>) -> Result<(), StorageError> {
        let path = dir.home.path().join(names::CLEAN_SHUTDOWN);
        let text = format!("{{\"version\":0,\"brokerEpoch\":{}}}", broker_epoch.unwrap_or(-1));
        let fs = &self.options.fs;
        let file = fs.open(&path, Open::Truncate).context("create", &path)?;
        file.write_at(&mut [IoSlice::new(text.as_bytes())], 0).context("write", &path)?;
        file.sync().context("sync", &path)?;
        fs.sync_dir(dir.home.path()).context("sync", dir.home.path())
    }
}

/// Closes a log; `true` when that failed.
fn close_log(log: &Arc<Log>) -> bool {
    let result = log.close();
    if let Err(error) = &result {
        tracing::warn!(log = %log.partition(), %error, "log not closed cleanly");
    }
    result.is_err()
}
