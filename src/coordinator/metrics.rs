//! The beans of the group coordinator: Kafka's names for the figures that shards keep.
//!
//! Gauges read a [`Tally`] when they are read; counters are sensors that the tally moves. Nothing
//! here is asked of a shard on a scrape.

use pharos_metrics::catalog::{coordinator as rows, native};
use pharos_metrics::{Attributes, BeanRow, Gauge, Registered, Registry, Sensor, Value};

use crate::view::{GroupState, Sensors, Tally};

/// The beans of one node's group coordinator. They exist as long as this does.
pub struct GroupMetrics {
    tally: Tally,
    main: Registered<Attributes>,
    _attributes: Vec<Registered<Attributes>>,
    _gauges: Vec<Registered<()>>,
}

impl std::fmt::Debug for GroupMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupMetrics").field("tally", &self.tally).finish_non_exhaustive()
    }
}

impl GroupMetrics {
    /// Registers the beans.
    pub fn new(registry: &Registry) -> Self {
        let main = registry.attributes(&rows::GROUP_COORDINATOR_METRICS, &[]);
        let durations = registry.family(&native::PHAROS_GROUP_REBALANCE_DURATION_SECONDS);
        let tally = Tally::with_sensors(Sensors {
            commits: main.sensor("offset-commit"),
            expirations: main.sensor("offset-expiration"),
            deletions: main.sensor("offset-deletion"),
            classic_rebalances: main.sensor("group-completed-rebalance"),
            consumer_rebalances: main.sensor("consumer-group-rebalance"),
            classic_durations: durations.histogram(&["classic"]),
            consumer_durations: durations.histogram(&["consumer"]),
        });
        let mut attributes = consumer_states(registry, &tally);
        attributes.extend(protocols(registry, &tally));
        attributes.push(registry.attributes(&rows::GROUP_COORDINATOR_METRICS_BY_NOT_READY, &[]));
        Self { main, _attributes: attributes, _gauges: classic_states(registry, &tally), tally }
    }

    /// The figures that the beans read; every shard of the node gets a clone.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// A sensor of `kafka.server:type=group-coordinator-metrics`, for whoever runs the shards:
    /// `partition-load-time`, `event-queue-time`, `event-processing-time`, `batch-flush-time` ...
    pub fn sensor(&self, name: &str) -> Sensor {
        self.main.sensor(name)
    }

    /// A gauge of the same bean: `event-queue-size`, `thread-idle-ratio-avg` ...
    pub fn gauge(&self, attribute: &str) -> Gauge {
        self.main.gauge(attribute)
    }
}

/// Reads one figure.
type Read = fn(&Tally) -> i64;

fn consumer_states(registry: &Registry, tally: &Tally) -> Vec<Registered<Attributes>> {
    let states: [(&'static BeanRow, Option<GroupState>); 5] = [
        (&rows::GROUP_COORDINATOR_METRICS_BY_EMPTY, Some(GroupState::ConsumerEmpty)),
        (&rows::GROUP_COORDINATOR_METRICS_BY_ASSIGNING, Some(GroupState::ConsumerAssigning)),
        (&rows::GROUP_COORDINATOR_METRICS_BY_RECONCILING, Some(GroupState::ConsumerReconciling)),
        (&rows::GROUP_COORDINATOR_METRICS_BY_STABLE, Some(GroupState::ConsumerStable)),
        // A dead group is one that is not there.
        (&rows::GROUP_COORDINATOR_METRICS_BY_DEAD, None),
    ];
    states
        .into_iter()
        .map(|(row, state)| {
            let bean = registry.attributes(row, &[]);
            let tally = tally.clone();
            bean.callback("consumer-group-count", move || {
                Value::Long(state.map_or(0, |state| tally.groups(state)))
            });
            bean
        })
        .collect()
}

fn protocols(registry: &Registry, tally: &Tally) -> Vec<Registered<Attributes>> {
    let count: [(&str, Read); 4] = [
        ("classic", Tally::classic_groups),
        ("consumer", Tally::consumer_groups),
        ("share", |_| 0),
        ("streams", |_| 0),
    ];
    count
        .into_iter()
        .map(|(protocol, count)| {
            let row = &rows::GROUP_COORDINATOR_METRICS_BY_PROTOCOL;
            let bean = registry.attributes(row, &[("protocol", protocol)]);
            let tally = tally.clone();
            bean.callback("group-count", move || Value::Long(count(&tally)));
            bean
        })
        .collect()
}

fn classic_states(registry: &Registry, tally: &Tally) -> Vec<Registered<()>> {
    let gauges: [(&'static BeanRow, Read); 7] = [
        (&rows::GROUP_METADATA_MANAGER_NUM_OFFSETS, Tally::offsets),
        (&rows::GROUP_METADATA_MANAGER_NUM_GROUPS, Tally::classic_groups),
        (&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_PREPARING_REBALANCE, |tally| {
            tally.groups(GroupState::ClassicPreparingRebalance)
        }),
        (&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_COMPLETING_REBALANCE, |tally| {
            tally.groups(GroupState::ClassicCompletingRebalance)
        }),
        (&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_STABLE, |tally| {
            tally.groups(GroupState::ClassicStable)
        }),
        (&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_DEAD, |_| 0),
        (&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_EMPTY, |tally| {
            tally.groups(GroupState::ClassicEmpty)
        }),
    ];
    gauges
        .into_iter()
        .map(|(row, read)| {
            let tally = tally.clone();
            registry.gauge_fn(row, &[], move || Value::Long(read(&tally)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pharos_base::Clock;

    use super::*;
    use crate::consumer::tests::Client;
    use crate::testing::{Rig, config};
    use crate::{Shard, Topics};

    #[test]
    fn shards_and_beans_go_between_threads() {
        fn check<T: Send + Sync>() {}
        check::<Shard>();
        check::<GroupMetrics>();
    }

    #[test]
    fn the_beans_tell_what_happens() {
        let (clock, _hand) = Clock::simulated(0);
        let registry = Registry::new(clock);
        let metrics = GroupMetrics::new(&registry);
        let mut rig = Rig::new(config());
        let topics: Arc<Topics> = rig.shard.kit.topics.clone();
        rig.shard = Shard::new(rig.shard.kit.config.clone(), topics, metrics.tally());
        rig.shard.loaded(rig.now);
        rig.join_new("waiting", &["a"]);
        rig.commit("simple", "a", 0, 1);
        rig.commit("simple", "a", 1, 1);
        Client::new("consumer", "one", &["a"]).beat(&mut rig);
        let manager =
            |name: &str| format!("kafka.coordinator.group:type=GroupMetadataManager,name={name}");
        let main = "kafka.server:type=group-coordinator-metrics".to_owned();
        let cases = [
            (manager("NumOffsets"), "Value", 2.0),
            (manager("NumGroups"), "Value", 2.0),
            (manager("NumGroupsCompletingRebalance"), "Value", 1.0),
            (manager("NumGroupsEmpty"), "Value", 1.0),
            (manager("NumGroupsStable"), "Value", 0.0),
            (format!("{main},protocol=classic"), "group-count", 2.0),
            (format!("{main},protocol=consumer"), "group-count", 1.0),
            (format!("{main},state=Stable"), "consumer-group-count", 1.0),
            (format!("{main},state=Empty"), "consumer-group-count", 0.0),
            (main.clone(), "offset-commit-count", 2.0),
            (main, "consumer-group-rebalance-count", 1.0),
        ];
        for (bean, attribute, expected) in cases {
            let value = registry.read(&bean, attribute).and_then(|value| value.as_f64());
            assert_eq!(value, Some(expected), "{bean} {attribute}");
        }
    }
}
