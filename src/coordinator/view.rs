//! What metrics read of a shard, without asking the shard: counters and gauges that it keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use pharos_metrics::{NativeHistogram, Registered, Sensor};

/// The state of a group as metrics count it, classic and consumer groups apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// Classic, no members.
    ClassicEmpty,
    /// Classic, gathering members.
    ClassicPreparingRebalance,
    /// Classic, waiting for the leader's assignment.
    ClassicCompletingRebalance,
    /// Classic, all assigned.
    ClassicStable,
    /// Consumer, no members.
    ConsumerEmpty,
    /// Consumer, the target assignment is older than the group.
    ConsumerAssigning,
    /// Consumer, members are on their way to the target assignment.
    ConsumerReconciling,
    /// Consumer, every member has its target assignment.
    ConsumerStable,
}

impl GroupState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ClassicEmpty,
        Self::ClassicPreparingRebalance,
        Self::ClassicCompletingRebalance,
        Self::ClassicStable,
        Self::ConsumerEmpty,
        Self::ConsumerAssigning,
        Self::ConsumerReconciling,
        Self::ConsumerStable,
    ];

    /// The name that clients see.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClassicEmpty | Self::ConsumerEmpty => "Empty",
            Self::ClassicPreparingRebalance => "PreparingRebalance",
            Self::ClassicCompletingRebalance => "CompletingRebalance",
            Self::ClassicStable | Self::ConsumerStable => "Stable",
            Self::ConsumerAssigning => "Assigning",
            Self::ConsumerReconciling => "Reconciling",
        }
    }

    /// Whether it is a state of classic groups.
    pub fn is_classic(self) -> bool {
        matches!(
            self,
            Self::ClassicEmpty
                | Self::ClassicPreparingRebalance
                | Self::ClassicCompletingRebalance
                | Self::ClassicStable
        )
    }

    /// Whether no rebalance is under way.
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Self::ClassicEmpty | Self::ClassicStable | Self::ConsumerEmpty | Self::ConsumerStable
        )
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Figures of one shard, or the sum of several that share it. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Figures>);

/// Where counters are also counted by time, for beans with rates.
pub(crate) struct Sensors {
    pub commits: Sensor,
    pub expirations: Sensor,
    pub deletions: Sensor,
    pub classic_rebalances: Sensor,
    pub consumer_rebalances: Sensor,
    /// Durations in seconds.
    pub classic_durations: Registered<NativeHistogram>,
    pub consumer_durations: Registered<NativeHistogram>,
}

impl std::fmt::Debug for Sensors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sensors")
    }
}

#[derive(Debug, Default)]
struct Figures {
    sensors: Option<Sensors>,
    groups: [AtomicI64; 8],
    offsets: AtomicI64,
    classic_rebalances: AtomicU64,
    consumer_rebalances: AtomicU64,
    commits: AtomicU64,
    expirations: AtomicU64,
    deletions: AtomicU64,
}

impl Tally {
    /// Groups in `state` now.
    pub fn groups(&self, state: GroupState) -> i64 {
        self.0.groups.get(state.index()).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Classic groups now.
    pub fn classic_groups(&self) -> i64 {
        GroupState::ALL
            .into_iter()
            .filter(|state| state.is_classic())
            .map(|state| self.groups(state))
            .sum()
    }

    /// Consumer groups now.
    pub fn consumer_groups(&self) -> i64 {
        GroupState::ALL
            .into_iter()
            .filter(|state| !state.is_classic())
            .map(|state| self.groups(state))
            .sum()
    }

    /// Partitions with a committed offset now.
    pub fn offsets(&self) -> i64 {
        self.0.offsets.load(Ordering::Relaxed)
    }

    /// Classic generations that became stable (`group-completed-rebalance-count`).
    pub fn classic_rebalances(&self) -> u64 {
        self.0.classic_rebalances.load(Ordering::Relaxed)
    }

    /// Epochs that heartbeats began (`consumer-group-rebalance-count`).
    pub fn consumer_rebalances(&self) -> u64 {
        self.0.consumer_rebalances.load(Ordering::Relaxed)
    }

    /// Offsets committed (`offset-commit-count`).
    pub fn commits(&self) -> u64 {
        self.0.commits.load(Ordering::Relaxed)
    }

    /// Offsets expired (`offset-expiration-count`).
    pub fn expirations(&self) -> u64 {
        self.0.expirations.load(Ordering::Relaxed)
    }

    /// Offsets deleted by request (`offset-deletion-count`).
    pub fn deletions(&self) -> u64 {
        self.0.deletions.load(Ordering::Relaxed)
    }

    pub(crate) fn with_sensors(sensors: Sensors) -> Self {
        Self(Arc::new(Figures { sensors: Some(sensors), ..Figures::default() }))
    }

    pub(crate) fn classic_rebalance_completed(&self) {
        self.count(&self.0.classic_rebalances, 1, |sensors| &sensors.classic_rebalances);
    }

    pub(crate) fn consumer_rebalance_started(&self) {
        self.count(&self.0.consumer_rebalances, 1, |sensors| &sensors.consumer_rebalances);
    }

    /// A rebalance that ended in `state` took so long.
    pub(crate) fn rebalance_took(&self, state: GroupState, took_ms: i64) {
        let Some(sensors) = &self.0.sensors else { return };
        let durations = if state.is_classic() {
            &sensors.classic_durations
        } else {
            &sensors.consumer_durations
        };
        durations.record(Duration::from_millis(u64::try_from(took_ms).unwrap_or(0)));
    }

    pub(crate) fn offsets_committed(&self, count: usize) {
        self.count(&self.0.commits, count, |sensors| &sensors.commits);
    }

    pub(crate) fn offsets_expired(&self, count: usize) {
        self.count(&self.0.expirations, count, |sensors| &sensors.expirations);
    }

    pub(crate) fn offsets_deleted(&self, count: usize) {
        self.count(&self.0.deletions, count, |sensors| &sensors.deletions);
    }

    fn count(&self, counter: &AtomicU64, count: usize, sensor: impl Fn(&Sensors) -> &Sensor) {
        if count == 0 {
            return;
        }
        counter.fetch_add(count as u64, Ordering::Relaxed);
        if let Some(sensors) = &self.0.sensors {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            sensor(sensors).record(f64::from(count));
        }
    }

    /// A group changed from one state to another; `None` stands for not being there.
    pub(crate) fn group_moved(&self, from: Option<GroupState>, to: Option<GroupState>) {
        for (state, step) in [(from, -1), (to, 1)] {
            if let Some(count) = state.and_then(|state| self.0.groups.get(state.index())) {
                count.fetch_add(step, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn offsets_moved(&self, from: usize, to: usize) {
        let delta = i64::try_from(to).unwrap_or(0) - i64::try_from(from).unwrap_or(0);
        self.0.offsets.fetch_add(delta, Ordering::Relaxed);
    }
}
