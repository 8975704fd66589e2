//! The indexes of a segment: files of entries of one size whose keys rise.
//!
//! No file is mapped. Entries that were added last wait in memory, a few at most, and are written
//! together; a crash loses them, and recovery builds the indexes again from the log. A lookup halves
//! its way to one small block and reads that. What an index says is a hint: whoever uses it checks
//! it against the batch that it points to.

use std::cmp::Ordering;
use std::io::{self, IoSlice};
use std::path::PathBuf;

use crate::files::{CachedFile, FileCache};
use crate::fs::{FsFile, read_full};

/// Entries that wait in memory at most.
const MAX_PENDING: usize = 128;
/// Entries of the block that ends a lookup.
const BLOCK_ENTRIES: u64 = 128;

/// One kind of entry.
pub(crate) trait Entry: Copy + PartialEq + std::fmt::Debug {
    /// Bytes in the file.
    const LEN: usize;
    /// Ending of the file's name.
    const SUFFIX: &'static str;
    fn write(&self, out: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// `.index`: where a batch lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch, less the segment's base offset.
    pub(crate) relative_offset: u32,
    /// Where the batch starts in the segment, in bytes.
    pub(crate) position: u32,
}

/// `.timeindex`: no record up to this offset has a larger timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// In ms.
    pub(crate) timestamp: i64,
    /// Last offset of the batch that has it, less the segment's base offset.
    pub(crate) relative_offset: u32,
}

impl TimeEntry {
    /// Whether it may have been written. One of zeros only is more likely what a power loss left;
    /// where it is true, it is found again.
    pub(crate) fn is_credible(&self) -> bool {
        self.timestamp > 0 || (self.timestamp == 0 && self.relative_offset > 0)
    }
}

/// `.txnindex`: one aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose transaction it was.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first_offset: i64,
    /// Offset of its marker.
    pub last_offset: i64,
    /// Last stable offset right after the marker was written.
    pub last_stable_offset: i64,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Entry for OffsetEntry {
    const LEN: usize = 8;
    const SUFFIX: &'static str = "index";

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            relative_offset: u32::from_be_bytes(field(bytes, 0)?),
            position: u32::from_be_bytes(field(bytes, 4)?),
        })
    }
}

impl Entry for TimeEntry {
    const LEN: usize = 12;
    const SUFFIX: &'static str = "timeindex";

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            timestamp: i64::from_be_bytes(field(bytes, 0)?),
            relative_offset: u32::from_be_bytes(field(bytes, 8)?),
        })
    }
}

impl Entry for AbortedTxn {
    const LEN: usize = 34;
    const SUFFIX: &'static str = "txnindex";

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&0i16.to_be_bytes());
        for value in
            [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset]
        {
            out.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if i16::from_be_bytes(field(bytes, 0)?) != 0 {
            return None;
        }
        Some(Self {
            producer_id: i64::from_be_bytes(field(bytes, 2)?),
            first_offset: i64::from_be_bytes(field(bytes, 10)?),
            last_offset: i64::from_be_bytes(field(bytes, 18)?),
            last_stable_offset: i64::from_be_bytes(field(bytes, 26)?),
        })
    }
}

/// One index file. A copy stays what it was, so that a lookup holds no lock while it reads.
#[derive(Clone, Debug)]
pub(crate) struct Index<E> {
    file: Option<CachedFile>,
    /// Entries in the file; those in `pending` follow.
    stored: u64,
    pending: Vec<E>,
    last: Option<E>,
    /// The file was changed since it was last synced.
    unsynced: bool,
}

/// Where an index finds its file.
pub(crate) struct Place<'a> {
    pub(crate) cache: &'a FileCache,
    pub(crate) path: &'a dyn Fn(&'static str) -> PathBuf,
}

impl<E: Entry> Index<E> {
    /// An index without a file, which is made when the first entries are written.
    pub(crate) fn absent() -> Self {
        Self { file: None, stored: 0, pending: Vec::new(), last: None, unsynced: false }
    }

    /// Makes an empty file.
    pub(crate) fn create(place: &Place<'_>) -> io::Result<Self> {
        let file = CachedFile::create(place.cache, &(place.path)(E::SUFFIX))?;
        // It may have been emptied of something else.
        Ok(Self { file: Some(file), unsynced: true, ..Self::absent() })
    }

    /// Opens a file of `len` bytes. `None`: its size is no whole number of entries, or its last
    /// entry is not to be believed by `check`.
    pub(crate) fn open(
        place: &Place<'_>,
        len: u64,
        check: impl FnOnce(&E) -> bool,
    ) -> io::Result<Option<Self>> {
        if !len.is_multiple_of(E::LEN as u64) {
            return Ok(None);
        }
        let mut index = Self {
            file: Some(CachedFile::default()),
            stored: len / E::LEN as u64,
            ..Self::absent()
        };
        if index.stored > 0 {
            match index.get(place, index.stored - 1)? {
                Some(last) if check(&last) => index.last = Some(last),
                _ => return Ok(None),
            }
        }
        Ok(Some(index))
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> u64 {
        self.stored + self.pending.len() as u64
    }

    /// The entry that was added last.
    pub(crate) fn last(&self) -> Option<E> {
        self.last
    }

    /// Adds an entry; its key must not lie below the last one's.
    pub(crate) fn push(&mut self, place: &Place<'_>, entry: E) -> io::Result<()> {
        self.pending.push(entry);
        self.last = Some(entry);
        if self.pending.len() >= MAX_PENDING { self.write(place) } else { Ok(()) }
    }

    /// Writes what waits in memory.
    pub(crate) fn write(&mut self, place: &Place<'_>) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.pending.len() * E::LEN);
        for entry in &self.pending {
            entry.write(&mut bytes);
        }
        let position = self.stored * E::LEN as u64;
        self.file(place)?.write_at(&mut [IoSlice::new(&bytes)], position)?;
        self.unsynced = true;
        self.stored += self.pending.len() as u64;
        self.pending = Vec::new();
        Ok(())
    }

    /// Writes what waits and makes the file durable; nothing for an absent one.
    pub(crate) fn sync(&mut self, place: &Place<'_>) -> io::Result<()> {
        self.write(place)?;
        if self.unsynced {
            self.file(place)?.sync()?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// The last entry that `order` does not put above the target; entries must be sorted by it.
    pub(crate) fn floor(
        &self,
        place: &Place<'_>,
        order: impl Fn(&E) -> Ordering,
    ) -> io::Result<Option<E>> {
        let below = self.count_not_above(place, order)?;
        if below == 0 { Ok(None) } else { self.get(place, below - 1) }
    }

    /// How many entries `order` does not put above the target.
    fn count_not_above(
        &self,
        place: &Place<'_>,
        order: impl Fn(&E) -> Ordering,
    ) -> io::Result<u64> {
        let not_above = |entry: &E| order(entry) != Ordering::Greater;
        if self.stored == 0 || self.pending.first().is_some_and(&not_above) {
            return Ok(self.stored + self.pending.partition_point(not_above) as u64);
        }
        let (mut low, mut high) = (0, self.stored);
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            match self.get(place, middle)? {
                Some(entry) if not_above(&entry) => low = middle,
                _ => high = middle,
            }
        }
        let block = self.block(place, low, high)?;
        Ok(low + block.partition_point(not_above) as u64)
    }

    /// The entry at `index`.
    pub(crate) fn get(&self, place: &Place<'_>, index: u64) -> io::Result<Option<E>> {
        if let Some(waiting) = index.checked_sub(self.stored) {
            let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
            return Ok(self.pending.get(waiting).copied());
        }
        Ok(self.block(place, index, index + 1)?.first().copied())
    }

    /// Stored entries from `low` up to `high`.
    fn block(&self, place: &Place<'_>, low: u64, high: u64) -> io::Result<Vec<E>> {
        let count = usize::try_from(high.min(self.stored).saturating_sub(low)).unwrap_or(0);
        let mut bytes = vec![0; count * E::LEN];
        let file = self.open_file(place)?;
        let read = read_full(file.as_ref(), &mut bytes, low * E::LEN as u64)?;
        bytes.truncate(read);
        Ok(bytes.chunks_exact(E::LEN).map_while(E::read).collect())
    }

    /// All entries, in order.
    pub(crate) fn all(&self, place: &Place<'_>) -> io::Result<Vec<E>> {
        let mut entries = Vec::new();
        if self.file.is_some() {
            let mut low = 0;
            while low < self.stored {
                let block = self.block(place, low, low + 4096)?;
                if block.is_empty() {
                    break;
                }
                low += block.len() as u64;
                entries.extend(block);
            }
        }
        entries.extend_from_slice(&self.pending);
        Ok(entries)
    }

    /// Keeps only the first entries, as many as `order` does not put above the target.
    pub(crate) fn truncate(
        &mut self,
        place: &Place<'_>,
        order: impl Fn(&E) -> Ordering,
    ) -> io::Result<()> {
        if self.len() == 0 {
            return Ok(());
        }
        let keep = self.count_not_above(place, order)?;
        if keep < self.stored {
            self.file(place)?.set_len(keep * E::LEN as u64)?;
            self.unsynced = true;
            self.stored = keep;
        }
        self.pending.truncate(usize::try_from(keep - self.stored).unwrap_or(0));
        self.last = if keep == 0 { None } else { self.get(place, keep - 1)? };
        Ok(())
    }

    /// Closes the file until it is needed again.
    pub(crate) fn close(&self) {
        if let Some(file) = &self.file {
            file.close();
        }
    }

    fn open_file(&self, place: &Place<'_>) -> io::Result<std::sync::Arc<dyn FsFile>> {
        let file = self.file.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        file.get(place.cache, || (place.path)(E::SUFFIX))
    }

    fn file(&mut self, place: &Place<'_>) -> io::Result<std::sync::Arc<dyn FsFile>> {
        if self.file.is_none() {
            self.file = Some(CachedFile::create(place.cache, &(place.path)(E::SUFFIX))?);
        }
        self.open_file(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Fs, SimFs};
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn lookups_agree_with_a_plain_list() {
        let fs = SimFs::new();
        fs.create_dir_all(Path::new("/d")).unwrap();
        let cache = FileCache::new(Arc::new(fs), 10);
        let path = |suffix: &'static str| PathBuf::from(format!("/d/0.{suffix}"));
        let place = Place { cache: &cache, path: &path };
        let mut index = Index::<OffsetEntry>::create(&place).unwrap();
        let entry = |n: u32| OffsetEntry { relative_offset: n * 3, position: n * 100 };
        for n in 0..1000 {
            index.push(&place, entry(n)).unwrap();
        }
        for target in [0, 1, 3, 100, 1499, 1500, 2990, 2997, 5000] {
            let found = index.floor(&place, |e| e.relative_offset.cmp(&target)).unwrap();
            assert_eq!(found, Some(entry((target / 3).min(999))), "{target}");
        }
        index.truncate(&place, |e| e.relative_offset.cmp(&299)).unwrap();
        assert_eq!((index.len(), index.last()), (100, Some(entry(99))));
        index.sync(&place).unwrap();
        let opened = Index::<OffsetEntry>::open(&place, 800, |last| *last == entry(99));
        assert_eq!(opened.unwrap().unwrap().all(&place).unwrap().len(), 100);
        assert!(Index::<OffsetEntry>::open(&place, 801, |_| true).unwrap().is_none());
    }
}
