//! A part of a file in memory, for walks that look at many small pieces of it one after the other.

use std::io;

use crate::fs::{FsFile, read_full};

/// The part of a file that was read last.
pub(crate) struct Window<'a> {
    file: &'a dyn FsFile,
    /// Nothing is read beyond it.
    end: u64,
    /// Bytes read at a time.
    len: usize,
    buf: Vec<u8>,
    start: u64,
    /// Bytes of `buf` that are filled.
    filled: usize,
}

impl<'a> Window<'a> {
    /// Nothing yet; `len` bytes at a time up to `end`.
    pub(crate) fn new(file: &'a dyn FsFile, end: u64, len: usize) -> Self {
        Self { file, end, len, buf: Vec::new(), start: 0, filled: 0 }
    }

    /// The position behind what is in memory.
    pub(crate) fn held_to(&self) -> u64 {
        self.start + self.filled as u64
    }

    /// `len` bytes at `position`; `None` when the range or the file ends before them. Allocates only
    /// when `len` is larger than the window, and then that much, which lies within the range.
    pub(crate) fn bytes(&mut self, position: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if position.saturating_add(len as u64) > self.end {
            return Ok(None);
        }
        if position < self.start || position + len as u64 > self.held_to() {
            let wanted = self.len.max(len) as u64;
            let wanted = usize::try_from(wanted.min(self.end - position)).unwrap_or(len);
            self.buf.resize(wanted.max(self.buf.len().min(self.len)), 0);
            let target = self.buf.get_mut(..wanted).unwrap_or_default();
            self.filled = read_full(self.file, target, position)?;
            self.start = position;
        }
        let start = usize::try_from(position - self.start).unwrap_or(usize::MAX);
        let held = self.buf.get(..self.filled).unwrap_or_default();
        Ok(held.get(start..start.saturating_add(len)))
    }
}
