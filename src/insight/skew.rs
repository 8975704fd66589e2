//! How unevenly leaders and replicas are spread over the brokers.

use std::collections::HashMap;

use pharos_base::BrokerId;
use pharos_metadata::image::PartitionRegistration;

/// What is spread, as the label `dimension` has it.
pub(crate) const DIMENSIONS: [&str; 2] = ["leaders", "replicas"];

/// Leaders and replicas by broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    leaders: HashMap<BrokerId, u64>,
    replicas: HashMap<BrokerId, u64>,
}

/// Who leads and who has a partition: what a spread counts of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    leader: BrokerId,
    replicas: Vec<BrokerId>,
}

impl Placed {
    pub(crate) fn of(partition: &PartitionRegistration) -> Self {
        Self { leader: partition.leader, replicas: partition.replicas.clone() }
    }
}

impl Spread {
    /// The spread of some partitions.
    pub(crate) fn of<'a>(partitions: impl Iterator<Item = &'a Placed>) -> Self {
        let mut spread = Self::default();
        partitions.for_each(|placed| spread.add(placed));
        spread
    }

    pub(crate) fn add(&mut self, placed: &Placed) {
        if placed.leader != BrokerId::NONE {
            *self.leaders.entry(placed.leader).or_default() += 1;
        }
        for replica in &placed.replicas {
            *self.replicas.entry(*replica).or_default() += 1;
        }
    }

    pub(crate) fn remove(&mut self, placed: &Placed) {
        let less = |counts: &mut HashMap<BrokerId, u64>, broker| {
            if let Some(count) = counts.get_mut(&broker) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&broker);
                }
            }
        };
        less(&mut self.leaders, placed.leader);
        for replica in &placed.replicas {
            less(&mut self.replicas, *replica);
        }
    }

    /// In the order of [`DIMENSIONS`]: what the largest of `brokers` registered brokers has, over
    /// their mean; 1 when there is nothing to spread.
    pub(crate) fn ratios(&self, brokers: usize) -> [f64; 2] {
        [&self.leaders, &self.replicas].map(|counts| ratio(counts, brokers))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of partitions")]
fn ratio(counts: &HashMap<BrokerId, u64>, brokers: usize) -> f64 {
    let all: u64 = counts.values().sum();
    let largest = counts.values().copied().max().unwrap_or(0);
    // A broker that left may still hold replicas.
    let brokers = brokers.max(counts.len());
    if all == 0 { 1.0 } else { largest as f64 * brokers as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(leader: i32, replicas: &[i32]) -> Placed {
        let replicas = replicas.iter().map(|id| BrokerId(*id)).collect();
        Placed { leader: BrokerId(leader), replicas }
    }

    #[test]
    fn the_largest_broker_over_the_mean() {
        let check = |partitions: &[Placed], brokers, leaders: f64, replicas: f64| {
            let ratios = Spread::of(partitions.iter()).ratios(brokers);
            assert_eq!(ratios, [leaders, replicas]);
        };
        check(&[], 3, 1.0, 1.0);
        check(&[placed(1, &[1])], 1, 1.0, 1.0);
        check(&[placed(1, &[1, 2, 3]), placed(2, &[1, 2, 3]), placed(3, &[1, 2, 3])], 3, 1.0, 1.0);
        check(&[placed(1, &[1, 2]), placed(1, &[1, 3]), placed(1, &[1, 2])], 3, 3.0, 1.5);
        check(&[placed(-1, &[1])], 2, 1.0, 2.0);
    }

    #[test]
    fn what_leaves_no_longer_counts() {
        let (one, two) = (placed(1, &[1, 2]), placed(2, &[2, 1]));
        let mut spread = Spread::of([&one, &two].into_iter());
        spread.remove(&one);
        assert_eq!(spread.ratios(2), [2.0, 1.0]);
        spread.remove(&two);
        assert_eq!(spread.ratios(2), [1.0, 1.0]);
    }
}
