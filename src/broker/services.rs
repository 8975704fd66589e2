//! What handlers are given: dispatch takes the pieces that each one needs out of here.

use std::sync::Arc;

use pharos_base::Clock;
use pharos_config::rows;
use pharos_insight::ClientTelemetry;
use pharos_metadata::image::MetadataImage;
use pharos_metadata::{Controller, ImagePublisher};
use pharos_replication::Replicas;

use crate::apis::Endpoint;
use crate::auto_topics::AutoTopics;
use crate::groups::Groups;
use crate::handlers::fetch::FetchService;
use crate::handlers::produce::ProduceService;
use crate::live_config::LiveConfig;
use crate::producer_ids::ProducerIds;
use crate::quotas::ClientQuotas;

/// The parts of a running broker that requests reach.
pub struct Services {
    /// The time.
    pub clock: Clock,
    /// Id of the cluster.
    pub cluster_id: String,
    /// `controller.listener.names`.
    pub controller_listeners: Vec<String>,
    /// The configuration in force.
    pub config: Arc<LiveConfig>,
    /// Who decides about metadata.
    pub controller: Controller,
    /// Where metadata arrives.
    pub publisher: ImagePublisher,
    /// The partitions of this broker.
    pub replicas: Arc<Replicas>,
    /// Appends for clients.
    pub produce: ProduceService,
    /// Reads for clients.
    pub fetch: FetchService,
    /// Groups and their offsets.
    pub groups: Arc<Groups>,
    /// Topics on demand.
    pub auto_topics: AutoTopics,
    /// What clients tell of themselves.
    pub telemetry: Arc<ClientTelemetry>,
    /// What clients may use.
    pub quotas: Arc<ClientQuotas>,
    /// Ids of idempotent producers.
    pub producer_ids: ProducerIds,
}

impl Services {
    /// Whom the listener of this name is for.
    pub fn endpoint_of(&self, listener: &str) -> Endpoint {
        let is_controllers = self.controller_listeners.iter().any(|name| name == listener);
        if is_controllers { Endpoint::Controller } else { Endpoint::Broker }
    }

    /// The newest metadata.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.publisher.current()
    }

    /// `max.request.partition.size.limit`.
    pub fn partition_page_limit(&self) -> i32 {
        self.config.get().get(&rows::MAX_REQUEST_PARTITION_SIZE_LIMIT)
    }
}
