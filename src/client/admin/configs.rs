//! Configurations of topics, brokers, groups and client metrics.

use pharos_base::BrokerId;
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_configs_request::DescribeConfigsResource;
use pharos_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use pharos_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use pharos_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
};

use super::Admin;
use crate::cluster::Target;
use crate::error::{ClientError, Result};

/// What a configuration belongs to (`org.apache.kafka.common.config.ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// A topic.
    Topic = 2,
    /// A broker; the empty name stands for all.
    Broker = 4,
    /// The loggers of a broker.
    BrokerLogger = 8,
    /// A subscription of client metrics (KIP-714).
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

impl ResourceKind {
    /// Its number on the wire.
    pub fn code(self) -> i8 {
        self as i8
    }

    fn from_code(code: i8) -> Option<Self> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// A thing that has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its name; empty for the default of all brokers.
    pub name: String,
}

impl ConfigResource {
    /// The resource of that kind and name.
    pub fn new(kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// A broker answers for its own configuration, any broker for the rest.
    fn target(&self) -> Target {
        match self.kind {
            ResourceKind::Broker | ResourceKind::BrokerLogger => {
                self.name.parse().map_or(Target::Any, |id| Target::Broker(BrokerId(id)))
            }
            _ => Target::Any,
        }
    }
}

/// Where a value comes from (`ConfigEntry.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigSource(pub i8);

impl ConfigSource {
    /// Set on the topic.
    pub const TOPIC: Self = Self(1);
    /// Set on the broker at run time.
    pub const DYNAMIC_BROKER: Self = Self(2);
    /// Set for all brokers at run time.
    pub const DYNAMIC_DEFAULT_BROKER: Self = Self(3);
    /// Set in the broker's file.
    pub const STATIC_BROKER: Self = Self(4);
    /// Kafka's default.
    pub const DEFAULT: Self = Self(5);
    /// Set on the broker's logger.
    pub const DYNAMIC_BROKER_LOGGER: Self = Self(6);
    /// Set on the client metrics subscription.
    pub const CLIENT_METRICS: Self = Self(7);
    /// Set on the group.
    pub const GROUP: Self = Self(8);

    /// Kafka's name for it.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }
}

/// Another value that would count if the first were not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Name of the key there.
    pub name: String,
    /// Value; none when it is secret.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
}

/// One key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Name.
    pub name: String,
    /// Value; none when it is secret or unset.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: ConfigSource,
    /// True when it cannot be altered.
    pub read_only: bool,
    /// True when it is secret.
    pub sensitive: bool,
    /// Where else it may come from.
    pub synonyms: Vec<ConfigSynonym>,
}

/// How a key is altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterOp {
    /// Set to the value.
    Set = 0,
    /// Back to the default.
    Delete = 1,
    /// Add to a list.
    Append = 2,
    /// Take from a list.
    Subtract = 3,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterConfig {
    /// Name of the key.
    pub name: String,
    /// What to do.
    pub op: AlterOp,
    /// The value; none with [`AlterOp::Delete`].
    pub value: Option<String>,
}

impl Admin {
    /// All keys of the resources, with synonyms; outcomes in the order asked.
    ///
    /// # Errors
    /// When a broker that is asked does not answer in time.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Vec<(ConfigResource, Result<Vec<ConfigEntry>>)>> {
        let mut outcomes = Vec::with_capacity(resources.len());
        let (any, own): (Vec<_>, Vec<_>) =
            resources.iter().cloned().partition(|resource| resource.target() == Target::Any);
        if !any.is_empty() {
            outcomes.extend(self.describe_configs_at(Target::Any, &any).await?);
        }
        if !own.is_empty() {
            self.cluster.nodes().await?;
        }
        for resource in own {
            let target = resource.target();
            outcomes.extend(self.describe_configs_at(target, &[resource]).await?);
        }
        outcomes.sort_by_key(|(resource, _)| resources.iter().position(|r| r == resource));
        Ok(outcomes)
    }

    async fn describe_configs_at(
        &self,
        target: Target,
        resources: &[ConfigResource],
    ) -> Result<Vec<(ConfigResource, Result<Vec<ConfigEntry>>)>> {
        let resource = |resource: &ConfigResource| DescribeConfigsResource {
            resource_type: resource.kind.code(),
            resource_name: resource.name.clone(),
            configuration_keys: None,
        };
        let request = DescribeConfigsRequest {
            resources: resources.iter().map(resource).collect(),
            include_synonyms: true,
            include_documentation: false,
        };
        let response =
            self.cluster.call_retrying("describing configurations", target, &request).await?;
        let outcomes = response.results.into_iter().filter_map(|result| {
            let kind = ResourceKind::from_code(result.resource_type)?;
            let outcome = ClientError::check(result.error_code, result.error_message.as_deref())
                .map(|()| result.configs.into_iter().map(entry).collect());
            Some((ConfigResource::new(kind, result.resource_name), outcome))
        });
        Ok(outcomes.collect())
    }

    /// Alters single keys of one resource (KIP-339).
    ///
    /// # Errors
    /// When it is refused or the broker does not answer in time.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[AlterConfig],
    ) -> Result<()> {
        let target = resource.target();
        if target != Target::Any {
            self.cluster.nodes().await?;
        }
        let change = |change: &AlterConfig| AlterableConfig {
            name: change.name.clone(),
            config_operation: change.op as i8,
            value: change.value.clone(),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.kind.code(),
                resource_name: resource.name.clone(),
                configs: changes.iter().map(change).collect(),
            }],
            validate_only: false,
        };
        let response =
            self.cluster.call_retrying("altering configurations", target, &request).await?;
        // What is refused stays so: a topic that is not there does not come by asking again.
        response.responses.iter().try_for_each(|answer| {
            ClientError::check(answer.error_code, answer.error_message.as_deref())
        })
    }

    /// Names of the resources of one kind that have a configuration.
    ///
    /// # Errors
    /// When it is refused, the broker is too old, or none answers in time.
    pub async fn list_config_resources(&self, kind: ResourceKind) -> Result<Vec<String>> {
        let build = |version: i16| {
            let mut request = ListConfigResourcesRequest::default();
            if version >= 1 {
                request.resource_types = vec![kind.code()];
            } else if kind != ResourceKind::ClientMetrics {
                return Err(ClientError::Broker {
                    code: ErrorCode::UnsupportedVersion,
                    message: None,
                });
            }
            Ok(request)
        };
        let (response, _) = self
            .cluster
            .retry("listing configurations", || {
                self.cluster.call_versioned(Target::Any, i16::MAX, build)
            })
            .await?;
        ClientError::check(response.error_code, None)?;
        let of_kind =
            response.config_resources.into_iter().filter(|r| r.resource_type == kind.code());
        let mut names: Vec<_> = of_kind.map(|resource| resource.resource_name).collect();
        names.sort();
        Ok(names)
    }
}

fn entry(config: DescribeConfigsResourceResult) -> ConfigEntry {
    let synonyms = config.synonyms.into_iter().map(|synonym| ConfigSynonym {
        name: synonym.name,
        value: synonym.value,
        source: ConfigSource(synonym.source),
    });
    ConfigEntry {
        synonyms: synonyms.collect(),
        name: config.name,
        value: config.value,
        source: ConfigSource(config.config_source),
        read_only: config.read_only,
        sensitive: config.is_sensitive,
    }
}
