//! Loads a shard: replays the whole log of its partition.

use pharos_base::{Clock, Offset};
use pharos_coordinator::Now;
use pharos_protocol::batch::{BatchError, batches};
use pharos_replication::PartitionError;

use super::slot::Slot;
use crate::beans::ShardStage;

/// Why a shard cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The log does not give its batches.
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// A segment cannot be read.
    #[error("cannot read the log: {0}")]
    Io(#[from] std::io::Error),
    /// Offsets do not grow.
    #[error("the batches at offset {0} do not lead on")]
    GoesBack(Offset),
    /// What lies in the log is no batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A batch that groups cannot take over.
    #[error(transparent)]
    Shard(#[from] pharos_coordinator::LoadError),
}

/// Replays the log into the shard, `read_bytes` at a time; the shard answers afterwards.
///
/// # Errors
/// The first batch that cannot be read or taken over.
pub fn load(slot: &Slot, clock: &Clock, read_bytes: usize) -> Result<(), LoadError> {
    let log = slot.partition.log();
    let end = log.log_end_offset();
    let mut next = log.log_start_offset();
    let mut unknown = 0;
    let mut state = slot.state.lock();
    state.shard.committed_up_to(slot.partition.high_watermark().0);
    while next < end {
        let slice = log.read(next, read_bytes, end, true).map_err(PartitionError::from)?;
        if slice.is_empty() {
            break;
        }
        let bytes = slice.read_to_bytes()?;
        let from = next;
        for batch in batches(&bytes) {
            let batch = batch?;
            unknown += state.shard.replay_batch(&batch)?;
            next = Offset(batch.header().next_offset());
        }
        // A damaged batch may claim any offsets.
        if next <= from {
            return Err(LoadError::GoesBack(from));
        }
    }
    if unknown > 0 {
        let partition = slot.partition.id();
        tracing::warn!(%partition, unknown, "passed over records of groups of an unknown kind");
    }
    state.shard.loaded(Now::of(clock));
    state.stage.enter(ShardStage::Active);
    Ok(())
}
