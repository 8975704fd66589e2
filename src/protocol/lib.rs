//! Kafka's wire codec, record batches, compression, error codes and the table of APIs.
//!
//! It owns how things look as bytes, and refuses sockets and state. Whatever arrives as bytes is
//! read without a panic and without an allocation sized by it.

pub mod api;
pub mod batch;
pub mod compression;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod messages;
pub mod stored;
pub mod varint;
pub mod wire;

#[cfg(test)]
mod golden;

pub use self::api::{ApiKey, ApiSpec};
pub use self::error_code::ErrorCode;
pub use self::wire::{
    Array, Chunk, DecodeError, EncodeError, Encoded, Message, Records, Writer, encode_to_bytes,
};
