//! One snappy block, decoded piece by piece with 64 KiB of history.
//!
//! A bare block may stand for 21 times its length; this keeps memory constant. Encoders of snappy
//! cut their input every 64 KiB, so no copy reaches further back; one that does is refused.

use std::io;

use super::snappy::malformed;

/// How far back a copy may reach, in bytes.
const HISTORY_LEN: usize = 64 * 1024;
/// Bytes decoded before they are handed out.
const STEP_LEN: usize = 64 * 1024;

/// A decoder of one block without the length in front.
pub(super) struct BlockStream<'a> {
    input: &'a [u8],
    /// Bytes that the block still has to yield.
    left: u64,
    /// History, then what was decoded and not yet handed out.
    window: Vec<u8>,
    /// Where in the window the bytes start that were not handed out.
    taken: usize,
    literal_left: usize,
}

impl<'a> BlockStream<'a> {
    pub(super) fn new(input: &'a [u8], len: u64) -> Self {
        Self { input, left: len, window: Vec::new(), taken: 0, literal_left: 0 }
    }

    /// Bytes put into `buffer`, 0 at the end of the block.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.window.len() {
            self.forget();
            while self.window.len() - self.taken < STEP_LEN && self.left > 0 {
                self.decode()?;
            }
            if self.left == 0 && !self.input.is_empty() {
                return Err(malformed("bytes follow the end of a block"));
            }
        }
        let ready = self.window.get(self.taken..).unwrap_or_default();
        let len = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), ready.get(..len)) {
            to.copy_from_slice(from);
        }
        self.taken += len;
        Ok(len)
    }

    /// Drops what no copy can reach any more.
    fn forget(&mut self) {
        let surplus = self.window.len().saturating_sub(HISTORY_LEN);
        self.window.drain(..surplus);
        self.taken = self.window.len();
    }

    /// Decodes one element, or a part of a long literal.
    fn decode(&mut self) -> io::Result<()> {
        if self.literal_left > 0 {
            return self.literal();
        }
        let tag = self.take(1)?;
        let high = (tag >> 2) as usize;
        match tag & 3 {
            0 => {
                self.literal_left = match high {
                    0..=59 => high + 1,
                    _ => self.take(high - 59)? as usize + 1,
                };
                Ok(())
            }
            1 => {
                let offset = ((tag as usize >> 5) << 8) | self.take(1)? as usize;
                self.copy(offset, (high & 7) + 4)
            }
            2 => {
                let offset = self.take(2)? as usize;
                self.copy(offset, high + 1)
            }
            _ => {
                let offset = self.take(4)? as usize;
                self.copy(offset, high + 1)
            }
        }
    }

    fn literal(&mut self) -> io::Result<()> {
        let len = self.literal_left.min(STEP_LEN);
        let (literal, rest) =
            self.input.split_at_checked(len).ok_or_else(|| malformed("a literal is cut off"))?;
        self.count(len)?;
        self.window.extend_from_slice(literal);
        self.input = rest;
        self.literal_left -= len;
        Ok(())
    }

    fn copy(&mut self, offset: usize, len: usize) -> io::Result<()> {
        let start = self.window.len().checked_sub(offset).filter(|_| offset > 0);
        let start = start.ok_or_else(|| malformed("a copy reaches too far back"))?;
        self.count(len)?;
        // A copy may overlap what it makes: then it repeats itself.
        let mut left = len;
        while left > 0 {
            let step = left.min(self.window.len() - start);
            self.window.extend_from_within(start..start + step);
            left -= step;
        }
        Ok(())
    }

    fn count(&mut self, len: usize) -> io::Result<()> {
        self.left = self
            .left
            .checked_sub(len as u64)
            .ok_or_else(|| malformed("a block is longer than it declares"))?;
        Ok(())
    }

    /// The next 1 to 4 bytes as a little-endian number.
    fn take(&mut self, len: usize) -> io::Result<u32> {
        let (bytes, rest) =
            self.input.split_at_checked(len).ok_or_else(|| malformed("a block is cut off"))?;
        self.input = rest;
        Ok(bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u32::from(byte)))
    }
}
