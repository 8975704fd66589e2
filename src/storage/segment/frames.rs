//! The walk of whoever reads records: over the frames of batches, whatever is in them.
//!
//! It tells damage where Kafka's own walk does (`FileLogInputStream` in apache/kafka), so that clients
//! are told the same: what is no frame at all is an error, a frame that reaches beyond the end ends
//! the walk as if nothing were there, and any content of a frame is given to the client, who sees
//! the checksum. Recovery and cleaning, which must not believe so much, use [`crate::scan::Scan`].

use std::io;

use pharos_protocol::batch::{BatchHeader, HEADER_LEN, LENGTH_RANGE, LOG_OVERHEAD, MAGIC_AT};

use crate::error::DamagedAt;
use crate::fs::FsFile;
use crate::scan::{Found, LOOKUP_WINDOW};
use crate::window::Window;

/// What is looked at to pass over a batch: up to its magic, and that.
const FRAME_LEN: usize = MAGIC_AT + 1;
/// The shortest batch of any magic (`LegacyRecord.RECORD_OVERHEAD_V0`).
const LEAST_LENGTH: i32 = 14;
/// Magic of batches that Kafka 4 writes; later ones are read as if they were of this.
const MAGIC: i8 = 2;

/// A batch that a walk came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) position: u64,
    pub(crate) base_offset: i64,
    len: u64,
}

impl Frame {
    pub(crate) fn end(&self) -> u64 {
        self.position.saturating_add(self.len)
    }
}

/// A walk over the frames between two positions of a file.
pub(crate) struct Frames<'a> {
    window: Window<'a>,
    position: u64,
    end: u64,
}

impl<'a> Frames<'a> {
    /// `position` must be the start of a batch.
    pub(crate) fn new(file: &'a dyn FsFile, position: u64, end: u64) -> Self {
        // The header of a batch that is too short for one is read all the same.
        let readable = end.saturating_add(HEADER_LEN as u64);
        Self { window: Window::new(file, readable, LOOKUP_WINDOW), position, end }
    }

    /// Whether the walk ended before the end, where a frame is not whole.
    pub(crate) fn is_cut(&self) -> bool {
        self.position < self.end
    }

    /// The next frame; `None` at the end or before a frame that reaches beyond it.
    ///
    /// # Errors
    /// [`DamagedAt`] where no frame can be told, or what reading fails with.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        let position = self.position;
        let left = self.end.saturating_sub(position);
        if left <= FRAME_LEN as u64 {
            return Ok(None);
        }
        let damaged = |what: String| Err(DamagedAt::error(position, what));
        let Some(bytes) = self.window.bytes(position, FRAME_LEN)? else {
            return damaged("the file ends where a batch should begin".into());
        };
        let (base_offset, length, magic) = parts(bytes);
        if length < LEAST_LENGTH {
            return damaged(format!("a batch of length {length}"));
        }
        let len = LOG_OVERHEAD as u64 + u64::from(length.unsigned_abs());
        if len > left {
            return Ok(None);
        }
        if magic < MAGIC {
            return damaged(format!("a batch of magic {magic}"));
        }
        self.position = position.saturating_add(len);
        Ok(Some(Frame { position, base_offset, len }))
    }

    /// The header of a batch, of which nothing but its frame is sure.
    ///
    /// # Errors
    /// [`DamagedAt`] when the file ends in it, or what reading fails with.
    pub(crate) fn header(&mut self, frame: &Frame) -> io::Result<Found> {
        let position = frame.position;
        let bytes = self.window.bytes(position, HEADER_LEN)?;
        match bytes.and_then(|bytes| bytes.first_chunk()) {
            Some(bytes) => Ok(Found { position, header: BatchHeader::parse(bytes) }),
            None => {
                let what = "the file ends in the header of a batch";
                Err(DamagedAt::error(position, what))
            }
        }
    }
}

/// Base offset, length and magic.
fn parts(frame: &[u8]) -> (i64, i32, i8) {
    let base = frame.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let length = frame.get(LENGTH_RANGE).and_then(|bytes| bytes.first_chunk());
    let length = length.map_or(0, |bytes| i32::from_be_bytes(*bytes));
    let magic = frame.get(MAGIC_AT).map_or(0, |byte| byte.cast_signed());
    (base, length, magic)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::path::Path;

    use super::*;
    use crate::fs::{Fs, Open, SimFs};
    use crate::log::tests::batch;

    /// Walks two batches of which the second has `bytes` at `at`: frames found, what ended the walk
    /// if that is an error, and whether a frame was cut.
    fn walk(at: usize, bytes: &[u8], left: u64) -> (usize, Option<String>, bool) {
        let one = batch(1, &["a"]);
        let mut content = [&one[..], &one[..]].concat();
        content[one.len() + at..][..bytes.len()].copy_from_slice(bytes);
        let end = content.len() as u64;
        let fs = SimFs::new();
        fs.create_dir_all(Path::new("/d")).unwrap();
        let file = fs.open(Path::new("/d/f"), Open::Create).unwrap();
        file.write_at(&mut [IoSlice::new(&content)], 0).unwrap();
        file.set_len(end - left).unwrap();
        let mut frames = Frames::new(file.as_ref(), 0, end);
        let mut found = 0;
        loop {
            match frames.next().and_then(|frame| frame.map(|it| frames.header(&it)).transpose()) {
                Ok(Some(_)) => found += 1,
                Ok(None) => return (found, None, frames.is_cut()),
                Err(error) => {
                    let what = DamagedAt::of(&error).unwrap().what.clone();
                    return (found, Some(what), frames.is_cut());
                }
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_damage_and_its_content_is_not() {
        let whole = batch(1, &["a"]).len() as u64;
        let damaged = |what: &str| (1, Some(what.to_owned()), true);
        assert_eq!(walk(0, &[], 0), (2, None, false));
        for length in [0, 13, -1, i32::MIN] {
            let expected = damaged(&format!("a batch of length {length}"));
            assert_eq!(walk(8, &length.to_be_bytes(), 0), expected);
        }
        for magic in [0, 1, -1, i8::MIN] {
            let expected = damaged(&format!("a batch of magic {magic}"));
            assert_eq!(walk(16, &magic.to_be_bytes(), 0), expected);
        }
        for (at, bytes) in [(16, &[9][..]), (0, &[0xff; 8]), (17, &[0; 40])] {
            assert_eq!(walk(at, bytes, 0), (2, None, false), "{at}");
        }
        assert_eq!(walk(8, &i32::MAX.to_be_bytes(), 0), (1, None, true));
        assert_eq!(walk(0, &[], whole), damaged("the file ends where a batch should begin"));
        let expected = (1, Some("the file ends in the header of a batch".to_owned()), false);
        assert_eq!(walk(0, &[], whole - 30), expected);
    }
}
