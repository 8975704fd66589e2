//! How the leader of a classic group shares partitions among members. Pure.
//!
//! The results are those of Kafka's `RangeAssignor` and `RoundRobinAssignor`; the sticky ones keep
//! what members own as far as balance allows (`AbstractStickyAssignor`), with a simpler search.

use std::collections::{BTreeMap, BTreeSet};

/// One member as the assignor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Member id.
    pub id: String,
    /// Name of a static member; orders before the id.
    pub instance_id: Option<String>,
    /// Subscribed topics.
    pub topics: Vec<String>,
    /// Partitions that it owns, by topic.
    pub owned: Vec<(String, Vec<i32>)>,
    /// Generation in which it got them; -1 when it does not tell.
    pub generation: i32,
}

/// Partitions by topic, in order.
pub type Assignment = BTreeMap<String, Vec<i32>>;

/// A strategy of the classic protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Neighbouring partitions of each topic to each member.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Balanced, moving little; everything is given up before a rebalance.
    Sticky,
    /// Balanced, moving little; only what moves is given up (KIP-429).
    CooperativeSticky,
}

impl Assignor {
    /// All strategies.
    pub const ALL: [Self; 4] =
        [Self::Range, Self::RoundRobin, Self::Sticky, Self::CooperativeSticky];

    /// The name in JoinGroup.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// By its name or its Java class.
    pub fn by_name(name: &str) -> Option<Self> {
        let class = name.rsplit(['.', ' ']).next().unwrap_or(name);
        Self::ALL.into_iter().find(|assignor| {
            let java = match assignor {
                Self::Range => "RangeAssignor",
                Self::RoundRobin => "RoundRobinAssignor",
                Self::Sticky => "StickyAssignor",
                Self::CooperativeSticky => "CooperativeStickyAssignor",
            };
            name.eq_ignore_ascii_case(assignor.name()) || class == java
        })
    }

    /// Shares the partitions of `topics` (name to count) among `members`.
    pub fn assign(
        self,
        topics: &BTreeMap<String, i32>,
        members: &[Member],
    ) -> BTreeMap<String, Assignment> {
        let mut ordered: Vec<&Member> = members.iter().collect();
        ordered.sort_by(|a, b| order_key(a).cmp(&order_key(b)));
        match self {
            Self::Range => range(topics, &ordered),
            Self::RoundRobin => round_robin(topics, &ordered),
            Self::Sticky => sticky(topics, &ordered),
            Self::CooperativeSticky => withhold_moving(sticky(topics, &ordered), &ordered),
        }
    }
}

/// Static members first, by their name; then the others by id.
fn order_key(member: &Member) -> (bool, &str) {
    match &member.instance_id {
        Some(name) => (false, name),
        None => (true, &member.id),
    }
}

fn empty(members: &[&Member]) -> BTreeMap<String, Assignment> {
    members.iter().map(|member| (member.id.clone(), Assignment::new())).collect()
}

fn give(to: &mut BTreeMap<String, Assignment>, member: &str, topic: &str, partition: i32) {
    if let Some(assignment) = to.get_mut(member) {
        assignment.entry(topic.to_owned()).or_default().push(partition);
    }
}

fn range(topics: &BTreeMap<String, i32>, members: &[&Member]) -> BTreeMap<String, Assignment> {
    let mut result = empty(members);
    for (topic, count) in topics {
        let takers: Vec<_> = members.iter().filter(|m| m.topics.contains(topic)).collect();
        let Ok(shares) = i32::try_from(takers.len()) else { continue };
        if shares == 0 {
            continue;
        }
        let mut next = 0;
        for (index, member) in (0..shares).zip(&takers) {
            let size = count / shares + i32::from(index < count % shares);
            (next..next + size).for_each(|p| give(&mut result, &member.id, topic, p));
            next += size;
        }
    }
    result
}

fn round_robin(
    topics: &BTreeMap<String, i32>,
    members: &[&Member],
) -> BTreeMap<String, Assignment> {
    let mut result = empty(members);
    let mut turn = members.iter().cycle();
    for (topic, count) in topics {
        if !members.iter().any(|member| member.topics.contains(topic)) {
            continue;
        }
        for partition in 0..*count {
            if let Some(member) = turn.find(|member| member.topics.contains(topic)) {
                give(&mut result, &member.id, topic, partition);
            }
        }
    }
    result
}

/// What members own stays, up to a fair share; the rest goes to whoever has least.
fn sticky(topics: &BTreeMap<String, i32>, members: &[&Member]) -> BTreeMap<String, Assignment> {
    let mut result = empty(members);
    if members.is_empty() {
        return result;
    }
    let mut free: BTreeSet<(&str, i32)> = topics
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(move |p| (topic.as_str(), p)))
        .collect();
    let newest = members.iter().map(|member| member.generation).max().unwrap_or(-1);
    let fair = free.len().div_ceil(members.len());
    let floor = free.len() / members.len();
    // With n members and a remainder r, only r may have one more than the others.
    let mut extra = free.len() % members.len();
    let mut load: BTreeMap<&str, usize> = members.iter().map(|m| (m.id.as_str(), 0)).collect();
    for member in members.iter().filter(|member| member.generation == newest) {
        for (topic, partition) in owned(member) {
            let held = load.get(member.id.as_str()).copied().unwrap_or(0);
            let may_take = held < floor || (held < fair && extra > 0);
            if may_take
                && member.topics.iter().any(|t| t == topic)
                && free.remove(&(topic, partition))
            {
                extra -= usize::from(held >= floor);
                give(&mut result, &member.id, topic, partition);
                load.insert(&member.id, held + 1);
            }
        }
    }
    for (topic, partition) in free {
        let takers = members.iter().filter(|member| member.topics.iter().any(|t| t == topic));
        let least = takers.min_by_key(|member| load.get(member.id.as_str()).copied());
        if let Some(member) = least {
            give(&mut result, &member.id, topic, partition);
            *load.entry(&member.id).or_default() += 1;
        }
    }
    for assignment in result.values_mut() {
        assignment.values_mut().for_each(|partitions| partitions.sort_unstable());
    }
    result
}

fn owned(member: &Member) -> impl Iterator<Item = (&str, i32)> {
    member
        .owned
        .iter()
        .flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic.as_str(), *p)))
}

/// A partition that changes hands is given to nobody until its owner has let go of it.
fn withhold_moving(
    mut result: BTreeMap<String, Assignment>,
    members: &[&Member],
) -> BTreeMap<String, Assignment> {
    for owner in members {
        for (topic, partition) in owned(owner) {
            for (id, assignment) in &mut result {
                if *id != owner.id
                    && let Some(partitions) = assignment.get_mut(topic)
                {
                    partitions.retain(|p| *p != partition);
                }
            }
        }
    }
    for assignment in result.values_mut() {
        assignment.retain(|_, partitions| !partitions.is_empty());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str], owned: &[(&str, &[i32])]) -> Member {
        Member {
            id: id.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            owned: owned.iter().map(|(t, p)| ((*t).to_owned(), p.to_vec())).collect(),
            generation: if owned.is_empty() { -1 } else { 1 },
            ..Member::default()
        }
    }

    fn show(result: &BTreeMap<String, Assignment>) -> String {
        let of_member = |(id, assignment): (&String, &Assignment)| {
            let topics: Vec<_> =
                assignment.iter().map(|(topic, p)| format!("{topic}{p:?}")).collect();
            format!("{id}:{}", topics.join("+"))
        };
        result.iter().map(of_member).collect::<Vec<_>>().join(" ")
    }

    fn check(assignor: Assignor, topics: &[(&str, i32)], members: &[Member], expected: &str) {
        let topics = topics.iter().map(|(topic, n)| ((*topic).to_owned(), *n)).collect();
        assert_eq!(show(&assignor.assign(&topics, members)), expected);
    }

    #[test]
    fn range_gives_neighbours() {
        let both = [member("a", &["t", "u"], &[]), member("b", &["t", "u"], &[])];
        check(Assignor::Range, &[("t", 3), ("u", 2)], &both, "a:t[0, 1]+u[0] b:t[2]+u[1]");
        let odd = [member("a", &["t"], &[]), member("b", &["u"], &[])];
        check(Assignor::Range, &[("t", 2), ("u", 1)], &odd, "a:t[0, 1] b:u[0]");
    }

    #[test]
    fn round_robin_takes_turns() {
        let both = [member("a", &["t", "u"], &[]), member("b", &["t", "u"], &[])];
        check(Assignor::RoundRobin, &[("t", 3), ("u", 3)], &both, "a:t[0, 2]+u[1] b:t[1]+u[0, 2]");
        check(Assignor::RoundRobin, &[("x", 3)], &both, "a: b:");
    }

    #[test]
    fn sticky_keeps_what_is_owned_and_balances() {
        let members = [member("a", &["t"], &[("t", &[0, 1, 2, 3])]), member("b", &["t"], &[])];
        check(Assignor::Sticky, &[("t", 4)], &members, "a:t[0, 1] b:t[2, 3]");
        // In the first round the moving partitions belong to nobody.
        check(Assignor::CooperativeSticky, &[("t", 4)], &members, "a:t[0, 1] b:");
        let settled = [member("a", &["t"], &[("t", &[0, 1])]), member("b", &["t"], &[("t", &[])])];
        check(Assignor::CooperativeSticky, &[("t", 4)], &settled, "a:t[0, 1] b:t[2, 3]");
    }

    #[test]
    fn the_remainder_is_given_once() {
        let members = [
            member("a", &["t"], &[("t", &[0, 1, 2])]),
            member("b", &["t"], &[("t", &[3, 4])]),
            member("c", &["t"], &[]),
        ];
        check(Assignor::Sticky, &[("t", 5)], &members, "a:t[0, 1] b:t[3, 4] c:t[2]");
    }
}
