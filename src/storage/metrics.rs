//! The beans of logs, log directories and the cleaner, under Kafka's names. They read what the logs
//! know anyway; the data path moves nothing but the timers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use pharos_metrics::catalog::{log as rows, native};
use pharos_metrics::{BeanRow, Meter, NativeHistogram, Registered, Registry, Timer, Value};

use crate::clean::Cleaner;
use crate::disk::LogDir;
use crate::log::Log;
use crate::manager::LogManager;

/// What all logs of a node move together.
#[derive(Debug)]
pub struct StorageMetrics {
    flush: Registered<Timer>,
    flush_seconds: Registered<NativeHistogram>,
    append_seconds: Registered<NativeHistogram>,
}

/// The beans of one log; they exist while this is held.
pub struct LogBeans {
    _beans: [Registered<()>; 5],
}

/// The beans of the manager and its cleaner.
pub(crate) struct ManagerBeans {
    _beans: Vec<Registered<()>>,
    pub(crate) cleaner_io: Registered<Meter>,
}

/// What is left to recover, while that goes on.
pub(crate) struct RecoveryBeans {
    pub(crate) logs: Arc<AtomicI64>,
    /// By thread.
    pub(crate) segments: Vec<Arc<AtomicI64>>,
    _beans: Vec<Registered<()>>,
}

impl StorageMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Arc<Self> {
        let seconds = |row| registry.family(row).histogram(&[]);
        Arc::new(Self {
            flush: registry.timer(&rows::LOG_FLUSH_STATS_LOG_FLUSH_RATE_AND_TIME_MS, &[]),
            flush_seconds: seconds(&native::PHAROS_LOG_FLUSH_DURATION_SECONDS),
            append_seconds: seconds(&native::PHAROS_LOG_APPEND_DURATION_SECONDS),
        })
    }

    /// The metadata log was synced: a flush in Kafka's bean, as there, and not among those of
    /// partitions.
    pub fn metadata_flushed(&self, took: Duration) {
        self.flush.update(took);
    }

    /// One segment was synced.
    pub(crate) fn flushed(&self, took: Duration) {
        self.flush.update(took);
        self.flush_seconds.record(took.as_secs_f64());
    }

    /// One append was done.
    pub(crate) fn appended(&self, took: Duration) {
        self.append_seconds.record(took.as_secs_f64());
    }
}

fn whole(value: u64) -> Value {
    Value::Long(i64::try_from(value).unwrap_or(i64::MAX))
}

impl LogBeans {
    /// Registers the beans of `log`. They read zero once the log is gone.
    pub fn new(registry: &Registry, log: &Arc<Log>) -> Self {
        let partition = log.partition().partition.to_string();
        let topic = log.partition().topic.clone();
        let gauge = |row: &'static BeanRow, read: fn(&Log) -> Value| {
            let log: Weak<Log> = Arc::downgrade(log);
            let tags = [("topic", &*topic), ("partition", partition.as_str())];
            registry.gauge_fn(row, &tags, move || {
                log.upgrade().map_or(Value::Long(0), |log| read(&log))
            })
        };
        Self {
            _beans: [
                gauge(&rows::LOG_SIZE, |log| whole(log.size_bytes())),
                gauge(&rows::LOG_NUM_LOG_SEGMENTS, |log| whole(log.segment_count() as u64)),
                gauge(&rows::LOG_LOG_START_OFFSET, |log| Value::Long(log.log_start_offset().0)),
                gauge(&rows::LOG_LOG_END_OFFSET, |log| Value::Long(log.log_end_offset().0)),
                gauge(&rows::LOG_RETENTION_SIZE_IN_PERCENT, retention_percent),
            ],
        }
    }
}

/// Size against `retention.bytes`, 0 without a limit or without the policy `delete`.
fn retention_percent(log: &Log) -> Value {
    let config = log.config();
    if config.retention_bytes <= 0 || !config.cleanup_policy.delete {
        return Value::Long(0);
    }
    whole(log.size_bytes().saturating_mul(100) / config.retention_bytes.unsigned_abs())
}

impl ManagerBeans {
    pub(crate) fn new(registry: &Registry, manager: &Arc<LogManager>) -> Self {
        let mut beans = Vec::new();
        let mut gauge = |row: &'static BeanRow, read: fn(&LogManager) -> Value| {
            let manager = Arc::downgrade(manager);
            let read = move || manager.upgrade().map_or(Value::Long(0), |m| read(&m));
            beans.push(registry.gauge_fn(row, &[], read));
        };
        gauge(&rows::LOG_MANAGER_OFFLINE_LOG_DIRECTORY_COUNT, |m| whole(m.offline_dirs() as u64));
        gauge(&rows::LOG_MANAGER_CORDONED_LOG_DIRECTORY_COUNT, |m| whole(m.cordoned_dirs() as u64));
        gauge(&rows::LOG_CLEANER_MAX_BUFFER_UTILIZATION_PERCENT, |m| {
            Value::Long(m.cleaner().stats().buffer_utilization_percent as i64)
        });
        gauge(&rows::LOG_CLEANER_CLEANER_RECOPY_PERCENT, |m| {
            Value::Long(m.cleaner().stats().recopy_percent as i64)
        });
        gauge(&rows::LOG_CLEANER_MAX_CLEAN_TIME_SECS, |m| {
            // Kafka's figure before the first cleaning: 0 less the time of the start.
            let before = m.cleaner().started_ms() as f64 / -1000.0;
            Value::Long(m.cleaner().stats().last_clean_seconds.unwrap_or(before) as i64)
        });
        gauge(&rows::LOG_CLEANER_MAX_COMPACTION_DELAY_SECS, |m| {
            Value::Long(m.cleaner().stats().max_compaction_delay_seconds as i64)
        });
        gauge(&rows::LOG_CLEANER_DEAD_THREAD_COUNT, |_| Value::Long(0));
        gauge(&rows::LOG_CLEANER_MANAGER_MAX_DIRTY_PERCENT, |m| {
            Value::Long(m.cleaner().stats().max_dirty_percent as i64)
        });
        gauge(&rows::LOG_CLEANER_MANAGER_TIME_SINCE_LAST_RUN_MS, |m| {
            Value::Long(m.cleaner().since_last_run_ms())
        });
        for dir in manager.dirs() {
            dir_beans(registry, manager, &dir.home, &mut beans);
        }
        Self { _beans: beans, cleaner_io: registry.meter(&rows::THROTTLER_CLEANER_IO, &[]) }
    }
}

fn dir_beans(
    registry: &Registry,
    manager: &Arc<LogManager>,
    home: &Arc<LogDir>,
    beans: &mut Vec<Registered<()>>,
) {
    let path = home.path().to_string_lossy().into_owned();
    let tags = [("logDirectory", path.as_str())];
    let dir = home.clone();
    let offline = move || Value::Long(i64::from(dir.is_offline()));
    beans.push(registry.gauge_fn(&rows::LOG_MANAGER_LOG_DIRECTORY_OFFLINE, &tags, offline));
    let (weak, dir) = (Arc::downgrade(manager), home.clone());
    let cordoned = move || weak.upgrade().is_some_and(|m| m.is_cordoned(&dir));
    let cordoned = move || Value::Long(i64::from(cordoned()));
    beans.push(registry.gauge_fn(&rows::LOG_MANAGER_LOG_DIRECTORY_CORDONED, &tags, cordoned));
    let mut uncleanable = |row: &'static BeanRow, figure: fn((usize, u64)) -> u64| {
        let (manager, dir) = (Arc::downgrade(manager), home.clone());
        let read = move || manager.upgrade().map_or(0, |m| figure(m.uncleanable_in(&dir)));
        beans.push(registry.gauge_fn(row, &tags, move || whole(read())));
    };
    uncleanable(&rows::LOG_CLEANER_MANAGER_UNCLEANABLE_PARTITIONS_COUNT, |found| found.0 as u64);
    uncleanable(&rows::LOG_CLEANER_MANAGER_UNCLEANABLE_BYTES, |found| found.1);
    let labels = [path.as_str()];
    let mut native = |row, read: Box<dyn Fn() -> f64 + Send + Sync>| {
        beans.push(registry.family(row).gauge_fn(&labels, read));
    };
    let dir = home.clone();
    let online = move || if dir.is_offline() { 0.0 } else { 1.0 };
    native(&native::PHAROS_LOG_DIR_ONLINE, Box::new(online));
    let (weak, dir) = (Arc::downgrade(manager), home.clone());
    let used = move || weak.upgrade().map_or(0.0, |m| m.bytes_in(&dir) as f64);
    native(&native::PHAROS_LOG_DIR_SIZE_BYTES, Box::new(used));
    let (fs, dir) = (manager.options().fs.clone(), home.clone());
    let free = move || fs.space(dir.path()).map_or(0.0, |space| space.usable as f64);
    native(&native::PHAROS_LOG_DIR_FREE_BYTES, Box::new(free));
}

impl RecoveryBeans {
    /// For `logs` logs of `home`, recovered by `threads` threads.
    pub(crate) fn new(registry: &Registry, home: &LogDir, logs: usize, threads: usize) -> Self {
        let path = home.path().to_string_lossy();
        let count = |start: usize| Arc::new(AtomicI64::new(i64::try_from(start).unwrap_or(0)));
        let gauge = |row: &'static BeanRow, tags: &[(&str, &str)], value: &Arc<AtomicI64>| {
            let value = value.clone();
            registry.gauge_fn(row, tags, move || Value::Long(value.load(Ordering::Relaxed)))
        };
        let logs = count(logs);
        let segments: Vec<_> = (0..threads).map(|_| count(0)).collect();
        let row = &rows::LOG_MANAGER_REMAINING_LOGS_TO_RECOVER;
        let mut beans = vec![gauge(row, &[("dir", &path)], &logs)];
        for (thread, value) in segments.iter().enumerate() {
            let thread = thread.to_string();
            let tags = [("dir", &*path), ("threadNum", thread.as_str())];
            beans.push(gauge(&rows::LOG_MANAGER_REMAINING_SEGMENTS_TO_RECOVER, &tags, value));
        }
        Self { logs, segments, _beans: beans }
    }
}

impl Cleaner {
    /// Time since the cleaner last looked, in ms; 0 before the first time.
    pub(crate) fn since_last_run_ms(&self) -> i64 {
        self.stats().last_run_ms.map_or(0, |last| self.now_ms().saturating_sub(last))
    }
}
