//! `kafka.server:type=BrokerTopicMetrics`: what producers and consumers move, in all and by topic.
//!
//! The tag-less meters exist from the start. A topic's meters come one by one, each with its first
//! event, and go with the topic; the tag-less ones keep what it contributed. What counts where
//! follows Apache Kafka 4.3.1, oddities included.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;

use parking_lot::RwLock;
use pharos_metrics::catalog::{broker_topics as rows, native};
use pharos_metrics::{BeanRow, Meter, NativeHistogram, Registered, Registry};

use crate::partition_results::PartitionResults;

/// A meter in all and by topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum TopicMeter {
    /// Records appended.
    MessagesIn,
    /// Bytes of batches appended.
    BytesIn,
    /// Bytes of batches returned to consumers.
    BytesOut,
    /// Bytes of batches refused for their size.
    BytesRejected,
    /// Partitions of produce requests that failed for a reason that is not expected to happen.
    FailedProduceRequests,
    /// Partitions of produce requests that reached a log.
    TotalProduceRequests,
    /// Partitions of fetch requests that reached a log.
    TotalFetchRequests,
}

const METERS: [(TopicMeter, &BeanRow, &BeanRow); 7] = [
    (TopicMeter::MessagesIn, &rows::MESSAGES_IN_PER_SEC, &rows::MESSAGES_IN_PER_SEC_BY_TOPIC),
    (TopicMeter::BytesIn, &rows::BYTES_IN_PER_SEC, &rows::BYTES_IN_PER_SEC_BY_TOPIC),
    (TopicMeter::BytesOut, &rows::BYTES_OUT_PER_SEC, &rows::BYTES_OUT_PER_SEC_BY_TOPIC),
    (
        TopicMeter::BytesRejected,
        &rows::BYTES_REJECTED_PER_SEC,
        &rows::BYTES_REJECTED_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::FailedProduceRequests,
        &rows::FAILED_PRODUCE_REQUESTS_PER_SEC,
        &rows::FAILED_PRODUCE_REQUESTS_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::TotalProduceRequests,
        &rows::TOTAL_PRODUCE_REQUESTS_PER_SEC,
        &rows::TOTAL_PRODUCE_REQUESTS_PER_SEC_BY_TOPIC,
    ),
    (
        TopicMeter::TotalFetchRequests,
        &rows::TOTAL_FETCH_REQUESTS_PER_SEC,
        &rows::TOTAL_FETCH_REQUESTS_PER_SEC_BY_TOPIC,
    ),
];

/// The meters of one topic.
#[derive(Debug)]
pub struct OneTopic {
    registry: Registry,
    topic: Arc<str>,
    meters: [OnceLock<Registered<Meter>>; METERS.len()],
    all: Arc<AllTopics>,
}

#[derive(Debug)]
struct AllTopics {
    meters: Vec<Registered<Meter>>,
}

/// Counters of refused records, tag-less only: Kafka never marks them by topic.
#[derive(Debug)]
pub struct Refused {
    /// Records without a key for a compacted topic.
    pub no_key: Registered<Meter>,
    /// Batches with a wrong checksum.
    pub crc: Registered<Meter>,
    /// Batches whose offsets or sequence numbers are wrong.
    pub sequence: Registered<Meter>,
}

/// The meters of all topics.
#[derive(Debug)]
pub struct TopicMetrics {
    registry: Registry,
    all: Arc<AllTopics>,
    /// Records that were refused.
    pub refused: Refused,
    /// Partitions of produce requests.
    pub produced: PartitionResults,
    /// Partitions of consumers' fetch requests.
    pub fetched: PartitionResults,
    /// Age of the newest record of each partition that a fetch returns.
    pub record_age: Registered<NativeHistogram>,
    topics: RwLock<HashMap<Arc<str>, Arc<OneTopic>>>,
    // Nothing converts formats or replicates here yet; another magic is refused before any log is
    // asked; every way in which a read fails has an error code of its own, which Kafka does not
    // count. The beans exist and say so with 0.
    _idle: Vec<Registered<Meter>>,
}

impl TopicMetrics {
    /// Registers the tag-less meters.
    pub fn new(registry: &Registry) -> Self {
        let meter = |row| registry.meter(row, &[]);
        Self {
            registry: registry.clone(),
            all: Arc::new(AllTopics {
                meters: METERS.iter().map(|(_, row, _)| meter(row)).collect(),
            }),
            refused: Refused {
                no_key: meter(&rows::NO_KEY_COMPACTED_TOPIC_RECORDS_PER_SEC),
                crc: meter(&rows::INVALID_MESSAGE_CRC_RECORDS_PER_SEC),
                sequence: meter(&rows::INVALID_OFFSET_OR_SEQUENCE_RECORDS_PER_SEC),
            },
            produced: PartitionResults::new(registry, "Produce"),
            fetched: PartitionResults::new(registry, "FetchConsumer"),
            record_age: registry.family(&native::PHAROS_FETCH_RECORD_AGE_SECONDS).histogram(&[]),
            topics: RwLock::default(),
            _idle: vec![
                meter(&rows::INVALID_MAGIC_NUMBER_RECORDS_PER_SEC),
                meter(&rows::FAILED_FETCH_REQUESTS_PER_SEC),
                meter(&rows::FETCH_MESSAGE_CONVERSIONS_PER_SEC),
                meter(&rows::PRODUCE_MESSAGE_CONVERSIONS_PER_SEC),
                meter(&rows::REPLICATION_BYTES_IN_PER_SEC),
                meter(&rows::REPLICATION_BYTES_OUT_PER_SEC),
                meter(&rows::REASSIGNMENT_BYTES_IN_PER_SEC),
                meter(&rows::REASSIGNMENT_BYTES_OUT_PER_SEC),
            ],
        }
    }

    /// The meters of `topic`. The caller has found the topic, so the map is bounded by topics.
    pub fn topic(&self, topic: &str) -> Arc<OneTopic> {
        if let Some(one) = self.topics.read().get(topic) {
            return one.clone();
        }
        let name: Arc<str> = topic.into();
        let make = || {
            Arc::new(OneTopic {
                registry: self.registry.clone(),
                topic: name.clone(),
                meters: Default::default(),
                all: self.all.clone(),
            })
        };
        self.topics.write().entry(name.clone()).or_insert_with(make).clone()
    }

    /// Takes the meters of a deleted topic away.
    pub fn remove(&self, topic: &str) {
        self.topics.write().remove(topic);
    }
}

impl OneTopic {
    /// Counts `amount` for the topic and for all topics.
    pub fn mark(&self, meter: TopicMeter, amount: u64) {
        let index = meter as usize;
        if let Some(all) = self.all.meters.get(index) {
            all.mark(amount);
        }
        if let (Some(cell), Some((_, _, row))) = (self.meters.get(index), METERS.get(index)) {
            cell.get_or_init(|| self.registry.meter(row, &[("topic", &self.topic)])).mark(amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_meters() {
        for (index, (meter, _, _)) in METERS.iter().enumerate() {
            assert_eq!(*meter as usize, index);
        }
    }
}
