//! Which partition a record goes to: Kafka's hash of the key, or one partition after the other.

use std::collections::HashMap;
use std::sync::Arc;

use super::config::Partitioning;

/// Kafka's 32-bit murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`), seed 0x9747b28c.
pub fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ len;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0u32, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

/// The partition of a key among `partitions`.
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX) % partitions.max(1)
}

/// Chooses partitions for records that name none.
pub(crate) struct Partitioner {
    partitioning: Partitioning,
    /// Bytes after which a record without key moves on to another partition.
    stick_bytes: usize,
    topics: HashMap<Arc<str>, Sticky>,
}

#[derive(Clone, Copy)]
struct Sticky {
    partition: i32,
    bytes: usize,
}

impl Partitioner {
    /// `stick_bytes` is batch.size.
    pub fn new(partitioning: Partitioning, stick_bytes: usize) -> Self {
        Self { partitioning, stick_bytes, topics: HashMap::new() }
    }

    /// The partition for a record of `bytes` among `partitions`, if possible one that has a leader.
    pub fn choose(
        &mut self,
        topic: &Arc<str>,
        key: Option<&[u8]>,
        bytes: usize,
        partitions: i32,
        has_leader: impl Fn(i32) -> bool,
    ) -> i32 {
        match (self.partitioning, key) {
            (Partitioning::Default, Some(key)) => partition_of(key, partitions),
            (Partitioning::RoundRobin, _) => self.next(topic, partitions, has_leader),
            _ => self.stick(topic, bytes, partitions, has_leader),
        }
    }

    fn next(&mut self, topic: &Arc<str>, partitions: i32, has_leader: impl Fn(i32) -> bool) -> i32 {
        let turn = self.entry(topic, || Sticky { partition: -1, bytes: 0 });
        turn.partition = turn.partition.wrapping_add(1) & i32::MAX;
        pick(turn.partition.unsigned_abs(), partitions, has_leader)
    }

    fn stick(
        &mut self,
        topic: &Arc<str>,
        bytes: usize,
        partitions: i32,
        has_leader: impl Fn(i32) -> bool,
    ) -> i32 {
        let limit = self.stick_bytes;
        let fresh =
            || Sticky { partition: pick(rand::random(), partitions, &has_leader), bytes: 0 };
        let sticky = self.entry(topic, fresh);
        // Where no partition has a leader, one is as good as another.
        if sticky.bytes >= limit.max(1) || !has_leader(sticky.partition) {
            *sticky = fresh();
        }
        sticky.bytes = sticky.bytes.saturating_add(bytes);
        sticky.partition
    }

    fn entry(&mut self, topic: &Arc<str>, fresh: impl FnOnce() -> Sticky) -> &mut Sticky {
        // The name is shared, so that to know a topic allocates nothing.
        self.topics.entry(topic.clone()).or_insert_with(fresh)
    }
}

fn pick(number: u32, partitions: i32, has_leader: impl Fn(i32) -> bool) -> i32 {
    let available: Vec<i32> = (0..partitions).filter(|index| has_leader(*index)).collect();
    if available.is_empty() {
        return i32::try_from(number % partitions.max(1).unsigned_abs()).unwrap_or(0);
    }
    available.get(number as usize % available.len()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_java() {
        // Pairs of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
        for (key, expected) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn records_without_key_stick_until_a_batch_is_full() {
        let mut partitioner = Partitioner::new(Partitioning::Default, 100);
        let mut choose = |bytes| partitioner.choose(&"t".into(), None, bytes, 8, |_| true);
        let first = choose(60);
        assert_eq!(choose(60), first);
        let moved = (0..200).map(|_| choose(100)).any(|next| next != first);
        assert!(moved);
    }

    #[test]
    fn round_robin_visits_all_and_unavailable_ones_are_avoided() {
        let mut partitioner = Partitioner::new(Partitioning::RoundRobin, 100);
        let chosen: Vec<_> =
            (0..4).map(|_| partitioner.choose(&"t".into(), Some(b"k"), 1, 3, |_| true)).collect();
        assert_eq!(chosen, [0, 1, 2, 0]);
        let mut sticky = Partitioner::new(Partitioning::IgnoreKeys, 1);
        for _ in 0..20 {
            assert_eq!(sticky.choose(&"t".into(), Some(b"k"), 1, 3, |index| index == 2), 2);
        }
    }
}
