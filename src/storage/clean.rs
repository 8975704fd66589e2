//! Compaction: keeping the last value of each key.
//!
//! [`Cleaner`] picks the dirtiest log and remembers how far each one is clean. Planning and
//! filtering are pure; only `rewrite` and `swap` touch files.

mod filter;
mod keys;
mod pace;
mod plan;
mod rewrite;
pub(crate) mod swap;
#[cfg(test)]
pub(crate) mod tests;
mod transactions;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pharos_base::{Clock, Offset, TopicPartition};

use crate::checkpoint::OffsetMap;
use crate::error::StorageError;
use crate::log::Log;
use pace::Pace;
pub(crate) use plan::SegmentFacts;
use plan::{Dirty, LogFacts};
use rewrite::Cleaned;

/// The cleaner's settings; the names in comments are broker keys.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanerOptions {
    /// `log.cleaner.enable`
    pub enabled: bool,
    /// `log.cleaner.backoff.ms`
    pub backoff_ms: i64,
    /// `log.cleaner.dedupe.buffer.size`, in bytes: bounds the keys of one cleaning.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`, in bytes, over all cleaners.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`, over all cleaners.
    pub io_max_bytes_per_second: f64,
    /// `log.cleaner.threads`: logs that are cleaned at the same time.
    pub threads: usize,
}

impl Default for CleanerOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            backoff_ms: 15_000,
            dedupe_buffer_bytes: 128 << 20,
            load_factor: 0.9,
            io_buffer_bytes: 512 << 10,
            io_max_bytes_per_second: f64::MAX,
            threads: 1,
        }
    }
}

impl CleanerOptions {
    /// One cleaner's share of what all have together.
    fn share(&self) -> Self {
        let threads = self.threads.max(1);
        Self {
            dedupe_buffer_bytes: self.dedupe_buffer_bytes / threads,
            io_buffer_bytes: self.io_buffer_bytes / threads,
            ..self.clone()
        }
    }
}

/// Why a log was not cleaned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CleanError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("the batch at offset {offset} cannot be cleaned: {what}")]
    Batch { offset: i64, what: String },
    #[error(
        "the keys of the batch at offset {offset} do not fit into log.cleaner.dedupe.buffer.size"
    )]
    NoProgress { offset: i64 },
}

/// The cleaner's figures, as its beans show them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CleanerStats {
    /// Bytes written over bytes read in the last cleaning, in percent.
    pub recopy_percent: f64,
    /// Used part of the room for keys in the last cleaning, in percent.
    pub buffer_utilization_percent: f64,
    /// Length of the last cleaning, in seconds; `None` before the first.
    pub last_clean_seconds: Option<f64>,
    /// The dirtiest log at the last look, in percent.
    pub max_dirty_percent: f64,
    /// How long `max.compaction.lag.ms` was overdue at most at the last look, in seconds.
    pub max_compaction_delay_seconds: f64,
    /// When the cleaner last looked, in ms since 1970; `None` before the first time.
    pub last_run_ms: Option<i64>,
    /// Bytes read and written in all.
    pub io_bytes: u64,
    /// Cleanings in all.
    pub cleanings: u64,
}

/// How far each log is cleaned, and the cleaner's figures.
#[derive(Debug)]
pub struct Cleaner {
    options: RwLock<CleanerOptions>,
    clock: Clock,
    cleaned_to: Mutex<HashMap<TopicPartition, Offset>>,
    uncleanable: Mutex<HashSet<TopicPartition>>,
    stats: Mutex<CleanerStats>,
    started_ms: i64,
    running: Mutex<()>,
}

impl Cleaner {
    pub(crate) fn new(options: CleanerOptions, clock: Clock) -> Self {
        Self {
            options: RwLock::new(options),
            started_ms: clock.now_ms(),
            clock,
            cleaned_to: Mutex::default(),
            uncleanable: Mutex::default(),
            stats: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// When it was made, in ms since 1970.
    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Offset up to which a log is cleaned.
    pub fn cleaned_to(&self, partition: &TopicPartition) -> Option<Offset> {
        self.cleaned_to.lock().get(partition).copied()
    }

    /// Logs that could not be cleaned and are left alone until the next start.
    pub fn uncleanable(&self) -> Vec<TopicPartition> {
        self.uncleanable.lock().iter().cloned().collect()
    }

    /// The figures.
    pub fn stats(&self) -> CleanerStats {
        *self.stats.lock()
    }

    /// Other settings, from the next round on.
    pub(crate) fn set_options(&self, options: CleanerOptions) {
        *self.options.write() = options;
    }

    pub(crate) fn restore(&self, offsets: OffsetMap) {
        self.cleaned_to.lock().extend(offsets);
    }

    pub(crate) fn forget(&self, partition: &TopicPartition) {
        self.cleaned_to.lock().remove(partition);
        self.uncleanable.lock().remove(partition);
    }

    /// Cleans the logs that are due, the dirtiest first, each once. `prepare` makes them durable and
    /// says so where the next start reads it: the holes that cleaning leaves must lie below the
    /// recovery point, or they would be taken for loss. `done` is told the log and the files to
    /// remove later, after each cleaning.
    pub(crate) fn run(
        &self,
        logs: &[Arc<Log>],
        prepare: &dyn Fn(&[&Arc<Log>]) -> bool,
        done: &(dyn Fn(&Log, Vec<PathBuf>) + Sync),
    ) {
        let options = self.options.read().clone();
        if !options.enabled || options.threads == 0 {
            return;
        }
        let _running = self.running.lock();
        let now_ms = self.clock.now_ms();
        let mut due: Vec<(Dirty, &Arc<Log>)> = Vec::new();
        let mut look = CleanerStats::default();
        for log in logs {
            let Some(dirty) = self.assess(log, now_ms) else { continue };
            look.max_dirty_percent = look.max_dirty_percent.max(dirty.ratio() * 100.0);
            let delay = dirty.overdue_ms as f64 / 1000.0;
            look.max_compaction_delay_seconds = look.max_compaction_delay_seconds.max(delay);
            if dirty.is_due(&log.config()) {
                due.push((dirty, log));
            }
        }
        {
            let mut stats = self.stats.lock();
            stats.max_dirty_percent = look.max_dirty_percent;
            stats.max_compaction_delay_seconds = look.max_compaction_delay_seconds;
            stats.last_run_ms = Some(now_ms);
        }
        due.sort_by(|(a, _), (b, _)| b.ratio().total_cmp(&a.ratio()));
        let logs: Vec<&Arc<Log>> = due.iter().map(|(_, log)| *log).collect();
        if logs.is_empty() || !prepare(&logs) {
            return;
        }
        // One that could not be made durable waits for the next time.
        due.retain(|(dirty, log)| log.recovery_point().0 >= dirty.first_uncleanable);
        let threads = options.threads.min(due.len());
        let pace = Pace::new(options.io_max_bytes_per_second, self.clock.clone());
        let share = options.share();
        let queue = Mutex::new(due.into_iter());
        let work = || {
            loop {
                let Some((dirty, log)) = queue.lock().next() else { return };
                let cleaned = rewrite::clean(log, &dirty, &share, &pace, &self.clock);
                self.judge(log, cleaned, done);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // Without another thread this one does it all.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// What could be cleaned; `None` for logs that are not the cleaner's.
    fn assess(&self, log: &Arc<Log>, now_ms: i64) -> Option<Dirty> {
        let config = log.config();
        let mine = config.cleanup_policy.compact
            && !log.home().is_offline()
            && !self.uncleanable.lock().contains(log.partition());
        if !mine {
            return None;
        }
        let facts = LogFacts {
            segments: log.segments_snapshot().iter().map(|segment| segment.facts()).collect(),
            log_start: log.log_start_offset().0,
            log_end: log.log_end_offset().0,
            last_stable: log.last_stable_offset().0,
            cleaned_to: self.cleaned_to(log.partition()).map(|offset| offset.0),
        };
        Some(plan::assess(&facts, &config, now_ms))
    }

    fn judge(
        &self,
        log: &Arc<Log>,
        cleaned: Result<Cleaned, CleanError>,
        done: &(dyn Fn(&Log, Vec<PathBuf>) + Sync),
    ) {
        match cleaned {
            Ok(mut cleaned) => {
                let files = std::mem::take(&mut cleaned.files);
                self.note(log, &cleaned);
                done(log, files);
            }
            Err(CleanError::Storage(
                error @ (StorageError::Offline { .. } | StorageError::Closed { .. }),
            )) => tracing::debug!(log = %log.partition(), %error, "not cleaned"),
            Err(CleanError::Storage(error)) if error.is_full() || error.lacks_handles() => {
                tracing::warn!(log = %log.partition(), %error, "not cleaned");
            }
            Err(error) => {
                tracing::error!(log = %log.partition(), %error, "log cannot be cleaned");
                self.uncleanable.lock().insert(log.partition().clone());
            }
        }
    }

    fn note(&self, log: &Log, cleaned: &Cleaned) {
        self.cleaned_to.lock().insert(log.partition().clone(), Offset(cleaned.cleaned_to));
        let mut stats = self.stats.lock();
        let read = cleaned.bytes_read.max(1) as f64;
        stats.recopy_percent = cleaned.bytes_written as f64 * 100.0 / read;
        stats.buffer_utilization_percent = cleaned.buffer_utilization_percent;
        stats.last_clean_seconds = Some(cleaned.elapsed.as_secs_f64());
        stats.io_bytes += cleaned.bytes_read + cleaned.bytes_written;
        stats.cleanings += 1;
    }
}
