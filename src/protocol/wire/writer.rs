//! Writes the types of the tables, and keeps large records out of the copy.

use std::mem;

use bytes::{Bytes, BytesMut};

use super::error::EncodeError;
use super::message::Encode;
use super::reader::MAX_STRING_LEN;
use crate::varint;

/// From this length on, in bytes, records become a chunk of their own instead of being copied.
const SHARE_FROM: usize = 1024;

/// The content of a field of type `records`: whole batches, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// In memory.
    Bytes(Bytes),
    /// In a file, never to be read into memory: who sends the message puts them in.
    External {
        /// What stands for them, chosen by who made the message.
        token: u32,
        /// Their length, in bytes.
        len: u32,
    },
}

impl Records {
    /// A copy of bytes.
    pub fn copy(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }

    /// Their length, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::External { len, .. } => *len as usize,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, unless they are external.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::External { .. } => None,
        }
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// A piece of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes to send.
    Bytes(Bytes),
    /// A place for [`Records::External`].
    External {
        /// What stands for them.
        token: u32,
        /// Their length, in bytes.
        len: u32,
    },
}

impl Chunk {
    /// Its length, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::External { len, .. } => *len as usize,
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An encoded message, in the order of its pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The pieces; none is empty.
    pub chunks: Vec<Chunk>,
    /// Every `error_code` that was written, with how often: what a broker counts per request.
    pub errors: Vec<(i16, u32)>,
}

impl Encoded {
    /// Length of the whole, in bytes.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// All of it in one piece; copies unless it is one already.
    ///
    /// # Errors
    /// [`EncodeError::External`].
    pub fn into_bytes(self) -> Result<Bytes, EncodeError> {
        let total = self.len();
        let mut chunks = self.chunks.into_iter();
        let first = match chunks.next() {
            None => return Ok(Bytes::new()),
            Some(Chunk::Bytes(bytes)) => bytes,
            Some(Chunk::External { .. }) => return Err(EncodeError::External),
        };
        if first.len() == total {
            return Ok(first);
        }
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(&first);
        for chunk in chunks {
            match chunk {
                Chunk::Bytes(bytes) => out.extend_from_slice(&bytes),
                Chunk::External { .. } => return Err(EncodeError::External),
            }
        }
        Ok(Bytes::from(out))
    }
}

/// Collects messages as bytes.
#[derive(Debug, Default)]
pub struct Writer {
    chunks: Vec<Chunk>,
    errors: Vec<(i16, u32)>,
    buffer: Vec<u8>,
    version: i16,
    flexible: bool,
}

/// Where the count of a struct's tagged fields stands.
#[derive(Clone, Copy, Debug)]
pub struct TagsMark(usize);

/// Where the value of a tagged field starts.
#[derive(Clone, Copy, Debug)]
pub struct TagMark(usize);

impl Writer {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one with room for `len` bytes.
    pub fn with_capacity(len: usize) -> Self {
        Self { buffer: Vec::with_capacity(len), ..Self::default() }
    }

    /// Sets the rules for what follows.
    pub(super) fn start(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// The version being written.
    #[inline]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes the code of an error and counts it.
    pub fn error_code(&mut self, code: i16) {
        self.put(&code.to_be_bytes());
        match self.errors.iter_mut().find(|(counted, _)| *counted == code) {
            Some((_, count)) => *count += 1,
            None => self.errors.push((code, 1)),
        }
    }

    /// Appends an unsigned varint.
    pub(crate) fn uvarint(&mut self, value: u32) {
        varint::write_u32(&mut self.buffer, value);
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum::<usize>() + self.buffer.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Overwrites the first bytes; the first chunk was made by this writer, so it is not shared.
    pub(crate) fn patch_front(&mut self, bytes: &[u8]) {
        let front = match self.chunks.first_mut() {
            None => self.buffer.get_mut(..bytes.len()),
            Some(Chunk::Bytes(chunk)) => {
                let mut copy = BytesMut::from(mem::take(chunk));
                if let Some(front) = copy.get_mut(..bytes.len()) {
                    front.copy_from_slice(bytes);
                }
                *chunk = copy.freeze();
                return;
            }
            Some(Chunk::External { .. }) => None,
        };
        if let Some(front) = front {
            front.copy_from_slice(bytes);
        }
    }

    /// What was written.
    pub fn finish(mut self) -> Encoded {
        self.flush();
        Encoded { chunks: self.chunks, errors: self.errors }
    }

    fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.chunks.push(Chunk::Bytes(Bytes::from(mem::take(&mut self.buffer))));
        }
    }

    /// The error for a field that the version does not have.
    pub fn unsupported(&self, field: &'static str) -> EncodeError {
        EncodeError::Field { field, version: self.version }
    }

    /// Writes the length of bytes or an array, `None` for null.
    fn long_len(&mut self, len: Option<usize>) -> Result<(), EncodeError> {
        let max = i32::MAX as usize - 1;
        match len {
            Some(len) if len > max => return Err(EncodeError::Length { len, max }),
            Some(len) if self.flexible => self.uvarint(len as u32 + 1),
            Some(len) => self.put(&(len as i32).to_be_bytes()),
            None if self.flexible => self.uvarint(0),
            None => self.put(&(-1i32).to_be_bytes()),
        }
        Ok(())
    }

    fn check_null(&self, is_null: bool, null: bool) -> Result<(), EncodeError> {
        if is_null && !null { Err(EncodeError::Null(self.version)) } else { Ok(()) }
    }

    /// A string that is not null.
    pub fn string(&mut self, value: &str) -> Result<(), EncodeError> {
        self.opt_string(Some(value), false)
    }

    /// A string that may be null if `null`.
    pub fn opt_string(&mut self, value: Option<&str>, null: bool) -> Result<(), EncodeError> {
        if !self.flexible {
            return self.plain_string(value, null);
        }
        self.check_null(value.is_none(), null)?;
        check_string(value)?;
        self.long_len(value.map(str::len))?;
        self.put(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// A string with the old length field in any version.
    pub fn plain_string(&mut self, value: Option<&str>, null: bool) -> Result<(), EncodeError> {
        self.check_null(value.is_none(), null)?;
        check_string(value)?;
        // check_string holds the length within 16 bits.
        self.put(&value.map_or(-1, |value| value.len() as i16).to_be_bytes());
        self.put(value.unwrap_or_default().as_bytes());
        Ok(())
    }

    /// Bytes that are not null.
    pub fn bytes(&mut self, value: &Bytes) -> Result<(), EncodeError> {
        self.opt_bytes(Some(value), false)
    }

    /// Bytes that may be null if `null`.
    pub fn opt_bytes(&mut self, value: Option<&Bytes>, null: bool) -> Result<(), EncodeError> {
        self.check_null(value.is_none(), null)?;
        self.long_len(value.map(Bytes::len))?;
        if let Some(value) = value {
            self.put(value);
        }
        Ok(())
    }

    /// Records, that may be null if `null`.
    pub fn records(&mut self, value: Option<&Records>, null: bool) -> Result<(), EncodeError> {
        self.check_null(value.is_none(), null)?;
        self.long_len(value.map(Records::len))?;
        match value {
            None => {}
            Some(Records::Bytes(bytes)) if bytes.len() < SHARE_FROM => self.put(bytes),
            Some(Records::Bytes(bytes)) => {
                self.flush();
                self.chunks.push(Chunk::Bytes(bytes.clone()));
            }
            Some(Records::External { len: 0, .. }) => {}
            Some(&Records::External { token, len }) => {
                self.flush();
                self.chunks.push(Chunk::External { token, len });
            }
        }
        Ok(())
    }

    /// An array that is not null.
    pub fn array<T: Encode>(&mut self, values: &[T]) -> Result<(), EncodeError> {
        self.opt_array(Some(values), false)
    }

    /// An array that may be null if `null`.
    pub fn opt_array<T: Encode>(
        &mut self,
        values: Option<&[T]>,
        null: bool,
    ) -> Result<(), EncodeError> {
        self.check_null(values.is_none(), null)?;
        self.long_len(values.map(<[T]>::len))?;
        for value in values.unwrap_or_default() {
            value.write(self)?;
        }
        Ok(())
    }

    /// A struct that may be null if `null`: one signed byte in front.
    pub fn opt_struct<T: Encode>(
        &mut self,
        value: Option<&T>,
        null: bool,
    ) -> Result<(), EncodeError> {
        self.check_null(value.is_none(), null)?;
        self.put(if value.is_some() { &[1] } else { &[0xff] });
        value.map_or(Ok(()), |value| value.write(self))
    }

    /// A struct that may be null if `null` in a tagged field: a uvarint in front.
    pub fn tagged_opt_struct<T: Encode>(
        &mut self,
        value: Option<&T>,
        null: bool,
    ) -> Result<(), EncodeError> {
        self.check_null(value.is_none(), null)?;
        self.put(&[u8::from(value.is_some())]);
        value.map_or(Ok(()), |value| value.write(self))
    }

    /// Ends a struct without tagged fields, if the version is flexible.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.put(&[0]);
        }
    }

    /// Starts the tagged fields of a struct. There are fewer than 128, so the count is one byte.
    pub fn begin_tags(&mut self) -> TagsMark {
        self.put(&[0]);
        TagsMark(self.buffer.len() - 1)
    }

    /// Starts one tagged field; tags rise.
    pub fn begin_tag(&mut self, tags: TagsMark, tag: u32) -> TagMark {
        if let Some(count) = self.buffer.get_mut(tags.0) {
            *count += 1;
        }
        self.uvarint(tag);
        TagMark(self.buffer.len())
    }

    /// Ends a tagged field: puts its size in front of its value.
    pub fn end_tag(&mut self, tag: TagMark) {
        let mut size = Vec::with_capacity(varint::MAX_VARINT_LEN);
        varint::write_u32(&mut size, (self.buffer.len() - tag.0) as u32);
        self.buffer.splice(tag.0..tag.0, size);
    }
}

fn check_string(value: Option<&str>) -> Result<(), EncodeError> {
    match value.map_or(0, str::len) {
        len if len > MAX_STRING_LEN => Err(EncodeError::Length { len, max: MAX_STRING_LEN }),
        _ => Ok(()),
    }
}
