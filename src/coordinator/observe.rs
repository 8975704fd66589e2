//! What those who watch groups see of a shard: lag, members, states.

use std::sync::Arc;

use crate::classic::group::CONSUMER_PROTOCOL_TYPE;
use crate::group::Group;
use crate::offsets::Commit;
use crate::rebalances::{RebalanceCause, Rebalances};
use crate::shard::{Entry, Shard};
use crate::view::{GroupState, Tally};

/// A group at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Its id.
    pub id: Arc<str>,
    /// Its state.
    pub state: GroupState,
    /// Members now.
    pub members: usize,
    /// Generation, or epoch of a consumer group.
    pub generation: i32,
    /// Protocol type: `consumer`, `connect`, ...; empty for groups that only commit offsets.
    pub protocol_type: String,
    /// The chosen protocol of a classic group, the assignor of a consumer group; may be empty.
    pub protocol: String,
    /// Its rebalances since this coordinator has it.
    pub rebalances: Rebalances,
    /// Where the last of them came from.
    pub last_cause: Option<RebalanceCause>,
}

impl Shard {
    /// The figures that the shard keeps.
    pub fn tally(&self) -> &Tally {
        &self.kit.tally
    }

    /// All groups, in no order.
    pub fn groups(&self) -> impl Iterator<Item = GroupView> {
        self.groups.iter().map(|(id, entry)| self.view(id, entry))
    }

    /// The group of that id.
    pub fn group(&self, id: &str) -> Option<GroupView> {
        let (id, entry) = self.groups.get_key_value(id)?;
        Some(self.view(id, entry))
    }

    /// The offsets of a group that readers see, by topic and partition.
    pub fn committed(&self, group: &str) -> impl Iterator<Item = (&Arc<str>, i32, &Commit)> {
        self.offsets.committed_of(group)
    }

    fn view(&self, id: &Arc<str>, entry: &Entry) -> GroupView {
        let group = &entry.group;
        let (members, generation, protocol_type, protocol) = match group {
            Group::Classic(group) => (
                group.members.len(),
                group.generation,
                group.protocol_type.clone().unwrap_or_default(),
                group.protocol.clone().unwrap_or_default(),
            ),
            Group::Consumer(group) => {
                let asked = group.members.values().find_map(|member| member.assignor.clone());
                let default = self.kit.config.default_assignor().name();
                (
                    group.members.len(),
                    group.epoch,
                    CONSUMER_PROTOCOL_TYPE.to_owned(),
                    asked.unwrap_or_else(|| default.to_owned()),
                )
            }
        };
        let state = group.state();
        GroupView {
            id: id.clone(),
            state,
            members,
            generation,
            protocol_type,
            protocol,
            rebalances: entry.rebalances,
            last_cause: entry.last_cause.clone(),
        }
    }
}
