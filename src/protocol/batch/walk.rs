//! The one pass over a batch's record frames: on a slice, or on a stream out of a decompressor.
//!
//! It looks at sizes, deltas and lengths, skips keys and values, and allocates nothing beside the
//! decompressor. A record that lies whole in what was decoded is walked there, as on a slice.

use super::header::BatchHeader;
use super::keys::{MAX_WATCHED_KEY_BYTES, Watch};
use super::{BatchError, RecordFault};
use crate::compression::{Codec, Decompressor};
use crate::varint;

/// What one pass over the records found. Offsets and keys are the records' own, timestamps count
/// as CreateTime whatever the batch's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Records found; equals the header's count.
    pub record_count: i32,
    /// Greatest timestamp of a record, in ms; −1 when there is no record.
    pub max_timestamp: i64,
    /// Offset delta of the first record that has it; −1 when there is no record.
    pub offset_delta_of_max_timestamp: i32,
    /// Bytes of the records' frames, uncompressed.
    pub uncompressed_bytes: u64,
    /// Records without a key.
    pub keyless_count: i32,
    /// Whether the offset deltas are 0, 1, 2 and so on.
    pub dense: bool,
}

/// What is known of one record while walking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub index: i32,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub has_key: bool,
}

/// Walks the records of `body`, decompressing to at most `limit` bytes, shows each frame to `look`
/// and the keys that it wants to `watch`.
pub(super) fn walk(
    header: &BatchHeader,
    body: &[u8],
    limit: u64,
    watch: &mut impl Watch,
    mut look: impl FnMut(&Frame) -> Result<(), BatchError>,
) -> Result<Walk, BatchError> {
    let codec = header.known_codec()?;
    if codec == Codec::None {
        let mut slice = Slice { rest: body, len: body.len() as u64 };
        return walk_source(header, &mut slice, watch, &mut look);
    }
    let mut stream = Stream { decoder: Decompressor::new(codec, body, limit)?, consumed: 0 };
    walk_source(header, &mut stream, watch, &mut look)
}

/// Where frames come from.
trait Source {
    /// Bytes taken so far.
    fn position(&self) -> u64;
    /// Whether nothing is left.
    fn at_end(&mut self) -> Result<bool, BatchError>;
    fn byte(&mut self) -> Result<u8, Fault>;
    fn varint(&mut self) -> Result<i32, Fault>;
    fn varlong(&mut self) -> Result<i64, Fault>;
    fn skip(&mut self, len: u64) -> Result<(), Fault>;
    /// Skips so many bytes, at most [`MAX_WATCHED_KEY_BYTES`], and shows them in one piece.
    fn show(&mut self, len: usize, see: &mut dyn FnMut(&[u8])) -> Result<(), Fault>;
    /// The next record.
    fn frame(&mut self, index: i32, watch: &mut impl Watch) -> Result<Frame, Fault>
    where
        Self: Sized,
    {
        walk_frame(self, index, watch)
    }
}

/// A broken frame, or a broken stream below it.
enum Fault {
    Record(RecordFault),
    Batch(BatchError),
}

impl<T: Into<RecordFault>> From<T> for Fault {
    fn from(fault: T) -> Self {
        Self::Record(fault.into())
    }
}

fn walk_source<S: Source>(
    header: &BatchHeader,
    source: &mut S,
    watch: &mut impl Watch,
    look: &mut impl FnMut(&Frame) -> Result<(), BatchError>,
) -> Result<Walk, BatchError> {
    let mut walk = Walk {
        record_count: 0,
        max_timestamp: super::NO_TIMESTAMP,
        offset_delta_of_max_timestamp: -1,
        uncompressed_bytes: 0,
        keyless_count: 0,
        dense: true,
    };
    while walk.record_count < header.count {
        let index = walk.record_count;
        if source.at_end()? {
            return Err(BatchError::MissingRecords { declared: header.count, found: index });
        }
        let frame = source.frame(index, watch).map_err(|fault| match fault {
            Fault::Record(reason) => BatchError::MalformedRecord { index, reason },
            Fault::Batch(error) => error,
        })?;
        look(&frame)?;
        let timestamp = header.base_timestamp.saturating_add(frame.timestamp_delta);
        if index == 0 || timestamp > walk.max_timestamp {
            walk.max_timestamp = timestamp;
            walk.offset_delta_of_max_timestamp = frame.offset_delta;
        }
        walk.dense &= frame.offset_delta == index;
        walk.keyless_count += i32::from(!frame.has_key);
        walk.record_count += 1;
    }
    if !source.at_end()? {
        return Err(BatchError::TrailingBytes(header.count));
    }
    walk.uncompressed_bytes = source.position();
    Ok(walk)
}

fn walk_frame<S: Source>(
    source: &mut S,
    index: i32,
    watch: &mut impl Watch,
) -> Result<Frame, Fault> {
    let len = u64::try_from(source.varint()?).map_err(|_| RecordFault::NegativeLength)?;
    let end = source.position() + len;
    source.byte()?;
    let timestamp_delta = source.varlong()?;
    let offset_delta = source.varint()?;
    let has_key =
        if watch.wants(index) { show_bytes(source, end, watch)? } else { skip_bytes(source, end)? };
    skip_bytes(source, end)?;
    let headers = source.varint()?;
    if headers < 0 {
        return Err(RecordFault::HeaderCount.into());
    }
    for _ in 0..headers {
        // Each header takes at least two bytes: a count that lies runs into the end.
        if source.position() >= end {
            return Err(RecordFault::Length.into());
        }
        if !skip_bytes(source, end)? {
            return Err(RecordFault::NegativeLength.into());
        }
        skip_bytes(source, end)?;
    }
    if source.position() != end {
        return Err(RecordFault::Length.into());
    }
    Ok(Frame { index, timestamp_delta, offset_delta, has_key })
}

/// Skips bytes with a length in front; `false` for null.
#[inline]
fn skip_bytes<S: Source>(source: &mut S, end: u64) -> Result<bool, Fault> {
    let Ok(len) = u64::try_from(source.varint()?) else { return Ok(false) };
    if source.position() + len > end {
        return Err(RecordFault::Length.into());
    }
    source.skip(len)?;
    Ok(true)
}

/// Skips bytes with a length in front and shows them to `watch`; `false` for null.
fn show_bytes<S: Source>(source: &mut S, end: u64, watch: &mut impl Watch) -> Result<bool, Fault> {
    let Ok(len) = u64::try_from(source.varint()?) else {
        watch.key(None);
        return Ok(false);
    };
    if source.position() + len > end {
        return Err(RecordFault::Length.into());
    }
    match usize::try_from(len) {
        Ok(len) if len <= MAX_WATCHED_KEY_BYTES => {
            source.show(len, &mut |key| watch.key(Some(key)))?;
        }
        _ => {
            source.skip(len)?;
            watch.key(None);
        }
    }
    Ok(true)
}

struct Slice<'a> {
    rest: &'a [u8],
    len: u64,
}

impl Source for Slice<'_> {
    #[inline]
    fn position(&self) -> u64 {
        self.len - self.rest.len() as u64
    }

    #[inline]
    fn at_end(&mut self) -> Result<bool, BatchError> {
        Ok(self.rest.is_empty())
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.rest.split_first().ok_or(RecordFault::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    fn varint(&mut self) -> Result<i32, Fault> {
        Ok(varint::read_i32(&mut self.rest)?)
    }

    #[inline]
    fn varlong(&mut self) -> Result<i64, Fault> {
        Ok(varint::read_i64(&mut self.rest)?)
    }

    #[inline]
    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let len = usize::try_from(len).map_err(|_| RecordFault::Truncated)?;
        self.rest = self.rest.get(len..).ok_or(RecordFault::Truncated)?;
        Ok(())
    }

    fn show(&mut self, len: usize, see: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let (shown, rest) = self.rest.split_at_checked(len).ok_or(RecordFault::Truncated)?;
        self.rest = rest;
        see(shown);
        Ok(())
    }
}

struct Stream<'a> {
    decoder: Decompressor<'a>,
    consumed: u64,
}

impl Stream<'_> {
    fn advance(&mut self, len: usize) {
        self.decoder.consume(len);
        self.consumed += len as u64;
    }

    /// Decodes more when nothing is ready; `false` at the end.
    fn refill(&mut self) -> Result<bool, Fault> {
        self.decoder.fill().map_err(|error| Fault::Batch(error.into()))
    }

    /// Reads a number; one that is cut off in what is ready is put together byte by byte.
    fn number<T, const MAX: usize>(
        &mut self,
        read: impl Fn(&mut &[u8]) -> Result<T, varint::VarintError>,
    ) -> Result<T, Fault> {
        let ready = self.decoder.ready();
        let mut rest = ready;
        match read(&mut rest) {
            Ok(value) => {
                let taken = ready.len() - rest.len();
                self.advance(taken);
                return Ok(value);
            }
            Err(varint::VarintError::Truncated) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; MAX];
        for (held, at) in (1..).zip(&mut bytes) {
            *at = self.byte()?;
            if *at < 0x80 || held == MAX {
                break;
            }
        }
        Ok(read(&mut &bytes[..])?)
    }

    /// Length of the next record with its length in front, if it lies whole in what is ready.
    fn whole(&self) -> Option<usize> {
        let ready = self.decoder.ready();
        let mut rest = ready;
        let len = usize::try_from(varint::read_i32(&mut rest).ok()?).ok()?;
        (len <= rest.len()).then(|| ready.len() - rest.len() + len)
    }
}

impl Source for Stream<'_> {
    fn position(&self) -> u64 {
        self.consumed
    }

    fn at_end(&mut self) -> Result<bool, BatchError> {
        Ok(!self.decoder.fill()?)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        loop {
            if let Some(&byte) = self.decoder.ready().first() {
                self.advance(1);
                return Ok(byte);
            }
            if !self.refill()? {
                return Err(RecordFault::Truncated.into());
            }
        }
    }

    fn varint(&mut self) -> Result<i32, Fault> {
        self.number::<_, { varint::MAX_VARINT_LEN }>(varint::read_i32)
    }

    fn varlong(&mut self) -> Result<i64, Fault> {
        self.number::<_, { varint::MAX_VARLONG_LEN }>(varint::read_i64)
    }

    fn skip(&mut self, mut len: u64) -> Result<(), Fault> {
        loop {
            let step = (self.decoder.ready().len() as u64).min(len);
            self.advance(step as usize);
            len -= step;
            if len == 0 {
                return Ok(());
            }
            if !self.refill()? {
                return Err(RecordFault::Truncated.into());
            }
        }
    }

    fn show(&mut self, len: usize, see: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        if let Some(shown) = self.decoder.ready().get(..len) {
            see(shown);
            self.advance(len);
            return Ok(());
        }
        let mut whole = Vec::new();
        while whole.len() < len {
            if !self.refill()? {
                return Err(RecordFault::Truncated.into());
            }
            let ready = self.decoder.ready();
            let part = ready.get(..len - whole.len()).unwrap_or(ready);
            whole.extend_from_slice(part);
            let taken = part.len();
            self.advance(taken);
        }
        see(&whole);
        Ok(())
    }

    fn frame(&mut self, index: i32, watch: &mut impl Watch) -> Result<Frame, Fault> {
        let Some(len) = self.whole() else { return walk_frame(self, index, watch) };
        let rest = self.decoder.ready();
        let frame = walk_frame(&mut Slice { rest, len: rest.len() as u64 }, index, watch)?;
        self.advance(len);
        Ok(frame)
    }
}
