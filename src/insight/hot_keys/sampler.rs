//! Looks at keys of a batch while it is checked, and counts them once it is in the log.

use std::sync::Arc;

use pharos_protocol::batch::KeySink;
use smallvec::SmallVec;

use super::KeyName;
use super::topic::TopicKeys;
use super::window::Sample;

/// Keys of one batch that are looked at, at most.
const MAX_KEYS_OF_BATCH: u32 = 4096;

/// Looks at the keys of one batch: of each stretch of records that is a stride long at one, at random.
#[derive(Debug)]
pub struct KeySampler {
    topic: Arc<TopicKeys>,
    partition: i32,
    /// `None`: nobody watches the partition.
    stride: Option<u32>,
    /// Where the stretch begins, and the record of it that is looked at.
    stretch: i32,
    next: i32,
    dice: u64,
    seen: SmallVec<[KeyName; 16]>,
}

impl KeySampler {
    pub(super) fn new(topic: Arc<TopicKeys>, partition: i32) -> Self {
        let stride = topic.stride(partition);
        let dice = if stride == Some(1) { 0 } else { rand::random() };
        Self { topic, partition, stride, stretch: 0, next: -1, dice, seen: SmallVec::new() }
    }

    /// The batch is in the log, with so many records.
    pub fn count(self, records: u64) {
        let names = self.seen.as_slice();
        let sample = self.stride.map(|stride| Sample { records, stride, names });
        self.topic.add(self.partition, records, sample);
    }

    fn choose(&mut self, stride: u32) {
        let chosen = self.stretch.checked_add_unsigned(self.below(stride));
        self.next = chosen.unwrap_or(-1);
    }

    /// A number below `limit`, at random (SplitMix64).
    fn below(&mut self, limit: u32) -> u32 {
        if limit <= 1 {
            return 0;
        }
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let product = u128::from(mixed ^ (mixed >> 31)) * u128::from(limit);
        u32::try_from(product >> 64).unwrap_or(0)
    }
}

impl KeySink for KeySampler {
    fn begin(&mut self, records: i32) {
        let Some(stride) = self.stride else { return };
        let least = u32::try_from(records).unwrap_or(0) / MAX_KEYS_OF_BATCH + 1;
        let stride = stride.max(least);
        if stride > 1 && self.dice == 0 {
            self.dice = rand::random();
        }
        self.stride = Some(stride);
        self.stretch = 0;
        self.choose(stride);
    }

    fn next(&self) -> i32 {
        self.next
    }

    fn key(&mut self, key: Option<&[u8]>) {
        let Some(stride) = self.stride else { return };
        if let Some(key) = key {
            self.seen.push(self.topic.namer().name(self.topic.name(), key));
        }
        match self.stretch.checked_add_unsigned(stride) {
            Some(stretch) => {
                self.stretch = stretch;
                self.choose(stride);
            }
            None => self.next = -1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::name::Namer;
    use super::super::window::Window;
    use super::*;

    fn topic() -> Arc<TopicKeys> {
        Arc::new(TopicKeys::new("t".into(), Arc::new(Namer::new("s")), 1000))
    }

    /// Shows a batch of `records` that claims `claimed`, as the walk does.
    fn walk(sampler: &mut KeySampler, claimed: i32, records: i32) -> Vec<i32> {
        sampler.begin(claimed);
        let mut looked_at = Vec::new();
        for index in 0..records {
            if sampler.next() == index {
                looked_at.push(index);
                sampler.key(Some(&index.to_be_bytes()));
            }
        }
        looked_at
    }

    #[test]
    fn every_record_is_looked_at_when_there_is_time() {
        let topic = topic();
        let mut sampler = KeySampler::new(topic.clone(), 0);
        assert_eq!(walk(&mut sampler, 5, 5), [0, 1, 2, 3, 4]);
        sampler.count(5);
        assert_eq!(topic.look(0, |it| (it.records(), it.noise())), Some((5, 0.0)));
    }

    #[test]
    fn one_of_each_stretch_is_looked_at_and_each_as_often_as_the_others() {
        let topic = topic();
        let mut hits = [0u32; 10];
        for _ in 0..20_000 {
            let mut sampler = KeySampler::new(topic.clone(), 0);
            sampler.stride = Some(4);
            let looked_at = walk(&mut sampler, 10, 10);
            assert!(looked_at.iter().enumerate().all(|(n, at)| *at / 4 == n as i32));
            looked_at.into_iter().for_each(|at| hits[at as usize] += 1);
        }
        // 5,000 each, with a deviation of 61.
        assert!(hits.iter().all(|hits| hits.abs_diff(5000) < 450), "{hits:?}");
    }

    #[test]
    fn a_batch_that_lies_about_its_records_costs_no_memory() {
        let mut sampler = KeySampler::new(topic(), 0);
        assert!(walk(&mut sampler, i32::MAX, 100_000).len() <= 1);
        let mut sampler = KeySampler::new(topic(), 0);
        assert!(walk(&mut sampler, 100_000, 100_000).len() <= 4096);
        for claimed in [-1, 0, i32::MIN] {
            let mut sampler = KeySampler::new(topic(), 0);
            assert_eq!(walk(&mut sampler, claimed, 3), [0, 1, 2]);
        }
    }

    #[test]
    fn records_without_a_key_count_as_records() {
        let topic = topic();
        let mut sampler = KeySampler::new(topic.clone(), 0);
        sampler.begin(300);
        for key in [Some(&b""[..]), None, None].into_iter().cycle().take(300) {
            sampler.key(key);
        }
        sampler.count(300);
        let hot = topic.look(0, Window::hot).unwrap();
        assert_eq!(hot.len(), 1);
        assert_eq!((hot[0].0, hot[0].1.count), (Namer::new("s").name("t", b""), 100));
        assert_eq!(topic.look(0, Window::records), Some(300));
    }
}
