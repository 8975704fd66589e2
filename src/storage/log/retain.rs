//! What shortens a log: rolling and deleting segments, and truncation at both ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pharos_base::Offset;

use super::{Log, Segments, Writer};
use crate::config::LogConfig;
use crate::error::{Context, StorageError};
use crate::names;
use crate::producer::snapshot;
use crate::segment::Segment;

/// What one round of retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Segments taken out.
    pub segments: usize,
    /// Bytes of their `.log` files.
    pub bytes: u64,
    /// Files renamed to `.deleted`; they can be removed after `file.delete.delay.ms`.
    pub files: Vec<PathBuf>,
}

impl Log {
    /// Seals the active segment and starts a new one at the log's end.
    ///
    /// # Errors
    /// When files cannot be made; the log is as before then.
    pub fn roll(&self) -> Result<(), StorageError> {
        self.check_usable()?;
        let mut writer = self.writer.lock();
        if self.active().is_some_and(|active| active.size() > 0) {
            self.roll_to(&mut writer, self.log_end_offset().0)?;
        }
        Ok(())
    }

    pub(super) fn roll_to(
        &self,
        writer: &mut Writer,
        base_offset: i64,
    ) -> Result<Arc<Segment>, StorageError> {
        let config = self.config();
        let now_ms = self.clock.now_ms();
        if let Some(active) = self.active() {
            let path = active.path(names::LOG);
            self.guard(active.seal().context("complete the indexes of", &path))?;
            self.guard(active.trim().context("truncate", &path))?;
        }
        self.snapshot_producers(writer, base_offset)?;
        let path = self.dir.join(names::segment(base_offset, names::LOG));
        let created = Segment::create(&self.dir, &self.cache, base_offset, now_ms);
        let segment = Arc::new(self.guard(created.context("create", &path))?);
        self.guard(segment.preallocate(&config).context("preallocate", &path))?;
        writer.torn = false;
        writer.jitter_ms = jitter(&config, base_offset, now_ms);
        let mut segments = Segments::clone(&self.segments.load());
        segments.push(segment.clone());
        self.segments.store(Arc::new(segments));
        self.flusher.dir_changed.store(true, Ordering::Release);
        Ok(segment)
    }

    /// Writes the producer state as of `offset`, when anything was appended since the last one.
    pub(super) fn snapshot_producers(
        &self,
        writer: &mut Writer,
        offset: i64,
    ) -> Result<(), StorageError> {
        if writer.last_snapshot.is_some_and(|last| last >= offset) || offset == 0 {
            return Ok(());
        }
        let path = self.dir.join(names::segment(offset, names::SNAPSHOT));
        let bytes = snapshot::encode(&writer.producers.entries());
        let written = (|| {
            let file = self.fs().open(&path, crate::fs::Open::Truncate)?;
            file.write_at(&mut [std::io::IoSlice::new(&bytes)], 0)
        })();
        self.guard(written.context("write", &path))?;
        writer.last_snapshot = Some(offset);
        Ok(())
    }

    /// Deletes old segments by `retention.ms`, `retention.bytes` and the log start offset, oldest
    /// first and only below the high watermark (`UnifiedLog.deleteOldSegments`). Does nothing but the
    /// last of the three without the policy `delete`.
    ///
    /// # Errors
    /// When files cannot be renamed.
    pub fn apply_retention(&self) -> Result<RetentionReport, StorageError> {
        self.check_usable()?;
        let config = self.config();
        let now_ms = self.clock.now_ms();
        let mut writer = self.writer.lock();
        let high_watermark = self.high_watermark().0;
        let log_start = self.log_start_offset().0;
        let segments = self.segments.load_full();
        let mut over_size = match config.retention_bytes {
            limit if limit >= 0 && config.cleanup_policy.delete => {
                self.size_bytes().saturating_sub(limit.unsigned_abs())
            }
            _ => 0,
        };
        let mut delete = 0;
        for (index, segment) in segments.iter().enumerate() {
            let last = index + 1 == segments.len();
            let end = segments.get(index + 1).map_or(self.log_end_offset().0, |s| s.base_offset);
            if high_watermark < end || (last && segment.size() == 0) {
                break;
            }
            let aged = config.cleanup_policy.delete
                && config.retention_ms >= 0
                && now_ms.saturating_sub(segment.age_from_ms()) > config.retention_ms;
            let oversize = segment.size() > 0 && over_size >= segment.size();
            if !(aged || oversize || (!last && end <= log_start)) {
                break;
            }
            over_size = over_size.saturating_sub(segment.size());
            delete = index + 1;
        }
        if delete == 0 {
            return Ok(RetentionReport::default());
        }
        if delete == segments.len() {
            self.roll_to(&mut writer, self.log_end_offset().0)?;
        }
        let start = segments.get(delete).map_or(self.log_end_offset().0, |s| s.base_offset);
        self.log_start.fetch_max(start, Ordering::AcqRel);
        self.drop_segments(&mut writer, delete)
    }

    /// Takes the first `count` segments out and renames their files.
    fn drop_segments(
        &self,
        writer: &mut Writer,
        count: usize,
    ) -> Result<RetentionReport, StorageError> {
        let segments = self.segments.load_full();
        let (gone, kept) = segments.split_at(count.min(segments.len()));
        self.segments.store(Arc::new(kept.to_vec()));
        let start = self.log_start_offset();
        writer.producers.truncate_from_start(start.0);
        if writer.epochs.truncate_from_start(start) {
            self.write_epochs(writer)?;
        }
        let mut report = RetentionReport { segments: gone.len(), ..RetentionReport::default() };
        for segment in gone {
            report.bytes += segment.size();
            report.files.extend(self.retire(segment, true)?);
        }
        self.flusher.dir_changed.store(true, Ordering::Release);
        Ok(report)
    }

    /// Renames the files of a segment to `.deleted` and closes them; readers that hold them go on.
    pub(crate) fn retire(
        &self,
        segment: &Segment,
        with_snapshot: bool,
    ) -> Result<Vec<PathBuf>, StorageError> {
        segment.retire();
        let suffixes = [names::LOG, names::OFFSET_INDEX, names::TIME_INDEX, names::TXN_INDEX];
        let snapshot = with_snapshot.then_some(names::SNAPSHOT);
        let mut files = Vec::new();
        for suffix in suffixes.into_iter().chain(snapshot) {
            let path = segment.path(suffix);
            let target = deleted(&path);
            match self.fs().rename(&path, &target) {
                Ok(()) => files.push(target),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return self.guard(Err(error).context("rename", &path)),
            }
        }
        Ok(files)
    }

    /// Moves the log start to `offset` (DeleteRecords, or a leader's log start on a follower). Never
    /// back, never beyond the high watermark; returns where the log starts then. Segments below it go
    /// with the next round of retention.
    pub fn delete_records_to(&self, offset: Offset) -> Offset {
        let mut writer = self.writer.lock();
        let target = offset.min(self.high_watermark());
        let before = self.log_start.fetch_max(target.0, Ordering::AcqRel);
        if target.0 > before {
            writer.producers.truncate_from_start(target.0);
            // The checkpoint may lag behind: opening cuts it again.
            writer.epochs.truncate_from_start(target);
        }
        self.log_start_offset()
    }

    /// Cuts everything at and after `offset`. Returns whether anything was cut.
    ///
    /// # Errors
    /// When files cannot be cut; the directory goes offline then.
    pub fn truncate_to(&self, offset: Offset) -> Result<bool, StorageError> {
        self.check_usable()?;
        if offset >= self.log_end_offset() {
            return Ok(false);
        }
        let mut writer = self.writer.lock();
        if offset < Offset(self.segments.load().first().map_or(0, |s| s.base_offset)) {
            self.restart_at(&mut writer, offset)?;
            return Ok(true);
        }
        let segments = self.segments.load_full();
        let keep = segments.partition_point(|segment| segment.base_offset <= offset.0).max(1);
        let (kept, gone) = segments.split_at(keep.min(segments.len()));
        self.segments.store(Arc::new(kept.to_vec()));
        for segment in gone {
            let files = self.retire(segment, true)?;
            self.remove_files(&files)?;
        }
        let mut end = offset.0;
        if let Some(last) = kept.last() {
            let path = last.path(names::LOG);
            let cut = (|| {
                let Some(found) = last.locate(offset.0, last.size())? else { return Ok(offset.0) };
                // A batch is whole or gone: the log ends where the cut one began.
                let end = found.header.base_offset.min(offset.0);
                last.truncate(found.position, end)?;
                // What was cut must not come back after a power failure, behind what is new.
                last.sync_log()?;
                Ok(end)
            })();
            end = self.guard(Context::context(cut, "truncate", &path))?;
        }
        let start = self.log_start_offset();
        if offset >= start && end < start.0 {
            // The cut batch began before the log start, which never goes back.
            self.restart_at(&mut writer, start)?;
        } else {
            self.ended_at(&mut writer, Offset(end))?;
        }
        Ok(true)
    }

    /// Throws everything away and starts again, empty, at `offset` (a follower whose log does not
    /// overlap its leader's).
    ///
    /// # Errors
    /// When files cannot be made or removed.
    pub fn truncate_fully_and_start_at(&self, offset: Offset) -> Result<(), StorageError> {
        self.check_usable()?;
        let mut writer = self.writer.lock();
        self.restart_at(&mut writer, offset)
    }

    fn restart_at(&self, writer: &mut Writer, offset: Offset) -> Result<(), StorageError> {
        let segments = self.segments.load_full();
        for segment in segments.iter() {
            let files = self.retire(segment, true)?;
            self.remove_files(&files)?;
        }
        let path = self.dir.join(names::segment(offset.0, names::LOG));
        let made = Segment::create(&self.dir, &self.cache, offset.0, self.clock.now_ms());
        let segment = self.lasting(made.context("create", &path))?;
        self.segments.store(Arc::new(vec![Arc::new(segment)]));
        self.log_start.store(offset.0, Ordering::Release);
        self.flusher.reset(offset);
        if writer.epochs.truncate_from_end(Offset(0)) {
            self.write_epochs(writer)?;
        }
        self.ended_at(writer, offset)
    }

    /// Takes state back to a log that now ends at `end`.
    fn ended_at(&self, writer: &mut Writer, end: Offset) -> Result<(), StorageError> {
        self.log_end.store(end.0, Ordering::Release);
        self.log_start.fetch_min(end.0, Ordering::AcqRel);
        self.high_watermark.fetch_min(end.0, Ordering::AcqRel);
        self.flusher.truncate(end);
        self.sync_own_dir()?;
        self.append_times.lock().truncate(end.0);
        writer.torn = false;
        if writer.epochs.truncate_from_end(end) {
            self.write_epochs(writer)?;
        }
        self.rebuild_producers(writer, end.0, None)?;
        self.has_transactions.store(writer.producers.has_transactions(), Ordering::Release);
        Ok(())
    }

    pub(super) fn remove_files(&self, files: &[PathBuf]) -> Result<(), StorageError> {
        for file in files {
            match self.fs().remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return self.guard(Err(error).context("remove", file));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn deleted(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(names::DELETED);
    path.with_file_name(name)
}

/// A time below `segment.jitter.ms` and `segment.ms` that differs from segment to segment: logs
/// that started together do not roll together for ever.
pub(super) fn jitter(config: &LogConfig, base_offset: i64, now_ms: i64) -> i64 {
    let max_ms = config.segment_jitter_ms.min(config.segment_ms);
    if max_ms <= 0 {
        return 0;
    }
    let mixed =
        (base_offset ^ now_ms.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
    (mixed >> 8).rem_euclid(max_ms)
}
