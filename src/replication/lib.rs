//! Partition state: in-sync replicas, high watermark, epochs and the operations that wait for
//! them. How records are stored on disk or sent over the wire is not known here.

mod purgatory;

pub use purgatory::{Purgatory, Wait, Waited, WatchList};
