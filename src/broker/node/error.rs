//! Why a node does not start.

use crate::lifecycle::LifecycleError;

/// Why a node does not start: one line for a person.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log directories.
    #[error(transparent)]
    Format(#[from] pharos_metadata::FormatError),
    /// The logs.
    #[error(transparent)]
    Storage(#[from] pharos_storage::StorageError),
    /// The metadata log.
    #[error(transparent)]
    Quorum(#[from] pharos_metadata::QuorumError),
    /// A rule file.
    #[error("metrics.rules: {0}")]
    Rules(String),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] pharos_net::BindError),
    /// The admin listener.
    #[error(transparent)]
    Admin(#[from] pharos_admin::BindError),
    /// What protects the admin listener.
    #[error("{0}")]
    Security(String),
    /// The registration of the broker.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The start took too long.
    #[error("the start took longer than server.max.startup.time.ms, {0} ms")]
    Late(i64),
    /// A step of the start did not end.
    #[error("the start was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}
