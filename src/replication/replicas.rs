//! The partitions that this broker holds, by topic name and by id.
//!
//! It follows the metadata: a new image makes, changes and removes partitions. Lookups by the data
//! path take a read lock for the time of a hash lookup.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::RwLock;
use pharos_base::{BrokerId, PartitionId, TopicId, TopicPartition};
use pharos_metadata::image::{ConfigResourceType, MetadataDelta, MetadataImage, TopicImage};
use pharos_metrics::Registry;
use pharos_storage::{LogConfig, LogManager, StorageError};

use crate::metrics::ReplicaMetrics;
use crate::partition::Partition;

/// Why a partition cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// There is no such topic or partition.
    Unknown,
    /// Another broker holds it.
    Elsewhere,
    /// It is here, but its log directory failed.
    Offline,
}

/// What this broker is to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It leads a partition.
    Leads,
    /// A partition is online here, and none is led.
    Follows,
    /// No partition is online here.
    Gone,
}

/// What the settings of a topic mean to its partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSettings {
    /// Settings of the logs.
    pub log: LogConfig,
    /// `min.insync.replicas`.
    pub min_insync_replicas: usize,
}

impl TopicSettings {
    /// Whether `cleanup.policy` has `delete`.
    pub fn deletes(&self) -> bool {
        self.log.cleanup_policy.delete
    }
}

/// The partitions of this broker.
#[derive(Debug)]
pub struct Replicas {
    broker: BrokerId,
    logs: Arc<LogManager>,
    registry: Registry,
    table: RwLock<Table>,
    metrics: ReplicaMetrics,
}

#[derive(Debug, Default)]
struct Table {
    topics: HashMap<Arc<str>, Topic>,
}

#[derive(Debug)]
struct Topic {
    id: TopicId,
    settings: Arc<TopicSettings>,
    partitions: BTreeMap<PartitionId, Held>,
}

#[derive(Debug, Clone)]
enum Held {
    Online(Arc<Partition>),
    Offline,
    Elsewhere,
}

impl Replicas {
    /// No partitions yet.
    pub fn new(broker: BrokerId, logs: Arc<LogManager>, registry: &Registry) -> Self {
        Self {
            broker,
            logs,
            registry: registry.clone(),
            table: RwLock::default(),
            metrics: ReplicaMetrics::new(registry),
        }
    }

    /// The logs under the partitions.
    pub fn logs(&self) -> &Arc<LogManager> {
        &self.logs
    }

    /// The partition `partition` of `topic`.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn find(&self, topic: &str, partition: PartitionId) -> Result<Arc<Partition>, Missing> {
        let table = self.table.read();
        let held = table.topics.get(topic).and_then(|topic| topic.partitions.get(&partition));
        match held {
            None => Err(Missing::Unknown),
            Some(Held::Online(partition)) => Ok(partition.clone()),
            Some(Held::Offline) => Err(Missing::Offline),
            Some(Held::Elsewhere) => Err(Missing::Elsewhere),
        }
    }

    /// What this broker is to a topic.
    pub fn standing(&self, topic: &str) -> Standing {
        let table = self.table.read();
        let mut standing = Standing::Gone;
        for held in table.topics.get(topic).into_iter().flat_map(|it| it.partitions.values()) {
            match held {
                Held::Online(partition) if partition.role().leads => return Standing::Leads,
                Held::Online(_) => standing = Standing::Follows,
                Held::Offline | Held::Elsewhere => {}
            }
        }
        standing
    }

    /// The settings of a topic; `None` when there is no such topic.
    pub fn topic_settings(&self, topic: &str) -> Option<Arc<TopicSettings>> {
        self.table.read().topics.get(topic).map(|topic| topic.settings.clone())
    }

    /// Every partition that is online, in the order of topics' names and indexes.
    pub fn online(&self) -> Vec<Arc<Partition>> {
        let table = self.table.read();
        let mut all: Vec<_> = table
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values())
            .filter_map(|held| match held {
                Held::Online(partition) => Some(partition.clone()),
                Held::Offline | Held::Elsewhere => None,
            })
            .collect();
        all.sort_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// Brings the partitions to where `image` is. `settings` resolves the settings of a topic. Logs
    /// that cannot be opened make their partitions offline; their failures are returned.
    pub fn follow(
        &self,
        image: &MetadataImage,
        delta: &MetadataDelta,
        settings: &dyn Fn(&MetadataImage, &str) -> TopicSettings,
    ) -> Vec<(TopicPartition, StorageError)> {
        let mut failures = Vec::new();
        for (id, name) in &delta.topics_deleted {
            self.remove(*id, name, &mut failures);
        }
        let mut changed: BTreeMap<TopicId, Vec<PartitionId>> = BTreeMap::new();
        for (id, partition) in &delta.partitions_changed {
            changed.entry(*id).or_default().push(*partition);
        }
        for (id, partitions) in changed {
            if let Some(topic) = image.topic_by_id(id) {
                let resolved = Arc::new(settings(image, &topic.name));
                self.place(topic, &partitions, &resolved, &mut failures);
            }
        }
        self.reconfigure(image, delta, settings);
        self.count();
        failures
    }

    fn remove(
        &self,
        id: TopicId,
        name: &Arc<str>,
        failures: &mut Vec<(TopicPartition, StorageError)>,
    ) {
        let removed = {
            let mut table = self.table.write();
            match table.topics.get(name) {
                Some(topic) if topic.id == id => table.topics.remove(name),
                _ => None,
            }
        };
        for (index, held) in removed.map(|topic| topic.partitions).unwrap_or_default() {
            if let Held::Online(partition) = held {
                partition.retire();
            }
            let id = TopicPartition::new(name.clone(), index);
            if let Err(error) = self.logs.delete(&id) {
                failures.push((id, error));
            }
        }
    }

    fn place(
        &self,
        topic: &TopicImage,
        partitions: &[PartitionId],
        settings: &Arc<TopicSettings>,
        failures: &mut Vec<(TopicPartition, StorageError)>,
    ) {
        for index in partitions {
            let Some(registration) = topic.partition(*index) else { continue };
            let id = TopicPartition::new(topic.name.clone(), *index);
            let held = if registration.replicas.contains(&self.broker) {
                let opened = self
                    .existing(&topic.name, topic.id, *index)
                    .map_or_else(|| self.open(&id, topic.id, settings), Ok);
                let followed = opened.and_then(|partition| {
                    partition.metrics().set_min_in_sync(settings.min_insync_replicas);
                    partition.follow(self.broker, registration)?;
                    Ok(Held::Online(partition))
                });
                followed.unwrap_or_else(|error| {
                    failures.push((id, error));
                    Held::Offline
                })
            } else {
                Held::Elsewhere
            };
            let mut table = self.table.write();
            let entry = table.topics.entry(topic.name.clone()).or_insert_with(|| Topic {
                id: topic.id,
                settings: settings.clone(),
                partitions: BTreeMap::new(),
            });
            entry.partitions.insert(*index, held);
        }
    }

    fn existing(&self, topic: &str, id: TopicId, index: PartitionId) -> Option<Arc<Partition>> {
        let table = self.table.read();
        let topic = table.topics.get(topic).filter(|topic| topic.id == id)?;
        match topic.partitions.get(&index)? {
            Held::Online(partition) => Some(partition.clone()),
            Held::Offline | Held::Elsewhere => None,
        }
    }

    fn open(
        &self,
        id: &TopicPartition,
        topic_id: TopicId,
        settings: &TopicSettings,
    ) -> Result<Arc<Partition>, StorageError> {
        let log = self.logs.get_or_create(id, Some(topic_id), settings.log.clone())?;
        log.set_config(settings.log.clone());
        let partition = Partition::new(id.clone(), topic_id, log, &self.registry);
        Ok(Arc::new(partition))
    }

    /// Applies changed settings: a topic's own, or all topics' when the broker's changed.
    fn reconfigure(
        &self,
        image: &MetadataImage,
        delta: &MetadataDelta,
        settings: &dyn Fn(&MetadataImage, &str) -> TopicSettings,
    ) {
        let all = delta.configs_changed.iter().any(|of| of.kind == ConfigResourceType::Broker);
        let names: Vec<Arc<str>> = if all {
            self.table.read().topics.keys().cloned().collect()
        } else {
            let topics =
                delta.configs_changed.iter().filter(|of| of.kind == ConfigResourceType::Topic);
            topics.map(|of| of.name.clone()).collect()
        };
        for name in names {
            let resolved = Arc::new(settings(image, &name));
            let mut table = self.table.write();
            let Some(topic) = table.topics.get_mut(&name) else { continue };
            topic.settings = resolved.clone();
            for held in topic.partitions.values() {
                if let Held::Online(partition) = held {
                    partition.log().set_config(resolved.log.clone());
                    partition.metrics().set_min_in_sync(resolved.min_insync_replicas);
                }
            }
        }
    }

    /// Takes the partitions of a failed log directory offline.
    pub fn fail_directory(&self, directory: &Path) -> Vec<TopicPartition> {
        let mut failed = Vec::new();
        let mut table = self.table.write();
        for topic in table.topics.values_mut() {
            for held in topic.partitions.values_mut() {
                if let Held::Online(partition) = held
                    && partition.log().home().path() == directory
                {
                    partition.retire();
                    failed.push(partition.id().clone());
                    *held = Held::Offline;
                }
            }
        }
        drop(table);
        self.count();
        failed
    }

    fn count(&self) {
        let table = self.table.read();
        let mut offline = 0;
        let mut figures = Vec::new();
        for held in table.topics.values().flat_map(|topic| topic.partitions.values()) {
            match held {
                Held::Online(partition) => figures.push(partition.metrics().figures().clone()),
                Held::Offline => offline += 1,
                Held::Elsewhere => {}
            }
        }
        self.metrics.offline.store(offline, Ordering::Relaxed);
        *self.metrics.all.lock() = figures;
    }

    /// Counts producer ids over all partitions, for the bean; called now and then.
    pub fn count_producers(&self) {
        let table = self.table.read();
        let partitions = table.topics.values().flat_map(|topic| topic.partitions.values());
        let count = partitions.map(|held| match held {
            Held::Online(partition) => partition.log().producer_count(),
            Held::Offline | Held::Elsewhere => 0,
        });
        let count = count.sum();
        self.metrics.producers.store(count, Ordering::Relaxed);
    }
}
