//! The traits of messages and of what they hold.

use std::fmt;

use bytes::Bytes;

use super::TopicId;
use super::error::{DecodeError, EncodeError};
use super::reader::Reader;
use super::writer::Writer;

/// A message of the tables: request, response, header, record, key or value.
pub trait Message: Encode + Default + Clone + fmt::Debug + PartialEq {
    /// Kafka's name of it.
    const NAME: &'static str;
    /// The API it belongs to, for requests and responses.
    const API_KEY: Option<i16>;
    /// Api key of a metadata record, record type of a coordinator's key or value.
    const RECORD_ID: Option<i16>;
    /// Oldest version in the tables.
    const MIN_VERSION: i16;
    /// Newest version in the tables.
    const MAX_VERSION: i16;

    /// Whether a version has tagged fields and compact lengths (KIP-482).
    fn flexible(version: i16) -> bool;

    /// Puts in how long the client is muted, where the message can say it.
    fn set_throttle_time_ms(&mut self, ms: i32) {
        let _ = ms;
    }

    /// Reads a message from the front of `input`; what follows it is ignored, as Kafka does. For
    /// bytes from outside, prefer the view: this copies, up to 25 times the bytes received.
    ///
    /// # Errors
    /// [`DecodeError`], before anything was allocated.
    fn decode(input: &[u8], version: i16) -> Result<Self, DecodeError>;

    /// Appends the message to `out`.
    ///
    /// # Errors
    /// [`EncodeError`] when the version does not exist, or does not have what is set; `out` is
    /// then of no use.
    fn encode(&self, out: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if !(Self::MIN_VERSION..=Self::MAX_VERSION).contains(&version) {
            return Err(EncodeError::Version { message: Self::NAME, version });
        }
        out.start(version, Self::flexible(version));
        self.write(out)
    }
}

/// Something that can be written as part of a message.
pub trait Encode {
    /// Appends itself by the rules of the writer's version.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError>;
}

/// Something that can be read as part of a message, borrowing from it.
pub trait Element<'a>: Sized {
    /// What it becomes when it is copied out of the message.
    type Owned;

    /// Reads one by the rules of the reader's version.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// A copy that borrows nothing.
    fn own(&self) -> Self::Owned;
}

/// Reads a view `V` of the message `M` from the front of `input`, and returns what follows it.
///
/// # Errors
/// [`DecodeError`].
pub fn decode_prefix<'a, M: Message, V: Element<'a>>(
    input: &'a [u8],
    version: i16,
) -> Result<(V, &'a [u8]), DecodeError> {
    if !(M::MIN_VERSION..=M::MAX_VERSION).contains(&version) {
        return Err(DecodeError::Version { message: M::NAME, version });
    }
    let mut reader = Reader::new(input, version, M::flexible(version));
    let message = V::read(&mut reader)?;
    Ok((message, reader.rest()))
}

/// The bytes of a message, without header or frame.
///
/// # Errors
/// [`EncodeError`], also when the message holds records that are not in memory.
pub fn encode_to_bytes<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut out = Writer::new();
    message.encode(&mut out, version)?;
    out.finish().into_bytes()
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Encode for $ty {
            #[inline]
            fn write(&self, w: &mut Writer) -> Result<(), EncodeError> {
                w.put(&self.to_be_bytes());
                Ok(())
            }
        }

        impl Element<'_> for $ty {
            type Owned = Self;

            #[inline]
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(r.fixed()?))
            }

            fn own(&self) -> Self {
                *self
            }
        }
    )*};
}

numbers!(i8, i16, u16, i32, u32, i64, f64);

impl Encode for bool {
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&[u8::from(*self)]);
        Ok(())
    }
}

impl Element<'_> for bool {
    type Owned = Self;

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [byte] = r.fixed()?;
        Ok(byte != 0)
    }

    fn own(&self) -> Self {
        *self
    }
}

impl Encode for TopicId {
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(self.as_bytes());
        Ok(())
    }
}

impl Element<'_> for TopicId {
    type Owned = Self;

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.uuid()
    }

    fn own(&self) -> Self {
        *self
    }
}

impl Encode for String {
    fn write(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.string(self)
    }
}

impl<'a> Element<'a> for &'a str {
    type Owned = String;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        r.string()
    }

    fn own(&self) -> String {
        (*self).to_owned()
    }
}
