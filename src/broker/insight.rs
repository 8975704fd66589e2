//! Keeps what insight shows in step: lag of groups, offsets of partitions, figures of the
//! metadata. Nothing here runs on a connection's task; clients' requests only leave a note.

use std::sync::Arc;
use std::time::Duration;

use pharos_base::BrokerId;
use pharos_insight::{
    ClusterFigures, EventKind, Events, GroupSnapshot, Happened, HotKeys, Lag, PartitionOffsets,
    of_metadata,
};
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metrics::Registry;
use pharos_replication::Replicas;
use pharos_storage::OpenReport;

use crate::groups::Groups;

/// How soon a commit or a rebalance shows.
const TOUCHED_EVERY: Duration = Duration::from_millis(200);
/// Rounds of touched groups between looks at all groups and at the records that wait.
const ROUNDS_BETWEEN_ALL: u32 = 5;

/// The families of insight.
#[derive(Debug)]
pub struct Insight {
    lag: Arc<Lag>,
    offsets: PartitionOffsets,
    cluster: ClusterFigures,
    events: Arc<Events>,
    hot_keys: Arc<HotKeys>,
}

impl Insight {
    /// Nothing is shown yet.
    pub fn new(registry: &Registry, replicas: &Arc<Replicas>) -> Arc<Self> {
        let events = Arc::new(Events::new(registry));
        Arc::new(Self {
            lag: Arc::new(Lag::new(registry, replicas.clone(), events.clone())),
            offsets: PartitionOffsets::new(registry, replicas.clone()),
            cluster: ClusterFigures::new(registry),
            events,
            hot_keys: Arc::new(HotKeys::new(registry, replicas.clone())),
        })
    }

    /// Where groups leave their notes.
    pub fn lag(&self) -> &Arc<Lag> {
        &self.lag
    }

    /// What happened.
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Which keys are hot.
    pub fn hot_keys(&self) -> &Arc<HotKeys> {
        &self.hot_keys
    }

    /// Remembers that node `id` started, and what it found.
    pub fn started(&self, id: BrokerId, found: &OpenReport) {
        let text = match found.unclean_dirs {
            0 => format!("started after a clean stop, with {} logs", found.logs),
            _ => format!(
                "started after an unclean stop: {} segments of {} logs were scanned, {} bytes cut off",
                found.recovered_segments, found.logs, found.truncated_bytes
            ),
        };
        let subject = format!("broker {id}");
        self.events.record(Happened { kind: EventKind::Recovery, subject, text });
    }

    /// Shows a step of the metadata, which the replicas have followed.
    pub fn follow(&self, before: &MetadataImage, image: &MetadataImage, delta: &MetadataDelta) {
        of_metadata(before, image, delta).into_iter().for_each(|event| self.events.record(event));
        self.offsets.follow(image, delta);
        self.cluster.follow(image, delta);
        self.hot_keys.follow(image, delta);
    }

    /// Follows the groups, for ever.
    pub async fn keep_current(self: Arc<Self>, groups: Arc<Groups>) {
        let mut interval = tokio::time::interval(TOUCHED_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut round = 0;
        loop {
            interval.tick().await;
            round = (round + 1) % ROUNDS_BETWEEN_ALL;
            if round != 0 {
                self.follow_touched(&groups);
                continue;
            }
            let (insight, groups) = (self.clone(), groups.clone());
            // Finding what waits may read logs.
            let all = move || insight.follow_all(&groups);
            if let Err(error) = tokio::task::spawn_blocking(all).await {
                tracing::error!(%error, "looking at the lag of groups failed");
            }
        }
    }

    fn follow_touched(&self, groups: &Groups) {
        for id in self.lag.take_touched() {
            self.lag.follow_group(&id, groups.snapshot(&id).as_ref());
        }
    }

    fn follow_all(&self, groups: &Groups) {
        let mut snapshots = Vec::new();
        groups.look(|shard| snapshots.extend(GroupSnapshot::all(shard)));
        self.lag.take_touched();
        self.lag.follow_all(&snapshots);
        self.lag.resolve();
        self.offsets.sweep();
    }
}
