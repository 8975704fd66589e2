//! Beans that belong to the node as a whole: its state and identity, how idle its workers are, and
//! the figures of rooms that have nothing to do on a single node. What a subsystem counts itself
//! stands beside that subsystem.

mod at_rest;
mod forwarding;
mod idle;
mod node_state;
mod shards;
mod spans;

pub use at_rest::AtRest;
pub use forwarding::Forwarding;
pub use idle::IdleMeters;
pub use node_state::{BrokerState, NodeFacts, NodeState};
pub use shards::{EventSensors, ShardMetrics, ShardStage, Staged};
pub use spans::SpanSeries;
