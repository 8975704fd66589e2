//! Administration: what Kafka's tools ask of a cluster, one method per question.

mod cluster;
mod configs;
mod groups;
pub mod offsets;
mod quotas;
mod records;
mod topics;

use std::time::Duration;

use pharos_base::TopicPartition;

use crate::cluster::Cluster;
use crate::config::{ClientConfig, Properties};
use crate::error::Result;
use crate::wire::millis;

pub use self::cluster::{ClusterDescription, ClusterNode, DescribedLogDir, FeatureUpdate};
pub use self::configs::{
    AlterConfig, AlterOp, ConfigEntry, ConfigResource, ConfigSource, ConfigSynonym, ResourceKind,
};
pub use self::groups::{GroupDescription, GroupListing, GroupMember, GroupOffsetsDeletion};
pub use self::offsets::{Listed, ListedOffset, OffsetSpec};
pub use self::quotas::{DescribedQuota, QuotaEntity, QuotaKind, QuotaMatch, ScramCredentials};
pub use self::records::DeletedRecords;
pub use self::topics::{NewTopic, PartitionDescription, TopicDescription, TopicName};

/// Administers one cluster. Calls retry what may mend itself within default.api.timeout.ms.
#[derive(Clone)]
pub struct Admin {
    cluster: Cluster,
}

impl Admin {
    /// An admin on `cluster`.
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// An admin with these settings.
    ///
    /// # Errors
    /// The first property whose value is not allowed.
    pub fn from_properties(properties: &Properties) -> Result<Self> {
        Ok(Self::new(Cluster::new(ClientConfig::parse(properties)?)))
    }

    /// The cluster under it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Offsets by time, asked at the leaders with retries.
    pub async fn list_offsets(
        &self,
        asked: &[(TopicPartition, OffsetSpec)],
        read_committed: bool,
    ) -> Listed {
        offsets::list(&self.cluster, asked, read_committed).await
    }

    /// The time that a broker may spend on a request, as requests tell it.
    fn timeout_ms(&self) -> i32 {
        int_ms(self.cluster.config().request_timeout)
    }
}

fn int_ms(duration: Duration) -> i32 {
    i32::try_from(millis(duration)).unwrap_or(i32::MAX)
}
