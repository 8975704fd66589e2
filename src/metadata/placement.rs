//! Which brokers hold a new partition: replicas are striped over racks and brokers, so that leaders
//! and followers spread evenly and a rack holds two replicas only when there are too few racks.
//!
//! It decides from what it is given; chance comes in as a number, so that a test repeats it.

use std::collections::BTreeMap;

use pharos_base::BrokerId;
use thiserror::Error;

/// A broker that replicas can be put on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsableBroker {
    /// Its id.
    pub id: BrokerId,
    /// Its rack, if it names one.
    pub rack: Option<String>,
    /// Whether it is fenced: it may follow, never lead a new partition.
    pub fenced: bool,
}

/// Why replicas cannot be placed; the texts are those that Kafka's clients see.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PlacementError {
    /// Fewer than one replica.
    #[error("Invalid replication factor {0}: the replication factor must be positive.")]
    NotPositive(i16),
    /// More replicas than brokers.
    #[error(
        "The target replication factor of {factor} cannot be reached because only {brokers} \
         broker(s) are registered or some brokers have all their log directories cordoned."
    )]
    TooFewBrokers {
        /// Replicas that were asked for.
        factor: i16,
        /// Brokers that there are.
        brokers: usize,
    },
    /// No broker could lead.
    #[error("All brokers are currently fenced.")]
    AllFenced,
}

/// Brokers of one rack.
#[derive(Debug, Default)]
struct Rack {
    unfenced: Vec<BrokerId>,
    fenced: Vec<BrokerId>,
}

impl Rack {
    /// The first broker from position `start` on that is not taken yet, the unfenced ones first.
    fn pick(&self, start: usize, taken: &[BrokerId]) -> Option<BrokerId> {
        [&self.unfenced, &self.fenced].into_iter().find_map(|brokers| {
            let turn = brokers.iter().cycle().skip(start % brokers.len().max(1));
            turn.take(brokers.len()).find(|broker| !taken.contains(broker)).copied()
        })
    }
}

/// Chooses the replicas of `partitions` partitions, `replication_factor` each; the first of each is
/// its preferred leader. `chance` turns the stripes, so that topics do not all begin on one broker.
///
/// # Errors
/// [`PlacementError`] when the brokers do not suffice.
pub fn place(
    brokers: &[UsableBroker],
    partitions: usize,
    replication_factor: i16,
    chance: u64,
) -> Result<Vec<Vec<BrokerId>>, PlacementError> {
    let factor = usize::try_from(replication_factor).unwrap_or(0);
    if factor == 0 {
        return Err(PlacementError::NotPositive(replication_factor));
    }
    if factor > brokers.len() {
        let factor = replication_factor;
        return Err(PlacementError::TooFewBrokers { factor, brokers: brokers.len() });
    }
    let racks = racks(brokers);
    let ring = leader_ring(&racks);
    if ring.is_empty() {
        return Err(PlacementError::AllFenced);
    }
    // Below 2^32, so that adding a partition index cannot overflow.
    let start = usize::try_from(chance % (1 << 32)).unwrap_or(0);
    Ok((0..partitions).map(|index| stripe(&racks, &ring, start + index, factor)).collect())
}

fn racks(brokers: &[UsableBroker]) -> Vec<Rack> {
    let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
    for broker in brokers {
        let rack = racks.entry(broker.rack.as_deref()).or_default();
        if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced }.push(broker.id);
    }
    racks.into_values().collect()
}

/// Unfenced brokers with the number of their rack, one of each rack in turn.
fn leader_ring(racks: &[Rack]) -> Vec<(usize, BrokerId)> {
    let longest = racks.iter().map(|rack| rack.unfenced.len()).max().unwrap_or(0);
    let rounds = (0..longest).flat_map(|round| racks.iter().enumerate().map(move |it| (round, it)));
    rounds
        .filter_map(|(round, (number, rack))| Some((number, *rack.unfenced.get(round)?)))
        .collect()
}

fn stripe(racks: &[Rack], ring: &[(usize, BrokerId)], turn: usize, factor: usize) -> Vec<BrokerId> {
    let Some((leader_rack, leader)) = ring.get(turn % ring.len()).copied() else {
        return Vec::new();
    };
    let mut replicas = vec![leader];
    // Each time round the ring the followers move on by one, so that the same pairs do not repeat.
    let round = turn / ring.len();
    let others = racks.len().saturating_sub(1);
    let turned = (0..others).map(|step| 1 + (step + round) % others);
    // The leader's own rack comes last.
    let order: Vec<usize> =
        turned.chain([0]).map(|step| (leader_rack + step) % racks.len()).collect();
    while replicas.len() < factor {
        let before = replicas.len();
        for number in &order {
            let start = follower_start(racks, *number, leader, turn, round);
            let picked = racks.get(*number).and_then(|rack| rack.pick(start, &replicas));
            replicas.extend(picked.filter(|_| replicas.len() < factor));
        }
        if replicas.len() == before {
            break;
        }
    }
    replicas
}

/// Where the search in a rack begins: behind the leader in its own rack, else by turn.
fn follower_start(
    racks: &[Rack],
    number: usize,
    leader: BrokerId,
    turn: usize,
    round: usize,
) -> usize {
    let unfenced = racks.get(number).map_or(&[][..], |rack| &rack.unfenced[..]);
    match unfenced.iter().position(|broker| *broker == leader) {
        Some(position) => position + 1 + round % unfenced.len().saturating_sub(1).max(1),
        None => turn / racks.len().max(1) + round,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(racks: &[(i32, Option<&str>, bool)]) -> Vec<UsableBroker> {
        racks
            .iter()
            .map(|(id, rack, fenced)| UsableBroker {
                id: BrokerId(*id),
                rack: rack.map(str::to_owned),
                fenced: *fenced,
            })
            .collect()
    }

    #[test]
    fn refuses_what_cannot_be_placed() {
        let two = brokers(&[(1, None, false), (2, None, true)]);
        let fenced = brokers(&[(1, None, true)]);
        let cases: [(&[UsableBroker], i16, &str); 4] = [
            (&two, 0, "Invalid replication factor 0: the replication factor must be positive."),
            (
                &two,
                3,
                "The target replication factor of 3 cannot be reached because only 2 broker(s) \
                 are registered or some brokers have all their log directories cordoned.",
            ),
            (
                &[],
                1,
                "The target replication factor of 1 cannot be reached because only 0 broker(s) \
                 are registered or some brokers have all their log directories cordoned.",
            ),
            (&fenced, 1, "All brokers are currently fenced."),
        ];
        for (brokers, factor, expected) in cases {
            let error = place(brokers, 1, factor, 7).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn spreads_leaders_and_followers_evenly() {
        let six = brokers(&[
            (1, None, false),
            (2, None, false),
            (3, None, false),
            (4, None, false),
            (5, None, false),
            (6, None, false),
        ]);
        for chance in 0..40 {
            let placed = place(&six, 60, 3, chance).unwrap();
            for place in 0..3 {
                let mut counts = BTreeMap::new();
                for replicas in &placed {
                    *counts.entry(replicas[place]).or_insert(0) += 1;
                }
                assert_eq!(counts.len(), 6, "place {place}, chance {chance}");
                assert!(counts.values().all(|count| (8..=12).contains(count)), "{counts:?}");
            }
        }
    }

    #[test]
    fn no_rack_holds_two_replicas_while_others_hold_none() {
        let nine: Vec<_> = (0..9)
            .map(|id| UsableBroker {
                id: BrokerId(id),
                rack: Some(format!("r{}", id % 3)),
                fenced: id == 4,
            })
            .collect();
        for chance in 0..100 {
            for replicas in place(&nine, 30, 3, chance).unwrap() {
                let mut racks: Vec<_> = replicas.iter().map(|broker| broker.0 % 3).collect();
                racks.sort_unstable();
                assert_eq!(racks, [0, 1, 2], "{replicas:?}");
                assert_ne!(replicas[0], BrokerId(4), "a fenced broker leads");
            }
        }
    }

    #[test]
    fn fenced_brokers_follow_when_there_is_no_other() {
        let mixed = brokers(&[(1, None, false), (2, None, true), (3, Some("a"), true)]);
        for chance in 0..10 {
            for replicas in place(&mixed, 5, 3, chance).unwrap() {
                assert_eq!(replicas[0], BrokerId(1));
                let mut all = replicas.clone();
                all.sort_unstable();
                assert_eq!(all, [BrokerId(1), BrokerId(2), BrokerId(3)]);
            }
        }
    }
}
