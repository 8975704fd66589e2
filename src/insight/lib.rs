//! What the house knows about those who use it: how far consumers are behind, in records and in
//! seconds, and what clients tell of themselves (KIP-714).
//!
//! It follows groups, partitions and the metadata, and shows them as native families. It refuses
//! to decide anything, to hold up whoever produces or consumes, and to read a log in a scrape.

mod cluster;
mod events;
mod hot_keys;
mod lag;
mod offsets;
mod skew;
mod telemetry;

pub use cluster::ClusterFigures;
pub use events::{Event, EventKind, Events, Happened, MAX_EVENTS, of_metadata};
pub use hot_keys::{
    EVERY_TOPIC, HotKeys, KeySampler, MAX_TOPICS, TICK as HOT_KEYS_TICK, WatchedTopic,
};
pub use lag::{CommittedOffset, GroupSnapshot, Lag, Standing};
pub use offsets::PartitionOffsets;
pub use telemetry::{ClientFacts, ClientTelemetry};
