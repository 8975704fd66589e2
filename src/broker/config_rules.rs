//! What the controller asks of configuration rows: whether a change is sound, what the defaults
//! are.

use std::sync::Arc;

use pharos_config::{BrokerConfig, Kind, Overrides, Refusal, Resource, Target, rows};
use pharos_metadata::image::{ConfigMap, ConfigResource, ConfigResourceType, MetadataImage};
use pharos_metadata::{ApiError, ConfigRules};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::create_topics_response::CreatableTopicConfigs;

use crate::live_config::LiveConfig;

/// Answers from the rows, under the configuration in force.
#[derive(Debug)]
pub struct RowRules(pub Arc<LiveConfig>);

impl ConfigRules for RowRules {
    fn validate(
        &self,
        resource: &ConfigResource,
        after: &ConfigMap,
        before: &ConfigMap,
    ) -> Result<(), ApiError> {
        let config = self.0.get();
        let target = target(resource)?;
        if resource.kind == ConfigResourceType::Broker && !resource.name.is_empty() {
            check_broker_name(&config, &resource.name)?;
        }
        let entries: Vec<_> =
            after.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        target.replace(before, &entries, &config).map(drop).map_err(refusal)
    }

    fn is_list(&self, kind: ConfigResourceType, key: &str) -> bool {
        let row = match kind {
            ConfigResourceType::Topic => rows::find(rows::topic::ALL, key),
            ConfigResourceType::Broker => rows::broker_row(key),
            ConfigResourceType::Group => rows::find(rows::group::ALL, key),
            ConfigResourceType::ClientMetrics | ConfigResourceType::BrokerLogger => None,
        };
        row.is_some_and(|row| row.kind == Kind::List)
    }

    fn stays(&self, kind: ConfigResourceType, key: &str) -> bool {
        kind == ConfigResourceType::Broker && key == rows::METRICS_HOT_KEYS_SECRET.row.name
    }

    fn default_value(&self, kind: ConfigResourceType, key: &str) -> Option<String> {
        let config = self.0.get();
        let described = match kind {
            ConfigResourceType::Topic => config.describe(Resource::Topic, &Overrides::new()),
            ConfigResourceType::Group => config.describe(Resource::Group, &Overrides::new()),
            ConfigResourceType::ClientMetrics => {
                config.describe(Resource::ClientMetrics, &Overrides::new())
            }
            ConfigResourceType::Broker => config.describe_broker(),
            ConfigResourceType::BrokerLogger => Vec::new(),
        };
        described.into_iter().find(|entry| entry.name == key)?.value
    }

    fn effective_topic_configs(
        &self,
        _image: &MetadataImage,
        set: &ConfigMap,
    ) -> Vec<CreatableTopicConfigs> {
        let described = self.0.get().describe(Resource::Topic, set);
        described
            .into_iter()
            .map(|entry| CreatableTopicConfigs {
                name: entry.name,
                value: entry.value,
                read_only: entry.read_only,
                config_source: entry.source.id(),
                is_sensitive: entry.sensitive,
            })
            .collect()
    }
}

fn target(resource: &ConfigResource) -> Result<Target, ApiError> {
    Ok(match resource.kind {
        ConfigResourceType::Topic => Target::Of(Resource::Topic),
        ConfigResourceType::Group => Target::Of(Resource::Group),
        ConfigResourceType::ClientMetrics => Target::Of(Resource::ClientMetrics),
        ConfigResourceType::Broker if resource.name.is_empty() => Target::Cluster,
        ConfigResourceType::Broker => Target::Broker,
        ConfigResourceType::BrokerLogger => {
            return Err(ApiError::new(
                ErrorCode::InvalidRequest,
                "Loggers of the broker cannot be altered yet.",
            ));
        }
    })
}

fn check_broker_name(config: &BrokerConfig, name: &str) -> Result<(), ApiError> {
    if name.parse::<i32>() == Ok(config.node_id()) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::InvalidRequest,
        format!(
            "Unexpected broker id, expected {} or empty string, but received {name}",
            config.node_id()
        ),
    ))
}

fn refusal(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::InvalidConfig(words) => ApiError::new(ErrorCode::InvalidConfig, words),
        Refusal::InvalidRequest(words) => ApiError::new(ErrorCode::InvalidRequest, words),
    }
}
