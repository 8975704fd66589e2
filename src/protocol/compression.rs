//! The four codecs of Kafka's record batches: gzip, snappy, lz4 and zstd, and none.
//!
//! Compression works on whole buffers; decompression streams, and stops at a limit that the caller
//! names. It refuses to allocate by a size that the compressed bytes declare.

mod snappy;
mod snappy_stream;
mod zstandard;

use std::fmt;
use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use self::snappy::SnappyDecoder;
use self::zstandard::ZstdDecoder;

/// Level that Kafka's producer uses for zstd unless told otherwise (`compression.zstd.level`).
pub const DEFAULT_ZSTD_LEVEL: i32 = 3;

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
    let mut filled = 0;
    loop {
        if filled == out.len() {
            out.resize((filled * 2).max(8 * 1024), 0);
        }
        let read = decoder.read(out.get_mut(filled..).unwrap_or_default())?;
        if read == 0 {
            out.truncate(filled);
            return Ok(out);
        }
        filled += read;
    }
}

enum Inner<'a> {
    None(&'a [u8]),
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'a [u8]>>),
    Snappy(SnappyDecoder<'a>),
    Lz4(Box<FrameDecoder<&'a [u8]>>),
    Zstd(ZstdDecoder<'a>),
}

/// Decompresses a slice piece by piece, up to a limit on the output.
///
/// Its memory depends on the codec, not on what the input declares: 50 KiB for gzip, 512 KiB for
/// snappy, 192 KiB for the 64 KiB blocks of lz4 that clients send and 12 MiB for the largest that
/// the format has. For zstd it is the window, up to 128 MiB, of which only what was decoded so far
/// is ever touched. It lives while a batch is decoded, on one thread, never across an await.
pub struct Decompressor<'a> {
    codec: Codec,
    inner: Inner<'a>,
    limit: u64,
    produced: u64,
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
            Codec::Lz4 => Inner::Lz4(Box::new(FrameDecoder::new(input))),
            Codec::Zstd => Inner::Zstd(
                ZstdDecoder::new(input)
                    .map_err(|source| CompressionError::Malformed { codec, source })?,
            ),
        };
        Ok(Self { codec, inner, limit, produced: 0 })
    }

    /// Fills the front of `buffer` and returns how many bytes; 0 stands for the end of the data.
    ///
    /// # Errors
    /// [`CompressionError::OutputLimit`] as soon as one byte more than the limit exists,
    /// [`CompressionError::Malformed`] when the input breaks the codec's rules.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, CompressionError> {
        let read = self.read_inner(buffer)?;
        self.produced += read as u64;
        if self.produced > self.limit {
            return Err(CompressionError::OutputLimit { codec: self.codec, limit: self.limit });
        }
        Ok(read)
    }

    /// Bytes yielded so far.
    pub fn produced(&self) -> u64 {
        self.produced
    }

    fn read_inner(&mut self, buffer: &mut [u8]) -> Result<usize, CompressionError> {
        let codec = self.codec;
        let left = self.limit.saturating_sub(self.produced);
        let done = match &mut self.inner {
            Inner::None(input) => input.read(buffer),
            Inner::Gzip(decoder) => decoder.read(buffer),
            Inner::Snappy(decoder) => match decoder.read(buffer, left) {
                Ok(Some(read)) => Ok(read),
                Ok(None) => {
                    return Err(CompressionError::OutputLimit { codec, limit: self.limit });
                }
                Err(error) => Err(error),
            },
            Inner::Lz4(decoder) => decoder.read(buffer),
            Inner::Zstd(decoder) => decoder.read(buffer),
        };
        done.map_err(|source| CompressionError::Malformed { codec, source })
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
