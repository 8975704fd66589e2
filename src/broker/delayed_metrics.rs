//! Operations that wait: how many, and how many ran out of time.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use pharos_base::TopicPartition;
use pharos_metrics::catalog::requests as rows;
use pharos_metrics::{BeanRow, Meter, Registered, Registry, Value};
use pharos_replication::Purgatory;

use crate::fetch_session::FetchSessions;

/// Kafka's purgatories that have nothing to hold here yet; their beans read 0.
const IDLE_PURGATORIES: [&str; 4] = ["AlterAcls", "RemoteFetch", "RemoteListOffsets", "ShareFetch"];

/// The beans of purgatories and of expired operations.
#[derive(Debug)]
pub struct DelayedMetrics {
    registry: Registry,
    // Kafka's come with the first fetch that waits.
    fetch_expired: OnceLock<FetchExpired>,
    produce_expired: Registered<Meter>,
    produce_expired_by_partition: Mutex<HashMap<TopicPartition, Registered<Meter>>>,
    _beans: Vec<Registered<()>>,
}

#[derive(Debug)]
struct FetchExpired {
    consumer: Registered<Meter>,
    _follower: Registered<Meter>,
}

/// The purgatories of a broker.
#[derive(Clone, Debug, Default)]
pub struct Purgatories {
    /// Fetches that wait for bytes.
    pub fetch: Purgatory,
    /// Produces that wait for the high watermark.
    pub produce: Purgatory,
    /// DeleteRecords that wait for followers.
    pub delete_records: Purgatory,
}

impl DelayedMetrics {
    /// Registers the beans over `purgatories` and `sessions`.
    pub fn new(
        registry: &Registry,
        purgatories: &Purgatories,
        sessions: &Arc<FetchSessions>,
    ) -> Self {
        let mut beans = Vec::new();
        let mut add = |name: &str, purgatory: Purgatory| {
            let tags = [("delayedOperation", name)];
            let sized = purgatory.clone();
            beans.push(registry.gauge_fn(
                &rows::DELAYED_OPERATION_PURGATORY_PURGATORY_SIZE,
                &tags,
                move || number(sized.size()),
            ));
            beans.push(registry.gauge_fn(
                &rows::DELAYED_OPERATION_PURGATORY_NUM_DELAYED_OPERATIONS,
                &tags,
                move || number(purgatory.waiting()),
            ));
        };
        add("Fetch", purgatories.fetch.clone());
        add("Produce", purgatories.produce.clone());
        add("DeleteRecords", purgatories.delete_records.clone());
        for name in IDLE_PURGATORIES {
            add(name, Purgatory::default());
        }
        let mut session_bean = |row: &'static BeanRow, read: fn(&FetchSessions) -> usize| {
            let sessions = sessions.clone();
            beans.push(registry.gauge_fn(row, &[], move || number(read(&sessions))));
        };
        session_bean(&rows::FETCH_SESSION_CACHE_NUM_INCREMENTAL_FETCH_SESSIONS, |sessions| {
            sessions.counts().sessions
        });
        session_bean(
            &rows::FETCH_SESSION_CACHE_NUM_INCREMENTAL_FETCH_PARTITIONS_CACHED,
            |sessions| sessions.counts().partitions,
        );
        let evictions = registry
            .meter(&rows::FETCH_SESSION_CACHE_INCREMENTAL_FETCH_SESSION_EVICTIONS_PER_SEC, &[]);
        sessions.count_evictions_in(evictions);
        Self {
            fetch_expired: OnceLock::new(),
            produce_expired: registry.meter(&rows::DELAYED_PRODUCE_METRICS_EXPIRES_PER_SEC, &[]),
            produce_expired_by_partition: Mutex::default(),
            registry: registry.clone(),
            _beans: beans,
        }
    }

    /// A consumer's fetch ran out of time.
    pub fn fetch_expired(&self) {
        let meter = |row| self.registry.meter(row, &[]);
        let expired = self.fetch_expired.get_or_init(|| FetchExpired {
            consumer: meter(&rows::DELAYED_FETCH_METRICS_EXPIRES_PER_SEC_BY_CONSUMER),
            _follower: meter(&rows::DELAYED_FETCH_METRICS_EXPIRES_PER_SEC_BY_FOLLOWER),
        });
        expired.consumer.mark(1);
    }

    /// A produce ran out of time at this partition.
    pub fn produce_expired(&self, partition: &TopicPartition) {
        self.produce_expired.mark(1);
        let row = &rows::DELAYED_PRODUCE_METRICS_EXPIRES_PER_SEC_BY_TOPIC_PARTITION;
        let index = partition.partition.to_string();
        self.produce_expired_by_partition
            .lock()
            .entry(partition.clone())
            .or_insert_with(|| {
                let tags = [("topic", &*partition.topic), ("partition", index.as_str())];
                self.registry.meter(row, &tags)
            })
            .mark(1);
    }

    /// Takes away what belonged to the partitions of a deleted topic.
    pub fn remove_topic(&self, topic: &str) {
        self.produce_expired_by_partition.lock().retain(|partition, _| *partition.topic != *topic);
    }
}

fn number(count: usize) -> Value {
    Value::Long(i64::try_from(count).unwrap_or(i64::MAX))
}
