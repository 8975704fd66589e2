//! The series of one group and one topic, and of its partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use pharos_base::{Clock, Offset, PartitionId};
use pharos_metrics::{Counter, Gauge, Registered};
use pharos_replication::{Missing, Partition, Replicas};

use super::drain::Drain;
use super::families::Families;
use super::position::{Position, seconds};
use super::snapshot::CommittedOffset;
use super::status::{Commits, Status};
use crate::events::Events;

/// Where partitions are found, and what time it is.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) clock: Clock,
    pub(super) replicas: Arc<Replicas>,
    pub(super) events: Arc<Events>,
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
    /// In the order of [`Status::ALL`].
    status: [Registered<Gauge>; Status::ALL.len()],
    positions: Positions,
    drain: Arc<Drain>,
    /// Exist while a partition of the topic is led from here.
    sums: Option<[Registered<()>; 3]>,
    partitions: BTreeMap<PartitionId, PartitionSeries>,
}

#[derive(Debug)]
struct PartitionSeries {
    offset: Registered<Gauge>,
    committed_ms: i64,
    commits: Commits,
    followed: Option<Followed>,
}

/// A partition that is led from here, so that its lag is known.
#[derive(Debug)]
struct Followed {
    position: Arc<Position>,
    _series: [Registered<()>; 2],
}

/// How a group stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Index of the partition.
    pub partition: PartitionId,
    /// Whether the group keeps up there; none of a partition that is led elsewhere.
    pub status: Option<&'static str>,
    /// When it last committed, in ms since 1970.
    pub committed_ms: i64,
    /// Records that retention deleted before the group had read them, since this node follows it.
    pub expired: u64,
}

impl TopicSeries {
    pub(super) fn new(families: &Families, group: &Arc<str>, topic: &Arc<str>) -> Self {
        let labels: [&str; 2] = [group, topic];
        Self {
            labels: [group.clone(), topic.clone()],
            offset_sum: families.current_offset_sum.gauge(&labels),
            last_commit: families.last_commit.gauge(&labels),
            expired: families.expired_records.counter(&labels),
            status: Status::ALL.map(|status| families.status.gauge(&[group, topic, status.name()])),
            drain: Arc::default(),
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
        let mut changed = false;
        let (mut sum, mut last_ms) = (0i64, i64::MIN);
        for committed in offsets {
            // A client may commit any number.
            sum = sum.saturating_add(committed.offset.0);
            last_ms = last_ms.max(committed.committed_ms);
            changed |= self.partition(families, around, committed);
        }
        self.offset_sum.set(sum as f64);
        self.last_commit.set(seconds(last_ms));
        if self.partitions.len() > offsets.len() {
            let stay: BTreeSet<PartitionId> = offsets.iter().map(|of| of.partition).collect();
            self.partitions.retain(|id, _| stay.contains(id));
            changed = true;
        }
        if changed {
            self.gather(families, around);
        }
        self.judge(around);
    }

    /// Shows the status of the partition that fares worst.
    fn judge(&self, around: &Surroundings) {
        let now_ms = around.clock.now_ms();
        let status_of = |series: &PartitionSeries| {
            let followed = series.followed.as_ref()?;
            Some(series.commits.status(now_ms, followed.position.lag()))
        };
        // Partitions are numbered from 0 without gaps: there are more than commits if this one is.
        let next = i32::try_from(self.partitions.len()).map(PartitionId);
        let [_, topic] = &self.labels;
        let beyond = next
            .is_ok_and(|next| !matches!(around.replicas.find(topic, next), Err(Missing::Unknown)));
        let least = if beyond { Status::NoOffset } else { Status::Ok };
        let worst = self.partitions.values().filter_map(status_of).fold(least, Status::max);
        for (status, series) in Status::ALL.iter().zip(&self.status) {
            series.set(if *status == worst { 1.0 } else { 0.0 });
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
            PartitionSeries {
                offset,
                committed_ms: committed.committed_ms,
                commits: Commits::default(),
                followed: None,
            }
        });
        series.offset.set(committed.offset.0 as f64);
        series.committed_ms = committed.committed_ms;
        match &series.followed {
            Some(followed) if followed.position.is_led() => {
                count(&self.expired, followed.position.commit(committed.offset));
                let lag = followed.position.lag();
                series.commits.note(committed.committed_ms, committed.offset.0, lag);
                return false;
            }
            _ => {}
        }
        let found = around.replicas.find(topic, committed.partition).ok();
        let led = found.filter(|partition| partition.role().leads);
        let followed =
            led.map(|led| Followed::new(families, around, &labels, led, committed.offset));
        let changed = series.followed.is_some() || followed.is_some();
        if let Some(followed) = &followed {
            let lag = followed.position.lag();
            series.commits.note(committed.committed_ms, committed.offset.0, lag);
        }
        series.followed = followed;
        changed
    }

    /// Tells the sums which positions there are.
    fn gather(&mut self, families: &Families, around: &Surroundings) {
        self.drain.restart();
        let followed = self.partitions.values().filter_map(|series| series.followed.as_ref());
        let positions: Vec<_> = followed.map(|followed| followed.position.clone()).collect();
        if positions.is_empty() {
            self.sums = None;
        } else if self.sums.is_none() {
            let labels = self.labels.each_ref().map(|label| &**label);
            let [all, left, each] = [(); 3].map(|()| self.positions.clone());
            let lag = move || sum(&all) as f64;
            let (drain, clock) = (self.drain.clone(), around.clock.clone());
            let drained = move || drain.seconds(clock.now_ms(), sum(&left));
            let longest = move || each.read().iter().map(|at| at.lag_seconds()).fold(0.0, f64::max);
            self.sums = Some([
                families.lag_sum.gauge_fn(&labels, lag),
                families.lag_seconds_max.gauge_fn(&labels, longest),
                families.drain_seconds.gauge_fn(&labels, drained),
            ]);
        }
        *self.positions.write() = positions;
    }

    /// How each partition stands.
    pub(super) fn standings(&self, now_ms: i64) -> impl Iterator<Item = Standing> {
        let [_, topic] = &self.labels;
        self.partitions.iter().map(move |(id, series)| {
            let position = series.followed.as_ref().map(|followed| &followed.position);
            let status = position.map(|at| series.commits.status(now_ms, at.lag()).name());
            Standing {
                topic: topic.clone(),
                partition: *id,
                status,
                committed_ms: series.committed_ms,
                expired: position.map_or(0, |at| at.all_expired()),
            }
        })
    }

    /// The positions that are followed, and where records that were never read are counted.
    pub(super) fn watched(&self) -> Watched {
        Watched {
            positions: self.positions.clone(),
            drain: self.drain.clone(),
            expired: Counter::clone(&self.expired),
        }
    }
}

/// The lag of all.
fn sum(positions: &Positions) -> i64 {
    positions.read().iter().map(|at| at.lag()).fold(0, i64::saturating_add)
}

/// Counts records that were deleted unread.
fn count(expired: &Counter, unread: u64) {
    if unread > 0 {
        expired.increment(unread);
    }
}

/// What is looked at anew while nobody commits.
pub(super) struct Watched {
    positions: Positions,
    drain: Arc<Drain>,
    expired: Counter,
}

impl Watched {
    /// Notes how far the group is behind, and see [`Position::resolve`].
    pub(super) fn resolve(&self, now_ms: i64) {
        self.drain.sample(now_ms, sum(&self.positions));
        let positions = self.positions.read().clone();
        for position in positions {
            position.resolve();
            count(&self.expired, position.expired());
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
