//! Snappy as Kafka uses it: blocks in the stream framing of xerial/snappy-java.
//!
//! A stream without that frame is read as one bare block, as `SnappyInputStream` does; librdkafka
//! sends such. A block is believed to grow by no more than snappy's format allows.

use std::io;

use super::STEP_LEN;
use super::scratch::Scratch;
use super::snappy_stream::BlockStream;
use crate::varint;

/// What a stream of snappy-java starts with, before two versions of 4 bytes each.
const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_LEN: usize = 16;
/// Uncompressed bytes in one block that we write; the default of `SnappyOutputStream`.
const BLOCK_LEN: usize = 32 * 1024;
/// A block that declares more than this, in bytes, is decoded piece by piece.
const MAX_WHOLE_BLOCK_LEN: u64 = 256 * 1024;
/// The densest element of a block is a copy: 3 bytes stand for at most 64.
const MAX_EXPANSION: u64 = 22;

/// Appends `input` to `out`, framed.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(input.len().min(BLOCK_LEN))];
    for chunk in input.chunks(BLOCK_LEN) {
        let len = encoder.compress(chunk, &mut block).map_err(io::Error::other)?;
        let compressed = block.get(..len).unwrap_or_default();
        // At most 38 KiB, so the length always fits.
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(compressed);
    }
    Ok(())
}

/// Decodes a framed stream or one bare block.
pub(super) struct SnappyDecoder<'a> {
    input: &'a [u8],
    framed: bool,
    stream: Option<BlockStream<'a>>,
}

impl<'a> SnappyDecoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let framed = input.starts_with(&MAGIC) && input.len() >= HEADER_LEN;
        let input = if framed { input.get(HEADER_LEN..).unwrap_or_default() } else { input };
        Self { input, framed, stream: None }
    }

    /// Bytes put into `out`, 0 at the end; `None` when the next block is longer than `left`.
    pub(super) fn next(&mut self, out: &mut Scratch, left: u64) -> io::Result<Option<usize>> {
        loop {
            if let Some(stream) = &mut self.stream {
                match stream.read(out.room(STEP_LEN))? {
                    0 => self.stream = None,
                    len => return Ok(Some(len)),
                }
            }
            let Some(block) = self.next_block()? else { return Ok(Some(0)) };
            match self.decode_block(block, out, left)? {
                Some(0) => {}
                decoded => return Ok(decoded),
            }
        }
    }

    fn next_block(&mut self) -> io::Result<Option<&'a [u8]>> {
        if self.input.is_empty() {
            return Ok(None);
        }
        if !self.framed {
            return Ok(Some(std::mem::take(&mut self.input)));
        }
        // Streams may be joined: the next one starts with the frame's header again.
        while self.input.starts_with(&MAGIC) && self.input.len() >= HEADER_LEN {
            self.input = self.input.get(HEADER_LEN..).unwrap_or_default();
        }
        if self.input.is_empty() {
            return Ok(None);
        }
        let (len, rest) = self
            .input
            .split_first_chunk::<4>()
            .ok_or_else(|| malformed("a block's length is cut off"))?;
        let len = u32::from_be_bytes(*len) as usize;
        let block = rest.get(..len).ok_or_else(|| malformed("a block is cut off"))?;
        self.input = rest.get(len..).unwrap_or_default();
        Ok(Some(block))
    }

    /// Bytes put into `out`; 0 also for a block that is decoded piece by piece from now on.
    fn decode_block(
        &mut self,
        block: &'a [u8],
        out: &mut Scratch,
        left: u64,
    ) -> io::Result<Option<usize>> {
        let len = snap::raw::decompress_len(block).map_err(io::Error::other)? as u64;
        if len > MAX_EXPANSION * block.len() as u64 {
            return Err(malformed("a block declares more than it can hold"));
        }
        if len > left {
            return Ok(None);
        }
        if len > MAX_WHOLE_BLOCK_LEN {
            let mut elements = block;
            varint::read_u32(&mut elements).map_err(io::Error::other)?;
            self.stream = Some(BlockStream::new(elements, len));
            return Ok(Some(0));
        }
        let room = out.room(len as usize);
        snap::raw::Decoder::new().decompress(block, room).map(Some).map_err(io::Error::other)
    }
}

pub(super) fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
