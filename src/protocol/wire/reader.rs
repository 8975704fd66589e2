//! Reads the types of the tables from a slice.
//!
//! It takes what Kafka's readers take (any negative length as null, any byte but 0 as true, long
//! forms of varints, tags in any order) but for two things: a string must be UTF-8, because it
//! would not survive the way back, and a tagged field must fill its size.

use super::TopicId;
use super::array::Array;
use super::error::DecodeError;
use super::message::Element;
use crate::varint::{self, VarintError};

/// Tagged fields that one struct may carry, known or not (Kafka's own have at most 5).
pub const MAX_TAGGED_FIELDS: u32 = 1024;
/// Longest string, in bytes; the old length field holds no more.
pub(super) const MAX_STRING_LEN: usize = i16::MAX as usize;

/// A position in the bytes of a message of one version.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// Reads `input` by the rules of a version, flexible or not.
    pub fn new(input: &'a [u8], version: i16, flexible: bool) -> Self {
        Self { rest: input, version, flexible }
    }

    /// The version of the message.
    #[inline]
    pub fn version(&self) -> i16 {
        self.version
    }

    /// What has not been read.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes the next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let left = self.rest.len();
        let (taken, rest) =
            self.rest.split_at_checked(len).ok_or(DecodeError::Truncated { needed: len, left })?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let left = self.rest.len();
        let (taken, rest) =
            self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated { needed: N, left })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn uuid(&mut self) -> Result<TopicId, DecodeError> {
        Ok(TopicId(uuid::Uuid::from_bytes(self.fixed()?)))
    }

    pub(crate) fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let left = self.rest.len();
        varint::read_u32(&mut self.rest).map_err(|error| match error {
            VarintError::Truncated => DecodeError::Truncated { needed: left + 1, left },
            VarintError::TooLong { .. } => DecodeError::LongVarint,
        })
    }

    /// The length of bytes or an array: `None` for null.
    fn long_len(&mut self) -> Result<Option<u32>, DecodeError> {
        if self.flexible {
            Ok(self.uvarint()?.checked_sub(1))
        } else {
            Ok(u32::try_from(i32::from_be_bytes(self.fixed()?)).ok())
        }
    }

    /// The length of a string: `None` for null.
    fn string_len(&mut self) -> Result<Option<u32>, DecodeError> {
        if self.flexible { self.long_len() } else { self.plain_len() }
    }

    fn plain_len(&mut self) -> Result<Option<u32>, DecodeError> {
        Ok(u32::try_from(i16::from_be_bytes(self.fixed()?)).ok())
    }

    /// A string that may not be null.
    pub fn string(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.string_len()?;
        self.utf8(len)?.ok_or(DecodeError::Null)
    }

    /// A string that may be null if `null`.
    pub fn opt_string(&mut self, null: bool) -> Result<Option<&'a str>, DecodeError> {
        let len = self.string_len()?;
        let string = self.utf8(len)?;
        if string.is_none() && !null { Err(DecodeError::Null) } else { Ok(string) }
    }

    /// A string with the old length field in any version.
    pub fn plain_opt_string(&mut self, null: bool) -> Result<Option<&'a str>, DecodeError> {
        let len = self.plain_len()?;
        let string = self.utf8(len)?;
        if string.is_none() && !null { Err(DecodeError::Null) } else { Ok(string) }
    }

    fn utf8(&mut self, len: Option<u32>) -> Result<Option<&'a str>, DecodeError> {
        let Some(count) = len else { return Ok(None) };
        let left = self.rest.len();
        let len = count as usize;
        if len > MAX_STRING_LEN || len > left {
            return Err(DecodeError::Count { count, left: left.min(MAX_STRING_LEN) });
        }
        std::str::from_utf8(self.take(len)?).map(Some).map_err(|_| DecodeError::Utf8)
    }

    /// Bytes that may not be null.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        self.opt_bytes(false)?.ok_or(DecodeError::Null)
    }

    /// Bytes that may be null if `null`.
    pub fn opt_bytes(&mut self, null: bool) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.long_len()? {
            Some(count) => {
                let left = self.rest.len();
                self.take(count as usize).map(Some).map_err(|_| DecodeError::Count { count, left })
            }
            None if null => Ok(None),
            None => Err(DecodeError::Null),
        }
    }

    /// An array that may not be null.
    pub fn array<T: Element<'a>>(&mut self) -> Result<Array<'a, T>, DecodeError> {
        self.opt_array(false)?.ok_or(DecodeError::Null)
    }

    /// An array that may be null if `null`. Every element is read once, to find the end.
    pub fn opt_array<T: Element<'a>>(
        &mut self,
        null: bool,
    ) -> Result<Option<Array<'a, T>>, DecodeError> {
        let Some(count) = self.count(null)? else { return Ok(None) };
        let start = *self;
        for _ in 0..count {
            T::read(self)?;
        }
        let len = start.rest.len() - self.rest.len();
        let elements = Reader { rest: start.rest.get(..len).unwrap_or_default(), ..start };
        Ok(Some(Array::new(elements, count)))
    }

    /// The count of an array. An element takes at least one byte.
    fn count(&mut self, null: bool) -> Result<Option<u32>, DecodeError> {
        match self.long_len()? {
            Some(count) => {
                let left = self.rest.len();
                if count as usize > left {
                    return Err(DecodeError::Count { count, left });
                }
                Ok(Some(count))
            }
            None if null => Ok(None),
            None => Err(DecodeError::Null),
        }
    }

    /// A struct that may be null: one signed byte in front, negative for null.
    pub fn opt_struct<T: Element<'a>>(&mut self, null: bool) -> Result<Option<T>, DecodeError> {
        let [marker] = self.fixed()?;
        match ((marker as i8) < 0, null) {
            (true, true) => Ok(None),
            (true, false) => Err(DecodeError::Null),
            (false, _) => T::read(self).map(Some),
        }
    }

    /// A struct that may be null in a tagged field: a uvarint in front, 0 for null.
    pub fn tagged_opt_struct<T: Element<'a>>(
        &mut self,
        null: bool,
    ) -> Result<Option<T>, DecodeError> {
        match (self.uvarint()? == 0, null) {
            (true, true) => Ok(None),
            (true, false) => Err(DecodeError::Null),
            (false, _) => T::read(self).map(Some),
        }
    }

    /// How many tagged fields follow.
    pub fn tags(&mut self) -> Result<u32, DecodeError> {
        let count = self.uvarint()?;
        if count > MAX_TAGGED_FIELDS {
            return Err(DecodeError::TooManyTags(count));
        }
        Ok(count)
    }

    /// The next tagged field: its tag, and a reader of its value.
    pub fn tag(&mut self) -> Result<(u32, Self), DecodeError> {
        let tag = self.uvarint()?;
        let count = self.uvarint()?;
        let left = self.rest.len();
        let rest = self.take(count as usize).map_err(|_| DecodeError::Count { count, left })?;
        Ok((tag, Self { rest, ..*self }))
    }

    /// Demands that a tagged field's value was all there is.
    pub fn end(&self, tag: u32) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::TagSize { tag, left }),
        }
    }

    /// Skips the tagged fields of a struct that knows none, if the version is flexible.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        if self.flexible {
            for _ in 0..self.tags()? {
                self.tag()?;
            }
        }
        Ok(())
    }
}
