//! Starting: locks, checkpoints, and every log of every directory, some at a time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use pharos_base::{DiskPool, Offset, TopicPartition};

use super::tasks::{Interval, Schedule};
use super::{Dir, Doomed, LogManager, ManagerOptions};
use crate::checkpoint::{OffsetMap, read_offsets};
use crate::disk::LogDir;
use crate::error::{Context, StorageError};
use crate::files::FileCache;
use crate::log::{LoadReport, Log, LogOptions};
use crate::metrics::{ManagerBeans, RecoveryBeans, StorageMetrics};
use crate::names;

/// How often a start that takes long says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Most threads that open or close the logs of one directory, whatever is asked for.
pub(super) const MAX_RECOVERY_THREADS: usize = 64;

/// What starting found and did, over all directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Logs opened.
    pub logs: usize,
    /// Directories whose last stop was not clean.
    pub unclean_dirs: usize,
    /// Directories that could not be opened.
    pub offline_dirs: usize,
    /// Segments scanned.
    pub recovered_segments: usize,
    /// Bytes scanned.
    pub recovered_bytes: u64,
    /// Bytes cut off behind the last sound batch of a log.
    pub truncated_bytes: u64,
    /// Time taken, in ms.
    pub elapsed_ms: u64,
}

/// What a directory's checkpoints say.
#[derive(Default)]
struct Checkpoints {
    recovery_points: OffsetMap,
    log_starts: OffsetMap,
    high_watermarks: OffsetMap,
    cleaner: OffsetMap,
    clean: bool,
}

impl OpenReport {
    fn add(&mut self, log: &LoadReport) {
        self.logs += 1;
        self.recovered_segments += log.recovered_segments;
        self.recovered_bytes += log.recovered_bytes;
        self.truncated_bytes += log.truncated_bytes;
    }
}

impl LogManager {
    /// Opens all logs in `dirs`. A directory that fails is taken offline; the others go on.
    ///
    /// # Errors
    /// [`StorageError::Locked`] when another process uses a directory; [`StorageError::NoHandles`] when
    /// this one may not open enough files; the failure of the last directory when all failed.
    pub fn open(
        dirs: &[PathBuf],
        options: ManagerOptions,
    ) -> Result<(Arc<Self>, OpenReport), StorageError> {
        let began = options.clock.monotonic();
        let cache = FileCache::new(options.fs.clone(), options.max_open_files);
        // As Kafka's, cleaning does not wait for `log.initial.task.delay.ms`.
        let cleaning = Interval::new(options.cleaner.backoff_ms, options.clock.now_ms());
        let mut manager = Self {
            cleaner: crate::clean::Cleaner::new(options.cleaner.clone(), options.clock.clone()),
            cache,
            dirs: Vec::new(),
            logs: RwLock::default(),
            changing: Mutex::default(),
            doomed: Mutex::default(),
            cleaning: Mutex::new(cleaning),
            cleaning_thread: DiskPool::new(1, 1),
            metrics: StorageMetrics::new(&options.registry),
            log_beans: Mutex::default(),
            beans: OnceLock::new(),
            producer_id_expiration_ms: options.producer_id_expiration_ms.into(),
            recovery_threads: options.recovery_threads.into(),
            cordoned: RwLock::default(),
            rescheduled: tokio::sync::Notify::new(),
            options,
        };
        let mut report = OpenReport::default();
        let mut last_error = None;
        for path in dirs {
            let home = LogDir::new(path, manager.options.disk_threads);
            let (lock, loaded) = match manager.lock(path) {
                Ok(lock) => (Some(lock), manager.load_dir(&home, &mut report)),
                Err(error @ StorageError::Locked { .. }) => return Err(error),
                Err(error) => (None, Err(error)),
            };
            if let Err(error) = loaded {
                // Nothing is wrong with the directory, and the next one would fare no better.
                if error.lacks_handles() {
                    return Err(error);
                }
                home.fail(&error);
                report.offline_dirs += 1;
                last_error = Some(error);
            }
            manager.dirs.push(Dir {
                home,
                _lock: Mutex::new(lock),
                schedule: Mutex::new(Schedule::new(&manager.options)),
                checkpoints: Mutex::default(),
                logs: AtomicIsize::new(0),
            });
        }
        if let (Some(error), true) = (last_error, report.offline_dirs == dirs.len()) {
            return Err(error);
        }
        let elapsed = manager.options.clock.monotonic().saturating_sub(began);
        report.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if report.unclean_dirs > 0 && report.logs > 0 {
            tracing::info!(
                logs = report.logs,
                segments = report.recovered_segments,
                bytes = report.recovered_bytes,
                truncated_bytes = report.truncated_bytes,
                elapsed_ms = report.elapsed_ms,
                "recovered logs after an unclean stop"
            );
        }
        let manager = Arc::new(manager);
        let beans = ManagerBeans::new(&manager.options.registry, &manager);
        let _ = manager.beans.set(beans);
        Ok((manager, report))
    }

    fn lock(&self, dir: &Path) -> Result<crate::fs::LockGuard, StorageError> {
        let fs = &self.options.fs;
        fs.create_dir_all(dir).context("create", dir)?;
        let path = dir.join(names::LOCK);
        match fs.lock(&path) {
            Ok(lock) => Ok(lock),
            Err(error) if is_held(&error) => Err(StorageError::Locked { dir: dir.to_path_buf() }),
            Err(error) => Err(StorageError::io("lock", &path, error)),
        }
    }

    fn load_dir(&self, home: &Arc<LogDir>, report: &mut OpenReport) -> Result<(), StorageError> {
        let fs = self.options.fs.as_ref();
        let entries = fs.list(home.path()).context("list", home.path())?;
        let checkpoints = self.read_checkpoints(home.path())?;
        let mut found = Vec::new();
        for entry in entries.iter().filter(|entry| entry.is_dir) {
            if is_doomed(&entry.name) {
                let (home, paths) = (home.clone(), vec![home.path().join(&entry.name)]);
                self.doomed.lock().push(Doomed { home, paths, is_dir: true, due_ms: 0 });
            } else if let Some(partition) = names::parse_partition_dir(&entry.name)
                && &*partition.topic != names::METADATA_TOPIC
            {
                found.push(partition);
            }
        }
        if !checkpoints.clean && !found.is_empty() {
            report.unclean_dirs += 1;
        }
        let opened = self.open_all(home, &checkpoints, found)?;
        for (log, loaded) in opened {
            report.add(&loaded);
            if let Some(other) = self.get(log.partition()) {
                let what = format!("{} lies in {} too", log.partition(), other.dir().display());
                return Err(StorageError::damaged(log.dir(), what));
            }
            self.add(&log);
        }
        self.cleaner.restore(checkpoints.cleaner);
        Ok(())
    }

    /// Opens the logs of one directory with a few threads; the first failure ends it.
    fn open_all(
        &self,
        home: &Arc<LogDir>,
        checkpoints: &Checkpoints,
        mut found: Vec<TopicPartition>,
    ) -> Result<Vec<(Arc<Log>, LoadReport)>, StorageError> {
        let threads =
            self.options.recovery_threads.clamp(1, MAX_RECOVERY_THREADS).min(found.len().max(1));
        let count = found.len();
        found.reverse();
        let queue = Mutex::new(found);
        let opened = Mutex::new(Ok(Vec::new()));
        let beans = RecoveryBeans::new(&self.options.registry, home, count, threads);
        if !checkpoints.clean && count > 0 {
            tracing::info!(dir = %home.path().display(), logs = count, "checking logs after an unclean stop");
        }
        let tell_next = Mutex::new(self.options.clock.coarse() + TELL_EVERY);
        let work = |thread: usize| {
            let progress = beans.segments.get(thread);
            loop {
                let Some(partition) = queue.lock().pop() else { break };
                let options = self.found_options(home, checkpoints, &partition);
                let result = Log::open(LogOptions { progress: progress.cloned(), ..options });
                let left = beans.logs.fetch_sub(1, Ordering::Relaxed) - 1;
                self.tell(&tell_next, home, left);
                let mut all = opened.lock();
                match (all.as_mut(), result) {
                    (Ok(logs), Ok(log)) => logs.push(log),
                    (Ok(_), Err(error)) => *all = Err(error),
                    (Err(_), _) => break,
                }
            }
        };
        thread::scope(|scope| {
            for thread in 1..threads {
                // Fewer threads only mean more time.
                let _ = thread::Builder::new().spawn_scoped(scope, move || work(thread));
            }
            work(0);
        });
        opened.into_inner()
    }

    /// Says now and then how far it is, so that who waits for a long start knows.
    fn tell(&self, next: &Mutex<Duration>, home: &LogDir, left: i64) {
        let now = self.options.clock.coarse();
        let mut next = next.lock();
        if now >= *next && left > 0 {
            *next = now + TELL_EVERY;
            tracing::warn!(dir = %home.path().display(), left, "logs are still to be opened");
        }
    }

    fn found_options(
        &self,
        home: &Arc<LogDir>,
        checkpoints: &Checkpoints,
        partition: &TopicPartition,
    ) -> LogOptions {
        let config = (self.options.config_of)(&partition.topic);
        let offset = |map: &OffsetMap| map.get(partition).copied().unwrap_or(Offset(0));
        LogOptions {
            clean: checkpoints.clean,
            recovery_point: offset(&checkpoints.recovery_points),
            log_start_offset: offset(&checkpoints.log_starts),
            high_watermark: offset(&checkpoints.high_watermarks),
            ..self.log_options(home, partition, None, config)
        }
    }

    /// Reads the checkpoints of a directory. The marker of a clean stop is taken away: from now on a
    /// stop is unclean until proven otherwise. Damaged checkpoints count as absent.
    fn read_checkpoints(&self, dir: &Path) -> Result<Checkpoints, StorageError> {
        let fs = self.options.fs.as_ref();
        let marker = dir.join(names::CLEAN_SHUTDOWN);
        let clean = match fs.remove_file(&marker) {
            Ok(()) => {
                fs.sync_dir(dir).context("sync", dir)?;
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(StorageError::io("remove", &marker, error)),
        };
        let read = |name: &str| match read_offsets(fs, &dir.join(name)) {
            Err(error @ StorageError::Damaged { .. }) => {
                tracing::warn!(%error, "checkpoint ignored");
                Ok(OffsetMap::new())
            }
            other => other,
        };
        Ok(Checkpoints {
            recovery_points: read(names::RECOVERY_POINTS)?,
            log_starts: read(names::LOG_START_OFFSETS)?,
            high_watermarks: read(names::HIGH_WATERMARKS)?,
            cleaner: read(names::CLEANER_OFFSETS)?,
            clean,
        })
    }
}

fn is_held(error: &std::io::Error) -> bool {
    // EACCES is what POSIX allows a held record lock to answer, too.
    matches!(error.kind(), std::io::ErrorKind::WouldBlock)
}

/// Whether a directory's name says that it is being deleted: `topic-partition.hex32-delete`.
fn is_doomed(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(names::DELETE_DIR) else { return false };
    let Some((partition, unique)) = stem.rsplit_once('.') else { return false };
    unique.len() == 32
        && unique.bytes().all(|byte| byte.is_ascii_hexdigit())
        && names::parse_partition_dir(partition).is_some()
}

/// Groups logs by their directory.
pub(super) fn by_dir(logs: Vec<Arc<Log>>) -> HashMap<PathBuf, Vec<Arc<Log>>> {
    let mut grouped: HashMap<PathBuf, Vec<Arc<Log>>> = HashMap::new();
    for log in logs {
        grouped.entry(log.home().path().to_path_buf()).or_default().push(log);
    }
    grouped
}
