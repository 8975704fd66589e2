//! The shards of a coordinator: how many are loading, active or failed, and what their events
//! cost. An event here runs on its connection's task: it waits for the shard's lock (queue), runs
//! (processing), appends (flush) and waits for the commit (purgatory).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pharos_coordinator::GroupMetrics;
use pharos_metrics::catalog::coordinator as rows;
use pharos_metrics::{Attributes, BeanRow, Gauge, Registered, Registry, Sensor, Value};

#[derive(Debug, Default)]
struct Counts {
    loading: AtomicI64,
    active: AtomicI64,
    failed: AtomicI64,
}

impl Counts {
    fn of(&self, stage: ShardStage) -> &AtomicI64 {
        match stage {
            ShardStage::Loading => &self.loading,
            ShardStage::Active => &self.active,
            ShardStage::Failed => &self.failed,
        }
    }
}

/// Where a shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardStage {
    /// Its log is being read.
    Loading,
    /// It answers.
    Active,
    /// Its log cannot be read.
    Failed,
}

/// Counts a shard in one stage for as long as it lives.
#[derive(Debug)]
pub struct Staged {
    counts: Arc<Counts>,
    stage: ShardStage,
}

/// The sensors that every event of every shard moves. Cloning shares them.
#[derive(Clone, Debug)]
pub struct EventSensors {
    queue: Sensor,
    processing: Sensor,
    purgatory: Sensor,
    flush_time: Sensor,
    flushes: Sensor,
    load: Sensor,
    busy_nanos: Arc<AtomicU64>,
}

/// The beans of the group coordinator's shards.
pub struct ShardMetrics {
    counts: Arc<Counts>,
    sensors: EventSensors,
    idle: Gauge,
    background_idle: Gauge,
    last: Mutex<(Instant, u64)>,
    _beans: Vec<Registered<Attributes>>,
}

impl std::fmt::Debug for ShardMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ShardMetrics({:?})", self.counts)
    }
}

impl ShardMetrics {
    /// Registers the beans by stage; `groups` holds the sensors.
    pub fn new(registry: &Registry, groups: &GroupMetrics) -> Self {
        let counts: Arc<Counts> = Arc::default();
        let bean = |row: &'static BeanRow, stage: ShardStage| {
            let bean = registry.attributes(row, &[]);
            let counts = counts.clone();
            bean.callback("num-partitions", move || {
                Value::Long(counts.of(stage).load(Ordering::Relaxed))
            });
            bean
        };
        let beans = vec![
            bean(&rows::GROUP_COORDINATOR_METRICS_BY_LOADING, ShardStage::Loading),
            bean(&rows::GROUP_COORDINATOR_METRICS_BY_ACTIVE, ShardStage::Active),
            bean(&rows::GROUP_COORDINATOR_METRICS_BY_FAILED, ShardStage::Failed),
        ];
        let sensors = EventSensors {
            queue: groups.sensor("event-queue-time"),
            processing: groups.sensor("event-processing-time"),
            purgatory: groups.sensor("event-purgatory-time"),
            flush_time: groups.sensor("batch-flush-time"),
            flushes: groups.sensor("batch-flush"),
            load: groups.sensor("partition-load-time"),
            busy_nanos: Arc::default(),
        };
        let metrics = Self {
            counts,
            sensors,
            idle: groups.gauge("thread-idle-ratio-avg"),
            background_idle: groups.gauge("background-thread-idle-ratio-avg"),
            last: Mutex::new((Instant::now(), 0)),
            _beans: beans,
        };
        metrics.idle.set(1.0);
        // Nothing of a group runs in the background.
        metrics.background_idle.set(1.0);
        metrics
    }

    /// Counts a shard in `stage` until the return value drops.
    pub fn stage(&self, stage: ShardStage) -> Staged {
        self.counts.of(stage).fetch_add(1, Ordering::Relaxed);
        Staged { counts: self.counts.clone(), stage }
    }

    /// What events report to.
    pub fn sensors(&self) -> &EventSensors {
        &self.sensors
    }

    /// Works out how idle event processing was since the last time. Call it about once a second.
    pub fn sample_idle(&self) {
        let busy = self.sensors.busy_nanos.load(Ordering::Relaxed);
        let now = Instant::now();
        let (then, before) = std::mem::replace(&mut *self.last.lock(), (now, busy));
        let elapsed = now.saturating_duration_since(then).as_secs_f64();
        if elapsed > 0.0 {
            self.show_idle(elapsed, Duration::from_nanos(busy.saturating_sub(before)));
        }
    }

    /// Of the last `elapsed` seconds events took `worked`.
    pub(crate) fn show_idle(&self, elapsed: f64, worked: Duration) {
        self.idle.set((1.0 - worked.as_secs_f64() / elapsed).clamp(0.0, 1.0));
    }
}

impl Staged {
    /// The shard has come to `stage`.
    pub fn enter(&mut self, stage: ShardStage) {
        self.counts.of(stage).fetch_add(1, Ordering::Relaxed);
        self.counts.of(self.stage).fetch_sub(1, Ordering::Relaxed);
        self.stage = stage;
    }

    /// Whether the shard answers.
    pub fn is_active(&self) -> bool {
        self.stage == ShardStage::Active
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.counts.of(self.stage).fetch_sub(1, Ordering::Relaxed);
    }
}

impl EventSensors {
    /// An event waited for its shard and then took effect.
    pub fn event(&self, arrived: Instant, began: Instant) {
        self.event_took(began.saturating_duration_since(arrived), began.elapsed());
    }

    /// An event waited and was processed for so long.
    pub(crate) fn event_took(&self, waited: Duration, took: Duration) {
        self.queue.record(millis(waited));
        self.processing.record(millis(took));
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// A batch of records was appended.
    pub fn flushed(&self, took: Duration) {
        self.flush_time.record(millis(took));
        self.flushes.record(1.0);
    }

    /// An answer waited for the commit of its records.
    pub fn committed(&self, took: Duration) {
        self.purgatory.record(millis(took));
    }

    /// A shard was loaded.
    pub fn loaded(&self, took: Duration) {
        self.load.record(millis(took));
    }
}

/// Whole milliseconds, as Kafka's clock tells them.
fn millis(time: Duration) -> f64 {
    f64::from(u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;

    use super::*;

    #[test]
    fn shards_are_counted_by_stage_and_events_by_time() {
        let registry = Registry::new(Clock::simulated(0).0);
        let groups = GroupMetrics::new(&registry);
        let shards = ShardMetrics::new(&registry, &groups);
        let read = |tags: &str, attribute: &str| {
            registry.read(&format!("kafka.server:type=group-coordinator-metrics{tags}"), attribute)
        };
        let mut shard = shards.stage(ShardStage::Loading);
        let _failed = shards.stage(ShardStage::Failed);
        assert_eq!(read(",state=loading", "num-partitions"), Some(Value::Long(1)));
        shard.enter(ShardStage::Active);
        assert!(shard.is_active());
        assert_eq!(read(",state=loading", "num-partitions"), Some(Value::Long(0)));
        assert_eq!(read(",state=active", "num-partitions"), Some(Value::Long(1)));
        assert_eq!(read(",state=failed", "num-partitions"), Some(Value::Long(1)));
        drop(shard);
        assert_eq!(read(",state=active", "num-partitions"), Some(Value::Long(0)));

        shards.sensors().loaded(Duration::from_millis(40));
        shards.sensors().loaded(Duration::from_millis(20));
        shards.sensors().flushed(Duration::from_millis(3));
        shards.sensors().committed(Duration::from_millis(5));
        assert_eq!(read("", "partition-load-time-avg"), Some(Value::Double(30.0)));
        assert_eq!(read("", "partition-load-time-max"), Some(Value::Double(40.0)));
        assert_eq!(read("", "batch-flush-time-ms-max"), Some(Value::Double(3.0)));
        assert_eq!(read("", "event-purgatory-time-ms-max"), Some(Value::Double(5.0)));
        assert_eq!(read("", "thread-idle-ratio-avg"), Some(Value::Double(1.0)));
    }
}
