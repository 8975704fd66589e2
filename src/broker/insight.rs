//! Keeps what insight shows in step: lag of groups, offsets of partitions, figures of the
//! metadata. Nothing here runs on a connection's task; clients' requests only leave a note.

use std::sync::Arc;
use std::time::Duration;

use pharos_insight::{ClusterFigures, GroupSnapshot, Lag, PartitionOffsets};
use pharos_metadata::image::{MetadataDelta, MetadataImage};
use pharos_metrics::Registry;
use pharos_replication::Replicas;

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
}

impl Insight {
    /// Nothing is shown yet.
    pub fn new(registry: &Registry, replicas: &Arc<Replicas>) -> Arc<Self> {
        Arc::new(Self {
            lag: Arc::new(Lag::new(registry, replicas.clone())),
            offsets: PartitionOffsets::new(registry, replicas.clone()),
            cluster: ClusterFigures::new(registry),
        })
    }

    /// Where groups leave their notes.
    pub fn lag(&self) -> &Arc<Lag> {
        &self.lag
    }

    /// Shows a step of the metadata, which the replicas have followed.
    pub fn follow(&self, image: &MetadataImage, delta: &MetadataDelta) {
        self.offsets.follow(image, delta);
        self.cluster.follow(image, delta);
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
