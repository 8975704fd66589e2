//! What whoever adds pages to the admin listener is given of a node.

use std::sync::Arc;

use pharos_admin::{Readiness, Section};
use pharos_base::BrokerId;
use pharos_config::BrokerConfig;
use pharos_metrics::{Generation, Pages, Registry};
use tokio::runtime::Handle;

/// Adds pages to the admin listener of a node.
pub type AddPages = fn(NodeParts<'_>) -> Vec<Section>;

/// The parts of a node that pages may show.
pub struct NodeParts<'a> {
    /// Its configuration.
    pub config: &'a BrokerConfig,
    /// Its beans and families.
    pub registry: Registry,
    /// Its pages.
    pub pages: Arc<Pages>,
    /// Whether it is ready.
    pub readiness: Readiness,
    /// Its id.
    pub node_id: BrokerId,
    /// Id of its cluster.
    pub cluster_id: String,
    /// Host and port of its first admin listener.
    pub admin: String,
    /// Whose names its rules make.
    pub generation: Generation,
    /// Where work runs that no client waits for.
    pub control: Handle,
}
