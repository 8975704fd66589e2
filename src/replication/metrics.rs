//! What partitions and the replica manager show: `kafka.cluster:type=Partition` and
//! `kafka.server:type=ReplicaManager`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use pharos_base::{BrokerId, TopicPartition};
use pharos_metadata::image::PartitionRegistration;
use pharos_metrics::catalog::{cluster, native, replicas as rows};
use pharos_metrics::{BeanRow, Counter, Meter, Registered, Registry, Value};

/// The figures that the beans of one partition read. They are those of its leader; elsewhere the
/// beans read 0, as Kafka's do.
#[derive(Debug, Default)]
pub(crate) struct PartitionFigures {
    leads: AtomicBool,
    in_sync: AtomicUsize,
    replicas: AtomicUsize,
    min_in_sync: AtomicUsize,
    reassigning: AtomicBool,
}

impl PartitionFigures {
    fn required(&self) -> usize {
        let replicas = self.replicas.load(Ordering::Relaxed);
        self.min_in_sync.load(Ordering::Relaxed).min(replicas)
    }

    fn in_sync(&self) -> usize {
        self.in_sync.load(Ordering::Relaxed)
    }

    fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    fn under_replicated(&self) -> bool {
        self.leads() && self.in_sync() < self.replicas.load(Ordering::Relaxed)
    }

    fn under_min_isr(&self) -> bool {
        self.leads() && self.in_sync() < self.required()
    }

    fn at_min_isr(&self) -> bool {
        self.leads() && self.in_sync() == self.required()
    }
}

/// The beans of one partition; they go with it.
#[derive(Debug)]
pub(crate) struct PartitionMetrics {
    figures: Arc<PartitionFigures>,
    registry: Registry,
    /// Here while this broker leads: the series have one owner.
    traffic: RwLock<Option<Traffic>>,
    _beans: Vec<Registered<()>>,
}

/// What clients move through a partition, counted since this broker leads it.
#[derive(Debug)]
struct Traffic {
    bytes_in: Registered<Counter>,
    bytes_out: Registered<Counter>,
}

impl Traffic {
    fn new(registry: &Registry, id: &TopicPartition) -> Self {
        let index = id.partition.to_string();
        let labels: [&str; 2] = [&id.topic, &index];
        let counter = |row| registry.family(row).counter(&labels);
        Self {
            bytes_in: counter(&native::PHAROS_PARTITION_BYTES_IN_TOTAL),
            bytes_out: counter(&native::PHAROS_PARTITION_BYTES_OUT_TOTAL),
        }
    }
}

impl PartitionMetrics {
    /// Registers the beans. `unstable` reads the high watermark minus the last stable offset.
    pub(crate) fn new(
        registry: &Registry,
        id: &TopicPartition,
        unstable: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        let figures = Arc::new(PartitionFigures::default());
        let partition = id.partition.to_string();
        let tags = [("topic", &*id.topic), ("partition", partition.as_str())];
        let bean = |row: &'static BeanRow, read: fn(&PartitionFigures) -> i64| {
            let figures = figures.clone();
            registry.gauge_fn(row, &tags, move || Value::Long(read(&figures)))
        };
        let beans = vec![
            bean(&cluster::PARTITION_UNDER_REPLICATED, |f| i64::from(f.under_replicated())),
            bean(&cluster::PARTITION_IN_SYNC_REPLICAS_COUNT, |f| leader_count(f, f.in_sync())),
            bean(&cluster::PARTITION_UNDER_MIN_ISR, |f| i64::from(f.under_min_isr())),
            bean(&cluster::PARTITION_AT_MIN_ISR, |f| i64::from(f.at_min_isr())),
            bean(&cluster::PARTITION_REPLICAS_COUNT, |f| {
                leader_count(f, f.replicas.load(Ordering::Relaxed))
            }),
            registry.gauge_fn(&cluster::PARTITION_LAST_STABLE_OFFSET_LAG, &tags, move || {
                Value::Long(unstable())
            }),
        ];
        let (registry, traffic) = (registry.clone(), RwLock::default());
        Self { figures, registry, traffic, _beans: beans }
    }

    /// Counts bytes appended to the partition.
    pub(crate) fn appended(&self, bytes: u64) {
        if let Some(traffic) = &*self.traffic.read() {
            traffic.bytes_in.increment(bytes);
        }
    }

    /// Counts bytes returned to a consumer.
    pub(crate) fn returned(&self, bytes: u64) {
        if let Some(traffic) = &*self.traffic.read() {
            traffic.bytes_out.increment(bytes);
        }
    }

    /// Another broker leads the partition, or none does.
    pub(crate) fn unlead(&self) {
        *self.traffic.write() = None;
    }

    pub(crate) fn figures(&self) -> &Arc<PartitionFigures> {
        &self.figures
    }

    pub(crate) fn follow(
        &self,
        id: &TopicPartition,
        registration: &PartitionRegistration,
        broker: BrokerId,
    ) {
        let leads = registration.leader == broker;
        if !leads {
            self.unlead();
        } else if self.traffic.read().is_none() {
            *self.traffic.write() = Some(Traffic::new(&self.registry, id));
        }
        let figures = &self.figures;
        figures.leads.store(leads, Ordering::Relaxed);
        figures.in_sync.store(registration.isr.len(), Ordering::Relaxed);
        figures.replicas.store(registration.replicas.len(), Ordering::Relaxed);
        figures.reassigning.store(registration.is_reassigning(), Ordering::Relaxed);
    }

    pub(crate) fn min_in_sync(&self) -> usize {
        self.figures.min_in_sync.load(Ordering::Relaxed)
    }

    pub(crate) fn set_min_in_sync(&self, replicas: usize) {
        self.figures.min_in_sync.store(replicas, Ordering::Relaxed);
    }
}

fn leader_count(figures: &PartitionFigures, count: usize) -> i64 {
    if figures.leads() { i64::try_from(count).unwrap_or(i64::MAX) } else { 0 }
}

/// All partitions of a node, as the beans count them.
pub(crate) type AllFigures = Arc<Mutex<Vec<Arc<PartitionFigures>>>>;

/// The beans of the replica manager.
#[derive(Debug)]
pub(crate) struct ReplicaMetrics {
    pub(crate) all: AllFigures,
    pub(crate) offline: Arc<AtomicUsize>,
    pub(crate) producers: Arc<AtomicUsize>,
    _beans: Vec<Registered<()>>,
    // In-sync sets change only with several replicas; the meters exist and say so with 0.
    _meters: Vec<Registered<Meter>>,
}

impl ReplicaMetrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let all = AllFigures::default();
        let offline = Arc::new(AtomicUsize::new(0));
        let producers = Arc::new(AtomicUsize::new(0));
        let count = |row: &'static BeanRow, wanted: fn(&PartitionFigures) -> bool| {
            let all = all.clone();
            registry.gauge_fn(row, &[], move || {
                let count = all.lock().iter().filter(|figures| wanted(figures)).count();
                Value::Long(i64::try_from(count).unwrap_or(i64::MAX))
            })
        };
        let number = |row: &'static BeanRow, cell: &Arc<AtomicUsize>| {
            let cell = cell.clone();
            registry.gauge_fn(row, &[], move || {
                Value::Long(i64::try_from(cell.load(Ordering::Relaxed)).unwrap_or(i64::MAX))
            })
        };
        let beans = vec![
            count(&rows::REPLICA_MANAGER_LEADER_COUNT, PartitionFigures::leads),
            count(&rows::REPLICA_MANAGER_PARTITION_COUNT, |_| true),
            count(
                &rows::REPLICA_MANAGER_UNDER_REPLICATED_PARTITIONS,
                PartitionFigures::under_replicated,
            ),
            count(
                &rows::REPLICA_MANAGER_UNDER_MIN_ISR_PARTITION_COUNT,
                PartitionFigures::under_min_isr,
            ),
            count(&rows::REPLICA_MANAGER_AT_MIN_ISR_PARTITION_COUNT, PartitionFigures::at_min_isr),
            count(&rows::REPLICA_MANAGER_REASSIGNING_PARTITIONS, |figures| {
                figures.leads() && figures.reassigning.load(Ordering::Relaxed)
            }),
            count(&rows::REPLICA_MANAGER_PARTITIONS_WITH_LATE_TRANSACTIONS_COUNT, |_| false),
            number(&rows::REPLICA_MANAGER_OFFLINE_REPLICA_COUNT, &offline),
            number(&rows::REPLICA_MANAGER_PRODUCER_ID_COUNT, &producers),
        ];
        let meters = [
            &rows::REPLICA_MANAGER_ISR_EXPANDS_PER_SEC,
            &rows::REPLICA_MANAGER_ISR_SHRINKS_PER_SEC,
            &rows::REPLICA_MANAGER_FAILED_ISR_UPDATES_PER_SEC,
        ];
        let meters = meters.into_iter().map(|row| registry.meter(row, &[])).collect();
        Self { all, offline, producers, _beans: beans, _meters: meters }
    }
}
