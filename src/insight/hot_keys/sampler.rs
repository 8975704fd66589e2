//! Looks at keys of a batch while it is checked, and counts them once it is in the log.

use pharos_protocol::batch::KeySink;
use smallvec::SmallVec;

use super::budget::Stream;
use super::place::Taken;
use super::topic::{Standing, TopicKeys};
use super::window::{self, Seen};

/// Keys of one batch that are looked at, at most.
const MAX_KEYS_OF_BATCH: u64 = 4096;
/// Steps of SplitMix64.
pub(super) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Looks at the keys of one batch: of each stretch of records that is a stride long at one, at random.
#[derive(Debug)]
pub struct KeySampler<'a> {
    topic: &'a TopicKeys,
    partition: i32,
    standing: Standing<'a>,
    stride: u32,
    /// Looks that were taken from the budget for this batch and not made.
    looks: u32,
    /// Where the stretch begins, and the record of it that is looked at; negative for none.
    stretch: i32,
    next: i32,
    dice: u64,
    seen: SmallVec<[Seen; 8]>,
    taken: Taken,
}

impl<'a> KeySampler<'a> {
    pub(super) fn new(topic: &'a TopicKeys, partition: i32) -> Self {
        Self {
            topic,
            partition,
            standing: topic.standing(partition),
            stride: 1,
            looks: 0,
            stretch: 0,
            next: -1,
            dice: 0,
            seen: SmallVec::new(),
            taken: Taken::default(),
        }
    }

    /// The batch is in the log, with so many records.
    pub fn count(mut self, records: u64) {
        let taken = Taken { records, ..self.taken };
        match self.standing {
            Standing::Watched(place) => {
                place.note(taken, self.topic.budget());
                if !self.seen.is_empty() {
                    self.topic.add(self.partition, &self.seen);
                }
            }
            Standing::MayBegin | Standing::Unwatched => {
                self.topic.begin(self.partition, taken, &self.seen);
            }
        }
        self.give_back();
    }

    fn give_back(&mut self) {
        if self.looks > 0 {
            self.topic.budget().give_back(std::mem::take(&mut self.looks), self.stride);
        }
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
        self.dice = self.dice.wrapping_add(GOLDEN);
        let mixed = (self.dice ^ (self.dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let product = u128::from(mixed ^ (mixed >> 31)) * u128::from(limit);
        u32::try_from(product >> 64).unwrap_or(0)
    }

    /// One record in how many is looked at of a batch of so many, and a seed for its dice.
    fn closeness(&self, coming: u64) -> Option<(u32, u64)> {
        let budget = self.topic.budget();
        let (stride, seed) = match self.standing {
            Standing::Watched(place) => (place.stride(coming, budget), place.seed()),
            Standing::MayBegin => {
                let stride = budget.stride(Stream { coming, before: 0 });
                (stride, self.topic.seed(self.partition))
            }
            Standing::Unwatched => return None,
        };
        let least = u32::try_from(coming / MAX_KEYS_OF_BATCH + 1).unwrap_or(u32::MAX);
        Some((stride.max(least), seed))
    }
}

impl KeySink for KeySampler<'_> {
    fn begin(&mut self, records: i32) {
        self.give_back();
        (self.stretch, self.next) = (0, -1);
        let Ok(coming @ 1..) = u32::try_from(records) else { return };
        let Some((stride, seed)) = self.closeness(coming.into()) else { return };
        (self.stride, self.dice) = (stride, seed);
        self.taken.coarsest = self.taken.coarsest.max(stride);
        let variance = window::variance(coming.into(), stride);
        self.taken.variance = self.taken.variance.saturating_add(variance);
        self.choose(stride);
        // A look beyond the last record is none.
        let looks = coming.div_ceil(stride);
        if self.next >= records || !self.topic.budget().take(looks, stride) {
            self.next = -1;
            return;
        }
        self.looks = looks;
    }

    fn next(&self) -> i32 {
        self.next
    }

    fn key(&mut self, key: Option<&[u8]>) {
        let stride = self.stride;
        self.looks = self.looks.saturating_sub(1);
        if let Some(key) = key {
            let name = self.topic.namer().name(self.topic.name(), key);
            self.seen.push(Seen { name, weight: stride });
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

impl Drop for KeySampler<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::budget::{Budget, LOOKS_A_SECOND};
    use super::super::name::Namer;
    use super::super::window::Window;
    use super::*;

    fn topic() -> TopicKeys {
        with_seed(7)
    }

    fn with_seed(seed: u64) -> TopicKeys {
        TopicKeys::new("t".into(), Arc::new(Namer::new("s")), Arc::default(), seed)
    }

    /// Shows a batch of `records` that claims `claimed`, as the walk does.
    fn walk(sampler: &mut KeySampler<'_>, claimed: i32, records: i32) -> Vec<i32> {
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

    fn look<R>(topic: &TopicKeys, see: impl FnOnce(&Window) -> R) -> R {
        topic.tick(&mut Vec::new());
        topic.look(0, see).unwrap()
    }

    #[test]
    fn every_record_is_looked_at_when_there_is_time() {
        let topic = topic();
        let mut sampler = KeySampler::new(&topic, 0);
        assert_eq!(walk(&mut sampler, 5, 5), [0, 1, 2, 3, 4]);
        sampler.count(5);
        assert_eq!(topic.budget().spent(), 5);
        assert_eq!(look(&topic, |it| (it.records(), it.noise())), (5, 0.0));
    }

    #[test]
    fn one_of_each_stretch_is_looked_at_and_each_as_often_as_the_others() {
        let mut hits = [0u32; 10];
        for seed in 0..20_000 {
            let topic = with_seed(seed);
            // With thirty looks left five of ten records are looked at.
            assert!(topic.budget().take(LOOKS_A_SECOND - 30, 1));
            let mut sampler = KeySampler::new(&topic, 0);
            let looked_at = walk(&mut sampler, 10, 10);
            assert!(looked_at.iter().enumerate().all(|(n, at)| *at / 2 == n as i32));
            assert_eq!(looked_at.len(), 5);
            looked_at.into_iter().for_each(|at| hits[at as usize] += 1);
        }
        // 10,000 each, with a deviation of 71.
        assert!(hits.iter().all(|hits| hits.abs_diff(10_000) < 500), "{hits:?}");
    }

    #[test]
    fn what_was_not_looked_at_is_given_back() {
        let topic = topic();
        // A batch that has less than it claims, one that claims nothing, and one that never comes.
        let mut sampler = KeySampler::new(&topic, 0);
        assert_eq!(walk(&mut sampler, 100, 3), [0, 1, 2]);
        assert_eq!(topic.budget().spent(), 100);
        assert!(walk(&mut sampler, -1, 3).is_empty() && walk(&mut sampler, 0, 3).is_empty());
        assert_eq!(topic.budget().spent(), 3);
        sampler.begin(100);
        drop(sampler);
        assert_eq!(topic.budget().spent(), 3);
        assert!(topic.partitions().is_empty());
    }

    #[test]
    fn a_batch_that_lies_about_its_records_costs_no_memory_and_no_looks_of_others() {
        let topic = topic();
        for claimed in [i32::MAX, 10_000_000, 100_000] {
            let mut sampler = KeySampler::new(&topic, 0);
            assert!(walk(&mut sampler, claimed, 100_000).len() <= 4096);
            assert!(topic.budget().spent() <= LOOKS_A_SECOND / 2);
        }
        let mut sampler = KeySampler::new(&topic, 0);
        sampler.begin(i32::MIN);
        assert_eq!(sampler.next(), -1);
    }

    #[test]
    fn without_a_look_left_nobody_looks_and_records_count() {
        let topic = topic();
        let budget: &Budget = topic.budget();
        assert!(budget.take(LOOKS_A_SECOND, 1));
        let mut sampler = KeySampler::new(&topic, 0);
        assert!(walk(&mut sampler, 10_000, 10_000).is_empty());
        sampler.count(10_000);
        assert_eq!(look(&topic, Window::records), 10_000);
        // And it is told that nothing is known.
        assert!(look(&topic, Window::noise) > 10_000.0);
    }

    #[test]
    fn records_without_a_key_count_as_records() {
        let topic = topic();
        let mut sampler = KeySampler::new(&topic, 0);
        sampler.begin(300);
        for key in [Some(&b""[..]), None, None].into_iter().cycle().take(300) {
            sampler.key(key);
        }
        sampler.count(300);
        let hot = look(&topic, Window::hot);
        assert_eq!(hot.len(), 1);
        assert_eq!((hot[0].0, hot[0].1.count), (Namer::new("s").name("t", b""), 100));
        assert_eq!(look(&topic, Window::records), 300);
    }
}
