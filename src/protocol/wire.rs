//! What the generated messages are made of: a reader, a writer, and the traits between them.
//!
//! A view is checked in full when it is decoded and allocates nothing; owned messages are made
//! from views, so no count is believed before its elements were seen.

mod array;
mod error;
mod message;
mod reader;
mod writer;

pub use bytes::Bytes;
pub use pharos_base::TopicId;

pub use self::array::{Array, ArrayIter};
pub use self::error::{DecodeError, EncodeError};
pub use self::message::{Element, Encode, Message, decode_prefix, encode_to_bytes};
pub use self::reader::{MAX_TAGGED_FIELDS, Reader};
pub use self::writer::{Chunk, Encoded, Records, TagMark, TagsMark, Writer};

#[cfg(test)]
mod tests;
