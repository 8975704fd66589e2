//! The log of a partition: segments, indexes, producer state, retention, cleaning and recovery.
//!
//! Files are Kafka's, byte for byte. This room refuses the network and leadership: who may write,
//! and what is replicated, it is told.

mod append_times;
mod checkpoint;
mod clean;
mod config;
mod disk;
mod epochs;
mod error;
mod files;
pub mod fs;
mod index;
mod log;
mod manager;
mod meta;
mod metrics;
mod names;
mod partition_metadata;
mod producer;
mod recompress;
mod scan;
mod segment;
mod stamp;
mod window;

pub use checkpoint::{EpochEntry, OffsetMap};
pub use clean::{Cleaner, CleanerOptions, CleanerStats};
pub use config::{CleanupPolicy, LogConfig, StoredCompression, TimestampType};
pub use disk::LogDir;
pub use epochs::EpochEnd;
pub use error::{Damage, ReadError, StorageError};
pub use files::FileCache;
pub use index::AbortedTxn;
pub use log::{
    AppendError, AppendInfo, AppendOptions, Conversion, LoadReport, Log, LogOptions, LogSlice,
    OffsetAtTimestamp, RetentionReport,
};
pub use manager::{ConfigOf, DirStatus, LogManager, ManagerOptions, OpenReport};
pub use meta::MetaProperties;
pub use metrics::{LogBeans, StorageMetrics};
pub use pharos_protocol::batch::Origin;
pub use producer::{ProducerEntry, ProducerError, RememberedBatch};
