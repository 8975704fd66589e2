//! Log directories as the controller is told of them: which replica lies where, and which ones
//! failed; and what lies in them that belongs to no topic.
//!
//! A failed directory takes its partitions offline and nothing else. When the last one failed, or
//! the one of the metadata log, the node cannot go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pharos_base::{Offset, PartitionId, TopicId, TopicPartition};
use pharos_insight::{EventKind, Events, Happened};
use pharos_metadata::image::MetadataImage;
use pharos_metadata::{Controller, DIRECTORY_UNASSIGNED};
use pharos_metrics::catalog::replicas as rows;
use pharos_metrics::{Gauge, Registered, Registry};
use pharos_protocol::messages::AssignReplicasToDirsRequest;
use pharos_protocol::messages::assign_replicas_to_dirs_request::{
    DirectoryData, PartitionData, TopicData,
};
use pharos_replication::Replicas;
use pharos_storage::{Log, LogDir, LogManager};
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::lifecycle::Lifecycle;

/// Pause after the controller did not take an assignment.
const RETRY: Duration = Duration::from_secs(1);

/// Waits until a directory fails, lets `fail` take its partitions offline, and tells the controller
/// with the next heartbeats.
pub async fn watch_one(
    home: Arc<LogDir>,
    id: TopicId,
    fail: impl FnOnce(&Path) -> Vec<TopicPartition>,
    life: Arc<Lifecycle>,
    events: Arc<Events>,
) {
    offline(home.clone()).await;
    let failed = fail(home.path());
    tracing::error!(dir = %home.path().display(), partitions = failed.len(), "partitions are offline");
    events.record(Happened {
        kind: EventKind::LogDirectory,
        subject: home.path().display().to_string(),
        text: format!("went offline with {} partitions", failed.len()),
    });
    life.directory_failed(id);
}

/// Waits until the node cannot go on: until the metadata log's directory failed, or all of them.
/// Returns the directory that it cannot do without.
pub async fn fatal(homes: Vec<Arc<LogDir>>, metadata_dir: PathBuf) -> PathBuf {
    let metadata = homes.iter().find(|home| home.path() == metadata_dir).cloned();
    let all = futures_util::future::join_all(homes.into_iter().map(offline));
    match metadata {
        Some(home) => {
            tokio::select! { () = offline(home) => {}, _ = all => {} }
        }
        None => drop(all.await),
    }
    metadata_dir
}

/// What a start does with logs that it `found` and that belong to no topic of the metadata, which
/// must be complete: those of deleted topics go, where a kill came before their directories did.
/// Others are set aside, for nobody told that they may go.
///
/// # Errors
/// When the task did not end.
pub async fn tidy(
    found: Vec<Arc<Log>>,
    controller: &Controller,
    logs: &Arc<LogManager>,
) -> Result<(), JoinError> {
    let image = controller.publisher().current();
    let is_unknown = |log: &Arc<Log>| {
        let still_there = logs.get(log.partition()).is_some_and(|now| Arc::ptr_eq(&now, log));
        still_there && image.topic_partition(log.partition()).is_none()
    };
    let unknown: Vec<_> = found.into_iter().filter(is_unknown).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let (controller, logs) = (controller.clone(), logs.clone());
    let work = move || {
        let removed = controller.removed_topics().unwrap_or_else(|error| {
            tracing::error!(%error, "deleted topics cannot be told from unknown ones");
            BTreeSet::new()
        });
        for log in unknown {
            // A log without a name was being made when the process was killed.
            let empty = log.topic_id() == TopicId::ZERO && log.log_end_offset() == Offset(0);
            let done = if empty || removed.contains(&log.topic_id()) {
                tracing::info!(log = %log.partition(), "the log of a deleted topic goes");
                logs.delete(log.partition())
            } else {
                logs.set_aside(log.partition())
            };
            if let Err(error) = done {
                tracing::error!(log = %log.partition(), %error, "a log of no topic stays");
            }
        }
    };
    tokio::task::spawn_blocking(work).await
}

async fn offline(home: Arc<LogDir>) {
    // The sender lives as long as the directory.
    let _ = home.watch().wait_for(|online| !online).await;
}

/// Tells the controller where replicas lie that it placed without knowing: brokers with several
/// directories choose for themselves.
pub async fn assign(
    mut published: watch::Receiver<pharos_base::Offset>,
    image: impl Fn() -> Arc<MetadataImage> + Send,
    ids: BTreeMap<PathBuf, TopicId>,
    replicas: Arc<Replicas>,
    life: Arc<Lifecycle>,
    queued: Queued,
) {
    let mut settled = None;
    loop {
        let now = image();
        // Most steps touch no topic, and a node may have many: logs are there before their image is.
        if !settled.is_some_and(|before: Arc<MetadataImage>| now.shares_topics_with(&before)) {
            let request = unassigned(&now, &ids, &replicas, &life);
            queued.show(&request);
            if !request.directories.is_empty()
                && let Err(error) = life.controller().assign_replicas_to_dirs(request).await
            {
                tracing::warn!(%error, "the controller did not take the directories of replicas");
                tokio::time::sleep(RETRY).await;
                settled = None;
                continue;
            }
            queued.clear();
        }
        settled = Some(now);
        if published.changed().await.is_err() {
            return;
        }
    }
}

/// The replicas whose directories the controller has not taken yet, under the names of the class
/// that counts them in Kafka: its package moved, and it kept both.
#[derive(Debug)]
pub struct Queued([Registered<Gauge>; 2]);

impl Queued {
    /// Registers the beans.
    pub fn new(registry: &Registry) -> Self {
        let rows = [
            &rows::ASSIGNMENTS_MANAGER_QUEUED_REPLICA_TO_DIR_ASSIGNMENTS,
            &rows::ASSIGNMENTS_MANAGER_QUEUED_REPLICA_TO_DIR_ASSIGNMENTS_OLD,
        ];
        Self(rows.map(|row| registry.gauge(row, &[])))
    }

    /// Shows how many replicas the controller is asked to take.
    pub fn show(&self, request: &AssignReplicasToDirsRequest) {
        let topics = request.directories.iter().flat_map(|directory| &directory.topics);
        let count: usize = topics.map(|topic| topic.partitions.len()).sum();
        #[expect(clippy::cast_precision_loss, reason = "a count of replicas")]
        self.0.iter().for_each(|gauge| gauge.set(count as f64));
    }

    fn clear(&self) {
        self.0.iter().for_each(|gauge| gauge.set(0.0));
    }
}

fn unassigned(
    image: &MetadataImage,
    ids: &BTreeMap<PathBuf, TopicId>,
    replicas: &Replicas,
    life: &Lifecycle,
) -> AssignReplicasToDirsRequest {
    let mut found: BTreeMap<TopicId, BTreeMap<TopicId, Vec<PartitionId>>> = BTreeMap::new();
    for partition in replicas.online() {
        let id = partition.id();
        let Some(registration) = image.topic_partition(id) else { continue };
        let at = registration.replicas.iter().position(|broker| *broker == life.broker());
        let told = at.and_then(|at| registration.directories.get(at));
        let here = ids.get(partition.log().home().path());
        if let (Some(told), Some(here)) = (told, here)
            && *told == DIRECTORY_UNASSIGNED
        {
            let topics = found.entry(*here).or_default();
            topics.entry(partition.topic_id()).or_default().push(id.partition);
        }
    }
    AssignReplicasToDirsRequest {
        broker_id: life.broker().0,
        broker_epoch: life.epoch().load(std::sync::atomic::Ordering::Acquire),
        directories: found
            .into_iter()
            .map(|(id, topics)| DirectoryData {
                id,
                topics: topics
                    .into_iter()
                    .map(|(topic_id, partitions)| TopicData {
                        topic_id,
                        partitions: partitions
                            .into_iter()
                            .map(|id| PartitionData { partition_index: id.0 })
                            .collect(),
                    })
                    .collect(),
            })
            .collect(),
    }
}
