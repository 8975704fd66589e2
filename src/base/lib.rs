//! What every room shares and none owns: newtypes, the clock, bounded queues, task supervision,
//! parsing of sizes and durations. It knows nothing of Kafka's protocol or of any subsystem.

mod background;
mod clock;
mod disk_pool;
mod ids;
mod java;
mod listen;
mod nearest;
mod quantity;
mod queue;
mod secret;
mod spawn;
mod supervise;
mod system;
mod trace;

pub use background::in_background;
pub use clock::{Clock, ClockHand};
pub use disk_pool::{DISK_QUEUE_LIMIT, DISK_THREADS, DiskPool};
pub use ids::{BrokerId, LeaderEpoch, Offset, PartitionId, ProducerId, TopicId, TopicPartition};
pub use java::java_double;
pub use listen::{ListenError, ListenOptions, listen};
pub use nearest::nearest;
pub use quantity::{QuantityError, human_bytes, parse_duration, parse_size};
pub use queue::{QueueError, QueueReceiver, QueueSender, queue};
pub use secret::{HIDDEN, Secret};
pub use spawn::Spawners;
pub use supervise::{FailureReason, Stage, Supervisor, TaskError, TaskFailure};
pub use system::{OpenFileLimit, host_name, open_file_limit, raise_open_file_limit};
pub use trace::{SpanId, TraceContext, TraceId};
