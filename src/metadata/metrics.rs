//! The beans of the controller. Handles live here; the proposer moves them, everything else is read
//! from the quorum and its image when asked.

mod loader;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pharos_base::{BrokerId, Clock};
use pharos_metrics::catalog::{controller as beans, log, node};
use pharos_metrics::{Attributes, BeanRow, Histogram, Meter, Registered, Registry, Sensor, Value};

use crate::decide::topic_name::CLUSTER_METADATA_TOPIC;
use crate::image::{MetadataDelta, MetadataImage, RegistrationState};
use crate::quorum::{LogFigures, Quorum};

pub(crate) use loader::LoaderMetrics;

/// Counters of a controller's work, and the beans that show them.
pub(crate) struct ControllerMetrics {
    registry: Registry,
    clock: Clock,
    queue_time: Registered<Histogram>,
    processing_time: Registered<Histogram>,
    unclean_elections: Registered<Meter>,
    _eligible_elections: Registered<Meter>,
    raft: Registered<Attributes>,
    append_records: Sensor,
    commit_latency: Sensor,
    election_latency: Sensor,
    counts: Arc<Counts>,
    beans: Mutex<Vec<Registered<()>>>,
    brokers: Mutex<BTreeMap<BrokerId, [Registered<()>; 2]>>,
}

#[derive(Default)]
struct Counts {
    active: AtomicBool,
    elections: AtomicI64,
    operations_started: AtomicI64,
    operations_timed_out: AtomicI64,
    timed_out_heartbeats: AtomicI64,
    errors: AtomicI64,
    busy_ns: Arc<AtomicI64>,
    contacts: Mutex<BTreeMap<BrokerId, i64>>,
}

fn long(value: i64) -> Value {
    Value::Long(value)
}

impl ControllerMetrics {
    /// Registers what needs no quorum yet.
    pub fn new(registry: &Registry) -> Self {
        let raft = registry.attributes(&node::RAFT_METRICS, &[]);
        Self {
            clock: registry.clock().clone(),
            queue_time: registry
                .histogram(&beans::CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_TIME_MS, &[]),
            processing_time: registry
                .histogram(&beans::CONTROLLER_EVENT_MANAGER_EVENT_QUEUE_PROCESSING_TIME_MS, &[]),
            unclean_elections: registry
                .meter(&beans::CONTROLLER_STATS_UNCLEAN_LEADER_ELECTIONS_PER_SEC, &[]),
            _eligible_elections: registry.meter(
                &beans::CONTROLLER_STATS_ELECTION_FROM_ELIGIBLE_LEADER_REPLICAS_PER_SEC,
                &[],
            ),
            append_records: raft.sensor("append-records"),
            commit_latency: raft.sensor("commit-latency"),
            election_latency: raft.sensor("election-latency"),
            raft,
            counts: Arc::default(),
            beans: Mutex::default(),
            brokers: Mutex::default(),
            registry: registry.clone(),
        }
    }

    /// Registers what is read from the quorum and its image.
    pub fn bind(&self, quorum: &Arc<Quorum>) {
        let mut handles = Vec::new();
        self.bind_counters(&mut handles);
        self.bind_image(quorum, &mut handles);
        self.bind_raft(quorum);
        self.bind_log(quorum, &mut handles);
        self.bind_snapshots(quorum, &mut handles);
        *self.beans.lock() = handles;
    }

    fn bind_counters(&self, handles: &mut Vec<Registered<()>>) {
        let mut counter = |row: &'static BeanRow, read: fn(&Counts) -> i64| {
            let counts = self.counts.clone();
            handles.push(self.registry.gauge_fn(row, &[], move || long(read(&counts))));
        };
        counter(&beans::KAFKA_CONTROLLER_ACTIVE_CONTROLLER_COUNT, |it| {
            i64::from(it.active.load(Ordering::Relaxed))
        });
        counter(&beans::KAFKA_CONTROLLER_NEW_ACTIVE_CONTROLLERS_COUNT, |it| {
            it.elections.load(Ordering::Relaxed)
        });
        counter(&beans::KAFKA_CONTROLLER_EVENT_QUEUE_OPERATIONS_STARTED_COUNT, |it| {
            it.operations_started.load(Ordering::Relaxed)
        });
        counter(&beans::KAFKA_CONTROLLER_EVENT_QUEUE_OPERATIONS_TIMED_OUT_COUNT, |it| {
            it.operations_timed_out.load(Ordering::Relaxed)
        });
        counter(&beans::KAFKA_CONTROLLER_TIMED_OUT_BROKER_HEARTBEAT_COUNT, |it| {
            it.timed_out_heartbeats.load(Ordering::Relaxed)
        });
        counter(&beans::KAFKA_CONTROLLER_METADATA_ERROR_COUNT, |it| {
            it.errors.load(Ordering::Relaxed)
        });
        counter(&beans::KAFKA_CONTROLLER_IGNORED_STATIC_VOTERS, |_| 0);
        let idle = self.idle();
        let row = &beans::CONTROLLER_EVENT_MANAGER_AVG_IDLE_RATIO;
        handles.push(self.registry.gauge_fn(row, &[], move || Value::Double(idle.read())));
    }

    fn bind_image(&self, quorum: &Arc<Quorum>, handles: &mut Vec<Registered<()>>) {
        let mut figure = |row: &'static BeanRow, read: fn(&MetadataImage) -> i64| {
            let quorum = quorum.clone();
            let read = move || long(read(&quorum.view().image));
            handles.push(self.registry.gauge_fn(row, &[], read));
        };
        figure(&beans::KAFKA_CONTROLLER_FENCED_BROKER_COUNT, |image| {
            brokers_in(image, RegistrationState::Fenced)
        });
        figure(&beans::KAFKA_CONTROLLER_ACTIVE_BROKER_COUNT, |image| {
            let shutting_down = brokers_in(image, RegistrationState::ControlledShutdown);
            brokers_in(image, RegistrationState::Active) + shutting_down
        });
        figure(&beans::KAFKA_CONTROLLER_CONTROLLED_SHUTDOWN_BROKER_COUNT, |image| {
            brokers_in(image, RegistrationState::ControlledShutdown)
        });
        figure(&beans::KAFKA_CONTROLLER_GLOBAL_TOPIC_COUNT, |image| {
            i64::try_from(image.topic_count()).unwrap_or(i64::MAX)
        });
        figure(&beans::KAFKA_CONTROLLER_GLOBAL_PARTITION_COUNT, |image| {
            image.partition_counts().total
        });
        figure(&beans::KAFKA_CONTROLLER_OFFLINE_PARTITIONS_COUNT, |image| {
            image.partition_counts().offline
        });
        figure(&beans::KAFKA_CONTROLLER_PREFERRED_REPLICA_IMBALANCE_COUNT, |image| {
            image.partition_counts().without_preferred_leader
        });
        figure(&beans::KAFKA_CONTROLLER_LAST_APPLIED_RECORD_OFFSET, |image| image.last_offset().0);
        figure(&beans::KAFKA_CONTROLLER_LAST_COMMITTED_RECORD_OFFSET, |image| {
            image.last_offset().0
        });
        figure(&beans::KAFKA_CONTROLLER_LAST_APPLIED_RECORD_TIMESTAMP, |image| {
            image.provenance().last_timestamp_ms
        });
        let (quorum, clock) = (quorum.clone(), self.clock.clone());
        let row = &beans::KAFKA_CONTROLLER_LAST_APPLIED_RECORD_LAG_MS;
        // Of the active controller, too: what Kafka 4.3 does, whatever its documentation says.
        let lag = move || long(lag_ms(&clock, &quorum.view().image));
        handles.push(self.registry.gauge_fn(row, &[], lag));
    }

    fn bind_raft(&self, quorum: &Arc<Quorum>) {
        let number = |attribute: &str, read: fn(&Quorum) -> i64| {
            let quorum = quorum.clone();
            self.raft.callback(attribute, move || long(read(&quorum)));
        };
        number("current-leader", |it| it.leader().map_or(-1, |id| i64::from(id.0)));
        number("current-epoch", Quorum::term);
        number("current-vote", Quorum::voted_for);
        number("high-watermark", |it| it.view().next_offset);
        number("log-end-offset", |it| it.log_figures().end_offset);
        number("log-end-epoch", Quorum::log_end_epoch);
        number("number-of-voters", |it| i64::try_from(it.voters().len()).unwrap_or(i64::MAX));
        number("number-of-observers", |_| 0);
        number("number-unknown-voter-connections", |_| 0);
        number("uncommitted-voter-change", |_| 0);
        let state = quorum.clone();
        self.raft.callback("current-state", move || Value::text(state.role_name()));
        let directory = quorum.directory_id().to_string();
        self.raft.callback("current-vote-directory-id", move || Value::text(&directory));
        let idle = self.idle();
        self.raft.callback("poll-idle-ratio-avg", move || Value::Double(idle.read()));
    }

    fn idle(&self) -> IdleRatio {
        IdleRatio::new(self.clock.clone(), self.counts.busy_ns.clone())
    }

    fn bind_snapshots(&self, quorum: &Arc<Quorum>, handles: &mut Vec<Registered<()>>) {
        let latest = quorum.latest_snapshot().clone();
        let row = &node::SNAPSHOT_EMITTER_LATEST_SNAPSHOT_GENERATED_BYTES;
        handles.push(self.registry.gauge_fn(row, &[], move || long(latest.bytes())));
        let (latest, clock) = (quorum.latest_snapshot().clone(), self.clock.clone());
        let row = &node::SNAPSHOT_EMITTER_LATEST_SNAPSHOT_GENERATED_AGE_MS;
        let age = move || long(latest.age_ms(clock.now_ms()));
        handles.push(self.registry.gauge_fn(row, &[], age));
    }

    /// The metadata log shows itself like any other partition's.
    fn bind_log(&self, quorum: &Arc<Quorum>, handles: &mut Vec<Registered<()>>) {
        let tags: &[(&str, &str)] = &[("topic", CLUSTER_METADATA_TOPIC), ("partition", "0")];
        let mut figure = |row: &'static BeanRow, read: fn(LogFigures) -> i64| {
            let quorum = quorum.clone();
            let read = move || long(read(quorum.log_figures()));
            handles.push(self.registry.gauge_fn(row, tags, read));
        };
        figure(&log::LOG_SIZE, |it| i64::try_from(it.size_bytes).unwrap_or(i64::MAX));
        figure(&log::LOG_NUM_LOG_SEGMENTS, |it| i64::try_from(it.segments).unwrap_or(i64::MAX));
        figure(&log::LOG_LOG_START_OFFSET, |it| it.start_offset);
        figure(&log::LOG_LOG_END_OFFSET, |it| it.end_offset);
        // It is shortened by snapshots, never by a share of a size.
        figure(&log::LOG_RETENTION_SIZE_IN_PERCENT, |_| 0);
    }

    /// Keeps the beans of single brokers in step with the image.
    pub fn follow(&self, after: &Arc<MetadataImage>, delta: &MetadataDelta, quorum: &Arc<Quorum>) {
        self.unclean_elections.mark(delta.unclean_elections);
        let mut brokers = self.brokers.lock();
        for id in &delta.brokers_changed {
            if after.broker(*id).is_none() {
                brokers.remove(id);
            } else {
                brokers.entry(*id).or_insert_with(|| self.broker_beans(*id, quorum));
            }
        }
    }

    fn broker_beans(&self, id: BrokerId, quorum: &Arc<Quorum>) -> [Registered<()>; 2] {
        let name = id.to_string();
        let tags: &[(&str, &str)] = &[("broker", &name)];
        let state = quorum.clone();
        let counts = self.counts.clone();
        let clock = self.clock.clone();
        let state = move || {
            long(state.view().image.broker(id).map_or(-1, |it| i64::from(it.state() as i32)))
        };
        let since = move || {
            let contact = counts.contacts.lock().get(&id).copied();
            let now = i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
            long(contact.map_or(-1, |contact| now.saturating_sub(contact)))
        };
        [
            self.registry.gauge_fn(&beans::KAFKA_CONTROLLER_BROKER_REGISTRATION_STATE, tags, state),
            self.registry.gauge_fn(
                &beans::KAFKA_CONTROLLER_TIME_SINCE_LAST_HEARTBEAT_RECEIVED_MS,
                tags,
                since,
            ),
        ]
    }

    pub fn set_active(&self, active: bool) {
        self.counts.active.store(active, Ordering::Relaxed);
    }

    /// This node became the active controller, `took` after it stood for it.
    pub fn elected(&self, took: Duration) {
        self.counts.elections.fetch_add(1, Ordering::Relaxed);
        self.set_active(true);
        self.election_latency.record(took.as_secs_f64() * 1000.0);
    }

    pub fn operation_timed_out(&self) {
        self.counts.operations_timed_out.fetch_add(1, Ordering::Relaxed);
    }

    pub fn job_started(&self, waited: Duration) {
        self.counts.operations_started.fetch_add(1, Ordering::Relaxed);
        self.queue_time.update(millis(waited));
    }

    pub fn jobs_done(&self, count: usize, took: Duration) {
        for _ in 0..count {
            self.processing_time.update(millis(took));
        }
        let busy = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        self.counts.busy_ns.fetch_add(busy, Ordering::Relaxed);
    }

    pub fn committed(&self, records: usize, took: Duration) {
        // A batch of records at once: the rate counts records.
        self.append_records.record(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
        self.commit_latency.record(took.as_secs_f64() * 1000.0);
    }

    pub fn heartbeat_timed_out(&self) {
        self.counts.timed_out_heartbeats.fetch_add(1, Ordering::Relaxed);
    }

    pub fn metadata_error(&self) {
        self.counts.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub fn set_contacts(&self, contacts: impl Iterator<Item = (BrokerId, i64)>) {
        *self.counts.contacts.lock() = contacts.collect();
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn brokers_in(image: &MetadataImage, state: RegistrationState) -> i64 {
    let count = image.brokers().filter(|broker| broker.state() == state).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Age of the last record of an image, in milliseconds; 0 before the first.
fn lag_ms(clock: &Clock, image: &MetadataImage) -> i64 {
    match image.provenance().last_timestamp_ms {
        -1 => 0,
        then => clock.now_ms().saturating_sub(then).max(0),
    }
}

/// Share of the time since it was last read in which a task had nothing to do.
struct IdleRatio {
    clock: Clock,
    busy_ns: Arc<AtomicI64>,
    last: Mutex<(Duration, i64)>,
}

impl IdleRatio {
    fn new(clock: Clock, busy_ns: Arc<AtomicI64>) -> Self {
        Self { last: Mutex::new((clock.monotonic(), 0)), clock, busy_ns }
    }

    fn read(&self) -> f64 {
        let mut last = self.last.lock();
        let (then, busy_then) = *last;
        let (now, busy) = (self.clock.monotonic(), self.busy_ns.load(Ordering::Relaxed));
        *last = (now, busy);
        let passed = now.saturating_sub(then).as_secs_f64();
        if passed <= 0.0 {
            return 1.0;
        }
        let worked = Duration::from_nanos(u64::try_from(busy - busy_then).unwrap_or(0));
        (1.0 - worked.as_secs_f64() / passed).clamp(0.0, 1.0)
    }
}
