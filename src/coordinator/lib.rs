//! Groups and offsets as pure state machines over a log.
//!
//! It owns what a group coordinator decides: members, generations, assignments, committed offsets,
//! of the classic protocol and of KIP-848, in Kafka's own records. It refuses sockets, clocks,
//! threads and files: a [`Shard`] gets an [`Event`] and the moment, and says what to append to its
//! partition of `__consumer_offsets` and whom to answer.
//!
//! ```text
//! let mut output = shard.handle(now, event);
//! loop {
//!     answer(output.replies);                       // each after its offset is committed
//!     let Some(write) = output.write else { break };
//!     output = match append(write.batch(now, codec)?) { // one batch
//!         Ok(base_offset) => shard.appended(now, write, base_offset),
//!         Err(error) => shard.failed(now, write, error),
//!     };
//! }
//! wake_at(shard.next_deadline());                   // then shard.on_deadline(now), same loop
//! ```

mod classic;
mod codec;
mod config;
mod consumer;
mod describe;
mod dispatch;
mod due;
mod embedded;
mod event;
mod fit;
mod group;
mod limits;
mod list;
mod load;
mod metrics;
mod migrate;
mod observe;
pub mod offsets;
mod placement;
mod rebalances;
mod record;
mod replay;
mod response;
mod shard;
#[cfg(test)]
mod simulation;
mod step;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests_migrate;
mod timers;
mod topics;
#[cfg(test)]
mod truth;
mod view;
mod wire;

pub use codec::RecordError;
pub use config::{Assignor, Config, GroupOverrides, MigrationPolicy};
pub use event::{Context, Event, Now, Output, Reply, Request, Token, Write};
pub use load::{LoadError, MAX_LOADED_BATCH_BYTES};
pub use metrics::GroupMetrics;
pub use observe::GroupView;
pub use offsets::Commit;
pub use placement::partition_for;
pub use rebalances::{RebalanceCause, RebalanceReason, Rebalances};
pub use record::Record;
pub use response::Response;
pub use shard::Shard;
pub use topics::{Topic, Topics};
pub use view::{GroupState, Tally};
