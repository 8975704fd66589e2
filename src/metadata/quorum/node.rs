//! The quorum as a node sees it: its log is opened, openraft runs, and its state can be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use openraft::error::{ClientWriteError, RaftError};
use openraft::network::RaftNetworkFactory;
use openraft::{BasicNode, Config, ServerState, SnapshotPolicy};
use pharos_base::{BrokerId, Clock, TopicId};
use pharos_storage::StorageMetrics;
use pharos_storage::fs::Fs;
use tokio::sync::watch;

use super::log_file::LogFile;
use super::log_store::LogFigures;
use super::machine::Sink;
use super::snapshot_file::{LatestSnapshot, Snapshot};
use super::{
    Alone, Applied, LogStore, METADATA_DIRECTORY, Machine, MachineView, Proposal, QuorumError,
    Raft, Snapshots, StateFile, TypeConfig,
};

/// Entries that stay in the log behind a snapshot, so that a voter that lags a little needs no
/// snapshot.
const ENTRIES_BEHIND_SNAPSHOT: u64 = 1_000;

pub(crate) type RaftMetrics = openraft::RaftMetrics<u64, BasicNode>;

/// What a voter starts with.
pub(crate) struct QuorumOptions {
    pub node_id: BrokerId,
    pub fs: Arc<dyn Fs>,
    /// The log directory; the log lies in [`METADATA_DIRECTORY`] inside it.
    pub log_dir: PathBuf,
    pub directory_id: TopicId,
    pub cluster_id: String,
    pub election_timeout_ms: u64,
    pub clock: Clock,
    /// Told of each sync of the log.
    pub metrics: Option<Arc<StorageMetrics>>,
}

/// A voter.
pub(crate) struct Quorum {
    raft: Raft,
    log: LogStore,
    view: Arc<ArcSwap<MachineView>>,
    latest: Arc<LatestSnapshot>,
    node_id: BrokerId,
    directory_id: TopicId,
}

/// The role of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It leads in this term and has applied all that came before.
    Leading(u64),
    /// Another node leads.
    Following,
    /// There is no leader that it knows of, or it has not caught up with itself.
    Waiting,
    /// The quorum stopped for good.
    Stopped,
}

impl Quorum {
    /// Starts the only voter of a quorum. It stands for election at once.
    pub async fn start(options: QuorumOptions, sink: Sink) -> Result<Self, QuorumError> {
        let id = voter_id(options.node_id);
        let quorum = Self::open(options, Alone, sink).await?;
        let stopped = |error: &dyn std::fmt::Display| QuorumError::Stopped(error.to_string());
        if quorum.raft.is_initialized().await.map_err(|error| stopped(&error))? {
            quorum.raft.trigger().elect().await.map_err(|error| stopped(&error))?;
        } else {
            let voters = BTreeMap::from([(id, BasicNode::default())]);
            quorum.raft.initialize(voters).await.map_err(|error| stopped(&error))?;
        }
        Ok(quorum)
    }

    /// Opens log and snapshots and starts openraft, which then waits for what comes.
    pub async fn open(
        options: QuorumOptions,
        network: impl RaftNetworkFactory<TypeConfig>,
        sink: Sink,
    ) -> Result<Self, QuorumError> {
        let (fs, clock) = (options.fs.clone(), options.clock.clone());
        let (dir, metrics) = (options.log_dir.join(METADATA_DIRECTORY), options.metrics.clone());
        let opened =
            tokio::task::spawn_blocking(move || open_files(fs, &dir, clock, metrics)).await;
        let (log, snapshots, newest) =
            opened.map_err(|error| QuorumError::Stopped(error.to_string()))??;
        let latest = snapshots.latest();
        let machine = Machine::new(newest.as_ref(), snapshots, log.clone(), sink);
        let view = machine.view();
        let id = voter_id(options.node_id);
        let raft = Raft::new(id, Arc::new(config(&options)?), network, log.clone(), machine).await;
        let raft = raft.map_err(|error| QuorumError::Stopped(error.to_string()))?;
        let (node_id, directory_id) = (options.node_id, options.directory_id);
        Ok(Self { raft, log, view, latest, node_id, directory_id })
    }

    /// Where the machine stands.
    pub fn view(&self) -> Guard<Arc<MachineView>> {
        self.view.load()
    }

    /// Follows the state of openraft.
    pub fn metrics(&self) -> watch::Receiver<RaftMetrics> {
        self.raft.metrics()
    }

    /// Why the quorum stopped, if it did.
    pub fn failure(&self) -> Option<String> {
        failure(&self.raft.metrics().borrow())
    }

    /// The node that leads.
    pub fn leader(&self) -> Option<BrokerId> {
        let leader = self.raft.metrics().borrow().current_leader?;
        i32::try_from(leader).ok().map(BrokerId)
    }

    /// The term, which is the epoch of the metadata log.
    pub fn term(&self) -> i64 {
        i64::try_from(self.raft.metrics().borrow().current_term).unwrap_or(i64::MAX)
    }

    /// The node that this one voted for last; −1 before the first vote.
    pub fn voted_for(&self) -> i64 {
        let vote = self.log.voted_for();
        vote.map_or(-1, |(_, node)| i64::try_from(node).unwrap_or(i64::MAX))
    }

    /// The epoch of the last entry of the log.
    pub fn log_end_epoch(&self) -> i64 {
        i64::try_from(self.log.last_term()).unwrap_or(i64::MAX)
    }

    /// The newest snapshot.
    pub fn latest_snapshot(&self) -> &Arc<LatestSnapshot> {
        &self.latest
    }

    /// Figures of the log.
    pub fn log_figures(&self) -> LogFigures {
        self.log.figures()
    }

    /// Ids of the topics that committed entries of the log remove. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn removed_topics(&self) -> std::io::Result<BTreeSet<TopicId>> {
        match self.view.load().last_applied {
            Some(last) => self.log.removed_topics(last.index),
            None => Ok(BTreeSet::new()),
        }
    }

    /// Ids of the voters.
    pub fn voters(&self) -> Vec<BrokerId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let ids = metrics.membership_config.membership().voter_ids();
        ids.filter_map(|id| i32::try_from(id).ok()).map(BrokerId).collect()
    }

    /// This node.
    pub fn node_id(&self) -> BrokerId {
        self.node_id
    }

    /// The directory of its log.
    pub fn directory_id(&self) -> TopicId {
        self.directory_id
    }

    /// The role as the bean raft-metrics names it.
    pub fn role_name(&self) -> &'static str {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        match metrics.state {
            ServerState::Leader => "leader",
            ServerState::Candidate => "candidate",
            ServerState::Follower if metrics.current_leader.is_some() => "follower",
            ServerState::Follower => "unattached",
            ServerState::Learner => "observer",
            ServerState::Shutdown => "resigned",
        }
    }

    /// Proposes a batch and waits until it is applied; `None` when this node does not lead.
    pub async fn propose(&self, proposal: Proposal) -> Option<Applied> {
        match self.raft.client_write(proposal).await {
            Ok(written) => Some(written.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => None,
            Err(error) => {
                tracing::debug!("metadata records were not committed: {error}");
                None
            }
        }
    }

    /// Has a snapshot made; failures end the quorum and show there.
    pub async fn make_snapshot(&self) {
        if let Err(error) = self.raft.trigger().snapshot().await {
            tracing::debug!("no snapshot was made: {error}");
        }
    }

    /// Openraft's own handle, for tests that play the network or force a purge.
    #[cfg(test)]
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// Stops openraft.
    pub async fn shutdown(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::debug!("the metadata quorum did not stop in order: {error}");
        }
    }
}

/// Why the quorum stopped, if it did.
pub(crate) fn failure(metrics: &RaftMetrics) -> Option<String> {
    metrics.running_state.as_ref().err().map(ToString::to_string)
}

/// What the node is, read from openraft's state.
pub(crate) fn role(metrics: &mut watch::Receiver<RaftMetrics>) -> Role {
    let metrics = metrics.borrow_and_update();
    if metrics.running_state.is_err() {
        return Role::Stopped;
    }
    match metrics.current_leader {
        Some(leader) if leader == metrics.id && metrics.state == ServerState::Leader => {
            // Its own first entry is applied: so is all that earlier leaders committed.
            let term = metrics.current_term;
            let applied = metrics.last_applied.map(|log_id| log_id.leader_id.term);
            if applied == Some(term) { Role::Leading(term) } else { Role::Waiting }
        }
        Some(leader) if leader != metrics.id => Role::Following,
        _ => Role::Waiting,
    }
}

fn voter_id(id: BrokerId) -> u64 {
    u64::try_from(id.0).unwrap_or(0)
}

fn config(options: &QuorumOptions) -> Result<Config, QuorumError> {
    let election = options.election_timeout_ms.max(50);
    let config = Config {
        cluster_name: options.cluster_id.clone(),
        heartbeat_interval: (election / 4).max(10),
        election_timeout_min: election,
        election_timeout_max: election * 2,
        // Made by the controller's own policy.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: ENTRIES_BEHIND_SNAPSHOT,
        ..Config::default()
    };
    config.validate().map_err(|error| QuorumError::Stopped(error.to_string()))
}

type Files = (LogStore, Snapshots, Option<Snapshot>);

fn open_files(
    fs: Arc<dyn Fs>,
    dir: &Path,
    clock: Clock,
    metrics: Option<Arc<StorageMetrics>>,
) -> Result<Files, QuorumError> {
    fs.create_dir_all(dir).map_err(QuorumError::io(dir))?;
    let mut state = StateFile::open(fs.clone(), dir)?;
    state.create()?;
    let snapshots = Snapshots::new(fs.clone(), dir, clock.clone());
    snapshots.remove_unfinished()?;
    let newest = snapshots.newest()?;
    let beginning = state.state().beginning;
    let snapshot_end = newest.as_ref().map_or(0, |snapshot| snapshot.meta.next_offset);
    if let Some(beginning) = beginning.filter(|it| it.next_offset > snapshot_end) {
        let (path, log_start) = (dir.to_owned(), beginning.next_offset);
        return Err(QuorumError::Gap { path, log_start, snapshot_end });
    }
    let mut log = LogFile::open(fs, dir, beginning, state.committed())?;
    log.metrics = metrics;
    if log.cut_off_bytes > 0 {
        tracing::info!(bytes = log.cut_off_bytes, "cut off a torn write of the metadata log");
    }
    Ok((LogStore::new(log, state, clock), snapshots, newest))
}
