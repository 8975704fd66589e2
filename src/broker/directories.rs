//! Log directories as the controller is told of them: which replica lies where, and which ones
//! failed.
//!
//! A failed directory takes its partitions offline and nothing else. When the last one failed, or
//! the one of the metadata log, the node cannot go on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pharos_base::{PartitionId, TopicId};
use pharos_metadata::DIRECTORY_UNASSIGNED;
use pharos_metadata::image::MetadataImage;
use pharos_protocol::messages::AssignReplicasToDirsRequest;
use pharos_protocol::messages::assign_replicas_to_dirs_request::{
    DirectoryData, PartitionData, TopicData,
};
use pharos_replication::Replicas;
use pharos_storage::LogDir;
use tokio::sync::watch;

use crate::lifecycle::Lifecycle;

/// Pause after the controller did not take an assignment.
const RETRY: Duration = Duration::from_secs(1);

/// Waits until a directory fails, takes its partitions offline and tells the controller with the
/// next heartbeats.
pub async fn watch_one(
    home: Arc<LogDir>,
    id: TopicId,
    replicas: Arc<Replicas>,
    life: Arc<Lifecycle>,
) {
    offline(home.clone()).await;
    let failed = replicas.fail_directory(home.path());
    tracing::error!(dir = %home.path().display(), partitions = failed.len(), "partitions are offline");
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
) {
    loop {
        let request = unassigned(&image(), &ids, &replicas, &life);
        if !request.directories.is_empty()
            && let Err(error) = life.controller().assign_replicas_to_dirs(request).await
        {
            tracing::warn!(%error, "the controller did not take the directories of replicas");
            tokio::time::sleep(RETRY).await;
            continue;
        }
        if published.changed().await.is_err() {
            return;
        }
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
