//! Zstd with contexts that each thread keeps for the next batch: making one costs more than
//! decoding a small batch.

use std::cell::RefCell;
use std::io;

use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer, ResetDirective, get_error_name};

/// Idle decoders that a thread keeps.
const MAX_IDLE_DECODERS: usize = 2;
/// A context that has grown beyond this, in bytes, is not kept: a frame may ask for 128 MiB.
const MAX_IDLE_BYTES: usize = 4 << 20;

thread_local! {
    static DECODERS: RefCell<Vec<DCtx<'static>>> = const { RefCell::new(Vec::new()) };
    static ENCODER: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// Appends `input` to `out` as one frame.
pub(super) fn compress(level: i32, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if !zstd::compression_level_range().contains(&level) {
        return Err(io::Error::other("the level of zstd lies in -131072 to 22"));
    }
    let idle = ENCODER.try_with(RefCell::take).ok().flatten();
    let mut encoder = match idle {
        Some(mut encoder) => {
            encoder.set_compression_level(level)?;
            encoder
        }
        None => zstd::bulk::Compressor::new(level)?,
    };
    out.extend_from_slice(&encoder.compress(input)?);
    if encoder.context_mut().sizeof() <= MAX_IDLE_BYTES {
        let _ = ENCODER.try_with(|idle| idle.replace(Some(encoder)));
    }
    Ok(())
}

/// Decodes frames one after the other.
pub(super) struct ZstdDecoder<'a> {
    context: Option<DCtx<'static>>,
    input: &'a [u8],
    inside_frame: bool,
}

impl<'a> ZstdDecoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> io::Result<Self> {
        let idle = DECODERS.try_with(|idle| idle.borrow_mut().pop()).ok().flatten();
        let context = match idle {
            Some(context) => context,
            None => DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?,
        };
        Ok(Self { context: Some(context), input, inside_frame: false })
    }

    /// Bytes put into `buffer`, 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(context) = &mut self.context else { return Ok(0) };
        while !buffer.is_empty() && (self.inside_frame || !self.input.is_empty()) {
            let mut from = InBuffer::around(self.input);
            let mut to = OutBuffer::around(&mut *buffer);
            let left = context
                .decompress_stream(&mut to, &mut from)
                .map_err(|code| io::Error::new(io::ErrorKind::InvalidData, get_error_name(code)))?;
            let (taken, made) = (from.pos(), to.pos());
            self.input = self.input.get(taken..).unwrap_or_default();
            self.inside_frame = left != 0;
            if made > 0 {
                return Ok(made);
            }
            if taken == 0 && self.inside_frame {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(0)
    }
}

impl Drop for ZstdDecoder<'_> {
    fn drop(&mut self) {
        let Some(mut context) = self.context.take() else { return };
        if context.sizeof() > MAX_IDLE_BYTES || context.reset(ResetDirective::SessionOnly).is_err()
        {
            return;
        }
        // At the end of a thread the pool may be gone already.
        let _ = DECODERS.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < MAX_IDLE_DECODERS {
                idle.push(context);
            }
        });
    }
}
