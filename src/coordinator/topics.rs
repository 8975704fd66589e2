//! The facts about topics that groups need: names, ids, partition counts, racks.
//!
//! A snapshot: whoever holds the metadata image makes a new one when topics change. It refuses to
//! know leaders, configurations or access rights.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use pharos_base::TopicId;

/// One topic of a [`Topics`] snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: TopicId,
    /// Number of partitions.
    pub partition_count: i32,
    /// Racks of the replicas by partition, sorted; empty where brokers have no rack.
    pub racks: Vec<Vec<Arc<str>>>,
}

impl Topic {
    /// Whether it has the partition of that index.
    pub fn has_partition(&self, index: i32) -> bool {
        (0..self.partition_count).contains(&index)
    }
}

/// All topics at one moment, by name and by id.
#[derive(Clone, Debug, Default)]
pub struct Topics {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    names: HashMap<TopicId, Arc<str>>,
    /// Grows with every change of the set of names: regular expressions are resolved again then.
    version: i64,
}

impl Topics {
    /// A snapshot of `topics`; `version` is the metadata offset that it was taken at.
    pub fn new(version: i64, topics: impl IntoIterator<Item = Topic>) -> Self {
        let mut snapshot = Self { version, ..Self::default() };
        for topic in topics {
            snapshot.names.insert(topic.id, topic.name.clone());
            snapshot.by_name.insert(topic.name.clone(), Arc::new(topic));
        }
        snapshot
    }

    /// The metadata offset that the snapshot was taken at.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The topic of that name.
    pub fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name).map(Arc::as_ref)
    }

    /// The topic of that id.
    pub fn by_id(&self, id: TopicId) -> Option<&Topic> {
        self.names.get(&id).and_then(|name| self.get(name))
    }

    /// All topics by rising name.
    pub fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values().map(Arc::as_ref)
    }
}
