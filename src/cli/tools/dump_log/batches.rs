//! The batches of a segment file, one after the other.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};
use pharos_protocol::batch::LOG_OVERHEAD;

/// Reads batches; ends where bytes can be no batch.
pub struct Batches {
    input: BufReader<File>,
    position: u64,
    end: u64,
}

impl Batches {
    /// The batches of `path` from `position` on that end within its first `limit` bytes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: &Path, position: u64, limit: u64) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let end = file.metadata()?.len().min(limit);
        let mut input = BufReader::new(file);
        input.seek(SeekFrom::Start(position))?;
        Ok(Self { input, position, end })
    }

    /// Position and bytes of the next batch; none when its length cannot be true.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        let mut front = [0; LOG_OVERHEAD];
        let left = self.end.saturating_sub(self.position);
        if left < front.len() as u64 {
            return Ok(None);
        }
        self.input.read_exact(&mut front)?;
        let [.., a, b, c, d] = front;
        let Ok(body) = u64::try_from(i32::from_be_bytes([a, b, c, d])) else { return Ok(None) };
        if body + LOG_OVERHEAD as u64 > left {
            return Ok(None);
        }
        let mut bytes = front.to_vec();
        (&mut self.input).take(body).read_to_end(&mut bytes)?;
        let position = self.position;
        self.position += bytes.len() as u64;
        Ok(Some((position, bytes)))
    }

    /// Bytes behind the last batch.
    pub fn trailing(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }
}
