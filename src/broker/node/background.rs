//! What a node does without being asked: heartbeats, timers of the logs, ticks of meters, watches
//! over its directories. The tasks end when the node stops.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pharos_admin::Condition;
use pharos_base::{Clock, Spawners, TopicId};
use pharos_metadata::Controller;
use pharos_metrics::Registry;
use pharos_replication::Replicas;
use tokio::task::JoinHandle;

use super::behind::Behind;
use super::ground::Ground;
use super::rooms::Rooms;
use crate::beans::IdleMeters;
use crate::groups::Groups;
use crate::hot_keys;
use crate::lifecycle::Lifecycle;
use crate::{client_telemetry, directories};

/// How often meters tick and readiness is looked at.
const TICK: Duration = Duration::from_secs(1);

/// What readiness waits for.
pub struct Conditions {
    /// The broker is registered and not fenced.
    pub unfenced: Condition,
    /// What is committed of the metadata is applied.
    pub current: Condition,
    /// Every shard of groups answers.
    pub loaded: Condition,
}

/// Starts the tasks.
pub fn start(
    ground: &Ground,
    rooms: &Rooms,
    controller: &Controller,
    lifecycle: &Arc<Lifecycle>,
    conditions: Conditions,
    spawners: &Spawners,
) -> Vec<JoinHandle<()>> {
    let control = &spawners.control;
    let Rooms { groups, replicas, .. } = rooms;
    let idle = IdleMeters::new(&ground.registry, spawners);
    let ticking =
        tick(ground.registry.clone(), idle, groups.clone(), replicas.clone(), conditions.loaded);
    let mut tasks = vec![
        control.spawn(rooms.logs.clone().run()),
        control.spawn(lifecycle.clone().keep_alive(conditions.unfenced)),
        control.spawn(rooms.insight.clone().keep_current(groups.clone())),
        control.spawn(client_telemetry::expire(rooms.telemetry.clone(), ground.clock.clone())),
        control.spawn(rooms.quotas.clone().keep_tidy()),
        control.spawn(hot_keys::keep_current(rooms.insight.hot_keys().clone(), controller.clone())),
        control.spawn(ticking),
        control.spawn(keep_current(controller.clone(), ground.clock.clone(), conditions.current)),
    ];
    for dir in rooms.logs.dirs() {
        let id = ground.formatted.directory_id(dir.home.path()).unwrap_or(TopicId::ZERO);
        let (lifecycle, events) = (lifecycle.clone(), rooms.insight.events().clone());
        let (replicas, metrics) = (replicas.clone(), rooms.topic_metrics.clone());
        let fail = move |directory: &Path| {
            let failed = replicas.fail_directory(directory);
            metrics.failed(&failed, &replicas);
            failed
        };
        let watch = directories::watch_one(dir.home, id, fail, lifecycle, events);
        tasks.push(control.spawn(watch));
    }
    let publisher = controller.publisher().clone();
    tasks.push(control.spawn(directories::assign(
        publisher.offsets(),
        move || publisher.current(),
        ground.formatted.directories.iter().cloned().collect(),
        replicas.clone(),
        lifecycle.clone(),
        directories::Queued::new(&ground.registry),
    )));
    tasks
}

/// Ticks meters, counts what is too dear to count at once, and says when groups are loaded.
async fn tick(
    registry: Registry,
    mut idle: IdleMeters,
    groups: Arc<Groups>,
    replicas: Arc<Replicas>,
    loaded: Condition,
) {
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        registry.tick();
        idle.sample();
        groups.shard_metrics().sample_idle();
        replicas.count_producers();
        if groups.is_loaded() {
            loaded.met();
        } else {
            loaded.unmet("groups are being loaded");
        }
    }
}

/// Says whether what is committed of the metadata is applied in time.
async fn keep_current(controller: Controller, clock: Clock, current: Condition) {
    let mut behind = Behind::default();
    let mut interval = tokio::time::interval(TICK);
    loop {
        interval.tick().await;
        // In this order: what is committed meanwhile is not missed.
        let committed = controller.last_committed_offset();
        let applied = controller.publisher().load().last_offset();
        match behind.look(committed, applied, clock.monotonic()) {
            None => current.met(),
            Some(reason) => current.unmet(reason),
        }
    }
}
