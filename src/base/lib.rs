//! What every room shares and none owns: newtypes, the clock, bounded queues, task supervision,
//! parsing of sizes and durations. It knows nothing of Kafka's protocol or of any subsystem.

mod clock;
mod ids;
mod nearest;

pub use clock::{Clock, ClockHand};
pub use ids::{BrokerId, LeaderEpoch, Offset, PartitionId, ProducerId, TopicId, TopicPartition};
pub use nearest::nearest;
