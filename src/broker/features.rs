//! The features that this broker can work with, and in which levels (KIP-584).
//!
//! What is not built yet has the supported maximum 0, so that no cluster can finalise it.

/// A feature and its levels.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Name, as Kafka spells it.
    pub name: &'static str,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// Kafka 4.3's metadata version: the only one that is written here.
pub const METADATA_VERSION_LEVEL: i16 = 30;

/// Every feature, by Kafka's names.
pub static SUPPORTED: &[Feature] = &[
    Feature { name: "eligible.leader.replicas.version", min: 0, max: 0 },
    Feature { name: "group.version", min: 0, max: 1 },
    Feature { name: "kraft.version", min: 0, max: 0 },
    Feature { name: "metadata.version", min: METADATA_VERSION_LEVEL, max: METADATA_VERSION_LEVEL },
    Feature { name: "share.version", min: 0, max: 0 },
    Feature { name: "streams.version", min: 0, max: 0 },
    Feature { name: "transaction.version", min: 0, max: 0 },
];
