//! The cluster as its metadata has it: brokers, topics, leaders and replicas.
//!
//! Only the active controller shows these series; they stay when a partition's leader is gone.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use pharos_base::{BrokerId, PartitionId, TopicId};
use pharos_metadata::image::{
    BrokerRegistration, MetadataDelta, MetadataImage, PartitionRegistration, TopicImage,
};
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{Family, Gauge, Registered, Registry};

use crate::skew::{DIMENSIONS, Placed, Spread};

/// Families of the metadata's state: `kafka_brokers`, `kafka_topic_partitions`,
/// `kafka_topic_partition_leader` and so on.
#[derive(Debug)]
pub struct ClusterFigures {
    families: Families,
    series: Mutex<Series>,
}

#[derive(Debug)]
struct Families {
    brokers: Family,
    broker_info: Family,
    partitions: Family,
    /// In the order of [`figures_of`].
    partition: [Family; 5],
    topic_skew: Family,
    cluster_skew: Family,
}

#[derive(Debug, Default)]
struct Series {
    brokers: Option<Registered<Gauge>>,
    infos: BTreeMap<BrokerId, (String, Registered<Gauge>)>,
    topics: HashMap<TopicId, TopicSeries>,
    spread: Spread,
    skew: Option<[Registered<Gauge>; 2]>,
}

#[derive(Debug)]
struct TopicSeries {
    count: Registered<Gauge>,
    skew: [Registered<Gauge>; 2],
    partitions: BTreeMap<PartitionId, (Placed, [Registered<Gauge>; 5])>,
}

impl ClusterFigures {
    /// Nothing is shown before [`Self::follow`].
    pub fn new(registry: &Registry) -> Self {
        let partition = [
            &rows::KAFKA_TOPIC_PARTITION_LEADER,
            &rows::KAFKA_TOPIC_PARTITION_LEADER_IS_PREFERRED,
            &rows::KAFKA_TOPIC_PARTITION_REPLICAS,
            &rows::KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA,
            &rows::KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION,
        ];
        let families = Families {
            brokers: registry.family(&rows::KAFKA_BROKERS),
            broker_info: registry.family(&rows::KAFKA_BROKER_INFO),
            partitions: registry.family(&rows::KAFKA_TOPIC_PARTITIONS),
            partition: partition.map(|row| registry.family(row)),
            topic_skew: registry.family(&rows::PHAROS_TOPIC_SKEW_RATIO),
            cluster_skew: registry.family(&rows::PHAROS_CLUSTER_SKEW_RATIO),
        };
        Self { families, series: Mutex::default() }
    }

    /// Shows `image`. `delta` must span everything since the last call or [`Self::clear`]; the
    /// first one leads from the empty image.
    pub fn follow(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let mut series = self.series.lock();
        let series = &mut *series;
        for id in delta.topics_deleted.keys() {
            let gone = series.topics.remove(id).into_iter().flat_map(|topic| topic.partitions);
            gone.for_each(|(_, (placed, _))| series.spread.remove(&placed));
        }
        for (id, partition) in &delta.partitions_changed {
            let Some(topic) = image.topic_by_id(*id) else { continue };
            let Some(registration) = topic.partition(*partition) else { continue };
            let shown = series.topics.entry(*id).or_insert_with(|| self.topic(topic));
            shown.count.set(topic.partition_count() as f64);
            let placed = Placed::of(registration);
            series.spread.add(&placed);
            let figures = match shown.partitions.entry(*partition) {
                Entry::Occupied(known) => {
                    let known = known.into_mut();
                    series.spread.remove(&std::mem::replace(&mut known.0, placed));
                    &known.1
                }
                Entry::Vacant(new) => &new.insert((placed, self.partition(topic, *partition))).1,
            };
            for (gauge, value) in figures.iter().zip(figures_of(registration)) {
                gauge.set(value);
            }
        }
        let brokers_changed = series.brokers.is_none() || !delta.brokers_changed.is_empty();
        if brokers_changed {
            self.brokers(series, image);
        }
        self.skew(series, image, delta, brokers_changed);
    }

    /// Shows how uneven the cluster is, and the topics that have changed; all when the number of
    /// brokers may have.
    fn skew(&self, series: &mut Series, image: &MetadataImage, delta: &MetadataDelta, all: bool) {
        let brokers = image.brokers().count();
        let family = &self.families.cluster_skew;
        let shown = series.skew.get_or_insert_with(|| DIMENSIONS.map(|of| family.gauge(&[of])));
        show(shown, &series.spread, brokers);
        if all {
            series.topics.values().for_each(|topic| topic.show_skew(brokers));
            return;
        }
        let changed: BTreeSet<_> =
            delta.partitions_changed.iter().map(|(topic, _)| topic).collect();
        for topic in changed.into_iter().filter_map(|id| series.topics.get(id)) {
            topic.show_skew(brokers);
        }
    }

    /// Takes every series away: this node is no longer the active controller.
    pub fn clear(&self) {
        *self.series.lock() = Series::default();
    }

    fn topic(&self, topic: &TopicImage) -> TopicSeries {
        let count = self.families.partitions.gauge(&[&topic.name]);
        let skew = DIMENSIONS.map(|of| self.families.topic_skew.gauge(&[&topic.name, of]));
        TopicSeries { count, skew, partitions: BTreeMap::new() }
    }

    fn partition(&self, topic: &TopicImage, index: PartitionId) -> [Registered<Gauge>; 5] {
        let index = index.to_string();
        let labels: [&str; 2] = [&topic.name, &index];
        self.families.partition.each_ref().map(|family| family.gauge(&labels))
    }

    /// Live brokers, as clients are told of them.
    fn brokers(&self, series: &mut Series, image: &MetadataImage) {
        let live: Vec<&Arc<BrokerRegistration>> = image.live_brokers().collect();
        let brokers = series.brokers.get_or_insert_with(|| self.families.brokers.gauge(&[]));
        brokers.set(live.len() as f64);
        series.infos.retain(|id, _| live.iter().any(|broker| broker.id == *id));
        for broker in live {
            let address = address_of(broker);
            let shown = series.infos.get(&broker.id);
            if shown.is_none_or(|(shown, _)| *shown != address) {
                let id = broker.id.to_string();
                let info = self.families.broker_info.gauge(&[&id, &address]);
                info.set(1.0);
                series.infos.insert(broker.id, (address, info));
            }
        }
    }
}

impl TopicSeries {
    fn show_skew(&self, brokers: usize) {
        let spread = Spread::of(self.partitions.values().map(|(placed, _)| placed));
        show(&self.skew, &spread, brokers);
    }
}

fn show(gauges: &[Registered<Gauge>; 2], spread: &Spread, brokers: usize) {
    for (gauge, ratio) in gauges.iter().zip(spread.ratios(brokers)) {
        gauge.set(ratio);
    }
}

/// Leader, whether it is the preferred one, replicas, those in sync, whether some are not.
fn figures_of(partition: &PartitionRegistration) -> [f64; 5] {
    let flag = |is: bool| if is { 1.0 } else { 0.0 };
    [
        f64::from(partition.leader.0),
        flag(partition.has_leader() && partition.has_preferred_leader()),
        partition.replicas.len() as f64,
        partition.isr.len() as f64,
        flag(partition.isr.len() < partition.replicas.len()),
    ]
}

fn address_of(broker: &BrokerRegistration) -> String {
    broker
        .endpoints
        .first()
        .map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port))
        .unwrap_or_default()
}
