//! DescribeConfigs, versions 1–4: every key of topics, brokers, groups and client metrics
//! subscriptions with its value, its source and what else would give it.
//!
//! - v1: sources and synonyms; v3: types and documentation.

use pharos_config::{BrokerConfig, Described, Resource};
use pharos_metadata::image::{ConfigResource, ConfigResourceType, MetadataImage};
use pharos_protocol::ErrorCode;
use pharos_protocol::messages::describe_configs_request::DescribeConfigsResourceRef;
use pharos_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use pharos_protocol::messages::{DescribeConfigsRequestRef, DescribeConfigsResponse};

use crate::context::{Answer, AnswerError, RequestContext};
use crate::errors::Refusal;
use crate::live_config::overrides;
use crate::topics::is_valid_name;

/// Answers the request.
///
/// # Errors
/// When its body is malformed.
pub fn answer(
    image: &MetadataImage,
    config: &BrokerConfig,
    context: &RequestContext,
    body: &[u8],
) -> Result<Answer, AnswerError> {
    let request = DescribeConfigsRequestRef::decode(body, context.version)?;
    Answer::ready(context, &handle(image, config, &request))
}

/// Describes every resource asked for.
fn handle(
    image: &MetadataImage,
    config: &BrokerConfig,
    request: &DescribeConfigsRequestRef<'_>,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let described = describe(image, config, &resource);
        let (error_code, error_message, described) = match described {
            Ok(described) => (ErrorCode::None.code(), None, described),
            Err(refusal) => (refusal.code.code(), refusal.message, Vec::new()),
        };
        let wanted = |entry: &Described| match &resource.configuration_keys {
            Some(keys) => keys.iter().any(|key| key == entry.name),
            None => true,
        };
        DescribeConfigsResult {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.to_owned(),
            configs: described
                .into_iter()
                .filter(wanted)
                .map(|entry| to_wire(entry, request))
                .collect(),
        }
    });
    DescribeConfigsResponse { results: results.collect(), ..DescribeConfigsResponse::default() }
}

fn describe(
    image: &MetadataImage,
    config: &BrokerConfig,
    resource: &DescribeConfigsResourceRef<'_>,
) -> Result<Vec<Described>, Refusal> {
    let name = resource.resource_name;
    let invalid = |words: String| Refusal::new(ErrorCode::InvalidRequest, words);
    match ConfigResourceType::from_code(resource.resource_type) {
        Some(ConfigResourceType::Topic) => {
            if !is_valid_name(name) {
                return Err(ErrorCode::InvalidTopicException.into());
            }
            if image.topic(name).is_none() {
                return Err(ErrorCode::UnknownTopicOrPartition.into());
            }
            let own = overrides(image, &ConfigResource::topic(name));
            Ok(config.describe(Resource::Topic, &own))
        }
        Some(ConfigResourceType::Broker) if name.is_empty() => Ok(config.describe_cluster()),
        Some(ConfigResourceType::Broker) => match name.parse::<i32>() {
            Ok(id) if id == config.node_id() => Ok(config.describe_broker()),
            Ok(_) => Err(invalid(format!(
                "Unexpected broker id, expected {} or empty string, but received {name}",
                config.node_id()
            ))),
            Err(_) => Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
        },
        Some(ConfigResourceType::ClientMetrics) => {
            if name.is_empty() {
                return Err(invalid("Client metrics subscription name must not be empty".into()));
            }
            let own =
                overrides(image, &ConfigResource::new(ConfigResourceType::ClientMetrics, name));
            Ok(config.describe(Resource::ClientMetrics, &own))
        }
        Some(ConfigResourceType::Group) => {
            if name.is_empty() {
                return Err(invalid("Group name must not be empty".into()));
            }
            let own = overrides(image, &ConfigResource::new(ConfigResourceType::Group, name));
            Ok(config.describe(Resource::Group, &own))
        }
        Some(ConfigResourceType::BrokerLogger) => {
            Err(invalid("Loggers of the broker cannot be described yet.".into()))
        }
        None => Err(invalid(format!("Unsupported resource type: {}", resource.resource_type))),
    }
}

fn to_wire(
    entry: Described,
    request: &DescribeConfigsRequestRef<'_>,
) -> DescribeConfigsResourceResult {
    let synonyms = if request.include_synonyms { entry.synonyms } else { Vec::new() };
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value,
        read_only: entry.read_only,
        config_source: entry.source.id(),
        is_sensitive: entry.sensitive,
        synonyms: synonyms
            .into_iter()
            .map(|synonym| DescribeConfigsSynonym {
                name: synonym.name,
                value: synonym.value,
                source: synonym.source.id(),
            })
            .collect(),
        config_type: entry.kind.map_or(0, |kind| kind.id()),
        documentation: entry.doc.filter(|_| request.include_documentation).map(str::to_owned),
    }
}
