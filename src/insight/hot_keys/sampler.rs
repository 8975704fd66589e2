//! Looks at keys of a batch while it is checked, and counts them once it is in the log.

use pharos_protocol::batch::KeySink;
use smallvec::SmallVec;

use super::place::{Looks, Passed, Place};
use super::topic::TopicKeys;
use super::window::Seen;

/// Looks at keys of one batch: those that the place of its partition in the topic asks for.
#[derive(Debug)]
pub struct KeySampler<'a> {
    topic: &'a TopicKeys,
    partition: i32,
    /// None before the first batch, and when the partition is not watched.
    place: Option<&'a Place>,
    /// Records that the place takes to be on their way, and what they passed.
    claimed: u64,
    passed: Passed,
    looks: Looks,
    /// Looks that were made.
    made: usize,
    seen: SmallVec<[Seen; 4]>,
}

impl<'a> KeySampler<'a> {
    pub(super) fn new(topic: &'a TopicKeys, partition: i32) -> Self {
        Self {
            topic,
            partition,
            place: None,
            claimed: 0,
            passed: Passed::default(),
            looks: Looks::new(),
            made: 0,
            seen: SmallVec::new(),
        }
    }

    /// The batch is in the log, with so many records.
    pub fn count(&mut self, records: u64) {
        match self.place {
            Some(place) => place.count(records, std::mem::take(&mut self.passed)),
            None => self.topic.compete(self.partition, records),
        }
        self.claimed = self.claimed.saturating_sub(records);
        if !self.seen.is_empty() {
            self.topic.add(self.partition, &self.seen);
            self.seen.clear();
        }
    }

    /// Gives looks back that were not made.
    fn give_back(&mut self) {
        for look in self.looks.drain(..).skip(std::mem::take(&mut self.made)) {
            self.topic.budget().give_back(look.weight);
        }
    }
}

impl KeySink for KeySampler<'_> {
    fn begin(&mut self, records: i32) {
        self.give_back();
        self.place = self.place.or_else(|| self.topic.take_place(self.partition));
        let (Some(place), Ok(coming)) = (self.place, u32::try_from(records)) else { return };
        self.claimed = self.claimed.saturating_add(coming.into());
        self.passed.add(place.claim(coming, self.topic.budget(), &mut self.looks));
    }

    fn next(&self) -> i32 {
        self.looks.get(self.made).map_or(-1, |look| look.index)
    }

    fn key(&mut self, key: Option<&[u8]>) {
        let Some(look) = self.looks.get(self.made) else { return };
        self.made += 1;
        if let Some(key) = key {
            let name = self.topic.namer().name(self.topic.name(), key);
            self.seen.push(Seen { name, weight: look.weight });
        }
    }
}

impl Drop for KeySampler<'_> {
    fn drop(&mut self) {
        self.give_back();
        if let (Some(place), 1..) = (self.place, self.claimed) {
            place.take_back(self.claimed);
        }
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

    fn spend(budget: &Budget, looks: u32) {
        (0..looks).for_each(|_| assert!(budget.take(1)));
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
            spend(topic.budget(), LOOKS_A_SECOND - 30);
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
        assert_eq!(look(&topic, |it| (it.records(), it.hot())), (0, Vec::new()));
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
        spend(budget, LOOKS_A_SECOND);
        let mut sampler = KeySampler::new(&topic, 0);
        assert!(walk(&mut sampler, 10_000, 10_000).is_empty());
        sampler.count(10_000);
        assert_eq!(look(&topic, Window::records), 10_000);
        // And it is told that nothing is known.
        assert_eq!(look(&topic, Window::noise), 10_000.0);
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
