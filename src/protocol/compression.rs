//! The four codecs of Kafka's record batches: gzip, snappy, lz4 and zstd, and none.
//!
//! Compression works on whole buffers; decompression streams, and stops at a limit that the caller
//! names. It refuses to allocate by a size that the compressed bytes declare.

mod lz4;
mod scratch;
mod snappy;
mod snappy_stream;
mod zstandard;

use std::fmt;
use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use self::lz4::Lz4Decoder;
use self::scratch::Scratch;
use self::snappy::SnappyDecoder;
use self::zstandard::ZstdDecoder;

/// Level that Kafka's producer uses for zstd unless told otherwise (`compression.zstd.level`).
pub const DEFAULT_ZSTD_LEVEL: i32 = 3;

/// Bytes that are decoded at a time where the format sets no blocks. Most batches fit: the decoders
/// of gzip and zstd then write to their place and keep no window aside.
const STEP_LEN: usize = 128 * 1024;

/// How the records of a batch are compressed: the low three bits of its attributes
/// (`org.apache.kafka.common.record.CompressionType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As they are.
    #[default]
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// Snappy blocks in the framing of xerial/snappy-java; one bare block is read too.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// A zstd frame.
    Zstd,
}

/// Why bytes cannot be compressed or decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// The decompressed data goes beyond the caller's limit.
    #[error("decompressed {codec} data exceeds the limit of {limit} bytes")]
    OutputLimit {
        /// Codec of the data.
        codec: Codec,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The compressed bytes break the rules of their codec.
    #[error("malformed {codec} data")]
    Malformed {
        /// Codec of the data.
        codec: Codec,
        /// What the decoder found.
        #[source]
        source: io::Error,
    },
    /// The encoder failed.
    #[error("{codec} compression failed")]
    Compress {
        /// Codec of the data.
        codec: Codec,
        /// What the encoder said.
        #[source]
        source: io::Error,
    },
}

impl Codec {
    /// All codecs, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with this number in a batch's attributes, `None` for 5 to 7 and beyond.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Its number in a batch's attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Its name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of this name in `compression.type`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Compresses `input` and appends the result to `out`. `level` is the codec's own (gzip 1 to 9,
/// zstd −131072 to 22); `None` takes the default, snappy and lz4 have none.
///
/// # Errors
/// [`CompressionError::Compress`] when the encoder refuses, for example a level out of range.
pub fn compress(
    codec: Codec,
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CompressionError> {
    let done = match codec {
        Codec::None => {
            out.extend_from_slice(input);
            Ok(())
        }
        Codec::Gzip => compress_gzip(level, input, out),
        Codec::Snappy => snappy::compress(input, out),
        Codec::Lz4 => compress_lz4(input, out),
        Codec::Zstd => zstandard::compress(level.unwrap_or(DEFAULT_ZSTD_LEVEL), input, out),
    };
    done.map_err(|source| CompressionError::Compress { codec, source })
}

fn compress_gzip(level: Option<i32>, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let level = match level.map(u32::try_from) {
        None => flate2::Compression::default(),
        Some(Ok(level @ 0..=9)) => flate2::Compression::new(level),
        Some(_) => return Err(io::Error::other("the level of gzip lies in 0 to 9")),
    };
    let mut encoder = flate2::write::GzEncoder::new(out, level);
    encoder.write_all(input)?;
    encoder.finish().map(drop)
}

/// Blocks of 64 KiB that do not refer to each other: Kafka's reader refuses dependent ones
/// (`Lz4BlockInputStream`).
fn compress_lz4(input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(input)?;
    encoder.finish().map(drop).map_err(io::Error::from)
}

/// Decompresses the whole of `input`.
///
/// # Errors
/// [`CompressionError::OutputLimit`] when the result would be longer than `limit` bytes,
/// [`CompressionError::Malformed`] when `input` breaks the codec's rules.
pub fn decompress(codec: Codec, input: &[u8], limit: u64) -> Result<Vec<u8>, CompressionError> {
    let mut decoder = Decompressor::new(codec, input, limit)?;
    let mut out = Vec::new();
    while decoder.fill()? {
        out.extend_from_slice(decoder.ready());
        decoder.consume(decoder.ready().len());
    }
    Ok(out)
}

enum Inner<'a> {
    None(&'a [u8]),
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'a [u8]>>),
    Snappy(SnappyDecoder<'a>),
    Lz4(Lz4Decoder<'a>),
    Zstd(ZstdDecoder<'a>),
}

/// Decompresses a slice piece by piece, up to a limit on the output.
///
/// Its memory depends on the codec, not on what the input declares: a buffer of 128 KiB, of 256 KiB
/// for the largest snappy block that is decoded at once, and of the block size for lz4: 64 KiB as
/// clients send it, 4 MiB at most and never more than the block could hold. Beside it 50 KiB of
/// state for gzip, 192 KiB for a large snappy block, the blocks of an lz4 frame in other than
/// clients' form (12 MiB at most), and the window of zstd, up to 128 MiB, of which only what was
/// decoded so far is ever touched. It lives while a batch is decoded, on one thread, never across
/// an await; the thread keeps the buffer for the next one.
pub struct Decompressor<'a> {
    codec: Codec,
    inner: Inner<'a>,
    limit: u64,
    produced: u64,
    buffer: Scratch,
    /// What is decoded and not consumed lies between these, in the buffer.
    start: usize,
    end: usize,
}

impl<'a> Decompressor<'a> {
    /// A decoder of `input` that yields at most `limit` bytes.
    ///
    /// # Errors
    /// [`CompressionError::Malformed`] when the decoder cannot be set up.
    pub fn new(codec: Codec, input: &'a [u8], limit: u64) -> Result<Self, CompressionError> {
        let inner = match codec {
            Codec::None => Inner::None(input),
            Codec::Gzip => Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(input))),
            Codec::Snappy => Inner::Snappy(SnappyDecoder::new(input)),
            Codec::Lz4 => Inner::Lz4(Lz4Decoder::new(input)),
            Codec::Zstd => Inner::Zstd(
                ZstdDecoder::new(input)
                    .map_err(|source| CompressionError::Malformed { codec, source })?,
            ),
        };
        Ok(Self { codec, inner, limit, produced: 0, buffer: Scratch::take(), start: 0, end: 0 })
    }

    /// What is decoded and not consumed yet.
    #[inline]
    pub fn ready(&self) -> &[u8] {
        self.buffer.between(self.start, self.end)
    }

    /// Takes `len` bytes off the front of [`Self::ready`], which holds as many.
    #[inline]
    pub fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    /// Decodes more when nothing is ready; `false` at the end of the data.
    ///
    /// # Errors
    /// [`CompressionError::OutputLimit`] when there is more than the limit allows,
    /// [`CompressionError::Malformed`] when the input breaks the codec's rules.
    pub fn fill(&mut self) -> Result<bool, CompressionError> {
        if self.start < self.end {
            return Ok(true);
        }
        let codec = self.codec;
        let left = self.limit.saturating_sub(self.produced);
        let done = self.next(left);
        let decoded = done.map_err(|source| CompressionError::Malformed { codec, source })?;
        let within = decoded.filter(|len| *len as u64 <= left);
        let len = within.ok_or(CompressionError::OutputLimit { codec, limit: self.limit })?;
        self.produced += len as u64;
        (self.start, self.end) = (0, len);
        Ok(len > 0)
    }

    /// Bytes decoded so far.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    /// Bytes put into the buffer, 0 at the end; `None`, or more than `left`, beyond the limit.
    fn next(&mut self, left: u64) -> io::Result<Option<usize>> {
        let buffer = &mut self.buffer;
        // One byte more than allowed is enough to see that there is more.
        let step = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1).min(STEP_LEN);
        match &mut self.inner {
            Inner::None(input) => input.read(buffer.room(step)).map(Some),
            Inner::Gzip(decoder) => decoder.read(buffer.room(step)).map(Some),
            Inner::Snappy(decoder) => decoder.next(buffer, left),
            Inner::Lz4(decoder) => decoder.next(buffer, left),
            Inner::Zstd(decoder) => decoder.read(buffer.room(step)).map(Some),
        }
    }
}

impl fmt::Debug for Decompressor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor")
            .field("codec", &self.codec)
            .field("limit", &self.limit)
            .field("produced", &self.produced)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
