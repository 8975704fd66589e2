//! The controller: the one place that decides. Requests become jobs in a queue; the proposer of the
//! active controller decides them in order and answers once the quorum has committed.
//!
//! It speaks Kafka's messages, so that a broker in the same process and one behind a socket take
//! the same way.

mod jobs;
mod proposer;
mod quorum_state;
mod start;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod truth;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pharos_base::{BrokerId, Clock, Offset, TopicId};
use pharos_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, AlterClientQuotasRequest,
    AlterClientQuotasResponse, AlterConfigsRequest, AlterConfigsResponse, AlterPartitionRequest,
    AlterPartitionResponse, AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
    BrokerRegistrationResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    ElectLeadersRequest, ElectLeadersResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, ListPartitionReassignmentsResponse, UnregisterBrokerRequest,
    UnregisterBrokerResponse, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

pub use start::{ControllerOptions, OnRegistered};

use crate::decide::{
    ControllerSettings, Decision, PartitionQuota, alter_partition, assign_directories, brokers,
    client_quotas, configs, create_partitions, create_topics, delete_topics, elect_leaders,
    features, producer_ids,
};
use crate::image::ConfigResource;
use crate::metrics::ControllerMetrics;
use crate::publish::ImagePublisher;
use crate::quorum::{Quorum, failure};
use jobs::{Job, Turn};

/// Longest wait of a request for its turn and for the quorum.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// Why the controller did not answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ControllerError {
    /// Another node is the active controller, or none is: NOT_CONTROLLER.
    #[error("this node is not the active controller{}", match .leader {
        Some(leader) => format!(", node {leader} is"),
        None => String::new(),
    })]
    NotController {
        /// The active controller, if it is known.
        leader: Option<BrokerId>,
    },
    /// The queue is full or the quorum does not commit: REQUEST_TIMED_OUT.
    #[error("the controller did not decide within {} s", REQUEST_LIMIT.as_secs())]
    TimedOut,
    /// The quorum stopped for good; the process must end: UNKNOWN_SERVER_ERROR.
    #[error("the metadata quorum stopped: {0}")]
    Stopped(String),
}

/// The controller role of a node; clones share it.
#[derive(Clone)]
pub struct Controller(Arc<Inner>);

struct Inner {
    jobs: mpsc::Sender<Job>,
    quorum: Arc<Quorum>,
    publisher: ImagePublisher,
    settings: Arc<ControllerSettings>,
    clock: Clock,
    metrics: Arc<ControllerMetrics>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Controller {
    /// Queues a decision and waits until it is committed.
    async fn ask<R: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Turn<'_>) -> Decision<R> + Send + 'static,
    ) -> Result<R, ControllerError> {
        let (answer, answered) = oneshot::channel();
        let span = tracing::debug_span!("controller.request");
        let job = Job::new(self.0.clock.monotonic(), span.clone(), decide, answer);
        let turn = async {
            self.0.jobs.send(job).await.ok()?;
            answered.await.ok()
        };
        match tokio::time::timeout(REQUEST_LIMIT, turn).instrument(span).await {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(self.unavailable()),
            Err(_) => {
                self.0.metrics.operation_timed_out();
                Err(ControllerError::TimedOut)
            }
        }
    }

    fn unavailable(&self) -> ControllerError {
        match self.0.quorum.failure() {
            Some(reason) => ControllerError::Stopped(reason),
            None => ControllerError::NotController { leader: self.active_controller() },
        }
    }

    /// CreateTopics (API 19).
    ///
    /// # Errors
    /// [`ControllerError`], as for all requests below.
    pub async fn create_topics(
        &self,
        request: CreateTopicsRequest,
        quota: PartitionQuota,
    ) -> Result<CreateTopicsResponse, ControllerError> {
        self.ask(move |turn| create_topics::decide(&turn.facts, &request, &quota)).await
    }

    /// DeleteTopics (API 20), versions 1 to 6.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn delete_topics(
        &self,
        request: DeleteTopicsRequest,
        quota: PartitionQuota,
    ) -> Result<DeleteTopicsResponse, ControllerError> {
        self.ask(move |turn| delete_topics::decide(&turn.facts, &request, &quota)).await
    }

    /// CreatePartitions (API 37).
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn create_partitions(
        &self,
        request: CreatePartitionsRequest,
        quota: PartitionQuota,
    ) -> Result<CreatePartitionsResponse, ControllerError> {
        self.ask(move |turn| create_partitions::decide(&turn.facts, &request, &quota)).await
    }

    /// IncrementalAlterConfigs (API 44). Broker loggers are the broker's own and refused here.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn incremental_alter_configs(
        &self,
        request: IncrementalAlterConfigsRequest,
    ) -> Result<IncrementalAlterConfigsResponse, ControllerError> {
        self.ask(move |turn| configs::decide_incremental(&turn.facts, &request)).await
    }

    /// AlterConfigs (API 33): replaces all that was set on a resource.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn alter_configs(
        &self,
        request: AlterConfigsRequest,
    ) -> Result<AlterConfigsResponse, ControllerError> {
        self.ask(move |turn| configs::decide_replacing(&turn.facts, &request)).await
    }

    /// Sets a value that the cluster makes for itself, unless there is one already.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn set_once(
        &self,
        resource: ConfigResource,
        key: &'static str,
        value: String,
    ) -> Result<(), ControllerError> {
        self.ask(move |turn| configs::decide_once(&turn.facts, &resource, key, &value)).await
    }

    /// AlterClientQuotas (API 49). `unknown_hosts` are names among its addresses that have none.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn alter_client_quotas(
        &self,
        request: AlterClientQuotasRequest,
        unknown_hosts: HashSet<String>,
    ) -> Result<AlterClientQuotasResponse, ControllerError> {
        self.ask(move |turn| client_quotas::decide(&turn.facts, &request, &unknown_hosts)).await
    }

    /// BrokerRegistration (API 62).
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn register_broker(
        &self,
        request: BrokerRegistrationRequest,
    ) -> Result<BrokerRegistrationResponse, ControllerError> {
        self.ask(move |turn| {
            let id = BrokerId(request.broker_id);
            let holds = turn.leases.holds(id, turn.now_ms);
            let decision = brokers::register(&turn.facts, &request, holds);
            if !decision.records.is_empty() {
                turn.leases.registered(id, turn.now_ms);
            }
            decision
        })
        .await
    }

    /// BrokerHeartbeat (API 63).
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn broker_heartbeat(
        &self,
        request: BrokerHeartbeatRequest,
    ) -> Result<BrokerHeartbeatResponse, ControllerError> {
        let answer = self.ask(move |turn| turn.heartbeat(&request)).await;
        if matches!(answer, Err(ControllerError::TimedOut)) {
            self.0.metrics.heartbeat_timed_out();
        }
        answer
    }

    /// UnregisterBroker (API 64).
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn unregister_broker(
        &self,
        request: UnregisterBrokerRequest,
    ) -> Result<UnregisterBrokerResponse, ControllerError> {
        self.ask(move |turn| {
            let id = BrokerId(request.broker_id);
            let decision = brokers::unregister(&turn.facts, id);
            turn.leases.forget(id);
            decision
        })
        .await
    }

    /// AllocateProducerIds (API 67): blocks of 1000, each given once for ever.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn allocate_producer_ids(
        &self,
        request: AllocateProducerIdsRequest,
    ) -> Result<AllocateProducerIdsResponse, ControllerError> {
        self.ask(move |turn| producer_ids::decide(&turn.facts, &request)).await
    }

    /// UpdateFeatures (API 57).
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn update_features(
        &self,
        request: UpdateFeaturesRequest,
        version: i16,
    ) -> Result<UpdateFeaturesResponse, ControllerError> {
        self.ask(move |turn| features::decide(&turn.facts, &request, version)).await
    }

    /// ElectLeaders (API 43).
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn elect_leaders(
        &self,
        request: ElectLeadersRequest,
    ) -> Result<ElectLeadersResponse, ControllerError> {
        self.ask(move |turn| elect_leaders::decide(&turn.facts, &request)).await
    }

    /// AlterPartition (API 56), versions 2 and 3.
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn alter_partition(
        &self,
        request: AlterPartitionRequest,
        version: i16,
    ) -> Result<AlterPartitionResponse, ControllerError> {
        self.ask(move |turn| alter_partition::decide(&turn.facts, &request, version)).await
    }

    /// AssignReplicasToDirs (API 73).
    ///
    /// # Errors
    /// [`ControllerError`].
    pub async fn assign_replicas_to_dirs(
        &self,
        request: AssignReplicasToDirsRequest,
    ) -> Result<AssignReplicasToDirsResponse, ControllerError> {
        self.ask(move |turn| assign_directories::decide(&turn.facts, &request)).await
    }

    /// ListPartitionReassignments (API 46): there is no reassignment, so the list is truly empty.
    pub fn list_partition_reassignments(&self) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse {
            error_message: None,
            ..ListPartitionReassignmentsResponse::default()
        }
    }

    /// The node that leads the quorum.
    pub fn active_controller(&self) -> Option<BrokerId> {
        self.0.quorum.leader()
    }

    /// Offset of the last record that this node knows to be committed; −1 before the first.
    pub fn last_committed_offset(&self) -> Offset {
        Offset(self.0.quorum.view().next_offset - 1)
    }

    /// Ids of the topics that the log removes, as far back as it goes: it keeps the entries of some
    /// time before the snapshot that a start begins with. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn removed_topics(&self) -> std::io::Result<BTreeSet<TopicId>> {
        self.0.quorum.removed_topics()
    }

    /// Where images are published; for a broker in the same process.
    pub fn publisher(&self) -> &ImagePublisher {
        &self.0.publisher
    }

    /// Limits and defaults that this controller decides by.
    pub fn settings(&self) -> &ControllerSettings {
        &self.0.settings
    }

    /// Waits until the quorum stops for good, and says why: the process cannot go on.
    pub async fn stopped(&self) -> ControllerError {
        let mut metrics = self.0.quorum.metrics();
        loop {
            let reason = failure(&metrics.borrow_and_update());
            if let Some(reason) = reason {
                return ControllerError::Stopped(reason);
            }
            if metrics.changed().await.is_err() {
                return ControllerError::Stopped("it was shut down".to_owned());
            }
        }
    }

    /// Stops proposing and publishing, and closes the log.
    pub async fn shutdown(&self) {
        self.0.quorum.shutdown().await;
        for task in self.0.tasks.lock().drain(..) {
            task.abort();
        }
    }
}
