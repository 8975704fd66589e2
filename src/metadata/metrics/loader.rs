//! The beans of a follower of the metadata log: every node has them. The publisher moves them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pharos_metrics::catalog::node;
use pharos_metrics::{Attributes, Histogram, Registered, Registry, Value};

use super::{IdleRatio, lag_ms, long};
use crate::decide::supported_features;
use crate::image::{MetadataDelta, MetadataImage};
use crate::publish::ImagePublisher;

/// The follower's counters, and the beans that show them.
pub(crate) struct LoaderMetrics {
    registry: Registry,
    _beans: Vec<Registered<()>>,
    broker: Registered<Attributes>,
    _supported: Vec<Registered<Attributes>>,
    levels: Mutex<BTreeMap<String, Registered<()>>>,
    batch_time: Registered<Histogram>,
    batch_sizes: Registered<Histogram>,
    snapshots: Arc<AtomicI64>,
    busy_ns: Arc<AtomicI64>,
}

impl LoaderMetrics {
    /// Registers the beans of `publisher`; `leader` tells the active controller.
    pub fn new(
        registry: &Registry,
        publisher: &ImagePublisher,
        leader: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        let snapshots = Arc::new(AtomicI64::new(0));
        let loaded = snapshots.clone();
        let version = publisher.clone();
        let busy_ns = Arc::new(AtomicI64::new(0));
        let idle = IdleRatio::new(registry.clock().clone(), busy_ns.clone());
        let handles = vec![
            registry.gauge_fn(&node::METADATA_LOADER_AVG_IDLE_RATIO, &[], move || {
                Value::Double(idle.read())
            }),
            registry.gauge_fn(&node::METADATA_LOADER_CURRENT_METADATA_VERSION, &[], move || {
                long(i64::from(version.load().metadata_version()))
            }),
            registry.gauge_fn(&node::METADATA_LOADER_CURRENT_CONTROLLER_ID, &[], move || {
                long(leader())
            }),
            registry.gauge_fn(&node::METADATA_LOADER_HANDLE_LOAD_SNAPSHOT_COUNT, &[], move || {
                long(loaded.load(Ordering::Relaxed))
            }),
        ];
        Self {
            _beans: handles,
            broker: broker_metadata(registry, publisher),
            _supported: supported(registry),
            levels: Mutex::default(),
            batch_time: registry
                .histogram(&node::BROKER_METADATA_LISTENER_METADATA_BATCH_PROCESSING_TIME_US, &[]),
            batch_sizes: registry
                .histogram(&node::BROKER_METADATA_LISTENER_METADATA_BATCH_SIZES, &[]),
            snapshots,
            busy_ns,
            registry: registry.clone(),
        }
    }

    /// A step was published.
    pub fn published(&self, delta: &MetadataDelta, took: Duration) {
        let busy = i64::try_from(took.as_nanos()).unwrap_or(i64::MAX);
        self.busy_ns.fetch_add(busy, Ordering::Relaxed);
        self.batch_time.update(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
        self.batch_sizes.update(i64::try_from(delta.record_count).unwrap_or(i64::MAX));
    }

    /// A subscriber did not follow a step.
    pub fn apply_failed(&self) {
        self.broker.gauge("metadata-apply-error-count").increment(1.0);
    }

    /// A snapshot was loaded.
    pub fn snapshot_loaded(&self) {
        self.snapshots.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps a bean for each finalized feature.
    pub fn follow(&self, image: &MetadataImage, publisher: &ImagePublisher) {
        let mut levels = self.levels.lock();
        levels.retain(|name, _| image.feature(name) != 0);
        for (name, _) in image.features() {
            if !levels.contains_key(name) {
                let (publisher, feature) = (publisher.clone(), name.to_owned());
                let read = move || long(i64::from(publisher.load().feature(&feature)));
                let row = &node::METADATA_LOADER_FINALIZED_LEVEL;
                let tag = camel_case(name);
                let bean = self.registry.gauge_fn(row, &[("featureName", &tag)], read);
                levels.insert(name.to_owned(), bean);
            }
        }
    }
}

fn broker_metadata(registry: &Registry, publisher: &ImagePublisher) -> Registered<Attributes> {
    let broker = registry.attributes(&node::BROKER_METADATA_METRICS, &[]);
    let image = publisher.clone();
    broker.callback("last-applied-record-offset", move || long(image.load().last_offset().0));
    let image = publisher.clone();
    broker.callback("last-applied-record-timestamp", move || {
        long(image.load().provenance().last_timestamp_ms)
    });
    let (image, clock) = (publisher.clone(), registry.clock().clone());
    broker.callback("last-applied-record-lag-ms", move || long(lag_ms(&clock, &image.load())));
    broker
}

fn supported(registry: &Registry) -> Vec<Registered<Attributes>> {
    let features = supported_features();
    let beans = features.iter().map(|range| {
        let name = range.name.replace('.', "-");
        let tags: &[(&str, &str)] = &[("feature-name", &name)];
        let bean = registry.attributes(&node::NODE_METRICS, tags);
        bean.gauge("maximum-supported-level").set(f64::from(range.max));
        bean.gauge("minimum-supported-level").set(f64::from(range.min));
        bean
    });
    beans.collect()
}

/// `metadata.version` as `metadataVersion`, as Kafka names features in bean names.
fn camel_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '.' => upper = true,
            c if upper => {
                text.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => text.push(c),
        }
    }
    text
}
