//! The metadata log's quorum: openraft among the voters, its log and snapshots in Kafka's formats.
//!
//! It owns the directory `__cluster_metadata-0` and decides nothing: it orders what is proposed and
//! hands on what is committed.

mod entry;
mod log_file;
mod log_scan;
mod log_store;
mod machine;
mod network;
mod node;
mod snapshot_file;
mod state_file;

#[cfg(test)]
mod tests;

use std::io::Cursor;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

pub(crate) use entry::{EntryError, control_batch};
pub(crate) use log_store::{LogFigures, LogStore};
pub(crate) use machine::{Commit, Machine, MachineView};
pub(crate) use network::Alone;
pub(crate) use node::{Quorum, QuorumOptions, RaftMetrics, Role, failure, role};
pub use snapshot_file::stored_image;
pub(crate) use snapshot_file::{Snapshots, joined};
pub(crate) use state_file::{STATE_FILE, StateFile};

/// Directory of the metadata log inside its log directory.
pub const METADATA_DIRECTORY: &str = "__cluster_metadata-0";

openraft::declare_raft_types!(
    /// What openraft is told of our types.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Applied,
        NodeId = u64,
        Node = openraft::BasicNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type LogId = openraft::LogId<u64>;
pub(crate) type Vote = openraft::Vote<u64>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type StoredMembership = openraft::StoredMembership<u64, openraft::BasicNode>;
pub(crate) type StorageError = openraft::StorageError<u64>;

/// One atomic batch on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    /// The term for which it was decided. Appended in another one it would rest on an image that is
    /// no longer true: it is then stored as a record that does nothing.
    pub term: u64,
    /// The batch, from offset 0 on.
    #[serde(serialize_with = "bytes_out", deserialize_with = "bytes_in")]
    pub batch: Bytes,
}

fn bytes_out<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

fn bytes_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    Vec::<u8>::deserialize(deserializer).map(Bytes::from)
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Checksum of the batch that was applied: another one than the proposer's means that the
    /// proposal came too late and did nothing.
    pub crc: u32,
}

/// Why the metadata log cannot be used. Each is one line that names the file.
#[derive(Debug, Error)]
pub enum QuorumError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The log is damaged where it must not be.
    #[error(
        "{path} is damaged at byte {position}: {reason}; restore the directory from a backup, or from another controller"
    )]
    DamagedLog {
        /// The segment.
        path: PathBuf,
        /// Where.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The log ends before what is known to be committed.
    #[error(
        "{path} ends before entry {committed}, which was committed: it is damaged at byte {position}"
    )]
    LostCommitted {
        /// The last segment.
        path: PathBuf,
        /// Where the sound part ends.
        position: u64,
        /// Index of the last entry that was committed.
        committed: u64,
    },
    /// The vote or the log's beginning cannot be read.
    #[error("{path} is damaged: {reason}")]
    DamagedFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of a newer version of Pharos.
    #[error("{path} has version {found}, this build knows {known}")]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// Snapshot and log do not meet.
    #[error("{path} begins at offset {log_start}, but the newest snapshot ends at {snapshot_end}")]
    Gap {
        /// Directory of the log.
        path: PathBuf,
        /// First offset of the log.
        log_start: i64,
        /// Offset behind the snapshot's last record.
        snapshot_end: i64,
    },
    /// The consensus engine stopped.
    #[error("the metadata quorum stopped: {0}")]
    Stopped(String),
}

impl QuorumError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
