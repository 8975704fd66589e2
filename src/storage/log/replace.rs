//! Putting a cleaned segment in the place of those it was made of; the order of the steps is told in
//! [`crate::clean::swap`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Log, Segments};
use crate::error::{Context, StorageError};
use crate::names;
use crate::segment::Segment;

impl Log {
    /// The segments of this moment.
    pub(crate) fn segments_snapshot(&self) -> Arc<Segments> {
        self.segments.load_full()
    }

    /// Where the offsets of a segment end.
    pub(crate) fn end_of_segment(&self, segment: Option<&Arc<Segment>>) -> i64 {
        let segments = self.segments.load();
        let after = |segment: &Arc<Segment>| {
            segments.iter().map(|s| s.base_offset).find(|base| *base > segment.base_offset)
        };
        segment.and_then(after).unwrap_or(self.log_end_offset().0)
    }

    /// Makes the files of a segment that the cleaner fills.
    pub(crate) fn create_cleaned(
        &self,
        base_offset: i64,
        now_ms: i64,
    ) -> Result<Segment, StorageError> {
        self.check_usable()?;
        let (dir, cache) = (&self.dir, &self.cache);
        let made = Segment::create_as(dir, cache, base_offset, names::CLEANED, now_ms);
        let path = self.dir.join(names::segment(base_offset, names::LOG));
        self.guard(made.context("create the cleaned copy of", &path))
    }

    /// Removes the files of a cleaned segment that will not be used.
    pub(crate) fn discard_cleaned(&self, segment: &Segment) {
        segment.close_files();
        let paths: Vec<PathBuf> = Self::suffixes().map(|suffix| segment.path(suffix)).into();
        if let Err(error) = self.remove_files(&paths) {
            tracing::warn!(%error, "left for the next start");
        }
    }

    /// Makes a cleaned segment durable.
    pub(crate) fn sync_cleaned(&self, segment: &Segment) -> Result<(), StorageError> {
        let path = segment.path(names::LOG);
        let synced = segment.sync_log().and_then(|()| segment.sync_indexes());
        self.guard(synced.context("sync", &path))
    }

    /// Puts `cleaned` in the place of `old`. Returns the files to remove later.
    ///
    /// # Errors
    /// [`StorageError::Closed`] when the log changed meanwhile, so that `old` is not all there.
    pub(crate) fn replace_segments(
        &self,
        cleaned: &Segment,
        old: &[Arc<Segment>],
    ) -> Result<Vec<PathBuf>, StorageError> {
        let _writer = self.writer.lock();
        self.check_usable()?;
        let segments = self.segments.load_full();
        let is_old = |segment: &Arc<Segment>| old.iter().any(|other| Arc::ptr_eq(other, segment));
        if segments.iter().filter(|segment| is_old(segment)).count() != old.len() {
            return Err(StorageError::Closed { dir: self.dir.to_path_buf() });
        }
        cleaned.close_files();
        self.rename_all(cleaned.base_offset, names::CLEANED, names::SWAP)?;
        self.sync_own_dir()?;
        // Once the old ones are gone, the log cannot be read before the new one has its name.
        let (placed, files) = self.lasting(self.swap(cleaned, old))?;
        let mut list: Segments = segments.iter().filter(|s| !is_old(s)).cloned().collect();
        let at = list.partition_point(|segment| segment.base_offset < placed.base_offset);
        list.insert(at, placed);
        self.segments.store(Arc::new(list));
        Ok(files)
    }

    /// Takes the files of `old` away and gives `cleaned` their name.
    fn swap(
        &self,
        cleaned: &Segment,
        old: &[Arc<Segment>],
    ) -> Result<(Arc<Segment>, Vec<PathBuf>), StorageError> {
        let mut files = Vec::new();
        for segment in old {
            // The producer snapshot of the first one stays valid: it is of the same offset.
            files.extend(self.retire(segment, segment.base_offset != cleaned.base_offset)?);
        }
        self.rename_all(cleaned.base_offset, names::SWAP, "")?;
        self.sync_own_dir()?;
        Ok((Arc::new(cleaned.renamed(self.clock.now_ms())), files))
    }

    fn suffixes() -> [&'static str; 4] {
        // The log last: its name is what counts after a crash.
        [names::OFFSET_INDEX, names::TIME_INDEX, names::TXN_INDEX, names::LOG]
    }

    fn rename_all(&self, base: i64, from: &str, to: &str) -> Result<(), StorageError> {
        for suffix in Self::suffixes() {
            let name = names::segment(base, suffix);
            let path = self.dir.join(format!("{name}{from}"));
            match self.fs().rename(&path, &self.dir.join(format!("{name}{to}"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return self.guard(Err(error).context("rename", &path));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Without a file handle for it, the next flush does it.
    pub(super) fn sync_own_dir(&self) -> Result<(), StorageError> {
        self.flusher.dir_changed.store(false, Ordering::Release);
        match self.guard(self.fs().sync_dir(&self.dir).context("sync", &self.dir)) {
            Err(error) if error.lacks_handles() => {
                self.flusher.dir_changed.store(true, Ordering::Release);
                Ok(())
            }
            synced => synced,
        }
    }
}
