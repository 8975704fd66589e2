//! How far groups are behind: offsets, records and seconds, beside members and states.
//!
//! What moves on a commit is told by [`Lag::follow_group`]; what moves on an append is read when
//! it is asked for, from the log's atomics. [`Lag::resolve`] finds the records that wait.
//!
//! ```text
//! commit, join, ...  -> lag.touch(group)
//! every 200 ms       -> for id in lag.take_touched(): lag.follow_group(id, snapshot of id)
//! every second       -> lag.follow_all(snapshots of all shards), for what no request tells of;
//!                       lag.resolve(), on a thread that may wait for a disk
//! ```

mod drain;
mod families;
mod group;
mod oldest;
mod position;
mod snapshot;
mod status;
#[cfg(test)]
mod tests;
mod topic;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use pharos_metrics::{Gauge, Registered, Registry};
use pharos_replication::Replicas;

use self::families::Families;
use self::group::GroupSeries;
pub use self::snapshot::{CommittedOffset, GroupSnapshot};
pub use self::topic::Standing;
use self::topic::Surroundings;
use crate::events::Events;

/// Groups that are remembered as touched; what comes beyond waits for the next look at all.
const MAX_TOUCHED: usize = 100_000;
/// Groups that are shown by themselves. One takes some thirty series, and a client may make a group
/// with each request: of what comes beyond only the members are shown, in the sum of `(other)`.
const MAX_SHOWN: usize = 10_000;

/// The lag of the groups that this node coordinates, as native families `kafka_consumergroup_*`.
#[derive(Debug)]
pub struct Lag {
    families: Families,
    around: Surroundings,
    groups: Mutex<Groups>,
    touched: Mutex<HashSet<Arc<str>>>,
}

/// The groups with the series that show them.
#[derive(Debug, Default)]
struct Groups {
    whole: HashMap<Arc<str>, GroupSeries>,
    /// Beyond the limit, with their share of the members' `(other)`.
    folded: HashMap<Arc<str>, Registered<Gauge>>,
}

impl Groups {
    fn remove(&mut self, id: &Arc<str>) {
        self.whole.remove(id);
        self.folded.remove(id);
    }
}

impl Lag {
    /// No groups yet. Time is the registry's clock, which must be that of the logs.
    pub fn new(registry: &Registry, replicas: Arc<Replicas>, events: Arc<Events>) -> Self {
        Self {
            families: Families::new(registry),
            around: Surroundings { clock: registry.clock().clone(), replicas, events },
            groups: Mutex::default(),
            touched: Mutex::default(),
        }
    }

    /// Notes that something about a group may have changed. Cheap: whoever answers clients calls
    /// it.
    pub fn touch(&self, group: &str) {
        let mut touched = self.touched.lock();
        if touched.len() < MAX_TOUCHED && !touched.contains(group) {
            touched.insert(group.into());
        }
    }

    /// The groups that were touched since the last call.
    pub fn take_touched(&self) -> Vec<Arc<str>> {
        self.touched.lock().drain().collect()
    }

    /// Shows the group `id` as it is now; `None` takes its series away.
    pub fn follow_group(&self, id: &Arc<str>, snapshot: Option<&GroupSnapshot>) {
        let mut groups = self.groups.lock();
        match snapshot {
            Some(snapshot) => self.show(&mut groups, snapshot),
            None => groups.remove(id),
        }
    }

    /// Shows all groups of this node as they are now; the series of others leave.
    pub fn follow_all(&self, snapshots: &[GroupSnapshot]) {
        let mut groups = self.groups.lock();
        for snapshot in snapshots {
            self.show(&mut groups, snapshot);
        }
        if groups.whole.len() + groups.folded.len() > snapshots.len() {
            let here: HashSet<_> = snapshots.iter().map(|snapshot| &snapshot.group.id).collect();
            groups.whole.retain(|id, _| here.contains(id));
            groups.folded.retain(|id, _| here.contains(id));
        }
    }

    fn show(&self, groups: &mut Groups, snapshot: &GroupSnapshot) {
        let id = &snapshot.group.id;
        if let Some(series) = groups.whole.get_mut(id) {
            series.follow(&self.families, &self.around, snapshot);
            return;
        }
        // Once folded, a group stays so until it leaves, as its series do.
        let is_folded = groups.folded.contains_key(id);
        if is_folded || groups.whole.len() >= MAX_SHOWN {
            let members = || self.families.members.gauge(&[id]);
            let series = groups.folded.entry(id.clone()).or_insert_with(members);
            series.set(snapshot.group.members as f64);
            return;
        }
        let mut series = GroupSeries::new(&self.families, &self.around, id);
        series.follow(&self.families, &self.around, snapshot);
        groups.whole.insert(id.clone(), series);
    }

    /// How a group stands in each partition that it has committed in, by topic and number; nothing
    /// of a group that is not shown by itself.
    pub fn standings(&self, group: &str) -> Option<Vec<Standing>> {
        let now_ms = self.around.clock.now_ms();
        let groups = self.groups.lock();
        groups.whole.get(group).map(|series| series.standings(now_ms).collect())
    }

    /// Finds the oldest record that waits in each partition, where a commit or the log start has
    /// moved since, and counts records that retention deleted unread. May read logs.
    pub fn resolve(&self) {
        let watched: Vec<_> =
            self.groups.lock().whole.values().flat_map(GroupSeries::watched).collect();
        let now_ms = self.around.clock.now_ms();
        for watched in watched {
            watched.resolve(now_ms);
        }
    }
}
