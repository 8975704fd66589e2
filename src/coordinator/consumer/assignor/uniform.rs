//! Even shares, and as few moves as possible (`UniformAssignor`).
//!
//! Members that all read the same topics get the same number of partitions, give or take one.
//! Where subscriptions differ, load is evened out as far as these allow.

use std::collections::{BTreeMap, BTreeSet};

use pharos_base::TopicId;

use super::{MemberSpec, PartitionCounts};
use crate::consumer::member::Assignment;

/// Rounds of evening out, per partition. Each move lowers the sum of squared loads, so this is
/// never reached; it stands against a mistake in that reasoning.
const MAX_MOVES_PER_PARTITION: usize = 4;

pub(crate) fn assign(members: &[MemberSpec], counts: &PartitionCounts) -> Vec<Assignment> {
    let Some(first) = members.first() else { return Vec::new() };
    if members.iter().all(|member| member.topics == first.topics) {
        same_topics(members, counts, &first.topics)
    } else {
        different_topics(members, counts)
    }
}

fn partitions<'a>(
    topics: &'a BTreeSet<TopicId>,
    counts: &'a PartitionCounts,
) -> impl Iterator<Item = (TopicId, i32)> + 'a {
    topics.iter().flat_map(|topic| {
        let count = counts.get(topic).copied().unwrap_or(0);
        (0..count).map(move |partition| (*topic, partition))
    })
}

/// Everybody keeps what it has up to its share, and one more while some may have one more; the rest
/// fills up those below theirs.
fn same_topics(
    members: &[MemberSpec],
    counts: &PartitionCounts,
    topics: &BTreeSet<TopicId>,
) -> Vec<Assignment> {
    let mut free: BTreeSet<(TopicId, i32)> = partitions(topics, counts).collect();
    let share = free.len() / members.len().max(1);
    // Members that may have one more. Whoever has it keeps it, so that a newcomer moves nothing.
    let mut extra = free.len() % members.len().max(1);
    let mut targets = Vec::with_capacity(members.len());
    let mut held = Vec::with_capacity(members.len());
    for member in members {
        let limit = share + usize::from(extra > 0);
        let mut kept = 0;
        let mut target = Assignment::new();
        for (topic, partitions) in &member.current {
            for partition in partitions {
                if kept < limit && free.remove(&(*topic, *partition)) {
                    target.entry(*topic).or_default().insert(*partition);
                    kept += 1;
                }
            }
        }
        extra -= usize::from(kept > share);
        targets.push(target);
        held.push(kept);
    }
    let mut free = free.into_iter();
    for (target, kept) in targets.iter_mut().zip(held) {
        let one_more = usize::from(kept <= share && extra > 0);
        extra -= one_more;
        let room = (share + one_more).saturating_sub(kept);
        for (topic, partition) in free.by_ref().take(room) {
            target.entry(topic).or_default().insert(partition);
        }
    }
    targets
}

/// The state of evening out: who reads what, and how much that is.
struct Balance<'a> {
    members: &'a [MemberSpec],
    targets: Vec<Assignment>,
    loads: Vec<usize>,
    /// Members by load, then by place.
    by_load: BTreeSet<(usize, usize)>,
}

impl Balance<'_> {
    fn give(&mut self, index: usize, topic: TopicId, partition: i32) {
        if let Some(target) = self.targets.get_mut(index) {
            target.entry(topic).or_default().insert(partition);
        }
        self.add_load(index, 1);
    }

    fn take(&mut self, index: usize, topic: TopicId, partition: i32) {
        if let Some(target) = self.targets.get_mut(index)
            && let Some(partitions) = target.get_mut(&topic)
        {
            partitions.remove(&partition);
            if partitions.is_empty() {
                target.remove(&topic);
            }
        }
        self.add_load(index, -1);
    }

    fn add_load(&mut self, index: usize, delta: isize) {
        if let Some(load) = self.loads.get_mut(index) {
            self.by_load.remove(&(*load, index));
            *load = load.saturating_add_signed(delta);
            self.by_load.insert((*load, index));
        }
    }

    fn reads(&self, index: usize, topic: TopicId) -> bool {
        self.members.get(index).is_some_and(|member| member.topics.contains(&topic))
    }

    /// The reader of `topic` with the least load.
    fn idlest(&self, topic: TopicId) -> Option<(usize, usize)> {
        self.by_load.iter().find(|(_, index)| self.reads(*index, topic)).copied()
    }

    /// Moves one partition from `index` to a reader with at least two fewer.
    fn relieve(&mut self, index: usize) -> bool {
        let load = self.loads.get(index).copied().unwrap_or(0);
        let target = self.targets.get(index);
        let found = target.and_then(|target| {
            target.iter().find_map(|(topic, partitions)| {
                let (least, to) = self.idlest(*topic)?;
                (least + 1 < load).then_some((*topic, *partitions.last()?, to))
            })
        });
        let Some((topic, partition, to)) = found else { return false };
        self.take(index, topic, partition);
        self.give(to, topic, partition);
        true
    }
}

fn different_topics(members: &[MemberSpec], counts: &PartitionCounts) -> Vec<Assignment> {
    let mut balance = Balance {
        members,
        targets: vec![Assignment::new(); members.len()],
        loads: vec![0; members.len()],
        by_load: (0..members.len()).map(|index| (0, index)).collect(),
    };
    let mut readers: BTreeMap<TopicId, usize> = BTreeMap::new();
    for topic in members.iter().flat_map(|member| &member.topics) {
        *readers.entry(*topic).or_default() += 1;
    }
    let all: BTreeSet<TopicId> = readers.keys().copied().collect();
    let mut free: BTreeSet<(TopicId, i32)> = partitions(&all, counts).collect();
    let total = free.len();
    for (index, member) in members.iter().enumerate() {
        for (topic, kept) in
            member.current.iter().filter(|(topic, _)| member.topics.contains(topic))
        {
            for partition in kept {
                if free.remove(&(*topic, *partition)) {
                    balance.give(index, *topic, *partition);
                }
            }
        }
    }
    // Topics that few can read first: the others have more choice.
    let mut rest: Vec<(TopicId, i32)> = free.into_iter().collect();
    rest.sort_by_key(|(topic, partition)| (readers.get(topic).copied(), *topic, *partition));
    for (topic, partition) in rest {
        if let Some((_, index)) = balance.idlest(topic) {
            balance.give(index, topic, partition);
        }
    }
    for _ in 0..total.saturating_mul(MAX_MOVES_PER_PARTITION) {
        let busiest_first: Vec<usize> =
            balance.by_load.iter().rev().map(|(_, index)| *index).collect();
        if !busiest_first.into_iter().any(|index| balance.relieve(index)) {
            break;
        }
    }
    balance.targets
}

#[cfg(test)]
mod tests {
    use pharos_base::TopicId;
    use uuid::Uuid;

    use super::super::{MemberSpec, assign};
    use super::*;
    use crate::config::Assignor;

    fn topic(number: u128) -> TopicId {
        TopicId(Uuid::from_u128(number))
    }

    fn member(id: &str, topics: &[u128], current: &[(u128, &[i32])]) -> MemberSpec {
        MemberSpec {
            id: id.into(),
            instance_id: None,
            topics: topics.iter().map(|number| topic(*number)).collect(),
            current: current
                .iter()
                .map(|(number, partitions)| (topic(*number), partitions.iter().copied().collect()))
                .collect(),
        }
    }

    fn check(assignor: Assignor, members: &[MemberSpec], counts: &[(u128, i32)], expected: &str) {
        let counts = counts.iter().map(|(number, count)| (topic(*number), *count)).collect();
        let targets = assign(assignor, members, &counts);
        let text = |target: &Assignment| {
            let topics = target.iter().map(|(topic, partitions)| {
                let list: Vec<_> = partitions.iter().map(ToString::to_string).collect();
                format!("{}:{}", topic.0.as_u128(), list.join(","))
            });
            topics.collect::<Vec<_>>().join(" ")
        };
        let got: Vec<_> = targets.iter().map(text).collect();
        assert_eq!(got.join(" | "), expected);
    }

    #[test]
    fn uniform_is_even_and_keeps_what_it_can() {
        let fresh = |id| member(id, &[1], &[]);
        check(Assignor::Uniform, &[fresh("a"), fresh("b")], &[(1, 5)], "1:0,1,2 | 1:3,4");
        let grown = [member("a", &[1], &[(1, &[0, 1, 2, 3])]), fresh("b")];
        check(Assignor::Uniform, &grown, &[(1, 4)], "1:0,1 | 1:2,3");
        let two = [member("a", &[1, 2], &[(1, &[0]), (2, &[0])]), member("b", &[1, 2], &[])];
        check(Assignor::Uniform, &two, &[(1, 2), (2, 2)], "1:0 2:0 | 1:1 2:1");
        // Whoever has the odd one keeps it, wherever the newcomer stands.
        let newcomer = [fresh("a"), member("b", &[1], &[(1, &[0])])];
        check(Assignor::Uniform, &newcomer, &[(1, 1)], " | 1:0");
        check(Assignor::Uniform, &[], &[], "");
    }

    #[test]
    fn uniform_evens_out_where_subscriptions_differ() {
        let members = [
            member("a", &[1, 2], &[(1, &[0, 1, 2, 3])]),
            member("b", &[1], &[]),
            member("c", &[2], &[]),
        ];
        check(Assignor::Uniform, &members, &[(1, 4), (2, 2)], "1:0,1 | 1:2,3 | 2:0,1");
    }

    #[test]
    fn range_is_aligned_between_topics() {
        let members = [member("b", &[1, 2], &[]), member("a", &[1, 2], &[])];
        check(Assignor::Range, &members, &[(1, 3), (2, 3)], "1:2 2:2 | 1:0,1 2:0,1");
        let members = [member("a", &[1], &[]), member("b", &[1, 2], &[])];
        check(Assignor::Range, &members, &[(1, 3), (2, 2)], "1:0,1 | 1:2 2:0,1");
    }

    #[test]
    fn every_partition_has_one_owner_who_reads_its_topic() {
        // A seeded walk over groups that grow, shrink and change their subscriptions.
        let mut seed = 42u64;
        let mut random = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let counts: PartitionCounts =
            (1..=4u8).map(|n| (topic(u128::from(n)), i32::from(n) * 3)).collect();
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let mut members: Vec<MemberSpec> = Vec::new();
            for step in 0..200 {
                if members.is_empty() || random(3) > 0 {
                    let topics: BTreeSet<_> = (1..=4u8)
                        .filter(|_| random(2) == 0)
                        .map(|n| topic(u128::from(n)))
                        .collect();
                    members.push(MemberSpec {
                        id: format!("m{step}").into(),
                        instance_id: None,
                        topics,
                        current: Assignment::new(),
                    });
                } else {
                    let index = random(members.len() as u64) as usize;
                    members.remove(index);
                }
                let targets = assign(assignor, &members, &counts);
                let mut owned = BTreeSet::new();
                for (member, target) in members.iter().zip(&targets) {
                    for (topic, partitions) in target {
                        assert!(member.topics.contains(topic));
                        for partition in partitions {
                            assert!(owned.insert((*topic, *partition)), "two owners");
                        }
                    }
                }
                let read: BTreeSet<_> = members.iter().flat_map(|member| &member.topics).collect();
                let expected: i32 = read.iter().map(|topic| counts[topic]).sum();
                assert_eq!(owned.len(), expected as usize, "nothing is left over");
                for (member, target) in members.iter_mut().zip(targets) {
                    member.current = target;
                }
            }
        }
    }
}
