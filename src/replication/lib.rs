//! Partition state: in-sync replicas, high watermark, epochs and the operations that wait for
//! them. How records are stored on disk or sent over the wire is not known here.

mod metrics;
mod partition;
mod purgatory;
mod replicas;
#[cfg(test)]
mod truth;

pub use partition::{Appended, FetchOptions, Fetched, Isolation, Partition, PartitionError, Role};
pub use purgatory::{Purgatory, Wait, Waited, WatchList};
pub use replicas::{Missing, Replicas, Standing, TopicSettings};
