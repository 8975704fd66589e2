//! Loads of whole seconds against the truth, with seeded dice: whether shares are right and looks
//! stay few, whoever competes for them.

use std::collections::HashMap;
use std::sync::Arc;

use pharos_protocol::batch::KeySink;
use proptest::prelude::*;

use super::KeyName;
use super::budget::{Budget, LOOKS_A_SECOND};
use super::name::Namer;
use super::sampler::KeySampler;
use super::topic::TopicKeys;

/// SplitMix64.
#[derive(Clone, Copy)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A node with a topic that is watched, and what really came to each partition.
struct Node {
    budget: Arc<Budget>,
    topics: Vec<TopicKeys>,
    dice: Dice,
    truth: HashMap<i32, Truth>,
    looks: u32,
    /// Looks of each second that is over.
    spent: Vec<u32>,
}

/// What a partition was sent: how often the keys below [`ONCE`], and how many records.
#[derive(Default)]
struct Truth {
    keys: HashMap<u64, u64>,
    records: u64,
}

/// Keys from here on come once, each.
const ONCE: u64 = 1 << 20;

/// Partitions of a topic, all of which find a place.
const EACH: i32 = 24;

impl Node {
    fn new(seed: u64, partitions: i32) -> Self {
        let budget = Arc::new(Budget::default());
        let mut dice = Dice(seed);
        let namer = Arc::new(Namer::new("secret"));
        let mut topic = |_| TopicKeys::new("t".into(), namer.clone(), budget.clone(), dice.next());
        let topics = (0..=partitions / EACH).map(&mut topic).collect();
        Self { budget, topics, dice, truth: HashMap::new(), looks: 0, spent: Vec::new() }
    }

    /// A batch of these keys, each of which came.
    fn produce(&mut self, partition: i32, keys: &[u64]) {
        let topic = &self.topics[(partition / EACH) as usize];
        let mut sampler = KeySampler::new(topic, partition % EACH);
        sampler.begin(keys.len() as i32);
        while let Some(key) = usize::try_from(sampler.next()).ok().and_then(|at| keys.get(at)) {
            sampler.key(Some(&key.to_be_bytes()));
            self.looks += 1;
        }
        sampler.count(keys.len() as u64);
        let truth = self.truth.entry(partition).or_default();
        truth.records += keys.len() as u64;
        for key in keys.iter().filter(|key| **key < ONCE) {
            *truth.keys.entry(*key).or_default() += 1;
        }
    }

    fn tick(&mut self) {
        let mut expected = Vec::new();
        self.spent.push(std::mem::take(&mut self.looks));
        self.budget.tick();
        self.topics.iter().for_each(|topic| topic.tick(&mut expected));
        let share = self.budget.share(expected);
        self.topics.iter().for_each(|topic| topic.share(share));
        if self.spent.len().is_multiple_of(60) {
            self.topics.iter().for_each(|topic| drop(topic.turn()));
        }
    }

    /// Every key of a partition that has a hundredth and a half is found, and each that is found is
    /// told within two points and within what is told of the error. Returns the largest difference.
    fn check(&self, partition: i32, what: &str) -> f64 {
        let topic = &self.topics[(partition / EACH) as usize];
        let truth = &self.truth[&partition];
        let records = truth.records;
        let names: HashMap<KeyName, u64> = truth
            .keys
            .iter()
            .map(|(key, had)| (topic.namer().name("t", &key.to_be_bytes()), *had))
            .collect();
        let (found, counted, noise) = topic
            .look(partition % EACH, |it| (it.hot(), it.records(), it.noise()))
            .unwrap_or_else(|| panic!("{what}: {partition} is not watched"));
        assert_eq!(counted, records, "{what}: records of {partition}");
        let mut worst: f64 = 0.0;
        for (name, it) in &found {
            let had = names.get(name).copied().unwrap_or(0) as f64;
            let (most, error) = (it.count as f64, it.error as f64 + noise);
            assert!(
                most + noise >= had && most - error <= had,
                "{what}: {it:?} and {noise} of {had} in {partition}",
            );
            worst = worst.max((most - had).abs() / records as f64);
        }
        assert!(worst <= 0.02, "{what}: off by {worst} in {partition}, {found:?}");
        for (name, had) in names {
            let is_found = found.iter().any(|(found, _)| *found == name);
            assert!(is_found || had * 200 < records * 3, "{what}: {had} in {partition}");
        }
        worst
    }

    /// No second has had more looks than a second may have.
    fn was_cheap(&self, what: &str) {
        let most = self.spent.iter().max().copied().unwrap_or(0);
        assert!(most <= LOOKS_A_SECOND, "{what}: {:?}", self.spent);
    }
}

/// 30 % have key 1, 5 % key 2, 2 % key 3, the rest each one of its own.
fn skewed(dice: &mut Dice) -> u64 {
    match dice.below(100) {
        0..30 => 1,
        30..35 => 2,
        35..37 => 3,
        _ => once(dice),
    }
}

fn once(dice: &mut Dice) -> u64 {
    dice.next() | ONCE
}

/// Keys of a batch of so many.
fn keys(dice: &mut Dice, records: usize, mut key: impl FnMut(&mut Dice) -> u64) -> Vec<u64> {
    (0..records).map(|_| key(dice)).collect()
}

#[test]
fn skewed_keys_are_right_after_five_seconds_of_any_speed_and_any_batch() {
    for (seed, (records, batch)) in
        (0..).zip([(300_000, 1000), (400_000, 80_000), (100_000, 1), (30_000, 15), (500, 7)])
    {
        let what = format!("{records} records a second by {batch}, seed {seed}");
        let mut node = Node::new(seed, 1);
        let mut dice = node.dice;
        for _ in 0..5 {
            for _ in 0..records / batch {
                let keys = keys(&mut dice, batch, skewed);
                node.produce(0, &keys);
            }
            node.tick();
        }
        node.check(0, &what);
        node.was_cheap(&what);
        if records >= 30_000 {
            // What is there is used, too.
            assert!(node.spent.iter().all(|spent| *spent > 6000), "{what}: {:?}", node.spent);
        }
    }
}

#[test]
fn keys_that_are_alike_are_not_told_to_be_hot() {
    for (seed, distinct) in [(10, 50), (11, 104), (12, 1000), (13, 500_000)] {
        let what = format!("{distinct} keys, seed {seed}");
        let mut node = Node::new(seed, 1);
        let mut dice = node.dice;
        for _ in 0..5 {
            for _ in 0..250 {
                let keys = keys(&mut dice, 400, |dice| dice.below(distinct));
                node.produce(0, &keys);
            }
            node.tick();
        }
        node.check(0, &what);
        node.was_cheap(&what);
    }
}

#[test]
fn who_is_quiet_beside_the_busy_is_told_as_surely() {
    for seed in 20..22 {
        let what = format!("seed {seed}");
        let mut node = Node::new(seed, 101);
        let mut dice = node.dice;
        let hot: Vec<_> = (0..EACH as u64).collect();
        for _ in 0..20 {
            // 100 partitions of some 20 records a second, in between 100,000 for one.
            for at in 0..500 {
                let busy = keys(&mut dice, 200, skewed);
                node.produce(0, &busy);
                for _ in 0..4 {
                    let quiet = 1 + (at * 4 + dice.below(4) as i32) % 100;
                    let few = keys(&mut dice, 1, |dice| match dice.below(10) {
                        0..4 => hot[(quiet % EACH) as usize],
                        _ => once(dice),
                    });
                    node.produce(quiet, &few);
                }
            }
            node.tick();
        }
        (0..=100).for_each(|partition| {
            node.check(partition, &what);
        });
        node.was_cheap(&what);
    }
}

#[test]
fn a_burst_counts_for_what_it_was() {
    for seed in 30..32 {
        let what = format!("seed {seed}");
        let mut node = Node::new(seed, 10);
        let mut dice = node.dice;
        for second in 0..40 {
            // Each has a trickle of keys of its own, and in one second of twenty two hundred times as
            // much, two thirds of it one key that comes at no other time.
            for partition in 0..10 {
                for part in 0..50 {
                    let bursts = second % 20 == 7 + partition && part >= 25;
                    let records = if bursts { 1600 } else { 4 };
                    let batch = keys(&mut dice, records, |dice| match dice.below(3) {
                        0..2 if bursts => 77,
                        _ => skewed(dice),
                    });
                    node.produce(partition, &batch);
                }
            }
            node.tick();
        }
        (0..10).for_each(|partition| {
            node.check(partition, &what);
        });
        node.was_cheap(&what);
    }
}

#[test]
fn many_partitions_share_what_there_is() {
    for (seed, partitions) in [(40, 8), (41, 30)] {
        let what = format!("{partitions} partitions, seed {seed}");
        let mut node = Node::new(seed, partitions);
        let mut dice = node.dice;
        for _ in 0..60 {
            for _ in 0..10 {
                for partition in 0..partitions {
                    // The higher, the busier, by 1 to 4.
                    let records = (200 + 600 * partition / partitions) as usize;
                    let batch = keys(&mut dice, records, skewed);
                    node.produce(partition, &batch);
                }
            }
            node.tick();
        }
        (0..partitions).for_each(|partition| {
            node.check(partition, &what);
        });
        node.was_cheap(&what);
    }
}

#[test]
fn records_are_looked_at_alike_whatever_batches_they_come_in() {
    // Half of the records come one by one, half of them by 2,000, and each half has a key of its own;
    // the second half of the second comes when little is left. In the mean of many seconds both
    // have what they had.
    const SECONDS: u64 = 100;
    let mut mean = [0.0; 2];
    let mut squares = [0.0; 2];
    for seed in 0..SECONDS {
        let mut node = Node::new(1000 + seed, 1);
        for _ in 0..10 {
            node.produce(0, &[2; 2000]);
            (0..2000).for_each(|_| node.produce(0, &[1]));
        }
        node.tick();
        for (at, key) in [1u64, 2].into_iter().enumerate() {
            let name = node.topics[0].namer().name("t", &key.to_be_bytes());
            let told = node.topics[0].look(0, |it| it.estimate(name).count).unwrap() as f64;
            mean[at] += told / 20_000.0 / SECONDS as f64;
            squares[at] += (told / 20_000.0 - 1.0).powi(2) / SECONDS as f64;
        }
        node.was_cheap("one by one");
    }
    for (mean, square) in mean.into_iter().zip(squares) {
        // Five times its own deviation.
        let deviation = (square / SECONDS as f64).sqrt();
        assert!((mean - 1.0).abs() <= 5.0 * deviation, "{mean} with {deviation}");
        assert!(deviation < 0.01, "{deviation}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever comes: no second has more looks than it may have, and every record is counted.
    #[test]
    fn no_load_costs_more_than_the_budget(
        seconds in prop::collection::vec(
            prop::collection::vec((0..60i32, 1..20_000usize, 1..10usize), 0..12),
            1..6,
        ),
        seed in any::<u64>(),
    ) {
        let mut node = Node::new(seed, 60);
        let mut records = 0;
        for loads in seconds {
            for (partition, batch, times) in loads {
                let batch = vec![u64::from(partition.unsigned_abs()); batch];
                for _ in 0..times {
                    node.produce(partition, &batch);
                    records += batch.len() as u64;
                }
            }
            node.tick();
        }
        node.was_cheap("any");
        let counted = |partition: i32| {
            let topic = &node.topics[(partition / EACH) as usize];
            topic.look(partition % EACH, |it| it.records()).unwrap_or(0)
        };
        prop_assert_eq!((0..60).map(counted).sum::<u64>(), records);
    }
}
