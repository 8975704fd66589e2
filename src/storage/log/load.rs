//! Opening the directory of a partition: tidying up after a crash, segments, recovery, state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pharos_base::{Clock, Offset, TopicId, TopicPartition};

use super::flush::Flusher;
use super::recover::Recovered;
use super::retain::jitter;
use super::{Log, Segments, Writer};
use crate::append_times::AppendTimes;
use crate::checkpoint::{EpochEntry, read_epochs};
use crate::config::LogConfig;
use crate::disk::LogDir;
use crate::epochs::EpochCache;
use crate::error::{Context, StorageError};
use crate::files::FileCache;
use crate::fs::{Entry, Fs, Open};
use crate::metrics::StorageMetrics;
use crate::names;
use crate::partition_metadata;
use crate::producer::Producers;
use crate::segment::{FileSizes, Segment};

/// What opening a log takes.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Which partition.
    pub partition: TopicPartition,
    /// Its directory; made when it does not exist.
    pub dir: PathBuf,
    /// Identity of the topic, written to `partition.metadata` when that says none. One that says
    /// another is an error.
    pub topic_id: Option<TopicId>,
    /// Its settings.
    pub config: LogConfig,
    /// The log directory that holds it.
    pub home: Arc<LogDir>,
    /// The open files of this node.
    pub cache: Arc<FileCache>,
    /// The time.
    pub clock: Clock,
    /// Whether the last stop was clean: then the tail is believed without a scan.
    pub clean: bool,
    /// Offset up to which everything was durable.
    pub recovery_point: Offset,
    /// Log start of the checkpoint.
    pub log_start_offset: Offset,
    /// High watermark of the checkpoint.
    pub high_watermark: Offset,
    /// What appends and flushes move.
    pub metrics: Option<Arc<StorageMetrics>>,
    /// Told how many segments are left to scan.
    pub progress: Option<Arc<AtomicI64>>,
}

/// What opening a log found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Segments that were scanned whole.
    pub recovered_segments: usize,
    /// Bytes of them.
    pub recovered_bytes: u64,
    /// Bytes cut off behind the last sound batch, later segments included.
    pub truncated_bytes: u64,
    /// Indexes built again, by segment.
    pub rebuilt_indexes: usize,
}

impl LogOptions {
    /// Options for a log that stands alone (the metadata log): its own log directory and file cache.
    pub fn alone(
        fs: Arc<dyn Fs>,
        dir: impl Into<PathBuf>,
        partition: TopicPartition,
        clock: Clock,
    ) -> Self {
        let dir: PathBuf = dir.into();
        let home = dir.parent().unwrap_or(Path::new("/")).to_path_buf();
        Self {
            partition,
            topic_id: None,
            config: LogConfig::default(),
            home: LogDir::new(home, 1),
            cache: FileCache::new(fs, 64),
            clock,
            clean: false,
            recovery_point: Offset(0),
            log_start_offset: Offset(0),
            high_watermark: Offset(0),
            metrics: None,
            progress: None,
            dir,
        }
    }
}

impl Log {
    /// Opens a partition's directory, or makes it.
    ///
    /// # Errors
    /// When a file cannot be read or written, or belongs to another topic. Damage in batches,
    /// indexes and snapshots is no error: it is mended, and told in the report.
    pub fn open(options: LogOptions) -> Result<(Arc<Self>, LoadReport), StorageError> {
        let fs = options.cache.fs().clone();
        let dir = Arc::new(options.dir.clone());
        fs.create_dir_all(&dir).context("create", &dir)?;
        let topic_id =
            partition_metadata::settle(fs.as_ref(), &dir, options.topic_id, options.clean)?;
        let sizes = list_segments(fs.as_ref(), &dir)?;
        let empty = sizes.values().all(|sizes| sizes.log == 0);
        let (epochs, epochs_damaged) = load_epochs(fs.as_ref(), &dir, empty)?;
        let (segments, unusable) = open_segments(&dir, &options, &sizes)?;
        let now_ms = options.clock.now_ms();
        let log = Self {
            partition: options.partition.clone(),
            topic_id: ArcSwap::from_pointee(topic_id),
            dir,
            home: options.home.clone(),
            cache: options.cache.clone(),
            clock: options.clock.clone(),
            config: ArcSwap::from_pointee(options.config.clone()),
            writer: Mutex::new(Writer {
                producers: Producers::default(),
                epochs: EpochCache::new(epochs),
                torn: false,
                last_snapshot: None,
                jitter_ms: jitter(&options.config, 0, now_ms),
            }),
            segments: ArcSwap::from_pointee(segments),
            log_start: AtomicI64::new(0),
            log_end: AtomicI64::new(0),
            high_watermark: AtomicI64::new(0),
            has_transactions: AtomicBool::new(false),
            append_times: Mutex::new(AppendTimes::default()),
            opened_ms: now_ms,
            flusher: Flusher::new(Offset(0), now_ms),
            metrics: options.metrics.clone(),
            closed: AtomicBool::new(false),
            told: Mutex::default(),
        };
        let report = log.settle(&options, &unusable, epochs_damaged)?;
        Ok((Arc::new(log), report))
    }

    /// Recovers what must be recovered and derives offsets and state from what is there.
    fn settle(
        &self,
        options: &LogOptions,
        unusable: &BTreeSet<i64>,
        epochs_damaged: bool,
    ) -> Result<LoadReport, StorageError> {
        let mut guard = self.writer.lock();
        let writer = &mut *guard;
        let recovered: Recovered = self.recover(writer, options, unusable, epochs_damaged)?;
        let mut end = recovered.log_end;
        let first = self.segments.load().first().map_or(0, |segment| segment.base_offset);
        let mut start = options.log_start_offset.0.max(first);
        if start > end && options.clean {
            // After a clean stop the log cannot end before it starts: the checkpoint is wrong.
            tracing::warn!(log = %self.partition, start, end, "log start offset of the checkpoint ignored");
            start = first;
        } else if start > end {
            // What lay there was lost unsynced. Offsets are never used twice, so begin behind it.
            self.roll_to(writer, start)?;
            end = start;
        }
        self.log_start.store(start, std::sync::atomic::Ordering::Release);
        self.log_end.store(end, std::sync::atomic::Ordering::Release);
        self.set_high_watermark(options.high_watermark);
        // What was scanned is whole, but it may lie in the page cache only.
        let untouched = options.clean && recovered.report.recovered_segments == 0;
        let durable = if untouched { end } else { options.recovery_point.0.min(end) };
        self.flusher.reset(Offset(durable));
        let mut epochs_changed = writer.epochs.truncate_from_end(Offset(end));
        epochs_changed |= writer.epochs.truncate_from_start(Offset(start));
        if epochs_changed || recovered.epochs_changed {
            self.write_epochs(writer)?;
        }
        self.rebuild_producers(writer, end, recovered.scanned_from)?;
        let has_transactions = writer.producers.has_transactions();
        self.has_transactions.store(has_transactions, std::sync::atomic::Ordering::Release);
        Ok(recovered.report)
    }

    /// Closes the log for good; a clean stop also completes indexes and writes the producer state, so
    /// that the next start needs no scan.
    ///
    /// # Errors
    /// When something cannot be written or synced; the stop is not clean then.
    pub fn close(&self) -> Result<(), StorageError> {
        if self.closed.load(std::sync::atomic::Ordering::Acquire) {
            return Ok(());
        }
        self.flush()?;
        {
            let mut writer = self.writer.lock();
            let end = self.log_end_offset().0;
            self.snapshot_producers(&mut writer, end)?;
            if let Some(active) = self.active() {
                let path = active.path(names::LOG);
                self.guard(active.seal().context("complete the indexes of", &path))?;
                self.guard(active.trim().context("truncate", &path))?;
                self.guard(active.sync_indexes().context("sync", &path))?;
            }
        }
        self.shut();
        Ok(())
    }

    /// Closes all files without writing anything; later operations are refused.
    pub fn shut(&self) {
        self.closed.store(true, std::sync::atomic::Ordering::Release);
        for segment in self.segments.load().iter() {
            segment.close_files();
        }
    }
}

/// The epochs of the checkpoint, and whether they must be found again. No batch is written before
/// its epoch is, so only a log without batches may be without the file.
fn load_epochs(
    fs: &dyn Fs,
    dir: &Path,
    empty: bool,
) -> Result<(Vec<EpochEntry>, bool), StorageError> {
    let path = dir.join(names::EPOCHS);
    match read_epochs(fs, &path) {
        Ok(entries) if empty || !entries.is_empty() => Ok((entries, false)),
        Ok(entries) => match fs.open(&path, Open::Read).context("open", &path) {
            Err(error) if error.lacks_handles() => Err(error),
            opened => Ok((entries, opened.is_err())),
        },
        Err(error) if error.lacks_handles() => Err(error),
        Err(error) => {
            tracing::warn!(%error, "leader epochs are taken from the batches instead");
            Ok((Vec::new(), true))
        }
    }
}

/// Finishes or undoes what a crash interrupted, and returns the files of each segment.
fn list_segments(fs: &dyn Fs, dir: &Path) -> Result<BTreeMap<i64, FileSizes>, StorageError> {
    let entries = fs.list(dir).context("list", dir)?;
    let mut removed = crate::clean::swap::settle(fs, dir, &entries)?;
    for entry in &entries {
        let leftover = entry.name.ends_with(names::DELETED) || entry.name.ends_with(".tmp");
        if leftover {
            remove(fs, &dir.join(&entry.name))?;
            removed = true;
        }
    }
    let entries = if removed { fs.list(dir).context("list", dir)? } else { entries };
    let mut segments: BTreeMap<i64, FileSizes> = BTreeMap::new();
    for (base, suffix, entry) in segment_files(&entries) {
        if suffix == names::LOG {
            segments.entry(base).or_default().log = entry.len;
        }
    }
    for (base, suffix, entry) in segment_files(&entries) {
        let index = matches!(suffix, names::OFFSET_INDEX | names::TIME_INDEX | names::TXN_INDEX);
        match segments.get_mut(&base) {
            Some(sizes) if suffix == names::OFFSET_INDEX => sizes.offset = Some(entry.len),
            Some(sizes) if suffix == names::TIME_INDEX => sizes.time = Some(entry.len),
            Some(sizes) if suffix == names::TXN_INDEX => sizes.aborted = Some(entry.len),
            None if index => remove(fs, &dir.join(&entry.name))?,
            _ => {}
        }
    }
    Ok(segments)
}

fn segment_files(entries: &[Entry]) -> impl Iterator<Item = (i64, &str, &Entry)> {
    entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| {
        let (base, suffix) = names::parse_segment(&entry.name)?;
        Some((base, suffix, entry))
    })
}

fn open_segments(
    dir: &Arc<PathBuf>,
    options: &LogOptions,
    sizes: &BTreeMap<i64, FileSizes>,
) -> Result<(Segments, BTreeSet<i64>), StorageError> {
    let now_ms = options.clock.now_ms();
    let mut segments = Segments::new();
    let mut unusable = BTreeSet::new();
    for (base, sizes) in sizes {
        let path = dir.join(names::segment(*base, names::LOG));
        let (segment, usable) =
            Segment::open(dir, &options.cache, *base, *sizes, now_ms).context("open", &path)?;
        if !usable {
            unusable.insert(*base);
        }
        segments.push(Arc::new(segment));
    }
    if segments.is_empty() {
        let base = options.log_start_offset.0;
        let path = dir.join(names::segment(base, names::LOG));
        let made = Segment::create(dir, &options.cache, base, now_ms).context("create", &path)?;
        made.preallocate(&options.config).context("preallocate", &path)?;
        segments.push(Arc::new(made));
    }
    Ok((segments, unusable))
}

fn remove(fs: &dyn Fs, path: &Path) -> Result<(), StorageError> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}
