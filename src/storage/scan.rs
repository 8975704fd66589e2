//! Walks over the batches of a segment file, header by header, with or without checking checksums.
//!
//! What ends a walk before the end of the file is told apart from what failed to read: a torn or
//! damaged batch is an answer, not an error.

use std::io;

use pharos_protocol::batch::{BatchHeader, CRC_RANGE, HEADER_LEN};

use crate::fs::FsFile;
use crate::stamp::is_sane;
use crate::window::Window;

/// Bytes read at a time when looking for a batch.
pub(crate) const LOOKUP_WINDOW: usize = 8 << 10;
/// Bytes read at a time when checking whole segments: as much as stays in a core's own cache until
/// it has been checked.
pub(crate) const VERIFY_WINDOW: usize = 256 << 10;

/// One batch that a walk came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

impl Found {
    pub(crate) fn end(&self) -> u64 {
        self.position + self.header.total_len() as u64
    }
}

/// A walk over the batches between two positions of a file.
pub(crate) struct Scan<'a> {
    window: Window<'a>,
    position: u64,
    end: u64,
    verify: bool,
}

impl<'a> Scan<'a> {
    /// Walks headers only. `position` must be the start of a batch.
    pub(crate) fn headers(file: &'a dyn FsFile, position: u64, end: u64) -> Self {
        Self::new(file, position, end, LOOKUP_WINDOW, false)
    }

    /// Walks batches whose bytes will be read.
    pub(crate) fn batches(file: &'a dyn FsFile, position: u64, end: u64) -> Self {
        Self::new(file, position, end, VERIFY_WINDOW, false)
    }

    /// Walks and checks each checksum.
    pub(crate) fn verify(file: &'a dyn FsFile, position: u64, end: u64) -> Self {
        Self::new(file, position, end, VERIFY_WINDOW, true)
    }

    fn new(file: &'a dyn FsFile, position: u64, end: u64, window_len: usize, verify: bool) -> Self {
        Self { window: Window::new(file, end, window_len), position, end, verify }
    }

    /// Whether the walk ended before the end, at something that is no whole, sound batch.
    pub(crate) fn is_torn(&self) -> bool {
        self.position < self.end
    }

    /// The next batch; `None` at the end, or where no sound batch follows.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found>> {
        let position = self.position;
        let Some(bytes) = self.window.bytes(position, HEADER_LEN)? else { return Ok(None) };
        let Ok(header) = BatchHeader::read(bytes) else { return Ok(None) };
        let found = Found { position, header };
        if found.end() > self.end || !is_sane(&header) {
            return Ok(None);
        }
        if self.verify && self.checksum(&found)? != Some(header.crc) {
            return Ok(None);
        }
        self.position = found.end();
        Ok(Some(found))
    }

    /// The bytes of a batch that was found, records and all. Allocates only when the batch is
    /// larger than the window, and then its size, which lies within the file.
    pub(crate) fn read(&mut self, found: &Found) -> io::Result<Option<&[u8]>> {
        self.window.bytes(found.position, found.header.total_len())
    }

    fn checksum(&mut self, found: &Found) -> io::Result<Option<u32>> {
        let total = found.header.total_len() as u64;
        let mut crc = 0;
        let mut at = CRC_RANGE.end as u64;
        while at < total {
            let wanted = (total - at).min(VERIFY_WINDOW as u64);
            // Take what the window already holds, so that each byte is read once.
            let held = self.window.held_to().saturating_sub(found.position + at).min(wanted);
            let step = if held > 0 { held } else { wanted };
            let step_len = usize::try_from(step).unwrap_or(0);
            match self.window.bytes(found.position + at, step_len)? {
                Some(bytes) => crc = crc32c::crc32c_append(crc, bytes),
                None => return Ok(None),
            }
            at += step;
        }
        Ok(Some(crc))
    }
}
