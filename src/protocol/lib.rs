//! Kafka's wire codec, record batches, compression, error codes and the table of APIs.
//!
//! It owns how things look as bytes, and refuses sockets and state. Whatever arrives as bytes is
//! read without a panic and without an allocation sized by it.

pub mod batch;
pub mod compression;
pub mod varint;
