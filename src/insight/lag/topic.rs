//! The series of one group and one topic, and of its partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use pharos_base::{Clock, Offset, PartitionId};
use pharos_metrics::{Counter, Gauge, Registered};
use pharos_replication::{Partition, Replicas};

use super::families::Families;
use super::position::{Position, seconds};
use super::snapshot::CommittedOffset;

/// Where partitions are found, and what time it is.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) clock: Clock,
    pub(super) replicas: Arc<Replicas>,
}

/// The positions of one group in one topic, shared with the series that sum them up.
type Positions = Arc<RwLock<Vec<Arc<Position>>>>;

/// The series of one group and topic.
#[derive(Debug)]
pub(super) struct TopicSeries {
    labels: [Arc<str>; 2],
    offset_sum: Registered<Gauge>,
    last_commit: Registered<Gauge>,
    expired: Registered<Counter>,
    positions: Positions,
    /// Exist while a partition of the topic is led from here.
    sums: Option<[Registered<()>; 2]>,
    partitions: BTreeMap<PartitionId, PartitionSeries>,
}

#[derive(Debug)]
struct PartitionSeries {
    offset: Registered<Gauge>,
    followed: Option<Followed>,
}

/// A partition that is led from here, so that its lag is known.
#[derive(Debug)]
struct Followed {
    position: Arc<Position>,
    _series: [Registered<()>; 2],
}

impl TopicSeries {
    pub(super) fn new(families: &Families, group: &Arc<str>, topic: &Arc<str>) -> Self {
        let labels: [&str; 2] = [group, topic];
        Self {
            labels: [group.clone(), topic.clone()],
            offset_sum: families.current_offset_sum.gauge(&labels),
            last_commit: families.last_commit.gauge(&labels),
            expired: families.expired_records.counter(&labels),
            positions: Positions::default(),
            sums: None,
            partitions: BTreeMap::new(),
        }
    }

    /// Takes over the offsets that the group has committed, at least one, all of this topic.
    pub(super) fn follow(
        &mut self,
        families: &Families,
        around: &Surroundings,
        offsets: &[CommittedOffset],
    ) {
        let before = self.partitions.len();
        let mut changed = false;
        let (mut sum, mut last_ms) = (0, i64::MIN);
        for committed in offsets {
            sum += committed.offset.0;
            last_ms = last_ms.max(committed.committed_ms);
            changed |= self.partition(families, around, committed);
        }
        self.offset_sum.set(sum as f64);
        self.last_commit.set(seconds(last_ms));
        if before > offsets.len() || self.partitions.len() > offsets.len() {
            let stays = |id: &PartitionId| offsets.iter().any(|of| of.partition == *id);
            self.partitions.retain(|id, _| stays(id));
            changed = true;
        }
        if changed {
            self.gather(families);
        }
    }

    /// Takes over one offset; true when the partition is followed now and was not, or the reverse.
    fn partition(
        &mut self,
        families: &Families,
        around: &Surroundings,
        committed: &CommittedOffset,
    ) -> bool {
        let [group, topic] = &self.labels;
        let index = committed.partition.to_string();
        let labels: [&str; 3] = [group, topic, &index];
        let series = self.partitions.entry(committed.partition).or_insert_with(|| {
            let offset = families.current_offset.gauge(&labels);
            PartitionSeries { offset, followed: None }
        });
        series.offset.set(committed.offset.0 as f64);
        match &series.followed {
            Some(followed) if followed.position.is_led() => {
                followed.position.commit(committed.offset);
                return false;
            }
            _ => {}
        }
        let found = around.replicas.find(topic, committed.partition).ok();
        let led = found.filter(|partition| partition.role().leads);
        let followed =
            led.map(|led| Followed::new(families, around, &labels, led, committed.offset));
        let changed = series.followed.is_some() || followed.is_some();
        series.followed = followed;
        changed
    }

    /// Tells the sums which positions there are.
    fn gather(&mut self, families: &Families) {
        let followed = self.partitions.values().filter_map(|series| series.followed.as_ref());
        let positions: Vec<_> = followed.map(|followed| followed.position.clone()).collect();
        if positions.is_empty() {
            self.sums = None;
        } else if self.sums.is_none() {
            let labels = self.labels.each_ref().map(|label| &**label);
            let (all, each) = (self.positions.clone(), self.positions.clone());
            let lag = move || all.read().iter().map(|at| at.lag()).sum::<i64>() as f64;
            let longest = move || each.read().iter().map(|at| at.lag_seconds()).fold(0.0, f64::max);
            self.sums = Some([
                families.lag_sum.gauge_fn(&labels, lag),
                families.lag_seconds_max.gauge_fn(&labels, longest),
            ]);
        }
        *self.positions.write() = positions;
    }

    /// The positions that are followed, and where records that were never read are counted.
    pub(super) fn watched(&self) -> Watched {
        Watched { positions: self.positions.clone(), expired: Counter::clone(&self.expired) }
    }
}

/// What is looked at anew while nobody commits.
pub(super) struct Watched {
    positions: Positions,
    expired: Counter,
}

impl Watched {
    /// See [`Position::resolve`].
    pub(super) fn resolve(&self) {
        let positions = self.positions.read().clone();
        for position in positions {
            let unread = position.resolve();
            if unread > 0 {
                self.expired.increment(unread);
            }
        }
    }
}

impl Followed {
    fn new(
        families: &Families,
        around: &Surroundings,
        labels: &[&str; 3],
        partition: Arc<Partition>,
        committed: Offset,
    ) -> Self {
        let position = Arc::new(Position::new(around.clock.clone(), partition, committed));
        let (lag, waits) = (position.clone(), position.clone());
        let series = [
            families.lag.gauge_fn(labels, move || lag.lag() as f64),
            families.lag_seconds.gauge_fn(labels, move || waits.lag_seconds()),
        ];
        Self { position, _series: series }
    }
}
