//! LZ4 frames. The form that Kafka's clients write, independent blocks without checksums of their
//! own, is decoded block by block straight out of the input; every other form of the format goes
//! through the library's reader.

use std::io::{self, Read};

use lz4_flex::block::{DecompressError, decompress_into};
use lz4_flex::frame::FrameDecoder;

use super::STEP_LEN;
use super::scratch::Scratch;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1, independent blocks, no checksum of blocks or content, no size, no dictionary.
const PLAIN_FLAGS: u8 = 0x60;
/// Block sizes of the format: their byte, the check byte of a plain frame with it, and the size.
const BLOCK_SIZES: [(u8, u8, usize); 4] =
    [(0x40, 0x82, 64 << 10), (0x50, 0xfb, 256 << 10), (0x60, 0x51, 1 << 20), (0x70, 0x73, 4 << 20)];
/// Set in a block's length when the block is not compressed.
const UNCOMPRESSED: u32 = 1 << 31;
/// The densest a block can be: one byte more of a length stands for 255 bytes.
const MAX_EXPANSION: usize = 255;

/// Decodes one frame.
pub(super) enum Lz4Decoder<'a> {
    /// Blocks of at most `max_block` bytes are left in `input`.
    Plain { input: &'a [u8], max_block: usize },
    /// Any other form.
    Other(Box<FrameDecoder<&'a [u8]>>),
}

impl<'a> Lz4Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        match plain(input) {
            Some((input, max_block)) => Self::Plain { input, max_block },
            None => Self::Other(Box::new(FrameDecoder::new(input))),
        }
    }

    /// Bytes put into `out`, 0 at the end; `None` when the next block is longer than `left`.
    pub(super) fn next(&mut self, out: &mut Scratch, left: u64) -> io::Result<Option<usize>> {
        match self {
            Self::Plain { input, max_block } => next_block(input, *max_block, out, left),
            Self::Other(decoder) => decoder.read(out.room(STEP_LEN)).map(Some),
        }
    }
}

/// The blocks behind the head of a plain frame, and their largest size.
fn plain(input: &[u8]) -> Option<(&[u8], usize)> {
    let ([flags, size, check], blocks) = input.strip_prefix(&MAGIC)?.split_first_chunk::<3>()?;
    let known = BLOCK_SIZES.iter().find(|(byte, sum, _)| (byte, sum) == (size, check))?;
    (*flags == PLAIN_FLAGS).then_some((blocks, known.2))
}

fn next_block(
    input: &mut &[u8],
    max_block: usize,
    out: &mut Scratch,
    left: u64,
) -> io::Result<Option<usize>> {
    loop {
        // A frame that ends without its end mark is taken for whole, as the library does.
        let Some((word, rest)) = input.split_first_chunk::<4>() else { return Ok(Some(0)) };
        let word = u32::from_le_bytes(*word);
        if word == 0 {
            *input = &[];
            return Ok(Some(0));
        }
        let len = (word & !UNCOMPRESSED) as usize;
        if len > max_block {
            return Err(malformed("a block is larger than its frame allows"));
        }
        let (block, rest) =
            rest.split_at_checked(len).ok_or_else(|| malformed("a block is cut off"))?;
        *input = rest;
        let decoded = if word & UNCOMPRESSED != 0 {
            if len as u64 > left {
                return Ok(None);
            }
            out.room(len).copy_from_slice(block);
            len
        } else {
            let most = max_block.min(len.saturating_mul(MAX_EXPANSION));
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(most);
            match decompress_into(block, out.room(room)) {
                Ok(decoded) => decoded,
                Err(DecompressError::OutputTooSmall { .. }) if room < most => return Ok(None),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        };
        if decoded > 0 {
            return Ok(Some(decoded));
        }
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::*;

    fn frame(info: FrameInfo, data: &[u8]) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(packed: &[u8], limit: u64) -> io::Result<Option<Vec<u8>>> {
        let (mut decoder, mut out) = (Lz4Decoder::new(packed), Scratch::take());
        let mut all = Vec::new();
        loop {
            match decoder.next(&mut out, limit - all.len() as u64)? {
                None => return Ok(None),
                Some(0) => return Ok(Some(all)),
                Some(len) => all.extend_from_slice(out.between(0, len)),
            }
        }
    }

    #[test]
    fn plain_frames_of_every_block_size_take_the_short_way() {
        let text: Vec<u8> = (0..600_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let noise: Vec<u8> =
            (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB]
        {
            let info = FrameInfo::new().block_size(size).block_mode(BlockMode::Independent);
            for data in [&text[..], &noise, b"x", b""] {
                let packed = frame(info.clone(), data);
                assert!(matches!(Lz4Decoder::new(&packed), Lz4Decoder::Plain { .. }));
                assert!(decoded(&packed, u64::MAX).unwrap().unwrap() == data);
                let exact = data.len() as u64;
                assert!(decoded(&packed, exact).unwrap().unwrap() == data);
                if exact > 0 {
                    assert_eq!(decoded(&packed, exact - 1).unwrap(), None);
                }
            }
        }
    }

    #[test]
    fn other_frames_are_read_by_the_library() {
        let info = FrameInfo::new().block_size(BlockSize::Max64KB);
        let cases = [
            info.clone().block_mode(BlockMode::Linked),
            info.clone().block_checksums(true),
            info.clone().content_checksum(true),
            info.content_size(Some(5)),
        ];
        for info in cases {
            let packed = frame(info, b"hello");
            assert!(matches!(Lz4Decoder::new(&packed), Lz4Decoder::Other(_)));
            assert_eq!(decoded(&packed, u64::MAX).unwrap().unwrap(), b"hello");
        }
    }

    #[test]
    fn blocks_that_lie_are_refused() {
        let head = [&MAGIC[..], &[PLAIN_FLAGS, 0x40, 0x82]].concat();
        let cases: [&[u8]; 5] = [
            &[1, 0, 1, 0, 0],             // longer than 64 KiB
            &[1, 0, 1, 0x80, 0],          // the same, not compressed
            &[5, 0, 0, 0, 1, 2],          // cut off
            &[4, 0, 0, 0, 0x00, 9, 0, 0], // reaches before the start
            &[1, 0, 0, 0, 0xf0],          // a literal without bytes
        ];
        for tail in cases {
            assert!(decoded(&[&head, tail].concat(), u64::MAX).is_err(), "{tail:?}");
        }
    }
}
