//! What precedes a message where it is stored or embedded in another one.
//!
//! - values of `__cluster_metadata` and `__remote_log_metadata`: uvarint 1, id and version
//!   (`MetadataRecordSerde`);
//! - keys of `__consumer_offsets`, `__transaction_state` and `__share_group_state`: the record
//!   type, 16 bits, then the body in version 0 (`CoordinatorRecordSerde`);
//! - their values, and the metadata and assignments of consumers and Connect workers: the version,
//!   16 bits (`MessageUtil.toVersionPrefixedBytes`).

use bytes::Bytes;

use crate::wire::{DecodeError, EncodeError, Message, Reader, Writer};

/// The only version of the frame around metadata records.
const METADATA_FRAME_VERSION: u32 = 1;

/// Why a stored message cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// The bytes end early, or a number is malformed.
    #[error("the prefix of a stored message is malformed")]
    Prefix(#[source] DecodeError),
    /// The frame around a metadata record has an unknown version.
    #[error("the frame of a metadata record has version {0}, only 1 is known")]
    FrameVersion(u32),
    /// An id or a version exceeds 16 bits.
    #[error("the prefix of a metadata record holds {0}, more than 16 bits")]
    Range(u32),
}

/// A metadata record in its frame, the body unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataFrame<'a> {
    /// Which record it is: `Message::RECORD_ID`.
    pub id: i16,
    /// The body's version.
    pub version: i16,
    /// The body.
    pub body: &'a [u8],
}

/// A record of `__cluster_metadata` with its prefix.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_metadata<M: Message>(record: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut out = Writer::new();
    out.uvarint(METADATA_FRAME_VERSION);
    // Ids and versions of the tables are never negative.
    out.uvarint(record_id::<M>() as u32);
    out.uvarint(version as u32);
    record.encode(&mut out, version)?;
    out.finish().into_bytes()
}

/// Reads the prefix of a record of `__cluster_metadata`.
///
/// # Errors
/// [`StoredError`].
pub fn split_metadata(value: &[u8]) -> Result<MetadataFrame<'_>, StoredError> {
    let mut reader = Reader::new(value, 0, true);
    let mut next = || reader.uvarint().map_err(StoredError::Prefix);
    let (frame, id, version) = (next()?, next()?, next()?);
    if frame != METADATA_FRAME_VERSION {
        return Err(StoredError::FrameVersion(frame));
    }
    let narrow = |number: u32| i16::try_from(number).map_err(|_| StoredError::Range(number));
    Ok(MetadataFrame { id: narrow(id)?, version: narrow(version)?, body: reader.rest() })
}

/// A coordinator's key: its record type, then the body.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_key<M: Message>(key: &M) -> Result<Bytes, EncodeError> {
    let mut out = Writer::new();
    out.put(&record_id::<M>().to_be_bytes());
    key.encode(&mut out, 0)?;
    out.finish().into_bytes()
}

/// Record type and body of a coordinator's key.
///
/// # Errors
/// [`StoredError::Prefix`].
pub fn split_key(key: &[u8]) -> Result<(i16, &[u8]), StoredError> {
    split_i16(key)
}

/// A message with its version in front: a coordinator's value, a consumer's subscription.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_value<M: Message>(value: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut out = Writer::new();
    out.put(&version.to_be_bytes());
    value.encode(&mut out, version)?;
    out.finish().into_bytes()
}

/// Version and body of a message with its version in front.
///
/// # Errors
/// [`StoredError::Prefix`].
pub fn split_value(value: &[u8]) -> Result<(i16, &[u8]), StoredError> {
    split_i16(value)
}

fn split_i16(bytes: &[u8]) -> Result<(i16, &[u8]), StoredError> {
    match bytes.split_first_chunk::<2>() {
        Some((number, body)) => Ok((i16::from_be_bytes(*number), body)),
        None => {
            let left = bytes.len();
            Err(StoredError::Prefix(DecodeError::Truncated { needed: 2 - left, left }))
        }
    }
}

fn record_id<M: Message>() -> i16 {
    M::RECORD_ID.unwrap_or_default()
}
