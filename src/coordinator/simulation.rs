//! Seeded simulation: members of both protocols that come, go, fall silent and commit at random,
//! on a log that fails at random, under a coordinator that moves at random.
//!
//! What must hold at every step: one owner per partition and generation; committed offsets only
//! move by commits; a shard loaded from the log equals the one that wrote it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::consumer::tests::Client;
use crate::group::Group;
use crate::testing::{Rig, config, heartbeat_request, join_request, leave_request, sync_request};
use crate::wire::ErrorCode;
use crate::{Config, Shard, Token};

const SEEDS: u64 = 60;
const STEPS: usize = 250;
const CONSUMERS: usize = 4;
const CLASSICS: usize = 4;

/// A small generator: the simulation must not depend on a crate's choice of algorithm.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// A classic consumer as a client runs it.
#[derive(Default)]
struct Classic {
    id: String,
    generation: i32,
    join: Option<Token>,
    sync: Option<Token>,
    /// What the leader gave it: the name of its share.
    share: Option<Bytes>,
}

struct World {
    rig: Rig,
    random: Random,
    consumers: Vec<Client>,
    classics: Vec<Classic>,
    /// Committed offsets that were acknowledged, by group and partition.
    acknowledged: BTreeMap<(&'static str, i32), i64>,
    next_offset: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let interval_ms = if seed.is_multiple_of(2) { 0 } else { 1_000 };
        let config = Config { consumer_assignment_interval_ms: interval_ms, ..config() };
        let consumers =
            (0..CONSUMERS).map(|index| Client::new("new", &format!("m{index}"), &["a", "b"]));
        Self {
            rig: Rig::new(config),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            consumers: consumers.collect(),
            classics: (0..CLASSICS).map(|_| Classic::default()).collect(),
            acknowledged: BTreeMap::new(),
            next_offset: 0,
        }
    }

    fn step(&mut self) {
        if self.random.one_in(12) {
            let errors = [
                ErrorCode::KafkaStorageError,
                ErrorCode::NotEnoughReplicas,
                ErrorCode::MessageTooLarge,
            ];
            self.rig.fail_next = Some(errors[self.random.below(errors.len())]);
        }
        match self.random.below(10) {
            0..=3 => self.consumer(),
            4..=6 => self.classic(),
            7 => self.commit(),
            8 => {
                let ms = [50, 900, 4_000, 12_000][self.random.below(4)];
                self.rig.advance(ms);
            }
            _ if self.random.one_in(6) => self.rig.fail_over(),
            _ => self.rig.advance(10),
        }
        self.rig.fail_next = None;
        self.collect();
    }

    fn consumer(&mut self) {
        let index = self.random.below(CONSUMERS);
        let client = &mut self.consumers[index];
        match self.random.below(14) {
            0 if client.epoch > 0 => {
                client.leave(&mut self.rig, -1);
            }
            1 => {
                client.topics = vec![["a", "b", "c"][self.random.below(3)].to_owned()];
                client.beat(&mut self.rig);
            }
            2 => {
                client.regex =
                    self.random.one_in(2).then(|| "[bc]".to_owned()).or(Some(String::new()));
                client.beat(&mut self.rig);
            }
            _ => {
                client.beat(&mut self.rig);
            }
        }
    }

    fn classic(&mut self) {
        let index = self.random.below(CLASSICS);
        let classic = &mut self.classics[index];
        if classic.join.is_some() || classic.sync.is_some() {
            return;
        }
        if classic.id.is_empty() || classic.generation == 0 {
            let request = join_request("old", &classic.id, &["a"]);
            classic.join = Some(self.rig.join(request));
            return;
        }
        match self.random.below(6) {
            0 => {
                self.rig.send(leave_request("old", &[(&classic.id, None)]));
                *classic = Classic::default();
            }
            1 => {
                classic.share = None;
                classic.join = Some(self.rig.join(join_request("old", &classic.id, &["a"])));
            }
            _ => {
                let request = heartbeat_request("old", &classic.id, classic.generation);
                let crate::Response::Heartbeat(answer) = self.rig.ask(request) else { panic!() };
                match ErrorCode::from_code(answer.error_code) {
                    Some(ErrorCode::None) => {}
                    Some(ErrorCode::RebalanceInProgress) => {
                        classic.share = None;
                        let request = join_request("old", &classic.id, &["a"]);
                        classic.join = Some(self.rig.join(request));
                    }
                    _ => *classic = Classic::default(),
                }
            }
        }
    }

    /// Commits a number that was never used before, so that a regression shows.
    fn commit(&mut self) {
        self.next_offset += 1;
        let (partition, offset) = (self.random.below(4) as i32, self.next_offset);
        let (group, result) = match self.random.below(3) {
            0 => ("simple", self.rig.commit("simple", "a", partition, offset)),
            1 => {
                let client = &self.consumers[self.random.below(CONSUMERS)];
                let epoch = client.epoch.max(1);
                let place = ("a", partition, offset);
                ("new", self.rig.commit_as("new", &client.id, epoch, place))
            }
            _ => {
                let classic = &self.classics[self.random.below(CLASSICS)];
                let place = ("a", partition, offset);
                ("old", self.rig.commit_as("old", &classic.id, classic.generation, place))
            }
        };
        if result == 0 {
            self.acknowledged.insert((group, partition), offset);
        }
    }

    /// Takes the answers that classic members wait for.
    fn collect(&mut self) {
        for classic in &mut self.classics {
            if let Some(answer) = classic.join.and_then(|token| self.rig.joined(token)) {
                classic.join = None;
                match ErrorCode::from_code(answer.error_code) {
                    Some(ErrorCode::None) => {
                        classic.id.clone_from(&answer.member_id);
                        classic.generation = answer.generation_id;
                        // The leader gives every member the share of its own name.
                        let shares: Vec<(String, String)> = answer
                            .members
                            .iter()
                            .map(|member| {
                                let share =
                                    format!("{} {}", answer.generation_id, member.member_id);
                                (member.member_id.clone(), share)
                            })
                            .collect();
                        let shares: Vec<(&str, &str)> = shares
                            .iter()
                            .map(|(id, share)| (id.as_str(), share.as_str()))
                            .collect();
                        let request = sync_request("old", &classic.id, classic.generation, &shares);
                        classic.sync = Some(self.rig.send(request));
                    }
                    Some(ErrorCode::MemberIdRequired) => classic.id = answer.member_id,
                    _ => *classic = Classic::default(),
                }
            }
            if let Some(answer) = classic.sync.and_then(|token| self.rig.synced(token)) {
                classic.sync = None;
                match ErrorCode::from_code(answer.error_code) {
                    Some(ErrorCode::None) => classic.share = Some(answer.assignment),
                    Some(ErrorCode::RebalanceInProgress) => {}
                    _ => *classic = Classic::default(),
                }
            }
        }
        // Nobody reads the answers to leaving.
        self.rig
            .replies
            .retain(|(_, response)| !matches!(response, crate::Response::LeaveGroup(_)));
    }

    fn check(&mut self, what: &str) {
        self.check_owners(what);
        for ((group, partition), offset) in &self.acknowledged {
            let found = self.rig.shard.offsets.committed(group, "a", *partition);
            assert_eq!(found.map(|commit| commit.offset), Some(*offset), "{what}: {group}");
        }
        let reloaded = self.rig.reloaded();
        assert_eq!(stored(&reloaded), stored(&self.rig.shard), "{what}");
    }

    /// One owner per partition: as the shard sees it, and as the clients do.
    fn check_owners(&self, what: &str) {
        if let Some(Group::Consumer(group)) =
            self.rig.shard.groups.get("new").map(|entry| &entry.group)
        {
            let mut owners = BTreeMap::new();
            for member in group.members.values() {
                for place in member.held() {
                    let other = owners.insert(place, member.id.clone());
                    assert_eq!(other, None, "{what}: two owners of {place:?}");
                    assert_eq!(group.owner(place.0, place.1), Some(&member.id), "{what}");
                }
            }
        }
        // Shares are named by generation and member: two equal ones were given twice.
        let given = self.classics.iter().filter_map(|classic| classic.share.as_ref());
        let mut shares: Vec<&Bytes> = given.filter(|share| !share.is_empty()).collect();
        let count = shares.len();
        shares.sort();
        shares.dedup();
        assert_eq!(shares.len(), count, "{what}: a share was given twice");
        for classic in &self.classics {
            if let Some(share) = classic.share.as_ref().filter(|share| !share.is_empty()) {
                let expected = format!("{} {}", classic.generation, classic.id);
                assert_eq!(*share, Bytes::from(expected), "{what}: not its own share");
            }
        }
    }
}

/// Everything that the log must be able to bring back, as text.
fn stored(shard: &Shard) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (id, entry) in &shard.groups {
        let text = match &entry.group {
            // A generation is stored when its assignments are; until then the last one holds.
            Group::Classic(group) if group.phase.name() == "Stable" || group.members.is_empty() => {
                let mut members: Vec<String> = group
                    .members
                    .values()
                    .map(|member| format!("{} {:?}", member.id, member.assignment))
                    .collect();
                members.sort();
                if group.members.is_empty() && group.phase.name() != "Empty" {
                    continue;
                }
                format!("classic {} {:?} {members:?}", group.generation, group.protocol)
            }
            Group::Classic(_) => continue,
            Group::Consumer(group) => {
                let mut group = group.clone();
                group.checked_version = None;
                group.members.sort_keys();
                let mut targets: Vec<_> = group.targets.iter().collect();
                targets.sort();
                format!(
                    "consumer {} {} {} {:?} {targets:?} {:?}",
                    group.epoch,
                    group.metadata_hash,
                    group.assignment_epoch,
                    group.members,
                    group.regexes
                )
            }
        };
        all.insert(id.to_string(), text);
        let offsets = shard.offsets.latest_of(id);
        let offsets: Vec<String> = offsets
            .map(|(topic, partition, commit)| format!("{topic} {partition} {commit:?}"))
            .collect();
        all.insert(format!("{id} offsets"), offsets.join("\n"));
    }
    all
}

/// Groups that are on the move are stored as they were before: only equal ones are compared.
#[test]
fn groups_keep_their_promises_whatever_happens() {
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        let mut moved = 0;
        for step in 0..STEPS {
            world.step();
            let what = format!("seed {seed}, step {step}");
            world.check_owners(&what);
            let quiet = world.rig.state("old") != "PreparingRebalance"
                && world.rig.state("old") != "CompletingRebalance";
            if quiet {
                world.check(&what);
                moved += 1;
            }
        }
        assert!(moved > 0, "seed {seed}: never quiet");
    }
}
