//! The producer: records in, batches out, an outcome for each.

mod accumulator;
mod config;
mod partitioner;
mod sender;
#[cfg(test)]
mod tests;
mod turn;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use pharos_base::{Clock, PartitionId, TopicPartition};
use pharos_protocol::ErrorCode;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use self::accumulator::{Accumulator, Limits, Waiting, record_bytes};
use self::partitioner::Partitioner;
use self::sender::Sender;
use crate::cluster::Cluster;
use crate::error::{ClientError, Result};
use crate::metadata::Metadata;
use crate::wire::millis;

pub use self::config::{Partitioning, ProducerConfig};
pub use self::partitioner::{murmur2, partition_of};

/// A record to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerRecord {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition; chosen by the key, or freely, when absent.
    pub partition: Option<PartitionId>,
    /// Milliseconds since 1970; now, when absent.
    pub timestamp_ms: Option<i64>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; none is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl ProducerRecord {
    /// A record without key.
    pub fn new(topic: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), value: Some(value.into()), ..Self::default() }
    }
}

/// Where a record was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Its partition.
    pub partition: PartitionId,
    /// Its offset; -1 when the broker did not tell (acks=0).
    pub offset: i64,
    /// Its timestamp in milliseconds, as stored.
    pub timestamp_ms: i64,
}

/// The outcome of one record, once known.
pub struct Delivery(oneshot::Receiver<Result<RecordMetadata>>);

impl Future for Delivery {
    type Output = Result<RecordMetadata>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|outcome| outcome.unwrap_or(Err(ClientError::Closed)))
    }
}

/// Sends records. Dropping it fails what has not been sent; [`Self::close`] waits for it.
pub struct Producer {
    cluster: Cluster,
    config: Arc<ProducerConfig>,
    partitioner: Mutex<Partitioner>,
    sender: Arc<Sender>,
    memory: Arc<Semaphore>,
    clock: Clock,
    task: tokio::task::JoinHandle<()>,
}

impl Producer {
    /// A producer on its own connections. Call it within a tokio runtime.
    pub fn new(config: ProducerConfig) -> Self {
        Self::on(Cluster::new(config.client.clone()), config)
    }

    /// A producer that shares the connections of `cluster`.
    pub fn on(cluster: Cluster, config: ProducerConfig) -> Self {
        let limits = Limits {
            batch_size: config.batch_size,
            max_request_size: config.max_request_size,
            linger: config.linger,
            delivery_timeout: config.delivery_timeout,
            max_in_flight: config.max_in_flight,
            retries: config.retries,
            retry: config.client.retry,
        };
        let partitioner = Partitioner::new(config.partitioning, config.batch_size);
        let memory = Arc::new(Semaphore::new(config.buffer_memory as usize));
        let config = Arc::new(config);
        let sender =
            Arc::new(Sender::new(cluster.clone(), config.clone(), Accumulator::new(limits)));
        let task = tokio::spawn(sender.clone().run());
        let partitioner = Mutex::new(partitioner);
        Self { cluster, config, partitioner, sender, memory, clock: Clock::real(), task }
    }

    /// Queues a record; waits, at most max.block.ms, for metadata and memory. The outcome comes
    /// with the returned future; dropping that does not cancel the record.
    ///
    /// # Errors
    /// When the record is too large, its topic or partition does not exist, or the wait is over.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery> {
        let deadline = Instant::now() + self.config.max_block;
        let bytes = record_bytes(&record);
        self.check_size(bytes)?;
        let metadata = match self.cluster.known(&record.topic) {
            Some(known) => known,
            None => self.topic(&record.topic, deadline).await?,
        };
        let partition = self.partition(&record, bytes, &metadata)?;
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let memory = match self.memory.clone().try_acquire_many_owned(permits) {
            Ok(memory) => memory,
            Err(_) => timeout_at(deadline, self.memory.clone().acquire_many_owned(permits))
                .await
                .map_err(|_| self.blocked("waiting for buffer memory".to_owned()))?
                .map_err(|_| ClientError::Closed)?,
        };
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(|| self.clock.now_ms());
        let (done, outcome) = oneshot::channel();
        self.sender.append(&partition, Waiting { record, timestamp_ms, done, _memory: memory })?;
        Ok(Delivery(outcome))
    }

    /// Waits until every record that was queued has its outcome.
    pub async fn flush(&self) {
        self.sender.flush().await;
    }

    /// Flushes, then stops.
    pub async fn close(self) {
        self.sender.flush().await;
    }

    fn check_size(&self, bytes: usize) -> Result<()> {
        let (key, limit) = if bytes > self.config.max_request_size {
            ("max.request.size", self.config.max_request_size)
        } else if bytes > self.config.buffer_memory as usize {
            ("buffer.memory", self.config.buffer_memory as usize)
        } else {
            return Ok(());
        };
        let message = format!(
            "The message is {bytes} bytes when serialized which is larger than {limit}, which is \
             the value of the {key} configuration."
        );
        Err(ClientError::Broker { code: ErrorCode::MessageTooLarge, message: Some(message) })
    }

    async fn topic(&self, topic: &str, deadline: Instant) -> Result<Arc<Metadata>> {
        timeout_at(deadline, self.cluster.topic(topic, true))
            .await
            .unwrap_or_else(|_| Err(self.blocked(format!("waiting for metadata of topic {topic}"))))
    }

    fn blocked(&self, what: String) -> ClientError {
        ClientError::Timeout { what, timeout_ms: millis(self.config.max_block), last: None }
    }

    fn partition(
        &self,
        record: &ProducerRecord,
        bytes: usize,
        metadata: &Metadata,
    ) -> Result<TopicPartition> {
        let known = metadata.topics.get(&*record.topic);
        let partitions = known.map_or(&[][..], |topic| &topic.partitions);
        let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        let partition = match record.partition {
            Some(partition) if (0..count).contains(&partition.0) => partition,
            Some(partition) => {
                return Err(ClientError::Usage(format!(
                    "partition {partition} of topic {} does not exist: it has {count}",
                    record.topic
                )));
            }
            None => {
                let has_leader = |index: i32| {
                    let of = usize::try_from(index).ok().and_then(|index| partitions.get(index));
                    of.is_some_and(|partition| partition.leader.0 >= 0)
                };
                let key = record.key.as_deref();
                let mut partitioner = self.partitioner.lock();
                PartitionId(partitioner.choose(&record.topic, key, bytes, count, has_leader))
            }
        };
        Ok(TopicPartition::new(record.topic.clone(), partition))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.task.abort();
        self.sender.abort(&ClientError::Closed);
    }
}
