//! Who leads a partition: the change of one partition that an election or a new in-sync set makes.
//!
//! Pure: it is given the partition, who may lead, and what is wanted; it returns the record
//! (rules of `org.apache.kafka.controller.PartitionChangeBuilder` without reassignment and without
//! eligible leader replicas, whose feature level is 0 here).

use pharos_base::{BrokerId, PartitionId, TopicId};

use crate::image::{PartitionRegistration, RecoveryState};
use pharos_protocol::messages::PartitionChangeRecord;

/// What an election may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Election {
    /// The preferred replica if it is in sync, else the leader stays.
    Preferred,
    /// The leader stays while it can, else the first in-sync replica.
    Online,
    /// As online, and as the last resort a replica that may have lost records.
    Unclean,
}

/// A change of one partition in the making.
pub(crate) struct PartitionChange<'a> {
    pub partition: &'a PartitionRegistration,
    pub topic_id: TopicId,
    pub partition_id: PartitionId,
    pub election: Election,
    pub target_isr: Vec<BrokerId>,
    pub target_recovery_state: RecoveryState,
}

impl<'a> PartitionChange<'a> {
    /// A change that leaves everything but an election that is due.
    pub fn new(
        topic_id: TopicId,
        partition_id: PartitionId,
        partition: &'a PartitionRegistration,
        election: Election,
    ) -> Self {
        Self {
            partition,
            topic_id,
            partition_id,
            election,
            target_isr: partition.isr.clone(),
            target_recovery_state: partition.leader_recovery_state,
        }
    }

    /// The record, or `None` when nothing changes. `may_lead` says of a replica whether its broker
    /// is active and its directory works.
    pub fn build(self, may_lead: impl Fn(BrokerId) -> bool) -> Option<PartitionChangeRecord> {
        let mut record = PartitionChangeRecord {
            partition_id: self.partition_id.0,
            topic_id: self.topic_id,
            ..PartitionChangeRecord::default()
        };
        let mut recovery = self.target_recovery_state;
        let (leader, unclean) = self.elect(&may_lead);
        if leader != self.partition.leader {
            record.leader = leader.0;
            if unclean {
                // Only what the new leader holds counts from now on: records may be lost.
                record.isr = Some(vec![leader.0]);
                recovery = RecoveryState::Recovering;
            }
        }
        // The last in-sync replica stays, so that it can lead again when it comes back.
        if record.isr.is_none()
            && !self.target_isr.is_empty()
            && self.target_isr != self.partition.isr
        {
            record.isr = Some(self.target_isr.iter().map(|broker| broker.0).collect());
        }
        if recovery != self.partition.leader_recovery_state {
            record.leader_recovery_state = recovery as i8;
        }
        let unchanged = record.isr.is_none()
            && leader == self.partition.leader
            && record.leader_recovery_state == -1;
        (!unchanged).then_some(record)
    }

    /// The leader, and whether it was chosen outside the in-sync set.
    fn elect(&self, may_lead: &impl Fn(BrokerId) -> bool) -> (BrokerId, bool) {
        let valid = |broker: BrokerId| self.target_isr.contains(&broker) && may_lead(broker);
        let preferred = self.partition.preferred_leader();
        if self.election == Election::Preferred && valid(preferred) {
            return (preferred, false);
        }
        if valid(self.partition.leader) {
            return (self.partition.leader, false);
        }
        let mut replicas = self.partition.replicas.iter().copied();
        if let Some(leader) = replicas.clone().find(|replica| valid(*replica)) {
            return (leader, false);
        }
        if self.election == Election::Unclean
            && let Some(leader) = replicas.find(|replica| may_lead(*replica))
        {
            return (leader, true);
        }
        (BrokerId::NONE, false)
    }
}

#[cfg(test)]
mod tests {
    use pharos_base::LeaderEpoch;

    use super::*;

    fn ids(text: &str) -> Vec<BrokerId> {
        text.split(',').filter_map(|id| id.parse().ok()).map(BrokerId).collect()
    }

    /// `"replicas / isr / leader"`, who is alive, the election, the target in-sync set or `=`;
    /// expected: `leader / isr` as the record says it, `-` for what it leaves, or `none`.
    fn check(before: &str, alive: &str, election: Election, target: &str, expected: &str) {
        let parts: Vec<&str> = before.split('/').map(str::trim).collect();
        let partition = PartitionRegistration {
            replicas: ids(parts[0]),
            directories: vec![TopicId::ZERO; ids(parts[0]).len()],
            isr: ids(parts[1]),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: BrokerId(parts[2].parse().unwrap()),
            leader_epoch: LeaderEpoch(3),
            partition_epoch: 5,
            leader_recovery_state: RecoveryState::Recovered,
        };
        let mut change =
            PartitionChange::new(TopicId::random(), PartitionId(0), &partition, election);
        if target != "=" {
            change.target_isr = ids(target);
        }
        let alive = ids(alive);
        let record = change.build(|broker| alive.contains(&broker));
        let actual = match record {
            None => "none".to_owned(),
            Some(record) => {
                let leader = match record.leader {
                    -2 => "-".to_owned(),
                    leader => leader.to_string(),
                };
                let isr = record.isr.map_or("-".to_owned(), |isr| {
                    isr.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
                });
                let recovering = if record.leader_recovery_state == 1 { " recovering" } else { "" };
                format!("{leader} / {isr}{recovering}")
            }
        };
        assert_eq!(actual, expected, "{before}, alive {alive:?}, {election:?}, target {target}");
    }

    #[test]
    fn elects_as_kafka_does() {
        use Election::{Online, Preferred, Unclean};
        let cases = [
            // A healthy partition stays as it is.
            ("1,2,3 / 1,2,3 / 1", "1,2,3", Online, "=", "none"),
            ("1,2,3 / 1,2,3 / 2", "1,2,3", Online, "=", "none"),
            // The preferred replica takes over when asked, in sync and alive.
            ("1,2,3 / 1,2,3 / 2", "1,2,3", Preferred, "=", "1 / -"),
            ("1,2,3 / 2,3 / 2", "1,2,3", Preferred, "=", "none"),
            ("1,2,3 / 1,2,3 / 2", "2,3", Preferred, "=", "none"),
            // A broker goes away: out of the in-sync set, the next replica leads.
            ("1,2,3 / 1,2,3 / 1", "2,3", Online, "2,3", "2 / 2,3"),
            ("1,2,3 / 1,2,3 / 2", "2,3", Online, "2,3", "- / 2,3"),
            ("1,2,3 / 1,3 / 1", "2,3", Online, "3", "3 / 3"),
            // The last in-sync replica stays in the set while nobody leads.
            ("1 / 1 / 1", "", Online, "", "-1 / -"),
            ("1,2 / 1 / 1", "2", Online, "", "-1 / -"),
            ("1,2 / 1 / -1", "1,2", Online, "=", "1 / -"),
            ("1,2 / 1 / -1", "2", Online, "=", "none"),
            ("1,2 / 1 / -1", "2", Preferred, "=", "none"),
            // Unclean: only when allowed, and it forgets the old in-sync set.
            ("1,2 / 1 / -1", "2", Unclean, "=", "2 / 2 recovering"),
            ("1,2 / 1 / 1", "2", Unclean, "", "2 / 2 recovering"),
            ("1,2 / 1 / -1", "", Unclean, "=", "none"),
            // The leader itself changes the in-sync set.
            ("1,2,3 / 1 / 1", "1,2,3", Online, "1,2", "- / 1,2"),
        ];
        for (before, alive, election, target, expected) in cases {
            check(before, alive, election, target, expected);
        }
    }
}
