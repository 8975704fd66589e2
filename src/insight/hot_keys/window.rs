//! The keys of one partition over the last five minutes: counters of the minute that goes on, and of
//! the four before it the keys that had most.
//!
//! A minute that is over keeps how much a key that it does not list may have had at most, so what is
//! told of a key stays an upper bound with a known error.

use super::KeyName;
use super::counters::{Counted, Counters};
use super::place::Taken;

/// Minutes that are over and still count.
pub(super) const CLOSED: usize = 4;
/// Keys that such a minute keeps.
const KEPT: usize = 10;
/// A key at or above this part of the partition's records is hot: one in a hundred.
const HOT_ONE_IN: u64 = 100;
/// Fewer records than these say nothing of a hundredth.
pub(super) const LEAST_RECORDS: u64 = 100;
/// ln(10^9): the noise of sampling is larger than [`Window::noise`] once in a billion.
const CONFIDENCE: f64 = 20.723;

/// A key that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: KeyName,
    /// Records that it stands for: one in so many was looked at.
    pub(super) weight: u32,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Most records that it may have had.
    pub(super) count: u64,
    /// How many fewer it may have had.
    pub(super) error: u64,
}

/// How much was counted, and how.
#[derive(Clone, Copy, Debug, Default)]
struct Volume {
    records: u64,
    /// Variance of what sampling makes of a key's count, at most.
    variance: f64,
    /// Largest stride.
    stride: u32,
    /// Records of which none had a chance.
    unseen: u32,
}

#[derive(Clone, Debug, Default)]
struct Minute {
    volume: Volume,
    /// Most that a key may have had that is not listed.
    bound: u32,
    kept: [Counted; KEPT],
}

impl Minute {
    fn get(&self, name: KeyName) -> Option<Counted> {
        self.listed().find(|it| it.name == name)
    }

    fn listed(&self) -> impl Iterator<Item = Counted> {
        self.kept.iter().copied().filter(|it| it.count > 0)
    }
}

/// The last five minutes of a partition, the oldest of which goes whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    volume: Volume,
    counters: Counters,
    closed: [Minute; CLOSED],
}

impl Window {
    /// Counts keys that were looked at.
    pub(super) fn add(&mut self, seen: &[Seen]) {
        for Seen { name, weight } in seen {
            self.counters.add(*name, *weight);
        }
    }

    /// Counts what came, whether it was looked at or not.
    #[expect(clippy::cast_precision_loss, reason = "a bound")]
    pub(super) fn note(&mut self, taken: Taken) {
        let volume = &mut self.volume;
        volume.records = volume.records.saturating_add(taken.records);
        volume.variance += taken.passed.variance as f64;
        volume.stride = volume.stride.max(taken.passed.coarsest);
        volume.unseen = volume.unseen.saturating_add(taken.passed.unseen);
    }

    /// A minute is over.
    pub(super) fn turn(&mut self) {
        let mut all: Vec<_> = self.counters.iter().collect();
        all.sort_unstable_by_key(|it| std::cmp::Reverse(it.count));
        let dropped = all.get(KEPT).map_or(0, |it| it.count);
        let mut over = Minute {
            volume: std::mem::take(&mut self.volume),
            bound: dropped.max(self.counters.bound()),
            ..Minute::default()
        };
        over.kept.iter_mut().zip(all).for_each(|(place, it)| *place = it);
        self.counters = Counters::default();
        self.closed.rotate_right(1);
        if let Some(oldest) = self.closed.first_mut() {
            *oldest = over;
        }
    }

    /// Records counted.
    pub(super) fn records(&self) -> u64 {
        self.volumes().map(|volume| volume.records).sum()
    }

    /// What is known of a key.
    pub(super) fn estimate(&self, name: KeyName) -> Estimate {
        let now = (self.counters.get(name), self.counters.bound());
        let before = self.closed.iter().map(|minute| (minute.get(name), minute.bound));
        let parts = before.chain([now]).map(|(it, bound)| match it {
            Some(it) => (it.count, it.error),
            None => (bound, bound),
        });
        parts.fold(Estimate { count: 0, error: 0 }, |sum, (count, error)| Estimate {
            count: sum.count + u64::from(count),
            error: sum.error + u64::from(error),
        })
    }

    /// Every key that may have had a hundredth of the records, of [`LEAST_RECORDS`] at least: those
    /// that surely had most first.
    pub(super) fn hot(&self) -> Vec<(KeyName, Estimate)> {
        let records = self.records();
        if records < LEAST_RECORDS {
            return Vec::new();
        }
        let is_hot = |count: u64| count.saturating_mul(HOT_ONE_IN) >= records;
        let elsewhere: u64 = self.closed.iter().map(|minute| u64::from(minute.bound)).sum();
        let now = self.counters.iter().filter(|it| is_hot(u64::from(it.count) + elsewhere));
        let before = self.closed.iter().flat_map(Minute::listed);
        let mut names: Vec<_> = now.chain(before).map(|it| it.name).collect();
        names.sort_unstable();
        names.dedup();
        let estimates = names.into_iter().map(|name| (name, self.estimate(name)));
        let mut hot: Vec<_> = estimates.filter(|(_, it)| is_hot(it.count)).collect();
        hot.sort_by_key(|(_, it)| std::cmp::Reverse((it.count - it.error, it.count)));
        hot
    }

    /// By how many records the count of a key may be off because not every record was looked at;
    /// more once in a billion (Bernstein's inequality). 0 when every record was.
    pub(super) fn noise(&self) -> f64 {
        let variance: f64 = self.volumes().map(|volume| volume.variance).sum();
        let stride = self.volumes().map(|volume| volume.stride).max().unwrap_or(0);
        let linear = f64::from(stride) * CONFIDENCE / 3.0;
        let unseen: f64 = self.volumes().map(|volume| f64::from(volume.unseen)).sum();
        unseen + linear + (linear * linear + 2.0 * variance * CONFIDENCE).sqrt()
    }

    fn volumes(&self) -> impl Iterator<Item = Volume> {
        self.closed.iter().map(|minute| minute.volume).chain([self.volume])
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::Passed;
    use std::collections::{HashMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// What one record, at random, of each `stride` of a batch, counted `stride` times, varies by for any
    /// key at most: in a whole stretch by a quarter of its square, in the rest of a batch, of which no
    /// record may be taken, by the stride for each record.
    fn variance(records: u64, stride: u32) -> u64 {
        if stride <= 1 {
            return 0;
        }
        let stride = u64::from(stride);
        let (whole, rest) = (records / stride, records % stride);
        whole.saturating_mul(stride * stride).div_ceil(4).saturating_add(rest * stride)
    }

    fn whole(window: &mut Window, names: &[KeyName]) {
        add(window, names.len() as u64, 1, names);
    }

    fn add(window: &mut Window, records: u64, stride: u32, names: &[KeyName]) {
        let seen = |name: &KeyName| Seen { name: *name, weight: stride };
        window.add(&names.iter().map(seen).collect::<Vec<_>>());
        let variance = variance(records, stride);
        let coarsest = if stride > 1 { stride } else { 0 };
        window.note(Taken { records, passed: Passed { variance, coarsest, unseen: 0 } });
    }

    #[test]
    fn five_minutes_count_and_no_more() {
        let mut window = Window::default();
        for minute in 0..20 {
            whole(&mut window, &[[minute, 1000, 1000, 1000]; 25].concat());
            let counted = (minute + 1).min(5);
            assert_eq!(window.records(), 100 * counted);
            assert_eq!(window.estimate(1000), Estimate { count: 75 * counted, error: 0 });
            assert_eq!(window.hot().first().unwrap().0, 1000);
            let gone = minute.checked_sub(5).map(|name| window.estimate(name).count);
            assert!(gone.is_none_or(|count| count == 0));
            assert_eq!(window.noise(), 0.0);
            window.turn();
        }
        (0..5).for_each(|_| window.turn());
        assert_eq!((window.records(), window.hot()), (0, Vec::new()));
    }

    proptest! {
        /// Whatever comes and however it changes from minute to minute: a key at one percent is
        /// found, and what is told of every key found is true.
        #[test]
        fn what_is_told_is_true_for_any_stream(
            minutes in prop::collection::vec(
                (prop::collection::vec(0..300u64, 0..600), 0..300u64, 2..60usize),
                1..9,
            ),
        ) {
            let mut window = Window::default();
            let mut last: VecDeque<Vec<KeyName>> = VecDeque::new();
            for (mut names, hot, every) in minutes {
                names.iter_mut().step_by(every).for_each(|name| *name = hot);
                whole(&mut window, &names);
                last.push_front(names);
                last.truncate(CLOSED + 1);
                let mut truth: HashMap<KeyName, u64> = HashMap::new();
                last.iter().flatten().for_each(|name| *truth.entry(*name).or_default() += 1);
                let records: u64 = truth.values().sum();
                prop_assert_eq!(window.records(), records);
                let found: HashMap<_, _> = window.hot().into_iter().collect();
                for (name, it) in &found {
                    let had = truth.get(name).copied().unwrap_or(0);
                    prop_assert!(it.count >= had && it.count - it.error <= had, "{it:?} had {had}");
                }
                // In a stream whose hot keys are not the same from minute to minute a key may be
                // listed nowhere; it had no more than a key could have that is listed nowhere.
                let most = window.estimate(KeyName::MAX).count;
                let told = records >= LEAST_RECORDS;
                for (name, had) in truth.iter().filter(|(_, had)| told && **had * 100 >= records) {
                    prop_assert!(found.contains_key(name) || *had <= most, "{name} had {had}");
                }
                window.turn();
            }
        }
    }

    /// What a node that looks at one record in `stride` finds, against the truth.
    #[test]
    fn the_noise_of_sampling_is_told() {
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = move |limit: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            (dice >> 11) % limit
        };
        for (records, stride) in [(200_000, 2), (200_000, 16), (500_000, 100), (1000, 50)] {
            let mut window = Window::default();
            // 30 % of the records have key 1, the rest each one of its own.
            let key = |n: u64| if n % 10 < 3 { 1 } else { n + 100 };
            let truth = (0..records).filter(|n| key(*n) == 1).count() as f64;
            for batch in 0..records / 100 {
                let taken = (0..100u64.div_ceil(stride)).map(|at| at * stride + below(stride));
                let names: Vec<_> =
                    taken.filter(|at| *at < 100).map(|at| key(batch * 100 + at)).collect();
                add(&mut window, 100, stride as u32, &names);
            }
            let found = window.estimate(1);
            let (most, noise) = (found.count as f64, window.noise());
            assert!(noise > 0.0 && most + noise >= truth, "{most} and {noise} of {truth}");
            let least = most - found.error as f64;
            assert!(least - noise <= truth, "{least} and {noise} of {truth}");
            if records >= 200_000 * stride / 16 {
                assert!(noise / records as f64 <= 0.05, "{noise} of {records} at {stride}");
            }
        }
    }
}
