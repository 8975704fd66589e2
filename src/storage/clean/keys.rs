//! The last offset of each key, by a hash of 128 bits instead of the key.
//!
//! Two random halves, new for each cleaning: a collision, which would lose a record, is as unlikely
//! as with Kafka's MD5, and nobody can provoke one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Bytes that one key is counted with.
const BYTES_PER_KEY: usize = 48;

/// Offsets by key, bounded in number.
#[derive(Debug)]
pub(crate) struct KeyOffsets {
    seeds: (RandomState, RandomState),
    offsets: HashMap<(u64, u64), i64>,
    capacity: usize,
    latest_offset: i64,
}

impl KeyOffsets {
    /// Room for the keys that fit into `bytes`, filled to `load_factor` of them.
    pub(crate) fn new(bytes: usize, load_factor: f64) -> Self {
        let capacity = (bytes / BYTES_PER_KEY) as f64 * load_factor.clamp(0.01, 1.0);
        Self {
            seeds: (RandomState::new(), RandomState::new()),
            offsets: HashMap::new(),
            capacity: (capacity as usize).max(1),
            latest_offset: -1,
        }
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        (self.seeds.0.hash_one(key), self.seeds.1.hash_one(key))
    }

    /// Whether `more` keys still find room.
    pub(crate) fn has_room_for(&self, more: usize) -> bool {
        self.offsets.len().saturating_add(more) <= self.capacity
    }

    /// Notes that `key` has a value at `offset`.
    pub(crate) fn put(&mut self, key: &[u8], offset: i64) {
        self.offsets.insert(self.hash(key), offset);
    }

    /// Notes that everything up to `offset` has been seen.
    pub(crate) fn seen_to(&mut self, offset: i64) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// The last offset that was seen.
    pub(crate) fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// Whether no later record with this key was seen.
    pub(crate) fn is_last(&self, key: &[u8], offset: i64) -> bool {
        offset > self.latest_offset
            || self.offsets.get(&self.hash(key)).is_none_or(|last| offset >= *last)
    }

    /// Used part of the room, in percent.
    pub(crate) fn utilization_percent(&self) -> f64 {
        self.offsets.len() as f64 * 100.0 / self.capacity as f64
    }
}
