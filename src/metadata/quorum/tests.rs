//! Three voters over a network in memory: elections, replication, conflicting logs, snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, ServerState};
use parking_lot::Mutex;
use pharos_base::{BrokerId, Clock, TopicId};
use pharos_storage::fs::SimFs;

use super::*;
use crate::image::MetadataImage;
use crate::image::tests::{partition_record, topic_record};
use crate::record::encode_batch;

/// Who can be reached.
#[derive(Clone, Default)]
struct Net {
    voters: Arc<Mutex<BTreeMap<u64, Raft>>>,
    cut_off: Arc<Mutex<BTreeSet<u64>>>,
}

struct Link {
    net: Net,
    from: u64,
    to: u64,
}

type Failure<E> = RPCError<u64, BasicNode, E>;

impl Link {
    fn target(&self) -> Option<Raft> {
        let cut = self.net.cut_off.lock();
        let reached = !cut.contains(&self.from) && !cut.contains(&self.to);
        reached.then(|| self.net.voters.lock().get(&self.to).cloned()).flatten()
    }

    fn remote<E: std::error::Error>(&self, error: E) -> Failure<E> {
        RPCError::RemoteError(RemoteError::new(self.to, error))
    }
}

fn unreachable<E: std::error::Error>() -> Failure<E> {
    let error = std::io::Error::from(std::io::ErrorKind::NotConnected);
    RPCError::Unreachable(Unreachable::new(&error))
}

struct From {
    net: Net,
    id: u64,
}

impl RaftNetworkFactory<TypeConfig> for From {
    type Network = Link;

    async fn new_client(&mut self, to: u64, _node: &BasicNode) -> Link {
        Link { net: self.net.clone(), from: self.id, to }
    }
}

impl RaftNetwork<TypeConfig> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failure<RaftError<u64>>> {
        let target = self.target().ok_or_else(unreachable)?;
        target.append_entries(rpc).await.map_err(|error| self.remote(error))
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failure<RaftError<u64, InstallSnapshotError>>> {
        let target = self.target().ok_or_else(unreachable)?;
        target.install_snapshot(rpc).await.map_err(|error| self.remote(error))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, Failure<RaftError<u64>>> {
        let target = self.target().ok_or_else(unreachable)?;
        target.vote(rpc).await.map_err(|error| self.remote(error))
    }
}

struct Cluster {
    net: Net,
    disks: BTreeMap<u64, Arc<SimFs>>,
    voters: BTreeMap<u64, Quorum>,
}

impl Cluster {
    async fn start() -> Self {
        let disks = (1..=3).map(|id| (id, Arc::new(SimFs::new()))).collect();
        let mut cluster = Self { net: Net::default(), disks, voters: BTreeMap::new() };
        for id in 1..=3 {
            cluster.open(id).await;
        }
        let members: BTreeMap<_, _> = (1..=3).map(|id| (id, BasicNode::default())).collect();
        cluster.voters[&1].raft().initialize(members).await.unwrap();
        cluster
    }

    async fn open(&mut self, id: u64) {
        let options = QuorumOptions {
            node_id: BrokerId(i32::try_from(id).unwrap()),
            fs: self.disks[&id].clone(),
            log_dir: PathBuf::from("/data"),
            directory_id: TopicId::random(),
            cluster_id: "cluster".to_owned(),
            election_timeout_ms: 100,
            clock: Clock::real(),
            metrics: None,
        };
        let network = From { net: self.net.clone(), id };
        let quorum = Quorum::open(options, network, Box::new(|_| {})).await.unwrap();
        self.net.voters.lock().insert(id, quorum.raft().clone());
        self.voters.insert(id, quorum);
    }

    async fn close(&mut self, id: u64) {
        self.net.voters.lock().remove(&id);
        self.voters.remove(&id).unwrap().shutdown().await;
        self.disks[&id].restart();
    }

    /// Waits until one of `among` leads and has applied all that came before; returns it.
    async fn leader(&self, among: &[u64]) -> u64 {
        loop {
            for id in among {
                let mut metrics = self.voters[id].metrics();
                if matches!(role(&mut metrics), Role::Leading(_)) {
                    return *id;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn create(&self, leader: u64, name: &str) -> Option<Applied> {
        let quorum = &self.voters[&leader];
        let term = u64::try_from(quorum.term()).unwrap();
        let id = TopicId::random();
        let batch = encode_batch(&[topic_record(name, id), partition_record(id, 0, 1)], 7).unwrap();
        quorum.propose(Proposal { term, batch }).await
    }

    /// Waits until a voter has applied what the leader has.
    async fn caught_up(&self, id: u64, leader: u64) {
        let applied = self.voters[&leader].metrics().borrow().last_applied;
        let mut metrics = self.voters[&id].metrics();
        metrics.wait_for(|it| it.last_applied >= applied).await.unwrap();
    }

    fn image(&self, id: u64) -> Arc<MetadataImage> {
        self.voters[&id].view().image.clone()
    }

    fn names(&self, id: u64) -> Vec<String> {
        self.image(id).topics().map(|topic| topic.name.to_string()).collect()
    }
}

#[tokio::test]
async fn what_the_leader_commits_is_on_every_voter() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader(&[1, 2, 3]).await;
    for name in ["a", "b", "c"] {
        cluster.create(leader, name).await.unwrap();
    }
    for id in 1..=3 {
        cluster.caught_up(id, leader).await;
        assert_eq!(cluster.names(id), ["a", "b", "c"]);
        // Offsets are the same everywhere, and so is what stands there.
        assert_eq!(cluster.image(id).provenance(), cluster.image(leader).provenance());
    }
    let ends: BTreeSet<_> = cluster.voters.values().map(|it| it.log_figures().end_offset).collect();
    assert_eq!(ends.len(), 1);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_loses_what_it_could_not_commit() {
    let cluster = Cluster::start().await;
    let old = cluster.leader(&[1, 2, 3]).await;
    cluster.create(old, "kept").await.unwrap();
    cluster.net.cut_off.lock().insert(old);
    let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
    // It cannot commit, but it appends to its own log.
    let end = cluster.voters[&old].log_figures().end_offset;
    let id = TopicId::random();
    let term = u64::try_from(cluster.voters[&old].term()).unwrap();
    let batch = encode_batch(&[topic_record("lost", id)], 7).unwrap();
    let waiting = cluster.voters[&old].raft().client_write_ff(Proposal { term, batch }).await;
    while cluster.voters[&old].log_figures().end_offset == end {
        tokio::task::yield_now().await;
    }
    let new = cluster.leader(&others).await;
    cluster.create(new, "won").await.unwrap();
    cluster.net.cut_off.lock().clear();
    cluster.caught_up(old, new).await;
    for id in 1..=3 {
        cluster.caught_up(id, new).await;
        assert_eq!(cluster.names(id), ["kept", "won"]);
    }
    drop(waiting);
}

#[tokio::test]
async fn a_decision_of_an_earlier_term_does_nothing() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader(&[1, 2, 3]).await;
    let first = cluster.create(leader, "a").await.unwrap();
    let batch = encode_batch(&[topic_record("stale", TopicId::random())], 7).unwrap();
    let crc = pharos_protocol::batch::RecordBatch::split(&batch).unwrap().0.header().crc;
    let quorum = &cluster.voters[&leader];
    let applied = quorum.propose(Proposal { term: 0, batch }).await.unwrap();
    assert_ne!(applied.crc, crc, "the proposer learns that it came too late");
    assert_eq!(applied.base_offset, first.base_offset + 2);
    assert_eq!(cluster.names(leader), ["a"]);
}

#[tokio::test]
async fn a_voter_that_lags_far_behind_gets_a_snapshot() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader(&[1, 2, 3]).await;
    let lagging = (1..=3).find(|id| *id != leader).unwrap();
    cluster.close(lagging).await;
    for name in ["a", "b", "c", "d"] {
        cluster.create(leader, name).await.unwrap();
    }
    let quorum = &cluster.voters[&leader];
    let upto = quorum.metrics().borrow().last_applied;
    quorum.make_snapshot().await;
    let mut metrics = quorum.metrics();
    metrics.wait_for(|it| it.snapshot >= upto).await.unwrap();
    quorum.raft().trigger().purge_log(upto.unwrap().index).await.unwrap();
    metrics.wait_for(|it| it.purged >= upto).await.unwrap();
    cluster.create(leader, "e").await.unwrap();
    cluster.open(lagging).await;
    cluster.caught_up(lagging, leader).await;
    assert_eq!(cluster.names(lagging), ["a", "b", "c", "d", "e"]);
    assert!(cluster.voters[&lagging].metrics().borrow().snapshot >= upto);
    // Both start again from what they hold.
    for id in [lagging, leader] {
        cluster.close(id).await;
        cluster.open(id).await;
    }
    let leader = cluster.leader(&[1, 2, 3]).await;
    cluster.caught_up(lagging, leader).await;
    assert_eq!(cluster.image(lagging).topic_count(), 5);
    let states: Vec<_> = cluster.voters.values().map(|it| it.metrics().borrow().state).collect();
    assert_eq!(states.iter().filter(|state| **state == ServerState::Leader).count(), 1);
}
