//! Every message of Kafka 4.3.1, generated from the tables in `spec/`.
//!
//! One module per message holds its structs twice: owned, as in `ProduceRequest`, and borrowed, as
//! in `ProduceRequestRef`. `Default` is Kafka's. A field that a version lacks is skipped when
//! written if the table says `ignorable`, otherwise setting it is an error.

#![allow(
    missing_docs,
    clippy::all,
    reason = "generated: names and meaning are Kafka's, the tables in spec/ are their source"
)]

include!(concat!(env!("OUT_DIR"), "/messages.rs"));
