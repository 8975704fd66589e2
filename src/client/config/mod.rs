//! Configuration by Kafka's property names: the file format, the rows and what they parse into.
//!
//! A key without a row is accepted and reported by [`Properties::unknown`], as Kafka's clients warn
//! and go on; a key that asks for something absent (TLS, SASL, transactions) is refused.

mod address;
mod client;
mod properties;
pub(crate) mod rows;

pub use address::HostPort;
pub(crate) use client::duration;
pub use client::{ClientConfig, MAX_RESPONSE_BYTES};
pub use properties::Properties;
pub use rows::{Kind, ROWS, Row};
