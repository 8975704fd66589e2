//! Kills and power failures at every point of a controller's work, and damage to each of its files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pharos_base::TopicId;
use pharos_protocol::messages::DeleteTopicsRequest;
use pharos_protocol::messages::delete_topics_request::DeleteTopicState;
use pharos_storage::fs::{Fs, SimFs};

use super::tests::{DIR, TestNode};
use super::*;
use crate::quorum::METADATA_DIRECTORY;

/// What the controller acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    topics: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// Topics whose request was under way when the end came: either way is right.
    unsure: BTreeSet<String>,
    next_producer_id: i64,
    stage: &'static str,
}

/// Works until it is done or the file system fails.
async fn work(node: &TestNode, acknowledged: &mut Acknowledged) -> Result<(), ControllerError> {
    acknowledged.stage = "join";
    let epoch = node.join().await?;
    for round in 0..3 {
        acknowledged.stage = "create";
        for name in ["a", "b", "c"].map(|name| format!("{name}{round}")) {
            acknowledged.unsure.insert(name.clone());
            let request = CreateTopicsRequest {
                topics: vec![super::tests::topic(&name, 2)],
                ..CreateTopicsRequest::default()
            };
            let response =
                node.controller.create_topics(request, PartitionQuota::unlimited()).await?;
            assert_eq!(response.topics[0].error_code, 0);
            acknowledged.unsure.remove(&name);
            acknowledged.topics.insert(name);
        }
        acknowledged.stage = "delete";
        let name = format!("b{round}");
        acknowledged.unsure.insert(name.clone());
        acknowledged.topics.remove(&name);
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState {
                name: Some(name.clone()),
                ..DeleteTopicState::default()
            }],
            ..DeleteTopicsRequest::default()
        };
        node.controller.delete_topics(request, PartitionQuota::unlimited()).await?;
        acknowledged.unsure.remove(&name);
        acknowledged.deleted.insert(name);
        acknowledged.stage = "producer ids";
        let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch: epoch };
        let block = node.controller.allocate_producer_ids(request).await?;
        assert!(block.producer_id_start >= acknowledged.next_producer_id, "a block came twice");
        acknowledged.next_producer_id = block.producer_id_start + i64::from(block.producer_id_len);
        if round == 1 {
            acknowledged.stage = "snapshot";
            snapshot_and_purge(node).await;
        }
    }
    Ok(())
}

/// Makes a snapshot and forgets the log before it; gives up when the quorum stops.
pub(super) async fn snapshot_and_purge(node: &TestNode) {
    let quorum = &node.controller.0.quorum;
    let mut metrics = quorum.metrics();
    let upto = metrics.borrow().last_applied;
    quorum.make_snapshot().await;
    let made = metrics.wait_for(|it| it.snapshot >= upto || it.running_state.is_err()).await;
    if made.is_ok_and(|it| it.running_state.is_ok())
        && let Some(upto) = upto
        && quorum.raft().trigger().purge_log(upto.index).await.is_ok()
    {
        let _ = metrics.wait_for(|it| it.purged >= Some(upto) || it.running_state.is_err()).await;
    }
}

async fn check(fs: &Arc<SimFs>, acknowledged: &Acknowledged, what: &str) {
    let node = match TestNode::try_start(fs.clone()).await {
        Ok(node) => node,
        Err(error) => panic!("{what} at {}: {error}", acknowledged.stage),
    };
    // Waits until it leads: then all that was committed is applied.
    node.controller.elect_leaders(ElectLeadersRequest::default()).await.unwrap();
    let image = node.image();
    for topic in &acknowledged.topics {
        let found = image.topic(topic).is_some_and(|topic| topic.partition_count() == 2);
        assert!(found, "{what} at {}: topic {topic} is lost", acknowledged.stage);
    }
    for topic in &acknowledged.deleted {
        assert!(image.topic(topic).is_none(), "{what}: topic {topic} came back");
    }
    let known =
        |name: &str| acknowledged.topics.contains(name) || acknowledged.unsure.contains(name);
    assert!(image.topics().all(|topic| known(&topic.name)), "{what}: a topic of nowhere");
    let ids = image.next_producer_id();
    assert!(ids >= acknowledged.next_producer_id, "{what}: producer ids went back to {ids}");
    let epoch = node.join().await.unwrap();
    assert!(epoch >= 0);
    node.controller.shutdown().await;
}

/// One life that ends after `changes` operations, and the one after it.
async fn crash(changes: u64, power: bool) -> bool {
    let fs = Arc::new(SimFs::new());
    let mut acknowledged = Acknowledged { stage: "start", ..Acknowledged::default() };
    fs.kill_after(changes);
    if let Ok(node) = TestNode::try_start(fs.clone()).await {
        let worked = work(&node, &mut acknowledged).await;
        assert!(worked.is_ok() || fs.was_killed(), "{worked:?}");
        node.controller.shutdown().await;
    }
    let killed = fs.was_killed();
    if power {
        fs.lose_power(changes);
    } else {
        fs.restart();
    }
    let what = format!("{} after {changes} changes", if power { "power loss" } else { "kill" });
    check(&fs, &acknowledged, &what).await;
    killed
}

#[tokio::test]
async fn a_kill_at_any_point_loses_nothing_that_was_acknowledged() {
    let mut changes = 0;
    while crash(changes, false).await {
        changes += 1;
    }
    assert!(changes > 50, "only {changes} points");
}

#[tokio::test]
async fn a_power_failure_at_any_point_loses_nothing_that_was_acknowledged() {
    let mut changes = 0;
    while crash(changes, true).await {
        changes += 1;
    }
    assert!(changes > 50, "only {changes} points");
}

/// A file system with a node's whole life in it.
async fn lived() -> (Arc<SimFs>, Acknowledged) {
    let fs = Arc::new(SimFs::new());
    let mut acknowledged = Acknowledged::default();
    let node = TestNode::start(fs.clone()).await;
    work(&node, &mut acknowledged).await.unwrap();
    node.controller.shutdown().await;
    fs.restart();
    (fs, acknowledged)
}

pub(super) fn file(suffix: &str, fs: &SimFs) -> (PathBuf, u64) {
    let dir = Path::new(DIR).join(METADATA_DIRECTORY);
    let entries = fs.list(&dir).unwrap();
    let entry = entries.iter().rev().find(|it| it.name.ends_with(suffix)).unwrap();
    (dir.join(&entry.name), entry.len)
}

/// Damage to any byte of a file is either refused with one line that names the file, or nothing
/// is lost by it.
async fn damage(suffix: &str, step: usize) -> usize {
    let (fs, _) = lived().await;
    let (_, len) = file(suffix, &fs);
    let mut refused = 0;
    for byte in (0..len).step_by(step) {
        let (fs, acknowledged) = lived().await;
        let (path, len) = file(suffix, &fs);
        if byte >= len {
            break;
        }
        fs.flip(&path, byte, u8::try_from(byte % 8).unwrap()).unwrap();
        match TestNode::try_start(fs.clone()).await {
            Err(error) => {
                assert!(error.contains(&path.display().to_string()), "{error}");
                assert!(!error.contains('\n'), "{error}");
                refused += 1;
            }
            Ok(node) => {
                node.controller.shutdown().await;
                fs.restart();
                check(&fs, &acknowledged, &format!("bit of byte {byte} of {suffix}")).await;
            }
        }
    }
    refused
}

#[tokio::test]
async fn a_flipped_bit_of_the_log_is_refused() {
    assert!(damage(".log", 7).await > 100);
}

#[tokio::test]
async fn a_flipped_bit_of_the_snapshot_is_refused() {
    assert!(damage(".checkpoint", 13).await > 50);
}

#[tokio::test]
async fn a_flipped_bit_of_the_vote_is_refused() {
    assert!(damage("quorum-state", 3).await > 20);
}

#[tokio::test]
async fn a_flipped_bit_of_the_commit_hint_costs_nothing() {
    assert_eq!(damage("committed", 1).await, 0);
}

/// Overwrites a file.
fn put(fs: &SimFs, path: &Path, bytes: &[u8]) {
    let file = fs.open(path, pharos_storage::fs::Open::Truncate).unwrap();
    file.write_at(&mut [std::io::IoSlice::new(bytes)], 0).unwrap();
}

#[tokio::test]
async fn every_file_may_be_damaged() {
    for suffix in [".log", ".checkpoint", "quorum-state", "committed"] {
        for damage in ["removed", "emptied", "halved", "shortened", "garbage", "zeros"] {
            let (fs, acknowledged) = lived().await;
            let (path, len) = file(suffix, &fs);
            let bytes = pharos_storage::fs::read_file(&*fs, &path, len).unwrap();
            match damage {
                "removed" => fs.remove_file(&path).unwrap(),
                "emptied" => put(&fs, &path, &[]),
                "halved" => put(&fs, &path, &bytes[..bytes.len() / 2]),
                "shortened" => put(&fs, &path, &bytes[..bytes.len() - 1]),
                "garbage" => put(&fs, &path, &vec![0xa5; bytes.len()]),
                _ => put(&fs, &path, &vec![0; bytes.len()]),
            }
            let place = format!("{suffix} {damage}");
            match TestNode::try_start(fs.clone()).await {
                Err(error) => {
                    assert!(error.contains(DIR) && !error.contains('\n'), "{place}: {error}");
                    assert_ne!(suffix, "committed", "{place}: {error}");
                }
                Ok(node) => {
                    node.controller.shutdown().await;
                    fs.restart();
                    check(&fs, &acknowledged, &place).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn what_a_kill_left_of_a_snapshot_goes() {
    let (fs, acknowledged) = lived().await;
    let part = Path::new(DIR).join(METADATA_DIRECTORY);
    let part = part.join("00000000000000009999-0000000001.checkpoint.part");
    put(&fs, &part, b"the beginning of a snap");
    check(&fs, &acknowledged, "the rest of a snapshot").await;
    assert!(fs.open(&part, pharos_storage::fs::Open::Read).is_err());
}

#[tokio::test]
async fn removed_topics_are_known_beyond_a_snapshot() {
    let fs = Arc::new(SimFs::new());
    let node = TestNode::start(fs.clone()).await;
    node.join().await.unwrap();
    let mut ids = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let request = CreateTopicsRequest {
            topics: vec![super::tests::topic(name, 1)],
            ..CreateTopicsRequest::default()
        };
        let id = node
            .controller
            .create_topics(request, PartitionQuota::unlimited())
            .await
            .unwrap()
            .topics[0]
            .topic_id;
        if name == "c" {
            continue;
        }
        let topic = DeleteTopicState { name: Some(name.to_owned()), ..Default::default() };
        let request = DeleteTopicsRequest { topics: vec![topic], ..Default::default() };
        node.controller.delete_topics(request, PartitionQuota::unlimited()).await.unwrap();
        ids.insert(id);
    }
    assert_eq!(node.controller.removed_topics().unwrap(), ids);
    let quorum = &node.controller.0.quorum;
    let mut metrics = quorum.metrics();
    let upto = metrics.borrow().last_applied;
    quorum.make_snapshot().await;
    metrics.wait_for(|it| it.snapshot >= upto).await.unwrap();
    node.controller.shutdown().await;
    fs.restart();
    let node = TestNode::start(fs.clone()).await;
    node.controller.elect_leaders(ElectLeadersRequest::default()).await.unwrap();
    assert_eq!(node.controller.removed_topics().unwrap(), ids);
    // Once the log is cut, nothing is said of what lay before.
    snapshot_and_purge(&node).await;
    assert_eq!(node.controller.removed_topics().unwrap(), BTreeSet::new());
    node.controller.shutdown().await;
}

#[tokio::test]
async fn a_log_that_was_shortened_below_what_was_committed_is_refused() {
    let (fs, _) = lived().await;
    let (path, len) = file(".log", &fs);
    let file = fs.open(&path, pharos_storage::fs::Open::Write).unwrap();
    file.set_len(len - 1).unwrap();
    let error = TestNode::try_start(fs).await.err().unwrap();
    assert!(error.contains("which was committed"), "{error}");
}

#[tokio::test]
async fn a_removed_snapshot_is_missed() {
    let (fs, _) = lived().await;
    let (path, _) = file(".checkpoint", &fs);
    fs.remove_file(&path).unwrap();
    let error = TestNode::try_start(fs).await.err().unwrap();
    assert!(error.contains("but the newest snapshot ends at 0"), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_waited_out() {
    let fs = Arc::new(SimFs::new());
    let node = TestNode::start(fs.clone()).await;
    node.join().await.unwrap();
    fs.set_free_bytes(Some(0));
    let controller = node.controller.clone();
    let request = CreateTopicsRequest {
        topics: vec![super::tests::topic("t", 1)],
        ..CreateTopicsRequest::default()
    };
    let creating = tokio::spawn(async move {
        controller.create_topics(request, PartitionQuota::unlimited()).await
    });
    let changes = fs.changes();
    while fs.changes() < changes + 2 {
        tokio::task::yield_now().await;
    }
    assert!(!creating.is_finished());
    fs.set_free_bytes(None);
    let response = creating.await.unwrap().unwrap();
    assert_eq!(response.topics[0].error_code, 0);
    assert_ne!(response.topics[0].topic_id, TopicId::ZERO);
    node.controller.shutdown().await;
}

#[tokio::test]
async fn a_failed_sync_stops_the_quorum_and_says_so() {
    let fs = Arc::new(SimFs::new());
    let node = TestNode::start(fs.clone()).await;
    node.join().await.unwrap();
    fs.fail(pharos_storage::fs::Fault {
        op: pharos_storage::fs::Op::Sync,
        path: METADATA_DIRECTORY.to_owned(),
        error: std::io::ErrorKind::Other,
        after: 0,
        times: 1,
    });
    let request = CreateTopicsRequest {
        topics: vec![super::tests::topic("t", 1)],
        ..CreateTopicsRequest::default()
    };
    let refused =
        node.controller.create_topics(request, PartitionQuota::unlimited()).await.unwrap_err();
    assert!(matches!(refused, ControllerError::Stopped(_)), "{refused:?}");
    assert!(matches!(node.controller.stopped().await, ControllerError::Stopped(_)));
}
