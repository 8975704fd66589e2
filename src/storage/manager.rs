//! All logs of a node, over its log directories: loading, creating, deleting, checkpoints and the
//! work in the background.
//!
//! It owns what lies directly in a log directory. It refuses to know topics that nobody created or
//! that are not there, and never touches a file or directory whose name is not one of a log's.

mod changes;
mod checkpoints;
mod load;
mod tasks;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use pharos_base::{Clock, DISK_THREADS, DiskPool, TopicPartition};
use pharos_metrics::Registry;
use tokio::sync::Notify;

pub use load::OpenReport;

use crate::clean::CleanerOptions;
use crate::config::LogConfig;
use crate::disk::LogDir;
use crate::files::FileCache;
use crate::fs::{Fs, LockGuard, Space};
use crate::log::Log;
use crate::metrics::{LogBeans, ManagerBeans, StorageMetrics};

/// Gives the settings of a topic by name.
pub type ConfigOf = Arc<dyn Fn(&str) -> LogConfig + Send + Sync>;

/// What a manager is made with; the names in comments are broker keys.
#[derive(Clone)]
pub struct ManagerOptions {
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The time.
    pub clock: Clock,
    /// Settings of the topics whose logs are found.
    pub config_of: ConfigOf,
    /// `num.recovery.threads.per.data.dir`
    pub recovery_threads: usize,
    /// Threads of each directory's pool.
    pub disk_threads: usize,
    /// Files of segments that are open at a time, over all logs.
    pub max_open_files: usize,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,
    /// `producer.id.expiration.check.interval.ms`
    pub producer_id_expiration_check_interval_ms: i64,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval_ms: i64,
    /// `log.flush.scheduler.interval.ms`
    pub flush_scheduler_interval_ms: i64,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub recovery_point_checkpoint_interval_ms: i64,
    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub log_start_checkpoint_interval_ms: i64,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub high_watermark_checkpoint_interval_ms: i64,
    /// `log.initial.task.delay.ms`
    pub initial_task_delay_ms: i64,
    /// Where beans are registered.
    pub registry: Registry,
    /// The cleaner's settings.
    pub cleaner: CleanerOptions,
}

/// A log directory as DescribeLogDirs shows it.
#[derive(Clone, Debug)]
pub struct DirStatus {
    /// The directory.
    pub home: Arc<LogDir>,
    /// Room on its volume; `None` when offline or not known.
    pub space: Option<Space>,
    /// Logs in it.
    pub logs: usize,
    /// Whether it gets no new ones.
    pub is_cordoned: bool,
}

/// All logs of a node.
pub struct LogManager {
    options: ManagerOptions,
    cache: Arc<FileCache>,
    dirs: Vec<Dir>,
    logs: RwLock<HashMap<TopicPartition, Arc<Log>>>,
    /// One creation or deletion at a time.
    changing: Mutex<()>,
    doomed: Mutex<Vec<Doomed>>,
    /// When the cleaner, which is one of the node as in Kafka, looks again.
    cleaning: Mutex<tasks::Interval>,
    /// Its thread: no disk that stands still keeps it from the others before it has come there.
    cleaning_thread: DiskPool,
    cleaner: crate::clean::Cleaner,
    metrics: Arc<StorageMetrics>,
    log_beans: Mutex<HashMap<TopicPartition, LogBeans>>,
    /// `producer.id.expiration.ms`
    producer_id_expiration_ms: AtomicI64,
    /// `num.recovery.threads.per.data.dir`
    recovery_threads: AtomicUsize,
    /// Directories that get no new logs (`cordoned.log.dirs`).
    cordoned: RwLock<Vec<PathBuf>>,
    /// Told when background work may be due earlier.
    rescheduled: Notify,
    beans: OnceLock<ManagerBeans>,
}

struct Dir {
    home: Arc<LogDir>,
    /// Held as long as the manager lives.
    _lock: Mutex<Option<LockGuard>>,
    /// When its background work is due.
    schedule: Mutex<tasks::Schedule>,
    /// One writer of checkpoints at a time.
    checkpoints: Mutex<()>,
    /// Logs in it.
    logs: AtomicIsize,
}

/// Files or a directory to remove when their time has come.
struct Doomed {
    home: Arc<LogDir>,
    paths: Vec<PathBuf>,
    is_dir: bool,
    due_ms: i64,
}

impl ManagerOptions {
    /// Kafka's defaults.
    pub fn new(fs: Arc<dyn Fs>, clock: Clock) -> Self {
        Self {
            fs,
            config_of: Arc::new(|_| LogConfig::default()),
            recovery_threads: 2,
            disk_threads: DISK_THREADS,
            max_open_files: 4096,
            producer_id_expiration_ms: 86_400_000,
            producer_id_expiration_check_interval_ms: 600_000,
            retention_check_interval_ms: 300_000,
            flush_scheduler_interval_ms: 1000,
            recovery_point_checkpoint_interval_ms: 60_000,
            log_start_checkpoint_interval_ms: 60_000,
            high_watermark_checkpoint_interval_ms: 5_000,
            initial_task_delay_ms: 30_000,
            registry: Registry::new(clock.clone()),
            clock,
            cleaner: CleanerOptions::default(),
        }
    }
}

impl LogManager {
    /// The log of a partition.
    pub fn get(&self, partition: &TopicPartition) -> Option<Arc<Log>> {
        self.logs.read().get(partition).cloned()
    }

    /// All logs, in no order.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.logs.read().values().cloned().collect()
    }

    /// The open files, for logs that stand beside the managed ones.
    pub fn files(&self) -> &Arc<FileCache> {
        &self.cache
    }

    /// The cleaner, for its figures.
    pub fn cleaner(&self) -> &crate::clean::Cleaner {
        &self.cleaner
    }

    /// The settings that the manager was opened with.
    pub fn options(&self) -> &ManagerOptions {
        &self.options
    }

    /// Other settings of the cleaner, from its next round on.
    pub fn set_cleaner(&self, options: CleanerOptions) {
        self.cleaning.lock().set_pause(options.backoff_ms, self.options.clock.now_ms());
        self.cleaner.set_options(options);
        self.rescheduled.notify_waiters();
    }

    /// For how long a producer id is remembered after its last write.
    pub fn set_producer_id_expiration_ms(&self, ms: i64) {
        self.producer_id_expiration_ms.store(ms, Ordering::Relaxed);
    }

    /// Threads of each directory that close its logs when the node stops.
    pub fn set_recovery_threads(&self, threads: usize) {
        self.recovery_threads.store(threads, Ordering::Relaxed);
    }

    /// Directories that get no new logs, unless one is asked for by name.
    pub fn set_cordoned(&self, dirs: Vec<PathBuf>) {
        *self.cordoned.write() = dirs;
    }

    /// Number of directories that get no new logs.
    pub(crate) fn cordoned_dirs(&self) -> usize {
        self.dirs.iter().filter(|dir| self.is_cordoned(&dir.home)).count()
    }

    /// Whether a directory gets no new logs.
    pub(crate) fn is_cordoned(&self, home: &LogDir) -> bool {
        self.cordoned.read().iter().any(|cordoned| cordoned == home.path())
    }

    /// Replaces the settings of all logs of a topic.
    pub fn set_config(&self, topic: &str, config: &LogConfig) {
        for (partition, log) in self.logs.read().iter() {
            if &*partition.topic == topic {
                log.set_config(config.clone());
            }
        }
    }

    /// What all logs move together.
    pub fn metrics(&self) -> &Arc<StorageMetrics> {
        &self.metrics
    }

    /// The log directories.
    pub fn dirs(&self) -> Vec<DirStatus> {
        let logs = self.logs.read();
        let status = |dir: &Dir| {
            let home = dir.home.clone();
            let count = logs.values().filter(|log| Arc::ptr_eq(log.home(), &home)).count();
            let space = match home.is_offline() {
                true => None,
                false => self.options.fs.space(home.path()).ok(),
            };
            let is_cordoned = self.is_cordoned(&home);
            DirStatus { home, space, logs: count, is_cordoned }
        };
        self.dirs.iter().map(status).collect()
    }

    /// Number and bytes of the logs of a directory that cannot be cleaned.
    pub(crate) fn uncleanable_in(&self, home: &Arc<LogDir>) -> (usize, u64) {
        let logs = self.cleaner.uncleanable().into_iter().filter_map(|p| self.get(&p));
        let here = logs.filter(|log| Arc::ptr_eq(log.home(), home));
        here.fold((0, 0), |(count, bytes), log| (count + 1, bytes + log.size_bytes()))
    }

    /// Bytes of all logs of a directory.
    pub(crate) fn bytes_in(&self, home: &Arc<LogDir>) -> u64 {
        let logs = self.logs.read();
        logs.values().filter(|log| Arc::ptr_eq(log.home(), home)).map(|log| log.size_bytes()).sum()
    }

    /// Number of directories that are offline.
    pub fn offline_dirs(&self) -> usize {
        self.dirs.iter().filter(|dir| dir.home.is_offline()).count()
    }

    /// Runs what is due in the background, until the future is dropped. The work of a directory waits
    /// for its own disk, on its own pool; a long cleaning delays nothing else.
    pub async fn run(self: Arc<Self>) {
        let mut works: Vec<Work> = vec![Box::pin(self.clone().run_cleaning())];
        for index in 0..self.dirs.len() {
            works.push(Box::pin(self.clone().run_directory(index)));
        }
        std::future::poll_fn(|context| {
            works.retain_mut(|work| work.as_mut().poll(context).is_pending());
            Poll::Pending
        })
        .await
    }

    /// Does the work of one directory until that is offline.
    async fn run_directory(self: Arc<Self>, index: usize) {
        while let Some(dir) = self.dirs.get(index).filter(|dir| !dir.home.is_offline()) {
            tokio::time::sleep(self.pause(&dir.schedule)).await;
            let manager = self.clone();
            let work = move || manager.dirs.get(index).map(|dir| manager.run_due_in(dir));
            dir.home.pool().run(work).await;
        }
    }

    async fn run_cleaning(self: Arc<Self>) {
        loop {
            let wait = self.pause(&self.cleaning);
            if tokio::time::timeout(wait, self.rescheduled.notified()).await.is_ok() {
                continue;
            }
            let manager = self.clone();
            self.cleaning_thread.run(move || manager.clean_if_due()).await;
        }
    }

    /// How long to wait for what is scheduled next.
    fn pause(&self, schedule: &Mutex<impl tasks::Due>) -> Duration {
        let wait = schedule.lock().next_in(self.options.clock.now_ms());
        Duration::from_millis(wait.clamp(10, 60_000).unsigned_abs())
    }
}

/// Background work of a directory, or of the cleaner.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for LogManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogManager({} dirs, {} logs)", self.dirs.len(), self.logs.read().len())
    }
}
