//! The truth of the coordinator's beans: groups of both protocols live through their states on a
//! shard in memory.

use std::sync::Arc;

use pharos_base::Clock;
use pharos_metrics::catalog::{coordinator as rows, native};
use pharos_metrics::truth::{Claim, by};
use pharos_metrics::{BeanRow, Registry, truth};

use crate::consumer::tests::{Client, prompt};
use crate::testing::{Rig, config, join_request, sync_request};
use crate::wire::OffsetDeleteRequest;
use crate::wire::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use crate::{Config, GroupMetrics, Request, Shard, Topics};

const DAY_MS: i64 = 86_400_000;

struct World {
    registry: Registry,
    rig: Rig,
    _metrics: GroupMetrics,
}

fn world(config: Config) -> World {
    let registry = Registry::new(Clock::simulated(0).0);
    let metrics = GroupMetrics::new(&registry);
    let mut rig = Rig::new(config);
    let topics: Arc<Topics> = rig.shard.kit.topics.clone();
    rig.shard = Shard::new(rig.shard.kit.config.clone(), topics, metrics.tally());
    rig.shard.loaded(rig.now);
    World { registry, rig, _metrics: metrics }
}

fn gauge(row: &'static BeanRow, amount: f64) -> Claim {
    by(row, &[], "Value", amount)
}

fn main_bean(attribute: &'static str, amount: f64) -> Claim {
    by(&rows::GROUP_COORDINATOR_METRICS, &[], attribute, amount)
}

fn protocol(name: &str, amount: f64) -> Claim {
    let row = &rows::GROUP_COORDINATOR_METRICS_BY_PROTOCOL;
    by(row, &[("protocol", name)], "group-count", amount)
}

fn in_state(row: &'static BeanRow, amount: f64) -> Claim {
    by(row, &[], "consumer-group-count", amount)
}

#[test]
fn classic_groups_are_counted_by_state() {
    let World { registry, mut rig, _metrics } = world(config());
    let truth = truth!(&registry);
    let joined = truth.claims([
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS, 1.0),
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_COMPLETING_REBALANCE, 1.0),
        protocol("classic", 1.0),
    ]);
    let (leader, token) = rig.join_new("g", &["a"]);
    joined.hold();
    let generation = rig.joined(token).unwrap().generation_id;
    let stable = truth.claims([
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_COMPLETING_REBALANCE, -1.0),
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_STABLE, 1.0),
        main_bean("group-completed-rebalance-count", 1.0),
    ]);
    rig.ask(sync_request("g", &leader, generation, &[(&leader, "all")]));
    stable.hold();
    // A second member waits until the first has joined again.
    let preparing = truth.claims([
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_STABLE, -1.0),
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_PREPARING_REBALANCE, 1.0),
    ]);
    let told = rig.join(join_request("g", "", &["a"]));
    let told = rig.joined(told).unwrap();
    rig.join(join_request("g", &told.member_id, &["a"]));
    preparing.hold();
}

#[test]
fn offsets_are_counted_from_commit_to_expiry() {
    let World { registry, mut rig, _metrics } = world(config());
    let truth = truth!(&registry);
    let committed = truth.claims([
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_OFFSETS, 2.0),
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS_EMPTY, 1.0),
        main_bean("offset-commit-count", 2.0),
    ]);
    rig.commit("g", "a", 0, 1);
    rig.commit("g", "b", 0, 1);
    committed.hold();
    let deleted = truth.claims([
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_OFFSETS, -1.0),
        main_bean("offset-deletion-count", 1.0),
    ]);
    let partitions = vec![OffsetDeleteRequestPartition { partition_index: 0 }];
    let topics = vec![OffsetDeleteRequestTopic { name: "a".to_owned(), partitions }];
    rig.ask(Request::OffsetDelete(OffsetDeleteRequest { group_id: "g".to_owned(), topics }));
    deleted.hold();
    let expired = truth.claims([
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_OFFSETS, -1.0),
        gauge(&rows::GROUP_METADATA_MANAGER_NUM_GROUPS, -1.0),
        main_bean("offset-expiration-count", 1.0),
    ]);
    rig.advance(8 * DAY_MS);
    expired.hold();
}

#[test]
fn consumer_groups_are_counted_by_state() {
    let World { registry, mut rig, _metrics } = world(prompt());
    let truth = truth!(&registry);
    let alone = truth.claims([
        protocol("consumer", 1.0),
        in_state(&rows::GROUP_COORDINATOR_METRICS_BY_STABLE, 1.0),
        main_bean("consumer-group-rebalance-count", 1.0),
    ]);
    let mut one = Client::new("g", "one", &["a"]);
    one.beat(&mut rig);
    alone.hold();
    // The first must give up partitions before the second gets them.
    let moving = truth.claims([
        in_state(&rows::GROUP_COORDINATOR_METRICS_BY_STABLE, -1.0),
        in_state(&rows::GROUP_COORDINATOR_METRICS_BY_RECONCILING, 1.0),
        main_bean("consumer-group-rebalance-count", 1.0),
    ]);
    let mut two = Client::new("g", "two", &["a"]);
    two.beat(&mut rig);
    moving.hold();
    let left = truth.claims([
        in_state(&rows::GROUP_COORDINATOR_METRICS_BY_RECONCILING, -1.0),
        in_state(&rows::GROUP_COORDINATOR_METRICS_BY_EMPTY, 1.0),
    ]);
    one.leave(&mut rig, -1);
    two.leave(&mut rig, -1);
    left.hold();
}

/// Targets are made a while after the change that asks for them.
#[test]
fn a_group_that_waits_for_its_target_is_assigning() {
    let World { registry, mut rig, _metrics } = world(config());
    let truth = truth!(&registry);
    Client::new("g", "one", &["a"]).beat(&mut rig);
    let assigning = truth.claims([in_state(&rows::GROUP_COORDINATOR_METRICS_BY_ASSIGNING, 1.0)]);
    Client::new("g", "two", &["a"]).beat(&mut rig);
    assigning.hold();
}

#[test]
fn rebalances_are_timed_by_protocol() {
    let World { registry, mut rig, _metrics } = world(prompt());
    let seconds = |protocol| {
        registry.family(&native::PHAROS_GROUP_REBALANCE_DURATION_SECONDS).read(&[protocol])
    };
    let (leader, token) = rig.join_new("classic", &["a"]);
    let generation = rig.joined(token).unwrap().generation_id;
    rig.advance(2_500);
    assert_eq!(seconds("classic"), Some(0.0));
    rig.ask(sync_request("classic", &leader, generation, &[(&leader, "all")]));
    assert_eq!((seconds("classic"), seconds("consumer")), (Some(2.5), Some(0.0)));
    // The first gives partitions up when it is heard again, and the second gets them after that.
    let mut one = Client::new("g", "one", &["a"]);
    one.beat(&mut rig);
    let mut two = Client::new("g", "two", &["a"]);
    two.beat(&mut rig);
    rig.advance(1_500);
    one.beat(&mut rig);
    one.beat(&mut rig);
    assert_eq!(seconds("consumer"), Some(0.0));
    rig.advance(500);
    two.beat(&mut rig);
    assert_eq!((seconds("classic"), seconds("consumer")), (Some(2.5), Some(2.0)));
}
